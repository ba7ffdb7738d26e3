#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/logs.h"
#include "runner/engine/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    /* There is a thread for every container of the trial: hundreds, which the usual 8 MiB each
     * would make gigabytes of address space, and memory where that is limited or locked. */
    STACK_BYTES = 512 << 10,
};

/* What is asked for again after a break: lines of the two streams may stand a little out of order.
 */
#define OVERLAP_NS ((int64_t)NS_PER_SEC)
#define AGAIN_PAUSE_NS (500 * NS_PER_MS)
/* By which our clock and the host's may differ when we say that a container was started later. */
#define BEGIN_SLACK_NS ((int64_t)(100 * NS_PER_MS))

/* Why lines may be missing without a trace, and from when on the engine wrote again. */
struct suspicion {
    bool there;
    enum log_gap_reason reason;
    int64_t ns; /* by the host's clock */
};

struct log_follow {
    struct log_source source;
    char *container;
    struct log_watch watch;
    struct log_file out;
    struct log_reader old; /* what we have of the time that is asked for again */
    struct log_merge merge;
    struct log_previous previous; /* on this connection */
    struct suspicion suspicion;
    bool can_rotate;
    int64_t began_ns; /* when the container, as we know it, ran already; by the host's clock */
    uint64_t breaks;
    bool complete;
    struct cancel cancel;
    int ended_fd; /* readable once the thread is through */
    pthread_t thread;
};

/* ---- what comes, behind what we have ---- */

static int next_old(void *arg, struct log_old *ret, struct error *err) {
    struct log_follow *f = arg;
    struct log_record record;
    return log_reader_next(&f->old, &record, ret, err);
}

static int find_old(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err) {
    const struct log_follow *f = arg;
    return log_reader_find(&f->old, hash, ret_offset, err);
}

static int begins(void *arg, const struct log_old *old, const struct log_record *record,
                  struct error *err) {
    const struct log_follow *f = arg;
    return log_old_begins(f->out.fd, f->out.path, old, record, err);
}

static int keep(void *arg, const struct log_old *old, struct error *err) {
    (void)arg, (void)old, (void)err;
    return 0; /* it is in the file */
}

static int write_gap(struct log_follow *f, struct log_gap gap, struct error *err) {
    if (f->suspicion.there)
        gap.reason = f->suspicion.reason;
    f->suspicion.there = false; /* it has come true */
    return log_file_add_gap(&f->out, &gap, err);
}

static int note_gap(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
                    struct error *err) {
    struct log_follow *f = arg;
    if (behind == LOG_OURS)
        return 0; /* in the middle of the file; the end of the trial finds it again */
    struct log_gap gap = {.from_ns = from_ns,
                          .to_ns = to_ns,
                          .reason = f->can_rotate && first ? LOG_GAP_ROTATED : LOG_GAP_LOST};
    return write_gap(f, gap, err);
}

static int add(void *arg, const struct log_record *record, bool known, struct error *err) {
    struct log_follow *f = arg;
    if (known)
        return 0;
    if (f->suspicion.there && record->ns >= f->suspicion.ns && f->out.ns > 0) {
        struct log_gap perhaps = {f->out.ns, record->ns, f->suspicion.reason, true};
        if (write_gap(f, perhaps, err) < 0)
            return -1;
    }
    return log_file_add(&f->out, record, err);
}

static const struct log_merge_calls merge_calls = {.next = next_old,
                                                   .find = find_old,
                                                   .begins = begins,
                                                   .keep = keep,
                                                   .add = add,
                                                   .gap = note_gap};

static int take_line(void *arg, const struct engine_log_line *line, struct error *err) {
    struct log_follow *f = arg;
    uint64_t lines = f->out.lines;
    struct log_record record;
    if (log_record_of_line(line, &record, err) < 0)
        return -1;
    if (log_record_repeats(&f->previous, &record) && f->can_rotate)
        return 0;
    if (log_merge_push(&f->merge, &record, err) < 0)
        return -1;
    if (f->out.lines > lines && f->watch.on_line)
        f->watch.on_line(f->watch.arg, line->data);
    return 0;
}

/* Whoever reads the file shall see what has come, however slowly. */
static int flush(void *arg, struct error *err) {
    struct log_follow *f = arg;
    return log_file_flush(&f->out, err);
}

/* ---- the stream, and what ended it ---- */

static struct suspicion suspicion_now(const struct log_follow *f) {
    return (struct suspicion){
        .there = true,
        .reason = LOG_GAP_ENGINE_RESTARTED,
        .ns = clock_wall().ns + f->source.clock_offset_ns,
    };
}

static void begin_merge(struct log_follow *f, int64_t since_ns) {
    log_merge_deinit(&f->merge);
    log_reader_deinit(&f->old);
    log_merge_init(&f->merge, &merge_calls, f);
    f->previous = (struct log_previous){.ns = 0};
    uint64_t from = since_ns > 0 ? log_file_place(&f->out, since_ns) : 0;
    log_reader_init(&f->old, f->out.fd, f->out.path, from, f->out.size);
}

/* Before it is read: how does its engine keep it? */
static int look_before(struct log_follow *f, struct engine *engine, const struct task *task,
                       struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(engine, f->container, task, &state, err);
    if (r == 0)
        f->can_rotate = log_can_rotate(&state);
    return r < 0 ? -1 : 0;
}

