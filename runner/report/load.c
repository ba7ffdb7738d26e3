#include "runner/report/load.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- what one loader said ---- */

static double number_or(const struct json *load, const char *path, double fallback) {
    struct error ignored = ERROR_NULL;
    double value = fallback;
    return json_get_number(load, path, fallback, &value, &ignored) < 0 ? fallback : value;
}

static int64_t int_or(const struct json *load, const char *path, int64_t fallback) {
    struct error ignored = ERROR_NULL;
    int64_t value = fallback;
    return json_get_int(load, path, fallback, &value, &ignored) < 0 ? fallback : value;
}

static bool has(const struct json *load, const char *path) {
    const struct json *found = json_find(load, path);
    return found && !json_is_nothing(found);
}

/* What hostile numbers have added up to may be none. */
static void set_finite(struct json *into, const char *key, double value) {
    json_set(into, key, isfinite(value) ? json_new_number(value) : json_new_null());
}

/* Seconds since the earliest start, by our clock. */
struct span {
    double start, seconds, from, to;
    double acknowledged; /* in the window */
};

/* Its time 0 by our clock; 0: it did not say, or it cannot be. */
static int64_t started_ns(const struct report_loader *l) {
    int64_t started = int_or(l->load, "started_ns", 0), ours;
    if (started <= 0 || __builtin_sub_overflow(started, l->clock_offset_ns, &ours))
        return 0;
    return ours > 0 ? ours : 0;
}

static struct span span_of(const struct report_loader *l, int64_t base_ns) {
    int64_t start_ns = started_ns(l);
    struct span s = {.start = start_ns ? (double)(start_ns - base_ns) / (double)NS_PER_SEC : 0};
    s.seconds = fmax(number_or(l->load, "seconds", 0), 0);
    double from = number_or(l->load, "window.from_s", 0);
    double to = number_or(l->load, "window.to_s", s.seconds);
    double guess = has(l->load, "throughput_per_s")
                       ? round(number_or(l->load, "throughput_per_s", 0) * (to - from))
                       : number_or(l->load, "requests.acknowledged", 0);
    s.acknowledged = fmax(number_or(l->load, "window.acknowledged", guess), 0);
    s.from = s.start + from;
    s.to = s.start + to;
    return s;
}

/* ---- over all that reported ---- */

static const struct report_loader *next_reported(const struct report_loads *loads, size_t *at) {
    while (*at < loads->count)
        if (loads->loaders[(*at)++].load)
            return &loads->loaders[*at - 1];
    return NULL;
}

#define EACH_REPORTED(loads, l)                                                                    \
    size_t at_ = 0;                                                                                \
    for (const struct report_loader *l; (l = next_reported(loads, &at_));)

static int64_t earliest_ns(const struct report_loads *loads) {
    int64_t earliest = 0;
    EACH_REPORTED(loads, l) {
        int64_t start = started_ns(l);
        if (start && (!earliest || start < earliest))
            earliest = start;
    }
    return earliest;
}

/* What all say alike; else "mixed". Left out where somebody says nothing. */
static void set_alike(const struct report_loads *loads, const char *key, struct json *into) {
    const char *first = NULL;
    EACH_REPORTED(loads, l) {
        const char *own = json_text_or_null(json_member(l->load, key));
        if (!own)
            return;
        first = !first || text_equal(first, own) ? own : "mixed";
    }
    json_set_text(into, key, first);
}

/* null, or left out, where somebody has none. */
static void set_sum(const struct report_loads *loads, const char *key, bool or_null,
                    struct json *into) {
    double sum = 0;
    EACH_REPORTED(loads, l) {
        if (!has(l->load, key)) {
            if (or_null)
                json_set(into, key, json_new_null());
            return;
        }
        sum += number_or(l->load, key, 0);
    }
    set_finite(into, key, sum);
}

/* Whatever a load may name: our loader has 8 at most. */
enum { SHAPES_MAX = 64 };

