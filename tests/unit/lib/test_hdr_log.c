/* Histogram logs: ours there and back, Java's against what Java says of it, and broken ones. */

#include "lib/hdr_log.h"

#include "lib/cleanup.h"
#include "lib/deflate.h"
#include "lib/file.h"
#include "lib/hdr_encoding.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define JAVA_LOG HDR_LOG_DATA "/java.hlog"
#define JAVA_EXPECTED HDR_LOG_DATA "/java.expected"
#define START_NS INT64_C(1441812279474000000)

static struct wall_time ms(int64_t after_start) {
    return (struct wall_time){.ns = START_NS + after_start * (int64_t)NS_PER_MS};
}

static void good(int result, const struct error *err) {
    if (result != 0)
        fail_msg("%d: %s", result, err->text);
}

static int push_to_buffer(void *arg, const void *data, size_t size, struct error *err) {
    (void)err;
    buffer_append(arg, data, size);
    return 0;
}

static void begin(struct hdr_log_writer *w, struct buffer *out) {
    struct error err = ERROR_NULL;
    buffer_init(out, 1 << 20);
    hdr_log_writer_init(w, (struct sink){.push = push_to_buffer, .arg = out});
    good(hdr_log_begin(w, "seatrial", ms(0), &err), &err);
}

static void log_values(struct hdr_log_writer *w, const char *tag, int64_t start_ms, uint64_t from,
                       uint64_t to) {
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    for (uint64_t value = from; value < to; value++)
        histogram_record(&h, value * value);
    good(hdr_log_interval(w, tag, ms(start_ms), ms(start_ms + 1000), &h, &err), &err);
}

/* Reads a log to its end. Returns what hdr_log_next did; sums up all intervals. */
struct reading {
    int result;
    int intervals;
    bool cut;
    struct hdr_interval last;
    struct error err;
};

static struct reading read_all(const char *text, size_t size) {
    struct reading r = {.err = ERROR_NULL};
    struct memory_source memory = {.data = text, .size = size};
    cleanup(hdr_log_reader_deinit) struct hdr_log_reader reader;
    hdr_log_reader_init(&reader, "x.hlog", memory_source(&memory));
    cleanup(histogram_deinit) struct histogram sum;
    histogram_init(&sum, HISTOGRAM_HOUR_NS);
    while ((r.result = hdr_log_next(&reader, &r.last, &r.err)) == 0) {
        r.intervals++;
        if ((r.result = hdr_log_decode(&reader, &sum, &r.err)) < 0)
            break;
    }
    r.cut = reader.cut;
    return r;
}

static void refuse(const char *text, enum error_kind kind, const char *what) {
    struct reading r = read_all(text, strlen(text));
    assert_int_equal(r.result, -1);
    assert_int_equal(r.err.kind, kind);
    if (!strstr(r.err.text, what) || !text_starts(r.err.text, "'x.hlog', line "))
        fail_msg("'%s' does not say '%s'", r.err.text, what);
}

/* An empty histogram. */
#define EMPTY "HISTFAAAACF42pNpmSzMwMDAyAABzFAayGd2M9ixgMH+A1QEAFKmBEw="

static void a_log_has_the_lines_that_others_expect(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
    begin(&w, &out);
    assert_string_equal(
        buffer_string(&out),
        "#[seatrial]\n"
        "#[StartTime: 1441812279.474 (seconds since epoch), 2015-09-09T15:24:39.474000000Z]\n"
        "#[BaseTime: 0.000 (seconds since epoch)]\n"
        "#[Histogram log format version 1.3]\n"
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
        "\"Interval_Compressed_Histogram\"\n");
    buffer_clear(&out);
    log_values(&w, "send", 1, 1000, 1001);
    assert_true(text_starts(buffer_string(&out), "Tag=send,1441812279.475,1.000,1.000,HISTF"));
    assert_int_equal(strcspn(buffer_string(&out), "\n"), out.size - 1);
}

