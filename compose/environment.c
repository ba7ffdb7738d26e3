#include "compose/environment.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- variables ---- */

const char *environment_get(const struct environment *env, const char *name) {
    return env->lookup ? env->lookup(env->arg, name) : NULL;
}

static const char *lookup_process(void *arg, const char *name) {
    (void)arg;
    return getenv(name);
}

const struct environment environment_of_process = {.lookup = lookup_process};

/* ---- interpolation ---- */

enum { UNSET_MAX = 64 }; /* names that we tell of */

struct interpolation {
    const struct environment *env;
    const char *text; /* all of it, for errors */
    char ***unset;
    struct error *err;
};

static int expand(struct interpolation *in, const char *text, size_t size, size_t depth,
                  struct buffer *out);

static size_t name_length(const char *text, size_t size) {
    size_t n = 0;
    if (size == 0 || !(isalpha((unsigned char)*text) || *text == '_'))
        return 0;
    while (n < size && (isalnum((unsigned char)text[n]) || text[n] == '_'))
        n++;
    return n;
}

/* Where the '}' is that closes a "${" before `text`; `size` when there is none. */
static size_t closing_brace(const char *text, size_t size) {
    size_t open = 1;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '$' && i + 1 < size && (text[i + 1] == '{' || text[i + 1] == '$')) {
            open += text[i + 1] == '{';
            i++;
        } else if (text[i] == '}' && --open == 0) {
            return i;
        }
    }
    return size;
}

static void note_unset(struct interpolation *in, const char *name) {
    if (!in->unset)
        return;
    for (char **p = *in->unset; p && *p; p++)
        if (text_equal(*p, name))
            return;
    size_t count = 0;
    while (*in->unset && (*in->unset)[count])
        count++;
    if (count == UNSET_MAX)
        return;
    *in->unset = mem_resize(*in->unset, count + 2, sizeof **in->unset);
    (*in->unset)[count] = text_dup(name);
    (*in->unset)[count + 1] = NULL;
}

static void append_value(struct interpolation *in, const char *name, const char *value,
                         struct buffer *out) {
    if (value)
        buffer_text(out, value);
    else
        note_unset(in, name);
}

static int demanded(struct interpolation *in, const char *name, const char *message, size_t size,
                    size_t depth) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, INTERPOLATED_SIZE_MAX);
    if (expand(in, message, size, depth, &text) < 0)
        return -1;
    return error_set(in->err, ERROR_CONFIG, "variable '%.64s' must be set%s%.256s", name,
                     text.size ? ": " : "", buffer_string(&text));
}

/* What is between the braces: NAME, and an operator with its operand. */
static int expand_braced(struct interpolation *in, const char *text, size_t size, size_t depth,
                         struct buffer *out) {
    size_t n = name_length(text, size);
    const char *rest = text + n;
    size_t rest_size = size - n;
    bool colon = rest_size > 0 && *rest == ':';
    char op = '\0';
    if (rest_size > colon)
        op = rest[colon];
    if (n == 0 || (rest_size > 0 && (!op || !strchr("-?+", op))))
        return error_set(in->err, ERROR_CONFIG, "'${%.*s}' is not ${NAME} or ${NAME:-default}",
                         (int)(size < 64 ? size : 64), text);
    cleanup_free char *name = strndup(text, n);
    const char *value = environment_get(in->env, name);
    bool there = value && !(colon && !*value);
    const char *operand = rest + colon + 1;
    size_t operand_size = rest_size > 0 ? rest_size - colon - 1 : 0;
    switch (op) {
    case '-':
        if (there)
            break;
        return expand(in, operand, operand_size, depth + 1, out);
    case '?':
        if (there)
            break;
        return demanded(in, name, operand, operand_size, depth + 1);
    case '+': return there ? expand(in, operand, operand_size, depth + 1, out) : 0;
    default: break;
    }
    append_value(in, name, value, out);
    return 0;
}

