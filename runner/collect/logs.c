#include "runner/collect/logs.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/log_mark.h"
#include "runner/engine/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    TAIL_MAX_BYTES = 16 << 10,
    /* There is a thread for every container of the trial: hundreds, which the usual 8 MiB each
     * would make gigabytes of address space, and memory where that is limited or locked. */
    STACK_BYTES = 512 << 10,
};

/* A slow container's lines shall be seen by who reads the file meanwhile. */
#define FLUSH_NS (200 * NS_PER_MS)

/* What is asked for again after a break: lines of the two streams may stand a little out of order.
 */
#define OVERLAP_NS (1 * NS_PER_SEC)
#define AGAIN_PAUSE_NS (500 * NS_PER_MS)

struct log_file {
    FILE *file;
    char *path;
    struct instant flushed;
    bool middle; /* the line goes on */
    struct log_mark marks[2];
    struct log_watch watch;
    struct log_result result;
};

struct log_follow {
    struct log_source source;
    char *container;
    struct log_file out;
    struct cancel cancel;
    int ended_fd; /* readable once the thread is through */
    pthread_t thread;
};

static int open_log(struct log_file *out, const char *path, struct error *err) {
    *out = (struct log_file){.file = fopen(path, "we"), .path = text_dup(path)};
    if (!out->file) {
        free(out->path);
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    }
    return 0;
}

static int close_log(struct log_file *out, struct error *err) {
    int r = 0;
    if (fclose(out->file) != 0)
        r = error_set_os(err, ERROR_IO, errno, "write '%s'", out->path);
    free(out->path);
    *out = (struct log_file){.result = out->result};
    return r;
}

static int write_line(void *arg, const struct engine_log_line *line, struct error *err) {
    struct log_file *out = arg;
    if (!log_mark_take(&out->marks[line->stream == ENGINE_STDERR], line->timestamp))
        return 0;
    if (!out->middle)
        fprintf(out->file, "%s %s ", line->timestamp,
                line->stream == ENGINE_STDERR ? "stderr" : "stdout");
    fwrite(line->data, 1, line->size, out->file);
    out->middle = line->partial;
    if (!line->partial) {
        putc('\n', out->file);
        out->result.lines++;
        if (out->watch.on_line)
            out->watch.on_line(out->watch.arg, line->data);
    }
    out->result.bytes += line->size;
    struct instant now = clock_instant();
    if (instant_ns_between(out->flushed, now) > FLUSH_NS) {
        fflush(out->file);
        out->flushed = now;
    }
    if (ferror(out->file))
        return error_set_os(err, ERROR_IO, errno, "write '%s'", out->path);
    return 0;
}

static int follow_once(struct log_follow *f, const struct task *task, struct error *err) {
    struct engine_log_options options = {.follow = true,
                                         .timestamps = true,
                                         .tty = f->source.tty,
                                         .since_ns = log_marks_since(f->out.marks, OVERLAP_NS)};
    cleanup(engine_closep) struct engine *engine = NULL;
    if (engine_open(&f->source.engine, task, &engine, err) < 0)
        return -1;
    return engine_container_logs(engine, f->container, &options, write_line, &f->out, task, err);
}

static int follow(struct log_follow *f, struct error *err) {
    struct task task = {.cancel = &f->cancel, .deadline = INSTANT_NEVER};
    while (follow_once(f, &task, err) < 0) {
        if (err->kind != ERROR_UNREACHABLE || !f->source.await)
            return -1;
        error_clear(err);
        if (f->source.await(f->source.arg, &task, err) < 0 ||
            task_sleep(&task, AGAIN_PAUSE_NS, err) < 0)
            return -1;
        f->out.result.breaks++;
        log_marks_again(f->out.marks);
    }
    return 0;
}

static void *follow_main(void *arg) {
    struct log_follow *f = arg;
    struct error err = ERROR_NULL;
    f->out.result.complete = follow(f, &err) == 0 && f->out.result.breaks == 0;
    fflush(f->out.file);
    uint64_t one = 1;
    ssize_t n = write(f->ended_fd, &one, sizeof one);
    (void)n;
    return NULL;
}

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
    free(f->container);
    free(f);
}

int log_follow_start(const struct log_source *source, const char *path, struct log_watch watch,
                     struct log_follow **ret, struct error *err) {
    struct log_follow *f = mem_new(struct log_follow);
    f->source = *source;
    f->container = text_dup(source->container);
    f->cancel.event_fd = -1;
    f->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (f->ended_fd < 0 || cancel_init(&f->cancel, err) < 0 || open_log(&f->out, path, err) < 0) {
        if (f->ended_fd < 0)
            error_set_os(err, ERROR_IO, errno, "create eventfd");
        follow_free(f);
        return -1;
    }
    f->out.watch = watch;
    int r = start_thread(f);
    if (r) {
        struct error ignored = ERROR_NULL;
        close_log(&f->out, &ignored);
        follow_free(f);
        return error_set_os(err, ERROR_IO, r, "start a thread for logs");
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
    bool written = close_log(&f->out, &err) == 0;
    *ret = f->out.result;
    ret->complete = ret->complete && written;
    follow_free(f);
}

int log_fetch(struct engine *engine, const char *container, bool tty, const char *path,
              const struct task *task, struct log_result *ret, struct error *err) {
    struct log_file out;
    struct engine_log_options options = {.timestamps = true, .tty = tty};
    cleanup_free char *beside = text_format("%s.again", path);
    if (open_log(&out, beside, err) < 0)
        return -1;
    int r = engine_container_logs(engine, container, &options, write_line, &out, task, err);
    struct error closing = ERROR_NULL;
    if (close_log(&out, &closing) < 0 && r >= 0) {
        *err = closing;
        r = -1;
    }
    if (r >= 0 && rename(beside, path) < 0)
        r = error_set_os(err, ERROR_IO, errno, "replace '%s'", path);
    if (r < 0) {
        unlink(beside); /* what was followed is better than half of it */
        return -1;
    }
    *ret = out.result;
    ret->complete = true;
    return 0;
}

static int add_line(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)err;
    struct buffer *text = arg;
    buffer_append(text, line->data, line->size);
    if (!line->partial)
        buffer_text(text, "\n");
    return 0;
}

char *log_tail(struct engine *engine, const char *container, bool tty, int count,
               const struct task *task) {
    struct error ignored = ERROR_NULL; /* what we were doing before has its own error */
    struct buffer text;
    buffer_init(&text, TAIL_MAX_BYTES);
    struct engine_log_options options = {.tail = count, .tty = tty};
    engine_container_logs(engine, container, &options, add_line, &text, task, &ignored);
    return buffer_take(&text);
}
