/* The chain on its store: with each kind of Merkle tree, over restarts and kills, and back in time.
 */

#include "executor/ledger.h"

#include "executor/chain/pee.h"
#include "executor/store/backend.h"
#include "executor/verify.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { TREE_BYTES = 64 << 20 };

static const enum merkle all[] = {MERKLE_BASIC, MERKLE_BLOCK, MERKLE_KEYS};

static struct store *open_store(const char *name, enum merkle merkle) {
    struct error err = ERROR_NULL;
    struct store *store = NULL;
    const struct store_identity identity = {
        .run = "r1", .replica = 2, .n = 4, .merkle = merkle_name(merkle)};
    cleanup_free char *path =
        name ? text_format("%s/%s-%s", folder_shared.path, name, merkle_name(merkle)) : NULL;
    int r = name ? store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &store, &err)
                 : store_open_memory(UINT64_C(512) << 20, 0, &store, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    return store;
}

static int follow(void *context, uint64_t height, const uint8_t *header, size_t size,
                  struct error *err) {
    struct block_header h;
    (void)height;
    return chain_follow(context, header, size, &h, err);
}

static int try_open(struct store *store, const struct ledger_options *options, struct ledger **ret,
                    struct error *err) {
    struct chain chain;
    chain_init(&chain);
    if (store_each_header(store, follow, &chain, err) < 0)
        fail_msg("%s", err->text);
    return ledger_open(store, &chain, options, ret, err);
}

/* `name` NULL: in memory. */
static struct ledger *open_ledger(const char *name, enum merkle merkle) {
    struct error err = ERROR_NULL;
    struct ledger *ledger = NULL;
    const struct ledger_options options = {.merkle = merkle, .tree_bytes_max = TREE_BYTES};
    if (try_open(open_store(name, merkle), &options, &ledger, &err) < 0)
        fail_msg("%s", err.text);
    return ledger;
}

static void close_ledger(struct ledger *ledger) {
    store_free(ledger_free(ledger));
}

/* Keys of its own and keys that are written again, in turn. */
static int execute(struct ledger *ledger, uint64_t height, uint8_t digest[SHA256_SIZE],
                   struct error *err) {
    const struct command command = {
        .client = 1,
        .number = height,
        .key_count = 1 + (uint32_t)(height % 7),
        .key_size = 20,
        .value_size = 40,
        .key_space = height % 2 ? 0 : 50,
        .first_key = height % 2 ? 0 : height % 50,
    };
    const uint8_t request[SHA256_SIZE] = {(uint8_t)height};
    const struct ledger_request r = {
        .height = height, .sequence = height / 2, .command = &command, .digest = request};
    return ledger_execute(ledger, &r, digest, err);
}

