#pragma once

/*
 * Do the replicas agree, and does the chain hold every acknowledged request exactly once? Pure.
 *
 * Each replica says height and digest of its chain (state.json) and the requests in it (a request
 * set); each loader says which requests it saw acknowledged. What was not said is not checked, and
 * that is stated as such; it is never a failure by itself.
 */

#include "lib/json.h"
#include "lib/request_set.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AGREEMENT_DIGEST_MAX = 200, AGREEMENT_REASON_MAX = 256, AGREEMENT_REASONS_MAX = 16 };

struct agreement_replica {
    const char *name;
    bool has_state;
    uint64_t height;
    char digest[AGREEMENT_DIGEST_MAX];
    struct request_set *executed; /* borrowed; NULL: not said */
};

struct agreement {
    bool checked; /* at least two replicas (or the only one) said height and digest */
    bool ok;
    size_t replicas; /* that said so */
    uint64_t height;
    char digest[AGREEMENT_DIGEST_MAX];
    bool requests_checked; /* there were acknowledged and executed sets to compare */
    uint64_t acknowledged_in_chain;
    uint64_t duplicates;
    char reasons[AGREEMENT_REASONS_MAX][AGREEMENT_REASON_MAX]; /* of what is not ok */
    size_t reason_count;
};

/* Reads state.json: {"height": N, "digest": "..."}. Hostile input. */
int agreement_read_state(const char *text, size_t size, struct agreement_replica *ret,
                         struct error *err);

/* `acknowledged`: what each loader said; none: not said. No two of them hold the same request. */
void agreement_check(const struct agreement_replica *replicas, size_t count,
                     struct request_set *const *acknowledged, size_t acknowledged_count,
                     struct agreement *ret);

/* The `agreement` object of summary.json; null where nothing was checked. */
struct json *agreement_json(const struct agreement *a);
