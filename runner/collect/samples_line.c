#include "runner/collect/samples_line.h"

#include "lib/clock.h"
#include "runner/report/resources.h"

#include <inttypes.h>

/* What a line has of numbers, in this order. */
struct row {
    const char *key;
    bool known;
    uint64_t value;
};

enum { ROWS = 13 };

static void list_rows(const struct engine_stats *s, struct row rows[ROWS]) {
    const struct row all[ROWS] = {
        {"cpu_ns", s->has_cpu, s->cpu_ns},
        {"cpu_user_ns", s->has_cpu, s->cpu_user_ns},
        {"cpu_system_ns", s->has_cpu, s->cpu_system_ns},
        {"throttled_ns", s->has_cpu, s->throttled_ns},
        {"cpus", s->cpus > 0, s->cpus},
        {"memory_bytes", s->has_memory, s->memory_bytes},
        {"memory_cache_bytes", s->has_memory, s->memory_cache_bytes},
        {"memory_limit_bytes", s->has_memory, s->memory_limit_bytes}, /* none: null */
        {"processes", s->has_processes, s->processes},
        {"received_bytes", s->has_networks, s->received_bytes},
        {"sent_bytes", s->has_networks, s->sent_bytes},
        {"read_bytes", s->has_devices, s->read_bytes},
        {"written_bytes", s->has_devices, s->written_bytes},
    };
    for (size_t i = 0; i < ROWS; i++)
        rows[i] = all[i];
}

static void write_rate(const char *key, const struct row *before, const struct row *now,
                       double seconds, double unit, struct buffer *out) {
    if (before->known && now->known && now->value >= before->value)
        buffer_format(out, ",\"%s\":%.6g", key,
                      (double)(now->value - before->value) / unit / seconds);
    else
        buffer_format(out, ",\"%s\":null", key);
}

/* By the engine's clock, which counted both; without it by ours. */
static double seconds_between(const struct sample *before, const struct sample *now) {
    bool theirs = before->read_ns && now->read_ns;
    int64_t from = theirs ? before->read_ns : before->time_ns;
    int64_t to = theirs ? now->read_ns : now->time_ns;
    return to > from ? (double)((uint64_t)to - (uint64_t)from) / (double)NS_PER_SEC : 0;
}

static void write_rates(const struct sample *before, const struct sample *now, struct buffer *out) {
    double seconds = before ? seconds_between(before, now) : 0;
    if (seconds <= 0) {
        buffer_text(out, ",\"rates\":null");
        return;
    }
    struct row old[ROWS], new[ROWS];
    list_rows(&before->stats, old);
    list_rows(&now->stats, new);
    buffer_format(out, ",\"rates\":{\"seconds\":%.6f", seconds);
    write_rate("cpu_cores", &old[0], &new[0], seconds, (double)NS_PER_SEC, out);
    write_rate("received_bytes_per_s", &old[9], &new[9], seconds, 1, out);
    write_rate("sent_bytes_per_s", &old[10], &new[10], seconds, 1, out);
    write_rate("read_bytes_per_s", &old[11], &new[11], seconds, 1, out);
    write_rate("written_bytes_per_s", &old[12], &new[12], seconds, 1, out);
    buffer_text(out, "}");
}

void sample_write(const struct sample *s, const struct sample *before, struct buffer *out) {
    struct row rows[ROWS];
    char text[WALL_TEXT_SIZE];
    list_rows(&s->stats, rows);
    buffer_format(out, "{\"time\":\"%s\"", wall_text((struct wall_time){s->time_ns}, text));
    if (s->read_ns)
        buffer_format(out, ",\"read\":\"%s\"", wall_text((struct wall_time){s->read_ns}, text));
    else
        buffer_text(out, ",\"read\":null");
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].known && rows[i].value <= INT64_MAX)
            buffer_format(out, ",\"%s\":%" PRIu64, rows[i].key, rows[i].value);
        else
            buffer_format(out, ",\"%s\":null", rows[i].key);
    write_rates(before, s, out);
    buffer_text(out, "}\n");
}

static void set_value(struct series_point *p, unsigned index, bool known, uint64_t value) {
    p->values[index] = known ? value : 0;
    p->known |= (unsigned)known << index;
}

void sample_point(const struct sample *s, struct series_point *ret) {
    const struct engine_stats *e = &s->stats;
    uint64_t cache = e->memory_cache_bytes < e->memory_bytes ? e->memory_cache_bytes : 0;
    *ret = (struct series_point){.time_ns = s->time_ns};
    set_value(ret, USAGE_CPU_NS, e->has_cpu, e->cpu_ns);
    set_value(ret, USAGE_MEMORY_BYTES, e->has_memory, e->memory_bytes - cache);
    set_value(ret, USAGE_PROCESSES, e->has_processes, e->processes);
    set_value(ret, USAGE_RECEIVED_BYTES, e->has_networks, e->received_bytes);
    set_value(ret, USAGE_SENT_BYTES, e->has_networks, e->sent_bytes);
    set_value(ret, USAGE_READ_BYTES, e->has_devices, e->read_bytes);
    set_value(ret, USAGE_WRITTEN_BYTES, e->has_devices, e->written_bytes);
}
