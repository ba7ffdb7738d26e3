/*
 * Images on their way to hosts: what a host is missing is streamed from the engine that has it into
 * the host's own, through whatever tunnel leads there. Nothing is kept on the way.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/transfer.h"
#include "runner/run/trial.h"

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
        /* It is not the host of this step that was lost. */
        if (err->kind == ERROR_UNREACHABLE)
            err->kind = ERROR_FAILED;
        return error_wrap(err, "the engine that has the image");
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

/* ---- is it the same? ---- */

static const struct json *layers(const struct engine_image *image) {
    return json_find(image->json, "RootFS.Layers");
}

/* Engines may count ids differently (of the configuration, of the manifest): then layer by layer.
 */
static bool same(const struct engine_image *a, const struct engine_image *b) {
    return text_equal(a->id, b->id) ||
           (json_count(layers(a)) > 0 && json_same(layers(a), layers(b)));
}

static void remember(const struct act *act, const struct engine_image *found) {
    struct trial_image *image = trial_image(act->trial, act->step->host, act->step->subject);
    snprintf(image->id, sizeof image->id, "%s", found->id);
    free(image->digest);
    image->digest = text_dup(json_text_or_null(json_at(found->digests, 0)));
}

/* What is there under `name` is the wanted image, gets the plan's reference, and is the host's
 * image from now on. Returns 1 when it is not there, or another one. */
static int take(const struct act *act, const struct engine_image *wanted, const char *name,
                struct error *err) {
    const char *reference = act->trial->plan->images[act->step->subject].reference;
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, name, &task, &found, err);
    if (r != 0)
        return r;
    if (!same(wanted, &found))
        return 1;
    if (!text_equal(name, reference) &&
        engine_image_tag(act->engine, found.id, reference, &task, err) < 0)
        return -1;
    remember(act, &found);
    return 0;
}

/* 0: the host has it already, and now under its name; 1: it has not. */
static int look_there(const struct act *act, const struct engine_image *wanted, struct error *err) {
    int r = take(act, wanted, act->trial->plan->images[act->step->subject].reference, err);
    return r == 1 ? take(act, wanted, wanted->id, err) : r;
}

static int take_loaded(const struct act *act, const struct engine_image *wanted,
                       const struct engine_loaded *loaded, struct error *err) {
    int r = take(act, wanted, loaded->count ? loaded->references[0] : wanted->id, err);
    if (r == 1)
        return error_set(err, ERROR_FAILED, "what the engine loaded is not image %.19s",
                         wanted->id);
    return r;
}

/* ---- the steps ---- */

static int take_turn(struct trial *t, const struct task *task, struct error *err) {
    while (sem_trywait(&t->transfers) < 0)
        if (task_sleep(task, TURN_PAUSE_NS, err) < 0)
            return -1;
    return 0;
}

/* `from` has it under the reference or id `name`; 1 when it has not. */
static int bring(const struct act *act, struct engine *from, const char *name, struct error *err) {
    struct task task = act_forward_task(act);
    struct trial *t = act->trial;
    cleanup(engine_loaded_deinit) struct engine_loaded loaded = ENGINE_LOADED_NULL;
    cleanup(engine_image_deinit) struct engine_image wanted = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(from, name, &task, &wanted, err);
    if (r != 0)
        return r;
    r = look_there(act, &wanted, err);
    if (r == 0)
        act_say(act, "%s", "has it already");
    if (r != 1)
        return r;
    if (take_turn(t, &task, err) < 0)
        return -1;
    r = stream_image(act, from, &wanted, &loaded, err);
    sem_post(&t->transfers);
    return r < 0 ? -1 : take_loaded(act, &wanted, &loaded, err);
}

/* A fault of the other engine is not one of this host's. */
static int not_ours(struct error *err) {
    if (err->kind == ERROR_UNREACHABLE)
        err->kind = ERROR_FAILED;
    return error_wrap(err, "the engine that has the image");
}

int act_transfer_image(struct act *act, struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_forward_task(act);
    const struct trial_image *built = trial_image(t, t->plan->builder, act->step->subject);
    cleanup(engine_closep) struct engine *from = NULL;
    if (testbed_engine(t->testbed, t->plan->builder, &task, &from, err) < 0)
        return not_ours(err);
    int r = bring(act, from, built->id, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image %.19s is not on host '%s' any more",
                         built->id, t->plan->hosts[t->plan->builder].name);
    return r;
}

/* From the engine of this machine; 1 when it does not answer, or has it not. */
static int bring_from_here(const struct act *act, const char *reference, struct error *err) {
    struct trial *t = act->trial;
    struct task task = act_forward_task(act);
    size_t here = t->testbed->count - 1;
    struct error unused = ERROR_NULL;
    cleanup(engine_closep) struct engine *from = NULL;
    if (here == act->step->host || testbed_connect_one(t->testbed, here, &task, &unused) < 0 ||
        testbed_engine(t->testbed, here, &task, &from, &unused) < 0)
        return 1;
    return bring(act, from, reference, err);
}

static int on_pull_event(void *arg, const struct engine_transfer_event *event, struct error *err) {
    (void)err;
    const struct act *act = arg;
    if (event->total > 0)
        act_say(act, "%s %s %.1f of %.1f MB", event->status, event->id, (double)event->done / 1e6,
                (double)event->total / 1e6);
    return 0;
}

static int pull(struct act *act, const char *reference, struct error *err) {
    struct task task = act_forward_task(act);
    char digest[ENGINE_DIGEST_SIZE];
    struct engine_transfer transfer = {.on_event = on_pull_event, .arg = act};
    if (engine_image_pull(act->engine, reference, NULL, &transfer, &task, digest, err) == 0)
        return 0;
    error_wrap(err, "image '%s' is on no engine of ours, and pulling it failed", reference);
    return error_hint(err, "give the service a `build:`, or see that this machine's engine has it");
}

static int find_there(const struct act *act, const char *reference, struct error *err) {
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, reference, &task, &found, err);
    if (r == 0)
        remember(act, &found);
    return r;
}

int act_ensure_image(struct act *act, struct error *err) {
    const char *reference = act->trial->plan->images[act->step->subject].reference;
    int r = find_there(act, reference, err);
    if (r != 1)
        return r;
    r = bring_from_here(act, reference, err);
    if (r != 1)
        return r;
    if (pull(act, reference, err) < 0)
        return -1;
    r = find_there(act, reference, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image '%s' was pulled, and is not there",
                         reference);
    return r;
}
