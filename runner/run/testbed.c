#include "runner/run/testbed.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SSH_SCHEME "ssh://"

/* ---- from the deployment to machines ---- */

/* DOCKER_HOST=ssh://user@host/path names the engine's socket by its path. */
static void split_url(const char *url, char **ret_destination, char **ret_socket) {
    const char *path = strchr(url + strlen(SSH_SCHEME), '/');
    size_t size = path ? (size_t)(path - url) : strlen(url);
    *ret_destination = text_format("%.*s", (int)size, url);
    *ret_socket = path && path[1] ? text_dup(path) : NULL;
}

struct machine {
    struct host_options options;
    char *ssh, *socket; /* what `options` borrows, where it is ours */
};

static void machine_deinit(struct machine *m) {
    free(m->ssh);
    free(m->socket);
}

/* This machine's engine, which an ssh:// address moves to another one. */
static void local_machine(const struct engine_options *engine, const char *name,
                          struct machine *ret) {
    *ret = (struct machine){.options = {.name = name}};
    if (!engine->host || !text_starts(engine->host, SSH_SCHEME)) {
        ret->options.engine = engine->host;
        return;
    }
    split_url(engine->host, &ret->ssh, &ret->socket);
    ret->options.ssh = ret->ssh;
    ret->options.engine = ret->socket;
}

/* ---- opening, a thread for each ---- */

struct opening {
    pthread_mutex_t lock;
    pthread_cond_t some_done;
    const struct task *task;
};

struct opener {
    struct opening *opening;
    struct testbed_host *record;
    struct machine machine;
    pthread_t thread;
    bool wanted, started, done, told;
};

static void *open_main(void *arg) {
    struct opener *o = arg;
    struct host *host = NULL;
    struct error err = ERROR_NULL;
    int r = host_open(&o->machine.options, o->opening->task, &host, &err);
    pthread_mutex_lock(&o->opening->lock);
    if (r < 0)
        o->record->err = err;
    else
        o->record->host = host;
    o->done = true;
    pthread_cond_signal(&o->opening->some_done);
    pthread_mutex_unlock(&o->opening->lock);
    return NULL;
}

static struct opener *next_done(struct opener *openers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (openers[i].done && !openers[i].told)
            return &openers[i];
    return NULL;
}

static void start(struct opener *o, struct opening *opening) {
    o->opening = opening;
    int r = pthread_create(&o->thread, NULL, open_main, o);
    o->started = r == 0;
    if (r == 0)
        return;
    error_set_os(&o->record->err, ERROR_IO, r, "start a thread for host '%s'", o->record->name);
    o->done = true;
}

/* Opens all that are wanted and tells of each as it is done. How many failed. */
static size_t open_all(const struct testbed_options *options, struct opener *openers, size_t count,
                       const struct task *task) {
    struct opening opening = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .some_done = PTHREAD_COND_INITIALIZER, .task = task};
    size_t wanted = 0, failed = 0;
    for (size_t i = 0; i < count; i++)
        if (openers[i].wanted) {
            start(&openers[i], &opening);
            wanted++;
        }
    pthread_mutex_lock(&opening.lock);
    for (size_t told = 0; told < wanted; told++) {
        struct opener *o;
        while (!(o = next_done(openers, count)))
            pthread_cond_wait(&opening.some_done, &opening.lock);
        o->told = true;
        pthread_mutex_unlock(&opening.lock);
        failed += o->record->host == NULL;
        if (options->on_host)
            options->on_host(options->arg, o->record);
        pthread_mutex_lock(&opening.lock);
    }
    pthread_mutex_unlock(&opening.lock);
    for (size_t i = 0; i < count; i++)
        if (openers[i].started)
            pthread_join(openers[i].thread, NULL);
    return failed;
}

/* ---- the whole ---- */

static bool is_wanted(const struct testbed_options *options, const char *name) {
    for (size_t i = 0; options->only && options->only[i]; i++)
        if (text_equal(options->only[i], name))
            return true;
    return !options->only;
}

