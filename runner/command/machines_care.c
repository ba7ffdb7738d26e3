/* Machines while a trial runs on them: none is ended by us, and none goes without being named. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/jobs.h"
#include "runner/command/machines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A spot machine is told two minutes before its end. */
#define LOOK_NS (15 * NS_PER_SEC)
#define LOOK_MAX_NS (60 * NS_PER_SEC)
#define THERE_NS (10 * NS_PER_SEC)
/* What could not be renewed is tried again after this, or as often as it is renewed. */
#define AGAIN_NS (60 * NS_PER_SEC)

enum { OF_A_LIFE = 4, NOTICE_MAX = 4096 };

/* The machine's own clock is the one that counts there. */
static const char arm[] =
    "sh -c 's=; [ \"$(id -u)\" = 0 ] || s=\"sudo -n\"; "
    "echo $(($(date +%%s) + %" PRId64 ")) | $s tee /run/seatrial/expires >/dev/null'";

/* IMDSv2. A machine that nobody wants back answers 404, which curl -f makes an exit code of. */
static const char notice[] =
    "sh -c 'm=http://169.254.169.254/latest; t=$(curl -sf -m 2 -X PUT -H "
    "\"X-aws-ec2-metadata-token-ttl-seconds: 60\" $m/api/token) && curl -sf -m 2 -H "
    "\"X-aws-ec2-metadata-token: $t\" $m/meta-data/spot/instance-action || true'";

static int64_t life_sec(const struct machines_care *care) {
    int64_t said = care->session.files.deployment->testbed.time_to_live_sec;
    return said ? said : PROVIDER_TIME_TO_LIVE_SEC;
}

static struct task task_of(const struct machines_care *care, uint64_t ns) {
    struct task task = {.cancel = &care->end, .deadline = INSTANT_NEVER};
    return task_within(&task, ns);
}

/* ---- on each machine, side by side ---- */

struct there {
    struct machines_care *care;
    const struct machine *machine;
    size_t host;
    char *notice; /* what the machine was told of its end; or NULL */
};

/* The connection is the trial's. */
static int ask(const struct there *there, const char *command, struct buffer *ret,
               struct error *err) {
    struct task task = task_of(there->care, THERE_NS);
    struct testbed *testbed = there->care->testbed;
    if (testbed_connect_one(testbed, there->host, &task, err) < 0)
        return -1;
    return host_exec_text(testbed->hosts[there->host].host, command, NOTICE_MAX, &task, ret, err);
}

static int renew_there(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine, (void)arg;
    const struct there *there = subject;
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL;
    cleanup_free char *command = text_format(arm, life_sec(there->care));
    return ask(there, command, &said, err);
}

static int read_notice(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine, (void)arg;
    struct there *there = subject;
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL;
    cleanup(json_freep) struct json *action = NULL;
    struct error ignored = ERROR_NULL;
    if (!there->machine->spot)
        return 0;
    if (ask(there, notice, &said, err) < 0)
        return -1;
    const char *time;
    if (said.size && json_parse(said.data, said.size, 0, &action, &ignored) == 0 &&
        json_require_text(action, "time", &time, &ignored) == 0) {
        char shown[64];
        there->notice = text_dup(text_safe(time, shown, sizeof shown));
    }
    return 0;
}

/* One for each machine that is a host. `ret` as jobs of these. */
static struct there *all_there(struct machines_care *care, struct job **ret, size_t *ret_count) {
    const struct machines *machines = &care->session.machines;
    const struct deployment *d = care->session.files.deployment;
    struct there *all = mem_new_array(struct there, machines->count);
    struct job *jobs = mem_new_array(struct job, machines->count);
    size_t count = 0;
    for (size_t i = 0; i < machines->count; i++) {
        const struct machine *m = &machines->items[i];
        if (!m->host || care->ending[m->host - d->testbed.hosts])
            continue;
        all[count] = (struct there){
            .care = care, .machine = m, .host = (size_t)(m->host - d->testbed.hosts)};
        jobs[count] = (struct job){.subject = &all[count]};
        count++;
    }
    *ret = jobs;
    *ret_count = count;
    return all;
}

