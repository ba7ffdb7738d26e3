/*
 * Whatever stands in output.log, and whatever the engine says now: no crash, no read beyond the
 * file, no record lost of either, and the result is in step with itself: merged again it stays as
 * it is. The input is the file, a line of dashes, and the engine's records.
 */

#include "lib/cleanup.h"
#include "runner/collect/log_file.h"
#include "runner/collect/log_merge.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sides {
    struct log_reader ours;
    uint64_t kept, given, added;
};

static int next(void *arg, struct log_old *ret, struct error *err) {
    struct sides *s = arg;
    struct log_record record;
    int r = log_reader_next(&s->ours, &record, ret, err);
    s->given += r == 0 && record.kind != LOG_GAP;
    return r;
}

static int find(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err) {
    const struct sides *s = arg;
    return log_reader_find(&s->ours, hash, ret_offset, err);
}

static int begins(void *arg, const struct log_old *old, const struct log_record *record,
                  struct error *err) {
    const struct sides *s = arg;
    return log_old_begins(s->ours.fd, s->ours.path, old, record, err);
}

static int keep(void *arg, const struct log_old *old, struct error *err) {
    (void)err;
    struct sides *s = arg;
    s->kept += old->kind != LOG_GAP;
    return 0;
}

static int add(void *arg, const struct log_record *record, bool known, struct error *err) {
    (void)known, (void)err;
    struct sides *s = arg;
    assert(record->kind == LOG_STDOUT || record->kind == LOG_STDERR);
    s->added++;
    return 0;
}

static int gap(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
               struct error *err) {
    (void)arg, (void)behind, (void)first, (void)err;
    assert(from_ns >= 0 && to_ns > 0);
    return 0;
}

static const struct log_merge_calls calls = {next, find, begins, keep, add, gap};

/* Each record of the engine at most once, each of ours either kept or one of them. */
static void merge(int fd, uint64_t file_size, const char *theirs, size_t size) {
    struct error err = ERROR_NULL;
    struct sides s = {.kept = 0};
    cleanup(log_merge_deinit) struct log_merge m;
    uint64_t pushed = 0;
    log_reader_init(&s.ours, fd, "memory", 0, file_size);
    log_merge_init(&m, &calls, &s);
    while (size > 0) {
        const char *newline = memchr(theirs, '\n', size);
        size_t n = newline ? (size_t)(newline - theirs) : size;
        struct log_record record;
        log_record_parse(theirs, n, &record);
        if (record.kind == LOG_STDOUT || record.kind == LOG_STDERR) {
            pushed++;
            assert(log_merge_push(&m, &record, &err) == 0);
        }
        theirs += n + (newline != NULL);
        size -= n + (newline != NULL);
    }
    assert(log_merge_end(&m, &err) >= 0);
    assert(s.added <= pushed);
    assert(s.kept <= s.given && s.kept + s.added >= s.given);
    assert(s.ours.offset == file_size);
    log_reader_deinit(&s.ours);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char separator[] = "---\n";
    const char *text = (const char *)data;
    const char *split = size ? memmem(text, size, separator, strlen(separator)) : NULL;
    size_t file_size = split ? (size_t)(split - text) : size;
    const char *theirs = split ? split + strlen(separator) : text;
    cleanup_close int fd = memfd_create("output.log", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, text, file_size) == (ssize_t)file_size);
    merge(fd, file_size, theirs, size - (size_t)(theirs - text));
    return 0;
}
