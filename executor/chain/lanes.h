#pragma once

/*
 * Eight 64-bit numbers side by side, as GCC's and clang's vector extension writes them. A function
 * marked LANES_CLONES is compiled for each width of the machines we meet, and the widest that the
 * processor has is taken at start; all give the same bits. Sanitizers run before the choice can be
 * made, so they get the plain one.
 */

#include <stdint.h>

enum { LANES = 8 };

typedef uint64_t lanes __attribute__((vector_size(8 * LANES)));

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "lanes are stored little endian");

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&      \
    !defined(__clang__)
#define LANES_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LANES_CLONES
#endif