/* At a '$'. Moves *at behind the expression. */
static int expand_one(struct interpolation *in, const char *text, size_t size, size_t *at,
                      size_t depth, struct buffer *out) {
    const char *p = text + *at + 1;
    size_t left = size - *at - 1;
    if (left > 0 && *p == '$') {
        buffer_text(out, "$");
        *at += 2;
        return 0;
    }
    if (left > 0 && *p == '{') {
        size_t end = closing_brace(p + 1, left - 1);
        if (end == left - 1)
            return error_set(in->err, ERROR_CONFIG, "'${' without '}' in '%.64s'", in->text);
        *at += end + 3;
        return expand_braced(in, p + 1, end, depth, out);
    }
    size_t n = name_length(p, left);
    if (n == 0) {
        error_set(in->err, ERROR_CONFIG, "'$' without a variable's name in '%.64s'", in->text);
        return error_hint(in->err, "write '$$' for a dollar");
    }
    cleanup_free char *name = strndup(p, n);
    append_value(in, name, environment_get(in->env, name), out);
    *at += n + 1;
    return 0;
}

static int expand(struct interpolation *in, const char *text, size_t size, size_t depth,
                  struct buffer *out) {
    if (depth > INTERPOLATION_DEPTH_MAX)
        return error_set(in->err, ERROR_CONFIG, "variables nested deeper than %d in '%.64s'",
                         INTERPOLATION_DEPTH_MAX, in->text);
    for (size_t i = 0; i < size;) {
        const char *dollar = memchr(text + i, '$', size - i);
        size_t plain = dollar ? (size_t)(dollar - text) - i : size - i;
        buffer_append(out, text + i, plain);
        i += plain;
        if (dollar && expand_one(in, text, size, &i, depth, out) < 0)
            return -1;
    }
    return 0;
}

int environment_interpolate(const struct environment *env, const char *text, char **ret,
                            char ***unset, struct error *err) {
    struct interpolation in = {.env = env, .text = text, .unset = unset, .err = err};
    cleanup(buffer_deinit) struct buffer out;
    size_t size = strlen(text);
    buffer_init(&out, size > INTERPOLATED_SIZE_MAX ? size : INTERPOLATED_SIZE_MAX);
    if (expand(&in, text, size, 0, &out) < 0)
        return -1;
    if (out.overflowed)
        return error_set(err, ERROR_CONFIG, "'%.64s...' becomes larger than %d bytes", text,
                         INTERPOLATED_SIZE_MAX);
    *ret = buffer_take(&out);
    return 0;
}

/* ---- lists of pairs ---- */

void env_pairs_free(struct env_pair *pairs) {
    if (!pairs)
        return;
    for (struct env_pair *p = pairs; p->name; p++) {
        free(p->name);
        free(p->value);
    }
    free(pairs);
}

size_t env_pairs_count(const struct env_pair *pairs) {
    size_t count = 0;
    while (pairs && pairs[count].name)
        count++;
    return count;
}

const struct env_pair *env_pairs_find(const struct env_pair *pairs, const char *name) {
    for (; pairs && pairs->name; pairs++)
        if (text_equal(pairs->name, name))
            return pairs;
    return NULL;
}

int env_pairs_set(struct env_pair **pairs, const char *name, const char *value, struct error *err) {
    size_t count = 0;
    for (; *pairs && (*pairs)[count].name; count++) {
        struct env_pair *pair = &(*pairs)[count];
        if (!text_equal(pair->name, name))
            continue;
        char *copy = text_dup(value); /* it may be the very value that goes */
        free(pair->value);
        pair->value = copy;
        return 0;
    }
    if (count == ENV_PAIRS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d names in one list", ENV_PAIRS_MAX);
    *pairs = mem_resize(*pairs, count + 2, sizeof **pairs);
    (*pairs)[count] = (struct env_pair){.name = text_dup(name), .value = text_dup(value)};
    (*pairs)[count + 1] = (struct env_pair){.name = NULL};
    return 0;
}
