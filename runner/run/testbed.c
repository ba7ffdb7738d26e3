#include "runner/run/testbed.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/target.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SSH_SCHEME "ssh://"

/* ---- from the deployment to machines ---- */

struct machine {
    struct host_options options;
    char *ssh, *socket; /* what `options` borrows, where it is ours */
};

static void machine_deinit(struct machine *m) {
    free(m->ssh);
    free(m->socket);
}

/* DOCKER_HOST=ssh://user@host/path names the engine's socket by its path. */
static void split_url(const char *url, char **ret_destination, char **ret_socket) {
    const char *path = strchr(url + strlen(SSH_SCHEME), '/');
    size_t size = path ? (size_t)(path - url) : strlen(url);
    *ret_destination = text_format("%.*s", (int)size, url);
    *ret_socket = path && path[1] ? text_dup(path) : NULL;
}

/* This machine's engine, which an ssh:// address moves to another one. */
static struct machine local_machine(const char *name, const struct engine_options *engine) {
    struct machine m = {.options = {.name = name, .engine = engine->host}};
    if (!engine->host || !text_starts(engine->host, SSH_SCHEME))
        return m;
    split_url(engine->host, &m.ssh, &m.socket);
    m.options.ssh = m.ssh;
    m.options.engine = m.socket;
    return m;
}

static struct machine machine_of(const struct testbed *testbed, const struct testbed_host *record) {
    const struct deployment_host *h = record->deployment;
    const struct deployment *d = testbed->deployment;
    if (!h)
        return local_machine(record->name, &testbed->engine);
    return (struct machine){
        .options = {.name = record->name,
                    .ssh = h->ssh,
                    .engine = h->engine,
                    .host_key = h->host_key,
                    .identity_file = d->credentials.ssh_key_path,
                    .unknown_keys = d->testbed.host_keys == DEPLOYMENT_HOST_KEYS_ACCEPT_NEW
                                        ? HOST_UNKNOWN_ACCEPT_NEW
                                        : HOST_UNKNOWN_REFUSE}};
}

/* ---- opening one ---- */

/* How the engine of an open host is reached. */
static void settle(const struct testbed *testbed, struct testbed_host *record) {
    record->engine = (struct engine_options){.call_timeout_ns = testbed->engine.call_timeout_ns,
                                             .build_idle_ns = testbed->engine.build_idle_ns};
    if (!record->ssh)
        record->engine = testbed->engine; /* with what else the environment says of it */
    record->engine.host = host_engine(record->host);
}

static int check_absent(const struct testbed_host *record, struct error *err) {
    const struct deployment_host *h = record->deployment;
    if (!h || !h->absent)
        return 0;
    error_set(err, ERROR_UNREACHABLE, "host '%s': %s", h->name, h->absent);
    return error_hint(err, "`seatrial machines up` makes what is missing and starts what is "
                           "stopped");
}

static int open_host(const struct testbed *testbed, struct testbed_host *record,
                     const struct task *task, struct error *err) {
    cleanup(machine_deinit) struct machine machine = machine_of(testbed, record);
    machine.options.config_file = testbed->ssh_config;
    if (check_absent(record, err) < 0 || host_open(&machine.options, task, &record->host, err) < 0)
        return -1;
    settle(testbed, record);
    return 0;
}

int testbed_connect_one(struct testbed *testbed, size_t host, const struct task *task,
                        struct error *err) {
    struct testbed_host *record = &testbed->hosts[host];
    pthread_mutex_lock(&record->lock);
    int r = record->host ? 0 : open_host(testbed, record, task, err);
    pthread_mutex_unlock(&record->lock);
    return r;
}

void testbed_disconnect_one(struct testbed *testbed, size_t host) {
    struct testbed_host *record = &testbed->hosts[host];
    pthread_mutex_lock(&record->lock);
    host_close(record->host);
    record->host = NULL;
    pthread_mutex_unlock(&record->lock);
}

/* ---- opening, a thread for each ---- */

struct opening {
    struct testbed *testbed;
    pthread_mutex_t lock;
    pthread_cond_t some_done;
    const struct task *task;
};

struct opener {
    struct opening *opening;
    size_t index;
    struct testbed_host *record;
    pthread_t thread;
    bool started, done, told;
};

