/* One run of a custom command, from the look at its container to its record. */

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"
#include "runner/collect/custom_impl.h"
#include "runner/engine/container.h"
#include "runner/engine/exec.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    OUTPUT_MAX_BYTES = 64 << 20,
    SHELL_SIGNAL = 128, /* and the signal's number: what sh(1) says of who was ended by one */
};

#define END_PAUSE_NS (50 * NS_PER_MS)
/* The engine notes an exit code a moment after the output has ended. */
#define EXIT_CODE_PAUSE_NS (20 * NS_PER_MS)

enum end { END_BY_ITSELF, END_BY_TIMEOUT, END_WITH_CONTAINER, END_BY_STOP };

struct run {
    struct custom *custom;
    const struct command *command;
    struct target *target;
    char *words;
    FILE *file;
    uint64_t output_bytes, dropped_bytes;
    struct wall_time started;
    uint64_t duration_ns;
    int exit_code; /* -1: a signal, or not known */
    int signal;
    bool lost;
    char failure[512]; /* why it could not be run; "" */

    struct cancel wake; /* of who watches: the run is over, or should be */
    struct cancel drop; /* it had its chance to end */
    atomic_bool over;
    int over_fd;
    atomic_int end;
    pthread_t watcher;
    bool watched;
};

/* ---- what is asked of the host, and of the container ---- */

int custom_ask_host(const struct custom *c, const char *script, const struct task *task,
                    struct error *err) {
    cleanup(buffer_deinit) struct buffer ignored = BUFFER_NULL;
    cleanup_free char *command = custom_for_shell(script);
    return host_exec_text(c->settings.host, command, CUSTOM_ANSWER_MAX_BYTES, task, &ignored, err);
}

int custom_have_engine(const struct custom *c, struct engine **engine, const struct task *task,
                       struct error *err) {
    if (*engine)
        return 0;
    if (!c->settings.open_engine)
        return error_set(err, ERROR_INVALID, "there is no engine to ask");
    return c->settings.open_engine(c->settings.arg, task, engine, err);
}

/* One whose connection broke is of no use any more. */
static void drop_engine(struct engine **engine) {
    engine_close(*engine);
    *engine = NULL;
}

static int ask_container(const struct custom *c, struct engine **engine, const struct target *t,
                         const char *script, const struct task *task, struct error *err) {
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    const char *const words[] = {"/bin/sh", "-c", script, NULL};
    const struct engine_exec_spec spec = {.cmd = words};
    if (custom_have_engine(c, engine, task, err) < 0)
        return -1;
    return engine_exec(*engine, t->container_id, &spec, CUSTOM_ANSWER_MAX_BYTES, 0, task, &result,
                       err);
}

static int end_there(const struct custom *c, struct engine **engine, const struct command *command,
                     const struct target *t, const struct task *task, struct error *err) {
    cleanup_free char *script = custom_end_script(c->mark);
    return command->in_container ? ask_container(c, engine, t, script, task, err)
                                 : custom_ask_host(c, script, task, err);
}

int custom_end_unfinished(struct custom *c, const struct task *task, struct error *err) {
    if (!c->unfinished)
        return 0;
    int r = end_there(c, &c->engine, c->unfinished, c->unfinished_target, task, err);
    /* In a container that has ended since nothing is left of it either. */
    if (r < 0 && (!c->unfinished->in_container || err->kind == ERROR_UNREACHABLE))
        return -1;
    error_clear(err);
    c->unfinished = NULL;
    return 0;
}

/* ---- before: is there something to run it for? ---- */

static int is_running(struct custom *c, const struct target *t, const struct task *task,
                      bool *ret_running, struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    *ret_running = true;
    if (!c->settings.open_engine)
        return 0;
    if (custom_have_engine(c, &c->engine, task, err) < 0)
        return -1;
    int r = engine_container_inspect(c->engine, t->container_id, task, &state, err);
    if (r < 0)
        return -1;
    *ret_running = r == 0 && state.running && !text_equal(state.status, "paused");
    return 0;
}

