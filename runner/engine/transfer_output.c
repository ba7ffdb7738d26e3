#include "runner/engine/transfer_output.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void transfer_output_deinit(struct transfer_output *output) {
    engine_loaded_deinit(&output->loaded);
    *output = TRANSFER_OUTPUT_NULL;
}

void engine_loaded_deinit(struct engine_loaded *loaded) {
    for (size_t i = 0; i < loaded->count; i++)
        free(loaded->references[i]);
    free(loaded->references);
    *loaded = ENGINE_LOADED_NULL;
}

static int take_failure(struct transfer_output *out, const struct json *v, struct error *err) {
    const char *text;
    if (json_get_text(v, "error", NULL, &text, err) < 0 ||
        json_get_text(v, "errorDetail.message", text, &text, err) < 0)
        return -1;
    if (!text)
        text = "the engine does not say why";
    if (!out->failure[0])
        engine_harmless(text, strlen(text), out->failure, sizeof out->failure);
    return 0;
}

/* "Loaded image: x:1", "Loaded image ID: sha256:...", and, of Podman, "Loaded image: a:1,b:2". */
static int take_loaded(struct transfer_output *out, const char *text, struct error *err) {
    const char *rest = strchr(text, ':') + 1;
    while (*(rest += strspn(rest, " ,\n"))) {
        size_t size = strcspn(rest, " ,\n");
        cleanup_free char *reference = text_format("%.*s", (int)size, rest);
        if (engine_check_reference(reference, err) < 0)
            return -1;
        if (out->loaded.count == ENGINE_LOADED_MAX)
            return error_set(err, ERROR_LIMIT, "more than %d images are loaded", ENGINE_LOADED_MAX);
        if (out->loaded.count + 2 > out->loaded_capacity) {
            out->loaded_capacity = 2 * out->loaded_capacity + 2;
            out->loaded.references = mem_resize(out->loaded.references, out->loaded_capacity,
                                                sizeof *out->loaded.references);
        }
        out->loaded.references[out->loaded.count++] = take_ptr(reference);
        out->loaded.references[out->loaded.count] = NULL;
        rest += size;
    }
    return 0;
}

/* "Digest: sha256:..." */
static int take_digest(struct transfer_output *out, const char *text, struct error *err) {
    text = strchr(text, ':') + 1;
    text += strspn(text, " ");
    if (engine_check_image_id(text, err) < 0)
        return error_wrap(err, "digest");
    snprintf(out->digest, sizeof out->digest, "%s", text);
    return 0;
}

/* The end of a push: {"aux": {"Tag": ..., "Digest": ..., "Size": ...}}. */
static int take_aux(struct transfer_output *out, const struct json *v, struct error *err) {
    const char *digest;
    if (json_get_text(v, "aux.Digest", "", &digest, err) < 0)
        return -1;
    if (!digest[0])
        return 0;
    if (engine_check_image_id(digest, err) < 0)
        return error_wrap(err, "digest");
    snprintf(out->digest, sizeof out->digest, "%s", digest);
    return 0;
}

static int take(struct transfer_output *out, const struct json *v, struct error *err) {
    const struct json *whole;
    struct engine_transfer_event event = {0};
    if (json_require_object(v, "", &whole, err) < 0)
        return -1;
    if (json_member(v, "error") || json_member(v, "errorDetail"))
        return take_failure(out, v, err);
    if (json_get_text(v, "status", "", &event.status, err) < 0 ||
        json_get_text(v, "id", "", &event.id, err) < 0 ||
        json_get_text(v, "stream", "", &event.text, err) < 0 ||
        json_get_u64(v, "progressDetail.current", 0, &event.done, err) < 0)
        return -1;
    struct error ignored = ERROR_NULL; /* engines say -1 where they do not know it */
    if (json_get_u64(v, "progressDetail.total", 0, &event.total, &ignored) < 0)
        event.total = 0;
    if (text_starts(event.text, "Loaded image") && strchr(event.text, ':') &&
        take_loaded(out, event.text, err) < 0)
        return -1;
    if (take_aux(out, v, err) < 0)
        return -1;
    if (text_starts(event.status, "Digest:") && take_digest(out, event.status, err) < 0)
        return -1;
    if (!out->transfer || !out->transfer->on_event)
        return 0;
    int r = out->transfer->on_event(out->transfer->arg, &event, err);
    return r < 0 ? r : 0;
}

int transfer_output_line(void *arg, const char *line, size_t size, struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse(line, size, 0, &v, err) < 0 || take(arg, v, err) < 0)
        return error_wrap(err, "progress of the engine");
    return 0;
}
