#pragma once

/*
 * What we have of a container's log (*old* records, from output.log) and what its engine has now
 * (*new* ones) become one: each record once, in the order in which the container wrote them. Either
 * side may lack what the other has: the engine has rotated, or lost what was not yet on a disk; we
 * were not there.
 *
 * Both are parts of one sequence in the same order, and what is equal (time, stream, text) is the
 * same. So when a new record is found among the old ones, all old ones before it are ours alone.
 * Where it is not among them, it is the engine's alone, and its time says before which old one it
 * belongs. Memory is flat: old records are looked at LOG_MERGE_WINDOW at a time; beyond that,
 * `find` looks through the rest of the file, at most LOG_MERGE_FINDS times.
 *
 * Where a record that is ours alone meets one that is the engine's alone, nobody knows what was
 * between them: that is a gap. What it cannot see: lines that the engine lost and we never had,
 * between two that both have.
 *
 * Limits: a clock that was set back exactly where the engine has lost something can put lines of
 *         one side before those of the other, and in the worst case twice. Records of a container
 * whose clock stands still are as good as their texts are different. Pure.
 */

#include "lib/error.h"
#include "runner/collect/log_record.h"

enum {
    LOG_MERGE_WINDOW = 16 << 10, /* old records; 48 bytes each */
    LOG_MERGE_FINDS = 64,        /* so that a hostile engine cannot make us read for ever */
    LOG_MERGE_RELEASED = 4096,   /* of different streams, whose times are a little out of order */
};

/* A record of ours by its place in the file. */
struct log_old {
    uint64_t hash;
    int64_t ns;
    uint64_t offset, size; /* with its newline */
    enum log_kind kind;
    bool perhaps; /* a gap that nothing can fill */
};

enum log_origin { LOG_NOWHERE, LOG_OURS, LOG_THEIRS, LOG_BOTH };

struct log_merge_calls {
    /* The next old record; 1: there is none. */
    int (*next)(void *arg, struct log_old *ret, struct error *err);
    /* Where the first old record with this hash is, of those `next` has not given yet; 1: there is
     * none. */
    int (*find)(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err);
    /* Whether `old` is the beginning of `record`, cut off when we, or the container, were ended. */
    int (*begins)(void *arg, const struct log_old *old, const struct log_record *record,
                  struct error *err);
    /* The result, in its order: a record that is ours alone; one that the engine has, and we too if
     * `known`; a gap before a record of `behind`, which is the engine's first if `first`. */
    int (*keep)(void *arg, const struct log_old *old, struct error *err);
    int (*add)(void *arg, const struct log_record *record, bool known, struct error *err);
    int (*gap)(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
               struct error *err);
};

struct log_merge {
    struct log_merge_calls calls;
    void *arg;
    struct log_old *window; /* a ring */
    size_t first, count, capacity;
    bool old_ended;
    bool in_step;       /* the last new record was an old one, too */
    unsigned finds;     /* left */
    uint64_t *released; /* hashes of what was ours alone by its time; a ring */
    size_t released_count, released_next;
    uint64_t released_age; /* new records since */
    enum log_origin last;
    int64_t last_ns;
    bool theirs_begun; /* the engine has given a record */
    bool pending;      /* a gap of ours, held back until it is known whether it was filled */
    struct log_old gap;
};

void log_merge_init(struct log_merge *m, const struct log_merge_calls *calls, void *arg);
void log_merge_deinit(struct log_merge *m);

/* The engine's next record. */
int log_merge_push(struct log_merge *m, const struct log_record *record, struct error *err);

/* The engine has no more. 1: our last records are not in it; since when is in `m->last_ns`. */
int log_merge_end(struct log_merge *m, struct error *err);

/* Nothing old is left that a record could be: pushing only adds. */
bool log_merge_only_adds(const struct log_merge *m);
