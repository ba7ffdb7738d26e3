/* Looking at trees and reading mappings by tables; libyaml is not needed for it. */

#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- scalars: YAML 1.2.2, section 10.3.2, core schema ---- */

static bool is_one_of(const char *text, const char *const *names) {
    for (; *names; names++)
        if (strcmp(text, *names) == 0)
            return true;
    return false;
}

static size_t span_of(const char *text, const char *accept) {
    return strspn(text, accept);
}

/* Digits of a base, whole text: true, with false in *ret_fits when int64 cannot hold it. */
static bool integer(const char *digits, unsigned base, bool negative, int64_t *ret,
                    bool *ret_fits) {
    static const char all[] = "0123456789abcdef";
    uint64_t value = 0;
    bool fits = true;
    if (!*digits)
        return false;
    for (const char *p = digits; *p; p++) {
        char low = (char)(*p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p);
        const char *found = memchr(all, low, base);
        if (!found)
            return false;
        fits = fits && !__builtin_mul_overflow(value, base, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(found - all), &value);
    }
    fits = fits && value <= (uint64_t)INT64_MAX;
    *ret = !fits ? 0 : negative ? -(int64_t)value : (int64_t)value;
    *ret_fits = fits;
    return true;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_float(const char *text) {
    static const char digits[] = "0123456789";
    static const char *const special[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nan[] = {".nan", ".NaN", ".NAN", NULL};
    const char *p = text + (*text == '-' || *text == '+');
    if (is_one_of(p, special) || is_one_of(text, nan))
        return true;
    size_t whole = span_of(p, digits), part = 0;
    p += whole;
    if (*p == '.') {
        p++;
        part = span_of(p, digits);
        p += part;
    }
    if (whole + part == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '-' || *p == '+';
        size_t exponent = span_of(p, digits);
        if (exponent == 0)
            return false;
        p += exponent;
    }
    return *p == '\0';
}

enum yaml_kind_of_scalar yaml_resolve(const struct yaml_node *scalar, int64_t *ret_int) {
    static const char *const nothing[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const yes[] = {"true", "True", "TRUE", NULL};
    static const char *const no[] = {"false", "False", "FALSE", NULL};
    const char *text = scalar->text;
    int64_t value = 0;
    bool fits = true;
    if (scalar->type != YAML_SCALAR || scalar->quoted || scalar->replaced)
        return YAML_IS_TEXT;
    if (is_one_of(text, nothing))
        return YAML_IS_NULL;
    if (is_one_of(text, yes) || is_one_of(text, no)) {
        if (ret_int)
            *ret_int = is_one_of(text, yes);
        return YAML_IS_BOOL;
    }
    bool sign = *text == '-' || *text == '+';
    if ((text_starts(text, "0x") && integer(text + 2, 16, false, &value, &fits)) ||
        (text_starts(text, "0o") && integer(text + 2, 8, false, &value, &fits)) ||
        integer(text + sign, 10, *text == '-', &value, &fits)) {
        if (fits && ret_int)
            *ret_int = value;
        return fits ? YAML_IS_INT : YAML_IS_NUMBER;
    }
    return is_float(text) ? YAML_IS_NUMBER : YAML_IS_TEXT;
}

/* What typed getters see: an interpolated text is what it looks like, quoted or not. */
static enum yaml_kind_of_scalar resolve_typed(const struct yaml_node *node, int64_t *ret) {
    struct yaml_node plain = *node;
    if (node->type != YAML_SCALAR)
        return YAML_IS_TEXT;
    if (node->replaced)
        plain.quoted = plain.replaced = false;
    return yaml_resolve(&plain, ret);
}

bool yaml_is_null(const struct yaml_node *node) {
    return node->type == YAML_SCALAR && yaml_resolve(node, NULL) == YAML_IS_NULL;
}

size_t yaml_position(const struct yaml_node *mapping, const char *key) {
    size_t i = 0;
    while (i < mapping->count && !(mapping->keys && text_equal(mapping->keys[i]->text, key)))
        i++;
    return i;
}

struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key) {
    size_t at = yaml_position(mapping, key);
    return at < mapping->count ? mapping->items[at] : NULL;
}

/* ---- checked getters ---- */

struct yaml_what yaml_what(const struct yaml_node *node) {
    struct yaml_what what;
    const char *format = NULL;
    if (node->type == YAML_SEQUENCE)
        format = "a list";
    else if (node->type == YAML_MAPPING)
        format = "a mapping";
    if (format) {
        snprintf(what.text, sizeof what.text, "%s", format);
        return what;
    }
    switch (yaml_resolve(node, NULL)) {
    case YAML_IS_NULL: snprintf(what.text, sizeof what.text, "nothing"); break;
    case YAML_IS_BOOL:
        snprintf(what.text, sizeof what.text, "the truth value %s", node->text);
        break;
    case YAML_IS_INT:
    case YAML_IS_NUMBER:
        snprintf(what.text, sizeof what.text, "the number %.40s", node->text);
        break;
    case YAML_IS_TEXT:
        snprintf(what.text, sizeof what.text, "the text '%.40s%s'", node->text,
                 strlen(node->text) > 40 ? "..." : "");
        break;
    }
    return what;
}

static int wrong(const struct yaml_node *node, const char *expected, struct error *err) {
    if (!node->name)
        return yaml_error(node, err, "this must be %s, not %s", expected, yaml_what(node).text);
    return yaml_error(node, err, "'%.64s' must be %s, not %s", node->name, expected,
                      yaml_what(node).text);
}

int yaml_want(const struct yaml_node *node, enum yaml_type type, struct error *err) {
    static const char *const names[] = {
        [YAML_SCALAR] = "a text", [YAML_SEQUENCE] = "a list", [YAML_MAPPING] = "a mapping"};
    return node->type == type ? 0 : wrong(node, names[type], err);
}

int yaml_get_text(const struct yaml_node *node, const char **ret, struct error *err) {
    if (node->type != YAML_SCALAR || yaml_resolve(node, NULL) != YAML_IS_TEXT) {
        wrong(node, "a text", err);
        if (node->type == YAML_SCALAR && !yaml_is_null(node))
            error_hint(err, "put it in quotes: \"%.40s\"", node->text);
        return -1;
    }
    *ret = node->text;
    return 0;
}

int yaml_get_scalar(const struct yaml_node *node, char **ret, struct error *err) {
    int64_t value;
    if (node->type != YAML_SCALAR || yaml_is_null(node))
        return wrong(node, "a text or a number", err);
    switch (yaml_resolve(node, &value)) {
    case YAML_IS_INT: *ret = text_format("%lld", (long long)value); break;
    case YAML_IS_BOOL: *ret = text_dup(value ? "true" : "false"); break;
    default: *ret = text_dup(node->text);
    }
    return 0;
}

int yaml_get_bool(const struct yaml_node *node, bool *ret, struct error *err) {
    int64_t value;
    if (resolve_typed(node, &value) != YAML_IS_BOOL)
        return wrong(node, "true or false", err);
    *ret = value != 0;
    return 0;
}

int yaml_get_int(const struct yaml_node *node, int64_t min, int64_t max, int64_t *ret,
                 struct error *err) {
    int64_t value;
    char expected[96] = "a whole number";
    if (min != INT64_MIN && max != INT64_MAX)
        snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)min,
                 (long long)max);
    else if (min != INT64_MIN)
        snprintf(expected, sizeof expected, "a whole number from %lld up", (long long)min);
    if (resolve_typed(node, &value) != YAML_IS_INT || value < min || value > max)
        return wrong(node, expected, err);
    *ret = value;
    return 0;
}

