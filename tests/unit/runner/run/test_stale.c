/* Which images of ours are of no use any more. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/run/stale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 6, NOW = 1000000 };

struct image {
    const char *owner, *tag;
    int64_t created_s;
};

/* As a word of 'g' for those that go, and '-' for those that stay. */
static void assert_goes(const struct image *images, size_t keep, int64_t age_s,
                        const char *wanted) {
    struct engine_image_entry entries[IMAGES] = {{.id = NULL}};
    struct json *owned[2 * IMAGES] = {NULL};
    bool goes[IMAGES];
    char found[IMAGES + 1] = "";
    for (size_t i = 0; i < IMAGES; i++) {
        owned[2 * i] = json_new_object();
        json_set_text(owned[2 * i], "io.seatrial.image.owner", images[i].owner);
        owned[2 * i + 1] = json_new_array();
        if (images[i].tag)
            json_append_text(owned[2 * i + 1], images[i].tag);
        entries[i] = (struct engine_image_entry){
            .labels = owned[2 * i], .tags = owned[2 * i + 1], .created_s = images[i].created_s};
    }
    struct engine_image_list list = {.entries = entries, .count = IMAGES};
    struct stale_limits limits = {.keep = keep, .age_s = age_s};
    stale_images(&list, "us", NOW, &limits, goes);
    for (size_t i = 0; i < IMAGES; i++)
        found[i] = goes[i] ? 'g' : '-';
    assert_string_equal(found, wanted);
    for (size_t i = 0; i < 2 * IMAGES; i++)
        json_free(owned[i]);
}

static void the_newest_without_a_name_stay_and_those_with_a_name_do_not_count(void **state) {
    (void)state;
    static const struct image images[IMAGES] = {
        {"us", NULL, NOW - 10},        {"us", "<none>:<none>", NOW - 20}, {"us", NULL, NOW - 30},
        {"us", "app:latest", NOW - 5}, {"us", "app:old", NOW - 40},       {"us", NULL, NOW - 30},
    };
    assert_goes(images, 2, 1000, "--g--g");
    assert_goes(images, 3, 1000, "-----g");
    assert_goes(images, 0, 1000, "ggg--g");
}

static void what_is_too_old_goes_with_or_without_a_name(void **state) {
    (void)state;
    static const struct image images[IMAGES] = {
        {"us", NULL, NOW - 10},     {"us", "app:1", NOW - 101}, {"us", NULL, NOW - 101},
        {"us", "app:2", NOW - 100}, {"us", NULL, NOW - 99},     {"us", NULL, NOW + 50},
    };
    assert_goes(images, 10, 100, "-gg---");
}

static void what_is_not_ours_stays(void **state) {
    (void)state;
    static const struct image images[IMAGES] = {
        {"them", NULL, 0}, {NULL, NULL, 0},       {"us", NULL, 0},
        {"", NULL, 0},     {"us@host", "a:1", 0}, {"them", "b:1", 0},
    };
    assert_goes(images, 0, 100, "--g---");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_without_a_name_stay_and_those_with_a_name_do_not_count),
        cmocka_unit_test(what_is_too_old_goes_with_or_without_a_name),
        cmocka_unit_test(what_is_not_ours_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
