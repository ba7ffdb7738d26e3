/* Shapes of values that several sections share. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct project_place place_of(const struct yaml_node *node) {
    return (struct project_place){.file = node->file, .line = node->line, .column = node->column};
}

static int wrong(const struct yaml_node *value, const char *expected, struct error *err) {
    return yaml_error(value, err, "'%.64s' must be %s, not %s", value->name ? value->name : "this",
                      expected, yaml_what(value).text);
}

int read_nano(const struct yaml_node *value, int64_t *ret, struct error *err) {
    static const char expected[] = "a number of CPUs such as 0.5 or 2";
    if (value->type != YAML_SCALAR || !*value->text)
        return wrong(value, expected, err);
    int64_t whole = 0, part = 0, scale = 100 * 1000 * 1000;
    const char *p = value->text;
    for (; isdigit((unsigned char)*p) && whole < 1000 * 1000; p++)
        whole = 10 * whole + (*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
            part += scale * (*p - '0');
    if (*p || !isdigit((unsigned char)p[-1]) || whole >= 1000 * 1000)
        return wrong(value, expected, err);
    *ret = whole * 1000 * 1000 * 1000 + part;
    return 0;
}

int read_text_or_texts(const struct yaml_node *value, char ***ret, struct error *err) {
    if (value->type == YAML_SEQUENCE)
        return yaml_get_texts(value, ret, err);
    if (value->type == YAML_MAPPING)
        return wrong(value, "a text or a list of texts", err);
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    *ret = NULL;
    texts_append(ret, text);
    return 0;
}

int read_command(const struct yaml_node *value, char ***ret, struct error *err) {
    if (yaml_is_null(value)) {
        *ret = NULL; /* the image's */
        return 0;
    }
    if (value->type == YAML_SEQUENCE)
        return yaml_get_texts(value, ret, err);
    if (value->type == YAML_MAPPING)
        return wrong(value, "a text or a list of texts", err);
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    if (split_words(text, ret, err) < 0)
        return yaml_error_at(value, err);
    return 0;
}

/* ---- pairs ---- */

static int set_pair(const struct yaml_node *at, const struct reading *reading,
                    enum pairs_without_value without, const char *name, const char *value,
                    struct env_pair **pairs, struct error *err) {
    if (!*name)
        return yaml_error(at, err, "a value without a name in '%.64s'", at->name ? at->name : "");
    if (!value)
        value = without == PAIRS_EMPTY ? "" : environment_get(reading->environment, name);
    if (env_pairs_set(pairs, name, value, err) < 0)
        return yaml_error_at(at, err);
    return 0;
}

static int pair_of_mapping(const struct yaml_node *key, const struct yaml_node *value,
                           const struct reading *reading, enum pairs_without_value without,
                           struct env_pair **pairs, struct error *err) {
    cleanup_free char *text = NULL;
    if (strchr(key->text, '=') && without == PAIRS_ENVIRONMENT)
        return yaml_error(key, err, "the name '%.64s' has a '=' in it", key->text);
    if (!yaml_is_null(value) && yaml_get_scalar(value, &text, err) < 0)
        return -1;
    return set_pair(key, reading, without, key->text, text, pairs, err);
}

static int pair_of_item(const struct yaml_node *item, const struct reading *reading,
                        enum pairs_without_value without, struct env_pair **pairs,
                        struct error *err) {
    const char *text;
    if (yaml_get_text(item, &text, err) < 0)
        return -1;
    const char *equals = strchr(text, '=');
    cleanup_free char *name = equals ? strndup(text, (size_t)(equals - text)) : text_dup(text);
    return set_pair(item, reading, without, name, equals ? equals + 1 : NULL, pairs, err);
}

int read_pairs(const struct yaml_node *value, const struct reading *reading,
               enum pairs_without_value without, struct env_pair **ret, struct error *err) {
    struct env_pair *pairs = mem_new(struct env_pair);
    int result = 0;
    if (value->type == YAML_SCALAR)
        result = wrong(value, "a mapping or a list of NAME=VALUE", err);
    for (size_t i = 0; i < value->count && result == 0; i++)
        result =
            value->type == YAML_MAPPING
                ? pair_of_mapping(value->keys[i], value->items[i], reading, without, &pairs, err)
                : pair_of_item(value->items[i], reading, without, &pairs, err);
    if (result < 0) {
        env_pairs_free(pairs);
        return -1;
    }
    env_pairs_free(*ret);
    *ret = pairs;
    return 0;
}

/* By io.seatrial.* we know what is ours to remove, by com.docker.compose.* Compose does. */
int read_labels(const struct yaml_node *value, const struct reading *reading, struct env_pair **ret,
                struct error *err) {
    static const char *const reserved[] = {"io.seatrial.", "com.docker.compose."};
    if (read_pairs(value, reading, PAIRS_EMPTY, ret, err) < 0)
        return -1;
    for (const struct env_pair *p = *ret; p->name; p++)
        for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
            if (text_starts(p->name, reserved[i]))
                return yaml_error(value, err, "label '%.64s' begins with '%s', which is reserved",
                                  p->name, reserved[i]);
    return 0;
}

/* ---- paths ---- */

int check_container_path(const struct yaml_node *value, struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    if (*text != '/')
        return yaml_error(value, err,
                          "'%.64s' must be an absolute path in the container, not '%.64s'",
                          value->name ? value->name : "this", text);
    return 0;
}

char *host_path(const struct reading *reading, const char *path) {
    if (reading->home && text_equal(path, "~"))
        return text_dup(reading->home);
    if (reading->home && text_starts(path, "~/"))
        return project_resolve_path(reading->home, path + 2);
    return project_resolve_path(reading->folder, path);
}