/* What a loader says of a shape of requests; of all of them for NULL. */
static const struct json *part_of(const struct json *load, const char *shape) {
    const struct json *shapes = json_member(load, "shapes");
    if (!shape)
        return load;
    for (size_t i = 0; json_is_array(shapes) && i < json_count(shapes); i++) {
        const struct json *one = json_at(shapes, i);
        const char *name = json_is_object(one) ? json_text_or_null(json_member(one, "name")) : NULL;
        if (name && text_equal(name, shape))
            return one;
    }
    return NULL;
}

/* Counts are whole, and saturate. */
static void set_requests(const struct report_loads *loads, const char *shape, struct json *into) {
    static const char *const keys[] = {"intended", "sent",   "acknowledged", "timed_out",
                                       "unsent",   "failed", "overloaded",   "ordered_reads"};
    struct json *requests = json_set_object(into, "requests");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char path[32];
        int64_t sum = 0;
        bool any = false;
        snprintf(path, sizeof path, "requests.%s", keys[i]);
        EACH_REPORTED(loads, l) {
            const struct json *part = part_of(l->load, shape);
            int64_t own = int_or(part, path, 0);
            any = any || has(part, path);
            if (own > 0 && __builtin_add_overflow(sum, own, &sum))
                sum = INT64_MAX;
        }
        if (any)
            json_set_int(requests, keys[i], sum);
    }
}

static void set_window(const struct report_loads *loads, int64_t base_ns, struct json *into) {
    double seconds = 0, from = (double)INFINITY, to = 0, acknowledged = 0;
    EACH_REPORTED(loads, l) {
        struct span s = span_of(l, base_ns);
        seconds = fmax(seconds, s.start + s.seconds);
        from = fmin(from, s.from);
        to = fmax(to, s.to);
        acknowledged += s.acknowledged;
    }
    set_finite(into, "seconds", seconds);
    struct json *window = json_set_object(into, "window");
    set_finite(window, "from_s", from);
    set_finite(window, "to_s", to);
    set_finite(into, "throughput_per_s", to > from ? acknowledged / (to - from) : 0);
}

/* ---- latencies ---- */

