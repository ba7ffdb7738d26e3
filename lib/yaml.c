#include "lib/yaml.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    char *name;
    const struct yaml_node *node;
};

struct yaml_tree {
    struct yaml_node *root;
    struct yaml_node **nodes; /* all of them, in the tree or not (any more) */
    size_t node_count;
    size_t node_capacity;
    char **texts;
    size_t text_count;
    size_t text_capacity;
    size_t expanded; /* bytes of all scalars, copies counted again */
};

/* One call of yaml_parse. */
struct build {
    struct yaml_tree *tree;
    const char *file; /* the tree's copy */
    yaml_parser_t parser;
    struct anchor *anchors;
    size_t anchor_count;
    size_t anchor_capacity;
    struct error *err;
};

/* ---- trees ---- */

static char *keep_text(struct yaml_tree *tree, char *text) {
    mem_grow(tree->texts, tree->text_count, tree->text_capacity);
    tree->texts[tree->text_count++] = text;
    return text;
}

static struct yaml_node *keep_node(struct yaml_tree *tree, struct yaml_node node) {
    mem_grow(tree->nodes, tree->node_count, tree->node_capacity);
    struct yaml_node *kept = mem_dup(&node, sizeof node);
    tree->nodes[tree->node_count++] = kept;
    return kept;
}

void yaml_tree_free(struct yaml_tree *tree) {
    for (size_t i = 0; i < tree->node_count; i++) {
        free(tree->nodes[i]->items);
        free(tree->nodes[i]->keys);
        free(tree->nodes[i]);
    }
    for (size_t i = 0; i < tree->text_count; i++) {
        explicit_bzero(tree->texts[i], strlen(tree->texts[i])); /* some files hold secrets */
        free(tree->texts[i]);
    }
    free(tree->nodes);
    free(tree->texts);
    free(tree);
}

struct yaml_node *yaml_root(const struct yaml_tree *tree) {
    return tree->root;
}

void yaml_adopt(struct yaml_tree *tree, struct yaml_tree *other) {
    for (size_t i = 0; i < other->node_count; i++) {
        mem_grow(tree->nodes, tree->node_count, tree->node_capacity);
        tree->nodes[tree->node_count++] = other->nodes[i];
    }
    for (size_t i = 0; i < other->text_count; i++)
        keep_text(tree, other->texts[i]);
    free(other->nodes);
    free(other->texts);
    free(other);
}

void yaml_set_text(struct yaml_tree *tree, struct yaml_node *scalar, char *text) {
    scalar->text = keep_text(tree, text);
    scalar->replaced = true;
}

struct yaml_node *yaml_new(struct yaml_tree *tree, enum yaml_type type,
                           const struct yaml_node *at) {
    struct yaml_node node = {
        .type = type, .file = at->file, .line = at->line, .column = at->column, .name = at->name};
    if (type == YAML_SCALAR)
        node.text = "";
    return keep_node(tree, node);
}

/* The arrays grow by doubling at powers of two, which needs no capacity to be kept. */
static void grow(struct yaml_node ***array, size_t count) {
    if ((count & (count - 1)) == 0)
        *array = mem_resize(*array, count ? 2 * count : 1, sizeof **array);
}

void yaml_append(struct yaml_node *sequence, struct yaml_node *item) {
    grow(&sequence->items, sequence->count);
    sequence->items[sequence->count++] = item;
}

static void append_pair(struct yaml_node *mapping, struct yaml_node *key, struct yaml_node *value) {
    grow(&mapping->items, mapping->count);
    grow(&mapping->keys, mapping->count);
    mapping->items[mapping->count] = value;
    mapping->keys[mapping->count++] = key;
}

void yaml_set(struct yaml_node *mapping, struct yaml_node *key, struct yaml_node *value) {
    size_t at = yaml_position(mapping, key->text);
    if (at < mapping->count)
        mapping->items[at] = value;
    else
        append_pair(mapping, key, value);
}

/* ---- errors ---- */

void yaml_error_text(const struct yaml_node *node, struct error *err, const char *format, ...) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, ERROR_TEXT_MAX);
    va_list args;
    va_start(args, format);
    buffer_vformat(&text, format, args);
    va_end(args);
    error_set_text(err, ERROR_CONFIG, 0, "%s:%u:%u: %s", node->file, node->line, node->column,
                   text.overflowed ? "(a very long message)" : buffer_string(&text));
}

