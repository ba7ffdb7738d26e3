#include "runner/engine/stats.h"

#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/json_lines.h"

#include <strings.h>

static bool says(const struct json *v, const char *path) {
    const struct json *found = json_find(v, path);
    return found && !json_is_nothing(found);
}

static int read_cpu(const struct json *v, struct engine_stats *s, struct error *err) {
    if (json_get_text(v, "read", "", &s->read, err) < 0 ||
        json_get_u64(v, "cpu_stats.cpu_usage.total_usage", 0, &s->cpu_ns, err) < 0 ||
        json_get_u64(v, "cpu_stats.cpu_usage.usage_in_usermode", 0, &s->cpu_user_ns, err) < 0 ||
        json_get_u64(v, "cpu_stats.cpu_usage.usage_in_kernelmode", 0, &s->cpu_system_ns, err) < 0 ||
        json_get_u64(v, "cpu_stats.system_cpu_usage", 0, &s->host_cpu_ns, err) < 0 ||
        json_get_u64(v, "cpu_stats.online_cpus", 0, &s->cpus, err) < 0)
        return -1;
    s->running = *s->read && !text_starts(s->read, "0001-");
    s->has_cpu = says(v, "cpu_stats.cpu_usage.total_usage");
    return json_get_u64(v, "cpu_stats.throttling_data.throttled_time", 0, &s->throttled_ns, err);
}

/* What docker subtracts: `inactive_file` of cgroup v2, `total_inactive_file` of v1. */
static int read_memory(const struct json *v, struct engine_stats *s, struct error *err) {
    if (json_get_u64(v, "memory_stats.usage", 0, &s->memory_bytes, err) < 0 ||
        json_get_u64(v, "memory_stats.stats.inactive_file", 0, &s->memory_cache_bytes, err) < 0 ||
        json_get_u64(v, "memory_stats.stats.total_inactive_file", s->memory_cache_bytes,
                     &s->memory_cache_bytes, err) < 0 ||
        json_get_u64(v, "memory_stats.limit", 0, &s->memory_limit_bytes, err) < 0)
        return -1;
    s->has_memory = says(v, "memory_stats.usage");
    s->has_processes = says(v, "pids_stats.current");
    return json_get_u64(v, "pids_stats.current", 0, &s->processes, err);
}

/* Sums of foreign counters stay where they are at the end of their range. */
static void add(uint64_t *sum, uint64_t value) {
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = UINT64_MAX;
}

static int read_networks(const struct json *v, struct engine_stats *s, struct error *err) {
    const struct json *networks;
    struct json_cursor cursor = {0};
    if (json_get_object(v, "networks", &networks, err) < 0)
        return -1;
    while (json_next(networks, &cursor)) {
        uint64_t received, sent;
        if (json_get_u64(cursor.value, "rx_bytes", 0, &received, err) < 0 ||
            json_get_u64(cursor.value, "tx_bytes", 0, &sent, err) < 0)
            return error_wrap(err, "networks");
        add(&s->received_bytes, received);
        add(&s->sent_bytes, sent);
        s->has_networks = true;
    }
    return 0;
}

static int read_devices(const struct json *v, struct engine_stats *s, struct error *err) {
    const struct json *entries;
    if (json_get_array(v, "blkio_stats.io_service_bytes_recursive", &entries, err) < 0)
        return -1;
    s->has_devices = entries != NULL;
    for (size_t i = 0; i < json_count(entries); i++) {
        const char *op;
        uint64_t bytes;
        if (json_get_text(json_at(entries, i), "op", "", &op, err) < 0 ||
            json_get_u64(json_at(entries, i), "value", 0, &bytes, err) < 0)
            return error_wrap(err, "block devices");
        if (strcasecmp(op, "read") == 0)
            add(&s->read_bytes, bytes);
        else if (strcasecmp(op, "write") == 0)
            add(&s->written_bytes, bytes);
    }
    return 0;
}

int engine_stats_read(const struct json *answer, struct engine_stats *ret, struct error *err) {
    struct engine_stats s = ENGINE_STATS_NULL;
    const struct json *whole;
    if (json_require_object(answer, "", &whole, err) < 0 || read_cpu(answer, &s, err) < 0 ||
        read_memory(answer, &s, err) < 0 || read_networks(answer, &s, err) < 0 ||
        read_devices(answer, &s, err) < 0)
        return error_wrap(err, "the engine's answer");
    s.json = ret->json;
    *ret = s;
    return 0;
}

static int stats_path(struct engine *engine, const char *container, const char *query,
                      struct buffer *path, struct error *err) {
    engine_path(engine, path, "/containers");
    if (engine_check_name("a container", container, err) < 0)
        return -1;
    http_path_segment(path, container);
    http_path_text(path, query);
    return 0;
}

int engine_container_stats(struct engine *engine, const char *container, const struct task *task,
                           struct engine_stats *ret, struct error *err) {
    cleanup(engine_stats_deinit) struct engine_stats s = ENGINE_STATS_NULL;
    cleanup(buffer_deinit) struct buffer path;
    int r = stats_path(engine, container, "/stats?stream=false&one-shot=true", &path, err);
    if (r == 0)
        r = engine_or_none(engine_call_json(engine, "GET", &path, NULL, task, &s.json, err), err);
    if (r == 0)
        r = engine_stats_read(s.json, &s, err);
    if (r < 0)
        return engine_wrap(err, "statistics of container", container);
    if (r == 0) {
        *ret = s;
        s = ENGINE_STATS_NULL;
    }
    return r;
}

struct stream {
    int (*on_sample)(void *arg, const struct engine_stats *sample, struct error *err);
    void *arg;
};

static int take_line(void *arg, const char *line, size_t size, struct error *err) {
    const struct stream *stream = arg;
    struct engine_stats sample = ENGINE_STATS_NULL;
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse(line, size, 0, &v, err) < 0 || engine_stats_read(v, &sample, err) < 0)
        return error_wrap(err, "a sample");
    return stream->on_sample(stream->arg, &sample, err);
}

int engine_container_stats_follow(struct engine *engine, const char *container,
                                  int (*on_sample)(void *arg, const struct engine_stats *sample,
                                                   struct error *err),
                                  void *arg, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_lines_deinit) struct json_lines lines;
    cleanup(buffer_deinit) struct buffer path;
    struct stream stream = {.on_sample = on_sample, .arg = arg};
    json_lines_init(&lines, ENGINE_STATS_SIZE_MAX, take_line, &stream);
    struct sink sink = {.push = json_lines_push, .arg = &lines};
    struct engine_call call = {.method = "GET",
                               .path = &path,
                               .sink = &sink,
                               .by_task_alone = true,
                               .idle_ns = engine->call_timeout_ns};
    int r = stats_path(engine, container, "/stats?stream=true", &path, err);
    if (r == 0)
        r = engine_call(engine, &call, task, &response, err);
    return r < 0 ? engine_wrap(err, "statistics of container", container) : r;
}

void engine_stats_deinit(struct engine_stats *stats) {
    json_free(stats->json);
    *stats = ENGINE_STATS_NULL;
}
