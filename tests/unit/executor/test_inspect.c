/* `replica inspect`: what it shows of a data folder, and what it finds to be wrong. */

#include "executor/inspect.h"

#include "executor/ledger.h"
#include "executor/verify.h"

#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { HEIGHT = 30, TREE_BYTES = 64 << 20 };

static const enum merkle all[] = {MERKLE_BASIC, MERKLE_BLOCK, MERKLE_KEYS};

static char *folder_of(enum merkle merkle) {
    return text_format("%s/%s", folder_shared.path, merkle_name(merkle));
}

static struct ledger *open_ledger(struct store *store, enum merkle merkle) {
    struct error err = ERROR_NULL;
    struct ledger *ledger = NULL;
    struct chain chain;
    const struct ledger_options options = {.merkle = merkle, .tree_bytes_max = TREE_BYTES};
    chain_init(&chain);
    if (ledger_open(store, &chain, &options, &ledger, &err) < 0)
        fail_msg("%s", err.text);
    return ledger;
}

static struct store *open_memory(void) {
    struct error err = ERROR_NULL;
    struct store *store = NULL;
    assert_int_equal(store_open_memory(UINT64_C(256) << 20, 0, &store, &err), 0);
    return store;
}

static const struct command shape = {
    .client = 9, .key_count = 3, .key_size = 16, .value_size = 50, .key_space = 20};

static void execute_all(struct ledger *ledger) {
    struct error err = ERROR_NULL;
    const uint8_t request[SHA256_SIZE] = {7};
    uint8_t digest[SHA256_SIZE];
    for (uint64_t height = 1; height <= HEIGHT; height++) {
        struct command command = shape;
        command.number = height;
        command.first_key = height % 10;
        const struct ledger_request r = {
            .height = height, .sequence = height, .command = &command, .digest = request};
        if (ledger_execute(ledger, &r, digest, &err) != 0 || ledger_commit(ledger, &err) < 0)
            fail_msg("%s", err.text);
    }
}

static int make_folders(void **state) {
    struct error err = ERROR_NULL;
    if (folder_make_shared(state) < 0)
        return -1;
    for (size_t i = 0; i < 3; i++) {
        const struct store_identity identity = {
            .run = "r1", .replica = 2, .n = 4, .merkle = merkle_name(all[i])};
        struct store *store = NULL;
        cleanup_free char *path = folder_of(all[i]);
        if (store_open_rocksdb(path, &identity, STORE_SYNC_NONE, &store, &err) < 0)
            fail_msg("%s", err.text);
        struct ledger *ledger = open_ledger(store, all[i]);
        execute_all(ledger);
        store_free(ledger_free(ledger));
    }
    return 0;
}

/* What is printed; NULL and an error. Up to three more arguments. */
static char *inspect(enum merkle merkle, const char *a, const char *b, const char *c,
                     struct error *err) {
    cleanup_free char *data = folder_of(merkle);
    cleanup_free char *option = text_format("--data=%s", data);
    const char *given[] = {"inspect", option, a, b, c};
    char *argv[6] = {NULL}, *out = NULL;
    size_t size;
    int argc = 0;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i])
            argv[argc++] = text_dup(given[i]);
    FILE *terminal = stdout;
    stdout = open_memstream(&out, &size);
    int r = inspect_main(argc, argv, err);
    fclose(stdout);
    stdout = terminal;
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    if (r == 0)
        return out;
    free(out);
    return NULL;
}

static struct json *inspect_json(enum merkle merkle, const char *a, const char *b) {
    struct error err = ERROR_NULL;
    struct json *json = NULL;
    cleanup_free char *text = inspect(merkle, a, b, "--json", &err);
    if (!text || json_parse(text, strlen(text), 0, &json, &err) < 0)
        fail_msg("%s", err.text);
    return json;
}

