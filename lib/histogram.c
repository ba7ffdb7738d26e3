#include "lib/histogram.h"

#include "lib/memory.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How far apart the sub-buckets are around `value`, as a shift. */
static unsigned unit_shift(uint64_t value) {
    return 63U - (unsigned)__builtin_clzll(value | (HISTOGRAM_SUB_COUNT - 1)) -
           (HISTOGRAM_SUB_BITS - 1);
}

/* The reverse of histogram_index: the lowest value that is counted at `index`. */
static uint64_t value_at(size_t index) {
    if (index < HISTOGRAM_SUB_COUNT)
        return index;
    unsigned bucket = (unsigned)(index >> (HISTOGRAM_SUB_BITS - 1)) - 1;
    return (uint64_t)(index - ((size_t)bucket << (HISTOGRAM_SUB_BITS - 1))) << bucket;
}

void histogram_init(struct histogram *h, uint64_t value_max) {
    assert(value_max >= 2 && value_max <= UINT64_C(1) << 62);
    *h = (struct histogram){
        .counts_size = histogram_index(value_max) + 1,
        .value_max = value_max,
        .seen_min = UINT64_MAX,
    };
    h->counts = mem_new_array(uint64_t, h->counts_size);
}

void histogram_deinit(struct histogram *h) {
    free(h->counts);
    *h = HISTOGRAM_NULL;
}

void histogram_clear(struct histogram *h) {
    memset(h->counts, 0, h->counts_size * sizeof *h->counts);
    h->count = h->clamped = h->seen_max = 0;
    h->seen_min = UINT64_MAX;
}

/* Value by value: what is beyond our own array has to be clamped, and that includes everything
 * that `from` had clamped itself. */
static void add_clamping(struct histogram *to, const struct histogram *from) {
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    while (histogram_next(from, &at))
        histogram_record_many(to, at.lowest, at.count);
}

void histogram_add(struct histogram *to, const struct histogram *from) {
    if (from->count == 0)
        return;
    if (from->counts_size > to->counts_size) {
        add_clamping(to, from);
        return;
    }
    for (size_t i = 0; i < from->counts_size; i++)
        to->counts[i] += from->counts[i];
    to->count += from->count;
    to->clamped += from->clamped;
    if (from->seen_min < to->seen_min)
        to->seen_min = from->seen_min;
    if (from->seen_max > to->seen_max)
        to->seen_max = from->seen_max;
}

uint64_t histogram_lowest_equivalent(uint64_t value) {
    unsigned shift = unit_shift(value);
    return value >> shift << shift;
}

uint64_t histogram_highest_equivalent(uint64_t value) {
    return histogram_lowest_equivalent(value) + ((UINT64_C(1) << unit_shift(value)) - 1);
}

uint64_t histogram_median_equivalent(uint64_t value) {
    return histogram_lowest_equivalent(value) + ((UINT64_C(1) << unit_shift(value)) >> 1);
}

uint64_t histogram_min(const struct histogram *h) {
    return h->count ? histogram_lowest_equivalent(h->seen_min) : 0;
}

uint64_t histogram_max(const struct histogram *h) {
    return h->count ? histogram_highest_equivalent(h->seen_max) : 0;
}

double histogram_mean(const struct histogram *h) {
    double sum = 0;
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    while (histogram_next(h, &at))
        sum += (double)histogram_median_equivalent(at.lowest) * (double)at.count;
    return h->count ? sum / (double)h->count : 0;
}

/*
 * The number of records to reach. As HdrHistogram: the percentile is moved down by one unit in the
 * last place, so that what 99.9 cannot express exactly does not ask for one record more.
 */
static uint64_t records_to_reach(const struct histogram *h, double percentile) {
    double below = nextafter(percentile, -1);
    below = below < 0 ? 0 : below > 100 ? 100 : below;
    double reach = ceil(below * (double)h->count / 100.0);
    uint64_t records = (uint64_t)reach;
    return records < 1 ? 1 : records > h->count ? h->count : records;
}

uint64_t histogram_percentile(const struct histogram *h, double percentile) {
    assert(percentile >= 0 && percentile <= 100);
    if (h->count == 0)
        return 0;
    uint64_t reach = records_to_reach(h, percentile);
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    while (histogram_next(h, &at))
        if (at.count_to >= reach)
            return percentile > 0 ? at.highest : at.lowest;
    abort(); /* the counts do not add up to the total */
}

uint64_t histogram_count_to(const struct histogram *h, uint64_t value) {
    if (value >= h->value_max)
        return h->count;
    uint64_t count = 0;
    size_t last = histogram_index(value);
    for (size_t i = 0; i <= last; i++)
        count += h->counts[i];
    return count;
}

bool histogram_next(const struct histogram *h, struct histogram_cursor *at) {
    while (at->next < h->counts_size && h->counts[at->next] == 0)
        at->next++;
    if (at->next == h->counts_size)
        return false;
    at->lowest = value_at(at->next);
    at->highest = histogram_highest_equivalent(at->lowest);
    at->count = h->counts[at->next++];
    at->count_to += at->count;
    return true;
}
