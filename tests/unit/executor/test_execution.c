/* Executing: how long it takes, what it reads before it writes, and the threads that do it ahead of
 * the order. */

#include "executor/pre_execution.h"

#include "executor/chain/pee.h"

#include "lib/clock.h"
#include "lib/text.h"
#include "tests/unit/executor/storage_stage.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Spent again, its time would be far longer than is waited for. */
static void execution_takes_its_time_unless_it_was_spent_before(void **state) {
    (void)state;
    enum { EACH_MS = 30, AGES_MS = 3600 * 1000 };
    struct storage *s = start(UINT64_C(256) << 20);
    struct storage_job back, job = job_of(1, 10);
    for (uint64_t height = 1; height <= 3; height++) {
        struct instant begin = clock_instant();
        job.height = job.command.number = height;
        job.busy_wait = height == 2;
        job.ahead = height == 3;
        job.command.execution_ms = job.ahead ? AGES_MS : EACH_MS;
        storage_push(s, &job);
        storage_kick(s);
        wait_for(storage_done_fd(s));
        assert_int_equal(storage_take(s, &back, 1), 1);
        assert_false(back.conflict);
        if (!job.ahead)
            assert_true(instant_ns_between(begin, clock_instant()) >= EACH_MS * NS_PER_MS);
    }
    storage_stop(s);
    store_free(storage_free(s));
}

static const struct auth insecure = {.run = "run"};

static void pre_executions_run_side_by_side(void **state) {
    (void)state;
    enum { JOBS = 20, EACH_MS = 100 };
    struct error err = ERROR_NULL;
    struct pre_execution *p;
    assert_int_equal(pre_execution_new(&handler_pee, &insecure, &p, &err), 0);
    struct instant begin = clock_instant();
    for (uintptr_t i = 1; i <= JOBS; i++)
        assert_true(pre_execution_push(
            p, &(struct pre_execution_job){.request = (void *)i, .execution_ms = EACH_MS}));
    uintptr_t sum = 0;
    for (int taken = 0; taken < JOBS;) {
        struct pre_execution_job job;
        if (!pre_execution_take(p, &job)) {
            wait_for(pre_execution_fd(p));
            continue;
        }
        sum += (uintptr_t)job.request;
        taken++;
    }
    assert_int_equal(sum, JOBS * (JOBS + 1) / 2);
    uint64_t took_ns = instant_ns_between(begin, clock_instant());
    assert_true(took_ns >= EACH_MS * NS_PER_MS);
    assert_true(took_ns < JOBS * EACH_MS * NS_PER_MS); /* one after the other */
    pre_execution_free(p, NULL);
}

static atomic_size_t making, most_made;

static void expand_and_count(const struct command *command, uint8_t *out) {
    size_t now =
        atomic_fetch_add(&making, pee_write_set_size(command)) + pee_write_set_size(command);
    size_t most = atomic_load(&most_made);
    while (now > most && !atomic_compare_exchange_weak(&most_made, &most, now))
        ;
    pee_expand(command, out);
    atomic_fetch_sub(&making, pee_write_set_size(command));
}

/* As many threads as there are would take 2 GiB for a moment, for requests of no bytes. */
static void large_write_sets_are_not_made_all_at_once(void **state) {
    (void)state;
    enum { JOBS = 12 };
    struct error err = ERROR_NULL;
    struct handler counting = handler_pee;
    struct pre_execution *p;
    struct pre_execution_job job;
    const struct command large = {
        .client = 1, .number = 1, .key_count = 48, .key_size = 20, .value_size = 1 << 20};
    static const uint8_t digest[SHA256_SIZE];
    counting.expand = expand_and_count;
    assert_int_equal(pre_execution_new(&counting, &insecure, &p, &err), 0);
    for (uintptr_t i = 1; i <= JOBS; i++)
        assert_true(pre_execution_push(p, &(struct pre_execution_job){.request = (void *)i,
                                                                      .command = &large,
                                                                      .digest = digest}));
    for (int taken = 0; taken < JOBS; taken++)
        while (!pre_execution_take(p, &job))
            wait_for(pre_execution_fd(p));
    assert_in_range(atomic_load(&most_made), pee_write_set_size(&large), PRE_EXECUTION_MAKING_MAX);
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
    assert_int_equal(pre_execution_new(&handler_pee, &insecure, &p, &err), 0);
    while (pre_execution_push(p, &(struct pre_execution_job){.request = p, .execution_ms = 20}))
        pushed++;
    assert_int_equal(pushed, PRE_EXECUTION_WAITING_MAX);
    released = 0;
    pre_execution_free(p, release);
    assert_int_equal(released, pushed);
}

/* A request that reads before it writes sees all blocks before its own, whatever is committed with
 * what, and says so in its block. */