static void set_latency(struct json *into, const char *key, const struct histogram *h, bool known) {
    static const struct {
        const char *key;
        double percentile;
    } rows[] = {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p999", 99.9}, {"p9999", 99.99}};
    struct json *object = json_set_object(into, key);
    known = known && h && h->count > 0;
    json_set(object, "min", known ? json_new_int((int64_t)histogram_min(h)) : json_new_null());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_set(object, rows[i].key,
                 known ? json_new_int((int64_t)histogram_percentile(h, rows[i].percentile))
                       : json_new_null());
    json_set(object, "max", known ? json_new_int((int64_t)histogram_max(h)) : json_new_null());
    json_set(object, "mean", known ? json_new_number(histogram_mean(h)) : json_new_null());
}

static void set_latencies(const struct report_loads *loads, struct json *into) {
    bool latency = true, from_send = true;
    EACH_REPORTED(loads, l) {
        latency = latency && l->has_latency;
        from_send = from_send && l->has_from_send;
    }
    set_latency(into, "latency_ns", loads->latency, latency);
    set_latency(into, "latency_from_send_ns", loads->from_send, from_send);
}

/* ---- shapes ---- */

/* Those of the first loader, if all others have them, and no more. NULL: there are none. */
static const struct json *shapes_of_all(const struct report_loads *loads) {
    const struct json *first = NULL;
    EACH_REPORTED(loads, l) {
        const struct json *own = json_member(l->load, "shapes");
        first = first ? first : own;
        if (!json_is_array(own) || json_count(own) != json_count(first) ||
            json_count(own) > SHAPES_MAX)
            return NULL;
        for (size_t i = 0; i < json_count(first); i++) {
            const struct json *one = json_at(first, i);
            const char *name =
                json_is_object(one) ? json_text_or_null(json_member(one, "name")) : NULL;
            if (!name || !part_of(l->load, name))
                return NULL;
        }
    }
    return first;
}

static void set_shape_throughput(const struct report_loads *loads, const char *shape,
                                 double seconds, struct json *into) {
    double sum = 0;
    bool all = seconds > 0;
    EACH_REPORTED(loads, l) {
        const struct json *part = part_of(l->load, shape);
        all = all && has(part, "window_acknowledged");
        sum += fmax(number_or(part, "window_acknowledged", 0), 0);
    }
    set_finite(into, "throughput_per_s", all ? sum / seconds : (double)NAN);
}

static void set_shape_latencies(const struct report_loads *loads, const char *shape,
                                struct json *into) {
    const struct report_shape none = {.name = shape}, *found = &none;
    bool latency = true, from_send = true;
    for (size_t i = 0; i < loads->shapes_count; i++)
        if (text_equal(loads->shapes[i].name, shape))
            found = &loads->shapes[i];
    EACH_REPORTED(loads, l) {
        latency = latency && l->has_latency;
        from_send = from_send && l->has_from_send;
    }
    set_latency(into, "latency_ns", found->latency, latency);
    set_latency(into, "latency_from_send_ns", found->from_send, from_send);
}

/* After the window of the whole. */
static void set_shapes(const struct report_loads *loads, struct json *into) {
    const struct json *shapes = shapes_of_all(loads);
    double seconds = number_or(into, "window.to_s", 0) - number_or(into, "window.from_s", 0);
    if (!shapes)
        return;
    struct json *list = json_set_array(into, "shapes");
    for (size_t i = 0; i < json_count(shapes); i++) {
        static const char *const copied[] = {"name", "weight", "reads"};
        const struct json *one = json_at(shapes, i);
        struct json *object = json_append(list, json_new_object());
        const char *name = json_text_or_null(json_member(one, "name"));
        for (size_t k = 0; k < sizeof copied / sizeof *copied; k++)
            if (json_member(one, copied[k]))
                json_set(object, copied[k], json_copy_deep(json_member(one, copied[k])));
        set_requests(loads, name, object);
        set_shape_throughput(loads, name, seconds, object);
        set_shape_latencies(loads, name, object);
    }
}

/* Of open loops, whose loaders all say how well they kept the schedule. */
static void set_sending(const struct report_loads *loads, struct json *into) {
    bool generated = true;
    EACH_REPORTED(loads, l) {
        struct error ignored = ERROR_NULL;
        bool own = false;
        if (json_require_bool(l->load, "generated", &own, &ignored) < 0)
            return;
        generated = generated && own;
    }
    json_set_bool(into, "generated", generated);
    set_sum(loads, "sent_per_s", false, into);
    const struct histogram *h = loads->lateness;
    if (!h || h->count == 0)
        return;
    struct json *lateness = json_set_object(into, "lateness_ns");
    json_set_int(lateness, "p50", (int64_t)histogram_percentile(h, 50));
    json_set_int(lateness, "p99", (int64_t)histogram_percentile(h, 99));
    json_set_int(lateness, "max", (int64_t)histogram_max(h));
}

/* ---- who, and when ---- */

/* Actual ones: time 0, and how long after it the last thread was awake. */
static void set_starts(const struct report_loads *loads, struct json *into) {
    int64_t first = 0, last = 0;
    uint64_t uncertain = 0;
    bool all = true;
    EACH_REPORTED(loads, l) {
        int64_t start = started_ns(l);
        int64_t late = int_or(l->load, "share.begun_late_ns", 0);
        all = all && start && late >= 0 && late < INT64_MAX - start;
        if (!all)
            break;
        first = !first || start + late < first ? start + late : first;
        last = start + late > last ? start + late : last;
        uncertain = l->clock_uncertain_ns > uncertain ? l->clock_uncertain_ns : uncertain;
    }
    struct json *start = json_set_object(into, "start");
    json_set(start, "agreed_ns",
             loads->agreed_ns ? json_new_int(loads->agreed_ns) : json_new_null());
    json_set(start, "spread_ns", all ? json_new_int(last - first) : json_new_null());
    json_set_int(start, "clock_uncertain_ns", (int64_t)uncertain);
}

static void set_loaders(const struct report_loads *loads, struct json *into) {
    struct json *list = json_set_array(into, "loaders");
    for (size_t i = 0; i < loads->count; i++) {
        static const char *const copied[] = {"started_ns", "seconds",          "share",
                                             "requests",   "throughput_per_s", "latency_ns",
                                             "generated"};
        const struct report_loader *l = &loads->loaders[i];
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "name", l->name);
        json_set_text(object, "host", l->host);
        json_set(object, "exit_code", l->ended ? json_new_int(l->exit_code) : json_new_null());
        json_set_bool(object, "reported", l->load != NULL);
        for (size_t k = 0; l->load && k < sizeof copied / sizeof *copied; k++)
            if (json_member(l->load, copied[k]))
                json_set(object, copied[k], json_copy_deep(json_member(l->load, copied[k])));
    }
}

