#pragma once

/*
 * Which key of a key space a request is for: all alike, or some of them much more often than
 * others.
 *
 * zipf:THETA is the generator of YCSB: key 0 is the one that is asked for most, and key i
 * about (i + 1)^THETA times less often. A draw takes constant time. Keys 0 and 1 have exactly the
 * probabilities of Zipf's law, the others lie on a curve close to it: for THETA 0.99, key 2 comes
 * 19 % too often, and in all 2 % of the draws go elsewhere. Whoever compares with YCSB has the
 * same.
 *
 * Pure. A draw is a function of a random number that the caller brings.
 * Source: Gray, Sundaresan, Englert, Baclawski, Weinberger: Quickly generating billion-record
 * synthetic databases, SIGMOD '94; Cooper et al.: Benchmarking cloud serving systems with YCSB,
 * SoCC '10.
 */

#include "lib/error.h"

#include <stdint.h>

enum keys_model { KEYS_UNIFORM, KEYS_ZIPF };

struct keys_skew {
    enum keys_model model;
    double theta; /* from 0 up, below 1 */
};

/* "uniform", "zipf:0.99" */
int keys_skew_parse(const char *text, struct keys_skew *ret, struct error *err);

struct keys {
    uint64_t space;
    struct keys_skew skew;
    double zeta; /* of all keys; what follows are the constants of the paper */
    double alpha, eta;
    double second; /* 1 + 2^-THETA: zeta of two keys */
};

/* Of `space` keys, at least 1. Takes a moment that does not depend on how many there are. */
void keys_init(struct keys *k, uint64_t space, const struct keys_skew *skew);
/* For `random` of 64 bits: a key below `space`. */
uint64_t keys_draw(const struct keys *k, uint64_t random);

/* Sum of i^-theta for i from 1 to n. */
double keys_zeta(uint64_t n, double theta);