static void *open_main(void *arg) {
    struct opener *o = arg;
    struct error err = ERROR_NULL;
    testbed_connect_one(o->opening->testbed, o->index, o->opening->task, &err);
    pthread_mutex_lock(&o->opening->lock);
    o->record->err = err;
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

/* Tells of each as it is done, whatever their order. */
static void open_all(struct testbed *testbed, struct opener *openers, size_t count,
                     const struct testbed_watch *watch, const struct task *task) {
    struct opening opening = {.testbed = testbed,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .some_done = PTHREAD_COND_INITIALIZER,
                              .task = task};
    for (size_t i = 0; i < count; i++)
        start(&openers[i], &opening);
    pthread_mutex_lock(&opening.lock);
    for (size_t told = 0; told < count; told++) {
        struct opener *o;
        while (!(o = next_done(openers, count)))
            pthread_cond_wait(&opening.some_done, &opening.lock);
        o->told = true;
        pthread_mutex_unlock(&opening.lock);
        if (watch && watch->on_host)
            watch->on_host(watch->arg, o->record);
        pthread_mutex_lock(&opening.lock);
    }
    pthread_mutex_unlock(&opening.lock);
    for (size_t i = 0; i < count; i++)
        if (openers[i].started)
            pthread_join(openers[i].thread, NULL);
}

size_t testbed_connect(struct testbed *testbed, const bool *wanted,
                       const struct testbed_watch *watch, const struct task *task) {
    cleanup_free struct opener *openers = mem_new_array(struct opener, testbed->count);
    size_t count = 0, failed = 0;
    for (size_t i = 0; i < testbed->count; i++) {
        struct testbed_host *record = &testbed->hosts[i];
        bool runs_containers = record->deployment || testbed->count == 1;
        if (!record->host && (wanted ? wanted[i] : runs_containers))
            openers[count++] = (struct opener){.index = i, .record = record};
    }
    open_all(testbed, openers, count, watch, task);
    for (size_t i = 0; i < count; i++)
        failed += openers[i].record->host == NULL;
    return failed;
}

/* ---- the whole ---- */

static int add_host(struct testbed *testbed, const struct deployment_host *h, struct error *err) {
    cleanup(target_freep) struct target *target = NULL;
    if (target_resolve(h->ssh, testbed->ssh_config, &target, err) < 0)
        return error_wrap(err, "host '%s'", h->name);
    struct testbed_host *record = &testbed->hosts[testbed->count];
    *record = (struct testbed_host){.name = text_dup(h->name),
                                    .deployment = h,
                                    .ssh = text_dup(h->ssh),
                                    .address = text_dup(target->host_name)};
    pthread_mutex_init(&record->lock, NULL);
    testbed->addresses[testbed->count++] = record->address;
    return 0;
}

static void add_local(struct testbed *testbed) {
    struct testbed_host *record = &testbed->hosts[testbed->count++];
    bool builds_only = testbed->count > 1; /* the plan calls it that */
    *record = (struct testbed_host){.name = text_dup(builds_only ? "builder" : "local")};
    pthread_mutex_init(&record->lock, NULL);
    struct machine machine = local_machine(record->name, &testbed->engine);
    record->ssh = text_dup(machine.ssh);
    machine_deinit(&machine);
}

int testbed_new(const struct deployment *deployment, const struct engine_options *engine,
                const char *ssh_config, struct testbed **ret, struct error *err) {
    bool local = deployment->testbed.provider == DEPLOYMENT_LOCAL;
    size_t count = local ? 0 : deployment->testbed.host_count;
    cleanup(testbed_closep) struct testbed *testbed = mem_new(struct testbed);
    testbed->deployment = deployment;
    testbed->engine = *engine;
    testbed->ssh_config = ssh_config;
    testbed->hosts = mem_new_array(struct testbed_host, count + 1);
    testbed->addresses = mem_new_array(const char *, count + 1);
    for (size_t i = 0; i < count; i++)
        if (add_host(testbed, &deployment->testbed.hosts[i], err) < 0)
            return -1;
    add_local(testbed);
    *ret = take_ptr(testbed);
    return 0;
}

static void close_host(struct testbed_host *record) {
    if (record->host)
        host_close(record->host);
    pthread_mutex_destroy(&record->lock);
    free(record->name);
    free(record->ssh);
    free(record->address);
}

void testbed_close(struct testbed *testbed) {
    for (size_t i = 0; i < testbed->count; i++)
        close_host(&testbed->hosts[i]);
    free(testbed->hosts);
    free(testbed->addresses);
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
