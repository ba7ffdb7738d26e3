#pragma once

/*
 * A sample of a container as a line of its stats.jsonl, and as a point of its series. Pure.
 *
 * The line has the counters as the engine says them, and rates since the sample before. A counter
 * that went back (the container was started again) has no rate once. What the engine does not say
 * is null.
 */

#include "lib/buffer.h"
#include "runner/engine/stats.h"
#include "runner/report/series.h"

#include <stdint.h>

struct sample {
    struct engine_stats stats; /* its strings are not looked at */
    int64_t read_ns;           /* the engine's clock; 0: it did not say */
    int64_t time_ns;           /* our clock, at that moment */
};

/* `before` NULL: there was none. */
void sample_write(const struct sample *s, const struct sample *before, struct buffer *out);
/* Of runner/report/resources.h. */
void sample_point(const struct sample *s, struct series_point *ret);
