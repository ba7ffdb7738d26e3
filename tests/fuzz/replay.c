/*
 * Replays a fuzzer's corpus: the main of every fuzzer in builds without libFuzzer, so that each
 * input that ever mattered runs in gcc and under every sanitizer. Arguments are folders; a folder
 * that is missing or empty is an error, because a replay of nothing proves nothing.
 */

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int complain(const char *path) {
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    return -1;
}

/* The input lies in an allocation of exactly its size, so that ASan sees the first byte read
 * beyond it. */
static int replay_file(const char *path) {
    cleanup_fclose FILE *file = fopen(path, "rbe");
    struct stat status;
    if (!file || fstat(fileno(file), &status) < 0)
        return complain(path);
    size_t size = (size_t)status.st_size;
    cleanup_free uint8_t *data = mem_alloc(size);
    if (fread(data, 1, size, file) != size)
        return complain(path);
    LLVMFuzzerTestOneInput(data, size);
    return 0;
}

static int is_input(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* Returns the number of inputs, or -1. */
static int replay_folder(const char *folder) {
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_input, alphasort);
    if (count < 0)
        return complain(folder);
    int failures = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        fprintf(stderr, "%s\n", path);
        failures += replay_file(path) < 0;
        free(entries[i]);
    }
    free(entries);
    if (count == 0)
        fprintf(stderr, "replay: %s: no input in this folder\n", folder);
    return failures || count == 0 ? -1 : count;
}

int main(int argc, char **argv) {
    int status = argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count < 0)
            status = EXIT_FAILURE;
        else
            printf("%s: %d inputs\n", argv[i], count);
    }
    return status;
}
