#include "runner/run/pin.h"

#include "images/distribution.h"
#include "lib/text.h"

#include <string.h>

enum { DIGESTS_MAX = 64 };

const char *pin_digest(const struct engine_image *found) {
    for (size_t i = 0; i < json_count(found->digests); i++) {
        const char *text = json_text_or_null(json_at(found->digests, i));
        if (text && strchr(text, '@') && !distribution_is_name(text))
            return text;
    }
    return NULL;
}

struct locked_image pin_of(const struct engine_image *found, const char *reference) {
    char content[ENGINE_IMAGE_ID_SIZE];
    const char *by_registry = pin_digest(found);
    engine_image_content(found, content);
    return (struct locked_image){.reference = text_dup(reference),
                                 .id = text_dup(found->id),
                                 .content = text_dup(content),
                                 .digest =
                                     by_registry ? text_dup(strrchr(by_registry, '@') + 1) : NULL};
}

static bool is_used(const struct project *project, const char *reference) {
    for (size_t i = 0; i < project->service_count; i++)
        if (text_equal(project->services[i].image, reference))
            return true;
    return false;
}

struct image_lock pin_keep(const struct image_lock *old, const struct project *project) {
    struct image_lock lock = IMAGE_LOCK_NULL;
    for (size_t i = 0; old && i < old->count; i++) {
        if (!is_used(project, old->images[i].reference))
            continue;
        struct locked_image copy = locked_image_copy(&old->images[i]);
        image_lock_set(&lock, &copy);
    }
    return lock;
}

static int compare(const struct locked_image *locked, const struct engine_image *found,
                   struct error *err) {
    char content[ENGINE_IMAGE_ID_SIZE];
    const char *digests[DIGESTS_MAX + 1] = {NULL};
    engine_image_content(found, content);
    for (size_t i = 0, n = 0; i < json_count(found->digests) && n < DIGESTS_MAX; i++) {
        const char *text = json_text_or_null(json_at(found->digests, i));
        if (text)
            digests[n++] = text;
    }
    struct image_seen seen = {.id = found->id, .content = content, .digests = digests};
    return locked_image_check(locked, &seen, err);
}

bool pin_fits(const struct locked_image *locked, const struct engine_image *found) {
    struct error unused = ERROR_NULL;
    return compare(locked, found, &unused) == 0;
}

int pin_check(const struct locked_image *locked, const struct engine_image *found,
              struct error *err) {
    return compare(locked, found, err);
}

int pin_look(struct engine *engine, const char *name, const char *reference,
             const struct task *task, struct locked_image *ret, struct error *err) {
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(engine, name, task, &found, err);
    if (r == 0)
        *ret = pin_of(&found, reference);
    return r;
}
