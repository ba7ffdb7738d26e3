#include "runner/run/stale.h"

#include "lib/text.h"
#include "runner/run/describe.h"

/* Engines say "<none>:<none>" or nothing at all of those that have lost their name. */
static bool has_name(const struct engine_image_entry *image) {
    for (size_t i = 0; i < json_count(image->tags); i++) {
        const char *tag = json_text_or_null(json_at(image->tags, i));
        if (tag && !text_starts(tag, "<none>"))
            return true;
    }
    return false;
}

static bool is_ours(const struct engine_image_entry *image, const char *owner) {
    return text_equal(json_text_or_null(json_member(image->labels, LABEL_IMAGE_OWNER)), owner);
}

/* Of equal age, the order of the list decides, so that the answer is the same each time. */
static bool is_newer(const struct engine_image_list *list, size_t a, size_t b) {
    int64_t x = list->entries[a].created_s, y = list->entries[b].created_s;
    return x > y || (x == y && a < b);
}

void stale_images(const struct engine_image_list *list, const char *owner, int64_t now_s,
                  const struct stale_limits *limits, bool *ret) {
    for (size_t i = 0; i < list->count; i++) {
        const struct engine_image_entry *image = &list->entries[i];
        size_t newer = 0;
        ret[i] = false;
        if (!is_ours(image, owner))
            continue;
        for (size_t k = 0; k < list->count; k++)
            newer += k != i && is_ours(&list->entries[k], owner) && !has_name(&list->entries[k]) &&
                     is_newer(list, k, i);
        ret[i] =
            image->created_s < now_s - limits->age_s || (!has_name(image) && newer >= limits->keep);
    }
}
