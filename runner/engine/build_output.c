#include "runner/engine/build_output.h"

#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/engine/call.h"

#include <stdio.h>
#include <string.h>

static int emit(const struct build_output *out, enum engine_build_event_kind kind, const char *text,
                const char *id, const char *progress, struct error *err) {
    if (!out->on_event)
        return 0;
    struct engine_build_event event = {.kind = kind, .text = text, .id = id, .progress = progress};
    int r = out->on_event(out->arg, &event, err);
    return r < 0 ? r : 0;
}

static int take_failure(struct build_output *out, const struct json *v, struct error *err) {
    const char *text;
    if (json_get_text(v, "error", NULL, &text, err) < 0 ||
        json_get_text(v, "errorDetail.message", text, &text, err) < 0)
        return -1;
    if (!text)
        text = "the engine does not say why";
    if (!out->failure[0])
        engine_harmless(text, strlen(text), out->failure, sizeof out->failure);
    return emit(out, ENGINE_BUILD_ERROR, text, "", "", err);
}

static int take_image(struct build_output *out, const char *id, struct error *err) {
    if (engine_check_image_id(id, err) < 0)
        return -1;
    snprintf(out->image_id, sizeof out->image_id, "%s", id);
    return emit(out, ENGINE_BUILD_IMAGE, "", out->image_id, "", err);
}

static int on_trace_text(void *arg, const char *text, struct error *err) {
    return emit(arg, ENGINE_BUILD_TEXT, text, "", "", err);
}

void build_output_init(struct build_output *out,
                       int (*on_event)(void *arg, const struct engine_build_event *event,
                                       struct error *err),
                       void *arg) {
    *out = (struct build_output){.on_event = on_event, .arg = arg};
    out->trace = (struct build_trace){.on_text = on_trace_text, .arg = out};
}

void build_output_deinit(struct build_output *out) {
    build_trace_deinit(&out->trace);
}

static int take_trace(struct build_output *out, const char *text, struct error *err) {
    cleanup(buffer_deinit) struct buffer bytes;
    buffer_init(&bytes, strlen(text) + 1);
    if (base64_decode(text, strlen(text), &bytes, err) < 0)
        return error_wrap(err, "steps of the build");
    return build_trace_read(&out->trace, buffer_string(&bytes), bytes.size, err);
}

static int take(struct build_output *out, const struct json *v, struct error *err) {
    const struct json *whole;
    const char *text, *id, *progress;
    if (json_require_object(v, "", &whole, err) < 0)
        return -1;
    if (json_member(v, "error") || json_member(v, "errorDetail"))
        return take_failure(out, v, err);
    const char *trace = json_text_or_null(json_member(v, "aux"));
    if (trace && text_equal(json_text_or_null(json_member(v, "id")), "moby.buildkit.trace"))
        return take_trace(out, trace, err);
    if (json_is_object(json_member(v, "aux"))) {
        if (json_get_text(v, "aux.ID", NULL, &id, err) < 0)
            return -1;
        if (id)
            return take_image(out, id, err);
    }
    if (json_get_text(v, "stream", NULL, &text, err) < 0)
        return -1;
    if (text)
        return emit(out, ENGINE_BUILD_TEXT, text, "", "", err);
    if (json_get_text(v, "status", NULL, &text, err) < 0 ||
        json_get_text(v, "id", "", &id, err) < 0 ||
        json_get_text(v, "progress", "", &progress, err) < 0)
        return -1;
    return text ? emit(out, ENGINE_BUILD_STATUS, text, id, progress, err) : 0;
}

int build_output_line(void *arg, const char *line, size_t size, struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse(line, size, 0, &v, err) < 0)
        return error_wrap(err, "output of the build");
    return take(arg, v, err);
}
