#include "executor/chain/pee.h"

#include "executor/chain/lanes.h"
#include "executor/chain/write_set.h"

#include "lib/bytes.h"

static int check_keys(const struct command *c, struct error *err) {
    if (c->key_count > PEE_KEYS_MAX || c->read_count > PEE_KEYS_MAX)
        return error_set(err, ERROR_LIMIT, "%u keys, at most %d",
                         c->key_count > c->read_count ? c->key_count : c->read_count, PEE_KEYS_MAX);
    if (c->key_count == 0 && c->read_count == 0)
        return 0;
    if (c->key_size < PEE_KEY_SIZE_MIN || c->key_size > PEE_KEY_SIZE_MAX)
        return error_set(err, ERROR_LIMIT, "keys of %u bytes, only %d to %d", c->key_size,
                         PEE_KEY_SIZE_MIN, PEE_KEY_SIZE_MAX);
    if (c->key_space > 0 && (c->key_count > c->key_space || c->read_count > c->key_space))
        return error_set(err, ERROR_LIMIT, "%u keys of a key space of %llu",
                         c->key_count > c->read_count ? c->key_count : c->read_count,
                         (unsigned long long)c->key_space);
    return 0;
}

static int check_values(const struct command *c, struct error *err) {
    if (c->value_size > PEE_VALUE_SIZE_MAX)
        return error_set(err, ERROR_LIMIT, "values of %u bytes, at most %d", c->value_size,
                         PEE_VALUE_SIZE_MAX);
    if (pee_write_set_size(c) > PEE_WRITE_SET_MAX)
        return error_set(err, ERROR_LIMIT, "a write set of %zu bytes, at most %d",
                         pee_write_set_size(c), PEE_WRITE_SET_MAX);
    return 0;
}

/* What is read has the size that it was written with, whatever the command says. */
int pee_check(const struct command *c, struct error *err) {
    if (c->execution_ms > PEE_EXECUTION_MS_MAX)
        return error_set(err, ERROR_LIMIT, "execution time of %u ms, at most %d", c->execution_ms,
                         PEE_EXECUTION_MS_MAX);
    if (c->read_only && c->key_space == 0)
        return error_set(err, ERROR_REFUSED, "a read-only request needs a key space");
    if (c->read_count > 0 && (c->key_space == 0 || c->read_only))
        return error_set(err, ERROR_REFUSED, "%s",
                         c->read_only ? "a read-only request reads its keys, and no others before"
                                      : "a request that reads before it writes needs a key space");
    if (check_keys(c, err) < 0)
        return -1;
    return c->read_only || c->key_count == 0 ? 0 : check_values(c, err);
}

size_t pee_write_set_size(const struct command *c) {
    return (size_t)c->key_count * (WRITE_SET_ENTRY_HEAD + (size_t)c->key_size + c->value_size);
}

/* SplitMix64 (Steele, Lea, Flood 2014): its output function is a bijection. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t seed_of(const struct command *c) {
    uint64_t seed = mix(c->client + UINT64_C(0x9e3779b97f4a7c15));
    seed = mix(seed ^ c->number);
    seed = mix(seed + ((uint64_t)c->key_count << 32 | c->key_size));
    seed = mix(seed + c->value_size);
    if (c->key_space == 0)
        return seed;
    return mix(mix(seed + c->key_space) + c->first_key);
}

/* Four words of xoshiro256++ (Blackman, Vigna 2018) for each of the streams, half of which are in a
 * vector. */
struct streams {
    lanes s0[LANES_VECTORS], s1[LANES_VECTORS], s2[LANES_VECTORS], s3[LANES_VECTORS];
};

static struct streams seed_streams(uint64_t seed) {
    struct streams s;
    uint64_t words[4][LANES];
    for (size_t word = 0; word < 4; word++)
        for (size_t lane = 0; lane < LANES; lane++)
            words[word][lane] = mix(seed += UINT64_C(0x9e3779b97f4a7c15));
    memcpy(s.s0, words[0], sizeof s.s0);
    memcpy(s.s1, words[1], sizeof s.s1);
    memcpy(s.s2, words[2], sizeof s.s2);
    memcpy(s.s3, words[3], sizeof s.s3);
    return s;
}

