/* What lies in for/ROLE-INDEX goes to that container alone, everything else to all. */

#include "runner/run/prepared.h"

#include "lib/cleanup.h"
#include "tests/unit/tar_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { SIZE_MAX_BYTES = 1 << 20 };

static void keys(struct buffer *tar) {
    buffer_init(tar, SIZE_MAX_BYTES);
    tar_header(tar, "keys/", '5', 0755, 0, NULL);
    tar_file(tar, "keys/cluster.keys", 0644, "all");
    tar_header(tar, "keys/for/", '5', 0755, 0, NULL);
    tar_header(tar, "keys/for/replica-1/", '5', 0700, 0, NULL);
    tar_file(tar, "keys/for/replica-1/private.key", 0600, "one");
    tar_header(tar, "keys/for/replica-10/", '5', 0700, 0, NULL);
    tar_file(tar, "keys/for/replica-10/private.key", 0600, "ten");
    tar_header(tar, "keys/for/loader-1", '0', 0600, 0, NULL);
    tar_file(tar, "keys/forge", 0644, "all too");
}

static void assert_selected(const struct buffer *tar, const char *own,
                            const struct buffer *expected) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer got;
    buffer_init(&got, SIZE_MAX_BYTES);
    if (prepared_select(tar, "keys", own, &got, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(got.size, expected->size);
    assert_memory_equal(got.data, expected->data, got.size);
}

static void a_container_is_given_what_is_for_it_and_for_all(void **state) {
    cleanup(buffer_deinit) struct buffer tar, expected;
    (void)state;
    keys(&tar);
    tar_end(&tar);
    buffer_init(&expected, SIZE_MAX_BYTES);
    tar_header(&expected, "keys/", '5', 0755, 0, NULL);
    tar_file(&expected, "keys/cluster.keys", 0644, "all");
    tar_header(&expected, "keys/for/", '5', 0755, 0, NULL);
    tar_header(&expected, "keys/for/replica-1/", '5', 0700, 0, NULL);
    tar_file(&expected, "keys/for/replica-1/private.key", 0600, "one");
    tar_file(&expected, "keys/forge", 0644, "all too");
    tar_end(&expected);
    assert_selected(&tar, "replica-1", &expected);
}

static void whoever_has_no_folder_is_given_nobodys(void **state) {
    cleanup(buffer_deinit) struct buffer tar, expected;
    (void)state;
    keys(&tar);
    tar_end(&tar);
    buffer_init(&expected, SIZE_MAX_BYTES);
    tar_header(&expected, "keys/", '5', 0755, 0, NULL);
    tar_file(&expected, "keys/cluster.keys", 0644, "all");
    tar_header(&expected, "keys/for/", '5', 0755, 0, NULL);
    tar_file(&expected, "keys/forge", 0644, "all too");
    tar_end(&expected);
    assert_selected(&tar, "replica-0", &expected);
}

static void paths_that_extensions_say_count(void **state) {
    /* The lengths count themselves. */
    static const char mine[] = "36 path=keys/for/replica-1/long.key\n";
    static const char theirs[] = "38 path=./keys/for/replica-2/long.key\n";
    cleanup(buffer_deinit) struct buffer tar, expected;
    (void)state;
    buffer_init(&tar, SIZE_MAX_BYTES);
    buffer_init(&expected, SIZE_MAX_BYTES);
    tar_pax(&expected, mine, strlen(mine));
    tar_file(&expected, "x", 0600, "mine");
    buffer_append(&tar, expected.data, expected.size);
    tar_end(&expected);
    tar_pax(&tar, theirs, strlen(theirs));
    tar_file(&tar, "keys/x", 0600, "theirs");
    tar_header(&tar, "././@LongLink", 'L', 0644, 27, NULL);
    tar_content(&tar, "keys/for/replica-2/longer.k", 27);
    tar_file(&tar, "keys/y", 0600, "theirs");
    tar_end(&tar);
    assert_selected(&tar, "replica-1", &expected);
}

/* Cut anywhere, changed anywhere: an error, or a tar that is no larger. */
static void what_is_no_tar_is_refused(void **state) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer tar, got;
    (void)state;
    keys(&tar);
    size_t whole = tar.size;
    tar_end(&tar);
    buffer_init(&got, SIZE_MAX_BYTES);
    for (size_t size = 0; size < whole; size += 100) {
        struct buffer cut = tar;
        cut.size = size;
        buffer_clear(&got);
        assert_int_equal(prepared_select(&cut, "keys", "replica-1", &got, &err), -1);
    }
    for (size_t i = 0; i < whole; i++) {
        char saved = tar.data[i];
        tar.data[i] = (char)0xff;
        buffer_clear(&got);
        if (prepared_select(&tar, "keys", "replica-1", &got, &err) == 0)
            assert_true(got.size <= tar.size);
        tar.data[i] = saved;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_given_what_is_for_it_and_for_all),
        cmocka_unit_test(whoever_has_no_folder_is_given_nobodys),
        cmocka_unit_test(paths_that_extensions_say_count),
        cmocka_unit_test(what_is_no_tar_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
