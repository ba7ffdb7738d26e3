/*
 * The program of tests/bench/tree.
 *
 *     bench_tree KEYS ROUNDS
 *
 * Updates 31 random keys at a time in a Merkle tree of so many keys in memory, and makes the same
 * number of hashes with nothing around them; then a write set of seed 000's shape, hashed as blocks
 * do it and one after the other. Prints a line for each: name, ours, the floor or the peer, both
 * medians in microseconds, taken in turns.
 */

#include "executor/chain/tree.h"
#include "executor/chain/pee.h"
#include "executor/chain/write_set.h"

#include "lib/clock.h"
#include "lib/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGES = 31, FILL = 1000, ROUNDS_MAX = 100 * 1000, FORKS_MAX = CHANGES * TREE_DEPTH_MAX };

static uint64_t seed = 88172645463325252ULL;

static uint64_t random_next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double us_since(struct instant begin) {
    return (double)instant_ns_between(begin, clock_instant()) / 1000;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double *times, size_t count, size_t percent) {
    qsort(times, count, sizeof *times, compare);
    return times[count * percent / 100];
}

static void die(const struct error *err) {
    fprintf(stderr, "bench_tree: %s\n", err->text);
    exit(1);
}

static void key_of(uint64_t number, uint8_t out[SHA256_SIZE]) {
    sha256_of(&number, sizeof number, out);
}

static struct tree *filled(uint64_t keys) {
    static uint8_t hashes[FILL][SHA256_SIZE];
    struct error err = ERROR_NULL;
    struct tree *tree = NULL;
    const struct tree_changes changes = {.count = FILL,
                                         .keys = (const uint8_t(*)[SHA256_SIZE])hashes,
                                         .values = (const uint8_t(*)[SHA256_SIZE])hashes};
    if (tree_open(NULL, UINT64_MAX / 2, &tree, &err) < 0)
        die(&err);
    for (uint64_t i = 0; i < keys; i += FILL) {
        for (uint64_t k = 0; k < FILL; k++)
            key_of(i + k, hashes[k]);
        if (tree_update(tree, &changes, NULL, &err) < 0)
            die(&err);
    }
    return tree;
}

static unsigned common_bits(const uint8_t *a, const uint8_t *b) {
    unsigned i = 0;
    while (i < TREE_DEPTH_MAX && !((a[i / 8] ^ b[i / 8]) >> (7 - i % 8) & 1))
        i++;
    return i;
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(a, b, SHA256_SIZE);
}

/* The forks that change with these keys, each counted once. Sorts them. */
static size_t forks_above(struct tree *tree, uint8_t (*keys)[SHA256_SIZE]) {
    struct error err = ERROR_NULL;
    struct tree_proof proof;
    size_t forks = 0;
    qsort(keys, CHANGES, SHA256_SIZE, compare_keys);
    for (size_t i = 0; i < CHANGES; i++) {
        if (tree_prove(tree, keys[i], &proof, &err) < 0)
            die(&err);
        unsigned shared = i ? common_bits(keys[i - 1], keys[i]) + 1 : 0;
        forks += proof.sibling_count > shared ? proof.sibling_count - shared : 0;
    }
    return forks;
}

static void hash_alone(const uint8_t (*values)[SHA256_SIZE], size_t forks) {
    static uint8_t pairs[FORKS_MAX][2 * SHA256_SIZE], digests[FORKS_MAX][SHA256_SIZE];
    static struct tree_leaf leaves[CHANGES];
    struct sha256_input in[CHANGES];
    for (size_t i = 0; i < CHANGES; i++) {
        memcpy(leaves[i].value, values[i], SHA256_SIZE);
        in[i] = (struct sha256_input){&leaves[i], sizeof leaves[i]};
    }
    sha256_many(in, CHANGES, digests);
    sha256_pairs((const uint8_t(*)[2 * SHA256_SIZE]) pairs, forks, digests);
}

static void bench_updates(uint64_t keys, size_t rounds) {
    static uint8_t hashes[CHANGES][SHA256_SIZE], values[CHANGES][SHA256_SIZE];
    struct error err = ERROR_NULL;
    cleanup(tree_freep) struct tree *tree = filled(keys);
    cleanup_free double *ours = mem_new_array(double, rounds);
    cleanup_free double *floor = mem_new_array(double, rounds);
    struct tree_changes changes = {.count = CHANGES,
                                   .keys = (const uint8_t(*)[SHA256_SIZE])hashes,
                                   .values = (const uint8_t(*)[SHA256_SIZE])values};
    for (size_t i = 0; i < rounds; i++) {
        for (size_t k = 0; k < CHANGES; k++)
            key_of(random_next() % keys, hashes[k]);
        memset(values, (int)i, sizeof values);
        changes.height = i;
        struct instant begin = clock_instant();
        if (tree_update(tree, &changes, NULL, &err) < 0)
            die(&err);
        ours[i] = us_since(begin);
        size_t forks = forks_above(tree, hashes);
        begin = clock_instant();
        hash_alone((const uint8_t(*)[SHA256_SIZE])values, forks);
        floor[i] = us_since(begin);
    }
    printf("updates %.1f %.1f\n", percentile(ours, rounds, 50), percentile(floor, rounds, 50));
    printf("bytes-per-key %.0f 0\n", (double)tree_bytes(tree) / (double)keys);
}

static void bench_write_set(size_t rounds) {
    const struct command shape = {
        .client = 1, .number = 1, .key_count = CHANGES, .key_size = 118, .value_size = 2841};
    struct error err = ERROR_NULL;
    size_t size = pee_write_set_size(&shape);
    cleanup_free uint8_t *set = mem_alloc(size);
    cleanup_free double *ours = mem_new_array(double, rounds);
    cleanup_free double *peer = mem_new_array(double, rounds);
    cleanup(write_set_deinit) struct write_set ws;
    uint8_t digests[2 * CHANGES][SHA256_SIZE];
    write_set_init(&ws, CHANGES);
    pee_expand(&shape, set);
    for (size_t i = 0; i < rounds; i++) {
        struct instant begin = clock_instant();
        if (write_set_read(&ws, set, size, &err) < 0)
            die(&err);
        ours[i] = us_since(begin);
        begin = clock_instant();
        sha256_many_plain(ws.inputs, 2 * CHANGES, digests);
        peer[i] = us_since(begin);
    }
    printf("write-set %.1f %.1f\n", percentile(ours, rounds, 50), percentile(peer, rounds, 50));
}

int main(int argc, char **argv) {
    uint64_t keys = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    size_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (keys < FILL || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_tree KEYS ROUNDS\n");
        return 2;
    }
    bench_updates(keys, rounds);
    bench_write_set(rounds);
    return 0;
}
