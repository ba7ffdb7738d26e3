/*
 * What engines and hosts say of their load: no crash, and every line that is written is JSON of a
 * bounded size. The first byte says which it is: statistics of a container, facts of a host, or
 * lines of /proc, with "=" between one sample and the next.
 */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "runner/collect/host_facts.h"
#include "runner/collect/host_load.h"
#include "runner/collect/log_record.h"
#include "runner/collect/samples_line.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct buffer *line) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v = NULL;
    assert(!line->overflowed && line->size > 0 && line->data[line->size - 1] == '\n');
    assert(json_parse(line->data, line->size, 0, &v, &err) == 0);
}

static void container(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct sample s = {.stats = ENGINE_STATS_NULL}, later;
    struct series_point point;
    cleanup(json_freep) struct json *v = NULL;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, 2048);
    if (json_parse((const char *)data, size, 0, &v, &err) < 0 ||
        engine_stats_read(v, &s.stats, &err) < 0)
        return;
    s.time_ns = s.read_ns = log_time_ns(s.stats.read, strlen(s.stats.read));
    sample_write(&s, NULL, &line);
    check(&line);
    later = s;
    later.time_ns += 1;
    later.stats.cpu_ns /= 2;
    buffer_clear(&line);
    sample_write(&later, &s, &line);
    check(&line);
    sample_point(&s, &point);
}

static void host(const char *text, size_t size) {
    struct host_load now, before;
    struct series_point point;
    bool first = true;
    host_load_init(&now);
    for (const char *end = text + size; text < end;) {
        size_t length = strcspn(text, "\n");
        cleanup_free char *copy = strndup(text, length);
        text += length + 1;
        if (copy[0] != '=') {
            host_load_line(&now, copy);
            continue;
        }
        cleanup(buffer_deinit) struct buffer line;
        buffer_init(&line, 64 << 10);
        host_load_write(&now, first ? NULL : &before, 1, 2, &line);
        check(&line);
        host_load_point(&now, 1, &point);
        before = now;
        first = false;
        host_load_init(&now);
    }
}

static void facts(const char *text) {
    struct host_facts f;
    host_facts_read(text, &f);
    cleanup(json_freep) struct json *v = host_facts_json(&f);
    assert(json_is_object(v));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    if (data[0] == 'c') {
        container(data + 1, size - 1);
        return 0;
    }
    cleanup_free char *text = strndup((const char *)data + 1, size - 1);
    if (data[0] == 'f')
        facts(text);
    else
        host(text, strlen(text));
    return 0;
}