void yaml_error_place(const struct yaml_node *node, struct error *err) {
    err->kind = ERROR_CONFIG;
    error_wrap_text(err, "%s:%u:%u", node->file, node->line, node->column);
}

static int error_at(struct build *b, yaml_mark_t mark, const char *text) {
    return error_set(b->err, ERROR_CONFIG, "%s:%zu:%zu: %s", b->file, mark.line + 1,
                     mark.column + 1, text);
}

/* Errors of the reader (bad UTF-8, control characters) come with an offset instead of a mark. */
static int parser_error(struct build *b, const char *text, size_t size) {
    yaml_mark_t mark = b->parser.problem_mark;
    const char *problem = b->parser.problem ? b->parser.problem : "not YAML";
    if (b->parser.error == YAML_READER_ERROR) {
        size_t end = b->parser.problem_offset < size ? b->parser.problem_offset : size;
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < end; i++) {
            mark.column = text[i] == '\n' ? 0 : mark.column + 1;
            mark.line += text[i] == '\n';
        }
    }
    cleanup_free char *message =
        b->parser.context ? text_format("%s %s", problem, b->parser.context) : text_dup(problem);
    return error_at(b, mark, message);
}

/* ---- events to nodes ---- */

static int next_event(struct build *b, yaml_event_t *ret) {
    if (!yaml_parser_parse(&b->parser, ret))
        return parser_error(b, (const char *)b->parser.input.string.start,
                            (size_t)(b->parser.input.string.end - b->parser.input.string.start));
    return 0;
}

static int count_node(struct build *b, yaml_mark_t mark, size_t text_size) {
    if (b->tree->node_count >= YAML_NODES_MAX)
        return error_at(b, mark, "more values than we accept (100000, aliases expanded)");
    b->tree->expanded += text_size;
    if (b->tree->expanded > YAML_EXPANDED_MAX)
        return error_at(b, mark, "more text than we accept (8 MiB, aliases expanded)");
    return 0;
}

static int add_anchor(struct build *b, const char *name, const struct yaml_node *node,
                      yaml_mark_t mark) {
    if (!name)
        return 0;
    if (b->anchor_count == YAML_ANCHORS_MAX)
        return error_at(b, mark, "more anchors than we accept (1000)");
    mem_grow(b->anchors, b->anchor_count, b->anchor_capacity);
    b->anchors[b->anchor_count++] = (struct anchor){.name = text_dup(name), .node = node};
    return 0;
}

static int copy_node(struct build *b, const struct yaml_node *from, yaml_mark_t mark, size_t depth,
                     struct yaml_node **ret) {
    if (depth > YAML_DEPTH_MAX)
        return error_at(b, mark, "deeper than we accept (64 levels)");
    if (count_node(b, mark, from->text ? strlen(from->text) : 0) < 0)
        return -1;
    struct yaml_node shallow = *from;
    shallow.items = shallow.keys = NULL;
    shallow.count = 0;
    struct yaml_node *copy = keep_node(b->tree, shallow);
    for (size_t i = 0; i < from->count; i++) {
        struct yaml_node *item;
        if (copy_node(b, from->items[i], mark, depth + 1, &item) < 0)
            return -1;
        if (from->type == YAML_MAPPING)
            append_pair(copy, from->keys[i], item);
        else
            yaml_append(copy, item);
    }
    *ret = copy;
    return 0;
}

static int build_alias(struct build *b, const yaml_event_t *event, size_t depth,
                       struct yaml_node **ret) {
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = b->anchor_count; i-- > 0;)
        if (text_equal(b->anchors[i].name, name))
            return copy_node(b, b->anchors[i].node, event->start_mark, depth, ret);
    cleanup_free char *message =
        text_format("alias '*%.64s' has no anchor before it ('&%.64s')", name, name);
    return error_at(b, event->start_mark, message);
}

/* Tags of YAML itself say nothing that the content does not, but for !!str. Those of Compose
 * (!reset, !override) have a meaning that must not be dropped in silence. */
static int check_tag(struct build *b, const char *tag, yaml_mark_t mark) {
    if (!tag || text_starts(tag, "tag:yaml.org,2002:") || text_equal(tag, "!"))
        return 0;
    cleanup_free char *message = text_format("tag '%.64s' is not supported yet", tag);
    return error_at(b, mark, message);
}