/* ---- the time to live ---- */

static void warn_of(struct machines_care *care, const struct there *there,
                    const struct error *why) {
    const char *host = care->testbed->hosts[there->host].name;
    if (!care->warned[there->host])
        trial_warn(care->trial,
                   "the time to live of machine %s could not be renewed on it: %s (it may end "
                   "itself during the run: `seatrial ssh %s 'date -d +%" PRId64
                   "sec +%%s | sudo tee /run/seatrial/expires'`)",
                   there->machine->id, why->text, host, life_sec(care));
    care->warned[there->host] = true;
}

static bool renew_on_all(struct machines_care *care) {
    struct job *jobs;
    size_t count, failed = 0;
    struct there *all = all_there(care, &jobs, &count);
    jobs_run(jobs, count, 0, renew_there, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!jobs[i].fault) {
            care->warned[all[i].host] = false;
        } else if (jobs[i].fault->kind != ERROR_CANCELLED) {
            warn_of(care, &all[i], jobs[i].fault);
            failed++;
        }
    }
    jobs_free(jobs, count);
    free(all);
    return failed == 0;
}

/* The journal is another's for moments only. */
static int renew_tags(struct machines_care *care, struct error *err) {
    struct machines_session *s = &care->session;
    cleanup(machines_deinit) struct machines now = MACHINES_NULL;
    struct task task = task_of(care, AGAIN_NS);
    if (machines_take_journal(s, err) < 0)
        return -1;
    int r = s->provider->kind->renew(s->provider, &task, &now, err);
    machines_give_journal(s);
    return r;
}

static bool renew(struct machines_care *care) {
    struct error err = ERROR_NULL;
    bool there = renew_on_all(care);
    if (renew_tags(care, &err) == 0)
        return there;
    if (err.kind != ERROR_CANCELLED && err.kind != ERROR_CONFLICT)
        trial_warn(care->trial,
                   "the time to live of the machines could not be renewed in EC2's tags: %s "
                   "(`seatrial machines up` does it too; until then `machines reap` may end them)",
                   err.text);
    return false;
}

/* ---- machines that go ---- */

static void tell_gone(struct machines_care *care, const struct machine *was,
                      const struct machine *now) {
    const struct deployment *d = care->session.files.deployment;
    size_t host = (size_t)(was->host - d->testbed.hosts);
    struct error err = ERROR_NULL;
    bool taken = was->spot && strstr(now->reason, "Spot");
    error_set(&err, ERROR_FAILED, "host '%s': its machine %s in %s %s%s%s", was->host->name,
              was->id, was->region,
              taken                ? "was taken back by EC2 (spot interruption)"
              : machine_lives(now) ? "was stopped"
                                   : "was ended",
              *now->reason ? ": " : "", now->reason);
    error_hint(&err, taken ? "`seatrial run` makes another; with `market: on_demand` "
                             "none is taken back"
                     : machine_lives(now) ? "`seatrial run` starts it again"
                                          : "`seatrial run` makes another");
    care->ending[host] = care->gone[host] = true;
    trial_end_early(care->trial, host, true, &err);
}

static const struct machine *find(const struct machines *machines, const char *id) {
    for (size_t i = 0; i < machines->count; i++)
        if (text_equal(machines->items[i].id, id))
            return &machines->items[i];
    return NULL;
}