static void execute_all(struct ledger *ledger, uint64_t from, uint64_t upto) {
    struct error err = ERROR_NULL;
    uint8_t digest[SHA256_SIZE];
    for (uint64_t height = from; height <= upto; height++) {
        if (execute(ledger, height, digest, &err) != 0)
            fail_msg("%s", err.text);
        if ((height % 5 == 0 || height == upto) && ledger_commit(ledger, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static struct block_header header_of(const struct blob *block) {
    struct error err = ERROR_NULL;
    struct block_header h;
    assert_int_equal(block_header_decode(block->data, BLOCK_HEADER_SIZE, &h, &err), 0);
    return h;
}

static struct blob *fetch(struct ledger *ledger, uint64_t height) {
    struct error err = ERROR_NULL;
    struct blob *block = NULL;
    if (ledger_fetch(ledger, height, &block, &err) < 0)
        fail_msg("%s", err.text);
    return block;
}

static void both_stores_come_to_the_same_state_also_over_a_restart(void **state) {
    (void)state;
    static const uint8_t zeros[SHA256_SIZE];
    uint8_t last[SHA256_SIZE] = {0};
    for (size_t i = 0; i < 3; i++) {
        struct ledger *memory = open_ledger(NULL, all[i]);
        struct ledger *rocks = open_ledger("both", all[i]);
        execute_all(memory, 1, 60);
        for (uint64_t height = 0; height < 60; height += 20) {
            execute_all(rocks, height + 1, height + 20);
            close_ledger(rocks);
            rocks = open_ledger("both", all[i]);
        }
        for (uint64_t height = 1; height <= 60; height++) {
            struct blob *a = fetch(memory, height), *b = fetch(rocks, height);
            assert_int_equal(a->size, b->size);
            assert_memory_equal(a->data, b->data, a->size);
            struct block_header h = header_of(a);
            assert_int_equal(h.sequence, height / 2);
            if (all[i] == MERKLE_BASIC)
                assert_memory_equal(h.state, zeros, SHA256_SIZE);
            else
                assert_memory_not_equal(h.state, last, SHA256_SIZE);
            memcpy(last, h.state, SHA256_SIZE);
            blob_unref(a);
            blob_unref(b);
        }
        close_ledger(memory);
        close_ledger(rocks);
    }
}

/* The digests are right, but for the state: whoever sends it made the whole chain up. */
static void a_block_with_a_wrong_state_is_refused_and_changes_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_NULL;
        struct ledger *from = open_ledger(NULL, all[i]), *to = open_ledger("states", all[i]);
        uint8_t digest[SHA256_SIZE];
        execute_all(from, 1, 30);
        for (uint64_t height = 1; height <= 30; height++) {
            struct blob *block = fetch(from, height);
            block->data[BLOCK_HEADER_SIZE - 1] ^= 1;
            assert_int_equal(ledger_accept(to, height, block->data, block->size, digest, &err), 1);
            assert_non_null(strstr(err.text, "it does not lead to the state"));
            error_clear(&err);
            assert_int_equal(ledger_height(to), height - 1);
            block->data[BLOCK_HEADER_SIZE - 1] ^= 1;
            if (ledger_accept(to, height, block->data, block->size, digest, &err) != 0)
                fail_msg("%s", err.text);
            if (height % 4 == 0)
                assert_int_equal(ledger_commit(to, &err), 0);
            blob_unref(block);
        }
        assert_int_equal(ledger_commit(to, &err), 0);
        close_ledger(to);
        to = open_ledger("states", all[i]);
        assert_int_equal(ledger_height(to), 30);
        close_ledger(to);
        close_ledger(from);
    }
}

/* A replica that was started with another tree, or a lie: nothing of it is taken. */
static void a_chain_with_a_tree_takes_no_write_set_without_hashes(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct ledger *from = open_ledger(NULL, MERKLE_BASIC), *to = open_ledger(NULL, MERKLE_KEYS);
    uint8_t digest[SHA256_SIZE];
    execute_all(from, 1, 1);
    struct blob *block = fetch(from, 1);
    assert_int_equal(ledger_accept(to, 1, block->data, block->size, digest, &err), 1);
    assert_non_null(strstr(err.text, "its write set is not hashed, as merkle keys needs it"));
    assert_int_equal(ledger_height(to), 0);
    blob_unref(block);
    close_ledger(to);
    close_ledger(from);
}

static void assert_state_at(struct store *store, uint64_t height) {
    struct error err = ERROR_NULL;
    struct block_header h;
    uint8_t root[SHA256_SIZE];
    cleanup(buffer_deinit) struct buffer header;
    cleanup(tree_freep) struct tree *tree = NULL;
    buffer_init(&header, STORE_HEADER_MAX);
    if (store_read_header(store, height, &header, &err) < 0 ||
        block_header_decode((const uint8_t *)header.data, header.size, &h, &err) < 0 ||
        ledger_tree_at(store, height, TREE_BYTES, &tree, &err) < 0)
        fail_msg("%s", err.text);
    tree_root(tree, root);
    assert_memory_equal(root, h.state, SHA256_SIZE);
}

static void old_versions_can_be_proved_until_they_are_forgotten(void **state) {
    (void)state;
    enum { LAST = LEDGER_VERSIONS_KEPT + 100, KEPT = LAST - LEDGER_VERSIONS_KEPT };
    struct error err = ERROR_NULL;
    struct ledger *ledger = open_ledger("old", MERKLE_KEYS);
    execute_all(ledger, 1, LAST);
    cleanup(store_freep) struct store *store = ledger_free(ledger);
    assert_state_at(store, LAST);
    assert_state_at(store, LAST - 1);
    assert_state_at(store, LAST - 500);
    assert_state_at(store, KEPT);
    cleanup(tree_freep) struct tree *tree = NULL;
    assert_int_equal(ledger_tree_at(store, KEPT - 1, TREE_BYTES, &tree, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    error_clear(&err);

    /* Key 0 of the key space, as it was 300 blocks ago. */
    const struct command command = {.key_count = 1, .key_size = 20, .key_space = 50};
    uint8_t key[20], digest[SHA256_SIZE], root[SHA256_SIZE];
    struct tree_proof proof;
    enum tree_answer answer;
    pee_key(&command, 0, key);
    sha256_of(key, sizeof key, digest);
    if (ledger_tree_at(store, LAST - 300, TREE_BYTES, &tree, &err) < 0 ||
        tree_prove(tree, digest, &proof, &err) < 0)
        fail_msg("%s", err.text);
    tree_root(tree, root);
    assert_int_equal(tree_verify(root, digest, &proof, &answer, &err), 0);
    assert_int_equal(answer, TREE_PRESENT);
    assert_in_range(tree_leaf_height(&proof.leaf), LAST - 400, LAST - 300);
}

static bool disk_fails;
static int (*side_get)(struct store *store, const void *key, size_t key_size, struct buffer *ret,
                       struct error *err);

static int side_get_or_fail(struct store *store, const void *key, size_t key_size,
                            struct buffer *ret, struct error *err) {
    if (disk_fails)
        return error_set(err, ERROR_IO, "the disk fails");
    return side_get(store, key, key_size, ret, err);
}

/* Blocks are put, then one needs a node of the tree that cannot be read, and what was put is to be
 * committed: block and tree stay of one height, whatever of the tree that block has changed. */
static void after_a_failed_read_the_store_opens_at_the_last_commit(void **state) {
    (void)state;
    enum { BEFORE = 100, TRIES = 12 };
    for (uint64_t put = 1; put <= TRIES; put++) {
        struct error err = ERROR_NULL;
        struct verified verified;
        uint8_t digest[SHA256_SIZE];
        cleanup_free char *name = text_format("failing%d", (int)put);
        struct ledger *ledger = open_ledger(name, MERKLE_KEYS);
        execute_all(ledger, 1, BEFORE);
        struct store *store = ledger_free(ledger);
        struct store_backend failing = *store->backend;
        side_get = failing.side_get;
        failing.side_get = side_get_or_fail;
        store->backend = &failing;
        const struct ledger_options options = {.merkle = MERKLE_KEYS, .tree_bytes_max = TREE_BYTES};
        assert_int_equal(try_open(store, &options, &ledger, &err), 0);
        uint64_t height = BEFORE;
        while (height < BEFORE + put)
            assert_int_equal(execute(ledger, ++height, digest, &err), 0);
        disk_fails = true;
        while (execute(ledger, ++height, digest, &err) == 0)
            ;
        disk_fails = false;
        assert_non_null(strstr(err.text, "the disk fails"));
        error_clear(&err);
        assert_int_equal(ledger_commit(ledger, &err), -1);
        assert_int_equal(ledger_height(ledger), BEFORE);
        close_ledger(ledger);
        store = open_store(name, MERKLE_KEYS);
        assert_int_equal(store_height(store), BEFORE);
        if (verify_chain(store, MERKLE_KEYS, &verified, &err) < 0)
            fail_msg("%s", err.text);
        store_free(store);
    }
}

static void a_store_of_another_tree_is_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct ledger *ledger = open_ledger(NULL, MERKLE_BLOCK);
    execute_all(ledger, 1, 3);
    struct store *store = ledger_free(ledger);
    const struct ledger_options options = {.merkle = MERKLE_BASIC};
    assert_int_equal(try_open(store, &options, &ledger, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "block 3 has another state than the store (merkle basic)"));
}

/* The child executes until it is killed, and tells each committed height. What is there then holds
 * together: the tree's root is that of the last header, and so are those before. */
static void killed_at_any_instant_block_and_tree_are_of_one_height(void **state) {
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* it cannot follow a child that starts threads */
#endif
    uint64_t told = 0;
    for (int round = 0; round < 3; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            struct error err = ERROR_NULL;
            uint8_t digest[SHA256_SIZE];
            struct ledger *ledger = open_ledger("killed", MERKLE_KEYS);
            for (uint64_t height = ledger_height(ledger) + 1;; height++) {
                if (execute(ledger, height, digest, &err) != 0 || ledger_commit(ledger, &err) < 0)
                    _exit(1);
                if (write(pipes[1], &height, sizeof height) != sizeof height)
                    _exit(0);
            }
        }
        close(pipes[1]);
        for (int i = 0; i < 100 + 37 * round; i++)
            assert_int_equal(read(pipes[0], &told, sizeof told), sizeof told);
        kill(child, SIGKILL);
        while (read(pipes[0], &told, sizeof told) == sizeof told)
            ;
        close(pipes[0]);
        waitpid(child, NULL, 0);
        struct ledger *ledger = open_ledger("killed", MERKLE_KEYS);
        assert_true(ledger_height(ledger) == told || ledger_height(ledger) == told + 1);
        cleanup(store_freep) struct store *store = ledger_free(ledger);
        for (uint64_t back = 0; back < 40; back += 13)
            assert_state_at(store, store_height(store) - back);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        /* first: it forks while there are no threads of RocksDB */
        cmocka_unit_test(killed_at_any_instant_block_and_tree_are_of_one_height),
        cmocka_unit_test(both_stores_come_to_the_same_state_also_over_a_restart),
        cmocka_unit_test(a_block_with_a_wrong_state_is_refused_and_changes_nothing),
        cmocka_unit_test(a_chain_with_a_tree_takes_no_write_set_without_hashes),
        cmocka_unit_test(old_versions_can_be_proved_until_they_are_forgotten),
        cmocka_unit_test(after_a_failed_read_the_store_opens_at_the_last_commit),
        cmocka_unit_test(a_store_of_another_tree_is_refused),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
