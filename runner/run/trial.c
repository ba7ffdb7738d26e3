#include "runner/run/trial.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/interrupt.h"
#include "runner/run/lane.h"
#include "runner/run/lock.h"
#include "runner/run/resume.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 200 /* of the progress display */ };

/* ---- what steps use ---- */

void act_say(const struct act *act, const char *format, ...) {
    va_list args;
    va_start(args, format);
    event_post_vtext(&act->trial->queue, EVENT_STEP_TEXT, act->step_index, format, args);
    va_end(args);
}

void act_warn(const struct act *act, const char *format, ...) {
    va_list args;
    va_start(args, format);
    event_post_vtext(&act->trial->queue, EVENT_WARNING, act->step_index, format, args);
    va_end(args);
}

void trial_warn(struct trial *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    event_post_vtext(&t->queue, EVENT_WARNING, 0, format, args);
    va_end(args);
}

void trial_end_early(struct trial *t, size_t host, bool gone, const struct error *why) {
    struct event *event = event_new(gone ? EVENT_GONE : EVENT_FAILURE);
    event->step = host;
    event->err = *why;
    event_post(&t->queue, event);
}

void act_bytes(const struct act *act, const char *what, uint64_t bytes) {
    struct event *event = event_new(EVENT_STEP_BYTES);
    event->step = act->step_index;
    event->bytes = bytes;
    event->text = text_dup(what);
    event_post(&act->trial->queue, event);
}

struct task act_forward_task(const struct act *act) {
    return (struct task){.cancel = &act->trial->forward, .deadline = INSTANT_NEVER};
}

struct task act_cleanup_task(const struct act *act) {
    return (struct task){.cancel = &act->trial->cleanup, .deadline = INSTANT_NEVER};
}

/* ---- lanes ---- */

static void lane(void *user, size_t index, struct engine **engine) {
    struct trial *t = user;
    struct event *end = event_new(EVENT_STEP_END);
    end->step = index;
    end->state = carry_out(t, index, engine, &end->err);
    event_post(&t->queue, end);
}

/* ---- main thread ---- */

static void remember(char ***list, size_t *count, size_t *capacity, const char *text) {
    mem_grow(*list, *count, *capacity);
    (*list)[(*count)++] = text_dup(text);
}

static void fail(struct trial *t, const struct error *err) {
    if (t->first_error.kind == ERROR_NONE)
        t->first_error = *err;
    remember(&t->failures, &t->failure_count, &t->failure_capacity, err->text);
}

static struct json *step_fields(const struct trial *t, size_t index) {
    const struct step *step = &t->plan->steps[index];
    struct json *fields = json_new_object();
    json_set_int(fields, "step", (int64_t)index + 1);
    json_set_text(fields, "kind", step_kind_name(step->kind));
    json_set_text(fields, "host", t->plan->hosts[step->host].name);
    json_set_text(fields, "subject", plan_subject(t->plan, step));
    return fields;
}

/* A journal that cannot be written ends the trial, but not its cleanup. */
static void journal(struct trial *t, const char *event, struct json *fields) {
    struct error err = ERROR_NULL;
    if (journal_write(&t->journal, event, fields, &err) == 0 || t->journal_failed)
        return;
    t->journal_failed = true;
    fail(t, &err);
    progress_error(t->settings.progress, &err);
    schedule_abort(&t->schedule);
    cancel_raise(&t->forward, 1);
}

static void journal_text(struct trial *t, const char *event, const char *text) {
    struct json *fields = json_new_object();
    json_set_text(fields, "text", text);
    journal(t, event, fields);
}

static void dispatch(struct trial *t) {
    long next;
    while ((next = schedule_next(&t->schedule)) >= 0) {
        size_t index = (size_t)next;
        const struct step *step = &t->plan->steps[index];
        journal(t, "begin", step_fields(t, index));
        if (t->journal_failed && step->when == STEP_FORWARD) {
            schedule_end(&t->schedule, index, STEP_SKIPPED); /* nobody could find what it makes */
            continue;
        }
        t->times[index].started = clock_wall();
        progress_begin(t->settings.progress, index, step,
                       t->plan->host_count > 1 ? t->plan->hosts[step->host].name : NULL,
                       plan_subject(t->plan, step));
        if (step->kind == STEP_HOLD && !t->told) {
            t->told = true;
            trial_tell_hold(t);
        }
        lanes_push(t->lanes[step->host], index);
    }
}

static void warn(struct trial *t, const char *text) {
    progress_warn(t->settings.progress, "%s", text);
    journal_text(t, "warning", text);
    remember(&t->warnings, &t->warning_count, &t->warning_capacity, text);
}

