/* The storage thread: jobs come back in order, stored; failures come back as such. And the threads
 * of pre-execution. */

#include "executor/pre_execution.h"
#include "executor/result.h"
#include "executor/storage.h"

#include "lib/clock.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct storage *start(uint64_t bytes_max) {
    struct error err = ERROR_NULL;
    struct store *store;
    struct chain chain;
    struct storage *s;
    chain_init(&chain);
    assert_int_equal(store_open_memory(bytes_max, 0, &store, &err), 0);
    assert_int_equal(storage_start(store, &chain, 4096, &s, &err), 0);
    return s;
}

static struct storage_job job_of(uint64_t height, uint32_t value_size) {
    return (struct storage_job){
        .height = height,
        .request = (void *)(uintptr_t)height,
        .command = {.client = height % 3,
                    .number = height,
                    .key_count = 2,
                    .key_size = 20,
                    .value_size = value_size},
    };
}

static void wait_for(int fd) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
}

static void jobs_come_back_in_order_with_their_digests(void **state) {
    (void)state;
    enum { JOBS = 2000 };
    struct error err = ERROR_NULL;
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_job jobs[64];
    uint8_t last[SHA256_SIZE] = {0};
    for (uint64_t height = 1; height <= JOBS; height++) {
        struct storage_job job = job_of(height, 100);
        storage_push(s, &job);
        if (height % 100 == 0)
            storage_kick(s);
    }
    for (uint64_t back = 0; back < JOBS;) {
        size_t count = storage_take(s, jobs, 64);
        if (count == 0)
            wait_for(storage_done_fd(s));
        for (size_t i = 0; i < count; i++, back++) {
            assert_int_equal(jobs[i].height, back + 1);
            assert_int_equal((uintptr_t)jobs[i].request, back + 1);
            assert_memory_not_equal(jobs[i].digest, last, sizeof last);
            memcpy(last, jobs[i].digest, sizeof last);
        }
    }
    assert_false(storage_failed(s, &err));
    storage_stop(s);
    cleanup(store_freep) struct store *store = storage_free(s);
    assert_int_equal(store_height(store), JOBS);
}

static void what_does_not_fit_fails_and_what_came_before_is_stored(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct storage *s = start(UINT64_C(140) << 20);
    struct storage_job jobs[64];
    for (uint64_t height = 1; height <= 100; height++) {
        struct storage_job job = job_of(height, 1 << 20);
        storage_push(s, &job);
    }
    storage_kick(s);
    uint64_t back = 0;
    while (!storage_failed(s, &err)) {
        wait_for(storage_done_fd(s));
        back += storage_take(s, jobs, 64);
    }
    for (size_t count; (count = storage_take(s, jobs, 64)) > 0;)
        back += count;
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_in_range(back, 40, 70);
    storage_stop(s);
    size_t left = 0;
    for (size_t count; (count = storage_take(s, jobs, 64)) > 0;)
        left += count;
    assert_int_equal(back + left, 100); /* none is lost, so that each can be released */
    cleanup(store_freep) struct store *store = storage_free(s);
    assert_int_equal(store_height(store), back);
}

static void execution_takes_its_time_unless_it_was_spent_before(void **state) {
    (void)state;
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_job back, job = job_of(1, 10);
    job.command.execution_ms = 30;
    for (uint64_t height = 1; height <= 3; height++) {
        struct instant begin = clock_instant();
        job.height = job.command.number = height;
        job.busy_wait = height == 2;
        job.skip_execution = height == 3;
        storage_push(s, &job);
        storage_kick(s);
        wait_for(storage_done_fd(s));
        assert_int_equal(storage_take(s, &back, 1), 1);
        uint64_t took_ns = instant_ns_between(begin, clock_instant());
        if (height < 3)
            assert_true(took_ns >= 30 * NS_PER_MS);
    }
    storage_stop(s);
    store_free(storage_free(s));
}

static void pre_executions_run_side_by_side(void **state) {
    (void)state;
    enum { JOBS = 20, EACH_MS = 100 };
    struct error err = ERROR_NULL;
    struct pre_execution *p;
    assert_int_equal(pre_execution_new(&p, &err), 0);
    struct instant begin = clock_instant();
    for (uintptr_t i = 1; i <= JOBS; i++)
        assert_true(pre_execution_push(
            p, &(struct pre_execution_job){.request = (void *)i, .execution_ms = EACH_MS}));
    uintptr_t sum = 0;
    for (int taken = 0; taken < JOBS;) {
        void *request = pre_execution_take(p);
        if (!request) {
            wait_for(pre_execution_fd(p));
            continue;
        }
        sum += (uintptr_t)request;
        taken++;
    }
    assert_int_equal(sum, JOBS * (JOBS + 1) / 2);
    uint64_t took_ns = instant_ns_between(begin, clock_instant());
    assert_true(took_ns >= EACH_MS * NS_PER_MS);
    assert_true(took_ns < JOBS * EACH_MS * NS_PER_MS); /* one after the other */
    pre_execution_free(p, NULL);
}

static unsigned released;
static void release(void *request) {
    (void)request;
    released++;
}

static void too_many_pre_executions_are_refused_and_none_is_lost(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct pre_execution *p;
    unsigned pushed = 0;
    assert_int_equal(pre_execution_new(&p, &err), 0);
    while (pre_execution_push(p, &(struct pre_execution_job){.request = p, .execution_ms = 20}))
        pushed++;
    assert_int_equal(pushed, PRE_EXECUTION_WAITING_MAX);
    released = 0;
    pre_execution_free(p, release);
    assert_int_equal(released, pushed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_back_in_order_with_their_digests),
        cmocka_unit_test(what_does_not_fit_fails_and_what_came_before_is_stored),
        cmocka_unit_test(execution_takes_its_time_unless_it_was_spent_before),
        cmocka_unit_test(pre_executions_run_side_by_side),
        cmocka_unit_test(too_many_pre_executions_are_refused_and_none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
