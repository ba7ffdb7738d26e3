/*
 * For tests/bench/logs: follows the logs of containers as a trial does, each into a file of FOLDER,
 * to their ends, and completes them. Prints lines, seconds, and CPU seconds of this process.
 */

#include "runner/collect/logs.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define PATIENCE_NS (600 * NS_PER_SEC)

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int complete(const struct engine_options *options, const char *container, const char *path,
                    struct log_result *result, struct error *err) {
    struct task task = TASK_FOREVER;
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    if (engine_open(options, &task, &engine, err) < 0 ||
        engine_container_inspect(engine, container, &task, &state, err) != 0)
        return -1;
    int r = log_complete(engine, &state, path, &task, result, err);
    for (size_t i = 0; i < result->gap_count; i++) {
        cleanup(buffer_deinit) struct buffer text;
        buffer_init(&text, 256);
        log_gap_append(&text, &result->gaps[i]);
        fprintf(stderr, "%s: %s", container, text.data);
    }
    if (r == 1)
        fprintf(stderr, "%s: log driver '%s' is not readable\n", container, state.log_driver);
    return r;
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fputs("Usage: bench_logs ENGINE FOLDER CONTAINER...\n", stderr);
        return 2;
    }
    struct error err = ERROR_NULL;
    struct engine_options engine = {.host = argv[1]};
    size_t count = (size_t)argc - 3;
    cleanup_free struct log_follow **follows = mem_new_array(struct log_follow *, count);
    struct instant begun = clock_instant();
    uint64_t lines = 0;
    for (size_t i = 0; i < count; i++) {
        struct log_source source = {.engine = engine, .container = argv[3 + i]};
        cleanup_free char *path = text_format("%s/%s.log", argv[2], argv[3 + i]);
        if (log_follow_start(&source, path, (struct log_watch){NULL, NULL}, &follows[i], &err) < 0)
            goto failed;
    }
    for (size_t i = 0; i < count; i++) {
        struct log_result result = LOG_RESULT_NULL;
        cleanup_free char *path = text_format("%s/%s.log", argv[2], argv[3 + i]);
        log_follow_end(follows[i], PATIENCE_NS, &result);
        if (complete(&engine, argv[3 + i], path, &result, &err) < 0)
            goto failed;
        lines += result.lines;
        log_result_deinit(&result);
    }
    printf("%" PRIu64 " %.3f %.3f\n", lines,
           (double)instant_ns_between(begun, clock_instant()) / 1e9, cpu_seconds());
    return EXIT_SUCCESS;
failed:
    fprintf(stderr, "%s\n", err.text);
    return EXIT_FAILURE;
}