static int64_t number(const struct json *v, const char *path) {
    struct error err = ERROR_NULL;
    int64_t n = -1;
    if (json_require_int(v, path, 0, INT64_MAX, &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static const char *text(const struct json *v, const char *path) {
    struct error err = ERROR_NULL;
    const char *t = "";
    if (json_require_text(v, path, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

static void it_says_whose_data_it_is_and_how_high(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    for (size_t i = 0; i < 3; i++) {
        cleanup(json_freep) struct json *v = inspect_json(all[i], "--verify", "--index=2");
        assert_string_equal(text(v, "run"), "r1");
        assert_int_equal(number(v, "replica"), 2);
        assert_int_equal(number(v, "replicas"), 4);
        assert_string_equal(text(v, "merkle"), merkle_name(all[i]));
        assert_int_equal(number(v, "height"), HEIGHT);
        assert_int_equal(strlen(text(v, "digest")), 64);
        assert_string_equal(text(v, "verified.result"), "good");
        assert_int_equal(number(v, "verified.writes"), 3 * HEIGHT);
    }
    cleanup_free char *plain = inspect(MERKLE_KEYS, NULL, NULL, NULL, &err);
    assert_non_null(plain);
    assert_non_null(strstr(plain, "height             30\n"));
}

static void it_shows_a_block_and_proves_its_keys_then_and_now(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v = inspect_json(MERKLE_KEYS, "--block=17", NULL);
    assert_int_equal(number(v, "block.height"), 17);
    assert_int_equal(number(v, "block.client"), 9);
    assert_int_equal(number(v, "block.number"), 17);
    assert_int_equal(number(v, "block.first_key"), 7);
    const struct json *keys = json_find(v, "block.keys");
    assert_int_equal(json_count(keys), 3);
    cleanup_free char *key = text_format("--key=hex:%s", text(json_at(keys, 0), "key"));

    cleanup(json_freep) struct json *then = inspect_json(MERKLE_KEYS, key, "--at=17");
    assert_int_equal(number(then, "key.written_at"), 17);
    assert_string_equal(text(then, "key.value"), text(json_at(keys, 0), "value"));
    assert_string_equal(text(then, "key.state"), text(v, "block.state"));
    cleanup(json_freep) struct json *now = inspect_json(MERKLE_KEYS, key, NULL);
    assert_int_equal(number(now, "key.written_at"), 27);

    cleanup(json_freep) struct json *none = inspect_json(MERKLE_KEYS, "--key=nowhere", NULL);
    bool present = true;
    assert_int_equal(json_get_bool(none, "key.present", true, &present, &err), 0);
    assert_false(present);
}

/* By its hash, or by what makes it. */
static void it_says_what_binds_a_write_set(void **state) {
    (void)state;
    cleanup(json_freep) struct json *made = inspect_json(MERKLE_BASIC, "--block=17", NULL);
    assert_string_equal(text(made, "block.write_set_made_by"), "pee");
    assert_int_equal(strlen(text(made, "block.write_set_checksum")), 64);
    assert_null(json_find(made, "block.write_set"));
    cleanup(json_freep) struct json *hashed = inspect_json(MERKLE_BLOCK, "--block=17", NULL);
    assert_int_equal(strlen(text(hashed, "block.write_set")), 64);
    assert_null(json_find(hashed, "block.write_set_made_by"));
}

static void what_cannot_be_shown_is_an_error(void **state) {
    (void)state;
    static const struct {
        enum merkle merkle;
        const char *a, *problem;
    } cases[] = {
        {MERKLE_KEYS, "--block=31", "block 31"},
        {MERKLE_KEYS, "--block=0", "0"},
        {MERKLE_KEYS, "--run=r2", "is of run 'r1', not of 'r2'"},
        {MERKLE_KEYS, "--index=1", "is of replica 2, not of 1"},
        {MERKLE_KEYS, "--key=hex:zz", "no key in hexadecimal digits"},
        {MERKLE_BLOCK, "--key=x", "this one has 'block'"},
        {MERKLE_KEYS, "stray", "'stray' is not an option"},
        {MERKLE_KEYS, "--data=/nonexistent", "there is no data of a replica in '/nonexistent'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        assert_null(inspect(cases[i].merkle, cases[i].a, NULL, NULL, &err));
        if (!strstr(err.text, cases[i].problem))
            fail_msg("'%s' instead of '%s'", err.text, cases[i].problem);
    }
}

/* Copies a chain, changing one byte of one block on the way (at SIZE_MAX: none). */
static struct store *copy(struct ledger *from, uint64_t changed, size_t at) {
    struct error err = ERROR_NULL;
    struct store *store = open_memory();
    for (uint64_t height = 1; height <= HEIGHT; height++) {
        struct blob *block = NULL;
        uint8_t *body;
        assert_int_equal(ledger_fetch(from, height, &block, &err), 0);
        size_t size = block->size - BLOCK_HEADER_SIZE;
        if (height == changed && at != SIZE_MAX)
            block->data[at] ^= 1;
        assert_int_equal(store_reserve(store, size, &body, &err), 0);
        memcpy(body, block->data + BLOCK_HEADER_SIZE, size);
        const struct store_block b = {.height = height,
                                      .header = block->data,
                                      .header_size = BLOCK_HEADER_SIZE,
                                      .body = body,
                                      .body_size = size};
        assert_int_equal(store_put(store, &b, &err), 0);
        blob_unref(block);
    }
    return store;
}

static void verifying_finds_what_was_changed(void **state) {
    (void)state;
    const struct {
        size_t at;
        uint64_t found_at;
    } places[] = {
        {SIZE_MAX, 0},
        {BLOCK_HEADER_SIZE + 20, 13}, /* a key */
        {BLOCK_HEADER_SIZE + 60, 13}, /* a value */
        {BLOCK_HEADER_SIZE - 1, 13},  /* the state */
        {BLOCK_HEADER_SIZE - 33, 13}, /* the write set's digest */
        {8, 13},                      /* the height */
        {30, 13},                     /* the parent */
        {4 + 8 + 3, 14},              /* the batch's number: the next block has another parent */
    };
    for (size_t m = 0; m < 3; m++) {
        struct ledger *ledger = open_ledger(open_memory(), all[m]);
        execute_all(ledger);
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            struct error err = ERROR_NULL;
            struct verified verified;
            cleanup(store_freep) struct store *store = copy(ledger, 13, places[i].at);
            int r = verify_chain(store, all[m], &verified, &err);
            assert_int_equal(r, places[i].found_at ? -1 : 0);
            cleanup_free char *block = text_format("verify the chain: block %llu: ",
                                                   (unsigned long long)places[i].found_at);
            if (r < 0 && !text_starts(err.text, block))
                fail_msg("'%s' instead of '%s'", err.text, block);
        }
        store_free(ledger_free(ledger));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_whose_data_it_is_and_how_high),
        cmocka_unit_test(it_shows_a_block_and_proves_its_keys_then_and_now),
        cmocka_unit_test(it_says_what_binds_a_write_set),
        cmocka_unit_test(what_cannot_be_shown_is_an_error),
        cmocka_unit_test(verifying_finds_what_was_changed),
    };
    return cmocka_run_group_tests(tests, make_folders, folder_remove_shared);
}
