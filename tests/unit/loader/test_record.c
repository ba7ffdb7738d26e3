/* What is measured, and the file that every request is in. */

#include "loader/durations.h"
#include "loader/limits.h"
#include "loader/record.h"
#include "tests/unit/folder.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

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
    cleanup(durations_writer_freep) struct durations_writer *w = durations_writer_new(d);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(durations_append(w, &three[i], &err), 0);
    assert_int_equal(durations_flush(w, &err), 0);
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
    cleanup(durations_writer_freep) struct durations_writer *w = durations_writer_new(d);
    for (uint32_t i = 0; i < 100000; i++) {
        const struct duration one = {.client = i % 15,
                                     .number = 1 + i / 15,
                                     .intended_ns = (uint64_t)i * 70000,
                                     .sent = true,
                                     .send_delay_ns = 900,
                                     .latency_ns = 1000000,
                                     .outcome = OUTCOME_ACKNOWLEDGED};
        assert_int_equal(durations_append(w, &one, &err), 0);
    }
    assert_int_equal(durations_flush(w, &err), 0);
    assert_int_equal(durations_finish(d, &err), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_in_range(st.st_size, 100000, 12 * 100000);
}

/* Pieces of two threads alternate in the file; each begins its differences anew. */
static void writers_of_several_threads_share_a_file(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    int r;
    cleanup(durations_freep) struct durations *d = NULL;
    cleanup_free char *path = text_format("%s/requests.bin", f.path);
    assert_int_equal(durations_create(path, 1000, (struct wall_time){.ns = 1}, &d, &err), 0);
    struct durations_writer *a = durations_writer_new(d), *b = durations_writer_new(d);
    assert_int_equal(durations_append(a, &three[2], &err), 0);
    assert_int_equal(durations_append(b, &three[0], &err), 0);
    assert_int_equal(durations_flush(a, &err), 0);
    assert_int_equal(durations_append(a, &three[0], &err), 0);
    assert_int_equal(durations_flush(b, &err), 0);
    assert_int_equal(durations_flush(a, &err), 0);
    assert_int_equal(durations_flush(a, &err), 0); /* nothing is left */
    durations_writer_free(a);
    durations_writer_free(b);
    assert_int_equal(durations_finish(d, &err), 0);
    cleanup_free char *text = export_text(&f, "requests.bin", &r, &err);
    assert_int_equal(r, 0);
    assert_string_equal(text, "client,number,intended_ns,sent_ns,latency_ns,outcome\n"
                              "1007,300,3600000000000,3600000000000,0,overloaded\n"
                              "1000,1,1000,1005,700,acknowledged\n"
                              "1000,1,1000,1005,700,acknowledged\n");
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(durations_freep) struct durations *d = NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    assert_int_equal(symlinkat("/dev/full", f.fd, "full.part"), 0);
    cleanup_free char *full = text_format("%s/full", f.path);
    assert_int_equal(durations_create(full, 1, (struct wall_time){.ns = 1}, &d, &err), -1);
    assert_non_null(strstr(err.text, "No space left on device"));

    cleanup_free char *path = text_format("%s/requests.bin", f.path);
    assert_int_equal(durations_create(path, 1, (struct wall_time){.ns = 1}, &d, &err), 0);
    cleanup(durations_writer_freep) struct durations_writer *w = durations_writer_new(d);
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 1000, .rlim_max = before.rlim_max});
    int r = 0;
    for (int i = 0; r == 0 && i < 2 * LOADER_PIECE_SIZE; i++)
        r = durations_append(w, &three[0], &err);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(r, -1);
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "File too large"));
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
    record_sent(r, intended_ns + 100);
    assert_int_equal(record_outcome(r, &one, &err), 0);
}