static void settle(struct testbed_host *record, const struct machine *machine,
                   const struct engine_options *engine) {
    record->engine = (struct engine_options){.call_timeout_ns = engine->call_timeout_ns,
                                             .build_idle_ns = engine->build_idle_ns};
    if (!record->host)
        return;
    if (!machine->options.ssh)
        record->engine = *engine; /* with what else the environment says of it */
    record->engine.host = host_engine(record->host);
}

static int make_records(const struct testbed_options *options, struct testbed *testbed,
                        struct error *err) {
    testbed->hosts = mem_new_array(struct testbed_host, 1);
    testbed->hosts[testbed->count++] =
        (struct testbed_host){.name = text_dup("local"), .address = text_dup("127.0.0.1")};
    for (size_t i = 0; options->only && options->only[i]; i++)
        if (testbed_find(testbed, options->only[i], err) < 0)
            return -1;
    return 0;
}

int testbed_open(const struct testbed_options *options, const struct task *task,
                 struct testbed **ret, struct error *err) {
    cleanup(testbed_closep) struct testbed *testbed = mem_new(struct testbed);
    if (make_records(options, testbed, err) < 0)
        return -1;
    cleanup_free struct opener *openers = mem_new_array(struct opener, testbed->count);
    for (size_t i = 0; i < testbed->count; i++) {
        struct testbed_host *record = &testbed->hosts[i];
        local_machine(&options->engine, record->name, &openers[i].machine);
        record->ssh = text_dup(openers[i].machine.options.ssh);
        openers[i].record = record;
        openers[i].wanted = is_wanted(options, record->name);
    }
    size_t failed = open_all(options, openers, testbed->count, task);
    for (size_t i = 0; i < testbed->count; i++) {
        settle(&testbed->hosts[i], &openers[i].machine, &options->engine);
        machine_deinit(&openers[i].machine);
    }
    if (task_check(task, err) < 0)
        return error_wrap(err, "connect to the hosts");
    *ret = take_ptr(testbed);
    return failed ? 1 : 0;
}

void testbed_close(struct testbed *testbed) {
    for (size_t i = 0; i < testbed->count; i++) {
        if (testbed->hosts[i].host)
            host_close(testbed->hosts[i].host);
        free(testbed->hosts[i].name);
        free(testbed->hosts[i].ssh);
        free(testbed->hosts[i].address);
    }
    free(testbed->hosts);
    free(testbed);
}

long testbed_find(const struct testbed *testbed, const char *name, struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, testbed->count);
    for (size_t i = 0; i < testbed->count; i++) {
        names[i] = testbed->hosts[i].name;
        if (text_equal(names[i], name))
            return (long)i;
    }
    const char *nearest = text_nearest(name, names, testbed->count);
    error_set(err, ERROR_NOT_FOUND, "there is no host '%s'", name);
    return nearest ? error_hint(err, "did you mean '%s'?", nearest)
                   : error_hint(err, "the deployment file lists the hosts under testbed.hosts");
}

int testbed_engine(const struct testbed *testbed, size_t host, const struct task *task,
                   struct engine **ret, struct error *err) {
    const struct testbed_host *h = &testbed->hosts[host];
    if (h->host)
        return engine_open(&h->engine, task, ret, err);
    if (h->err.kind == ERROR_NONE)
        return error_set(err, ERROR_UNREACHABLE, "host '%s' was not connected to", h->name);
    *err = h->err;
    return -1;
}

int testbed_refuse(const struct testbed *testbed, struct error *err) {
    size_t failed = 0;
    for (size_t i = 0; i < testbed->count; i++)
        if (testbed->hosts[i].err.kind != ERROR_NONE && failed++ == 0)
            *err = testbed->hosts[i].err;
    return failed > 1 ? error_wrap(err, "%zu of %zu hosts cannot be used", failed, testbed->count)
                      : -1;
}
