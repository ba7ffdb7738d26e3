#pragma once

/*
 * What a load is made of: the shapes of its requests, how often each comes, and which keys they are
 * for. The letters of the command line (-k -s -v -d -e -p -w) are the shape of all requests; each
 * --shape is one that differs from it:
 *
 *     --shape NAME[,KEY=VALUE...][,read]
 *     --shape small,weight=70,v=100 --shape large,v=100000 --shape look,weight=29,k=5,read
 *
 * KEY is a letter or the long name of its option, or `weight`. With `read-keys` a request reads so
 * many keys before it writes. A request of a shape with `read` is
 * read-only, and has no payload unless it says `d=`. --reads PERCENT makes two such shapes, `write`
 * and `read`, of the letters alone.
 *
 * Pure. Errors: ERROR_USAGE.
 */

#include "lib/error.h"
#include "loader/keys.h"
#include "loader/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shape {
    char name[LOADER_SHAPE_NAME_SIZE]; /* of letters, digits, '-' and '_' */
    uint64_t weight;
    bool read_only;
    uint64_t key_count;  /* that it writes or reads */
    uint64_t read_count; /* that one that writes reads before */
    uint64_t key_size;
    uint64_t value_size; /* 0 of one that reads */
    uint64_t payload_size;
    uint64_t execution_ms;
    uint64_t pre_execute; /* 0 or 1, as is the next */
    uint64_t busy_wait;
};

struct mix {
    struct shape shapes[LOADER_SHAPES_MAX];
    size_t count;       /* at least 1 */
    uint64_t key_space; /* 0: each write has keys of its own */
    struct keys_skew skew;
};

#define MIX_NULL ((struct mix){.count = 0})

/* More than one shape: they are told apart in all that is recorded. */
static inline bool mix_is_mixed(const struct mix *m) {
    return m->count > 1;
}

/* Adds the shape that a --shape says; what it does not say is as in `preset`. */
int mix_add(struct mix *m, const char *text, const struct shape *preset, struct error *err);
/* To a mix without shapes: so many of 100 requests read. */
void mix_add_reads(struct mix *m, const struct shape *preset, uint64_t percent);
/* Whether its parts go together. It has all of them. */
int mix_check(const struct mix *m, struct error *err);
