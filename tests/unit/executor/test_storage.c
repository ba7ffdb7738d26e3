/* The storage thread: jobs come back in order, stored; failures come back as such. What it has to
 * do with executing is in test_execution.c. */

#include "executor/chain/kv.h"
#include "executor/chain/pee.h"
#include "executor/chain/read_set.h"
#include "executor/chain/write_set.h"
#include "executor/storage.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/executor/storage_stage.h"
#include "tests/unit/folder.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

/* ---- what the loop does itself ---- */

/* The thread may not have come to its rest yet. */
static void do_at_once(struct storage *s) {
    while (!storage_do_at_once(s))
        sched_yield();
}

static void little_is_stored_at_once_as_the_thread_would_do_it(void **state) {
    (void)state;
    struct storage *here = start(UINT64_C(140) << 20), *there = start(UINT64_C(140) << 20);
    struct storage_job job, mine[20], theirs;
    for (uint64_t height = 1; height <= 20; height++) {
        job = job_of(height, 100);
        storage_push(here, &job);
        storage_push(there, &job);
    }
    do_at_once(here);
    assert_false(storage_do_at_once(here));
    struct pollfd done = {.fd = storage_done_fd(here), .events = POLLIN};
    assert_int_equal(poll(&done, 1, 0), 0);
    assert_int_equal(storage_take(here, mine, 20), 20);
    storage_kick(there);
    for (uint64_t height = 1; height <= 20; height++) {
        while (storage_take(there, &theirs, 1) == 0)
            wait_for(storage_done_fd(there));
        assert_int_equal(mine[height - 1].height, height);
        assert_memory_equal(mine[height - 1].digest, theirs.digest, SHA256_SIZE);
    }
    job = job_of(21, 100); /* and the thread goes on from there */
    storage_push(here, &job);
    storage_kick(here);
    while (storage_take(here, mine, 1) == 0)
        wait_for(storage_done_fd(here));
    storage_stop(here);
    storage_stop(there);
    cleanup(store_freep) struct store *first = storage_free(here), *second = storage_free(there);
    assert_int_equal(store_height(first), 21);
    assert_int_equal(store_height(second), 20);
}

