/* The promises of the YAML door: trees with places, bounds, tables, and what is written reads
 * again. */

#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct yaml_tree *parsed(const char *text) {
    struct error err = ERROR_NULL;
    struct yaml_tree *tree = NULL;
    if (yaml_parse("f", text, strlen(text), &tree, &err) < 0)
        fail_msg("%s", err.text);
    return tree;
}

static void assert_refused(const char *text, const char *message) {
    struct error err = ERROR_NULL;
    struct yaml_tree *tree = NULL;
    assert_int_equal(yaml_parse("f", text, strlen(text), &tree, &err), -1);
    assert_null(tree);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_string_equal(err.text, message);
}

static void every_node_knows_its_place_and_its_key(void **state) {
    (void)state;
    cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed("a:\n  b: [1, two]\n'c': |\n  x\n");
    const struct yaml_node *root = yaml_root(tree);
    assert_int_equal(root->count, 2);
    const struct yaml_node *list = yaml_find(yaml_find(root, "a"), "b");
    assert_int_equal(list->items[1]->line, 2);
    assert_int_equal(list->items[1]->column, 10);
    assert_string_equal(list->items[1]->file, "f");
    assert_string_equal(list->items[1]->name, "b");
    assert_string_equal(yaml_find(root, "c")->text, "x\n");
    assert_true(yaml_find(root, "c")->quoted);
    assert_null(yaml_find(root, "d"));
    assert_null(yaml_find(list, "b"));
}

