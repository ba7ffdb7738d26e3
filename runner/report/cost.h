#pragma once

/* What the machines of a run cost, as summary.json and the screen say it. Pure. */

#include "lib/buffer.h"
#include "lib/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Money in millionths of a US dollar. Texts are borrowed. */
struct report_cost {
    size_t machines;          /* that are paid for by the hour */
    int64_t per_hour_micros;  /* of those whose price is known */
    int64_t before_micros;    /* from their last start until the run began */
    int64_t run_ns;           /* what came after */
    bool at_most;             /* spot machines are among them at their price on demand */
    size_t unknown;           /* machines whose price is not known */
    const char *unknown_type; /* the first of them */
    const char *left_out;     /* what else is paid for */
};

struct json *report_cost_json(const struct report_cost *cost);
void report_cost_text(const struct report_cost *cost, struct buffer *out);
