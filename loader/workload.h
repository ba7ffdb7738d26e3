#pragma once

/*
 * What a request looks like. Everything follows from the mix, the seed and (client, number), also
 * which shape a request has and which keys it is for: two loads with one seed send the same bytes.
 * Draws of one kind do not depend on those of another: a second shape changes nobody's keys.
 *
 * Payloads are random, so that no compression on the way or in a store makes them cheaper than real
 * ones, and differ from request to request; but none is made or copied per request. They are
 * windows into one block of random bytes, that lies at a place chosen by (client, number).
 *
 * Clients of a run have ids in a row from `client_base`: the index of this loader among its kind in
 * the bits that say whose they are (lib/wire.h), and below them a number that is random by seed and
 * by that index. So several loaders, or one after the other, against one chain do not take each
 * other's requests for their own. Ids stay below 2^53, which every JSON reader can hold.
 *
 * Pure.
 */

#include "lib/crypto.h"
#include "lib/wire.h"
#include "loader/mix.h"
#include "loader/schedule.h"

#include <stdint.h>

struct workload {
    struct mix mix;
    struct keys keys; /* if there is a key space */
    uint64_t weight;  /* of all shapes */
    uint64_t seed;
    uint64_t client_base;
    uint32_t clients;
    uint8_t (*hashes)[SHA256_SIZE]; /* of payloads, by shape and place; NULL: not needed */
    uint8_t *bytes; /* the largest payload_size of them from any of WORKLOAD_PLACES places on */
};

/* Starts of payloads in the block: a cache line apart, and with a usual payload all in the second
 * level cache. */
enum { WORKLOAD_PLACE_SIZE = 64, WORKLOAD_PLACES = 1024 };

#define WORKLOAD_NULL ((struct workload){.bytes = NULL})

/* The mix was checked. */
void workload_init(struct workload *w, const struct mix *mix, uint64_t seed, uint32_t loader_index,
                   uint32_t clients);
void workload_deinit(struct workload *w);

/* For requests that are authenticated: every payload that there can be is hashed here, so that none
 * is when it is sent. */
void workload_hash_payloads(struct workload *w);
/* NULL without the above; borrowed. */
const uint8_t *workload_payload_hash(const struct workload *w, const struct schedule_entry *entry);

/* The payload is borrowed from the workload, for as long as it lives. */
void workload_request(const struct workload *w, const struct schedule_entry *entry,
                      struct wire_request *ret);

/* Which of the mix's shapes it has. `client` is an index in the pool. */
uint32_t workload_shape(const struct workload *w, uint32_t client, uint64_t number);

/* SplitMix64: a random number for each `x`. */
uint64_t workload_mix(uint64_t x);

/* The client's index in the pool, or -1 if it is none of ours. */
int64_t workload_client_index(const struct workload *w, uint64_t client);