static int look(struct custom *c, const struct target *t, bool *ret_running, struct error *err) {
    struct task task = {.cancel = &c->stop, .deadline = INSTANT_NEVER};
    for (;;) {
        if (custom_end_unfinished(c, &task, err) == 0 &&
            is_running(c, t, &task, ret_running, err) == 0)
            return 0;
        drop_engine(&c->engine);
        if (err->kind != ERROR_UNREACHABLE || !c->settings.await)
            return -1;
        error_clear(err);
        if (c->settings.await(c->settings.arg, &task, err) < 0)
            return -1;
    }
}

/* ---- who watches ---- */

/* Until the run is over, its container has ended, or its time is up. */
static enum end watch_for_end(struct run *run) {
    struct custom *c = run->custom;
    struct error err = ERROR_NULL;
    struct task forever = {.cancel = &run->wake, .deadline = INSTANT_NEVER};
    struct task task = task_within(&forever, run->command->timeout_ns);
    int64_t exit_code;
    if (custom_have_engine(c, &c->watch_engine, &task, &err) == 0 &&
        engine_container_wait(c->watch_engine, run->target->container_id, &task, &exit_code,
                              &err) == 0)
        return END_WITH_CONTAINER;
    drop_engine(&c->watch_engine); /* in the middle of a call */
    if (err.kind != ERROR_TIMEOUT && err.kind != ERROR_CANCELLED) {
        error_clear(&err);
        task_wait(&task, -1, 0, &err);
    }
    if (err.kind == ERROR_TIMEOUT)
        return END_BY_TIMEOUT;
    return run->over ? END_BY_ITSELF : END_BY_STOP;
}

/* It is ended where it runs, so that what it has printed still comes home. It may have been about
 * to begin: then there is nothing to end yet, and we look again. */
static void end_run(struct run *run) {
    struct custom *c = run->custom;
    struct error err = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task limit = task_within(&forever, CUSTOM_END_NS_MAX);
    for (;;) {
        struct task pause = task_within(&limit, END_PAUSE_NS);
        error_clear(&err);
        if (task_wait(&pause, run->over_fd, POLLIN, &err) == 0)
            return;
        error_clear(&err);
        if (task_check(&limit, &err) < 0 ||
            end_there(c, &c->watch_engine, run->command, run->target, &limit, &err) < 0)
            break;
    }
    cancel_raise(&run->drop, 1);
}

static void *watch_main(void *arg) {
    struct run *run = arg;
    enum end end = watch_for_end(run);
    run->end = (int)end;
    if (end != END_BY_ITSELF)
        end_run(run);
    return NULL;
}

void custom_end_run(struct custom *c) {
    pthread_mutex_lock(&c->lock);
    if (c->running)
        cancel_raise(&c->running->wake, 1);
    pthread_mutex_unlock(&c->lock);
}

static int begin_watch(struct run *run, struct error *err) {
    struct custom *c = run->custom;
    int r = pthread_create(&run->watcher, NULL, watch_main, run);
    if (r)
        return error_set_os(err, ERROR_IO, r, "start a thread for the custom command");
    run->watched = true;
    pthread_mutex_lock(&c->lock);
    c->running = run;
    pthread_mutex_unlock(&c->lock);
    if (cancel_level(&c->stop) > 0) /* raised before we could be seen */
        cancel_raise(&run->wake, 1);
    return 0;
}

static void end_watch(struct run *run) {
    struct custom *c = run->custom;
    uint64_t one = 1;
    pthread_mutex_lock(&c->lock);
    c->running = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!run->watched)
        return;
    run->over = true;
    ssize_t n = write(run->over_fd, &one, sizeof one);
    (void)n;
    cancel_raise(&run->wake, 1);
    pthread_join(run->watcher, NULL);
}

/* ---- the run itself ---- */

