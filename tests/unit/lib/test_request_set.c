/* Sets of requests: ranges, duplicates, files, and the check that no acknowledged request is lost.
 */

#include "lib/request_set.h"

#include "lib/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct request_set *parse(const char *json) {
    struct error err = ERROR_NULL;
    struct request_set *set = NULL;
    if (request_set_parse(json, strlen(json), &set, &err) < 0)
        fail_msg("%s", err.text);
    return set;
}

static void add(struct request_set *set, uint64_t client, uint64_t first, uint64_t last) {
    struct error err = ERROR_NULL;
    for (uint64_t n = first; n <= last; n++)
        assert_int_equal(request_set_add(set, client, n, &err), 0);
}

static void assert_written(const struct request_set *set, const char *expected) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 1 << 20);
    request_set_write(set, &out);
    assert_string_equal(buffer_string(&out), expected);
}

static void requests_become_sorted_ranges(void **state) {
    (void)state;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    add(set, 9, 1, 3);
    add(set, 1, 5, 6);
    add(set, 9, 7, 7);
    add(set, 9, 5, 5);
    add(set, 9, 6, 6); /* joins 5 and 7 */
    add(set, 1, 1, 1);
    assert_int_equal(request_set_count(set), 9);
    assert_written(set, "{\"schema\":1,\"count\":9,\"clients\":[\n"
                        "{\"client\":1,\"ranges\":[[1,1],[5,6]]},\n"
                        "{\"client\":9,\"ranges\":[[1,3],[5,7]]}],\n"
                        "\"duplicates\":[]}\n");
    assert_int_equal(request_set_times(set, 9, 4), 0);
    assert_int_equal(request_set_times(set, 9, 5), 1);
    assert_int_equal(request_set_times(set, 2, 5), 0);
}

static void any_order_of_adding_makes_the_same_set(void **state) {
    (void)state;
    enum { COUNT = 2000 };
    uint64_t seed = 42;
    print_message("seed %llu\n", (unsigned long long)seed);
    uint64_t numbers[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        numbers[i] = i + 1;
    for (size_t i = COUNT - 1; i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)(seed >> 33) % (i + 1);
        uint64_t swapped = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = swapped;
    }
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    for (size_t i = 0; i < COUNT; i++)
        add(set, 1, numbers[i], numbers[i]);
    assert_written(set, "{\"schema\":1,\"count\":2000,\"clients\":[\n"
                        "{\"client\":1,\"ranges\":[[1,2000]]}],\n\"duplicates\":[]}\n");
}

static void a_repeated_request_is_a_duplicate(void **state) {
    (void)state;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    add(set, 1, 1, 9);
    add(set, 1, 7, 7);
    add(set, 1, 2, 2);
    add(set, 1, 7, 7);
    assert_int_equal(request_set_count(set), 12);
    assert_int_equal(request_set_times(set, 1, 7), 3);
    assert_written(set, "{\"schema\":1,\"count\":12,\"clients\":[\n"
                        "{\"client\":1,\"ranges\":[[1,9]]}],\n\"duplicates\":[\n"
                        "{\"client\":1,\"number\":2,\"times\":2},\n"
                        "{\"client\":1,\"number\":7,\"times\":3}]}\n");
}

