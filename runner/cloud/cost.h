#pragma once

/*
 * What machines cost, and have cost. Only machines are counted, from the time at which EC2 last
 * started them, a minute at least; those that are stopped or have ended cost nothing any more.
 * Disks, addresses and traffic are paid for as well, and so is what a machine ran before it was
 * last stopped: none of them is in it, and cost_write says so. Pure.
 *
 * Units: millionths of a US dollar.
 */

#include "lib/buffer.h"
#include "runner/cloud/machine.h"
#include "runner/cloud/prices.h"

struct cost {
    size_t machines; /* that cost something, those without a price too */
    int64_t per_hour_micros, so_far_micros;
    bool at_most;          /* spot machines are among it at their price on demand */
    size_t unknown;        /* machines that are not in the sums */
    char unknown_type[64]; /* "x9.large in us-east-2": the first of them; "" none */
};

/* Those of `machines` that run at `now_s` (seconds since 1970). */
struct cost cost_of_machines(const struct machines *machines, const struct prices *prices,
                             int64_t now_s);
/* Of all machines of the deployment's fleets, if they ran. */
struct cost cost_of_deployment(const struct deployment *deployment, const struct prices *prices);
/* It costs something now: it runs, or is about to. */
bool cost_is_paid_for(const struct machine *machine);
/* One of them; unknown also for those that cost nothing. */
struct price cost_of_machine(const struct machine *machine, const struct prices *prices);

/* "2.836 USD per hour, 5.67 USD since they were last started, without disks, ..."; a sentence. */
void cost_write(const struct cost *cost, bool so_far, struct buffer *out);
/* What the sums leave out; constant. */
extern const char cost_left_out[];

/* A line for each fleet and region, and one for all: for `seatrial plan`. */
void cost_write_deployment(const struct deployment *deployment, const struct prices *prices,
                           struct buffer *out);
