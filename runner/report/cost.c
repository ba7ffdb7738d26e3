#include "runner/report/cost.h"

#include "lib/clock.h"

/* Of the run alone. */
static double run_usd(const struct report_cost *c) {
    return (double)c->per_hour_micros / 1e6 * ((double)c->run_ns / (double)NS_PER_SEC / 3600);
}

static double all_usd(const struct report_cost *c) {
    return (double)c->before_micros / 1e6 + run_usd(c);
}

struct json *report_cost_json(const struct report_cost *c) {
    struct json *o = json_new_object();
    bool known = c->machines > c->unknown;
    json_set_int(o, "machines", (int64_t)c->machines);
    json_set(o, "usd_per_hour",
             known ? json_new_number((double)c->per_hour_micros / 1e6) : json_new_null());
    json_set(o, "usd_of_run", known ? json_new_number(run_usd(c)) : json_new_null());
    json_set(o, "usd_so_far", known ? json_new_number(all_usd(c)) : json_new_null());
    json_set_bool(o, "at_most", c->at_most);
    json_set_int(o, "machines_of_unknown_price", (int64_t)c->unknown);
    json_set_text(o, "left_out", c->left_out);
    return o;
}

void report_cost_text(const struct report_cost *c, struct buffer *out) {
    if (c->machines > c->unknown)
        buffer_format(out,
                      "cost        %s%.3f USD per hour: %.2f USD for this run, %.2f USD since the "
                      "machines were last started\n  without   %s\n",
                      c->at_most ? "at most " : "", (double)c->per_hour_micros / 1e6, run_usd(c),
                      all_usd(c), c->left_out);
    if (c->unknown)
        buffer_format(out, "%s%zu of %zu machines have no known price: %s\n",
                      c->machines > c->unknown ? "  without   " : "cost        ", c->unknown,
                      c->machines, c->unknown_type);
}
