#include "loader/arrivals.h"

#include "loader/workload.h"

#include <assert.h>
#include <math.h>

void arrivals_init(struct arrivals *a, const struct arrivals_config *config, uint32_t thread,
                   uint32_t threads) {
    assert(thread < threads);
    uint32_t loaders = config->loaders ? config->loaders : 1;
    assert(config->loader < loaders);
    *a = (struct arrivals){.config = *config,
                           .first = config->loader + (uint64_t)loaders * thread,
                           .step = (uint64_t)loaders * threads};
}

/* Exponentially distributed with mean 1, by position. */
static double gap(uint64_t seed, uint64_t position) {
    enum { BITS = 53 };
    uint64_t random = workload_mix(workload_mix(seed) + position) >> (64 - BITS);
    return -log(((double)random + 1) / (double)(UINT64_C(1) << BITS)); /* never log(0) */
}

bool arrivals_next(struct arrivals *a, struct arrival *ret) {
    const struct arrivals_config *c = &a->config;
    for (;;) {
        uint64_t position = a->position;
        if (position >= c->requests)
            return false;
        if (c->model == ARRIVAL_POISSON)
            a->requests += gap(c->seed, position);
        else
            a->requests = (double)position;
        a->position++;
        if (position % a->step != a->first)
            continue;
        uint64_t at_ns = rate_time(c->rate, a->requests, &a->phase);
        if (at_ns >= c->end_ns) {
            a->position = c->requests; /* all later ones are later */
            return false;
        }
        *ret = (struct arrival){.position = position, .intended_ns = at_ns};
        return true;
    }
}

uint64_t arrivals_span_ns(const struct arrivals_config *c) {
    size_t phase = 0;
    uint64_t span_ns = rate_end_ns(c->rate);
    uint64_t by_count_ns =
        c->requests == UINT64_MAX ? UINT64_MAX : rate_time(c->rate, (double)c->requests, &phase);
    span_ns = by_count_ns < span_ns ? by_count_ns : span_ns;
    return c->end_ns < span_ns ? c->end_ns : span_ns;
}
