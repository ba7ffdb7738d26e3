#include "runner/report/series.h"

#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>

static const double ns_per_s = 1e9;

static bool knows(const struct series_point *p, unsigned value) {
    return p->known >> value & 1;
}

/* `to` takes over the maxima of a point that goes. */
static void keep_gauges(const struct series *s, const struct series_point *from,
                        struct series_point *to) {
    for (unsigned i = 0; i < SERIES_VALUES_MAX; i++) {
        if (!(s->gauges >> i & 1) || !knows(from, i))
            continue;
        if (!knows(to, i) || from->values[i] > to->values[i])
            to->values[i] = from->values[i];
        to->known |= 1U << i;
    }
}

/* The last point stays: what comes next grows from it. */
static void thin(struct series *s) {
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i += 2) {
        struct series_point point = s->points[i];
        keep_gauges(s, &s->points[i - 1], &point);
        s->points[kept++] = point;
    }
    s->count = kept;
    s->stride *= 2;
    s->skipped = 0;
}

void series_add(struct series *s, const struct series_point *point) {
    if (s->count && point->time_ns <= s->points[s->count - 1].time_ns)
        return;
    if (s->stride == 0)
        s->stride = 1;
    if (s->count && ++s->skipped < s->stride) {
        keep_gauges(s, point, &s->points[s->count - 1]);
        return;
    }
    if (s->count == SERIES_POINTS_MAX)
        thin(s);
    mem_grow(s->points, s->count, s->capacity);
    s->points[s->count++] = *point;
    s->skipped = 0;
}

void series_deinit(struct series *s) {
    free(s->points);
    *s = SERIES_NULL;
}

static uint64_t grown(uint64_t before, uint64_t after) {
    return after >= before ? after - before : after;
}

/* From the point before `i` to it. */
struct piece {
    double growth, seconds; /* of the whole piece */
    double share;           /* of it that is in the window */
};

static bool piece_at(const struct series *s, size_t i, unsigned value, struct series_window window,
                     struct piece *ret) {
    const struct series_point *a = &s->points[i - 1], *b = &s->points[i];
    int64_t from = a->time_ns > window.from_ns ? a->time_ns : window.from_ns;
    int64_t to = b->time_ns < window.to_ns ? b->time_ns : window.to_ns;
    if (!knows(a, value) || !knows(b, value) || to <= from)
        return false;
    double whole = (double)((uint64_t)b->time_ns - (uint64_t)a->time_ns);
    *ret = (struct piece){.growth = (double)grown(a->values[value], b->values[value]),
                          .seconds = whole / ns_per_s,
                          .share = (double)((uint64_t)to - (uint64_t)from) / whole};
    return true;
}

bool series_growth(const struct series *s, unsigned value, struct series_window window,
                   double *ret_growth, double *ret_seconds) {
    double growth = 0, seconds = 0;
    bool any = false;
    assert(value < SERIES_VALUES_MAX);
    for (size_t i = 1; i < s->count; i++) {
        struct piece piece;
        if (!piece_at(s, i, value, window, &piece))
            continue;
        growth += piece.growth * piece.share;
        seconds += piece.seconds * piece.share;
        any = true;
    }
    if (any) {
        *ret_growth = growth;
        *ret_seconds = seconds;
    }
    return any;
}

bool series_rate_max(const struct series *s, unsigned value, struct series_window window,
                     double *ret_per_s) {
    double most = -1;
    assert(value < SERIES_VALUES_MAX);
    for (size_t i = 1; i < s->count; i++) {
        struct piece piece;
        if (piece_at(s, i, value, window, &piece) && piece.growth / piece.seconds > most)
            most = piece.growth / piece.seconds;
    }
    if (most < 0)
        return false;
    *ret_per_s = most;
    return true;
}

bool series_max(const struct series *s, unsigned value, struct series_window window,
                uint64_t *ret) {
    uint64_t most = 0;
    bool any = false;
    assert(value < SERIES_VALUES_MAX);
    for (size_t i = 0; i < s->count; i++) {
        const struct series_point *p = &s->points[i];
        if (p->time_ns < window.from_ns || !knows(p, value))
            continue;
        if (p->time_ns > window.to_ns && any)
            break;
        most = p->values[value] > most ? p->values[value] : most;
        any = true;
        if (p->time_ns > window.to_ns)
            break;
    }
    if (any)
        *ret = most;
    return any;
}
