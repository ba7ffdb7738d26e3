/* What is measured, and the file that every request is in. */

#include "loader/durations.h"
#include "loader/limits.h"
#include "loader/record.h"
#include "tests/unit/folder.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A file's export as text; `ret` is what durations_export returned. */
static char *export_text(const struct folder *f, const char *name, int *ret, struct error *err) {
    cleanup_free char *path = text_format("%s/%s", f->path, name);
    cleanup_fclose FILE *from = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    *err = ERROR_NULL;
    *ret = durations_export(from, to, err);
    fclose(to);
    return text;
}

static const struct duration three[] = {
    {.client = 0,
     .number = 1,
     .intended_ns = 1000,
     .sent = true,
     .send_delay_ns = 5,
     .latency_ns = 700,
     .outcome = OUTCOME_ACKNOWLEDGED},
    {.client = 99999,
     .number = INT64_MAX,
     .intended_ns = 3,
     .latency_ns = UINT64_MAX,
     .outcome = OUTCOME_TIMED_OUT},
    {.client = 7,
     .number = 300,
     .intended_ns = UINT64_C(3600000000000),
     .sent = true,
     .send_delay_ns = 0,
     .latency_ns = 0,
     .outcome = OUTCOME_OVERLOADED},
};

static void write_three(const struct folder *f, const char *name) {
    struct error err = ERROR_NULL;
    cleanup(durations_freep) struct durations *d = NULL;
    cleanup_free char *path = text_format("%s/%s", f->path, name);
    assert_int_equal(durations_create(path, 1000, (struct wall_time){.ns = 1}, &d, &err), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(durations_append(d, &three[i], &err), 0);
    assert_false(folder_has(f, name)); /* not before it is complete */
    assert_int_equal(durations_finish(d, &err), 0);
}

static void every_request_comes_back_as_it_was(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err;
    int r;
    write_three(&f, "requests.bin");
    cleanup_free char *text = export_text(&f, "requests.bin", &r, &err);
    assert_int_equal(r, 0);
    assert_string_equal(text, "client,number,intended_ns,sent_ns,latency_ns,outcome\n"
                              "1000,1,1000,1005,700,acknowledged\n"
                              "100999,9223372036854775807,3,,18446744073709551615,timed_out\n"
                              "1007,300,3600000000000,3600000000000,0,overloaded\n");
}

static void a_file_that_was_cut_anywhere_is_told(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    write_three(&f, "whole");
    cleanup_free char *bytes = folder_read(&f, "whole");
    struct stat st;
    fstatat(f.fd, "whole", &st, 0);
    for (off_t size = 0; size < st.st_size; size++) {
        struct error err;
        int r;
        folder_write_mode(&f, "cut", bytes, (size_t)size, 0644);
        free(export_text(&f, "cut", &r, &err));
        assert_int_equal(r, -1);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void a_damaged_file_never_does_harm(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    write_three(&f, "whole");
    cleanup_free char *bytes = folder_read(&f, "whole");
    struct stat st;
    fstatat(f.fd, "whole", &st, 0);
    for (off_t at = 0; at < st.st_size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            struct error err;
            int r;
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
            folder_write_mode(&f, "bad", bytes, (size_t)st.st_size, 0644);
            free(export_text(&f, "bad", &r, &err));
            assert_true(r == 0 || err.kind == ERROR_INVALID);
            bytes[at] = (char)(bytes[at] ^ 1 << bit);
        }
    }
}

static void many_requests_cost_few_bytes(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup(durations_freep) struct durations *d = NULL;
    cleanup_free char *path = text_format("%s/requests.bin", f.path);
    assert_int_equal(durations_create(path, 1, (struct wall_time){.ns = 1}, &d, &err), 0);
    for (uint32_t i = 0; i < 100000; i++) {
        const struct duration one = {.client = i % 15,
                                     .number = 1 + i / 15,
                                     .intended_ns = (uint64_t)i * 70000,
                                     .sent = true,
                                     .send_delay_ns = 900,
                                     .latency_ns = 1000000,
                                     .outcome = OUTCOME_ACKNOWLEDGED};
        assert_int_equal(durations_append(d, &one, &err), 0);
    }
    assert_int_equal(durations_finish(d, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 100000, 12 * 100000);
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(durations_freep) struct durations *d = NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    assert_int_equal(symlinkat("/dev/full", f.fd, "requests.bin.part"), 0);
    cleanup_free char *path = text_format("%s/requests.bin", f.path);
    assert_int_equal(durations_create(path, 1, (struct wall_time){.ns = 1}, &d, &err), 0);
    int r = 0;
    for (int i = 0; r == 0 && i < 2 * LOADER_PIECE_SIZE; i++)
        r = durations_append(d, &three[0], &err);
    assert_int_equal(r, -1);
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "No space left on device"));
}

static void record_one(struct record *r, uint64_t number, uint64_t intended_ns, uint64_t latency_ns,
                       enum outcome outcome) {
    struct error err = ERROR_NULL;
    const struct duration one = {.client = 2,
                                 .number = number,
                                 .intended_ns = intended_ns,
                                 .sent = true,
                                 .send_delay_ns = 100,
                                 .latency_ns = latency_ns,
                                 .outcome = outcome};
    record_advance(r, intended_ns + latency_ns);
    record_sent(r);
    assert_int_equal(record_outcome(r, &one, &err), 0);
}

static void only_acknowledged_requests_have_a_latency(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    record_init(&r, 1000, NULL);
    record_one(&r, 1, 0, 1000, OUTCOME_ACKNOWLEDGED);
    record_one(&r, 2, 1000, 500000, OUTCOME_TIMED_OUT);
    record_one(&r, 3, 501000, 2000, OUTCOME_ACKNOWLEDGED);
    record_one(&r, 4, 503000, 9000, OUTCOME_FAILED);
    record_one(&r, 5, 512000, 9000, OUTCOME_OVERLOADED);
    assert_int_equal(r.sent, 5);
    assert_int_equal(record_outcomes(&r), 5);
    assert_int_equal(r.latency.count, 2);
    assert_int_equal(histogram_max(&r.latency), 2000);
    assert_int_equal(histogram_max(&r.latency_from_send), 1900);
    assert_int_equal(request_set_count(r.acknowledged), 2);
    assert_int_equal(request_set_times(r.acknowledged, 1002, 1), 1);
    assert_int_equal(request_set_times(r.acknowledged, 1002, 2), 0);
    assert_int_equal(request_set_times(r.acknowledged, 1002, 3), 1);
    assert_int_equal(r.end_ns, 521000);
}

static void a_second_holds_what_ended_in_it(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    record_init(&r, 1000, NULL);
    record_one(&r, 1, 0, NS_PER_MS, OUTCOME_ACKNOWLEDGED);
    record_one(&r, 2, NS_PER_MS, NS_PER_SEC, OUTCOME_ACKNOWLEDGED); /* ends in second 1 */
    record_one(&r, 3, 3 * NS_PER_SEC, 500, OUTCOME_FAILED);
    assert_int_equal(r.seconds_count, 3);
    assert_int_equal(r.seconds[0].outcomes[OUTCOME_ACKNOWLEDGED], 1);
    assert_int_equal(r.seconds[0].max_ns, histogram_highest_equivalent(NS_PER_MS));
    assert_int_equal(r.seconds[1].outcomes[OUTCOME_ACKNOWLEDGED], 1);
    assert_int_equal(r.seconds[1].p50_ns, histogram_highest_equivalent(NS_PER_SEC));
    assert_int_equal(r.seconds[2].outcomes[OUTCOME_ACKNOWLEDGED], 0);
    assert_int_equal(r.seconds[2].max_ns, 0);
    assert_int_equal(r.second.outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(record_errors(&r.second), 1);
}

static void the_table_of_seconds_has_an_end(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    record_init(&r, 1000, NULL);
    record_advance(&r, UINT64_MAX);
    assert_int_equal(r.seconds_count, LOADER_SECONDS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_comes_back_as_it_was),
        cmocka_unit_test(a_file_that_was_cut_anywhere_is_told),
        cmocka_unit_test(a_damaged_file_never_does_harm),
        cmocka_unit_test(many_requests_cost_few_bytes),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(only_acknowledged_requests_have_a_latency),
        cmocka_unit_test(a_second_holds_what_ended_in_it),
        cmocka_unit_test(the_table_of_seconds_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