/* It went down with its engine or its host, or an engine that was restarted saw no more of it. */
static int end_suspicion(struct log_follow *f, const struct engine_container *state,
                         struct error *err) {
    bool died = f->breaks > 0 && state->exit_code == LOG_EXIT_LOST;
    int64_t ended_ns = log_time_ns(state->finished, strlen(state->finished));
    if ((!f->suspicion.there && !died) || f->out.ns == 0)
        return 0;
    struct log_gap gap = {.from_ns = f->out.ns,
                          .to_ns = ended_ns > f->out.ns ? ended_ns : f->out.ns,
                          .reason = LOG_GAP_HOST_RESTARTED,
                          .perhaps = true};
    return write_gap(f, gap, err);
}

/* 0 when the container is over; 1 when it runs, and the stream ended all the same. */
static int look_behind(struct log_follow *f, struct engine *engine, const struct task *task,
                       struct error *err) {
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(engine, f->container, task, &state, err);
    if (r != 0)
        return r < 0 ? -1 : 0;
    if (text_equal(state.status, "restarting"))
        return 1; /* this run of it is over, and the next has not begun */
    if (!state.running)
        return end_suspicion(f, &state, err);
    int64_t started_ns = log_time_ns(state.started, strlen(state.started));
    if (started_ns <= f->began_ns)
        f->suspicion = suspicion_now(f);
    else
        f->began_ns = started_ns + BEGIN_SLACK_NS; /* another run of it */
    return 1;
}

static int follow_once(struct log_follow *f, const struct task *task, struct error *err) {
    cleanup(engine_closep) struct engine *engine = NULL;
    if (log_file_flush(&f->out, err) < 0 || engine_open(&f->source.engine, task, &engine, err) < 0)
        return -1;
    int64_t since_ns = f->out.ns > OVERLAP_NS ? f->out.ns - OVERLAP_NS : 0;
    struct engine_log_options options = {.follow = true,
                                         .timestamps = true,
                                         .tty = f->source.tty,
                                         .since_ns = since_ns,
                                         .on_pause = flush};
    if (look_before(f, engine, task, err) < 0)
        return -1;
    begin_merge(f, since_ns);
    int r = engine_container_logs(engine, f->container, &options, take_line, f, task, err);
    return r < 0 ? -1 : look_behind(f, engine, task, err);
}

static uint64_t connections(const struct log_follow *f) {
    return f->source.connections ? f->source.connections(f->source.arg) : 0;
}

static int follow(struct log_follow *f, struct error *err) {
    struct task task = {.cancel = &f->cancel, .deadline = INSTANT_NEVER};
    for (;;) {
        uint64_t before = connections(f);
        int r = follow_once(f, &task, err);
        if (r == 0 || (r < 0 && (err->kind != ERROR_UNREACHABLE || !f->source.await)))
            return r;
        error_clear(err);
        struct suspicion engine = suspicion_now(f);
        if (f->source.await && f->source.await(f->source.arg, &task, err) < 0)
            return -1;
        if (r < 0 && connections(f) == before)
            f->suspicion = engine; /* the way to it did not break */
        f->breaks++;
        if (task_sleep(&task, AGAIN_PAUSE_NS, err) < 0)
            return -1;
    }
}

static void *follow_main(void *arg) {
    struct log_follow *f = arg;
    struct error err = ERROR_NULL;
    bool all = !f->out.continued;
    f->complete = follow(f, &err) == 0 && f->breaks == 0 && all;
    log_file_flush(&f->out, &err);
    uint64_t one = 1;
    ssize_t n = write(f->ended_fd, &one, sizeof one);
    (void)n;
    return NULL;
}

/* ---- beginning and end ---- */

static int start_thread(struct log_follow *f) {
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    int r = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&f->thread, &attr, follow_main, f);
    pthread_attr_destroy(&attr);
    return r;
}

static void follow_free(struct log_follow *f) {
    cancel_deinit(&f->cancel);
    if (f->ended_fd >= 0)
        close(f->ended_fd);
    log_merge_deinit(&f->merge);
    log_reader_deinit(&f->old);
    log_file_deinit(&f->out);
    free(f->container);
    free(f);
}

int log_follow_start(const struct log_source *source, const char *path, struct log_watch watch,
                     struct log_follow **ret, struct error *err) {
    struct log_follow *f = mem_new(struct log_follow);
    f->source = *source;
    f->container = text_dup(source->container);
    f->watch = watch;
    f->began_ns = clock_wall().ns + source->clock_offset_ns + BEGIN_SLACK_NS;
    f->cancel.event_fd = -1;
    f->out = LOG_FILE_NULL;
    f->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = f->ended_fd < 0 ? error_set_os(err, ERROR_IO, errno, "create eventfd") : 0;
    if (r == 0)
        r = cancel_init(&f->cancel, err);
    if (r == 0)
        r = log_file_open(&f->out, path, false, err);
    int no_thread = r == 0 ? start_thread(f) : 0;
    if (no_thread)
        r = error_set_os(err, ERROR_IO, no_thread, "start a thread for logs");
    if (r < 0) {
        follow_free(f);
        return -1;
    }
    *ret = f;
    return 0;
}

void log_follow_end(struct log_follow *f, uint64_t wait_ns, struct log_result *ret) {
    struct error err = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task patient = task_within(&forever, wait_ns);
    if (task_wait(&patient, f->ended_fd, POLLIN, &err) < 0)
        cancel_raise(&f->cancel, 1);
    pthread_join(f->thread, NULL);
    log_result_deinit(ret);
    bool written = log_file_flush(&f->out, &err) == 0 && log_file_is_there(&f->out);
    log_result_of(&f->out, ret);
    ret->breaks = f->breaks;
    ret->complete = f->complete && written;
    follow_free(f);
}
