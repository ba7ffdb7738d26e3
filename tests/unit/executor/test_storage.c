/* The storage thread: jobs come back in order, stored; failures come back as such. And the threads
 * of pre-execution. */

#include "executor/chain/read_set.h"
#include "executor/chain/write_set.h"
#include "executor/pre_execution.h"
#include "executor/result.h"
#include "executor/storage.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct storage *start_on(struct store *store) {
    struct error err = ERROR_NULL;
    struct chain chain;
    struct storage *s;
    chain_init(&chain);
    assert_int_equal(storage_start(store, &chain, 4096, &s, &err), 0);
    return s;
}

static struct storage *start(uint64_t bytes_max) {
    struct error err = ERROR_NULL;
    struct store *store;
    assert_int_equal(store_open_memory(bytes_max, 0, &store, &err), 0);
    return start_on(store);
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

static const struct store_identity identity = {.run = "r1", .replica = 0, .n = 1};

/* Writes three keys of a key space from `first` on, and waits until they are stored. */
static void write_keys(struct storage *s, uint64_t height, uint64_t first) {
    struct storage_job back, job = job_of(height, 100);
    job.command.key_count = 3;
    job.command.key_space = 10;
    job.command.first_key = first;
    storage_push(s, &job);
    storage_kick(s);
    while (storage_take(s, &back, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_int_equal(back.height, height);
}

static struct storage_read read_of(uint64_t first, uint32_t count) {
    return (struct storage_read){
        .request = (void *)(uintptr_t)(first + 1),
        .command = {.key_count = count, .key_size = 20, .key_space = 10, .first_key = first}};
}

static struct storage_read read_keys(struct storage *s, uint64_t first, uint32_t count) {
    struct storage_read back, read = read_of(first, count);
    assert_true(storage_push_read(s, &read));
    storage_kick(s);
    while (storage_take_reads(s, &back, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_ptr_equal(back.request, read.request);
    assert_string_equal(back.problem, "");
    return back;
}

/* What the digest must be, made from the write set itself. NULL: absent. */
static void digest_of(const struct storage_job *job, uint8_t out[SHA256_SIZE]) {
    struct read_digest d;
    read_digest_init(&d);
    read_digest_begin(&d);
    if (job) {
        cleanup_free uint8_t *set = mem_alloc(pee_write_set_size(&job->command));
        struct write_set_entry entry;
        pee_expand(&job->command, set);
        struct byte_reader r = byte_reader(set, pee_write_set_size(&job->command));
        assert_true(write_set_next(&r, &entry));
        read_digest_value(&d, entry.value, entry.value_size);
    } else {
        read_digest_absent(&d);
    }
    read_digest_end(&d, out);
    read_digest_deinit(&d);
}

static void expect_reads_to_see_writes(struct storage *s) {
    uint8_t expected[SHA256_SIZE];
    struct storage_read absent = read_keys(s, 0, 1);
    assert_int_equal(absent.height, 0);
    digest_of(NULL, expected);
    assert_memory_equal(absent.digest, expected, SHA256_SIZE);
    write_keys(s, 1, 8); /* 8, 9 and 0 */
    struct storage_read first = read_keys(s, 8, 1);
    assert_int_equal(first.height, 1);
    struct storage_job job = job_of(1, 100);
    job.command.key_count = 3;
    job.command.key_space = 10;
    job.command.first_key = 8;
    digest_of(&job, expected);
    assert_memory_equal(first.digest, expected, SHA256_SIZE);
    assert_memory_not_equal(read_keys(s, 0, 1).digest, absent.digest, SHA256_SIZE);
    assert_memory_equal(read_keys(s, 1, 1).digest, absent.digest, SHA256_SIZE);
    write_keys(s, 2, 8); /* the latest value counts */
    struct storage_read second = read_keys(s, 8, 1);
    assert_int_equal(second.height, 2);
    assert_memory_not_equal(second.digest, first.digest, SHA256_SIZE);
    assert_memory_equal(read_keys(s, 8, 1).digest, second.digest, SHA256_SIZE);
    assert_int_equal(read_keys(s, 5, 0).height, 2); /* of nothing */
}

static void reads_see_what_was_written_in_memory(void **state) {
    (void)state;
    struct storage *s = start(UINT64_C(256) << 20);
    expect_reads_to_see_writes(s);
    storage_stop(s);
    store_free(storage_free(s));
}

static void reads_see_what_was_written_in_rocksdb(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct store *store;
    struct folder folder = folder_make();
    cleanup_free char *path = text_format("%s/data", folder.path);
    assert_int_equal(store_open_rocksdb(path, &identity, &store, &err), 0);
    struct storage *s = start_on(store);
    expect_reads_to_see_writes(s);
    storage_stop(s);
    store_free(storage_free(s));
    folder_remove(&folder);
}

/* However many of either kind there are, all come back, each kind in its order. */
static void reads_and_writes_do_not_starve_each_other(void **state) {
    (void)state;
    enum { EACH = 1000 };
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_job jobs[7];
    struct storage_read reads[7];
    uint64_t height = 0;
    for (uint64_t i = 1; i <= EACH; i++) {
        struct storage_job job = job_of(i, 100);
        struct storage_read read = read_of(i % 10, 2);
        read.request = (void *)(uintptr_t)i;
        storage_push(s, &job);
        assert_true(storage_push_read(s, &read));
        if (i % 64 == 0)
            storage_kick(s);
    }
    storage_kick(s);
    for (uint64_t stored = 0, served = 0; stored < EACH || served < EACH;) {
        size_t new_jobs = storage_take(s, jobs, 7), new_reads = storage_take_reads(s, reads, 7);
        for (size_t i = 0; i < new_jobs; i++)
            assert_int_equal(jobs[i].height, ++stored);
        for (size_t i = 0; i < new_reads; i++) {
            assert_int_equal((uintptr_t)reads[i].request, ++served);
            assert_true(reads[i].height >= height);
            height = reads[i].height;
        }
        if (new_jobs + new_reads == 0)
            wait_for(storage_done_fd(s));
    }
    storage_stop(s);
    store_free(storage_free(s));
}

static void too_many_reads_are_refused_and_none_is_lost(void **state) {
    (void)state;
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_read read = read_of(0, 1);
    unsigned pushed = 0, back = 0;
    while (storage_push_read(s, &read)) /* the thread is not told */
        pushed++;
    assert_int_equal(pushed, STORAGE_READS_MAX);
    storage_stop(s);
    while (storage_take_reads(s, &read, 1) > 0)
        back++;
    assert_int_equal(back, pushed);
    store_free(storage_free(s));
}

static void a_read_of_too_much_fails_alone(void **state) {
    (void)state;
    enum { KEYS = 65 };
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_job job, back;
    struct storage_read read = read_of(0, KEYS);
    read.command.key_space = KEYS;
    for (uint64_t height = 1; height <= KEYS; height++) {
        job = job_of(height, PEE_VALUE_SIZE_MAX);
        job.command.key_count = 1;
        job.command.key_space = KEYS;
        job.command.first_key = height - 1;
        storage_push(s, &job);
    }
    storage_kick(s);
    for (uint64_t height = 1; height <= KEYS;)
        if (storage_take(s, &back, 1) == 1)
            height++;
        else
            wait_for(storage_done_fd(s));
    assert_true(storage_push_read(s, &read));
    storage_kick(s);
    while (storage_take_reads(s, &read, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_string_equal(read.problem, "a read of more than 67108864 bytes");
    assert_string_equal(read_keys(s, 0, 1).problem, "");
    storage_stop(s);
    store_free(storage_free(s));
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
        cmocka_unit_test(reads_see_what_was_written_in_memory),
        cmocka_unit_test(reads_see_what_was_written_in_rocksdb),
        cmocka_unit_test(reads_and_writes_do_not_starve_each_other),
        cmocka_unit_test(too_many_reads_are_refused_and_none_is_lost),
        cmocka_unit_test(a_read_of_too_much_fails_alone),
        cmocka_unit_test(execution_takes_its_time_unless_it_was_spent_before),
        cmocka_unit_test(pre_executions_run_side_by_side),
        cmocka_unit_test(too_many_pre_executions_are_refused_and_none_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