static void expect_left_to_the_thread(struct storage *s, const struct storage_job *job) {
    struct storage_job back;
    storage_push(s, job);
    for (int i = 0; i < 100; i++) {
        assert_false(storage_do_at_once(s));
        sched_yield();
    }
    storage_kick(s);
    while (storage_take(s, &back, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_int_equal(back.height, job->height);
}

static void what_may_take_long_is_left_to_the_thread(void **state) {
    (void)state;
    static const struct store_identity rocks = {.run = "r", .n = 1, .merkle = "keys"};
    struct error err = ERROR_NULL;
    struct storage *s = start(UINT64_C(140) << 20);
    struct storage_job job = job_of(1, 100 * 1000); /* much is written */
    expect_left_to_the_thread(s, &job);
    job = job_of(2, 100);
    job.command.execution_ms = 1;
    expect_left_to_the_thread(s, &job);
    job = job_of(3, 100);
    job.command.key_space = 10;
    job.command.read_count = 1;
    expect_left_to_the_thread(s, &job);
    storage_stop(s);
    store_free(storage_free(s));
    struct folder folder = folder_make();
    struct store *store;
    cleanup_free char *path = text_format("%s/data", folder.path);
    assert_int_equal(store_open_rocksdb(path, &rocks, STORE_SYNC_NONE, &store, &err), 0);
    s = start_on(store);
    job = job_of(1, 100);
    expect_left_to_the_thread(s, &job);
    storage_stop(s);
    store_free(storage_free(s));
    folder_remove(&folder);
}

/* ---- blocks between replicas ---- */

static void push_all(struct storage *s, uint64_t from, uint64_t upto) {
    for (uint64_t height = from; height <= upto; height++) {
        struct storage_job job = job_of(height, 100);
        job.sequence = height + 7;
        storage_push(s, &job);
    }
    storage_kick(s);
}

/* Waits for `count` jobs. Gives the digest of the last one. Returns how many were refused. */
static size_t take_all(struct storage *s, size_t count, struct storage_job *ret_last) {
    size_t refused = 0;
    for (size_t back = 0; back < count;) {
        if (storage_take(s, ret_last, 1) == 0) {
            wait_for(storage_done_fd(s));
            continue;
        }
        refused += ret_last->refused;
        assert_int_equal(ret_last->refused, ret_last->problem[0] != '\0');
        blob_unref(ret_last->block);
        back++;
    }
    return refused;
}

static struct storage_fetch fetch(struct storage *s, uint64_t height, uint32_t count) {
    struct storage_fetch back, wanted = {.id = 77, .height = height, .count = count};
    assert_true(storage_push_fetch(s, &wanted));
    storage_kick(s);
    while (storage_take_fetches(s, &back, 1) == 0)
        wait_for(storage_done_fd(s));
    assert_int_equal(back.id, 77);
    assert_string_equal(back.problem, "");
    return back;
}

static void drop(struct storage_fetch *fetch) {
    for (uint32_t i = 0; i < fetch->found; i++)
        blob_unref(fetch->blocks[i]);
}

static void stop(struct storage *s, uint64_t expected_height) {
    storage_stop(s);
    cleanup(store_freep) struct store *store = storage_free(s);
    assert_int_equal(store_height(store), expected_height);
}

static void blocks_that_were_fetched_make_the_same_chain_elsewhere(void **state) {
    (void)state;
    struct storage *from = start(UINT64_C(256) << 20), *to = start(UINT64_C(256) << 20);
    struct storage_job last, copied;
    push_all(from, 1, 100);
    assert_int_equal(take_all(from, 100, &last), 0);
    for (uint64_t height = 1; height <= 100;) {
        struct storage_fetch fetched = fetch(from, height, STORAGE_FETCH_BLOCKS_MAX);
        assert_true(fetched.found > 0);
        for (uint32_t i = 0; i < fetched.found; i++, height++)
            storage_push_block(to, height, fetched.blocks[i], (void *)(uintptr_t)height);
    }
    storage_kick(to);
    assert_int_equal(take_all(to, 100, &copied), 0);
    assert_int_equal((uintptr_t)copied.request, 100);
    assert_memory_equal(copied.digest, last.digest, SHA256_SIZE);
    /* And both go on alike. */
    push_all(from, 101, 120);
    push_all(to, 101, 120);
    take_all(from, 20, &last);
    take_all(to, 20, &copied);
    assert_memory_equal(copied.digest, last.digest, SHA256_SIZE);
    stop(from, 120);
    stop(to, 120);
}

static void fetches_end_where_the_chain_or_the_room_ends(void **state) {
    (void)state;
    struct storage *s = start(UINT64_C(512) << 20);
    struct storage_job last;
    struct storage_fetch fetched = fetch(s, 1, 5);
    assert_int_equal(fetched.found, 0);
    push_all(s, 1, 3);
    for (uint64_t height = 4; height <= 20; height++) {
        struct storage_job job = job_of(height, 1 << 20);
        storage_push(s, &job);
    }
    storage_kick(s);
    take_all(s, 20, &last);
    fetched = fetch(s, 2, 2);
    assert_int_equal(fetched.found, 2);
    drop(&fetched);
    fetched = fetch(s, 19, 64);
    assert_int_equal(fetched.found, 2);
    drop(&fetched);
    fetched = fetch(s, 1, 64); /* three small ones, and two of 2 MiB */
    assert_int_equal(fetched.found, 5);
    drop(&fetched);
    fetched = fetch(s, 21, 1);
    assert_int_equal(fetched.found, 0);
    for (int i = 0; i < STORAGE_FETCHES_MAX; i++)
        assert_true(storage_push_fetch(s, &(struct storage_fetch){.height = 1, .count = 1}));
    assert_false(storage_push_fetch(s, &(struct storage_fetch){.height = 1, .count = 1}));
    stop(s, 20);
}

/* Any changed byte of a block, a part of it, and one that does not follow: refused, and nothing
 * has changed. */
static void blocks_that_are_not_right_are_refused_and_change_nothing(void **state) {
    (void)state;
    struct storage *from = start(UINT64_C(256) << 20), *to = start(UINT64_C(256) << 20);
    struct storage_job last;
    push_all(from, 1, 2);
    take_all(from, 2, &last);
    struct storage_fetch fetched = fetch(from, 1, 2);
    const struct blob *good = fetched.blocks[0];
    size_t pushed = 0;
    for (size_t i = 0; i < good->size; i++) {
        struct blob *bad = blob_new(good->size);
        memcpy(bad->data, good->data, good->size);
        bad->data[i] ^= 0x10;
        /* What a header says of its request only whoever knows the digest can tell. */
        if (i < 4 + 8 || i >= BLOCK_HEADER_SIZE - 8 - 64 || (i >= 20 && i < 52)) {
            storage_push_block(to, 1, bad, NULL);
            pushed++;
        } else {
            blob_unref(bad);
        }
    }
    for (size_t size = 0; size < good->size; size += 7) {
        struct blob *cut = blob_new(size);
        memcpy(cut->data, good->data, size);
        storage_push_block(to, 1, cut, NULL);
        pushed++;
    }
    storage_push_block(to, 2, blob_ref(fetched.blocks[1]), NULL);
    storage_push_block(to, 2, blob_ref(fetched.blocks[0]), NULL);
    pushed += 2;
    struct storage_job job = job_of(2, 100); /* behind a refused block */
    storage_push(to, &job);
    storage_kick(to);
    assert_int_equal(take_all(to, pushed + 1, &last), pushed + 1);
    assert_non_null(strstr(last.problem, "block 2 is refused at height 0: it does not follow"));
    for (uint64_t height = 1; height <= 2; height++)
        storage_push_block(to, height, fetched.blocks[height - 1], NULL);
    storage_kick(to);
    assert_int_equal(take_all(to, 2, &last), 0);
    stop(from, 2);
    stop(to, 2);
}

static const struct store_identity identity = {.run = "r1", .replica = 0, .n = 1, .merkle = "keys"};

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
    return (struct storage_read){.request = (void *)(uintptr_t)(first + 1),
                                 .command = {.read_only = true,
                                             .key_count = count,
                                             .key_size = 20,
                                             .key_space = 10,
                                             .first_key = first}};
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
    assert_int_equal(store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &store, &err), 0);
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

/* Values that nobody fetches: reading stops, and goes on once they are taken. */
static void values_are_answers_and_only_so_many_wait(void **state) {
    (void)state;
    enum { VALUE = 1000 * 1000, READS = 200 };
    static uint8_t put[3 + 1 + VALUE] = {KV_PUT, 1, 0, 'k'};
    static const uint8_t get[] = {KV_GET, 1, 0, 'k'}, other[] = {KV_GET, 1, 0, 'j'};
    struct error err = ERROR_NULL;
    struct storage_job job = {.height = 1, .command = {.payload = put, .payload_size = sizeof put}};
    struct storage_job ordered = {.height = 2,
                                  .command = {.payload = get, .payload_size = sizeof get}};
    struct storage_read read, back;
    options.handler = NULL;
    assert_int_equal(handler_find("kv", &options.handler, &err), 0);
    struct storage *s = start(UINT64_C(140) << 20);
    options.handler = NULL;
    storage_push(s, &job);
    storage_push(s, &ordered);
    storage_kick(s);
    for (unsigned taken = 0; taken < 2;)
        if (storage_take(s, &job, 1) > 0)
            taken++;
        else
            wait_for(storage_done_fd(s));
    assert_int_equal(job.answer->size, 1 + VALUE);
    assert_int_equal(job.answer->data[0], 1);
    blob_unref(job.answer);
    for (unsigned i = 0; i < READS; i++) {
        bool absent = i % 2;
        read =
            (struct storage_read){.command = {.read_only = true,
                                              .payload = absent ? other : get,
                                              .payload_size = absent ? sizeof other : sizeof get}};
        assert_true(storage_push_read(s, &read));
    }
    storage_kick(s);
    uint64_t most = 0;
    for (unsigned taken = 0; taken < READS; taken++) {
        while (storage_take_reads(s, &back, 1) == 0)
            wait_for(storage_done_fd(s));
        struct storage_stats stats;
        storage_get_stats(s, &stats);
        most = stats.answer_bytes > most ? stats.answer_bytes : most;
        assert_int_equal(back.height, 2);
        assert_int_equal(back.answer->size, taken % 2 ? 1 : 1 + VALUE);
        assert_int_equal(back.answer->data[0], taken % 2 ? 0 : 1);
        blob_unref(back.answer);
    }
    assert_in_range(most, 1, STORAGE_ANSWER_BYTES_MAX + STORAGE_BATCH_BYTES_MAX + (1 << 20));
    storage_stop(s);
    store_free(storage_free(s));
}

/* As after a restart with another handler: `pee` writes values that no frame can answer. */
static void a_value_that_is_too_large_to_be_an_answer_is_none(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint8_t get[3 + 20] = {KV_GET, 20, 0};
    struct storage_job back, job = job_of(1, PEE_VALUE_SIZE_MAX);
    job.command.key_count = 1;
    job.command.key_space = 1;
    pee_key(&job.command, 0, get + 3);
    struct storage *from = start(UINT64_C(140) << 20);
    storage_push(from, &job);
    storage_kick(from);
    take_all(from, 1, &back);
    struct storage_fetch fetched = fetch(from, 1, 1);
    assert_int_equal(handler_find("kv", &options.handler, &err), 0);
    struct storage *to = start(UINT64_C(140) << 20);
    options.handler = NULL;
    storage_push_block(to, 1, fetched.blocks[0], NULL);
    storage_push(to, &(struct storage_job){
                         .height = 2, .command = {.payload = get, .payload_size = sizeof get}});
    storage_kick(to);
    assert_int_equal(take_all(to, 2, &back), 0);
    assert_int_equal(back.height, 2);
    assert_null(back.answer);
    struct storage_read read = {
        .command = {.read_only = true, .payload = get, .payload_size = sizeof get}};
    assert_true(storage_push_read(to, &read));
    storage_kick(to);
    while (storage_take_reads(to, &read, 1) == 0)
        wait_for(storage_done_fd(to));
    assert_null(read.answer);
    assert_non_null(strstr(read.problem, "the answer"));
    stop(from, 1);
    stop(to, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_come_back_in_order_with_their_digests),
        cmocka_unit_test(a_value_that_is_too_large_to_be_an_answer_is_none),
        cmocka_unit_test(what_does_not_fit_fails_and_what_came_before_is_stored),
        cmocka_unit_test(little_is_stored_at_once_as_the_thread_would_do_it),
        cmocka_unit_test(what_may_take_long_is_left_to_the_thread),
        cmocka_unit_test(blocks_that_were_fetched_make_the_same_chain_elsewhere),
        cmocka_unit_test(fetches_end_where_the_chain_or_the_room_ends),
        cmocka_unit_test(blocks_that_are_not_right_are_refused_and_change_nothing),
        cmocka_unit_test(reads_see_what_was_written_in_memory),
        cmocka_unit_test(reads_see_what_was_written_in_rocksdb),
        cmocka_unit_test(reads_and_writes_do_not_starve_each_other),
        cmocka_unit_test(too_many_reads_are_refused_and_none_is_lost),
        cmocka_unit_test(a_read_of_too_much_fails_alone),
        cmocka_unit_test(values_are_answers_and_only_so_many_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