static void intervals_that_adjoin_do_so_in_the_log(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer out;
    cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    begin(&w, &out);
    struct memory_source memory;
    int64_t at = START_NS + 499999, step = 333333333;
    for (int i = 0; i < 20; i++)
        good(hdr_log_interval(&w, NULL, (struct wall_time){at + i * step},
                              (struct wall_time){at + (i + 1) * step}, &h, &err),
             &err);
    memory = (struct memory_source){.data = out.data, .size = out.size};
    cleanup(hdr_log_reader_deinit) struct hdr_log_reader reader;
    hdr_log_reader_init(&reader, "x.hlog", memory_source(&memory));
    struct wall_time before = ms(0);
    struct hdr_interval interval;
    for (int i = 0; i < 20; i++) {
        good(hdr_log_next(&reader, &interval, &err), &err);
        assert_int_equal(interval.start.ns, before.ns);
        before = interval.end;
    }
    assert_int_equal(hdr_log_next(&reader, &interval, &err), 1);
}

/* One after another: what a folder of the test has to have. */
static char *write_temporary(const char *name, const char *data, size_t size) {
    struct error err = ERROR_NULL;
    char folder[] = "/tmp/hdr-log-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = path_join(folder, name);
    good(file_write(path, 0600, data, size, &err), &err);
    return path;
}

static void remove_temporary(char *path) {
    cleanup_free char *folder = path_folder(path);
    unlink(path);
    rmdir(folder);
    free(path);
}

static void logs_are_merged_exactly(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    cleanup(histogram_deinit) struct histogram merged, all;
    histogram_init(&merged, HISTOGRAM_HOUR_NS);
    histogram_init(&all, HISTOGRAM_HOUR_NS);
    for (int loader = 2; loader >= 0; loader--) {
        cleanup(buffer_deinit) struct buffer out;
        cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
        begin(&w, &out);
        for (int second = 0; second < 4; second++) {
            uint64_t from = 1 + (uint64_t)loader * 5000 + (uint64_t)second * 700;
            log_values(&w, NULL, loader * 10 + second * 1000, from, from + 900);
            log_values(&w, "send", loader * 10 + second * 1000, 1, 9);
            for (uint64_t value = from; value < from + 900; value++)
                histogram_record(&all, value * value);
        }
        char *path = write_temporary("latency.hlog", out.data, out.size);
        good(hdr_log_add(&sum, path, NULL, &merged, &err), &err);
        remove_temporary(path);
    }
    assert_int_equal(sum.intervals, 12);
    assert_int_equal(sum.start.ns, ms(0).ns);
    assert_int_equal(sum.end.ns, ms(4020).ns);
    assert_int_equal(sum.logs_cut, 0);
    assert_int_equal(merged.count, all.count);
    assert_memory_equal(merged.counts, all.counts, all.counts_size * sizeof *all.counts);
}

