#include "images/registry_manifest.h"

#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int take_text(const struct json *v, const char *path, char *out, size_t size,
                     struct error *err) {
    const char *text;
    if (json_get_text(v, path, "", &text, err) < 0)
        return -1;
    if (strlen(text) >= size)
        return error_set(err, ERROR_LIMIT, "'%s' is longer than %zu bytes", path, size - 1);
    snprintf(out, size, "%s", text);
    return 0;
}

static int read_digest(const struct json *v, char out[DIGEST_TEXT_SIZE], struct error *err) {
    const char *digest;
    if (json_require_text(v, "digest", &digest, err) < 0)
        return -1;
    if (!digest_text_valid(digest)) {
        char shown[120];
        return error_set(err, ERROR_INVALID, "'%s' is no digest by SHA-256",
                         text_safe(digest, shown, sizeof shown));
    }
    memcpy(out, digest, DIGEST_TEXT_SIZE);
    return 0;
}

static int read_descriptor(const struct json *v, struct registry_descriptor *d, struct error *err) {
    *d = (struct registry_descriptor){.size_bytes = 0};
    if (!json_is_object(v))
        return error_set(err, ERROR_INVALID, "must be an object, not %s", json_type_name(v));
    if (take_text(v, "mediaType", d->media, sizeof d->media, err) < 0 ||
        read_digest(v, d->digest, err) < 0 ||
        json_require_u64(v, "size", &d->size_bytes, err) < 0 ||
        take_text(v, "platform.os", d->os, sizeof d->os, err) < 0 ||
        take_text(v, "platform.architecture", d->architecture, sizeof d->architecture, err) < 0 ||
        take_text(v, "platform.variant", d->variant, sizeof d->variant, err) < 0)
        return -1;
    return 0;
}

static int read_parts(const struct json *v, const char *key, size_t count_max,
                      struct registry_document *document, struct error *err) {
    const struct json *list;
    if (json_require_array(v, key, &list, err) < 0)
        return -1;
    size_t count = json_count(list);
    if (count > count_max)
        return error_set(err, ERROR_LIMIT, "'%s' has %zu items (at most %zu)", key, count,
                         count_max);
    document->parts = mem_new_array(struct registry_descriptor, count + 1);
    for (size_t i = 0; i < count; i++)
        if (read_descriptor(json_at(list, i), &document->parts[i], err) < 0)
            return error_wrap(err, "'%s.%zu'", key, i);
    document->count = count;
    return 0;
}

static int read_document(const struct json *v, const char *media,
                         struct registry_document *document, struct error *err) {
    int64_t schema;
    if (json_require_int(v, "schemaVersion", 1, 2, &schema, err) < 0 ||
        take_text(v, "mediaType", document->media, sizeof document->media, err) < 0)
        return -1;
    if (schema != 2)
        return error_set(err, ERROR_INVALID, "manifests of schema 1 are not supported");
    if (!document->media[0] && strlen(media) <= REGISTRY_MEDIA_MAX)
        snprintf(document->media, sizeof document->media, "%s", media);
    else if (media[0] && !text_equal(media, document->media)) {
        char shown[150];
        return error_set(err, ERROR_INVALID,
                         "it calls itself '%s', and is said to be another thing",
                         text_safe(document->media, shown, sizeof shown));
    }
    document->index = json_member(v, "manifests") != NULL;
    if (document->index && json_member(v, "layers"))
        return error_set(err, ERROR_INVALID, "it is a manifest and an index at once");
    if (document->index)
        return read_parts(v, "manifests", REGISTRY_PLATFORMS_MAX, document, err);
    if (read_descriptor(json_member(v, "config"), &document->config, err) < 0)
        return error_wrap(err, "'config'");
    return read_parts(v, "layers", REGISTRY_LAYERS_MAX, document, err);
}

int registry_document_parse(const char *text, size_t size, const char *media,
                            struct registry_document *ret, struct error *err) {
    cleanup(registry_document_deinit) struct registry_document document = REGISTRY_DOCUMENT_NULL;
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse(text, size, REGISTRY_MANIFEST_MAX, &v, err) < 0 ||
        read_document(v, media, &document, err) < 0)
        return error_wrap(err, "the manifest");
    *ret = document;
    document = REGISTRY_DOCUMENT_NULL;
    return 0;
}

void registry_document_deinit(struct registry_document *document) {
    free(document->parts);
    *document = REGISTRY_DOCUMENT_NULL;
}

const struct registry_descriptor *registry_index_find(const struct registry_document *index,
                                                      const char *os, const char *architecture,
                                                      const char *variant) {
    for (size_t i = 0; i < index->count; i++) {
        const struct registry_descriptor *d = &index->parts[i];
        if (text_equal(d->os, os) && text_equal(d->architecture, architecture) &&
            (!variant[0] || !d->variant[0] || text_equal(d->variant, variant)))
            return d;
    }
    return NULL;
}
