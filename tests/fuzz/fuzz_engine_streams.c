/*
 * Whatever an engine sends, in pieces of whatever size, through the parts that take its streams
 * apart: no crash, and no line, entry or frame beyond its maximum. The first byte says how large
 * the pieces are, the second which stream it is.
 */

#include "runner/engine/build_output.h"
#include "runner/engine/event.h"
#include "runner/engine/host.h"
#include "runner/engine/json_lines.h"
#include "runner/engine/log_lines.h"
#include "runner/engine/settings.h"
#include "runner/engine/stats.h"
#include "runner/engine/stdcopy.h"
#include "runner/engine/transfer_output.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_line(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)arg, (void)err;
    assert(line->size <= LINE_MAX && line->data[line->size] == '\0');
    assert(strlen(line->timestamp) < LOG_TIMESTAMP_SIZE);
    return 0;
}

static int on_event(void *arg, const struct engine_build_event *event, struct error *err) {
    (void)arg, (void)err;
    assert(event->text && event->id && event->progress);
    return 0;
}

static int in_pieces(int (*push)(void *arg, const void *data, size_t size, struct error *err),
                     void *arg, const uint8_t *data, size_t size, size_t piece) {
    struct error err = ERROR_NULL;
    for (size_t at = 0; at < size; at += piece)
        if (push(arg, data + at, size - at < piece ? size - at : piece, &err) != 0)
            return -1;
    return 0;
}

static void logs(const uint8_t *data, size_t size, size_t piece, bool timestamps, bool raw) {
    struct error err = ERROR_NULL;
    cleanup(log_lines_deinit) struct log_lines lines;
    log_lines_init(&lines, LINE_MAX, timestamps, on_line, NULL);
    struct stdcopy stdcopy = {.on_piece = log_lines_piece, .arg = &lines};
    if (raw)
        in_pieces(log_lines_push_raw, &lines, data, size, piece);
    else if (in_pieces(stdcopy_push, &stdcopy, data, size, piece) == 0)
        (void)stdcopy_end(&stdcopy, &err);
    log_lines_end(&lines, &err);
}

static void build(const uint8_t *data, size_t size, size_t piece) {
    struct error err = ERROR_NULL;
    cleanup(build_output_deinit) struct build_output output;
    build_output_init(&output, on_event, NULL);
    cleanup(json_lines_deinit) struct json_lines lines;
    json_lines_init(&lines, 1024, build_output_line, &output);
    if (in_pieces(json_lines_push, &lines, data, size, piece) == 0)
        json_lines_end(&lines, &err);
    assert(strlen(output.image_id) < sizeof output.image_id);
}

static int on_transfer(void *arg, const struct engine_transfer_event *event, struct error *err) {
    (void)arg, (void)err;
    assert(event->status && event->id && event->text);
    return 0;
}

static void transfer(const uint8_t *data, size_t size, size_t piece) {
    struct error err = ERROR_NULL;
    struct engine_transfer events = {.on_event = on_transfer};
    cleanup(transfer_output_deinit) struct transfer_output output = {.transfer = &events};
    cleanup(json_lines_deinit) struct json_lines lines;
    json_lines_init(&lines, 1024, transfer_output_line, &output);
    if (in_pieces(json_lines_push, &lines, data, size, piece) == 0)
        json_lines_end(&lines, &err);
    assert(strlen(output.digest) < sizeof output.digest);
    assert(output.loaded.count <= ENGINE_LOADED_MAX);
    assert(output.loaded.count == 0 || !output.loaded.references[output.loaded.count]);
}

/* One document: an event, a context's meta.json, statistics. */
static void document(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct engine_event event;
    struct engine_context context;
    struct engine_stats stats = ENGINE_STATS_NULL;
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse((const char *)data, size, 0, &v, &err) < 0)
        return;
    if (engine_event_read(v, &event, &err) == 0)
        assert(event.type && event.action && event.id && event.name && event.time_ns > 0);
    (void)engine_stats_read(v, &stats, &err);
    if (engine_context_read(v, &context, &err) == 0) {
        cleanup_free char *host = NULL;
        assert(context.name);
        if (engine_host_complete(context.host, false, &host, &err) == 0)
            assert(strstr(host, "://"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    size_t piece = (size_t)data[0] + 1;
    int kind = data[1] % 7;
    if (kind == 4)
        build(data + 2, size - 2, piece);
    else if (kind == 5)
        transfer(data + 2, size - 2, piece);
    else if (kind == 6)
        document(data + 2, size - 2);
    else
        logs(data + 2, size - 2, piece, kind & 1, kind & 2);
    return 0;
}
