#include "lib/sha256_many.h"

#include <string.h>

void sha256_many_plain(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]) {
    for (size_t i = 0; i < count; i++)
        sha256_of(in[i].data, in[i].size, out[i]);
}

static void pairs_plain(const uint8_t (*in)[2 * SHA256_SIZE], size_t count,
                        uint8_t (*out)[SHA256_SIZE]) {
    for (size_t i = 0; i < count; i++)
        sha256_of(in[i], sizeof in[i], out[i]);
}

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

/* As many as the instructions' latency has room for; more would not fit into the registers. */
enum { LANES = 4, BLOCK = 64, LENGTH_SIZE = 8 };

#define SHA_TARGET __attribute__((target("sha,sse4.1,ssse3")))
#define SHA_INLINE SHA_TARGET static inline __attribute__((always_inline))

static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

/* The eight words of the state as the instructions want them: a b e f and c d g h, a and c on top.
 */
struct sha_state {
    __m128i abef, cdgh;
};

SHA_INLINE struct sha_state first_state(void) {
    return (struct sha_state){
        .abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c),
        .cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19),
    };
}

/* Words are big endian in memory. */
SHA_INLINE __m128i swap_bytes(__m128i words) {
    return _mm_shuffle_epi8(words, _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203));
}

SHA_INLINE void put_digest(const struct sha_state *s, uint8_t out[SHA256_SIZE]) {
    __m128i abcd = _mm_shuffle_epi32(_mm_unpackhi_epi64(s->abef, s->cdgh), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_unpacklo_epi64(s->abef, s->cdgh), 0xb1);
    _mm_storeu_si128((__m128i *)(void *)out, swap_bytes(abcd));
    _mm_storeu_si128((__m128i *)(void *)(out + 16), swap_bytes(efgh));
}

/* Four words of the message schedule, from the sixteen before them. */
SHA_INLINE __m128i schedule(__m128i a, __m128i b, __m128i c, __m128i d) {
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)),
                                d);
}

/* One block of each lane. `lanes` is a constant wherever this is inlined. */
SHA_INLINE void one_block(struct sha_state *s, const uint8_t *const *at, size_t lanes) {
    __m128i w[LANES][4];
    struct sha_state before[LANES];
#pragma GCC unroll 4
    for (size_t lane = 0; lane < lanes; lane++) {
        before[lane] = s[lane];
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            w[lane][i] =
                swap_bytes(_mm_loadu_si128((const __m128i *)(const void *)(at[lane] + 16 * i)));
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < 16; i++) {
        __m128i k = _mm_load_si128((const __m128i *)(const void *)(constants + 4 * i));
#pragma GCC unroll 4
        for (size_t lane = 0; lane < lanes; lane++) {
            __m128i *m = w[lane];
            if (i >= 4)
                m[i & 3] = schedule(m[i & 3], m[(i + 1) & 3], m[(i + 2) & 3], m[(i + 3) & 3]);
            __m128i sum = _mm_add_epi32(m[i & 3], k);
            s[lane].cdgh = _mm_sha256rnds2_epu32(s[lane].cdgh, s[lane].abef, sum);
            s[lane].abef =
                _mm_sha256rnds2_epu32(s[lane].abef, s[lane].cdgh, _mm_shuffle_epi32(sum, 0x0e));
        }
    }
#pragma GCC unroll 4
    for (size_t lane = 0; lane < lanes; lane++) {
        s[lane].abef = _mm_add_epi32(s[lane].abef, before[lane].abef);
        s[lane].cdgh = _mm_add_epi32(s[lane].cdgh, before[lane].cdgh);
    }
}

SHA_TARGET static void blocks_of_four(struct sha_state *states, const uint8_t *const *from,
                                      size_t blocks) {
    struct sha_state s[LANES] = {states[0], states[1], states[2], states[3]};
    const uint8_t *at[LANES] = {from[0], from[1], from[2], from[3]};
    for (; blocks > 0; blocks--) {
        one_block(s, at, LANES);
        for (size_t lane = 0; lane < LANES; lane++)
            at[lane] += BLOCK;
    }
    memcpy(states, s, sizeof s);
}

SHA_TARGET static void blocks_of_one(struct sha_state *state, const uint8_t *at, size_t blocks) {
    struct sha_state s = *state;
    for (; blocks > 0; blocks--, at += BLOCK)
        one_block(&s, &at, 1);
    *state = s;
}

/* What a lane works at: first the whole blocks of its input, then the padded end of it. */
struct lane {
    bool busy;
    const uint8_t *at;
    size_t blocks; /* from there on */
    size_t end_blocks;
    uint8_t *out;
    uint8_t end[2 * BLOCK];
};

struct lanes_work {
    const struct sha256_input *next, *end;
    uint8_t (*out)[SHA256_SIZE];
    struct lane lanes[LANES];
    struct sha_state states[LANES];
};

/* False: the input is used up. */
static bool advance(struct lane *lane, size_t blocks) {
    lane->at += blocks * BLOCK;
    lane->blocks -= blocks;
    if (lane->blocks > 0)
        return true;
    lane->at = lane->end;
    lane->blocks = lane->end_blocks;
    lane->end_blocks = 0;
    return lane->blocks > 0;
}

