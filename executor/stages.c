#include "executor/stages.h"

#include "lib/clock.h"
#include "lib/metrics.h"

#include <stdio.h>

#define DECADE(ns) (ns), (ns) / 10 * 15, (ns)*2, (ns)*3, (ns)*5, (ns)*7

/* From a microsecond to ten seconds; neighbours are a third to two thirds apart. */
const uint64_t stage_bounds_ns[STAGE_BOUNDS] = {
    DECADE(NS_PER_US),      DECADE(10 * NS_PER_US),  DECADE(100 * NS_PER_US),  DECADE(NS_PER_MS),
    DECADE(10 * NS_PER_MS), DECADE(100 * NS_PER_MS), DECADE(1000 * NS_PER_MS), 10 * NS_PER_SEC,
};

const char *stage_name(enum stage stage) {
    static const char *const names[STAGE_COUNT] = {
        [STAGE_RECEIVE] = "receive", [STAGE_PRE_EXECUTE] = "pre_execute",
        [STAGE_ORDER] = "order",     [STAGE_REPLY] = "reply",
        [STAGE_READ] = "read",       [STAGE_QUEUE] = "queue",
        [STAGE_EXECUTE] = "execute", [STAGE_TREE] = "tree",
        [STAGE_STORE] = "store",     [STAGE_COMMIT] = "commit",
    };
    return names[stage];
}

/* ---- recording ---- */

static size_t bucket_of(uint64_t ns) {
    size_t from = 0, to = STAGE_BOUNDS;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (ns <= stage_bounds_ns[middle])
            to = middle;
        else
            from = middle + 1;
    }
    return from;
}

/* Nobody else writes it, so nothing can come between. */
static void add(atomic_uint_least64_t *word, uint64_t what) {
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + what,
                          memory_order_relaxed);
}

void stages_record(struct stages *stages, enum stage stage, uint64_t ns) {
    if (!stages)
        return;
    add(&stages->of[stage].counts[bucket_of(ns)], 1);
    add(&stages->of[stage].sum_ns, ns);
}

void stopwatch_start(struct stopwatch *w) {
    if (w->stages)
        w->at_ns = clock_instant().ns;
}

uint64_t stopwatch_split(struct stopwatch *w) {
    if (!w || !w->stages)
        return 0;
    uint64_t before_ns = w->at_ns;
    w->at_ns = clock_instant().ns;
    return w->at_ns - before_ns;
}

void stopwatch_lap(struct stopwatch *w, enum stage stage) {
    uint64_t ns = stopwatch_split(w);
    if (w)
        stages_record(w->stages, stage, ns);
}

/* ---- writing ---- */

static void write_times(const struct stage_times *times, const char *name, const char *labels,
                        struct buffer *out) {
    double bounds[STAGE_BOUNDS];
    uint64_t counts[STAGE_BOUNDS + 1];
    for (size_t i = 0; i < STAGE_BOUNDS; i++)
        bounds[i] = (double)stage_bounds_ns[i] / (double)NS_PER_SEC;
    for (size_t i = 0; i <= STAGE_BOUNDS; i++)
        counts[i] = atomic_load_explicit(&times->counts[i], memory_order_relaxed);
    uint64_t sum_ns = atomic_load_explicit(&times->sum_ns, memory_order_relaxed);
    metrics_histogram(out, name, labels, bounds, counts, STAGE_BOUNDS,
                      (double)sum_ns / (double)NS_PER_SEC);
}

void stages_write(const struct stages *stages, struct buffer *out) {
    static const char stage[] = "seatrial_replica_stage_seconds";
    static const char commit[] = "seatrial_replica_commit_seconds";
    metrics_head(out, stage, "histogram", "How long requests were in a stage.");
    for (int i = 0; i < STAGE_COMMIT; i++) {
        char label[64];
        snprintf(label, sizeof label, "stage=\"%s\"", stage_name((enum stage)i));
        write_times(&stages->of[i], stage, label, out);
    }
    metrics_head(out, commit, "histogram",
                 "How long commits took, of up to 16 blocks each, with what the tree writes.");
    write_times(&stages->of[STAGE_COMMIT], commit, NULL, out);
}
