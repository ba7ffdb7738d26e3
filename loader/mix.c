#include "loader/mix.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_LENGTH_MAX = LOADER_SHAPE_NAME_SIZE - 1 };

/* What a shape may say of itself. The names are those of the options. */
static const struct part {
    const char *letter;
    const char *name;
    uint64_t min, max;
    size_t at; /* in struct shape */
    bool of_writes;
} parts[] = {
    {"", "weight", 1, LOADER_WEIGHT_MAX, offsetof(struct shape, weight), false},
    {"k", "keys", 0, LOADER_KEYS_MAX, offsetof(struct shape, key_count), false},
    {"", "read-keys", 0, LOADER_KEYS_MAX, offsetof(struct shape, read_count), true},
    {"s", "key-size", 1, LOADER_KEY_SIZE_MAX, offsetof(struct shape, key_size), false},
    {"v", "value-size", 0, LOADER_VALUE_SIZE_MAX, offsetof(struct shape, value_size), true},
    {"d", "payload-size", 0, WIRE_PAYLOAD_MAX, offsetof(struct shape, payload_size), false},
    {"e", "execution-time", 0, LOADER_EXECUTION_MS_MAX, offsetof(struct shape, execution_ms),
     false},
    {"p", "pre-execute", 0, 1, offsetof(struct shape, pre_execute), true},
    {"w", "busy-wait", 0, 1, offsetof(struct shape, busy_wait), false},
};
enum { PARTS = sizeof parts / sizeof *parts };

static const struct part *part_of(const char *name) {
    for (size_t i = 0; i < PARTS; i++)
        if (*name && (text_equal(name, parts[i].letter) || text_equal(name, parts[i].name)))
            return &parts[i];
    return NULL;
}

static int unknown_part(const char *name, struct error *err) {
    const char *names[PARTS + 1] = {"read"};
    for (size_t i = 0; i < PARTS; i++)
        names[i + 1] = parts[i].name;
    const char *nearest = text_nearest(name, names, PARTS + 1);
    error_set(err, ERROR_USAGE, "a shape has no '%.32s'", name);
    if (nearest)
        return error_hint(err, "did you mean %s%s?", nearest,
                          text_equal(nearest, "read") ? "" : "=");
    return error_hint(
        err, "it has k= s= v= d= e= p= w= or their long names, weight=, read-keys= and read");
}

static int set_part(struct shape *shape, bool given[PARTS], char *text, struct error *err) {
    char *value = strchr(text, '=');
    if (text_equal(text, "read")) {
        shape->read_only = true;
        return 0;
    }
    if (value)
        *value++ = '\0';
    const struct part *part = part_of(text);
    if (!part)
        return unknown_part(text, err);
    if (!value)
        return error_set(err, ERROR_USAGE, "%s needs a value: %s=NUMBER", text, text);
    if (given[part - parts])
        return error_set(err, ERROR_USAGE, "%s is there twice", part->name);
    given[part - parts] = true;
    if (text_to_u64(value, part->min, part->max, (uint64_t *)(void *)((char *)shape + part->at),
                    err) < 0) {
        err->kind = ERROR_USAGE;
        return error_wrap(err, "%s", part->name);
    }
    return 0;
}

static bool is_name(const char *text) {
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    return size > 0 && size <= NAME_LENGTH_MAX && text[size] == '\0';
}

/* Names are tags in latency.hlog, beside those that are ours. */
static int set_name(const struct mix *m, struct shape *shape, const char *name, struct error *err) {
    if (!is_name(name)) {
        error_set(err, ERROR_USAGE, "'%.64s' is no name of a shape", name);
        return error_hint(err, "it begins with its name, of letters, digits, '-' and '_', up to %d",
                          NAME_LENGTH_MAX);
    }
    if (text_equal(name, "from-send") || text_equal(name, "lateness"))
        return error_set(err, ERROR_USAGE, "'%s' means something else in latency.hlog", name);
    for (size_t i = 0; i < m->count; i++)
        if (text_equal(name, m->shapes[i].name))
            return error_set(err, ERROR_USAGE, "there are two shapes '%s'", name);
    snprintf(shape->name, sizeof shape->name, "%s", name);
    return 0;
}

/* What is read has the size that it was written with, and nobody orders it. */
static int conclude_read(struct shape *shape, const bool given[PARTS], struct error *err) {
    for (size_t i = 0; i < PARTS; i++)
        if (given[i] && parts[i].of_writes)
            return error_set(err, ERROR_USAGE, "%s is of writes, but the shape is one that reads",
                             parts[i].name);
    shape->value_size = shape->pre_execute = shape->read_count = 0;
    if (!given[part_of("d") - parts])
        shape->payload_size = 0;
    return 0;
}

int mix_add(struct mix *m, const char *text, const struct shape *preset, struct error *err) {
    cleanup_free char *copy = text_dup(text);
    bool given[PARTS] = {false};
    struct shape shape = *preset;
    char *rest = copy;
    if (m->count == LOADER_SHAPES_MAX)
        return error_set(err, ERROR_USAGE, "more than %d shapes", LOADER_SHAPES_MAX);
    shape.weight = 1;
    if (set_name(m, &shape, strsep(&rest, ","), err) < 0)
        return -1;
    for (char *word; (word = strsep(&rest, ","));)
        if (set_part(&shape, given, word, err) < 0)
            return error_wrap(err, "shape '%s'", shape.name);
    if (shape.read_only && conclude_read(&shape, given, err) < 0)
        return error_wrap(err, "shape '%s'", shape.name);
    m->shapes[m->count++] = shape;
    return 0;
}

static void add_half(struct mix *m, const struct shape *preset, const char *name, uint64_t weight) {
    struct shape *shape = &m->shapes[m->count++];
    *shape = *preset;
    shape->weight = weight;
    snprintf(shape->name, sizeof shape->name, "%s", name);
}

void mix_add_reads(struct mix *m, const struct shape *preset, uint64_t percent) {
    struct shape read = *preset;
    read.read_only = true;
    read.value_size = read.payload_size = read.pre_execute = read.read_count = 0;
    if (percent < 100)
        add_half(m, preset, "write", 100 - percent);
    if (percent > 0)
        add_half(m, &read, "read", percent);
}

int mix_check(const struct mix *m, struct error *err) {
    for (size_t i = 0; i < m->count; i++) {
        const struct shape *shape = &m->shapes[i];
        if (shape->read_only && m->key_space == 0) {
            error_set(err, ERROR_USAGE, "reads need keys that are written: --key-space");
            return error_hint(err, "without it, each request writes keys that nobody else knows");
        }
        if (shape->read_count > 0 && m->key_space == 0)
            return error_set(err, ERROR_USAGE, "--read-keys needs keys to read: --key-space");
        if (m->key_space > 0 &&
            (shape->key_count > m->key_space || shape->read_count > m->key_space))
            return error_set(err, ERROR_USAGE,
                             "a request of %" PRIu64 " keys does not fit into --key-space %" PRIu64,
                             shape->key_count > shape->read_count ? shape->key_count
                                                                  : shape->read_count,
                             m->key_space);
    }
    if (m->skew.model != KEYS_UNIFORM && m->key_space == 0)
        return error_set(err, ERROR_USAGE, "option --key-skew needs --key-space");
    return 0;
}