static void image_known(struct trial *t) {
    struct error err = ERROR_NULL;
    if (trial_lock_images(t, &err) < 0)
        warn(t, err.text);
}

static void step_ended(struct trial *t, struct event *event) {
    size_t index = event->step;
    const struct step *step = &t->plan->steps[index];
    if (event->state == STEP_GOOD && trial_compare_image(t, index, &event->err) < 0)
        event->state = STEP_FAILED;
    struct json *fields = step_fields(t, index);
    json_set_text(fields, "state", step_state_name(event->state));
    if (event->state == STEP_FAILED)
        json_set_text(fields, "error", event->err.text);
    if (event->state == STEP_FAILED && event->err.kind == ERROR_CANCELLED)
        json_set_bool(fields, "cancelled", step->when == STEP_FORWARD);
    resume_note(t, index, fields);
    t->times[index].ended = clock_wall();
    schedule_end(&t->schedule, index, event->state);
    journal(t, "end", fields);
    progress_end(t->settings.progress, index, event->state, &event->err);
    if (step->kind == STEP_CHECK_HOST && event->state == STEP_GOOD)
        trial_write_inventory(t);
    if (step_subject(step->kind) == SUBJECT_IMAGE && event->state == STEP_GOOD)
        image_known(t);
    if (event->state != STEP_FAILED)
        return;
    /* What we ended ourselves is no failure of its own. */
    if (event->err.kind != ERROR_CANCELLED || step->when != STEP_FORWARD)
        fail(t, &event->err);
    if (event->err.hint[0] && event->err.kind != ERROR_CANCELLED)
        progress_note(t->settings.progress, "hint: %s", event->err.hint);
    if (step->when == STEP_FORWARD)
        cancel_raise(&t->forward, 1);
}

static bool is_loaders_turn(enum step_kind kind) {
    return kind == STEP_WAIT_READY || kind == STEP_WAIT_EXIT;
}

/* Of the loader: to whoever is attached, else as the progress of waiting for its end. */
static void show_line(struct trial *t, const struct event *event) {
    if (t->settings.attach) {
        progress_clear(t->settings.progress);
        if (plan_role_count(t->plan, PROJECT_ROLE_LOADER) > 1)
            fprintf(t->out, "%s | ", t->plan->containers[event->step].name);
        fprintf(t->out, "%s\n", event->text);
        fflush(t->out);
        return;
    }
    for (size_t i = 0; i < t->plan->step_count; i++)
        if (is_loaders_turn(t->plan->steps[i].kind) && t->plan->steps[i].subject == event->step)
            progress_text(t->settings.progress, i, event->text);
}

/* What no step has met. */
static void end_early(struct trial *t, const struct event *event) {
    if (event->kind == EVENT_GONE) {
        t->hosts[event->step].gone = true;
        trial_host_give_up(t, event->step);
    }
    fail(t, &event->err);
    progress_error(t->settings.progress, &event->err);
    journal_text(t, "failure", event->err.text);
    schedule_abort(&t->schedule);
    cancel_raise(&t->forward, 1);
}

static void handle(struct trial *t, struct event *event) {
    switch (event->kind) {
    case EVENT_STEP_TEXT: progress_text(t->settings.progress, event->step, event->text); break;
    case EVENT_STEP_BYTES:
        progress_bytes(t->settings.progress, event->step, event->text, event->bytes);
        break;
    case EVENT_STEP_END: step_ended(t, event); break;
    case EVENT_LINE: show_line(t, event); break;
    case EVENT_WARNING: warn(t, event->text); break;
    case EVENT_FAILURE:
    case EVENT_GONE: end_early(t, event); break;
    }
}

static void handle_events(struct trial *t) {
    struct event *event;
    while ((event = event_take(&t->queue))) {
        handle(t, event);
        event_free(event);
    }
}

/* Waits only for somebody to end it. */
static bool is_held(const struct trial *t) {
    bool held = false;
    for (size_t i = 0; i < t->plan->step_count; i++) {
        if (t->plan->steps[i].kind != STEP_HOLD)
            continue;
        if (t->schedule.states[i] == STEP_WAITING)
            return false;
        held = held || t->schedule.states[i] == STEP_RUNNING;
    }
    return held && !t->schedule.aborted;
}

/* The first interrupt was what its end was wanted by. */
static bool was_released(const struct trial *t) {
    return cancel_level(&t->release) > 0;
}