static void a_log_that_is_not_there_or_no_file_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    assert_int_equal(hdr_log_add(&sum, "/nowhere/x.hlog", NULL, &h, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_int_equal(hdr_log_add(&sum, "/tmp", NULL, &h, &err), -1);
    assert_string_equal(err.text, "'/tmp' is not a file");
    char *path = write_temporary("pipe", "", 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(hdr_log_add(&sum, path, NULL, &h, &err), -1);
    assert_non_null(strstr(err.text, "is not a file"));
    remove_temporary(path);
}

static void check_java_tag(const char *tag, const char *expected) {
    struct error err = ERROR_NULL;
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, 8 * HISTOGRAM_HOUR_NS); /* one of them has been shifted left */
    good(hdr_log_add(&sum, JAVA_LOG, tag, &h, &err), &err);
    assert_int_equal(h.clamped, 0);
    int checked = 0;
    for (const char *line = expected; *line; line = strchr(line, '\n') + 1) {
        char name[32], what[32];
        uint64_t number;
        assert_int_equal(sscanf(line, "%31s %31s %" SCNu64, name, what, &number), 3);
        if (!text_equal(name, tag ? tag : "-"))
            continue;
        assert_int_equal(text_equal(what, "count") ? h.count
                                                   : histogram_percentile(&h, strtod(what, NULL)),
                         number);
        checked++;
    }
    assert_int_equal(checked, 12);
    /* The empty one is in the fourth second; all times in this log count from its start. */
    assert_int_equal(sum.start.ns,
                     ms(text_equal(tag, "fine") || text_equal(tag, "shifted") ? 3000 : 0).ns);
    assert_int_equal(sum.end.ns, ms(tag && text_equal(tag, "send") ? 3000 : 4000).ns);
}

static void a_log_of_java_has_the_percentiles_that_java_says(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer expected;
    buffer_init(&expected, 1 << 16);
    good(file_read(JAVA_EXPECTED, 1 << 16, &expected, &err), &err);
    check_java_tag(NULL, buffer_string(&expected));
    check_java_tag("send", buffer_string(&expected));
    check_java_tag("fine", buffer_string(&expected));
    check_java_tag("shifted", buffer_string(&expected));
}

static void what_we_cannot_keep_exactly_is_refused_by_name(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    assert_int_equal(hdr_log_add(&sum, JAVA_LOG, "coarse", &h, &err), -1);
    assert_non_null(strstr(err.text, "java.hlog', line 14: a histogram that cannot tell "));
    assert_int_equal(hdr_log_add(&sum, JAVA_LOG, "double", &h, &err), -1);
    assert_non_null(strstr(err.text, "java.hlog', line 16: a histogram of floating-point values"));
    assert_int_equal(h.count, 0);
}

/* Compression may differ from one zlib to the next; what is compressed may not. */
static void we_encode_as_java_byte_by_byte(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 1 << 16);
    good(file_read(JAVA_LOG, 1 << 16, &text, &err), &err);
    struct memory_source memory = {.data = text.data, .size = text.size};
    cleanup(hdr_log_reader_deinit) struct hdr_log_reader reader;
    hdr_log_reader_init(&reader, "java.hlog", memory_source(&memory));
    struct hdr_interval interval;
    int compared = 0;
    while (hdr_log_next(&reader, &interval, &err) == 0) {
        if (!text_equal(interval.tag, "") && !text_equal(interval.tag, "send"))
            continue;
        cleanup(buffer_deinit) struct buffer theirs, ours;
        cleanup(histogram_deinit) struct histogram h;
        histogram_init(&h, HISTOGRAM_HOUR_NS);
        buffer_init(&theirs, HDR_ENCODED_SIZE_MAX);
        buffer_init(&ours, HDR_ENCODED_SIZE_MAX);
        good(hdr_log_decode(&reader, &h, &err), &err);
        good(deflate_unpack(reader.encoded.data + 8, reader.encoded.size - 8, &theirs, &err), &err);
        hdr_encode(&h, &ours);
        assert_int_equal(ours.size, theirs.size);
        assert_memory_equal(ours.data, theirs.data, ours.size);
        compared++;
    }
    assert_int_equal(compared, 7);
}

static int64_t start_of(const char *head, const char *stamp) {
    cleanup_free char *text = text_format("%s%s,1.000,0.000," EMPTY "\r\n", head, stamp);
    struct reading r = read_all(text, strlen(text));
    if (r.result != 1 || r.intervals != 1)
        fail_msg("%s", r.err.text);
    return r.last.start.ns;
}

static void times_are_absolute_or_count_from_the_start(void **state) {
    (void)state;
    static const char start[] = "#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09]\n";
    static const char zero[] = "#[StartTime: 1441812279.474 (seconds since epoch)]\n"
                               "#[BaseTime: 0.000 (seconds since epoch)]\n";
    assert_int_equal(start_of(start, "1441812279.601"), INT64_C(1441812279601000000));
    assert_int_equal(start_of(start, "1441812279.1"), INT64_C(1441812279100000000));
    assert_int_equal(start_of(start, "0.127"), INT64_C(1441812279601000000));
    assert_int_equal(start_of(zero, "0.127"), INT64_C(127000000));
    assert_int_equal(start_of("", "12"), INT64_C(12000000000));
    assert_int_equal(start_of("#[BaseTime: 5]\n\n#[other]\n", "1.0000000019"), INT64_C(6000000001));
}

static void a_log_that_was_cut_ends_before_its_last_line(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
    begin(&w, &out);
    log_values(&w, NULL, 0, 1, 50);
    size_t first_end = out.size;
    log_values(&w, "send", 0, 1, 50);
    for (size_t size = first_end + 1; size < out.size - 1; size++) {
        struct reading r = read_all(out.data, size);
        assert_int_equal(r.result, 1);
        assert_int_equal(r.intervals, 1);
        assert_true(r.cut);
    }
    struct reading r = read_all(out.data, out.size - 1); /* only the newline is missing */
    assert_int_equal(r.intervals, 2);
    assert_false(r.cut);
    assert_string_equal(r.last.tag, "send");
}

