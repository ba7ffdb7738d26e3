#pragma once

/*
 * Eight 64-bit numbers side by side, as two vectors of GCC's and clang's extension: one of all
 * eight would be taken apart through memory where registers are narrower, which takes eight times
 * as long. A function marked LANES_CLONES is compiled for each kind of machine that we meet, and
 * the best one for the processor is taken at start; all give the same bits. Sanitizers run before
 * the choice can be made, so they get the plain one.
 */

#include <stdint.h>

enum { LANES = 8, LANES_VECTORS = 2 };

typedef uint64_t lanes __attribute__((vector_size(8 * LANES / LANES_VECTORS)));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are stored little endian");

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&      \
    !defined(__clang__)
#define LANES_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LANES_CLONES
#endif