static void a_file_read_back_is_the_same_set(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    char folder[] = "/tmp/seatrial-set-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/executed.json", folder);
    cleanup(request_set_freep) struct request_set *set = request_set_new(), *again = NULL;
    add(set, 3, 1, 100);
    add(set, 3, 50, 50);
    add(set, REQUEST_SET_NUMBER_MAX, REQUEST_SET_NUMBER_MAX - 1, REQUEST_SET_NUMBER_MAX);
    assert_int_equal(request_set_save(set, path, &err), 0);
    assert_int_equal(request_set_load(path, &again, &err), 0);
    assert_int_equal(request_set_count(again), 103);
    assert_int_equal(request_set_times(again, 3, 50), 2);
    struct request_check check;
    request_set_check(set, again, &check);
    assert_int_equal(check.missing, 0);
    assert_int_equal(check.acknowledged, 102);
    unlink(path);
    rmdir(folder);

    assert_int_equal(request_set_load(path, &again, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void a_file_that_lies_is_refused(void **state) {
    (void)state;
    const char *const bad[] = {
        "",
        "[]",
        "{\"schema\":2,\"count\":0,\"clients\":[],\"duplicates\":[]}",
        "{\"schema\":1,\"count\":1,\"clients\":[],\"duplicates\":[]}",
        "{\"schema\":1,\"count\":0,\"clients\":[]}",
        "{\"schema\":1,\"count\":0,\"clients\":{},\"duplicates\":[]}",
        "{\"schema\":1,\"count\":1,\"clients\":[{\"client\":1,\"ranges\":[[2,1]]}],\"duplicates\":["
        "]}",
        "{\"schema\":1,\"count\":1,\"clients\":[{\"client\":1,\"ranges\":[[1]]}],\"duplicates\":[]"
        "}",
        "{\"schema\":1,\"count\":1,\"clients\":[{\"client\":1,\"ranges\":[[1,\"1\"]]}],"
        "\"duplicates\":[]}",
        "{\"schema\":1,\"count\":4,\"clients\":[{\"client\":1,\"ranges\":[[1,2],[2,3]]}],"
        "\"duplicates\":[]}",
        "{\"schema\":1,\"count\":2,\"clients\":[{\"client\":1,\"ranges\":[[5,5],[1,1]]}],"
        "\"duplicates\":[]}",
        "{\"schema\":1,\"count\":1,\"clients\":[{\"client\":-1,\"ranges\":[[1,1]]}],\"duplicates\":"
        "[]}",
        "{\"schema\":1,\"count\":2,\"clients\":[{\"client\":1,\"ranges\":[[1,1]]},"
        "{\"client\":1,\"ranges\":[[2,2]]}],\"duplicates\":[]}",
        "{\"schema\":1,\"count\":2,\"clients\":[{\"client\":1,\"ranges\":[[1,1]]}],"
        "\"duplicates\":[{\"client\":1,\"number\":2,\"times\":2}]}",
        "{\"schema\":1,\"count\":1,\"clients\":[{\"client\":1,\"ranges\":[[1,1]]}],"
        "\"duplicates\":[{\"client\":1,\"number\":1,\"times\":1}]}",
        "{\"schema\":1,\"count\":3,\"clients\":[{\"client\":1,\"ranges\":[[1,1]]}],\"duplicates\":["
        "{\"client\":1,\"number\":1,\"times\":2},{\"client\":1,\"number\":1,\"times\":2}]}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct request_set *set = NULL;
        if (request_set_parse(bad[i], strlen(bad[i]), &set, &err) != -1)
            fail_msg("accepted: %s", bad[i]);
        assert_null(set);
        assert_true(err.text[0]);
    }
}

/* Each before all that were listed so far: by CPU time, because it was a matter of minutes. */
static void duplicates_in_any_order_are_read_soon(void **state) {
    (void)state;
    enum { MANY = 300 * 1000, SECONDS_MAX = 20 };
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = NULL;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, REQUEST_SET_JSON_SIZE_MAX);
    buffer_format(&text,
                  "{\"schema\":1,\"count\":%d,\"clients\":[{\"client\":1,\"ranges\":[[1,%d]]}],"
                  "\"duplicates\":[",
                  2 * MANY, MANY);
    for (int i = MANY; i > 0; i--)
        buffer_format(&text, "%s{\"client\":1,\"number\":%d,\"times\":2}", i < MANY ? "," : "", i);
    buffer_text(&text, "]}");
    clock_t before = clock();
    assert_int_equal(request_set_parse(text.data, text.size, &set, &err), 0);
    assert_true(clock() - before < SECONDS_MAX * CLOCKS_PER_SEC);
    assert_int_equal(request_set_times(set, 1, 1), 2);
    assert_int_equal(request_set_times(set, 1, MANY), 2);
}

/* Ids whose products with the usual multiplier are small numbers: by CPU time, as above. */
static void clients_that_were_chosen_to_collide_are_read_soon(void **state) {
    (void)state;
    enum { SECONDS_MAX = 20 };
    const uint64_t inverse = UINT64_C(0xf1de83e19937733d);
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    clock_t before = clock();
    uint64_t added = 0;
    for (uint64_t i = 1; added < REQUEST_SET_CLIENTS_MAX; i++)
        if (i * inverse <= REQUEST_SET_NUMBER_MAX) {
            assert_int_equal(request_set_add(set, i * inverse, 1, &err), 0);
            added++;
        }
    assert_true(clock() - before < SECONDS_MAX * CLOCKS_PER_SEC);
    assert_int_equal(request_set_count(set), REQUEST_SET_CLIENTS_MAX);
}

static void counts_beyond_64_bits_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    assert_int_equal(request_set_add_range(set, 1, 0, REQUEST_SET_NUMBER_MAX, &err), 0);
    assert_int_equal(request_set_add_range(set, 2, 1, REQUEST_SET_NUMBER_MAX, &err), 0);
    assert_int_equal(request_set_add_range(set, 3, 0, REQUEST_SET_NUMBER_MAX, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_int_equal(request_set_add(set, 3, REQUEST_SET_NUMBER_MAX + 1, &err), -1);
}

static void equal_sets_agree(void **state) {
    (void)state;
    cleanup(request_set_freep) struct request_set *acknowledged = request_set_new();
    cleanup(request_set_freep) struct request_set *executed = request_set_new();
    for (uint64_t client = 1; client <= 100; client++) {
        add(acknowledged, client, 1, 20);
        add(executed, 101 - client, 1, 20);
    }
    add(executed, 7, 21, 21); /* executed, its answer lost: no fault */
    struct request_check check;
    request_set_check(acknowledged, executed, &check);
    assert_int_equal(check.acknowledged, 2000);
    assert_int_equal(check.acknowledged_in_chain, 2000);
    assert_int_equal(check.executed, 2001);
    assert_int_equal(check.unacknowledged, 1);
    assert_int_equal(check.missing, 0);
    assert_int_equal(check.duplicates, 0);
}

static void a_removed_request_is_named_as_missing(void **state) {
    (void)state;
    cleanup(request_set_freep) struct request_set *acknowledged =
        parse("{\"schema\":1,\"count\":30,\"clients\":[{\"client\":1,\"ranges\":[[1,10]]},"
              "{\"client\":2,\"ranges\":[[1,10],[21,30]]}],\"duplicates\":[]}");
    cleanup(request_set_freep) struct request_set *executed =
        parse("{\"schema\":1,\"count\":16,\"clients\":[{\"client\":2,"
              "\"ranges\":[[1,3],[5,9],[15,20],[30,31]]}],\"duplicates\":[]}");
    struct request_check check;
    request_set_check(acknowledged, executed, &check);
    assert_int_equal(check.acknowledged, 30);
    assert_int_equal(check.missing, 10 + 2 + 9);
    assert_int_equal(check.acknowledged_in_chain, 9);
    assert_int_equal(check.unacknowledged, 7);
    assert_int_equal(check.missing_listed, REQUEST_CHECK_LISTED_MAX);
    assert_int_equal(check.missing_first[0].client, 1);
    assert_int_equal(check.missing_first[0].number, 1);
    assert_int_equal(check.missing_first[7].number, 8);
}

static void a_request_executed_twice_is_named(void **state) {
    (void)state;
    cleanup(request_set_freep) struct request_set *acknowledged = request_set_new();
    cleanup(request_set_freep) struct request_set *executed = request_set_new();
    add(acknowledged, 4, 1, 10);
    add(executed, 4, 1, 10);
    add(executed, 4, 6, 6);
    struct request_check check;
    request_set_check(acknowledged, executed, &check);
    assert_int_equal(check.missing, 0);
    assert_int_equal(check.executed, 10);
    assert_int_equal(check.duplicates, 1);
    assert_int_equal(check.duplicates_listed, 1);
    assert_int_equal(check.duplicates_first[0].client, 4);
    assert_int_equal(check.duplicates_first[0].number, 6);
    assert_int_equal(check.duplicates_first[0].times, 2);
}

static void sets_of_other_clients_are_merged_with_their_duplicates(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *a = request_set_new();
    cleanup(request_set_freep) struct request_set *b = request_set_new();
    add(a, 1, 1, 3);
    add(b, 2, 1, 1);
    add(b, 2, 5, 6);
    add(b, 2, 5, 5);
    assert_int_equal(request_set_merge(a, b, &err), 0);
    assert_written(a, "{\"schema\":1,\"count\":7,\"clients\":[\n"
                      "{\"client\":1,\"ranges\":[[1,3]]},\n"
                      "{\"client\":2,\"ranges\":[[1,1],[5,6]]}],\n"
                      "\"duplicates\":[\n{\"client\":2,\"number\":5,\"times\":2}]}\n");
    assert_int_equal(request_set_merge(a, b, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void clients_beyond_the_maximum_are_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    for (uint64_t client = 0; client < REQUEST_SET_CLIENTS_MAX; client++)
        assert_int_equal(request_set_add(set, client, 1, &err), 0);
    assert_int_equal(request_set_add(set, REQUEST_SET_CLIENTS_MAX, 1, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_become_sorted_ranges),
        cmocka_unit_test(any_order_of_adding_makes_the_same_set),
        cmocka_unit_test(a_repeated_request_is_a_duplicate),
        cmocka_unit_test(a_file_read_back_is_the_same_set),
        cmocka_unit_test(a_file_that_lies_is_refused),
        cmocka_unit_test(duplicates_in_any_order_are_read_soon),
        cmocka_unit_test(clients_that_were_chosen_to_collide_are_read_soon),
        cmocka_unit_test(counts_beyond_64_bits_are_refused),
        cmocka_unit_test(equal_sets_agree),
        cmocka_unit_test(a_removed_request_is_named_as_missing),
        cmocka_unit_test(a_request_executed_twice_is_named),
        cmocka_unit_test(sets_of_other_clients_are_merged_with_their_duplicates),
        cmocka_unit_test(clients_beyond_the_maximum_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