static void scalars_are_what_the_core_schema_says(void **state) {
    (void)state;
    static const struct {
        const char *text;
        enum yaml_kind_of_scalar kind;
        int64_t value;
    } cases[] = {{"x", YAML_IS_TEXT, 0},         {"~", YAML_IS_NULL, 0},
                 {"Null", YAML_IS_NULL, 0},      {"nULL", YAML_IS_TEXT, 0},
                 {"", YAML_IS_NULL, 0},          {"true", YAML_IS_BOOL, 1},
                 {"FALSE", YAML_IS_BOOL, 0},     {"tRue", YAML_IS_TEXT, 0},
                 {"yes", YAML_IS_TEXT, 0},       {"off", YAML_IS_TEXT, 0},
                 {"0", YAML_IS_INT, 0},          {"-7", YAML_IS_INT, -7},
                 {"+7", YAML_IS_INT, 7},         {"007", YAML_IS_INT, 7},
                 {"0x1F", YAML_IS_INT, 31},      {"0o17", YAML_IS_INT, 15},
                 {"0x", YAML_IS_TEXT, 0},        {"0o8", YAML_IS_TEXT, 0},
                 {"-0x1", YAML_IS_TEXT, 0},      {"1_000", YAML_IS_TEXT, 0},
                 {"12:30", YAML_IS_TEXT, 0},     {"9223372036854775807", YAML_IS_INT, INT64_MAX},
                 {"1.5", YAML_IS_NUMBER, 0},     {"9223372036854775808", YAML_IS_NUMBER, 0},
                 {".5", YAML_IS_NUMBER, 0},      {"1.", YAML_IS_NUMBER, 0},
                 {"1e3", YAML_IS_NUMBER, 0},     {"1e", YAML_IS_TEXT, 0},
                 {".", YAML_IS_TEXT, 0},         {"-", YAML_IS_TEXT, 0},
                 {"-.inf", YAML_IS_NUMBER, 0},   {".nan", YAML_IS_NUMBER, 0},
                 {"2026-01-01", YAML_IS_TEXT, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yaml_node node = {.type = YAML_SCALAR, .text = cases[i].text};
        int64_t value = 0;
        if (yaml_resolve(&node, &value) != cases[i].kind || value != cases[i].value)
            fail_msg("'%s'", cases[i].text);
        node.quoted = true;
        assert_int_equal(yaml_resolve(&node, NULL), YAML_IS_TEXT);
    }
}

static void getters_name_what_was_expected_and_found(void **state) {
    (void)state;
    cleanup(yaml_tree_freep) struct yaml_tree *tree =
        parsed("{n: four, t: 4, b: yes, d: 20, s: lots, c: z, l: x, m: [{}], q: '4'}");
    const struct yaml_node *root = yaml_root(tree);
    static const char *const names[] = {"one", "two", NULL};
    struct error err = ERROR_NULL;
    int64_t number;
    const char *text;
    bool truth;
    uint64_t ns;
    int choice;
    char **texts;
    assert_int_equal(yaml_get_int(yaml_find(root, "n"), 0, 9, &number, &err), -1);
    assert_string_equal(err.text,
                        "f:1:5: 'n' must be a whole number from 0 to 9, not the text 'four'");
    assert_int_equal(yaml_get_int(yaml_find(root, "q"), 0, 9, &number, &err), -1);
    assert_int_equal(yaml_get_text(yaml_find(root, "t"), &text, &err), -1);
    assert_string_equal(err.text, "f:1:14: 't' must be a text, not the number 4");
    assert_string_equal(err.hint, "put it in quotes: \"4\"");
    assert_int_equal(yaml_get_bool(yaml_find(root, "b"), &truth, &err), -1);
    assert_string_equal(err.text, "f:1:20: 'b' must be true or false, not the text 'yes'");
    assert_int_equal(yaml_get_duration_ns(yaml_find(root, "d"), &ns, &err), -1);
    assert_int_equal(yaml_get_size(yaml_find(root, "s"), &number, &err), -1);
    assert_int_equal(yaml_get_choice(yaml_find(root, "c"), names, &choice, &err), -1);
    assert_string_equal(err.text, "f:1:44: 'c' must be 'one' or 'two', not the text 'z'");
    assert_int_equal(yaml_get_texts(yaml_find(root, "l"), &texts, &err), -1);
    assert_string_equal(err.text, "f:1:50: 'l' must be a list, not the text 'x'");
    assert_int_equal(yaml_get_texts(yaml_find(root, "m"), &texts, &err), -1);
    assert_string_equal(err.text, "f:1:57: 'm' must be a text, not a mapping");
}

static void replaced_texts_are_numbers_only_where_one_is_asked_for(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed("a: '${X}'\n");
    struct yaml_node *node = yaml_find(yaml_root(tree), "a");
    int64_t number;
    const char *text;
    yaml_set_text(tree, node, text_dup("3"));
    assert_int_equal(yaml_get_int(node, 0, 9, &number, &err), 0);
    assert_int_equal(number, 3);
    assert_int_equal(yaml_get_text(node, &text, &err), 0);
    assert_string_equal(text, "3");
    yaml_set_text(tree, node, text_dup("null"));
    assert_false(yaml_is_null(node));
}

static void merge_keys_give_what_is_not_there(void **state) {
    (void)state;
    cleanup(yaml_tree_freep) struct yaml_tree *tree =
        parsed("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\n"
               "one: {<<: *x, a: 3}\nlist: {c: 4, <<: [*y, *x]}\nquoted: {'<<': 5}\n");
    const struct yaml_node *one = yaml_find(yaml_root(tree), "one");
    assert_int_equal(one->count, 2);
    assert_string_equal(yaml_find(one, "a")->text, "3");
    assert_string_equal(yaml_find(one, "b")->text, "1");
    const struct yaml_node *list = yaml_find(yaml_root(tree), "list");
    assert_int_equal(list->count, 3);
    assert_string_equal(yaml_find(list, "a")->text, "1");
    assert_string_equal(yaml_find(list, "b")->text, "2");
    assert_string_equal(yaml_find(list, "c")->text, "4");
    assert_string_equal(yaml_find(yaml_find(yaml_root(tree), "quoted"), "<<")->text, "5");
}

static void copies_of_aliases_are_independent(void **state) {
    (void)state;
    cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed("a: &x [1]\nb: *x\n");
    const struct yaml_node *root = yaml_root(tree);
    yaml_set_text(tree, yaml_find(root, "b")->items[0], text_dup("2"));
    assert_string_equal(yaml_find(root, "a")->items[0]->text, "1");
}

static void what_is_wrong_with_a_text_is_said_with_its_place(void **state) {
    (void)state;
    assert_refused("a: 1\nb: 2\na: 3\n", "f:3:1: key 'a' is there twice, first in line 1");
    assert_refused("a: *x\n", "f:1:4: alias '*x' has no anchor before it ('&x')");
    assert_refused("a: &x [*x]\n", "f:1:8: alias '*x' has no anchor before it ('&x')");
    assert_refused("{[a]: 1}", "f:1:2: a key must be a text, not a list");
    assert_refused("a: !reset 1", "f:1:4: tag '!reset' is not supported yet");
    assert_refused("a: 1\n---\nb: 2\n", "f:2:1: a second document in one file");
    assert_refused("a: \"x\\0y\"", "f:1:4: a text with a NUL character");
    assert_refused("a: b: c", "f:1:5: mapping values are not allowed in this context");
    assert_refused("a: 1\n  \xff", "f:2:3: invalid leading UTF-8 octet");
    assert_refused("{<<: [1]}",
                   "f:1:7: '<<' must be a mapping or a list of mappings, not the number 1");
}

static void a_text_that_is_too_large_is_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct yaml_tree *tree;
    cleanup_free char *large = mem_alloc(YAML_SIZE_MAX + 1);
    memset(large, ' ', YAML_SIZE_MAX + 1);
    assert_int_equal(yaml_parse("f", large, YAML_SIZE_MAX + 1, &tree, &err), -1);
    assert_string_equal(err.text, "f: larger than we accept (1 MiB)");
    assert_int_equal(yaml_parse("f", large, YAML_SIZE_MAX, &tree, &err), 0);
    assert_true(yaml_is_null(yaml_root(tree)));
    yaml_tree_free(tree);
}