static void handle_interrupt(struct trial *t) {
    uint64_t counter;
    ssize_t n = read(interrupt_cancel.event_fd, &counter, sizeof counter);
    (void)n;
    int level = cancel_level(&interrupt_cancel);
    if (level >= 1 && is_held(t)) {
        progress_note(t->settings.progress,
                      "ending the trial: collecting, cleaning up (again to stop waiting)");
        cancel_raise(&t->release, 1);
        level = level >= 2 ? level : 0;
    }
    if (level >= 1 && !t->interrupted && (level >= 2 || !was_released(t))) {
        t->interrupted = true;
        progress_note(t->settings.progress,
                      "interrupted: ending the trial, collecting, cleaning up (again to stop "
                      "waiting)");
        journal(t, "interrupt", NULL);
        schedule_abort(&t->schedule);
        cancel_raise(&t->forward, 1);
    }
    if (level >= 2 && cancel_level(&t->cleanup) == 0) {
        progress_note(t->settings.progress, "interrupted again: not waiting any more");
        cancel_raise(&t->cleanup, 1);
    }
}

static void main_loop(struct trial *t) {
    for (;;) {
        dispatch(t);
        if (schedule_done(&t->schedule))
            return;
        assert(schedule_count(&t->schedule, STEP_RUNNING) > 0);
        struct pollfd fds[2] = {{.fd = t->queue.event_fd, .events = POLLIN},
                                {.fd = interrupt_cancel.event_fd, .events = POLLIN}};
        int n = poll(fds, 2, TICK_MS);
        assert(n >= 0 || errno == EINTR);
        if (n > 0 && fds[1].revents)
            handle_interrupt(t);
        handle_events(t);
        progress_tick(t->settings.progress);
    }
}

/* ---- the whole ---- */

/* Interrupted, then left behind, then the first failure, then the verdict. */
static int exit_status(const struct trial *t, bool good) {
    if (t->interrupted) /* or the runner before us was */
        return interrupt_exit_status() ? interrupt_exit_status() : 128 + SIGINT;
    if (t->left_count)
        return error_exit_status(ERROR_LEFT_BEHIND);
    if (t->first_error.kind != ERROR_NONE)
        return error_exit_status(t->first_error.kind);
    return good ? 0 : error_exit_status(ERROR_FAILED);
}

int trial_run(const struct plan *plan, struct testbed *testbed,
              const struct trial_settings *settings, FILE *out, int *ret_exit_status,
              struct error *err) {
    cleanup(project_lock_release) struct project_lock lock = PROJECT_LOCK_NULL;
    const struct project_lock *held = settings->lock ? settings->lock : &lock;
    bool holds = plan->options.mode == PLAN_TRIAL && plan->options.no_load && !plan->options.detach;
    /* A loader by hand goes beside whatever else is done with the project. */
    if (plan->options.mode != PLAN_LOAD && !settings->lock &&
        project_lock_take(plan->project->name, &lock, err) < 0)
        return -1;
    if (holds && project_lock_attach(held, err) < 0)
        return -1;
    cleanup(trial_deinit) struct trial t = {.plan = plan,
                                            .testbed = testbed,
                                            .settings = *settings,
                                            .out = out,
                                            .journal = JOURNAL_NULL,
                                            .forward = {.event_fd = -1},
                                            .cleanup = {.event_fd = -1},
                                            .release = {.event_fd = -1},
                                            .started = clock_wall()};
    t.settings.lock = held;
    if (!t.settings.health_timeout_ns)
        t.settings.health_timeout_ns = HEALTH_TIMEOUT_NS_DEFAULT;
    if (!t.settings.reconnect_ns)
        t.settings.reconnect_ns = RECONNECT_NS_DEFAULT;
    if (!t.settings.disk_free_bytes_min)
        t.settings.disk_free_bytes_min = DISK_FREE_BYTES_MIN_DEFAULT;
    if (event_queue_init(&t.queue, err) < 0 || cancel_init(&t.forward, err) < 0 ||
        cancel_init(&t.cleanup, err) < 0 || cancel_init(&t.release, err) < 0 ||
        trial_begin(&t, lane, err) < 0)
        return -1;
    if (settings->caretaker.begin)
        settings->caretaker.begin(settings->caretaker.arg, &t);
    main_loop(&t);
    trial_join_lanes(&t);
    trial_end_samples(&t);
    trial_warn_of_samples(&t);
    handle_events(&t);
    trial_sweep(&t);
    if (settings->caretaker.end)
        settings->caretaker.end(settings->caretaker.arg);
    handle_events(&t);
    journal(&t, "end of run", NULL);

    struct error reporting = ERROR_NULL;
    int good = trial_report(&t, out, &reporting);
    if (good < 0) {
        fail(&t, &reporting);
        progress_error(settings->progress, &reporting);
    }
    journal(&t, "reported", NULL);
    *ret_exit_status = exit_status(&t, good == 1);
    return 0;
}
