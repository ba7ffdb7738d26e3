/*
 * The part of the benchmark `collect` that is ours: the data folder of a container on each host is
 * fetched side by side, as a trial does it.
 *
 *     bench_collect CONFIG FOLDER CONTAINER PATH HOST...
 *
 * prints the seconds, and this program's peak memory in KiB, connections included.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/files.h"
#include "runner/engine/container.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

struct one {
    const char *folder, *container, *path;
    struct host *host;
    struct error err;
    pthread_t thread;
};

static int open_host(const char *config, const char *name, struct host **ret, struct error *err) {
    struct task task = TASK_FOREVER;
    struct host_options options = {.name = name, .ssh = name, .config_file = config};
    return host_open(&options, &task, ret, err);
}

static int fetch(const struct one *one, struct error *err) {
    struct task task = TASK_FOREVER;
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    struct engine_options options = {.host = host_engine(one->host)};
    cleanup_free char *folder = text_format("%s/%s", one->folder, host_name(one->host));
    cleanup_free char *work = text_format("%s/.fetch-%s", one->folder, host_name(one->host));
    struct files_result result;
    if (engine_open(&options, &task, &engine, err) < 0 ||
        engine_container_inspect(engine, one->container, &task, &state, err) < 0)
        return -1;
    struct files_from from = {.engine = engine,
                              .host = one->host,
                              .container = state.id,
                              .ended = state.finished,
                              .work = work};
    struct files_want want = {.path = one->path, .as = FILES_NAMED, .folder = folder};
    return files_fetch(&from, &want, &task, &result, err);
}

static void *run(void *arg) {
    struct one *one = arg;
    if (fetch(one, &one->err) != 0 && one->err.kind == ERROR_NONE)
        error_set(&one->err, ERROR_NOT_FOUND, "there is no '%s'", one->path);
    return NULL;
}

static void die(const struct error *err) {
    fprintf(stderr, "bench_collect: %s\n", err->text);
    exit(1);
}

int main(int argc, char **argv) {
    if (argc < 6)
        return 2;
    size_t count = (size_t)argc - 5;
    struct error err = ERROR_NULL;
    cleanup_free struct one *ones = mem_new_array(struct one, count);
    for (size_t i = 0; i < count; i++) {
        ones[i] = (struct one){.folder = argv[2], .container = argv[3], .path = argv[4]};
        if (open_host(argv[1], argv[5 + i], &ones[i].host, &err) < 0)
            die(&err);
    }
    struct instant begun = clock_instant();
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&ones[i].thread, NULL, run, &ones[i]) != 0)
            abort();
    for (size_t i = 0; i < count; i++)
        pthread_join(ones[i].thread, NULL);
    uint64_t ns = instant_ns_between(begun, clock_instant());
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    for (size_t i = 0; i < count; i++) {
        if (ones[i].err.kind != ERROR_NONE)
            die(&ones[i].err);
        host_close(ones[i].host);
    }
    printf("%.3f %ld\n", (double)ns / 1e9, usage.ru_maxrss);
    return 0;
}