/* ---- the whole ---- */

struct json *report_merge_loads(const struct report_loads *loads) {
    size_t at = 0;
    const struct report_loader *first = next_reported(loads, &at);
    if (!first)
        return NULL;
    if (loads->count == 1)
        return json_copy_deep(first->load);
    struct json *load = json_new_object();
    int64_t base_ns = earliest_ns(loads);
    set_alike(loads, "model", load);
    set_alike(loads, "arrival", load);
    set_alike(loads, "protocol", load);
    set_sum(loads, "asked_per_s", true, load);
    set_sum(loads, "cpu_seconds", false, load);
    if (base_ns)
        json_set_int(load, "started_ns", base_ns);
    set_window(loads, base_ns, load);
    set_requests(loads, NULL, load);
    set_latencies(loads, load);
    set_sending(loads, load);
    set_shapes(loads, load);
    set_starts(loads, load);
    set_loaders(loads, load);
    return load;
}

static void add_sentence(struct json *list, const struct report_loader *l, const char *what) {
    cleanup_free char *text = text_format("loader %s on %s %s", l->name, l->host, what);
    json_append_text(list, text);
}

struct json *report_load_gaps(const struct report_loads *loads) {
    struct json *list = json_new_array();
    size_t reported = 0;
    for (size_t i = 0; i < loads->count; i++)
        reported += loads->loaders[i].load != NULL;
    for (size_t i = 0; loads->count > 1 && i < loads->count; i++) {
        const struct report_loader *l = &loads->loaders[i];
        if (l->ended && l->exit_code != 0) {
            cleanup_free char *what =
                text_format("ended with exit status %" PRId64 "%s", l->exit_code,
                            l->load ? "" : ", and reported no load");
            add_sentence(list, l, what);
        } else if (!l->load && reported > 0) {
            add_sentence(list, l, "reported no load: what it has sent is missing in the sums");
        }
    }
    return list;
}

void report_loaders_text(const struct json *load, struct buffer *out) {
    const struct json *loaders = json_member(load, "loaders");
    if (!json_is_array(loaders) || !json_is_object(json_member(load, "start")))
        return;
    buffer_format(out, "  loaders   %zu", json_count(loaders));
    if (has(load, "start.spread_ns"))
        buffer_format(out, ", begun within %.3f ms (their clocks are known to %.3f ms)",
                      number_or(load, "start.spread_ns", 0) / 1e6,
                      number_or(load, "start.clock_uncertain_ns", 0) / 1e6);
    buffer_text(out, "\n");
    for (size_t i = 0; i < json_count(loaders); i++) {
        const struct json *l = json_at(loaders, i);
        const char *name = json_text_or_null(json_member(l, "name"));
        if (json_member(l, "requests"))
            buffer_format(out, "            %s: %" PRId64 " of %" PRId64 " requests acknowledged\n",
                          name ? name : "?", int_or(l, "requests.acknowledged", 0),
                          int_or(l, "requests.intended", 0));
        else
            buffer_format(out, "            %s: not reported\n", name ? name : "?");
    }
}
