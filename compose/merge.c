/*
 * Several files as one: the later one is merged into the earlier one, key by key.
 * Source: Compose Specification, "Merge Compose files".
 *
 * Most of it is simple: mappings merge, lists are joined, everything else is replaced. The table
 * has the keys that differ, and those that may be written in two shapes and must get one first.
 */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum rule {
    RULE_MERGE,   /* by shape */
    RULE_REPLACE, /* the later one, whole */
    RULE_PAIRS,   /* a mapping, or a list of NAME=VALUE */
    RULE_NAMES,   /* a mapping, or a list of names */
    RULE_LIST,    /* a list, or one text */
    RULE_HOSTS,   /* a list of NAME:ADDRESS, or a mapping */
    RULE_CONTEXT, /* a mapping, or the text of its `context` */
    RULE_MOUNTS,  /* a list in which every target is there once */
};

/* Paths from the top, `*` for any key. */
static const struct {
    const char *path[4];
    enum rule rule;
} rules[] = {
    {{"services", "*", "command"}, RULE_REPLACE},
    {{"services", "*", "entrypoint"}, RULE_REPLACE},
    {{"services", "*", "healthcheck", "test"}, RULE_REPLACE},
    {{"services", "*", "environment"}, RULE_PAIRS},
    {{"services", "*", "labels"}, RULE_PAIRS},
    {{"services", "*", "sysctls"}, RULE_PAIRS},
    {{"services", "*", "build"}, RULE_CONTEXT},
    {{"services", "*", "build", "args"}, RULE_PAIRS},
    {{"services", "*", "build", "labels"}, RULE_PAIRS},
    {{"services", "*", "networks"}, RULE_NAMES},
    {{"services", "*", "depends_on"}, RULE_NAMES},
    {{"services", "*", "dns"}, RULE_LIST},
    {{"services", "*", "dns_search"}, RULE_LIST},
    {{"services", "*", "tmpfs"}, RULE_LIST},
    {{"services", "*", "env_file"}, RULE_LIST},
    {{"services", "*", "extra_hosts"}, RULE_HOSTS},
    {{"services", "*", "ulimits", "*"}, RULE_REPLACE},
    {{"services", "*", "volumes"}, RULE_MOUNTS},
    {{"networks", "*", "labels"}, RULE_PAIRS},
    {{"volumes", "*", "labels"}, RULE_PAIRS},
    {{"networks", "*", "ipam", "config"}, RULE_REPLACE},
};

enum {
    PATH_MAX_DEPTH = 4,
    MERGE_COUNT_MAX = 10000, /* of one mapping or list: each is looked up among the others */
};

struct merging {
    struct yaml_tree *tree;
    const char *path[PATH_MAX_DEPTH];
    size_t depth; /* may be more than the path holds: then no rule applies */
    struct error *err;
};

static enum rule find_rule(const struct merging *m) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t depth = 0;
        while (depth < PATH_MAX_DEPTH && rules[i].path[depth])
            depth++;
        bool same = depth == m->depth;
        for (size_t j = 0; same && j < depth; j++)
            same = text_equal(rules[i].path[j], "*") || text_equal(rules[i].path[j], m->path[j]);
        if (same)
            return rules[i].rule;
    }
    return RULE_MERGE;
}

/* ---- shapes ---- */

static struct yaml_node *new_scalar(struct merging *m, const struct yaml_node *at, char *text) {
    struct yaml_node *scalar = yaml_new(m->tree, YAML_SCALAR, at);
    yaml_set_text(m->tree, scalar, text);
    scalar->replaced = false; /* variables in it are still to come */
    scalar->quoted = true;
    return scalar;
}

/* The null of a name without a value. */
static struct yaml_node *new_null(struct merging *m, const struct yaml_node *at) {
    return yaml_new(m->tree, YAML_SCALAR, at);
}

static struct yaml_node *pairs_as_mapping(struct merging *m, struct yaml_node *node, bool names) {
    if (node->type != YAML_SEQUENCE)
        return node;
    struct yaml_node *mapping = yaml_new(m->tree, YAML_MAPPING, node);
    for (size_t i = 0; i < node->count; i++) {
        struct yaml_node *item = node->items[i];
        if (item->type != YAML_SCALAR)
            return node; /* wrong anyway, and reported when it is read */
        size_t name = names ? strlen(item->text) : strcspn(item->text, "=");
        struct yaml_node *key = new_scalar(m, item, strndup(item->text, name));
        struct yaml_node *value = item->text[name]
                                      ? new_scalar(m, item, text_dup(item->text + name + 1))
                                      : new_null(m, item);
        yaml_set(mapping, key, value);
    }
    return mapping;
}

/* A service that is just named in depends_on has to have been started. */
static void spell_conditions(struct merging *m, struct yaml_node *node) {
    if (!text_equal(m->path[2], "depends_on") || node->type != YAML_MAPPING)
        return;
    for (size_t i = 0; i < node->count; i++) {
        struct yaml_node *at = node->items[i];
        if (!yaml_is_null(at))
            continue;
        node->items[i] = yaml_new(m->tree, YAML_MAPPING, at);
        yaml_set(node->items[i], new_scalar(m, at, text_dup("condition")),
                 new_scalar(m, at, text_dup("service_started")));
    }
}