static struct yaml_node node_at(struct build *b, enum yaml_type type, yaml_mark_t mark) {
    return (struct yaml_node){
        .type = type,
        .file = b->file,
        .line = (unsigned)mark.line + 1,
        .column = (unsigned)mark.column + 1,
    };
}

static int build_scalar(struct build *b, const yaml_event_t *event, struct yaml_node **ret) {
    const char *value = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    size_t length = event->data.scalar.length;
    if (check_tag(b, tag, event->start_mark) < 0 || count_node(b, event->start_mark, length) < 0)
        return -1;
    if (strlen(value) != length)
        return error_at(b, event->start_mark, "a text with a NUL character");
    struct yaml_node node = node_at(b, YAML_SCALAR, event->start_mark);
    node.text = keep_text(b->tree, text_dup(value));
    node.quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                  text_equal(tag, YAML_STR_TAG) || text_equal(tag, "!");
    *ret = keep_node(b->tree, node);
    return add_anchor(b, (const char *)event->data.scalar.anchor, *ret, event->start_mark);
}

static int build_node(struct build *b, const yaml_event_t *event, size_t depth,
                      struct yaml_node **ret);

static int build_next(struct build *b, size_t depth, yaml_event_type_t end,
                      struct yaml_node **ret) {
    cleanup(yaml_event_delete) yaml_event_t event = {0};
    if (next_event(b, &event) < 0)
        return -1;
    if (event.type == end)
        return 1;
    return build_node(b, &event, depth, ret);
}

static void set_name(struct yaml_node *node, const char *name) {
    node->name = name;
    if (node->type == YAML_SEQUENCE)
        for (size_t i = 0; i < node->count; i++)
            set_name(node->items[i], name);
}

static int build_items(struct build *b, struct yaml_node *sequence, size_t depth) {
    for (;;) {
        struct yaml_node *item;
        int result = build_next(b, depth, YAML_SEQUENCE_END_EVENT, &item);
        if (result != 0)
            return result < 0 ? -1 : 0;
        yaml_append(sequence, item);
    }
}

static int build_pairs(struct build *b, struct yaml_node *mapping, size_t depth) {
    for (;;) {
        struct yaml_node *key, *value;
        int result = build_next(b, depth, YAML_MAPPING_END_EVENT, &key);
        if (result != 0)
            return result < 0 ? -1 : 0;
        if (key->type != YAML_SCALAR)
            return yaml_error(key, b->err, "a key must be a text, not %s", yaml_what(key).text);
        if (build_next(b, depth, YAML_NO_EVENT, &value) < 0)
            return -1;
        set_name(value, key->text);
        append_pair(mapping, key, value);
    }
}

static int by_text_then_place(const void *a, const void *b) {
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int order = strcmp(x->text, y->text);
    if (order)
        return order;
    return x->line != y->line ? (x->line < y->line ? -1 : 1) : (x->column < y->column ? -1 : 1);
}

static bool is_merge_key(const struct yaml_node *key) {
    return !key->quoted && text_equal(key->text, "<<");
}

/* The keys of a mapping in order, so that looking for one among many is quick. */
static struct yaml_node **sorted_keys(const struct yaml_node *mapping) {
    struct yaml_node **keys = mem_dup(mapping->keys, mapping->count * sizeof(struct yaml_node *));
    if (mapping->count)
        qsort(keys, mapping->count, sizeof *keys, by_text_then_place);
    return keys;
}

static int check_duplicates(struct build *b, const struct yaml_node *mapping) {
    cleanup_free struct yaml_node **keys = sorted_keys(mapping);
    for (size_t i = 1; i < mapping->count; i++)
        if (text_equal(keys[i - 1]->text, keys[i]->text))
            return yaml_error(keys[i], b->err, "key '%.64s' is there twice, first in line %u",
                              keys[i]->text, keys[i - 1]->line);
    return 0;
}

static int by_text(const void *a, const void *b) {
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    return strcmp(x->text, y->text);
}

/* What is there already stays: "earlier mappings override later ones". */
static int merge_one(struct build *b, struct yaml_node *mapping, const struct yaml_node *from) {
    if (from->type != YAML_MAPPING)
        return yaml_error(from, b->err, "'<<' must be a mapping or a list of mappings, not %s",
                          yaml_what(from).text);
    cleanup_free struct yaml_node **keys = sorted_keys(mapping);
    size_t count = mapping->count;
    for (size_t i = 0; i < from->count; i++)
        if (count == 0 || !bsearch(&from->keys[i], keys, count, sizeof *keys, by_text))
            append_pair(mapping, from->keys[i], from->items[i]);
    return 0;
}