/* 10 lists of 10 aliases each: 10^8 values from 300 bytes. */
static void aliases_cannot_become_more_than_is_accepted(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 * 1024);
    buffer_text(&text, "- &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 8; i++) {
        buffer_format(&text, "- &a%d [", i);
        for (int j = 0; j < 10; j++)
            buffer_format(&text, "%s*a%d", j ? "," : "", i - 1);
        buffer_text(&text, "]\n");
    }
    struct error err = ERROR_NULL;
    struct yaml_tree *tree;
    assert_int_equal(yaml_parse("f", buffer_string(&text), text.size, &tree, &err), -1);
    assert_non_null(strstr(err.text, "more values than we accept (100000, aliases expanded)"));
}

static void long_texts_cannot_be_multiplied_by_aliases(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, YAML_SIZE_MAX);
    buffer_text(&text, "- &t \"");
    for (int i = 0; i < 100 * 1000; i++)
        buffer_text(&text, "y");
    buffer_text(&text, "\"\n");
    for (int i = 0; i < 100; i++)
        buffer_text(&text, "- *t\n");
    struct error err = ERROR_NULL;
    struct yaml_tree *tree;
    assert_int_equal(yaml_parse("f", buffer_string(&text), text.size, &tree, &err), -1);
    assert_string_equal(err.text, "f:84:3: more text than we accept (8 MiB, aliases expanded)");
}

static void depth_counts_aliases_too(void **state) {
    (void)state;
    char deep[YAML_DEPTH_MAX * 2 + 16] = "";
    for (int i = 0; i < YAML_DEPTH_MAX; i++)
        strcat(deep, "[");
    struct error err = ERROR_NULL;
    struct yaml_tree *tree;
    for (int i = 0; i < YAML_DEPTH_MAX; i++)
        strcat(deep, "]");
    assert_int_equal(yaml_parse("f", deep, strlen(deep), &tree, &err), 0);
    yaml_tree_free(tree);
    memmove(deep + 1, deep, strlen(deep) + 1);
    deep[0] = '[';
    strcat(deep, "]");
    assert_refused(deep, "f:1:65: deeper than we accept (64 levels)");

    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4096);
    buffer_text(&text, "- &a0 [[[[[[[[[[x]]]]]]]]]]\n");
    for (int i = 1; i < 8; i++)
        buffer_format(&text, "- &a%d [[[[[[[[[*a%d]]]]]]]]]\n", i, i - 1);
    assert_int_equal(yaml_parse("f", buffer_string(&text), text.size, &tree, &err), -1);
    assert_non_null(strstr(err.text, "deeper than we accept"));
}

/* ---- tables ---- */

struct thing {
    char *text;
    char *scalar;
    bool truth;
    int64_t number;
    uint64_t duration_ns;
    int64_t size_bytes;
    int choice;
    char **texts;
    int seen;
};

static void thing_deinit(struct thing *t) {
    free(t->text);
    free(t->scalar);
    texts_free(t->texts);
}

static int read_seen(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)err;
    ((struct thing *)target)->seen = (int)value->count + *(int *)context;
    return 0;
}

