#include "runner/cloud/pace.h"

#define AGAIN_MAX_NS (20 * NS_PER_SEC)
#define GAP_FIRST_NS (200 * NS_PER_MS)
#define GAP_MAX_NS (10 * NS_PER_SEC)
#define GAP_LEAST_NS (50 * NS_PER_MS)

uint64_t pace_before_ns(const struct pace *pace, struct instant now) {
    uint64_t passed = instant_ns_between(pace->last, now);
    return passed < pace->gap_ns ? pace->gap_ns - passed : 0;
}

void pace_begun(struct pace *pace, struct instant now) {
    pace->last = now;
}

void pace_went_well(struct pace *pace) {
    pace->gap_ns -= pace->gap_ns / 4;
    if (pace->gap_ns < GAP_LEAST_NS)
        pace->gap_ns = 0;
}

void pace_throttled(struct pace *pace) {
    uint64_t wider = pace->gap_ns ? 2 * pace->gap_ns : GAP_FIRST_NS;
    pace->gap_ns = wider < GAP_MAX_NS ? wider : GAP_MAX_NS;
}

/* Half of it is certain: repeating at once helps nobody. */
uint64_t pace_again_ns(unsigned tries, uint64_t first_ns, uint64_t random) {
    uint64_t most = first_ns;
    for (unsigned i = 1; i < tries && most < AGAIN_MAX_NS; i++)
        most *= 2;
    most = most < AGAIN_MAX_NS ? most : AGAIN_MAX_NS;
    return most / 2 + random % (most / 2 + 1);
}