static void lines_that_are_no_intervals_are_refused(void **state) {
    (void)state;
    refuse("\n\nnonsense\n", ERROR_INVALID, "line 3: not an interval");
    refuse("1.0,1.0,0.0\n", ERROR_INVALID, "not an interval");
    refuse("1.0,1.0,0.0," EMPTY ",more\n", ERROR_INVALID, "not an interval");
    refuse("Tag=a\n", ERROR_INVALID, "not an interval");
    refuse("Tag=,1.0,1.0,0.0," EMPTY "\n", ERROR_INVALID, "'' cannot be a tag");
    refuse("Tag=a b,1.0,1.0,0.0," EMPTY "\n", ERROR_INVALID, "'a b' cannot be a tag");
    refuse("-1,1.0,0.0," EMPTY "\n", ERROR_INVALID, "'-1' is not a time");
    refuse("1.0,1e3,0.0," EMPTY "\n", ERROR_INVALID, "'1e3' is not a time");
    refuse(".5,1.0,0.0," EMPTY "\n", ERROR_INVALID, "'.5' is not a time");
    refuse("99999999999999999999999999,1,0.0," EMPTY "\n", ERROR_INVALID, "is not a time");
    refuse("9000000000,9000000000,0.0," EMPTY "\n", ERROR_LIMIT, "beyond our clocks");
    refuse("#[StartTime: soon]\n", ERROR_INVALID, "line 1: 'soon' is not a time");
    refuse("1.0,1.0,0.0,\n", ERROR_INVALID, "a histogram is cut off");
    refuse("1.0,1.0,0.0,%%%%\n", ERROR_INVALID, "not base64");
    refuse("1.0,1.0,0.0,YSBwaWN0dXJl\n", ERROR_INVALID, "not an encoded histogram");
    struct reading r = read_all("#\0\n", 3);
    assert_int_equal(r.result, -1);
    assert_non_null(strstr(r.err.text, "not text"));
}

static void a_line_without_end_is_refused_at_its_maximum(void **state) {
    (void)state;
    size_t size = HDR_LOG_LINE_SIZE_MAX + 100000;
    cleanup_free char *text = mem_alloc(size);
    memset(text, '1', size);
    struct reading r = read_all(text, size);
    assert_int_equal(r.result, -1);
    assert_int_equal(r.err.kind, ERROR_LIMIT);
    assert_string_equal(r.err.text, "'x.hlog', line 1: longer than 4194304 bytes");
}

static void tags_are_what_readers_can_split(void **state) {
    (void)state;
    char longest[HDR_LOG_TAG_SIZE + 1];
    memset(longest, 'x', sizeof longest);
    longest[HDR_LOG_TAG_SIZE - 1] = '\0';
    assert_true(hdr_log_tag_valid("send"));
    assert_true(hdr_log_tag_valid("from=send/\xc3\xa9"));
    assert_true(hdr_log_tag_valid(longest));
    longest[HDR_LOG_TAG_SIZE - 1] = 'x';
    longest[HDR_LOG_TAG_SIZE] = '\0';
    assert_false(hdr_log_tag_valid(longest));
    assert_false(hdr_log_tag_valid(""));
    assert_false(hdr_log_tag_valid("a,b"));
    assert_false(hdr_log_tag_valid("a b"));
    assert_false(hdr_log_tag_valid("a\nb"));
    assert_false(hdr_log_tag_valid("\"a"));
}

static void a_full_disk_is_reported(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_fclose FILE *full = fopen("/dev/full", "we");
    assert_non_null(full);
    cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
    hdr_log_writer_init(&w, hdr_log_file(full));
    assert_int_equal(hdr_log_begin(&w, NULL, ms(0), &err), -1);
    assert_string_equal(err.text, "write a histogram log: No space left on device");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_has_the_lines_that_others_expect),
        cmocka_unit_test(intervals_that_adjoin_do_so_in_the_log),
        cmocka_unit_test(logs_are_merged_exactly),
        cmocka_unit_test(a_log_that_is_not_there_or_no_file_is_an_error),
        cmocka_unit_test(a_log_of_java_has_the_percentiles_that_java_says),
        cmocka_unit_test(what_we_cannot_keep_exactly_is_refused_by_name),
        cmocka_unit_test(we_encode_as_java_byte_by_byte),
        cmocka_unit_test(times_are_absolute_or_count_from_the_start),
        cmocka_unit_test(a_log_that_was_cut_ends_before_its_last_line),
        cmocka_unit_test(lines_that_are_no_intervals_are_refused),
        cmocka_unit_test(a_line_without_end_is_refused_at_its_maximum),
        cmocka_unit_test(tags_are_what_readers_can_split),
        cmocka_unit_test(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