static int expand_merge_key(struct build *b, struct yaml_node *mapping) {
    size_t at = yaml_position(mapping, "<<");
    if (at == mapping->count || !is_merge_key(mapping->keys[at]))
        return 0;
    const struct yaml_node *merged = mapping->items[at];
    mapping->count--;
    memmove(mapping->items + at, mapping->items + at + 1,
            (mapping->count - at) * sizeof *mapping->items);
    memmove(mapping->keys + at, mapping->keys + at + 1,
            (mapping->count - at) * sizeof *mapping->keys);
    if (merged->type != YAML_SEQUENCE)
        return merge_one(b, mapping, merged);
    for (size_t i = 0; i < merged->count; i++)
        if (merge_one(b, mapping, merged->items[i]) < 0)
            return -1;
    return 0;
}

static int build_collection(struct build *b, const yaml_event_t *event, size_t depth,
                            struct yaml_node **ret) {
    bool mapping = event->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag =
        mapping ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *anchor =
        mapping ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    yaml_mark_t mark = event->start_mark;
    if (depth > YAML_DEPTH_MAX)
        return error_at(b, mark, "deeper than we accept (64 levels)");
    if (check_tag(b, (const char *)tag, mark) < 0 || count_node(b, mark, 0) < 0)
        return -1;
    struct yaml_node *node =
        keep_node(b->tree, node_at(b, mapping ? YAML_MAPPING : YAML_SEQUENCE, mark));
    if (!mapping && build_items(b, node, depth + 1) < 0)
        return -1;
    if (mapping && (build_pairs(b, node, depth + 1) < 0 || check_duplicates(b, node) < 0 ||
                    expand_merge_key(b, node) < 0))
        return -1;
    *ret = node;
    return add_anchor(b, (const char *)anchor, node, mark);
}

static int build_node(struct build *b, const yaml_event_t *event, size_t depth,
                      struct yaml_node **ret) {
    switch (event->type) {
    case YAML_ALIAS_EVENT: return build_alias(b, event, depth, ret);
    case YAML_SCALAR_EVENT: return build_scalar(b, event, ret);
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT: return build_collection(b, event, depth, ret);
    default: return error_at(b, event->start_mark, "not YAML");
    }
}

/* The end of the first document, and nothing behind it. */
static int build_end(struct build *b) {
    for (;;) {
        cleanup(yaml_event_delete) yaml_event_t event = {0};
        if (next_event(b, &event) < 0)
            return -1;
        if (event.type == YAML_STREAM_END_EVENT)
            return 0;
        if (event.type == YAML_DOCUMENT_START_EVENT)
            return error_at(b, event.start_mark, "a second document in one file");
    }
}

static int build_document(struct build *b) {
    for (;;) {
        cleanup(yaml_event_delete) yaml_event_t event = {0};
        if (next_event(b, &event) < 0)
            return -1;
        if (event.type == YAML_STREAM_END_EVENT) {
            struct yaml_node nothing = node_at(b, YAML_SCALAR, (yaml_mark_t){0});
            nothing.text = "";
            b->tree->root = keep_node(b->tree, nothing);
            return 0;
        }
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT)
            continue;
        return build_node(b, &event, 1, &b->tree->root) < 0 ? -1 : build_end(b);
    }
}

static void build_deinit(struct build *b) {
    yaml_parser_delete(&b->parser);
    for (size_t i = 0; i < b->anchor_count; i++)
        free(b->anchors[i].name);
    free(b->anchors);
    if (b->tree)
        yaml_tree_free(b->tree);
}

int yaml_parse(const char *file, const char *text, size_t size, struct yaml_tree **ret,
               struct error *err) {
    if (size > YAML_SIZE_MAX)
        return error_set(err, ERROR_CONFIG, "%s: larger than we accept (1 MiB)", file);
    cleanup(build_deinit) struct build b = {.tree = mem_new(struct yaml_tree), .err = err};
    b.file = keep_text(b.tree, text_dup(file));
    if (!yaml_parser_initialize(&b.parser))
        abort(); /* out of memory, the only reason */
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, size);
    if (build_document(&b) < 0)
        return -1;
    *ret = take_ptr(b.tree);
    return 0;
}
