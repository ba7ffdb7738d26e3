/* Stages: what is recorded is counted where it belongs, once, and read while it is written. */

#include "executor/stages.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t count_of(const struct stages *s, enum stage stage, size_t bucket) {
    return atomic_load(&s->of[stage].counts[bucket]);
}

static void bounds_rise_from_a_microsecond_to_ten_seconds(void **state) {
    (void)state;
    assert_int_equal(stage_bounds_ns[0], NS_PER_US);
    assert_int_equal(stage_bounds_ns[STAGE_BOUNDS - 1], 10 * NS_PER_SEC);
    for (size_t i = 1; i < STAGE_BOUNDS; i++) {
        assert_true(stage_bounds_ns[i] > stage_bounds_ns[i - 1]);
        assert_true(3 * stage_bounds_ns[i] <= 5 * stage_bounds_ns[i - 1]);
    }
}

static void a_time_counts_up_to_its_bound(void **state) {
    (void)state;
    cleanup_free struct stages *s = mem_new(struct stages);
    for (size_t i = 0; i < STAGE_BOUNDS; i++) {
        stages_record(s, STAGE_TREE, stage_bounds_ns[i]);
        stages_record(s, STAGE_TREE, stage_bounds_ns[i] + 1);
        assert_int_equal(count_of(s, STAGE_TREE, i), i == 0 ? 1 : 2);
        assert_int_equal(count_of(s, STAGE_TREE, i + 1), 1);
    }
    stages_record(s, STAGE_TREE, UINT64_MAX / 2);
    assert_int_equal(count_of(s, STAGE_TREE, STAGE_BOUNDS), 2);
    stages_record(s, STAGE_STORE, 0);
    assert_int_equal(count_of(s, STAGE_STORE, 0), 1);
}

static void what_is_not_known_is_not_recorded(void **state) {
    (void)state;
    cleanup_free struct stages *s = mem_new(struct stages);
    struct stopwatch still = {.stages = NULL};
    stages_record_since(s, STAGE_ORDER, 0, 5);
    stages_record_since(s, STAGE_ORDER, 7, 5);
    stages_record_since(NULL, STAGE_ORDER, 1, 5);
    stages_record(NULL, STAGE_ORDER, 5);
    stopwatch_start(&still);
    stopwatch_lap(&still, STAGE_ORDER);
    stopwatch_lap(NULL, STAGE_ORDER);
    assert_int_equal(stopwatch_split(&still), 0);
    for (size_t i = 0; i <= STAGE_BOUNDS; i++)
        assert_int_equal(count_of(s, STAGE_ORDER, i), 0);
    stages_record_since(s, STAGE_ORDER, 1, 5);
    assert_int_equal(count_of(s, STAGE_ORDER, 0), 1);
    assert_int_equal(atomic_load(&s->of[STAGE_ORDER].sum_ns), 4);
}

static void laps_follow_one_another_without_a_gap(void **state) {
    (void)state;
    cleanup_free struct stages *s = mem_new(struct stages);
    struct stopwatch w = {.stages = s};
    uint64_t split_ns = 0;
    stopwatch_start(&w);
    uint64_t begin_ns = w.at_ns;
    for (int i = 0; i < 100; i++) {
        stopwatch_lap(&w, STAGE_EXECUTE);
        stopwatch_lap(&w, STAGE_TREE);
        split_ns += stopwatch_split(&w);
    }
    uint64_t sum_ns =
        atomic_load(&s->of[STAGE_EXECUTE].sum_ns) + atomic_load(&s->of[STAGE_TREE].sum_ns);
    assert_int_equal(sum_ns + split_ns, w.at_ns - begin_ns);
}

enum { RECORDED = 200 * 1000 };

static void *record_many(void *stages) {
    for (uint64_t i = 0; i < RECORDED; i++)
        stages_record(stages, STAGE_RECEIVE, i);
    return NULL;
}

/* Of the text, the last count of a stage. */
static unsigned long long told(const struct stages *s) {
    static const char series[] = "seatrial_replica_stage_seconds_count{stage=\"receive\"} ";
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 1 << 20);
    stages_write(s, &out);
    const char *at = strstr(buffer_string(&out), series);
    assert_non_null(at);
    return strtoull(at + strlen(series), NULL, 10);
}

static void it_is_read_while_it_is_written(void **state) {
    (void)state;
    pthread_t writer;
    unsigned long long now = 0, before;
    cleanup_free struct stages *s = mem_new(struct stages);
    assert_int_equal(pthread_create(&writer, NULL, record_many, s), 0);
    for (int i = 0; i < 20; i++) {
        before = now;
        now = told(s);
        assert_true(now >= before && now <= RECORDED);
    }
    pthread_join(writer, NULL);
    assert_int_equal(told(s), RECORDED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_rise_from_a_microsecond_to_ten_seconds),
        cmocka_unit_test(a_time_counts_up_to_its_bound),
        cmocka_unit_test(what_is_not_known_is_not_recorded),
        cmocka_unit_test(laps_follow_one_another_without_a_gap),
        cmocka_unit_test(it_is_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