int yaml_get_duration_ns(const struct yaml_node *node, uint64_t *ret, struct error *err) {
    struct error ignored = ERROR_NULL;
    uint64_t ns;
    if (node->type != YAML_SCALAR || yaml_is_null(node) ||
        text_to_duration_ns(node->text, &ns, &ignored) < 0 || ns > (uint64_t)INT64_MAX)
        return wrong(node, "a duration such as 500ms or 1m30s", err);
    *ret = ns;
    return 0;
}

int yaml_get_size(const struct yaml_node *node, int64_t *ret, struct error *err) {
    struct error ignored = ERROR_NULL;
    uint64_t bytes;
    if (node->type != YAML_SCALAR || yaml_is_null(node) ||
        text_to_size_bytes(node->text, &bytes, &ignored) < 0 || bytes > (uint64_t)INT64_MAX)
        return wrong(node, "a size such as 4096, 64m or 1gb", err);
    *ret = (int64_t)bytes;
    return 0;
}

int yaml_get_choice(const struct yaml_node *node, const char *const *names, int *ret,
                    struct error *err) {
    cleanup(buffer_deinit) struct buffer expected;
    buffer_init(&expected, ERROR_TEXT_MAX);
    for (int i = 0; names[i]; i++) {
        if (node->type == YAML_SCALAR && text_equal(node->text, names[i])) {
            *ret = i;
            return 0;
        }
        buffer_format(&expected, "%s'%s'", i == 0 ? "" : names[i + 1] ? ", " : " or ", names[i]);
    }
    return wrong(node, buffer_string(&expected), err);
}

