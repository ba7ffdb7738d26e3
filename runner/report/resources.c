#include "runner/report/resources.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/text.h"

#include <math.h>

#define UNKNOWN ((double)NAN)

/* Less than this of a host is what an engine, an sshd and a kernel need anyway. */
static const double foreign_cores_min = 0.5, foreign_share_min = 0.2;
static const double steal_share_min = 0.02;
/* Of a shorter window too few samples are in it to accuse anybody. */
static const double doubt_seconds_min = 3;

static double mean_rate(const struct series *s, unsigned value, struct series_window window) {
    double growth, seconds;
    return series_growth(s, value, window, &growth, &seconds) ? growth / seconds : UNKNOWN;
}

static double growth_of(const struct series *s, unsigned value, struct series_window window) {
    double growth, seconds;
    return series_growth(s, value, window, &growth, &seconds) ? growth : UNKNOWN;
}

static double rate_max(const struct series *s, unsigned value, struct series_window window) {
    double rate;
    return series_rate_max(s, value, window, &rate) ? rate : UNKNOWN;
}

static double most_of(const struct series *s, unsigned value, struct series_window window) {
    uint64_t most;
    return series_max(s, value, window, &most) ? (double)most : UNKNOWN;
}

static void set_number(struct json *object, const char *key, double number) {
    json_set(object, key, isnan(number) ? json_new_null() : json_new_number(number));
}

static void set_count(struct json *object, const char *key, double count) {
    bool known = !isnan(count) && count < (double)INT64_MAX;
    json_set(object, key, known ? json_new_int((int64_t)llround(count)) : json_new_null());
}

/* ---- containers ---- */

static double cores_of(const struct resources_container *c, struct series_window window) {
    return mean_rate(c->series, USAGE_CPU_NS, window) / (double)NS_PER_SEC;
}

static double cores_max_of(const struct resources_container *c, struct series_window window) {
    return rate_max(c->series, USAGE_CPU_NS, window) / (double)NS_PER_SEC;
}

/* Both directions of something, or null where neither is known. */
static void set_both(struct json *object, const char *key, const struct series *s,
                     struct series_window window, unsigned first, unsigned second,
                     const char *first_key, const char *second_key) {
    double one = growth_of(s, first, window), other = growth_of(s, second, window);
    if (isnan(one) && isnan(other)) {
        json_set(object, key, json_new_null());
        return;
    }
    struct json *both = json_set_object(object, key);
    set_count(both, first_key, one);
    set_count(both, second_key, other);
}

static struct json *container_json(const struct resources *r, const struct resources_container *c) {
    struct json *object = json_new_object();
    json_set_text(object, "name", c->name);
    json_set_text(object, "host", r->hosts[c->host].name);
    json_set_int(object, "samples", (int64_t)c->samples);
    json_set_int(object, "missed", (int64_t)c->missed);
    struct json *cpu = json_set_object(object, "cpu_cores");
    set_number(cpu, "mean", cores_of(c, r->window));
    set_number(cpu, "max", cores_max_of(c, r->window));
    set_count(object, "memory_bytes_max", most_of(c->series, USAGE_MEMORY_BYTES, r->window));
    set_count(object, "processes_max", most_of(c->series, USAGE_PROCESSES, r->window));
    set_both(object, "network", c->series, r->window, USAGE_RECEIVED_BYTES, USAGE_SENT_BYTES,
             "received_bytes", "sent_bytes");
    set_both(object, "devices", c->series, r->window, USAGE_READ_BYTES, USAGE_WRITTEN_BYTES,
             "read_bytes", "written_bytes");
    return object;
}

/* ---- hosts ---- */

static double share_of(const struct resources_host *h, unsigned ticks,
                       struct series_window window) {
    return growth_of(h->series, ticks, window) / growth_of(h->series, HOST_ALL_TICKS, window);
}

static double busy_cores(const struct resources_host *h, struct series_window window) {
    return h->cpus > 0 ? share_of(h, HOST_BUSY_TICKS, window) * (double)h->cpus : UNKNOWN;
}

/* What was busy there and was in no container of ours. */
static double foreign_cores(const struct resources *r, size_t host) {
    double cores = busy_cores(&r->hosts[host], r->window);
    for (size_t i = 0; i < r->container_count; i++)
        if (r->containers[i].host == host)
            cores -= cores_of(&r->containers[i], r->window);
    return fmax(cores, 0) + (isnan(cores) ? UNKNOWN : 0);
}

static struct json *host_json(const struct resources *r, size_t host) {
    const struct resources_host *h = &r->hosts[host];
    struct json *object = json_new_object();
    json_set_text(object, "name", h->name);
    json_set_int(object, "samples", (int64_t)h->samples);
    json_set_int(object, "missed", (int64_t)h->missed);
    struct json *cpu = json_set_object(object, "cpu_cores");
    json_set(cpu, "all", h->cpus > 0 ? json_new_int(h->cpus) : json_new_null());
    set_number(cpu, "busy", busy_cores(h, r->window));
    set_number(cpu, "foreign", foreign_cores(r, host));
    set_number(object, "steal_share", share_of(h, HOST_STEAL_TICKS, r->window));
    set_count(object, "memory_bytes_max", most_of(h->series, HOST_MEMORY_BYTES, r->window));
    set_both(object, "network", h->series, r->window, HOST_RECEIVED_BYTES, HOST_SENT_BYTES,
             "received_bytes", "sent_bytes");
    set_both(object, "devices", h->series, r->window, HOST_READ_BYTES, HOST_WRITTEN_BYTES,
             "read_bytes", "written_bytes");
    return object;
}