/* What is too much is dropped: the command goes on. */
static int write_output(void *arg, const void *data, size_t size, struct error *err) {
    struct run *run = arg;
    struct custom *c = run->custom;
    uint64_t room = OUTPUT_MAX_BYTES - run->output_bytes;
    size_t taken = size < room ? size : (size_t)room;
    run->output_bytes += taken;
    run->dropped_bytes += size - taken;
    if (fwrite(data, 1, taken, run->file) < taken)
        return error_set_os(err, ERROR_IO, errno, "write the custom command's output");
    if (c->settings.show) {
        struct custom_target target = custom_public_target(run->target);
        c->settings.show(c->settings.arg, &target, data, taken);
    }
    return 0;
}

static int write_piece(void *arg, enum engine_stream stream, const void *data, size_t size,
                       struct error *err) {
    (void)stream;
    return write_output(arg, data, size, err);
}

static char *script_of(const struct run *run) {
    struct custom *c = run->custom;
    struct custom_target target = custom_public_target(run->target);
    return custom_run_script(run->words, run->command->work, c->mark, &target,
                             host_name(c->settings.host));
}

static int run_on_host(struct run *run, const struct task *task, struct error *err) {
    cleanup_free char *script = script_of(run);
    cleanup_free char *command = custom_for_shell(script);
    struct sink sink = {.push = write_output, .arg = run};
    struct host_exec exec = {.command = command, .output = &sink, .errors = &sink};
    struct host_exec_result result = {.exit_code = -1};
    int r = host_exec(run->custom->settings.host, &exec, task, &result, err);
    if (r < 0)
        return -1;
    run->exit_code = result.exit_code;
    for (int n = 1; n < NSIG && *result.signal; n++)
        if (text_equal(sigabbrev_np(n), result.signal))
            run->signal = n;
    return 0;
}

static int ask_exit_code(struct run *run, const char *id, const struct task *task,
                         struct error *err) {
    struct engine_exec_state state = {.running = true};
    while (state.running)
        if (engine_exec_inspect(run->custom->engine, id, task, &state, err) < 0 ||
            (state.running && task_sleep(task, EXIT_CODE_PAUSE_NS, err) < 0))
            return -1;
    run->exit_code = (int)(state.exit_code & 0xff);
    return 0;
}

static int run_in_container(struct run *run, const struct task *task, struct error *err) {
    char id[ENGINE_ID_SIZE];
    cleanup_free char *script = script_of(run);
    const char *const words[] = {"/bin/sh", "-c", script, NULL};
    const struct engine_exec_spec spec = {.cmd = words};
    const struct engine_output output = {.push = write_piece, .arg = run};
    struct engine *engine = run->custom->engine; /* is_running has opened it */
    if (engine_exec_create(engine, run->target->container_id, &spec, task, id, err) < 0 ||
        engine_exec_start(engine, id, &output, task, err) < 0)
        return -1;
    return ask_exit_code(run, id, task, err);
}

static int execute(struct run *run, struct error *err) {
    struct custom *c = run->custom;
    struct task forever = {.cancel = &run->drop, .deadline = INSTANT_NEVER};
    struct task task = task_within(&forever, run->command->timeout_ns + 2 * CUSTOM_END_NS_MAX);
    if (begin_watch(run, err) < 0)
        return -1;
    c->unfinished = run->command;
    c->unfinished_target = run->target;
    int r = run->command->in_container ? run_in_container(run, &task, err)
                                       : run_on_host(run, &task, err);
    if (r == 0)
        c->unfinished = NULL;
    else if (run->command->in_container)
        drop_engine(&c->engine);
    if (r == 0 && run->exit_code > SHELL_SIGNAL && run->exit_code < SHELL_SIGNAL + NSIG) {
        run->signal = run->exit_code - SHELL_SIGNAL;
        run->exit_code = -1;
    }
    return r;
}

/* ---- its record ---- */

