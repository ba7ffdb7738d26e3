/* The machines of a trial: looked for, made ready before it, and left running or stopped after it.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/machines.h"
#include "runner/run/interrupt.h"

#include <stdlib.h>
#include <time.h>

/* A machine that was started since then may still be getting its keys. */
enum { YOUNG_SEC = 10 * 60 };

static int list(struct machines_session *s, struct error *err) {
    struct task task = command_task();
    if (s->provider->kind->list(s->provider, PROVIDER_DEPLOYMENT, &task, &s->machines, err) < 0)
        return -1;
    machines_know_keys(s, &s->machines);
    machines_to_hosts(&s->machines, s->files.deployment);
    return 0;
}

int machines_find(const struct command_context *context, const struct command_files *files,
                  struct error *err) {
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    if (files->deployment->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    if (machines_open_with(context, files, MACHINES_LOOK, &s, err) < 0 || list(&s, err) < 0)
        return error_wrap(err, "look for the machines");
    return 0;
}

/* ---- before ---- */

int machines_write_plan(const struct deployment *d, const struct machines_wanted *wanted,
                        struct buffer *out, struct error *err) {
    cleanup(prices_freep) struct prices *prices = NULL;
    if (d->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    if (machines_prices(d, &prices, err) < 0)
        return -1;
    cost_write_deployment(d, prices, out);
    buffer_text(out, wanted->make
                         ? "those that are missing are made, those that are stopped are started; "
                         : "all of them have to run already; ");
    buffer_text(out, wanted->stop ? "they are stopped after the run\n\n"
                                  : "they are left running after the run\n\n");
    return 0;
}

int machines_check_stop(const struct deployment *d, struct error *err) {
    if (d->testbed.provider != DEPLOYMENT_EC2)
        return error_set(err, ERROR_USAGE,
                         "--stop-machines is about machines of a cloud: the providers 'local' and "
                         "'hosts' have none");
    for (size_t i = 0; i < d->testbed.fleet_count; i++) {
        if (d->testbed.fleets[i].market != DEPLOYMENT_MARKET_SPOT)
            continue;
        error_set(err, ERROR_USAGE,
                  "--stop-machines: the spot machines of fleet '%s' cannot be "
                  "stopped",
                  d->testbed.fleets[i].name);
        return error_hint(err, "leave it out, and end them by `seatrial machines down`");
    }
    return 0;
}

static int check_all_run(const struct deployment *d, struct error *err) {
    const struct deployment_host *first = NULL;
    size_t missing = 0;
    for (size_t i = d->testbed.host_count; i-- > 0;)
        if (d->testbed.hosts[i].absent) {
            first = &d->testbed.hosts[i];
            missing++;
        }
    if (!first)
        return 0;
    error_set(err, ERROR_NOT_FOUND, "%zu of %zu machines do not run; host '%s': %s", missing,
              d->testbed.host_count, first->name, first->absent);
    return error_hint(err, "without --use-existing they are made and started, as by `seatrial "
                           "machines up`");
}

static int bring_up(struct machines_session *s, bool yes, struct error *err) {
    struct task task = command_task();
    if (machines_confirm(s, yes, &task, err) < 0)
        return -1;
    if (s->provider->kind->up(s->provider, true, &task, &s->machines, err) < 0) {
        if (err->kind == ERROR_CANCELLED)
            error_hint(err, "what was made is left running: `seatrial machines status` shows it, "
                            "`seatrial machines down` ends it");
        return error_wrap(err, "the machines");
    }
    machines_know_keys(s, &s->machines);
    machines_to_hosts(&s->machines, s->files.deployment);
    return check_all_run(s->files.deployment, err);
}

int machines_for_trial(const struct command_context *context, const struct command_files *files,
                       const struct machines_wanted *wanted, struct machines_session *s,
                       struct error *err) {
    if (wanted->stop && machines_check_stop(files->deployment, err) < 0)
        return -1;
    if (files->deployment->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    if (machines_open_with(context, files, wanted->make ? MACHINES_MAKE : MACHINES_LOOK, s, err) <
        0)
        return -1;
    if (wanted->make)
        return bring_up(s, wanted->yes, err);
    return list(s, err) < 0 ? -1 : check_all_run(files->deployment, err);
}

/* ---- until they can be used ---- */

static void on_ready(void *arg, size_t ready, size_t wanted) {
    const struct machines_session *s = arg;
    progress_note(s->context->progress, "%zu of %zu machines can be used", ready, wanted);
}

static void on_wait(void *arg, const struct testbed_host *host, const struct error *why) {
    const struct machines_session *s = arg;
    char shown[512];
    (void)host; /* the error names it */
    progress_note(s->context->progress, "waiting: %s", text_safe(why->text, shown, sizeof shown));
}

int machines_await(struct machines_session *s, struct testbed *testbed, struct error *err) {
    if (!s->provider)
        return 0;
    const struct deployment *d = s->files.deployment;
    cleanup_free bool *young = mem_new_array(bool, testbed->count);
    int64_t now_s = clock_wall().ns / (int64_t)NS_PER_SEC;
    for (size_t i = 0; i < s->machines.count; i++) {
        const struct machine *m = &s->machines.items[i];
        if (m->host)
            young[m->host - d->testbed.hosts] = m->launched_s + YOUNG_SEC > now_s;
    }
    struct testbed_wait wait = {.young = young, .on_ready = on_ready, .on_wait = on_wait, .arg = s};
    struct task task = command_task();
    if (testbed_await(testbed, &wait, &task, err) < 0)
        return -1;
    machines_replace_keys(s, testbed);
    machines_give_journal(s);
    return 0;
}

int machines_make_ready(const struct command_context *context, bool yes, struct error *err) {
    const struct machines_wanted wanted = {.make = true, .yes = yes};
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    cleanup(testbed_closep) struct testbed *testbed = NULL;
    if (command_read_files(context, &files, err) < 0)
        return -1;
    if (files.deployment->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    return machines_for_trial(context, &files, &wanted, &s, err) < 0 ||
                   command_testbed(context, &files, &testbed, err) < 0 ||
                   machines_await(&s, testbed, err) < 0
               ? -1
               : 0;
}

/* ---- after ---- */

#define WHAT_ENDS_THEM "`seatrial machines stop` stops them, `seatrial machines down` ends them"

/* They cost money as long as they run, so it is said in any case. */
static void say_unknown(const struct command_context *context, const char *why) {
    progress_warn(context->progress,
                  "machines are left running, until when is not known (%s): `seatrial machines "
                  "status` shows them, " WHAT_ENDS_THEM,
                  why);
}

static void say_running(const struct command_context *context, const struct machines *machines) {
    size_t running = 0;
    time_t until = 0;
    struct tm local;
    char text[64];
    for (size_t i = 0; i < machines->count; i++) {
        const struct machine *m = &machines->items[i];
        if (!m->host || m->state != MACHINE_RUNNING)
            continue;
        running++;
        until = !until || (time_t)m->expires_s < until ? (time_t)m->expires_s : until;
    }
    localtime_r(&until, &local);
    strftime(text, sizeof text, "%F %H:%M:%S %Z", &local);
    if (running)
        progress_note(context->progress, "%zu machines are left running until %s: " WHAT_ENDS_THEM,
                      running, text);
}

void machines_say_until(const struct command_context *context, const struct command_files *files) {
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    struct error err = ERROR_NULL;
    if (files->deployment->testbed.provider != DEPLOYMENT_EC2)
        return;
    if (interrupt_exit_status()) /* nothing is asked any more */
        say_unknown(context, "interrupted");
    else if (machines_open_with(context, files, MACHINES_LOOK, &s, &err) < 0 || list(&s, &err) < 0)
        say_unknown(context, err.text);
    else
        say_running(context, &s.machines);
}

static int stop_all(struct machines_session *s, struct error *err) {
    struct task task = command_task();
    /* Whoever has interrupted the run wants the machines to be stopped all the same. */
    if (interrupt_exit_status())
        task.cancel = NULL;
    if (machines_take_journal(s, err) < 0 || s->provider->kind->stop(s->provider, &task, err) < 0) {
        error_wrap(err, "stop the machines");
        err->kind = ERROR_LEFT_BEHIND;
        return error_hint(err, "`seatrial machines stop` again, or `seatrial machines down`");
    }
    progress_note(s->context->progress, "all machines are stopped");
    return 0;
}

int machines_after_trial(struct machines_session *s, bool stop, int status) {
    struct error err = ERROR_NULL;
    if (!s->provider)
        return status;
    if (!stop) {
        machines_say_until(s->context, &s->files);
        return status;
    }
    if (stop_all(s, &err) == 0)
        return status;
    int failed = command_fail(s->context, &err);
    return status >= 128 ? status : failed;
}
