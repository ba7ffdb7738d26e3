/* What an image is, whatever its engine calls it. */

#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/engine/image.h"

#include <stdlib.h>
#include <string.h>

/* What a container gets of it. Times, histories and what else an engine writes down are not in it.
 */
static const char *const said[] = {"Env",     "Cmd",         "Entrypoint", "User",
                                   "Labels",  "WorkingDir",  "Shell",      "ExposedPorts",
                                   "Volumes", "Healthcheck", "StopSignal", "OnBuild"};

/* Engines write what is not set as null, as nothing, or leave it out. */
static bool is_set(const struct json *v) {
    const char *text = json_text_or_null(v);
    if (text)
        return *text != '\0';
    if (json_is_object(v) || json_is_array(v))
        return json_count(v) > 0;
    return v && !json_is_nothing(v);
}

static void take(struct json *to, const struct json *from, const char *key) {
    const struct json *v = json_member(from, key);
    if (is_set(v))
        json_set(to, key, json_copy_deep(v));
}

void engine_image_content(const struct engine_image *image, char ret[ENGINE_IMAGE_ID_SIZE]) {
    cleanup(json_freep) struct json *whole = json_new_object();
    struct json *config = json_set_object(whole, "config");
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        take(config, json_find(image->json, "Config"), said[i]);
    take(whole, json_find(image->json, "RootFS"), "Layers");
    take(whole, image->json, "Os");
    take(whole, image->json, "Architecture");
    cleanup_free char *text = json_to_text(whole, JSON_LINE);
    unsigned char hash[SHA256_SIZE];
    sha256_of(text, strlen(text), hash);
    digest_text(hash, ret);
}
