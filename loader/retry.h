#pragma once

/*
 * When a request is sent again, to all replicas: after the time that requests may be expected to
 * take, which follows from those that were answered. Every `samples_per_evaluation` answers the
 * limit becomes their mean plus so many standard deviations, within its bounds; after
 * `samples_until_reset` answers counting begins anew, so that the limit follows a system that
 * changes. Each time that it passes in vain it doubles, up to the largest, until it follows from
 * answers again: where answers take longer than was thought, what is sent again and again to all is
 * what makes them take so long. Pure.
 *
 * Units:  ns.
 * Source: the retry timeouts of Concord's client pool; the mean and the variance are Welford's,
 * Technometrics 4 (1962); backing off: RFC 6298, section 5.5.
 */

#include "lib/clock.h"

#include <stdint.h>

struct retry_config {
    uint64_t initial_ns, min_ns, max_ns; /* min <= initial <= max */
    uint32_t standard_deviations;
    uint32_t samples_per_evaluation; /* from 1 */
    uint32_t samples_until_reset;    /* from 1 */
};

/* Concord's own. */
#define RETRY_CONFIG_DEFAULT                                                                       \
    ((struct retry_config){.initial_ns = 150 * NS_PER_MS,                                          \
                           .min_ns = 50 * NS_PER_MS,                                               \
                           .max_ns = 1000 * NS_PER_MS,                                             \
                           .standard_deviations = 2,                                               \
                           .samples_per_evaluation = 32,                                           \
                           .samples_until_reset = 1000})

struct retry {
    struct retry_config config;
    uint64_t limit_ns;
    uint64_t doubled_ns; /* when it was last */
    uint32_t samples;
    double mean, squares; /* of the samples; sum of squared distances from the mean */
};

void retry_init(struct retry *r, const struct retry_config *config);
/* A request was answered after that time, from when it was first sent. */
void retry_sample(struct retry *r, uint64_t latency_ns);
/* Requests are sent again now. Several that have waited through the same time count once. */
void retry_expired(struct retry *r, uint64_t now_ns);
/* How long to wait now. */
uint64_t retry_limit_ns(const struct retry *r);
