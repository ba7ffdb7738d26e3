#include "loader/retry.h"

#include <assert.h>
#include <math.h>

void retry_init(struct retry *r, const struct retry_config *config) {
    assert(config->min_ns <= config->initial_ns && config->initial_ns <= config->max_ns);
    assert(config->samples_per_evaluation > 0 && config->samples_until_reset > 0);
    *r = (struct retry){.config = *config, .limit_ns = config->initial_ns};
}

static void evaluate(struct retry *r) {
    double deviation = r->samples > 1 ? sqrt(r->squares / (r->samples - 1)) : 0;
    double limit = r->mean + r->config.standard_deviations * deviation;
    r->limit_ns = limit <= (double)r->config.min_ns   ? r->config.min_ns
                  : limit >= (double)r->config.max_ns ? r->config.max_ns
                                                      : (uint64_t)limit;
}

void retry_sample(struct retry *r, uint64_t latency_ns) {
    double before = (double)latency_ns - r->mean;
    r->samples++;
    r->mean += before / r->samples;
    r->squares += before * ((double)latency_ns - r->mean);
    if (r->samples % r->config.samples_per_evaluation == 0)
        evaluate(r);
    if (r->samples >= r->config.samples_until_reset) {
        r->samples = 0;
        r->mean = r->squares = 0;
    }
}

void retry_expired(struct retry *r, uint64_t now_ns) {
    if (now_ns < r->doubled_ns + r->limit_ns)
        return;
    r->doubled_ns = now_ns;
    r->limit_ns = 2 * r->limit_ns < r->config.max_ns ? 2 * r->limit_ns : r->config.max_ns;
}

uint64_t retry_limit_ns(const struct retry *r) {
    return r->limit_ns;
}
