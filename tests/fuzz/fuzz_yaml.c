/* Any bytes as YAML: a tree or an error; and a tree that is written reads as the same tree. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_node(struct yaml_writer *w, const struct yaml_node *node) {
    if (node->type == YAML_SCALAR) {
        yaml_text(w, yaml_is_null(node) ? NULL : node->text);
        return;
    }
    yaml_begin(w, node->type, node->line % 2 ? YAML_BLOCK : YAML_FLOW);
    for (size_t i = 0; i < node->count; i++) {
        if (node->type == YAML_MAPPING)
            yaml_key(w, node->keys[i]->text);
        write_node(w, node->items[i]);
    }
    yaml_end(w);
}

static void assert_same(const struct yaml_node *a, const struct yaml_node *b) {
    assert(a->type == b->type && a->count == b->count);
    if (a->type == YAML_SCALAR)
        assert(yaml_is_null(a) ? yaml_is_null(b) : text_equal(a->text, b->text));
    for (size_t i = 0; i < a->count; i++) {
        if (a->type == YAML_MAPPING)
            assert(text_equal(a->keys[i]->text, b->keys[i]->text));
        assert_same(a->items[i], b->items[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    if (yaml_parse("f", (const char *)data, size, &tree, &err) < 0) {
        assert(err.kind == ERROR_CONFIG && *err.text);
        return 0;
    }
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, YAML_SIZE_MAX); /* expanded aliases may need more */
    struct yaml_writer w = yaml_writer(&out);
    write_node(&w, yaml_root(tree));
    if (out.overflowed)
        return 0;
    cleanup(yaml_tree_freep) struct yaml_tree *again = NULL;
    int result = yaml_parse("f", buffer_string(&out), out.size, &again, &err);
    assert(result == 0);
    (void)result;
    assert_same(yaml_root(tree), yaml_root(again));
    return 0;
}