static const char *const colours[] = {"red", "green", NULL};
#define AT(member) offsetof(struct thing, member)
static const struct yaml_field thing_fields[] = {
    YAML_VALUE("text", TEXT, AT(text)),
    YAML_VALUE("scalar", SCALAR, AT(scalar)),
    YAML_VALUE("truth", BOOL, AT(truth)),
    YAML_INT_VALUE("number", AT(number), 1, 5),
    YAML_VALUE("duration", DURATION, AT(duration_ns)),
    YAML_VALUE("size", SIZE, AT(size_bytes)),
    YAML_CHOICE_VALUE("choice", AT(choice), colours),
    YAML_VALUE("texts", TEXTS, AT(texts)),
    YAML_READ_VALUE("seen", read_seen),
    YAML_IGNORED("version"),
    YAML_UNSUPPORTED("secrets"),
};
static const struct yaml_table strict_table = YAML_TABLE("a thing", thing_fields);
static const struct yaml_table open_table = YAML_TABLE_WITH_EXTENSIONS("a thing", thing_fields);

static int read_thing(const char *text, const struct yaml_table *table, struct thing *t,
                      struct error *err) {
    cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed(text);
    int context = 40;
    return yaml_read(yaml_root(tree), table, t, &context, err);
}

static void a_table_fills_a_struct(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(thing_deinit) struct thing t = {.text = text_dup("default")};
    int result = read_thing("{text: a, scalar: 0x10, truth: true, number: 5, duration: 1m30s,\n"
                            " size: 64m, choice: green, texts: [x, y], seen: [1, 2], version: 3}",
                            &strict_table, &t, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(result, 0);
    assert_string_equal(t.text, "a");
    assert_string_equal(t.scalar, "16");
    assert_true(t.truth);
    assert_int_equal(t.number, 5);
    assert_int_equal(t.duration_ns, UINT64_C(90000000000));
    assert_int_equal(t.size_bytes, 64 << 20);
    assert_int_equal(t.choice, 1);
    assert_int_equal(texts_count(t.texts), 2);
    assert_string_equal(t.texts[1], "y");
    assert_int_equal(t.seen, 42);
}

static void keys_that_are_not_in_the_table_are_errors(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"{txet: a}", "f:1:2: unknown key 'txet' in a thing; did you mean 'text'?"},
        {"{qqqqqq: a}", "f:1:2: unknown key 'qqqqqq' in a thing"},
        {"{secrets: []}", "f:1:2: 'secrets' is not supported yet"},
        {"{x-mine: 1}", "f:1:2: unknown key 'x-mine' in a thing"},
        {"{number: 6}", "f:1:10: 'number' must be a whole number from 1 to 5, not the number 6"},
        {"{text: }", "f:1:8: 'text' must be a text, not nothing"},
        {"[a]", "f:1:1: this must be a mapping, not a list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup(thing_deinit) struct thing t = {.text = NULL};
        assert_int_equal(read_thing(cases[i].text, &strict_table, &t, &err), -1);
        assert_string_equal(err.text, cases[i].message);
    }
    struct error err = ERROR_NULL;
    cleanup(thing_deinit) struct thing t = {.text = NULL};
    assert_int_equal(read_thing("{x-mine: {a: b}}", &open_table, &t, &err), 0);
}

static void null_values_say_nothing_where_the_table_allows_it(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct yaml_table table = strict_table;
    cleanup(thing_deinit) struct thing t = {.number = 3};
    table.nulls = true;
    assert_int_equal(read_thing("{text: , number: ~}", &table, &t, &err), 0);
    assert_null(t.text);
    assert_int_equal(t.number, 3);
    assert_int_equal(read_thing("{secrets: }", &table, &t, &err), -1);
}

/* ---- writing ---- */

static void write_container(struct yaml_writer *w, int index, bool ports) {
    yaml_begin(w, YAML_MAPPING, YAML_FLOW);
    cleanup_free char *name = text_format("demo-replica-%d", index);
    yaml_pair_text(w, "name", name);
    yaml_pair_int(w, "index", index);
    yaml_pair_text(w, "address", "127.0.0.1");
    yaml_key(w, "ports");
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK); /* inside a flow all is flow */
    if (ports)
        yaml_pair_int(w, "replica", 7100);
    yaml_end(w);
    yaml_end(w);
}

