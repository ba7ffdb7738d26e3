/* Both stores keep every byte; RocksDB also over restarts and kills. */

#include "executor/store/store.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODY = 300, KEY = 16, VALUE = 100 };

static const struct store_identity identity = {
    .run = "r1", .replica = 2, .n = 4, .merkle = "basic"};

static char *data_folder(const char *name) {
    return text_format("%s/%s", folder_shared.path, name);
}

static struct store *open_rocksdb(const char *name) {
    struct error err = ERROR_NULL;
    struct store *store = NULL;
    cleanup_free char *path = data_folder(name);
    if (store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &store, &err) < 0)
        fail_msg("%s", err.text);
    return store;
}

static struct store *open_memory(void) {
    struct error err = ERROR_NULL;
    struct store *store = NULL;
    if (store_open_memory(UINT64_C(256) << 20, 0, &store, &err) < 0)
        fail_msg("%s", err.text);
    return store;
}

/* The body of a block: key and value at known places, all bytes known. */
static void fill_body(uint64_t height, uint8_t *body) {
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)(height * 31 + i * 7);
    memcpy(body + 10, &height, sizeof height);
}

static int put(struct store *store, uint64_t height, struct error *err) {
    static const struct store_entry entries[2] = {
        {.key_offset = 10, .key_size = KEY, .value_offset = 50, .value_size = VALUE},
        {.key_offset = 200, .key_size = 1, .value_offset = 201, .value_size = 0},
    };
    char header[32];
    uint8_t *body;
    snprintf(header, sizeof header, "header %llu", (unsigned long long)height);
    if (store_reserve(store, BODY, &body, err) < 0)
        return -1;
    fill_body(height, body);
    struct store_block block = {
        .height = height,
        .header = (const uint8_t *)header,
        .header_size = strlen(header),
        .body = body,
        .body_size = BODY,
        .entries = entries,
        .entry_count = 2,
    };
    return store_put(store, &block, err);
}

static void put_all(struct store *store, uint64_t from, uint64_t upto) {
    struct error err = ERROR_NULL;
    for (uint64_t height = from; height <= upto; height++)
        if (put(store, height, &err) < 0)
            fail_msg("%s", err.text);
    if (store_commit(store, &err) < 0)
        fail_msg("%s", err.text);
}

static int check_header(void *context, uint64_t height, const uint8_t *header, size_t size,
                        struct error *err) {
    char expected[32];
    snprintf(expected, sizeof expected, "header %llu", (unsigned long long)height);
    if (size != strlen(expected) || memcmp(header, expected, size) != 0)
        return error_set(err, ERROR_INVALID, "wrong header at %llu", (unsigned long long)height);
    ++*(uint64_t *)context;
    return 0;
}