#define ROTATE(x, k) (((x) << (k)) | ((x) >> (64 - (k))))

#define STREAMS_NEXT(s, out)                                                                       \
    do {                                                                                           \
        _Pragma("GCC unroll 2") for (size_t v_ = 0; v_ < LANES_VECTORS; v_++) {                    \
            lanes sum_ = (s).s0[v_] + (s).s3[v_], shifted_ = (s).s1[v_] << 17;                     \
            (out)[v_] = ROTATE(sum_, 23) + (s).s0[v_];                                             \
            (s).s2[v_] ^= (s).s0[v_];                                                              \
            (s).s3[v_] ^= (s).s1[v_];                                                              \
            (s).s1[v_] ^= (s).s2[v_];                                                              \
            (s).s0[v_] ^= (s).s3[v_];                                                              \
            (s).s2[v_] ^= shifted_;                                                                \
            (s).s3[v_] = ROTATE((s).s3[v_], 45);                                                   \
        }                                                                                          \
    } while (0)

/* One function with all loops, so that the streams stay in registers. */
LANES_CLONES
static void expand(const struct streams *from, uint64_t seed, const struct command *c,
                   uint8_t *out) {
    struct streams s = *from;
    lanes next[LANES_VECTORS];
    for (uint32_t i = 0; i < c->key_count; i++) {
        struct byte_writer w = byte_writer(out, WRITE_SET_ENTRY_HEAD + sizeof(uint64_t));
        bytes_put_u32(&w, c->key_size);
        bytes_put_u32(&w, c->value_size);
        out += WRITE_SET_ENTRY_HEAD;
        uint8_t *key = out;
        /* Key and value are one run of bytes. */
        size_t size = (size_t)c->key_size + c->value_size;
        for (; size >= sizeof next; out += sizeof next, size -= sizeof next) {
            STREAMS_NEXT(s, next);
#pragma GCC unroll 2
            for (size_t v = 0; v < LANES_VECTORS; v++)
                memcpy(out + v * sizeof *next, &next[v], sizeof *next);
        }
        STREAMS_NEXT(s, next);
        memcpy(out, next, size);
        out += size;
        uint64_t distinct = mix(seed + i);
        memcpy(key, &distinct, sizeof distinct);
    }
}

/* The number, counted on: it may wrap to the first key, and is far below 2^64. */
static uint64_t key_number(const struct command *c, uint32_t i) {
    uint64_t number = c->first_key + i;
    return number < c->key_space ? number : number - c->key_space;
}

void pee_key(const struct command *c, uint32_t i, uint8_t *out) {
    uint64_t number = key_number(c, i);
    /* A bijection of the number: the first eight bytes make keys distinct. */
    uint64_t word = mix(number + UINT64_C(0x9e3779b97f4a7c15));
    uint64_t state = word;
    for (uint32_t at = 0; at < c->key_size; at += sizeof word) {
        uint32_t left = c->key_size - at;
        memcpy(out + at, &word, left < sizeof word ? left : sizeof word);
        word = mix(state += UINT64_C(0x9e3779b97f4a7c15));
    }
}

/* Over those that the expansion has made. */
static void share_keys(const struct command *c, uint8_t *out) {
    size_t entry_size = WRITE_SET_ENTRY_HEAD + (size_t)c->key_size + c->value_size;
    for (uint32_t i = 0; i < c->key_count; i++)
        pee_key(c, i, out + i * entry_size + WRITE_SET_ENTRY_HEAD);
}

void pee_expand(const struct command *command, uint8_t *out) {
    uint64_t seed = seed_of(command);
    struct streams streams = seed_streams(seed);
    expand(&streams, seed, command, out);
    if (command->key_space > 0)
        share_keys(command, out);
}

uint32_t pee_read_count(const struct command *c) {
    return c->read_only ? c->key_count : c->read_count;
}

uint32_t pee_read_key(const struct command *c, uint32_t i, uint8_t *out) {
    pee_key(c, i, out);
    return c->key_size;
}