static void cluster_files_are_written_as_they_are_promised(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 4096);
    struct yaml_writer w = yaml_writer(&out);
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(&w, "run", "3f9c2a1b");
    yaml_pair_text(&w, "other", "12345678");
    yaml_key(&w, "containers");
    yaml_begin(&w, YAML_SEQUENCE, YAML_BLOCK);
    write_container(&w, 1, true);
    write_container(&w, 2, false);
    yaml_end(&w);
    yaml_end(&w);
    assert_string_equal(
        buffer_string(&out),
        "run: 3f9c2a1b\n"
        "other: \"12345678\"\n"
        "containers:\n"
        "  - {name: demo-replica-1, index: 1, address: 127.0.0.1, ports: {replica: 7100}}\n"
        "  - {name: demo-replica-2, index: 2, address: 127.0.0.1, ports: {}}\n");
}

static void blocks_nest_in_every_way(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 4096);
    struct yaml_writer w = yaml_writer(&out);
    yaml_begin(&w, YAML_SEQUENCE, YAML_BLOCK);
    yaml_begin(&w, YAML_SEQUENCE, YAML_BLOCK);
    yaml_int(&w, 1);
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_key(&w, "empty");
    yaml_begin(&w, YAML_SEQUENCE, YAML_BLOCK);
    yaml_end(&w);
    yaml_key(&w, "deep");
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_bool(&w, "on", true);
    yaml_end(&w);
    yaml_end(&w);
    yaml_end(&w);
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_end(&w);
    yaml_text(&w, NULL);
    yaml_end(&w);
    assert_string_equal(buffer_string(&out), "- - 1\n"
                                             "  - empty: []\n"
                                             "    deep:\n"
                                             "      \"on\": true\n"
                                             "- {}\n"
                                             "- null\n");
    cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed(buffer_string(&out));
    const struct yaml_node *inner = yaml_root(tree)->items[0]->items[1];
    assert_string_equal(yaml_find(yaml_find(inner, "deep"), "on")->text, "true");
}

/* Every byte alone, and beside others that could give it a meaning, in both styles. */
static void written_texts_read_again_as_the_same_texts(void **state) {
    (void)state;
    static const char *const shapes[] = {"%c", "a%cb", "%c a", "a %c", "a%c", "%ca", "1%c", "%c1"};
    for (int c = 1; c < 128; c++)
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
            for (int style = 0; style < 2; style++) {
                cleanup(buffer_deinit) struct buffer out;
                char text[16];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                snprintf(text, sizeof text, shapes[i], c);
#pragma GCC diagnostic pop
                buffer_init(&out, 4096);
                struct yaml_writer w = yaml_writer(&out);
                yaml_begin(&w, YAML_MAPPING, style ? YAML_FLOW : YAML_BLOCK);
                yaml_pair_text(&w, text, text);
                yaml_end(&w);
                cleanup(yaml_tree_freep) struct yaml_tree *tree = parsed(buffer_string(&out));
                const struct yaml_node *root = yaml_root(tree);
                assert_int_equal(root->count, 1);
                assert_string_equal(root->keys[0]->text, text);
                assert_string_equal(root->items[0]->text, text);
                assert_int_equal(yaml_resolve(root->items[0], NULL), YAML_IS_TEXT);
            }
}

static void bytes_that_are_not_utf8_are_replaced(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 4096);
    struct yaml_writer w = yaml_writer(&out);
    yaml_text(&w, "a\xff z\xc2\x85");
    assert_string_equal(buffer_string(&out), "\"a\xef\xbf\xbd z\\u0085\"\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_knows_its_place_and_its_key),
        cmocka_unit_test(scalars_are_what_the_core_schema_says),
        cmocka_unit_test(getters_name_what_was_expected_and_found),
        cmocka_unit_test(replaced_texts_are_numbers_only_where_one_is_asked_for),
        cmocka_unit_test(merge_keys_give_what_is_not_there),
        cmocka_unit_test(copies_of_aliases_are_independent),
        cmocka_unit_test(what_is_wrong_with_a_text_is_said_with_its_place),
        cmocka_unit_test(a_text_that_is_too_large_is_refused),
        cmocka_unit_test(aliases_cannot_become_more_than_is_accepted),
        cmocka_unit_test(long_texts_cannot_be_multiplied_by_aliases),
        cmocka_unit_test(depth_counts_aliases_too),
        cmocka_unit_test(a_table_fills_a_struct),
        cmocka_unit_test(keys_that_are_not_in_the_table_are_errors),
        cmocka_unit_test(null_values_say_nothing_where_the_table_allows_it),
        cmocka_unit_test(cluster_files_are_written_as_they_are_promised),
        cmocka_unit_test(blocks_nest_in_every_way),
        cmocka_unit_test(written_texts_read_again_as_the_same_texts),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