/* Puts the next input into a lane, if there is one. */
SHA_TARGET static void refill(struct lanes_work *work, size_t i) {
    struct lane *lane = &work->lanes[i];
    lane->busy = work->next < work->end;
    if (!lane->busy)
        return;
    const struct sha256_input *in = work->next++;
    size_t rest = in->size % BLOCK;
    uint64_t bits = __builtin_bswap64((uint64_t)in->size * 8);
    lane->out = *work->out++;
    lane->at = in->data;
    lane->blocks = in->size / BLOCK;
    lane->end_blocks = rest + 1 + sizeof bits > BLOCK ? 2 : 1;
    memset(lane->end, 0, sizeof lane->end);
    if (rest)
        memcpy(lane->end, lane->at + in->size - rest, rest);
    lane->end[rest] = 0x80;
    memcpy(lane->end + lane->end_blocks * BLOCK - sizeof bits, &bits, sizeof bits);
    if (lane->blocks == 0)
        advance(lane, 0);
    work->states[i] = first_state();
}

/* As far as the shortest lane goes. Returns whether all lanes are still busy. */
SHA_TARGET static bool run_all(struct lanes_work *work) {
    const uint8_t *at[LANES];
    size_t blocks = SIZE_MAX;
    bool all = true;
    for (size_t i = 0; i < LANES; i++) {
        at[i] = work->lanes[i].at;
        blocks = work->lanes[i].blocks < blocks ? work->lanes[i].blocks : blocks;
    }
    blocks_of_four(work->states, at, blocks);
    for (size_t i = 0; i < LANES; i++) {
        if (advance(&work->lanes[i], blocks))
            continue;
        put_digest(&work->states[i], work->lanes[i].out);
        refill(work, i);
        all = all && work->lanes[i].busy;
    }
    return all;
}

SHA_TARGET static void finish_alone(struct lane *lane, struct sha_state *state) {
    do
        blocks_of_one(state, lane->at, lane->blocks);
    while (advance(lane, lane->blocks));
    put_digest(state, lane->out);
}

SHA_TARGET static void many_fast(const struct sha256_input *in, size_t count,
                                 uint8_t (*out)[SHA256_SIZE]) {
    struct lanes_work work = {.next = in, .end = in + count, .out = out};
    for (size_t i = 0; i < LANES; i++)
        refill(&work, i);
    if (count >= LANES)
        while (run_all(&work))
            ;
    for (size_t i = 0; i < LANES; i++)
        if (work.lanes[i].busy)
            finish_alone(&work.lanes[i], &work.states[i]);
}

/* The second block of every run of 64 bytes: nothing but padding and length. */
static const uint8_t padding_of_pair[BLOCK] = {[0] = 0x80, [62] = 0x02};

SHA_TARGET static void pairs_fast(const uint8_t (*in)[2 * SHA256_SIZE], size_t count,
                                  uint8_t (*out)[SHA256_SIZE]) {
    const uint8_t *const padding[LANES] = {padding_of_pair, padding_of_pair, padding_of_pair,
                                           padding_of_pair};
    size_t i = 0;
    for (; count - i >= LANES; i += LANES) {
        const uint8_t *const at[LANES] = {in[i], in[i + 1], in[i + 2], in[i + 3]};
        struct sha_state s[LANES] = {first_state(), first_state(), first_state(), first_state()};
        one_block(s, at, LANES);
        one_block(s, padding, LANES);
        for (size_t lane = 0; lane < LANES; lane++)
            put_digest(&s[lane], out[i + lane]);
    }
    for (; i < count; i++) {
        const uint8_t *at = in[i];
        struct sha_state s = first_state();
        one_block(&s, &at, 1);
        one_block(&s, padding, 1);
        put_digest(&s, out[i]);
    }
}

/* Leaf 7, EBX, bit 29 of CPUID: the SHA extensions. */
bool sha256_many_is_fast(void) {
    enum { UNKNOWN, NO, YES };
    static int answer; /* the same whoever finds it */
    int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
    if (known == UNKNOWN) {
        unsigned a, b, c, d;
        bool sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b >> 29 & 1);
        known =
            sha && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3") ? YES : NO;
        __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
    }
    return known == YES;
}
#else
static void many_fast(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]) {
    sha256_many_plain(in, count, out);
}
static void pairs_fast(const uint8_t (*in)[2 * SHA256_SIZE], size_t count,
                       uint8_t (*out)[SHA256_SIZE]) {
    pairs_plain(in, count, out);
}
bool sha256_many_is_fast(void) {
    return false;
}
#endif

void sha256_many(const struct sha256_input *in, size_t count, uint8_t (*out)[SHA256_SIZE]) {
    if (count == 0)
        return;
    if (sha256_many_is_fast())
        many_fast(in, count, out);
    else
        sha256_many_plain(in, count, out);
}

void sha256_pairs(const uint8_t (*in)[2 * SHA256_SIZE], size_t count, uint8_t (*out)[SHA256_SIZE]) {
    if (sha256_many_is_fast())
        pairs_fast(in, count, out);
    else
        pairs_plain(in, count, out);
}