static void only_acknowledged_requests_have_a_latency(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    record_init(&r, 1000, NULL, NULL);
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
    record_init(&r, 1000, NULL, NULL);
    record_one(&r, 1, 0, NS_PER_MS, OUTCOME_ACKNOWLEDGED);
    record_one(&r, 2, NS_PER_MS, NS_PER_SEC, OUTCOME_ACKNOWLEDGED); /* ends in second 1 */
    record_one(&r, 3, 3 * NS_PER_SEC, 500, OUTCOME_FAILED);
    assert_int_equal(r.seconds_count, 3);
    assert_int_equal(r.seconds[0].outcomes[OUTCOME_ACKNOWLEDGED], 1);
    assert_int_equal(r.seconds[0].max_ns, NS_PER_MS);
    assert_int_equal(r.seconds[1].outcomes[OUTCOME_ACKNOWLEDGED], 1);
    assert_int_equal(r.seconds[1].max_ns, NS_PER_SEC);
    assert_int_equal(r.seconds[2].outcomes[OUTCOME_ACKNOWLEDGED], 0);
    assert_int_equal(r.seconds[2].max_ns, 0);
    assert_int_equal(r.second.outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(record_errors(&r.second), 1);
}

/* As if one thread had done all of it: whatever each of the two has done, in every second. */
static void records_of_two_threads_are_merged_exactly(void **state) {
    (void)state;
    cleanup(record_deinit) struct record a, b, all;
    struct error err = ERROR_NULL;
    record_init(&a, 1000, NULL, NULL);
    record_init(&b, 2000, NULL, NULL);
    record_init(&all, 0, NULL, NULL);
    record_one(&a, 1, 0, 1000, OUTCOME_ACKNOWLEDGED);
    record_one(&a, 2, NS_PER_SEC, 3000, OUTCOME_ACKNOWLEDGED);
    record_one(&b, 1, 10, 2000, OUTCOME_ACKNOWLEDGED);
    record_one(&b, 2, NS_PER_SEC, 9000, OUTCOME_OVERLOADED);
    record_one(&b, 3, 3 * NS_PER_SEC, 5000, OUTCOME_ACKNOWLEDGED);
    record_late(&b);
    assert_int_equal(record_merge(&all, &a, &err), 0);
    assert_int_equal(record_merge(&all, &b, &err), 0);
    assert_int_equal(all.sent, 5);
    assert_int_equal(all.late, 1);
    assert_int_equal(all.outcomes[OUTCOME_ACKNOWLEDGED], 4);
    assert_int_equal(all.outcomes[OUTCOME_OVERLOADED], 1);
    assert_int_equal(all.end_ns, 3 * NS_PER_SEC + 5000);
    assert_int_equal(all.latency.count, 4);
    assert_int_equal(histogram_percentile(&all.latency, 50), 2000);
    assert_int_equal(all.seconds_count, 3);
    assert_int_equal(all.seconds[0].sent, 2);
    assert_int_equal(all.seconds[0].max_ns, 2000);
    assert_int_equal(all.seconds[1].outcomes[OUTCOME_ACKNOWLEDGED], 1); /* a's, cut short */
    assert_int_equal(all.seconds[1].outcomes[OUTCOME_OVERLOADED], 1);
    assert_int_equal(all.second.outcomes[OUTCOME_ACKNOWLEDGED], 1);
    assert_int_equal(request_set_count(all.acknowledged), 4);
    assert_int_equal(record_merge(&all, &b, &err), -1); /* its clients are there */
}

/* Seconds that nobody has fetched in time are in the next interval. */
static void an_interval_waits_until_it_is_fetched(void **state) {
    (void)state;
    struct exchange x;
    struct interval sum;
    cleanup(record_deinit) struct record r;
    int wake_fd = eventfd(0, EFD_NONBLOCK);
    exchange_init(&x, wake_fd);
    interval_init(&sum);
    record_init(&r, 1000, NULL, &x);
    record_one(&r, 1, 0, 1000, OUTCOME_ACKNOWLEDGED);
    assert_false(exchange_ready(&x));
    record_one(&r, 2, NS_PER_SEC, 1000, OUTCOME_ACKNOWLEDGED);
    record_one(&r, 3, 2 * NS_PER_SEC, 1000, OUTCOME_FAILED);
    assert_true(exchange_ready(&x));
    exchange_fetch(&x, &sum);
    assert_int_equal(sum.to_ns, NS_PER_SEC);
    assert_int_equal(sum.latency.count, 1);
    assert_false(exchange_ready(&x));
    record_one(&r, 4, 3 * NS_PER_SEC, 1000, OUTCOME_ACKNOWLEDGED);
    interval_clear(&sum, sum.to_ns);
    exchange_fetch(&x, &sum);
    assert_int_equal(sum.from_ns, NS_PER_SEC);
    assert_int_equal(histogram_max(&sum.latency_from_send), 900);
    assert_int_equal(sum.to_ns, 3 * NS_PER_SEC);
    assert_int_equal(sum.latency.count, 1);
    assert_int_equal(sum.outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(r.interval.latency.count, 1);
    exchange_deinit(&x);
    interval_deinit(&sum);
    close(wake_fd);
}

static void record_shape(struct record *r, uint64_t number, uint8_t shape, uint64_t latency_ns,
                         enum outcome outcome) {
    struct error err = ERROR_NULL;
    const struct duration one = {.client = 2,
                                 .number = number,
                                 .sent = true,
                                 .read_only = shape == 1,
                                 .shape = shape,
                                 .send_delay_ns = 100,
                                 .latency_ns = latency_ns,
                                 .outcome = outcome};
    record_advance(r, latency_ns);
    assert_int_equal(record_outcome(r, &one, &err), 0);
}

/* Together they are what is recorded without them, in the record, its intervals and their sums. */
static void shapes_are_told_apart_and_reads_are_in_no_chain(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r, all;
    struct error err = ERROR_NULL;
    struct exchange x;
    struct interval sum;
    int wake_fd = eventfd(0, EFD_NONBLOCK);
    exchange_init(&x, wake_fd);
    exchange_shapes(&x, 2);
    interval_init(&sum);
    interval_shapes(&sum, 2);
    record_init(&r, 1000, NULL, &x);
    record_shapes(&r, 2);
    record_init(&all, 1000, NULL, NULL);
    record_shapes(&all, 2);
    record_shape(&r, 1, 0, 1000, OUTCOME_ACKNOWLEDGED);
    record_shape(&r, 2, 1, 2000, OUTCOME_ACKNOWLEDGED);
    record_shape(&r, 3, 1, 3000, OUTCOME_FAILED);
    record_shape(&r, 4, 1, 4000, OUTCOME_ACKNOWLEDGED);
    record_shape(&r, 0, 0, 4000, OUTCOME_UNSENT); /* nobody's */
    assert_int_equal(r.interval.shapes[0].count, 1);
    assert_int_equal(r.interval.shapes[1].count, 2);
    record_advance(&r, NS_PER_SEC);
    exchange_fetch(&x, &sum);
    assert_int_equal(sum.latency.count, 3);
    assert_int_equal(sum.shapes[0].count, 1);
    assert_int_equal(histogram_max(&sum.shapes[1]), 4001);
    assert_int_equal(r.interval.shapes[1].count, 0);
    interval_clear(&sum, NS_PER_SEC);
    assert_int_equal(sum.shapes[1].count, 0);
    assert_int_equal(record_merge(&all, &r, &err), 0);
    assert_int_equal(all.shapes[0].sent, 1);
    assert_int_equal(all.shapes[0].outcomes[OUTCOME_UNSENT], 0);
    assert_int_equal(all.outcomes[OUTCOME_UNSENT], 1);
    assert_int_equal(all.shapes[1].sent, 3);
    assert_int_equal(all.shapes[1].outcomes[OUTCOME_FAILED], 1);
    assert_int_equal(all.shapes[1].window_acknowledged, 2);
    assert_int_equal(all.shapes[1].latency.count, 2);
    assert_int_equal(histogram_min(&all.shapes[1].latency_from_send), 1900);
    assert_int_equal(all.outcomes[OUTCOME_ACKNOWLEDGED], 3);
    assert_int_equal(request_set_count(all.acknowledged), 1);
    assert_int_equal(request_set_times(all.acknowledged, 1002, 1), 1);
    exchange_deinit(&x);
    interval_deinit(&sum);
    close(wake_fd);
}

static void the_table_of_seconds_has_an_end(void **state) {
    (void)state;
    cleanup(record_deinit) struct record r;
    record_init(&r, 1000, NULL, NULL);
    record_advance(&r, UINT64_MAX);
    assert_int_equal(r.seconds_count, LOADER_SECONDS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_comes_back_as_it_was),
        cmocka_unit_test(a_file_that_was_cut_anywhere_is_told),
        cmocka_unit_test(a_damaged_file_never_does_harm),
        cmocka_unit_test(many_requests_cost_few_bytes),
        cmocka_unit_test(writers_of_several_threads_share_a_file),
        cmocka_unit_test(a_full_disk_is_an_error),
        cmocka_unit_test(only_acknowledged_requests_have_a_latency),
        cmocka_unit_test(a_second_holds_what_ended_in_it),
        cmocka_unit_test(records_of_two_threads_are_merged_exactly),
        cmocka_unit_test(an_interval_waits_until_it_is_fetched),
        cmocka_unit_test(shapes_are_told_apart_and_reads_are_in_no_chain),
        cmocka_unit_test(the_table_of_seconds_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
