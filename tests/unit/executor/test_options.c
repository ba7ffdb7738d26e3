/* The options of a replica: file, environment and command line, in this order. */

#include "executor/options.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *config_of(const char *text) {
    struct error err = ERROR_NULL;
    char *path = text_format("%s/replica.yaml", folder_shared.path);
    assert_int_equal(file_write(path, 0644, text, strlen(text), &err), 0);
    return path;
}

static int parse(const char *config, const char *more, struct replica_options *ret,
                 struct error *err) {
    static char program[] = "replica", option[] = "--config";
    cleanup_free char *path = config_of(config), *last = more ? text_dup(more) : NULL;
    char *argv[] = {program, option, path, last, NULL};
    *ret = (struct replica_options){.index = -1};
    return options_parse(more ? 4 : 3, argv, ret, err);
}

static void what_the_file_says_counts(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct replica_options o;
    int r = parse("index: 3\nstore: memory\nmemory_max: 1g\ntree_memory: 2097152\n"
                  "merkle: block\ndurability: group\ndata: \"/somewhere\"\nmetrics: \"9100\"\n",
                  NULL, &o, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    assert_int_equal(o.index, 3);
    assert_int_equal(o.store, REPLICA_MEMORY);
    assert_int_equal(o.memory_max_bytes, 1 << 30);
    assert_int_equal(o.ledger.tree_bytes_max, 2 << 20);
    assert_int_equal(o.ledger.merkle, MERKLE_BLOCK);
    assert_int_equal(o.ledger.durability, STORE_SYNC_GROUP);
    assert_string_equal(o.data, "/somewhere");
    assert_string_equal(o.metrics, "9100");
    assert_string_equal(o.out, "/seatrial/out"); /* a default */
    options_deinit(&o);
}

static void environment_and_command_line_win_in_this_order(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct replica_options o;
    setenv("SEATRIAL_MERKLE", "0", 1);
    setenv("SEATRIAL_INDEX", "2", 1);
    assert_int_equal(parse("merkle: block\nindex: 1\n", NULL, &o, &err), 0);
    assert_int_equal(o.ledger.merkle, MERKLE_BASIC);
    assert_int_equal(o.index, 2);
    options_deinit(&o);
    assert_int_equal(parse("merkle: block\n", "--merkle=keys", &o, &err), 0);
    assert_int_equal(o.ledger.merkle, MERKLE_KEYS);
    options_deinit(&o);
    unsetenv("SEATRIAL_MERKLE");
    unsetenv("SEATRIAL_INDEX");
}

static void an_empty_file_says_nothing(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct replica_options o;
    assert_int_equal(parse("# nothing\n", NULL, &o, &err), 0);
    assert_int_equal(o.ledger.merkle, MERKLE_KEYS);
    options_deinit(&o);
}

static void mistakes_are_named_with_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"index: 1\nmemory-max: 1g\n", "replica.yaml:2:1: 'memory-max' is not an option of a "
                                       "replica; did you mean 'memory_max'?"},
        {"nonsense: 1\n", "replica.yaml:1:1: 'nonsense' is not an option of a replica"},
        {"health: 1\n", "'health' is not an option of a replica"},
        {"config: /x\n", "'config' is not an option of a replica"},
        {"\nindex: 99999\n", "replica.yaml:2:8: "},
        {"merkle: bush\n", "replica.yaml:1:9: a Merkle tree is of 'keys', 'block'"},
        {"tree_memory: 1k\n", "replica.yaml:1:14: "},
        {"durability: [none]\n", "replica.yaml:1:13: "},
        {"- index\n", "replica.yaml:1:1: "},
        {"index: 1\nindex: 2\n", "replica.yaml:2:1: "},
        {"index: {\n", "replica.yaml:"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct replica_options o;
        assert_int_equal(parse(cases[i].text, NULL, &o, &err), -1);
        if (!strstr(err.text, cases[i].problem) || err.kind != ERROR_CONFIG)
            fail_msg("'%s' instead of '%s'", err.text, cases[i].problem);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_file_says_counts),
        cmocka_unit_test(environment_and_command_line_win_in_this_order),
        cmocka_unit_test(an_empty_file_says_nothing),
        cmocka_unit_test(mistakes_are_named_with_their_place),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