static void expect_read_sets_of(struct store *store) {
    enum { JOBS = 40 };
    struct error err = ERROR_NULL;
    struct storage *s = start_on(store);
    struct storage_job job, jobs[JOBS];
    for (uint64_t height = 1; height <= JOBS; height++) {
        job =
            job_of(height, 100); /* writes keys h and h + 1, every third reads h - 1, h and h + 1 */
        job.command.key_space = 1000;
        job.command.first_key = height;
        if (height % 3 == 0) {
            job.command.first_key = height - 1;
            job.command.read_count = 3;
        }
        storage_push(s, &job);
    }
    storage_kick(s);
    for (size_t back = 0; back < JOBS;) {
        size_t count = storage_take(s, jobs + back, JOBS - back);
        if (count == 0)
            wait_for(storage_done_fd(s));
        back += count;
    }
    assert_false(storage_failed(s, &err));
    storage_stop(s);
    cleanup(store_freep) struct store *after = storage_free(s);
    for (uint64_t height = 1; height <= JOBS; height++) {
        static const uint8_t nothing[SHA256_SIZE];
        struct block_header h;
        uint8_t expected[SHA256_SIZE];
        cleanup(buffer_deinit) struct buffer header;
        buffer_init(&header, STORE_HEADER_MAX);
        assert_int_equal(store_read_header(after, height, &header, &err), 0);
        assert_int_equal(block_header_decode((const uint8_t *)header.data, header.size, &h, &err),
                         0);
        assert_int_equal(h.read_count, height % 3 == 0 ? 3 : 0);
        if (height % 3 != 0) {
            assert_memory_equal(h.read_set, nothing, sizeof nothing);
            continue;
        }
        /* h - 1 and h by the block before; nobody has written h + 1 */
        uint8_t versions[24] = {(uint8_t)(height - 1), [8] = (uint8_t)(height - 1)};
        sha256_of(versions, sizeof versions, expected);
        assert_memory_equal(h.read_set, expected, sizeof expected);
    }
}

static void what_is_read_before_writing_is_in_the_block(void **state) {
    static const struct store_identity identity = {
        .run = "r1", .replica = 0, .n = 1, .merkle = "keys"};
    (void)state;
    struct error err = ERROR_NULL;
    struct store *store;
    struct folder folder = folder_make();
    cleanup_free char *path = text_format("%s/data", folder.path);
    assert_int_equal(store_open_memory(UINT64_C(140) << 20, 0, &store, &err), 0);
    expect_read_sets_of(store);
    assert_int_equal(store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &store, &err), 0);
    expect_read_sets_of(store);
    folder_remove(&folder);
}

/* What it gives is what the block then says of itself. */
static void an_execution_gives_what_its_block_has(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct block_header h;
    struct pre_execution *p;
    struct storage *s = start(UINT64_C(140) << 20);
    struct storage_job job = job_of(1, 100), back;
    struct pre_execution_job ahead = {
        .request = &job, .command = &job.command, .digest = job.request_digest};
    assert_int_equal(pre_execution_new(&handler_pee, &insecure, &p, &err), 0);
    assert_true(pre_execution_push(p, &ahead));
    while (!pre_execution_take(p, &ahead))
        wait_for(pre_execution_fd(p));
    pre_execution_free(p, NULL);
    storage_push(s, &job);
    storage_kick(s);
    while (storage_take(s, &back, 1) == 0)
        wait_for(storage_done_fd(s));
    storage_stop(s);
    cleanup(store_freep) struct store *store = storage_free(s);
    cleanup(buffer_deinit) struct buffer header;
    buffer_init(&header, STORE_HEADER_MAX);
    assert_int_equal(store_read_header(store, 1, &header, &err), 0);
    assert_int_equal(block_header_decode((const uint8_t *)header.data, header.size, &h, &err), 0);
    assert_memory_equal(ahead.execution.write_set, h.write_set, SHA256_SIZE);
    assert_memory_equal(ahead.execution.read_set, h.read_set, SHA256_SIZE);
}

/* Block 1 writes what the request reads; ahead of that nobody had. */
static bool conflicts(uint64_t seen_at) {
    enum { EACH_MS = 50 };
    struct storage *s = start(UINT64_C(140) << 20);
    struct storage_job first = job_of(1, 100), second = job_of(2, 100), back[2];
    struct storage_read read = {.request = &second, .ahead = true};
    first.command.key_space = second.command.key_space = 10;
    second.command.read_count = 2;
    second.command.execution_ms = EACH_MS;
    read.command = second.command;
    if (seen_at == 1)
        storage_push(s, &first);
    storage_kick(s);
    if (seen_at == 1)
        while (storage_take(s, back, 1) == 0)
            wait_for(storage_done_fd(s));
    assert_true(storage_push_read(s, &read));
    storage_kick(s);
    while (storage_take_reads(s, &read, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_string_equal(read.problem, "");
    second.ahead = true;
    memcpy(second.read_set, read.digest, sizeof second.read_set);
    struct instant begin = clock_instant();
    if (seen_at == 0)
        storage_push(s, &first);
    storage_push(s, &second);
    storage_kick(s);
    do
        wait_for(storage_done_fd(s));
    while (storage_take(s, back, 1) == 0 || back[0].height != 2);
    if (back[0].conflict)
        assert_true(instant_ns_between(begin, clock_instant()) >= EACH_MS * NS_PER_MS);
    storage_stop(s);
    store_free(storage_free(s));
    return back[0].conflict;
}

static void what_has_been_written_since_is_a_conflict_and_executed_again(void **state) {
    (void)state;
    assert_false(conflicts(1));
    assert_true(conflicts(0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(execution_takes_its_time_unless_it_was_spent_before),
        cmocka_unit_test(pre_executions_run_side_by_side),
        cmocka_unit_test(large_write_sets_are_not_made_all_at_once),
        cmocka_unit_test(too_many_pre_executions_are_refused_and_none_is_lost),
        cmocka_unit_test(what_is_read_before_writing_is_in_the_block),
        cmocka_unit_test(an_execution_gives_what_its_block_has),
        cmocka_unit_test(what_has_been_written_since_is_a_conflict_and_executed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