int yaml_get_texts(const struct yaml_node *node, char ***ret, struct error *err) {
    if (yaml_want(node, YAML_SEQUENCE, err) < 0)
        return -1;
    cleanup(texts_freep) char **texts = mem_new_array(char *, node->count + 1);
    for (size_t i = 0; i < node->count; i++) {
        const char *text;
        if (yaml_get_text(node->items[i], &text, err) < 0)
            return -1;
        texts[i] = text_dup(text);
    }
    *ret = take_ptr(texts);
    return 0;
}

/* ---- lists of texts ---- */

void texts_free(char **texts) {
    if (!texts)
        return;
    for (char **p = texts; *p; p++)
        free(*p);
    free(texts);
}

size_t texts_count(char *const *texts) {
    size_t count = 0;
    while (texts && texts[count])
        count++;
    return count;
}

void texts_append(char ***texts, const char *text) {
    size_t count = texts_count(*texts);
    *texts = mem_resize(*texts, count + 2, sizeof **texts);
    (*texts)[count] = text_dup(text);
    (*texts)[count + 1] = NULL;
}

/* ---- tables ---- */

static const struct yaml_field *find_field(const struct yaml_table *table, const char *key) {
    for (size_t i = 0; i < table->count; i++)
        if (text_equal(table->fields[i].key, key))
            return &table->fields[i];
    return NULL;
}

static int unknown_key(const struct yaml_node *key, const struct yaml_table *table,
                       struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, table->count);
    for (size_t i = 0; i < table->count; i++)
        names[i] = table->fields[i].key;
    const char *nearest = text_nearest(key->text, names, table->count);
    if (nearest)
        return yaml_error(key, err, "unknown key '%.64s' in %s; did you mean '%s'?", key->text,
                          table->what, nearest);
    return yaml_error(key, err, "unknown key '%.64s' in %s", key->text, table->what);
}

static void replace(void *where, char *text) {
    char **slot = where;
    free(*slot);
    *slot = text;
}

static int read_text(const struct yaml_node *value, void *where, struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    replace(where, text_dup(text));
    return 0;
}

static int read_scalar(const struct yaml_node *value, void *where, struct error *err) {
    char *text;
    if (yaml_get_scalar(value, &text, err) < 0)
        return -1;
    replace(where, text);
    return 0;
}

static int read_texts(const struct yaml_node *value, void *where, struct error *err) {
    char **texts, ***slot = where;
    if (yaml_get_texts(value, &texts, err) < 0)
        return -1;
    texts_free(*slot);
    *slot = texts;
    return 0;
}

static int read_field(const struct yaml_node *key, const struct yaml_node *value,
                      const struct yaml_field *field, void *target, void *context,
                      struct error *err) {
    void *where = (char *)target + field->offset;
    bool bounds = field->min || field->max;
    switch (field->kind) {
    case YAML_FIELD_TEXT: return read_text(value, where, err);
    case YAML_FIELD_SCALAR: return read_scalar(value, where, err);
    case YAML_FIELD_BOOL: return yaml_get_bool(value, where, err);
    case YAML_FIELD_INT:
        return yaml_get_int(value, bounds ? field->min : INT64_MIN, bounds ? field->max : INT64_MAX,
                            where, err);
    case YAML_FIELD_DURATION: return yaml_get_duration_ns(value, where, err);
    case YAML_FIELD_SIZE: return yaml_get_size(value, where, err);
    case YAML_FIELD_CHOICE: return yaml_get_choice(value, field->choices, where, err);
    case YAML_FIELD_TEXTS: return read_texts(value, where, err);
    case YAML_FIELD_READ: return field->read(value, target, context, err);
    case YAML_FIELD_IGNORED: return 0;
    case YAML_FIELD_UNSUPPORTED:
        return yaml_error(key, err, "'%s' is not supported yet", field->key);
    }
    assert(false);
    return 0;
}

int yaml_read(const struct yaml_node *mapping, const struct yaml_table *table, void *target,
              void *context, struct error *err) {
    if (mapping->type != YAML_MAPPING)
        return wrong(mapping, "a mapping", err);
    for (size_t i = 0; i < mapping->count; i++) {
        const struct yaml_node *key = mapping->keys[i];
        const struct yaml_field *field = find_field(table, key->text);
        if (!field && table->extensions && text_starts(key->text, "x-"))
            continue;
        if (!field)
            return unknown_key(key, table, err);
        if (table->nulls && yaml_is_null(mapping->items[i]) &&
            field->kind != YAML_FIELD_UNSUPPORTED)
            continue;
        if (read_field(key, mapping->items[i], field, target, context, err) < 0)
            return -1;
    }
    return 0;
}
