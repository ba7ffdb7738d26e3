#include "images/dockerfile_words.h"

#include "images/dockerfile.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 16 /* of ${A:-${B:-...}} */ };

static const char spaces[] = " \t\v\f\r";

/* ---- words ---- */

char *dockerfile_word(const char **at) {
    const char *start = *at + strspn(*at, spaces), *c = start;
    char quote = '\0';
    if (!*start)
        return NULL;
    for (; *c && (quote || !strchr(spaces, *c)); c++) {
        if (*c == '\\' && c[1] && quote != '\'')
            c++;
        else if (quote && *c == quote)
            quote = '\0';
        else if (!quote && (*c == '"' || *c == '\''))
            quote = *c;
    }
    *at = c;
    return text_format("%.*s", (int)(c - start), start);
}

/* NULL where it is no JSON array of strings: then they are words. */
static char **json_words(const char *text, size_t *ret_count) {
    cleanup(json_freep) struct json *array = NULL;
    struct error unused = ERROR_NULL;
    if (*text != '[' || json_parse(text, strlen(text), 0, &array, &unused) < 0)
        return NULL;
    size_t count = json_count(array);
    for (size_t i = 0; i < count; i++)
        if (!json_is_text(json_at(array, i)))
            return NULL;
    char **words = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++)
        words[i] = text_dup(json_text_or_null(json_at(array, i)));
    *ret_count = count;
    return words;
}

char **dockerfile_words(const char *text, size_t *ret_count) {
    char **words = json_words(text, ret_count);
    if (words)
        return words;
    size_t count = 0, capacity = 0;
    for (;;) {
        text += strspn(text, spaces);
        size_t size = strcspn(text, spaces);
        mem_grow(words, count, capacity);
        words[count] = size ? text_format("%.*s", (int)size, text) : NULL;
        if (size == 0)
            break;
        count++;
        text += size;
    }
    *ret_count = count;
    return words;
}

void dockerfile_words_free(char **words) {
    for (size_t i = 0; words && words[i]; i++)
        free(words[i]);
    free(words);
}

/* ---- variables ---- */

void dockerfile_set(struct dockerfile_variables *v, const char *name, const char *value,
                    bool environment) {
    for (size_t i = 0; i < v->count; i++) {
        struct dockerfile_variable *old = &v->list[i];
        if (old->environment != environment || !text_equal(old->name, name))
            continue;
        char *copy = text_dup(value);
        free(old->value);
        old->value = copy;
        return;
    }
    mem_grow(v->list, v->count, v->capacity);
    v->list[v->count++] = (struct dockerfile_variable){
        .name = text_dup(name), .value = text_dup(value), .environment = environment};
}

const struct dockerfile_variable *dockerfile_get(const struct dockerfile_variables *v,
                                                 const char *name) {
    const struct dockerfile_variable *found = NULL;
    for (size_t i = 0; i < v->count; i++)
        if (text_equal(v->list[i].name, name) && (!found || v->list[i].environment))
            found = &v->list[i];
    return found;
}

void dockerfile_variables_deinit(struct dockerfile_variables *v) {
    for (size_t i = 0; i < v->count; i++) {
        free(v->list[i].name);
        free(v->list[i].value);
    }
    free(v->list);
    *v = (struct dockerfile_variables){.list = NULL};
}

/* ---- expansion ---- */

struct expansion {
    const char *at;
    char escape;
    const struct dockerfile_variables *variables;
    struct buffer out;
    bool unknown;
    int depth;
};

static bool is_name(char c, bool first) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

static char *take_name(struct expansion *e) {
    const char *start = e->at;
    while (is_name(*e->at, e->at == start))
        e->at++;
    return text_format("%.*s", (int)(e->at - start), start);
}

static void expand_until(struct expansion *e, char end);

/* ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word}, ${NAME+word}; what else there may be is not
 * known to all engines, nor to us. */
static void braces(struct expansion *e) {
    cleanup_free char *name = take_name(e);
    const struct dockerfile_variable *v = dockerfile_get(e->variables, name);
    bool colon = *e->at == ':' && (e->at[1] == '-' || e->at[1] == '+');
    char how = e->at[colon];
    e->unknown = e->unknown || !*name || !v || !v->value;
    if (how != '-' && how != '+') {
        e->unknown = e->unknown || how != '}' || colon;
        if (!e->unknown)
            buffer_text(&e->out, v->value);
        e->at += *e->at != '\0';
        return;
    }
    e->at += colon + 1;
    bool set = v && v->value && (!colon || *v->value);
    struct buffer before = e->out;
    buffer_init(&e->out, DOCKERFILE_VALUE_MAX);
    expand_until(e, '}');
    cleanup(buffer_deinit) struct buffer word = e->out;
    e->out = before;
    e->unknown = e->unknown || word.overflowed;
    if (set == (how == '+'))
        buffer_append(&e->out, buffer_string(&word), word.size);
    else if (set)
        buffer_text(&e->out, v->value);
}

static void variable(struct expansion *e) {
    e->at++;
    if (*e->at == '{') {
        e->at++;
        if (++e->depth > DEPTH_MAX) {
            e->unknown = true;
            e->at += strlen(e->at);
        } else {
            braces(e);
        }
        e->depth--;
        return;
    }
    cleanup_free char *name = take_name(e);
    const struct dockerfile_variable *v = *name ? dockerfile_get(e->variables, name) : NULL;
    if (v && v->value)
        buffer_text(&e->out, v->value);
    else
        e->unknown = true; /* `$` alone and `$1` too */
}

static void quoted(struct expansion *e) {
    char quote = *e->at++;
    while (*e->at && *e->at != quote) {
        if (quote == '"' && *e->at == '$') {
            variable(e);
            continue;
        }
        if (quote == '"' && *e->at == e->escape && e->at[1] && strchr("\"$", e->at[1]))
            e->at++;
        buffer_append(&e->out, e->at++, 1);
    }
    if (*e->at)
        e->at++;
    else
        e->unknown = true;
}

static void expand_until(struct expansion *e, char end) {
    while (*e->at && *e->at != end) {
        if (*e->at == '$') {
            variable(e);
        } else if (*e->at == '"' || *e->at == '\'') {
            quoted(e);
        } else {
            if (*e->at == e->escape && e->at[1])
                e->at++;
            buffer_append(&e->out, e->at++, 1);
        }
    }
    if (*e->at)
        e->at++;
    else if (end)
        e->unknown = true;
}

char *dockerfile_expand(const char *word, char escape, const struct dockerfile_variables *v) {
    struct expansion e = {.at = word, .escape = escape, .variables = v};
    buffer_init(&e.out, DOCKERFILE_VALUE_MAX);
    expand_until(&e, '\0');
    if (e.unknown || e.out.overflowed) {
        buffer_deinit(&e.out);
        return NULL;
    }
    char *text = e.out.size ? buffer_take(&e.out) : text_dup("");
    buffer_deinit(&e.out);
    return text;
}
