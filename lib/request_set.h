#pragma once

/*
 * A multiset of requests, each named by (client, number): what a loader has seen acknowledged, or
 * what a replica's chain holds. Numbers of one client mostly come in order, so they are kept as
 * ranges: millions of requests cost a few ranges per client. As JSON it is a file of the trial:
 *
 *     {"schema":1,"count":2000,
 *      "clients":[{"client":1,"ranges":[[1,134],[136,200]]}],
 *      "duplicates":[{"client":1,"number":7,"times":2}]}
 *
 * `count` counts with multiplicity; ranges are sorted, disjoint and inclusive; duplicates are the
 * requests that are in the set more than once.
 *
 * Owns everything. Errors: ERROR_LIMIT beyond the maxima below; ERROR_INVALID for a file that does
 * not say what it should (a file may come from an image that we did not make).
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    REQUEST_SET_CLIENTS_MAX = 200 * 1000,     /* numbers.md asks for 100,000 */
    REQUEST_SET_RANGES_MAX = 2 * 1000 * 1000, /* 32 MB at worst, and what JSON_VALUES_MAX reads */
    REQUEST_SET_DUPLICATES_MAX = 1000 * 1000, /* beyond, nobody looks at them any more */
    REQUEST_SET_JSON_SIZE_MAX = 256 * 1024 * 1024, /* what these limits make of JSON */
    REQUEST_CHECK_LISTED_MAX = 8,
};
/* Clients and numbers: what fits into a signed 64-bit integer. */
#define REQUEST_SET_NUMBER_MAX ((uint64_t)INT64_MAX)

struct request_set;

struct request_set *request_set_new(void);
void request_set_free(struct request_set *set);
DEFINE_CLEANUP_FREE(request_set);

int request_set_add(struct request_set *set, uint64_t client, uint64_t number, struct error *err);
/* All of first..last, which must lie behind whatever the set holds of this client (else
 * ERROR_INVALID). */
int request_set_add_range(struct request_set *set, uint64_t client, uint64_t first, uint64_t last,
                          struct error *err);

/* Adds everything in `from`, whose clients must be others (else ERROR_INVALID): as loaders of
 * several threads have them. */
int request_set_merge(struct request_set *to, const struct request_set *from, struct error *err);

/* With multiplicity. */
uint64_t request_set_count(const struct request_set *set);
/* How often it is in the set. */
uint64_t request_set_times(const struct request_set *set, uint64_t client, uint64_t number);

/* Writes the file whole or not at all (a temporary name beside it, then a rename). */
int request_set_save(const struct request_set *set, const char *path, struct error *err);
/* ERROR_NOT_FOUND if there is no such file. Gives a set. */
int request_set_load(const char *path, struct request_set **ret, struct error *err);
void request_set_write(const struct request_set *set, struct buffer *out);
/* Gives a set. */
int request_set_parse(const char *json, size_t size, struct request_set **ret, struct error *err);

struct request_times {
    uint64_t client;
    uint64_t number;
    uint64_t times;
};

struct request_check {
    uint64_t acknowledged;          /* distinct requests */
    uint64_t acknowledged_in_chain; /* of them, executed at least once */
    uint64_t missing;               /* of them, never executed: must be 0 */
    uint64_t executed;              /* distinct requests */
    uint64_t duplicates;            /* of them, executed more than once: must be 0 */
    uint64_t unacknowledged;        /* of them, not acknowledged: timeouts and the like, no fault */

    size_t missing_listed;
    struct request_times missing_first[REQUEST_CHECK_LISTED_MAX]; /* `times` is 0 */
    size_t duplicates_listed;
    struct request_times duplicates_first[REQUEST_CHECK_LISTED_MAX];
};

/* Compares by ranges. The trial is good if neither `missing` nor `duplicates` is above 0. */
void request_set_check(const struct request_set *acknowledged, const struct request_set *executed,
                       struct request_check *ret);
