#include "runner/cloud/cost.h"

#include "lib/text.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    SECONDS_MIN = 60,                  /* that AWS counts of a machine at least */
    SECONDS_MAX = 5 * 365 * 24 * 3600, /* so that no sum overflows, whatever answers say */
};

const char cost_left_out[] = "disks, addresses and traffic";

static void add(struct cost *cost, struct price price, const char *region, const char *type,
                size_t count, int64_t seconds) {
    cost->machines += count;
    if (price.micros == PRICE_UNKNOWN) {
        if (cost->unknown == 0)
            snprintf(cost->unknown_type, sizeof cost->unknown_type, "%.30s in %.30s", type, region);
        cost->unknown += count;
        return;
    }
    cost->per_hour_micros += price.micros * (int64_t)count;
    cost->so_far_micros += price.micros / 3600 * seconds + price.micros % 3600 * seconds / 3600;
    cost->at_most = cost->at_most || price.at_most;
}

bool cost_is_paid_for(const struct machine *m) {
    return m->kind == MACHINE_IS_MACHINE && *m->region &&
           (m->state == MACHINE_RUNNING || m->state == MACHINE_PENDING);
}

struct price cost_of_machine(const struct machine *m, const struct prices *prices) {
    return cost_is_paid_for(m) ? prices_find(prices, m->region, m->type, m->spot)
                               : (struct price){.micros = PRICE_UNKNOWN};
}

/* Since when the machine runs; clocks differ, and what is not said is now. */
static int64_t seconds_of(const struct machine *m, int64_t now_s) {
    int64_t seconds = m->launched_s > 0 ? now_s - m->launched_s : 0;
    return seconds < SECONDS_MIN ? SECONDS_MIN : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
}

struct cost cost_of_machines(const struct machines *machines, const struct prices *prices,
                             int64_t now_s) {
    struct cost cost = {.machines = 0};
    for (size_t i = 0; i < machines->count; i++) {
        const struct machine *m = &machines->items[i];
        if (cost_is_paid_for(m))
            add(&cost, cost_of_machine(m, prices), m->region, m->type, 1, seconds_of(m, now_s));
    }
    return cost;
}

static struct price price_of(const struct deployment_fleet *fleet,
                             const struct deployment_region *region, const struct prices *prices) {
    return prices_find(prices, region->name, fleet->instance_type,
                       fleet->market == DEPLOYMENT_MARKET_SPOT);
}

/* What falls back to machines on demand costs as much as those. */
static struct price price_feared(const struct deployment_fleet *fleet,
                                 const struct deployment_region *region,
                                 const struct prices *prices) {
    struct price price = price_of(fleet, region, prices);
    if (!fleet->spot_fallback)
        return price;
    price = prices_find(prices, region->name, fleet->instance_type, false);
    price.at_most = price.micros != PRICE_UNKNOWN;
    return price;
}

struct cost cost_of_deployment(const struct deployment *d, const struct prices *prices) {
    struct cost cost = {.machines = 0};
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t r = 0; r < d->testbed.fleets[f].region_count; r++) {
            const struct deployment_fleet *fleet = &d->testbed.fleets[f];
            const struct deployment_region *region = &fleet->regions[r];
            add(&cost, price_feared(fleet, region, prices), region->name, fleet->instance_type,
                (size_t)region->count, 0);
        }
    return cost;
}

/* ---- written ---- */

static void write_usd(int64_t micros, bool at_most, struct buffer *out) {
    buffer_text(out, at_most ? "at most " : "");
    price_write(micros, out);
    buffer_text(out, " USD");
}

void cost_write(const struct cost *cost, bool so_far, struct buffer *out) {
    if (cost->machines > cost->unknown) {
        write_usd(cost->per_hour_micros, cost->at_most, out);
        buffer_text(out, " per hour");
        if (so_far) {
            buffer_text(out, ", ");
            write_usd((cost->so_far_micros + 5000) / 10000 * 10000, cost->at_most, out);
            buffer_text(out, " since the machines were last started");
        }
        buffer_format(out, ", without %s", cost_left_out);
    }
    if (cost->unknown)
        buffer_format(out,
                      "%swhat %zu of %zu machines cost is not known: the table of prices has no %s",
                      cost->machines > cost->unknown ? "; " : "", cost->unknown, cost->machines,
                      cost->unknown_type);
}

void cost_write_deployment(const struct deployment *d, const struct prices *prices,
                           struct buffer *out) {
    cleanup(buffer_deinit) struct buffer all = BUFFER_NULL;
    struct cost cost = cost_of_deployment(d, prices);
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t r = 0; r < d->testbed.fleets[f].region_count; r++) {
            const struct deployment_fleet *fleet = &d->testbed.fleets[f];
            const struct deployment_region *region = &fleet->regions[r];
            struct price price = price_feared(fleet, region, prices);
            buffer_format(out, "machines of fleet %s: %" PRId64 " of %s in %s, %s, image %s",
                          fleet->name, region->count, fleet->instance_type, region->name,
                          fleet->market == DEPLOYMENT_MARKET_SPOT ? "spot" : "on demand",
                          region->image ? region->image : fleet->image);
            if (price.micros == PRICE_UNKNOWN)
                buffer_text(out, ": their price is not known\n");
            else {
                buffer_text(out, ": ");
                write_usd(price.micros, price.at_most, out);
                buffer_text(out, " per hour each\n");
            }
        }
    buffer_init(&all, 1024);
    cost_write(&cost, false, &all);
    buffer_format(out, "machines cost %s\n", buffer_string(&all));
}
