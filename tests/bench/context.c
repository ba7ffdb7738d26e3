/*
 * The program of tests/bench/context: makes the tree, and builds it with our client.
 *
 *     bench_context generate ROOT FILES BYTES    files of random bytes, 100 to a folder
 *     bench_context build HOST ROOT DOCKERFILE TAG
 *     bench_context digest ROOT                  the same without an engine
 */

#include "images/context.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/engine.h"
#include "runner/engine/image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { FILES_MAX = 1000000, FOLDER_FILES = 100, FILE_BYTES_MAX = 16 << 20 };

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Sizes from half to one and a half times the mean; nothing that could be compressed. */
static int generate(const char *root, uint64_t files, uint64_t bytes, struct error *err) {
    uint64_t mean = bytes / files, seed = 88172645463325252ULL;
    if (mean > FILE_BYTES_MAX / 2)
        return error_set(err, ERROR_USAGE, "the files are too large");
    cleanup_free uint64_t *content = mem_zero(FILE_BYTES_MAX, 1);
    for (uint64_t i = 0; i < files; i++) {
        cleanup_free char *folder =
            text_format("%s/d%03llu", root, (unsigned long long)(i / FOLDER_FILES));
        cleanup_free char *path = text_format("%s/f%06llu", folder, (unsigned long long)i);
        uint64_t size = mean / 2 + (mean ? random_next(&seed) % mean : 0);
        for (uint64_t at = 0; at < size / 8 + 1; at++)
            content[at] = random_next(&seed);
        if (i % FOLDER_FILES == 0 && file_make_folders(folder, 0755, err) < 0)
            return -1;
        cleanup_fclose FILE *file = fopen(path, "wxe");
        if (!file || fwrite(content, 1, size, file) != size || fflush(file) != 0)
            return error_set_os(err, ERROR_IO, errno, "write '%s'", path);
    }
    return 0;
}

static int report(const struct context *c, struct error *err) {
    struct context_result result;
    struct rusage usage;
    if (context_result(c, &result, err) < 0)
        return -1;
    getrusage(RUSAGE_SELF, &usage);
    printf("%ld %llu %llu %s\n", usage.ru_maxrss, (unsigned long long)result.files,
           (unsigned long long)result.bytes, result.digest);
    return 0;
}

static int build(const char *host, const char *root, const char *dockerfile, const char *tag,
                 struct error *err) {
    struct task task = TASK_FOREVER;
    struct context_options options = {.root = root, .dockerfile = dockerfile};
    cleanup(context_freep) struct context *c = NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    struct engine_options engine_options = {.host = host};
    if (context_open(&options, &c, err) < 0 ||
        engine_open(&engine_options, &task, &engine, err) < 0)
        return -1;
    struct engine_build request = {.tags = (const char *[]){tag, NULL},
                                   .dockerfile = context_dockerfile(c),
                                   .no_cache = true,
                                   .context = context_source(c)};
    char id[ENGINE_IMAGE_ID_SIZE];
    if (engine_image_build(engine, &request, &task, id, err) < 0)
        return -1;
    return report(c, err);
}

static int digest(const char *root, struct error *err) {
    struct context_options options = {.root = root, .dockerfile = "Dockerfile.one"};
    struct context_result result;
    if (context_digest(&options, &result, err) < 0)
        return -1;
    printf("%s\n", result.digest);
    return 0;
}

static int run(int argc, char **argv, struct error *err) {
    uint64_t files, bytes;
    if (argc == 5 && text_equal(argv[1], "generate")) {
        if (text_to_u64(argv[3], 1, FILES_MAX, &files, err) < 0 ||
            text_to_u64(argv[4], 1, UINT64_MAX, &bytes, err) < 0)
            return -1;
        return generate(argv[2], files, bytes, err);
    }
    if (argc == 6 && text_equal(argv[1], "build"))
        return build(argv[2], argv[3], argv[4], argv[5], err);
    if (argc == 3 && text_equal(argv[1], "digest"))
        return digest(argv[2], err);
    return error_set(err, ERROR_USAGE, "see the head of tests/bench/context.c");
}

int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    if (run(argc, argv, &err) == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "bench_context: %s\n", err.text);
    return error_exit_status(err.kind);
}