static void write_record(const struct run *run) {
    char when[WALL_TEXT_SIZE];
    cleanup(json_freep) struct json *record = json_new_object();
    int end = run->end;
    json_set(record, "name", json_new_text(run->command->name));
    json_set_text(record, "command", run->words);
    json_set_text(record, "in", run->command->in_container ? "container" : "host");
    json_set_text(record, "started", wall_text(run->started, when));
    json_set_int(record, "duration_ns", (int64_t)run->duration_ns);
    json_set(record, "exit_code",
             run->exit_code >= 0 ? json_new_int(run->exit_code) : json_new_null());
    json_set(record, "signal", run->signal ? json_new_int(run->signal) : json_new_null());
    json_set_bool(record, "timed_out", end == END_BY_TIMEOUT);
    json_set_bool(record, "container_ended", end == END_WITH_CONTAINER);
    json_set_bool(record, "stopped", end == END_BY_STOP);
    json_set_bool(record, "lost", run->lost);
    json_set_int(record, "output_bytes", (int64_t)run->output_bytes);
    json_set_int(record, "dropped_bytes", (int64_t)run->dropped_bytes);
    json_set(record, "error", *run->failure ? json_new_text(run->failure) : json_new_null());

    struct error ignored = ERROR_NULL; /* the output beside it is what matters */
    cleanup_free char *path =
        text_format("%s/%llu.json", run->target->folder, (unsigned long long)run->target->number);
    cleanup_free char *text = json_to_text(record, JSON_INDENTED);
    file_write(path, 0644, text, strlen(text), &ignored);
}

/* Behind all that is there: of an earlier part of the run, or of somebody who is at it by hand. */
static int create_output(struct run *run, struct error *err) {
    for (;;) {
        cleanup_free char *path = text_format("%s/%llu.out", run->target->folder,
                                              (unsigned long long)++run->target->number);
        run->file = fopen(path, "wxe");
        if (run->file)
            return 0;
        if (errno != EEXIST)
            return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    }
}

static void count_run(const struct run *run, struct custom_count *count) {
    count->runs++;
    switch (run->end) {
    case END_BY_TIMEOUT: count->timed_out++; break;
    case END_WITH_CONTAINER: count->container_ended++; break;
    case END_BY_STOP: break;
    default:
        if (run->lost)
            count->lost++;
        else if (run->exit_code != 0)
            count->failures++;
    }
}

/* What runs in a container ends with it before anybody has told us. */
static void look_again(struct run *run) {
    struct error ignored = ERROR_NULL;
    struct task forever = TASK_FOREVER, brief = task_within(&forever, CUSTOM_END_NS_MAX);
    bool running = true;
    if (!run->command->in_container || run->exit_code == 0 || run->end != END_BY_ITSELF ||
        run->lost)
        return;
    if (is_running(run->custom, run->target, &brief, &running, &ignored) == 0 && !running)
        run->end = END_WITH_CONTAINER;
}

static void run_deinit(struct run *run) {
    cancel_deinit(&run->wake);
    cancel_deinit(&run->drop);
    if (run->over_fd >= 0)
        close(run->over_fd);
    if (run->file)
        fclose(run->file);
    free(run->words);
}

static int begin(struct run *run, struct error *err) {
    run->over_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (run->over_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    if (cancel_init(&run->wake, err) < 0 || cancel_init(&run->drop, err) < 0)
        return -1;
    return create_output(run, err);
}

int custom_run(struct custom *c, struct command *command, struct target *t, struct error *err) {
    bool running = false;
    if (look(c, t, &running, err) < 0)
        return -1;
    if (!running || cancel_level(&c->stop) > 0)
        return 1;
    struct custom_target target = custom_public_target(t);
    cleanup(run_deinit) struct run run = {
        .custom = c,
        .command = command,
        .target = t,
        .words = custom_expand(command->command, &target, host_name(c->settings.host)),
        .exit_code = -1,
        .wake = {.event_fd = -1},
        .drop = {.event_fd = -1},
        .over_fd = -1,
        .started = clock_wall()};
    struct instant begun = clock_instant();
    int r = begin(&run, err);
    if (r == 0)
        r = execute(&run, err);
    end_watch(&run);
    run.duration_ns = instant_ns_between(begun, clock_instant());
    run.lost = r < 0 && err->kind == ERROR_UNREACHABLE;
    if (r < 0)
        snprintf(run.failure, sizeof run.failure, "%s", err->text);
    look_again(&run);
    count_run(&run, &command->count);
    if (run.file)
        write_record(&run);
    error_clear(err);
    return 0;
}
