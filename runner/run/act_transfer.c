/*
 * Images on their way to hosts: what a host is missing is streamed from the engine that has it into
 * the host's own, through whatever tunnel leads there. Nothing is kept on the way.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/transfer.h"
#include "runner/run/host_image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20 };
#define SAY_EVERY_NS (500 * NS_PER_MS)
/* Engines write what they save to their disk first: not for all hosts at once. */
#define TURN_PAUSE_NS (50 * NS_PER_MS)

/* One thread saves into a pipe, the lane loads out of it. */
struct stream {
    const struct act *act;
    struct engine *from; /* the saving thread's, while it runs */
    struct task task;
    const char *id;
    int fds[2];
    pthread_t saver;
    struct error saver_err; /* once the pipe has come to its end */
    atomic_bool saved;      /* the same */
    uint64_t bytes;
    int64_t bytes_expected;
    struct instant said;
};

/* ---- the saving thread ---- */

static int push_into_pipe(void *arg, const void *data, size_t size, struct error *err) {
    const struct stream *s = arg;
    const char *at = data;
    while (size > 0) {
        ssize_t n = write(s->fds[1], at, size);
        if (n < 0 && errno == EPIPE)
            return 1; /* the loading side has ended, and knows why */
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "write to a pipe");
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static void *save(void *arg) {
    struct stream *s = arg;
    const char *references[] = {s->id, NULL};
    struct sink sink = {.push = push_into_pipe, .arg = s};
    s->saved = engine_image_save(s->from, references, &sink, &s->task, &s->saver_err) == 0;
    close(s->fds[1]);
    return NULL;
}

/* ---- the loading side ---- */

static void say_progress(struct stream *s) {
    struct instant now = clock_instant();
    if (instant_ns_between(s->said, now) < SAY_EVERY_NS)
        return;
    s->said = now;
    act_say(s->act, "%.1f of about %.1f MB", (double)s->bytes / 1e6,
            (double)s->bytes_expected / 1e6);
}

/* The end of the pipe is that of the image only if the saver says so. */
static ssize_t pull_from_pipe(void *arg, void *data, size_t size, struct error *err) {
    struct stream *s = arg;
    ssize_t n;
    while ((n = read(s->fds[0], data, size)) < 0 && errno == EINTR) {
    }
    if (n < 0)
        return error_set_os(err, ERROR_IO, errno, "read from a pipe");
    if (n == 0 && !s->saved) {
        *err = s->saver_err;
        return host_image_not_ours(err);
    }
    s->bytes += (uint64_t)n;
    say_progress(s);
    return n;
}

static int load(struct stream *s, struct engine_loaded *ret, struct error *err) {
    struct source tar = {.pull = pull_from_pipe, .arg = s};
    int r = pthread_create(&s->saver, NULL, save, s);
    if (r) {
        close(s->fds[1]);
        return error_set_os(err, ERROR_IO, r, "start a thread");
    }
    r = engine_image_load(s->act->engine, &tar, NULL, &s->task, ret, err);
    close(s->fds[0]); /* ends the saver, if it still goes on */
    s->fds[0] = -1;
    pthread_join(s->saver, NULL);
    if (r < 0 && strstr(err->text, "no space left"))
        error_hint(err,
                   "free some space on host '%s': `docker system df` there shows what takes it",
                   host_name(s->act->host));
    return r;
}

static int stream_image(const struct act *act, struct engine *from,
                        const struct engine_image *image, struct engine_loaded *ret,
                        struct error *err) {
    struct stream s = {.act = act,
                       .from = from,
                       .task = act_forward_task(act),
                       .id = image->id,
                       .bytes_expected = image->size_bytes,
                       .said = clock_instant()};
    if (pipe2(s.fds, O_CLOEXEC) < 0)
        return error_set_os(err, ERROR_IO, errno, "make a pipe");
    fcntl(s.fds[0], F_SETPIPE_SZ, PIPE_BYTES);
    int r = load(&s, ret, err);
    if (s.fds[0] >= 0)
        close(s.fds[0]);
    if (r == 0)
        act_say(act, "%.1f MB", (double)s.bytes / 1e6);
    return r;
}

/* ---- the steps ---- */

static int take_loaded(const struct act *act, const struct engine_image *wanted,
                       const struct engine_loaded *loaded, struct error *err) {
    int r = host_image_take(act, wanted, loaded->count ? loaded->references[0] : wanted->id, err);
    if (r == 1)
        return error_set(err, ERROR_FAILED, "what the engine loaded is not image %.19s",
                         wanted->id);
    return r;
}

static int take_turn(struct trial *t, const struct task *task, struct error *err) {
    while (sem_trywait(&t->transfers) < 0)
        if (task_sleep(task, TURN_PAUSE_NS, err) < 0)
            return -1;
    return 0;
}

/* Through a tunnel into the host's own engine. */
static int stream_in_turn(const struct act *act, struct engine *from,
                          const struct engine_image *wanted, struct error *err) {
    struct task task = act_forward_task(act);
    cleanup(engine_loaded_deinit) struct engine_loaded loaded = ENGINE_LOADED_NULL;
    if (take_turn(act->trial, &task, err) < 0)
        return -1;
    int r = stream_image(act, from, wanted, &loaded, err);
    sem_post(&act->trial->transfers);
    return r < 0 ? -1 : take_loaded(act, wanted, &loaded, err);
}

/* `from` has it. */
static int bring(const struct act *act, struct engine *from, const struct engine_image *wanted,
                 struct error *err) {
    int r = host_image_look(act, wanted, err);
    if (r == 0)
        act_say(act, "%s", "has it already");
    if (r == 1)
        r = act_deliver_image(act, from, wanted, err);
    return r == 1 ? stream_in_turn(act, from, wanted, err) : r;
}

int act_transfer_image(struct act *act, struct error *err) {
    cleanup(engine_closep) struct engine *from = NULL;
    cleanup(engine_image_deinit) struct engine_image wanted = ENGINE_IMAGE_NULL;
    if (host_image_wanted(act, &from, &wanted, err) < 0)
        return -1;
    return bring(act, from, &wanted, err);
}

/* From the engine of this machine; 1 when it does not answer, or has it not. By a registry's digest
 * an image comes from that registry alone: nothing else gives it this name. */
static int bring_from_here(const struct act *act, const char *reference, struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_forward_task(act);
    size_t here = t->testbed->count - 1;
    struct error unused = ERROR_NULL;
    cleanup(engine_closep) struct engine *from = NULL;
    cleanup(engine_image_deinit) struct engine_image wanted = ENGINE_IMAGE_NULL;
    if (strchr(reference, '@') || here == act->step->host ||
        testbed_connect_one(t->testbed, here, &task, &unused) < 0 ||
        testbed_engine(t->testbed, here, &task, &from, &unused) < 0)
        return 1;
    int r = engine_image_inspect(from, reference, &task, &wanted, err);
    if (r < 0)
        return host_image_not_ours(err);
    return r == 1 ? 1 : bring(act, from, &wanted, err);
}

static int pull(const struct act *act, const char *reference, struct error *err) {
    if (act_pull_as_it_is(act, reference, err) == 0)
        return 0;
    error_wrap(err, "image '%s' is on no engine of ours, and pulling it failed", reference);
    return error_hint(err, "give the service a `build:`, or see that this machine's engine has it");
}

static int find_there(struct act *act, const char *reference, struct error *err) {
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, reference, &task, &found, err);
    return r == 0 ? act_found_image(act, &found, err) : r;
}

int act_ensure_image(struct act *act, struct error *err) {
    const char *reference = act->trial->plan->images[act->step->subject].reference;
    int r = find_there(act, reference, err);
    if (r != 1)
        return r;
    r = bring_from_here(act, reference, err);
    if (r == 0)
        return find_there(act, reference, err);
    if (r < 0)
        return -1;
    if (pull(act, reference, err) < 0)
        return -1;
    r = find_there(act, reference, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image '%s' was pulled, and is not there",
                         reference);
    return r;
}