static void look(struct machines_care *care) {
    struct machines_session *s = &care->session;
    struct error ignored = ERROR_NULL; /* the next look may see it; renewing says what is wrong */
    cleanup(machines_deinit) struct machines all = MACHINES_NULL;
    struct task task = task_of(care, LOOK_MAX_NS);
    if (s->provider->kind->list(s->provider, PROVIDER_DEPLOYMENT, &task, &all, &ignored) < 0)
        return;
    for (size_t i = 0; i < s->machines.count; i++) {
        const struct machine *was = &s->machines.items[i], *now = find(&all, was->id);
        if (was->host && was->state == MACHINE_RUNNING && now &&
            !(machine_lives(now) && now->state <= MACHINE_RUNNING) &&
            !care->gone[was->host - s->files.deployment->testbed.hosts])
            tell_gone(care, was, now);
    }
}

/* What is collected within two minutes is at home. */
static void look_for_notices(struct machines_care *care) {
    struct job *jobs;
    size_t count;
    struct there *all = all_there(care, &jobs, &count);
    jobs_run(jobs, count, 0, read_notice, NULL);
    for (size_t i = 0; i < count; i++) {
        struct error err = ERROR_NULL;
        if (!all[i].notice)
            continue;
        error_set(&err, ERROR_FAILED, "host '%s': EC2 takes back its spot machine %s in %s at %s",
                  all[i].machine->host->name, all[i].machine->id, all[i].machine->region,
                  all[i].notice);
        error_hint(&err, "`seatrial run` makes another; `market: on_demand` is not taken back");
        care->ending[all[i].host] = true;
        trial_end_early(care->trial, all[i].host, false, &err);
        free(all[i].notice);
    }
    jobs_free(jobs, count);
    free(all);
}

/* ---- the thread ---- */

static void *care_main(void *arg) {
    struct machines_care *care = arg;
    const struct task forever = {.cancel = &care->end, .deadline = INSTANT_NEVER};
    const uint64_t each_ns = (uint64_t)life_sec(care) * NS_PER_SEC / OF_A_LIFE;
    struct error over = ERROR_NULL;
    struct instant due = clock_instant();
    do {
        look(care); /* first: what is gone keeps nobody waiting */
        if (instant_passed(due, clock_instant())) {
            bool good = renew(care);
            due = instant_after(clock_instant(), good || each_ns < AGAIN_NS ? each_ns : AGAIN_NS);
        }
        look_for_notices(care);
    } while (task_sleep(&forever, each_ns < LOOK_NS ? each_ns : LOOK_NS, &over) == 0);
    return NULL;
}

static void begin(void *arg, struct trial *trial) {
    struct machines_care *care = arg;
    care->trial = trial;
    care->session.trial = trial;
    int r = pthread_create(&care->thread, NULL, care_main, care);
    care->running = r == 0;
    if (r != 0)
        trial_warn(trial, "nobody renews the machines' time to live: %s", strerror(r));
}

static void end(void *arg) {
    struct machines_care *care = arg;
    if (!care->running)
        return;
    cancel_raise(&care->end, 1);
    pthread_join(care->thread, NULL);
    care->running = false;
}

int machines_care_for(const struct command_context *context, const struct command_files *files,
                      struct testbed *testbed, struct machines_care *care,
                      struct trial_caretaker *ret, struct error *err) {
    struct machines_session *s = &care->session;
    struct task task = command_task();
    if (files->deployment->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    if (cancel_init(&care->end, err) < 0 ||
        machines_open_with(context, files, MACHINES_LOOK, s, err) < 0 ||
        s->provider->kind->list(s->provider, PROVIDER_DEPLOYMENT, &task, &s->machines, err) < 0)
        return error_wrap(err, "look for the machines");
    care->testbed = testbed;
    care->warned = mem_new_array(bool, testbed->count);
    care->ending = mem_new_array(bool, testbed->count);
    care->gone = mem_new_array(bool, testbed->count);
    *ret = (struct trial_caretaker){.begin = begin, .end = end, .arg = care};
    return 0;
}

void machines_care_deinit(struct machines_care *care) {
    end(care);
    cancel_deinit(&care->end);
    free(care->warned);
    free(care->ending);
    free(care->gone);
    machines_close(&care->session);
}