/* ---- the whole ---- */

static struct json *window_json(const struct resources *r) {
    if (!r->of_load)
        return json_new_null();
    char text[WALL_TEXT_SIZE];
    struct json *window = json_new_object();
    json_set_text(window, "from", wall_text((struct wall_time){r->window.from_ns}, text));
    json_set_text(window, "to", wall_text((struct wall_time){r->window.to_ns}, text));
    return window;
}

struct json *resources_json(const struct resources *r) {
    struct json *object = json_new_object();
    json_set(object, "window", window_json(r));
    struct json *containers = json_set_array(object, "containers");
    for (size_t i = 0; i < r->container_count; i++)
        json_append(containers, container_json(r, &r->containers[i]));
    struct json *hosts = json_set_array(object, "hosts");
    for (size_t i = 0; i < r->host_count; i++)
        json_append(hosts, host_json(r, i));
    json_set(object, "doubts", resources_doubts(r));
    return object;
}

static void doubt(struct json *list, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void doubt(struct json *list, const char *format, ...) {
    cleanup(buffer_deinit) struct buffer text;
    va_list args;
    buffer_init(&text, ERROR_TEXT_MAX);
    va_start(args, format);
    buffer_vformat(&text, format, args);
    va_end(args);
    json_append_text(list, buffer_string(&text));
}

static void doubt_host(const struct resources *r, size_t host, struct json *list) {
    const struct resources_host *h = &r->hosts[host];
    double foreign = foreign_cores(r, host), steal = share_of(h, HOST_STEAL_TICKS, r->window);
    if (foreign > foreign_cores_min && foreign > foreign_share_min * (double)h->cpus)
        doubt(list,
              "host %s was busy with other things than our containers: %.2f of its %lld cores on "
              "average",
              h->name, foreign, (long long)h->cpus);
    if (steal > steal_share_min)
        doubt(list,
              "host %s did not get %.1f %% of its processor time: its hypervisor gave it to "
              "others (steal)",
              h->name, 100 * steal);
}

struct json *resources_doubts(const struct resources *r) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < r->host_count; i++) {
        double growth, seconds;
        if (r->of_load &&
            series_growth(r->hosts[i].series, HOST_ALL_TICKS, r->window, &growth, &seconds) &&
            seconds >= doubt_seconds_min)
            doubt_host(r, i, list);
    }
    return list;
}

/* ---- for people ---- */

static void bytes_text(double bytes, struct buffer *out) {
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    if (isnan(bytes)) {
        buffer_text(out, "unknown");
        return;
    }
    for (; bytes >= 1000 && unit + 1 < sizeof units / sizeof *units; unit++)
        bytes /= 1000;
    buffer_format(out, "%.*f %s", unit ? 1 : 0, bytes, units[unit]);
}

/* Of all containers of a service; unknown ones do not count. */
struct together {
    size_t count;
    double cores, cores_max, memory_max, received, sent, read, written;
};

static void add(double *sum, double more) {
    if (!isnan(more))
        *sum = isnan(*sum) ? more : *sum + more;
}

static size_t add_service(const struct resources *r, size_t first, struct together *ret) {
    *ret = (struct together){0, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN};
    size_t i = first;
    for (; i < r->container_count; i++) {
        const struct resources_container *c = &r->containers[i];
        if (!text_equal(c->service, r->containers[first].service))
            break;
        double cores = cores_of(c, r->window);
        ret->count += !isnan(cores);
        add(&ret->cores, cores);
        ret->cores_max = fmax(ret->cores_max, cores_max_of(c, r->window));
        ret->memory_max = fmax(ret->memory_max, most_of(c->series, USAGE_MEMORY_BYTES, r->window));
        add(&ret->received, growth_of(c->series, USAGE_RECEIVED_BYTES, r->window));
        add(&ret->sent, growth_of(c->series, USAGE_SENT_BYTES, r->window));
        add(&ret->read, growth_of(c->series, USAGE_READ_BYTES, r->window));
        add(&ret->written, growth_of(c->series, USAGE_WRITTEN_BYTES, r->window));
    }
    return i;
}

static void pair_text(const char *what, double one, const char *first, double other,
                      const char *second, struct buffer *out) {
    if (isnan(one) && isnan(other))
        return;
    buffer_format(out, "; %s ", what);
    bytes_text(one, out);
    buffer_format(out, " %s, ", first);
    bytes_text(other, out);
    buffer_format(out, " %s", second);
}

static void service_text(const char *service, const struct together *t, struct buffer *out) {
    buffer_format(out, "%s: cpu %.2f cores%s (max %.2f); memory max ", service,
                  t->cores / (double)t->count, t->count > 1 ? " each" : "", t->cores_max);
    bytes_text(t->memory_max, out);
    pair_text("network", t->received, "in", t->sent, "out", out);
    pair_text("disk", t->read, "read", t->written, "written", out);
    buffer_text(out, "\n");
}

void resources_text(const struct resources *r, struct buffer *out) {
    const char *head = "resources   ";
    for (size_t i = 0; i < r->container_count;) {
        struct together t;
        const char *service = r->containers[i].service;
        i = add_service(r, i, &t);
        if (t.count == 0)
            continue;
        buffer_text(out, head);
        service_text(service, &t, out);
        head = "            ";
    }
    cleanup(json_freep) struct json *doubts = resources_doubts(r);
    for (size_t i = 0; i < json_count(doubts); i++)
        buffer_format(out, "  doubt     %s\n", json_text_or_null(json_at(doubts, i)));
}