static void assert_holds(struct store *store, uint64_t upto) {
    struct error err = ERROR_NULL;
    uint64_t count = 0;
    uint8_t expected[BODY];
    assert_int_equal(store_height(store), upto);
    if (store_each_header(store, check_header, &count, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(count, upto);
    for (uint64_t height = 1; height <= upto; height++) {
        cleanup(buffer_deinit) struct buffer body, value;
        buffer_init(&body, BODY);
        buffer_init(&value, VALUE);
        fill_body(height, expected);
        assert_int_equal(store_read_body(store, height, &body, &err), 0);
        assert_int_equal(body.size, BODY);
        assert_memory_equal(body.data, expected, BODY);
        assert_int_equal(store_get(store, expected + 10, KEY, &value, &err), 0);
        assert_int_equal(value.size, VALUE);
        assert_memory_equal(value.data, expected + 50, VALUE);
    }
}

static void check_store(struct store *store) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 1000);
    assert_holds(store, 0);
    put_all(store, 1, 3);
    put_all(store, 4, 1000);
    assert_holds(store, 1000);
    assert_int_equal(store_read_header(store, 77, &out, &err), 0);
    assert_string_equal(buffer_string(&out), "header 77");
    assert_int_equal(store_read_header(store, 1001, &out, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_int_equal(store_read_body(store, 0, &out, &err), -1);
    assert_int_equal(store_get(store, "nothing", 7, &out, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void memory_keeps_every_byte(void **state) {
    (void)state;
    cleanup(store_freep) struct store *store = open_memory();
    assert_string_equal(store_name(store), "memory");
    check_store(store);
}

static void rocksdb_keeps_every_byte_also_over_a_restart(void **state) {
    (void)state;
    struct store *store = open_rocksdb("bytes");
    assert_string_equal(store_name(store), "rocksdb");
    check_store(store);
    store_free(store);
    cleanup(store_freep) struct store *again = open_rocksdb("bytes");
    assert_holds(again, 1000);
    put_all(again, 1001, 1010);
    assert_holds(again, 1010);
}

static void put_entry(struct store *store, uint64_t height, uint32_t value_size) {
    struct error err = ERROR_NULL;
    uint8_t *body;
    const struct store_entry entry = {
        .key_offset = 0, .key_size = 4, .value_offset = 4, .value_size = value_size};
    assert_int_equal(store_reserve(store, 11, &body, &err), 0);
    memcpy(body, "key0bbbbbbb", 11);
    struct store_block block = {.height = height,
                                .header = (const uint8_t *)"h",
                                .header_size = 1,
                                .body = body,
                                .body_size = 11,
                                .entries = &entry,
                                .entry_count = 1};
    assert_int_equal(store_put(store, &block, &err), 0);
    assert_int_equal(store_commit(store, &err), 0);
}

static void expect_version(struct store *store, uint64_t expected) {
    struct error err = ERROR_NULL;
    uint64_t version = 77;
    cleanup(buffer_deinit) struct buffer value;
    buffer_init(&value, 100);
    assert_int_equal(store_get_version(store, "key0", 4, &version, &err), 0);
    assert_int_equal(version, expected);
    assert_int_equal(store_get(store, "key0", 4, &value, &err), expected ? 0 : -1);
    if (expected == 0)
        assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void check_versions(struct store *store) {
    expect_version(store, 0);
    put_entry(store, 1, 7);
    put_entry(store, 2, 0);
    expect_version(store, 2);
    put_entry(store, 3, STORE_DELETED);
    expect_version(store, 0);
    put_entry(store, 4, STORE_DELETED);
    expect_version(store, 0);
    put_entry(store, 5, 3);
    expect_version(store, 5);
}

static void keys_have_versions_and_can_be_deleted(void **state) {
    (void)state;
    cleanup(store_freep) struct store *memory = open_memory();
    check_versions(memory);
    cleanup(store_freep) struct store *rocksdb = open_rocksdb("versions");
    check_versions(rocksdb);
}

static void check_latest(struct store *store) {
    struct error err = ERROR_NULL;
    uint8_t body_bytes[2][12] = {"key0aaaaaaa", "key0bbbbbbb"};
    const struct store_entry entry = {
        .key_offset = 0, .key_size = 4, .value_offset = 4, .value_size = 7};
    for (uint64_t i = 0; i < 2; i++) {
        uint8_t *body;
        assert_int_equal(store_reserve(store, 12, &body, &err), 0);
        memcpy(body, body_bytes[i], 12);
        struct store_block block = {.height = i + 1,
                                    .header = (const uint8_t *)"h",
                                    .header_size = 1,
                                    .body = body,
                                    .body_size = 12,
                                    .entries = &entry,
                                    .entry_count = 1};
        assert_int_equal(store_put(store, &block, &err), 0);
    }
    assert_int_equal(store_commit(store, &err), 0);
    cleanup(buffer_deinit) struct buffer value;
    buffer_init(&value, 100);
    assert_int_equal(store_get(store, "key0", 4, &value, &err), 0);
    assert_string_equal(buffer_string(&value), "bbbbbbb");
}

static void the_latest_value_of_a_key_is_found(void **state) {
    (void)state;
    cleanup(store_freep) struct store *memory = open_memory();
    check_latest(memory);
    cleanup(store_freep) struct store *rocksdb = open_rocksdb("latest");
    check_latest(rocksdb);
}

enum { MANY_BLOCKS = 400, MANY_KEYS = 400, MANY_SHARED = 100, MANY_ENTRY = 16 };

/* The first ones are written by every block, the others by one. */
static uint64_t number_of(uint64_t height, uint64_t i) {
    return i < MANY_SHARED ? i : height * MANY_KEYS + i;
}

static void put_many(struct store *store, uint64_t height) {
    struct error err = ERROR_NULL;
    struct store_entry entries[MANY_KEYS];
    uint8_t *body;
    assert_int_equal(store_reserve(store, MANY_KEYS * MANY_ENTRY, &body, &err), 0);
    for (uint32_t i = 0; i < MANY_KEYS; i++) {
        uint64_t words[2] = {number_of(height, i), height};
        memcpy(body + i * MANY_ENTRY, words, sizeof words);
        entries[i] = (struct store_entry){i * MANY_ENTRY, 8, i * MANY_ENTRY + 8, 8};
    }
    const struct store_block block = {.height = height,
                                      .header = (const uint8_t *)"h",
                                      .header_size = 1,
                                      .body = body,
                                      .body_size = MANY_KEYS * MANY_ENTRY,
                                      .entries = entries,
                                      .entry_count = MANY_KEYS};
    assert_int_equal(store_put(store, &block, &err), 0);
    assert_int_equal(store_commit(store, &err), 0);
}

static void expect_key(struct store *store, uint64_t number, uint64_t height) {
    struct error err = ERROR_NULL;
    uint64_t version = 77, found = 0;
    cleanup(buffer_deinit) struct buffer value;
    buffer_init(&value, sizeof found);
    assert_int_equal(store_get_version(store, &number, sizeof number, &version, &err), 0);
    assert_int_equal(version, height);
    if (height == 0)
        return;
    assert_int_equal(store_get(store, &number, sizeof number, &value, &err), 0);
    memcpy(&found, value.data, sizeof found);
    assert_int_equal(found, height);
}

/* The index grows on the way; blocks that were refused leave their bytes where it may grow next. */
static void each_of_many_keys_is_found(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint8_t *body;
    cleanup(store_freep) struct store *store = open_memory();
    for (uint64_t height = 1; height <= MANY_BLOCKS; height++) {
        assert_int_equal(store_reserve(store, 3 << 20, &body, &err), 0);
        memset(body, 0xaa, 3 << 20);
        put_many(store, height);
    }
    for (uint64_t height = 1; height <= MANY_BLOCKS; height++)
        for (uint64_t i = 0; i < MANY_KEYS; i++)
            expect_key(store, number_of(height, i), i < MANY_SHARED ? MANY_BLOCKS : height);
    for (uint64_t i = 0; i < MANY_KEYS; i++)
        expect_key(store, number_of(MANY_BLOCKS + 1, i), i < MANY_SHARED ? MANY_BLOCKS : 0);
}

static void check_empty_block(struct store *store) {
    struct error err = ERROR_NULL;
    uint8_t *body;
    assert_int_equal(store_reserve(store, 0, &body, &err), 0);
    struct store_block block = {
        .height = 1, .header = (const uint8_t *)"h", .header_size = 1, .body = body};
    assert_int_equal(store_put(store, &block, &err), 0);
    assert_int_equal(store_commit(store, &err), 0);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 100);
    assert_int_equal(store_read_body(store, 1, &out, &err), 0);
    assert_int_equal(out.size, 0);
}

static void a_block_may_write_nothing(void **state) {
    (void)state;
    cleanup(store_freep) struct store *memory = open_memory();
    check_empty_block(memory);
    cleanup(store_freep) struct store *rocksdb = open_rocksdb("nothing");
    check_empty_block(rocksdb);
}

static void a_full_memory_store_says_so_and_keeps_what_it_has(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct store *opened = NULL;
    assert_int_equal(store_open_memory(1000, 0, &opened, &err), -1);
    assert_int_equal(store_open_memory(UINT64_C(140) << 20, UINT64_C(141) << 20, &opened, &err),
                     -1);
    assert_int_equal(store_open_memory(UINT64_C(140) << 20, 1 << 20, &opened, &err), 0);
    cleanup(store_freep) struct store *store = opened;
    uint64_t height = 0;
    uint8_t *body;
    for (;;) {
        if (store_reserve(store, 20 << 20, &body, &err) < 0)
            break;
        memset(body, 7, 20 << 20);
        struct store_block block = {.height = ++height,
                                    .header = (const uint8_t *)"h",
                                    .header_size = 1,
                                    .body = body,
                                    .body_size = 20 << 20};
        assert_int_equal(store_put(store, &block, &err), 0);
    }
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "the memory store is full"));
    assert_non_null(strstr(err.hint, "--memory-max"));
    assert_int_equal(height, 6);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 21 << 20);
    assert_int_equal(store_read_body(store, 6, &out, &err), 0);
    assert_int_equal(out.size, 20 << 20);
}

/* Of its keys some are in the index already, and one of them had another value before. */
static void a_block_that_memory_is_full_in_the_middle_of_is_not_read(void **state) {
    (void)state;
    enum { KEYS = 10000, ENTRY = 16 };
    struct error err = ERROR_NULL;
    struct store *opened = NULL;
    static struct store_entry entries[KEYS];
    const char *const header = "h";
    uint64_t shared = 0, version;
    uint8_t *body;
    int r = 0;
    assert_int_equal(store_open_memory(UINT64_C(140) << 20, 0, &opened, &err), 0);
    cleanup(store_freep) struct store *store = opened;
    cleanup(buffer_deinit) struct buffer value;
    buffer_init(&value, 64);
    for (uint64_t height = 1; r == 0; height++) {
        if (store_reserve(store, KEYS * ENTRY, &body, &err) < 0)
            fail_msg("%s", err.text); /* it is the index that there has to be no room for */
        for (uint32_t i = 0; i < KEYS; i++) {
            uint64_t words[2] = {i ? height * KEYS + i : shared, height};
            memcpy(body + i * ENTRY, words, sizeof words);
            entries[i] = (struct store_entry){i * ENTRY, 8, i * ENTRY + 8, 8};
        }
        const struct store_block block = {.height = height,
                                          .header = (const uint8_t *)header,
                                          .header_size = 1,
                                          .body = body,
                                          .body_size = KEYS * ENTRY,
                                          .entries = entries,
                                          .entry_count = KEYS};
        r = store_put(store, &block, &err);
        assert_true(r < 0 || store_commit(store, &err) == 0);
    }
    assert_int_equal(err.kind, ERROR_LIMIT);
    error_clear(&err);
    assert_int_equal(store_get(store, &shared, sizeof shared, &value, &err), -1);
    assert_non_null(strstr(err.text, "that there was no room for"));
    assert_int_equal(store_get_version(store, &shared, sizeof shared, &version, &err), -1);
    const uint64_t other = KEYS + 7;
    assert_int_equal(store_get(store, &other, sizeof other, &value, &err), 0);
}

static void data_of_another_cluster_or_replica_is_refused(void **state) {
    (void)state;
    store_free(open_rocksdb("mine"));
    const struct store_identity others[] = {
        {.run = "r2", .replica = 2, .n = 4, .merkle = "basic"},
        {.run = "r1", .replica = 1, .n = 4, .merkle = "basic"},
        {.run = "r1", .replica = 2, .n = 7, .merkle = "basic"},
        {.run = "r1", .replica = 2, .n = 4, .merkle = "keys"},
    };
    cleanup_free char *path = data_folder("mine");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct error err = ERROR_NULL;
        struct store *store = NULL;
        assert_int_equal(store_open_rocksdb(path, &others[i], STORE_SYNC_NONE, &store, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFLICT);
        assert_non_null(strstr(err.text, "belongs to seatrial 3, run r1, replica 2 of 4, merkle "));
    }
}

static void a_folder_in_use_or_not_usable_is_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct store *second = NULL;
    cleanup(store_freep) struct store *store = open_rocksdb("used");
    assert_non_null(store);
    cleanup_free char *path = data_folder("used");
    assert_int_equal(store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &second, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    assert_int_equal(
        store_open_rocksdb("/proc/version/data", &identity, STORE_SYNC_NONE, &second, &err), -1);
    assert_int_equal(err.kind, ERROR_IO);
    assert_non_null(strstr(err.text, "/proc/version/data"));
}

/* The child writes until it is killed, and tells each committed height; all of them must be there.
 */
static void killed_at_any_instant_it_opens_at_a_consistent_height(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it cannot follow a child that starts threads ("dup thread with used id") */
#endif
    uint64_t told = 0;
    for (int round = 0; round < 3; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            struct error err = ERROR_NULL;
            struct store *store = open_rocksdb("killed");
            for (uint64_t height = store_height(store) + 1;; height++) {
                if (put(store, height, &err) < 0 || store_commit(store, &err) < 0)
                    _exit(1);
                if (write(pipes[1], &height, sizeof height) != sizeof height)
                    _exit(0);
            }
        }
        close(pipes[1]);
        for (int i = 0; i < 200; i++)
            assert_int_equal(read(pipes[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        while (read(pipes[0], &told, sizeof told) == sizeof told)
            ;
        close(pipes[0]);
        waitpid(child, NULL, 0);
        cleanup(store_freep) struct store *store = open_rocksdb("killed");
        assert_true(store_height(store) == told || store_height(store) == told + 1);
        assert_holds(store, store_height(store));
    }
    assert_true(told >= 600);
}

/* A full disk, as far as RocksDB can see: no file may grow beyond a limit. Returns 0, or the line
 * that went wrong. */
static int fill_the_disk(enum store_durability durability, uint64_t *ret_stored) {
    enum { LARGE = 1 << 20, LIMIT = 20 << 20 };
    struct error err = ERROR_NULL;
    struct store *store = NULL;
    cleanup_free char *path = data_folder(store_durability_name(durability));
    const struct rlimit limit = {LIMIT, LIMIT};
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
        store_open_rocksdb(path, &identity, durability, &store, &err) < 0)
        return __LINE__;
    for (*ret_stored = 0; *ret_stored < 100; ++*ret_stored) {
        uint8_t *body;
        if (store_reserve(store, LARGE, &body, &err) < 0)
            return __LINE__;
        memset(body, (int)*ret_stored, LARGE);
        const struct store_block block = {.height = *ret_stored + 1,
                                          .header = (const uint8_t *)"h",
                                          .header_size = 1,
                                          .body = body,
                                          .body_size = LARGE};
        if (store_put(store, &block, &err) < 0)
            return __LINE__;
        if (store_commit(store, &err) < 0)
            break;
    }
    if (err.kind != ERROR_IO || !strstr(err.text, path) || !strstr(err.text, "rocksdb: "))
        return __LINE__;
    error_clear(&err);
    cleanup(buffer_deinit) struct buffer body;
    buffer_init(&body, LARGE);
    if (store_height(store) != *ret_stored || store_read_body(store, *ret_stored, &body, &err) < 0)
        return __LINE__;
    if (put(store, *ret_stored + 1, &err) < 0 || store_commit(store, &err) == 0)
        return __LINE__; /* nothing is stored any more */
    store_free(store);
    return 0;
}

static void check_failed_write(enum store_durability durability) {
    int pipes[2], status;
    uint64_t stored = 0;
    struct error err = ERROR_NULL;
    struct store *opened = NULL;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        int line = fill_the_disk(durability, &stored);
        if (line)
            fprintf(stderr, "line %d\n", line);
        _exit(line || write(pipes[1], &stored, sizeof stored) != sizeof stored);
    }
    close(pipes[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(pipes[0], &stored, sizeof stored), sizeof stored);
    close(pipes[0]);
    assert_in_range(stored, 5, 30);
    cleanup_free char *path = data_folder(store_durability_name(durability));
    assert_int_equal(store_open_rocksdb(path, &identity, durability, &opened, &err), 0);
    cleanup(store_freep) struct store *store = opened;
    assert_true(store_height(store) == stored || store_height(store) == stored + 1);
}

static void a_failed_write_is_an_error_and_what_was_stored_can_be_read(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it cannot follow a child that starts threads */
#endif
    check_failed_write(STORE_SYNC_NONE);
    check_failed_write(STORE_SYNC_GROUP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* first: it forks while there are no threads of RocksDB */
        cmocka_unit_test(killed_at_any_instant_it_opens_at_a_consistent_height),
        cmocka_unit_test(a_failed_write_is_an_error_and_what_was_stored_can_be_read),
        cmocka_unit_test(memory_keeps_every_byte),
        cmocka_unit_test(rocksdb_keeps_every_byte_also_over_a_restart),
        cmocka_unit_test(the_latest_value_of_a_key_is_found),
        cmocka_unit_test(each_of_many_keys_is_found),
        cmocka_unit_test(keys_have_versions_and_can_be_deleted),
        cmocka_unit_test(a_block_may_write_nothing),
        cmocka_unit_test(a_full_memory_store_says_so_and_keeps_what_it_has),
        cmocka_unit_test(a_block_that_memory_is_full_in_the_middle_of_is_not_read),
        cmocka_unit_test(data_of_another_cluster_or_replica_is_refused),
        cmocka_unit_test(a_folder_in_use_or_not_usable_is_refused),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