static struct yaml_node *as_list(struct merging *m, struct yaml_node *node) {
    if (node->type == YAML_SEQUENCE)
        return node;
    struct yaml_node *list = yaml_new(m->tree, YAML_SEQUENCE, node);
    yaml_append(list, node);
    return list;
}

static struct yaml_node *hosts_as_list(struct merging *m, struct yaml_node *node) {
    if (node->type != YAML_MAPPING)
        return node;
    struct yaml_node *list = yaml_new(m->tree, YAML_SEQUENCE, node);
    for (size_t i = 0; i < node->count; i++) {
        const struct yaml_node *value = as_list(m, node->items[i]);
        for (size_t j = 0; j < value->count; j++)
            if (value->items[j]->type == YAML_SCALAR)
                yaml_append(list, new_scalar(m, value->items[j],
                                             text_format("%s=%s", node->keys[i]->text,
                                                         value->items[j]->text)));
    }
    return list;
}

static struct yaml_node *as_context(struct merging *m, struct yaml_node *node) {
    if (node->type != YAML_SCALAR)
        return node;
    struct yaml_node *mapping = yaml_new(m->tree, YAML_MAPPING, node);
    yaml_set(mapping, new_scalar(m, node, text_dup("context")), node);
    return mapping;
}

/* Where a mount goes, malloc()ed; NULL when that cannot be seen. */
static char *mount_target(const struct yaml_node *mount) {
    if (mount->type == YAML_MAPPING) {
        const struct yaml_node *target = yaml_find(mount, "target");
        return target && target->type == YAML_SCALAR ? text_dup(target->text) : NULL;
    }
    if (mount->type != YAML_SCALAR)
        return NULL;
    const char *colon = strchr(mount->text, ':');
    return colon ? strndup(colon + 1, strcspn(colon + 1, ":")) : text_dup(mount->text);
}

static void join_mounts(struct yaml_node *base, const struct yaml_node *over) {
    for (size_t i = 0; i < over->count; i++) {
        cleanup_free char *target = mount_target(over->items[i]);
        size_t at = 0;
        for (; at < base->count; at++) {
            cleanup_free char *other = mount_target(base->items[at]);
            if (target && text_equal(target, other))
                break;
        }
        if (at < base->count)
            base->items[at] = over->items[i];
        else
            yaml_append(base, over->items[i]);
    }
}

/* ---- merging ---- */

static struct yaml_node *one_shape(struct merging *m, enum rule rule, struct yaml_node *node) {
    switch (rule) {
    case RULE_PAIRS: return pairs_as_mapping(m, node, false);
    case RULE_NAMES:
        node = pairs_as_mapping(m, node, true);
        spell_conditions(m, node);
        return node;
    case RULE_LIST: return as_list(m, node);
    case RULE_HOSTS: return hosts_as_list(m, node);
    case RULE_CONTEXT: return as_context(m, node);
    default: return node;
    }
}

static int merge_mapping(struct merging *m, struct yaml_node *base, const struct yaml_node *over,
                         bool nulls_replace);

static int merge_value(struct merging *m, struct yaml_node **slot, struct yaml_node *over) {
    enum rule rule = find_rule(m);
    if (yaml_is_null(over) && rule != RULE_REPLACE)
        return 0;
    if ((*slot)->count > MERGE_COUNT_MAX || over->count > MERGE_COUNT_MAX)
        return yaml_error(over, m->err, "more than %d values to merge", MERGE_COUNT_MAX);
    struct yaml_node *base = *slot = one_shape(m, rule, *slot);
    over = one_shape(m, rule, over);
    if (rule == RULE_REPLACE || yaml_is_null(base) ||
        (base->type == YAML_SCALAR && over->type == YAML_SCALAR)) {
        *slot = over;
        return 0;
    }
    if (base->type != over->type)
        return yaml_error(over, m->err, "'%.64s' is %s here, but %s in %s:%u",
                          over->name ? over->name : "this", yaml_what(over).text,
                          yaml_what(base).text, base->file, base->line);
    if (base->type == YAML_MAPPING)
        return merge_mapping(m, base, over, rule == RULE_PAIRS);
    if (rule == RULE_MOUNTS)
        join_mounts(base, over);
    else
        for (size_t i = 0; i < over->count; i++)
            yaml_append(base, over->items[i]);
    return 0;
}

static int merge_mapping(struct merging *m, struct yaml_node *base, const struct yaml_node *over,
                         bool nulls_replace) {
    for (size_t i = 0; i < over->count; i++) {
        const char *key = over->keys[i]->text;
        size_t at = yaml_position(base, key);
        if (at == base->count || (nulls_replace && yaml_is_null(over->items[i]))) {
            yaml_set(base, over->keys[i], over->items[i]);
            continue;
        }
        if (m->depth < PATH_MAX_DEPTH)
            m->path[m->depth] = key;
        m->depth++;
        int result = merge_value(m, &base->items[at], over->items[i]);
        m->depth--;
        if (result < 0)
            return -1;
    }
    return 0;
}

int merge_files(struct yaml_tree *tree, struct yaml_node *base, struct yaml_node *over,
                struct error *err) {
    struct merging m = {.tree = tree, .err = err};
    if (base->count > MERGE_COUNT_MAX || over->count > MERGE_COUNT_MAX)
        return yaml_error(over, err, "more than %d keys to merge", MERGE_COUNT_MAX);
    return merge_mapping(&m, base, over, false);
}
