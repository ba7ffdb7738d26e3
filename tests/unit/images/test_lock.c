/* seatrial.lock says what it was told, is read as hostile text, and drift names both digests. */

#include "images/lock.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static struct locked_image an_image(const char *reference, const char *id) {
    return (struct locked_image){
        .reference = text_dup(reference), .id = text_dup(id), .content = text_dup(C)};
}

static char *written(const struct image_lock *lock) {
    struct buffer text;
    buffer_init(&text, IMAGE_LOCK_BYTES_MAX);
    image_lock_write(lock, &text);
    return buffer_take(&text);
}

static void a_full_lock(struct image_lock *lock) {
    struct locked_image image = an_image("z:1", A), other = an_image("a:1", B);
    image.build = calloc(1, sizeof *image.build);
    image.build->key = text_dup(A);
    image.build->context = text_dup(B);
    image.build->dockerfile = text_dup("docker/\"Dockerfile\"");
    image.build->dockerfile_digest = text_dup(C);
    image.build->commit = text_dup("0123");
    image.build->dirty = true;
    assert_false(locked_build_add_arg(image.build, "MODE", "fast"));
    assert_false(locked_build_add_arg(image.build, "DEFAULT", NULL));
    assert_true(locked_build_add_arg(image.build, "npm_Token", "hunter2"));
    locked_build_add_base(image.build, "debian:12", A, NULL);
    locked_build_add_base(image.build, "base@" B, NULL, B);
    image_lock_set(lock, &image);
    image_lock_set(lock, &other);
}

static void what_is_written_is_read_again_and_makes_the_same_bytes(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL, again = IMAGE_LOCK_NULL;
    a_full_lock(&lock);
    cleanup_free char *text = written(&lock);
    assert_int_equal(image_lock_parse(text, strlen(text), &again, &err), 0);
    cleanup_free char *second = written(&again);
    assert_string_equal(text, second);
    const struct locked_image *z = image_lock_find(&again, "z:1");
    assert_non_null(z);
    assert_int_equal(z->build->arg_count, 3);
    assert_int_equal(z->build->base_count, 2);
    assert_true(z->build->dirty);
    assert_null(image_lock_find(&again, "z"));
    assert_null(image_lock_find(&again, "a:1")->build);
}

static void the_value_of_an_argument_that_is_a_secret_is_not_in_it(void **state) {
    (void)state;
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL;
    a_full_lock(&lock);
    cleanup_free char *text = written(&lock);
    assert_null(strstr(text, "hunter2"));
    assert_non_null(strstr(text, "\"npm_Token\": \"<redacted>\""));
}

static void an_image_takes_the_place_of_what_was_locked_before(void **state) {
    (void)state;
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL;
    a_full_lock(&lock);
    struct locked_image now = an_image("z:1", B);
    image_lock_set(&lock, &now);
    assert_int_equal(lock.count, 2);
    assert_string_equal(image_lock_find(&lock, "z:1")->id, B);
    struct locked_image copy = locked_image_copy(image_lock_find(&lock, "a:1"));
    assert_string_equal(copy.id, B);
    locked_image_deinit(&copy);
}

static void what_is_no_lock_is_refused_with_its_reason(void **state) {
    (void)state;
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "line 1"},
        {"{}", "version"},
        {"{\"version\": 2, \"images\": {}}", "we know version 1 only"},
        {"{\"version\": 1}", "images"},
        {"{\"version\": 1, \"images\": {\"a\": {}}}", "image 'a': it has no 'id'"},
        {"{\"version\": 1, \"images\": {\"a\": {\"id\": \"x\"}}}", "'id' is not a digest"},
        {"{\"version\": 1, \"images\": {\"\\u001b\": 3}}", "image '\\x1b'"},
        {"{\"version\": 1, \"images\": {\"a\": {\"id\": \"" A
         "\", \"build\": {\"args\": {\"X\": 3}}}}}",
         "argument's value"},
        {"{\"version\": 1, \"images\": {\"a\": {\"id\": \"" A
         "\", \"build\": {\"bases\": {\"X\": 3}}}}}",
         "base image must be an object"},
        {"{\"version\": 1, \"images\": {\"a\": {\"id\": \"" A "\"}, \"a\": {\"id\": \"" A "\"}}}",
         "duplicate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct image_lock lock = IMAGE_LOCK_NULL;
        assert_int_equal(image_lock_parse(bad[i].text, strlen(bad[i].text), &lock, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, bad[i].reason))
            fail_msg("%s: %s", bad[i].text, err.text);
    }
}

static void an_image_is_known_by_its_id_its_digest_or_its_content(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct locked_image image = an_image("shop:1", A);
    image.digest = text_dup(B);
    const char *digests[] = {"elsewhere@" C, "shop@" B, NULL}, *others[] = {"shop@" C, NULL};
    assert_true(locked_image_is(&image, &(struct image_seen){.id = A}));
    assert_true(locked_image_is(&image, &(struct image_seen){.id = B, .content = C}));
    assert_true(locked_image_is(&image, &(struct image_seen){.id = C, .digests = digests}));
    struct image_seen moved = {.id = C, .content = A, .digests = others};
    assert_false(locked_image_is(&image, &moved));
    assert_int_equal(locked_image_check(&image, &moved, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_string_equal(err.text, "'shop:1' is not the image that is locked: it is " C
                                  ", seatrial.lock has " A);
    locked_image_deinit(&image);
}

static void a_lock_that_would_not_change_is_not_written(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    char folder[] = "/tmp/test_lock.XXXXXX";
    assert_non_null(mkdtemp(folder));
    cleanup_free char *path = text_format("%s/" IMAGE_LOCK_NAME, folder);
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL, again = IMAGE_LOCK_NULL;
    a_full_lock(&lock);
    assert_int_equal(image_lock_load(path, &again, &err), 1);
    assert_int_equal(image_lock_save(path, &lock, &err), 0);
    assert_int_equal(image_lock_save(path, &lock, &err), 1);
    assert_int_equal(image_lock_load(path, &again, &err), 0);
    assert_int_equal(again.count, 2);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again_and_makes_the_same_bytes),
        cmocka_unit_test(the_value_of_an_argument_that_is_a_secret_is_not_in_it),
        cmocka_unit_test(an_image_takes_the_place_of_what_was_locked_before),
        cmocka_unit_test(what_is_no_lock_is_refused_with_its_reason),
        cmocka_unit_test(an_image_is_known_by_its_id_its_digest_or_its_content),
        cmocka_unit_test(a_lock_that_would_not_change_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
