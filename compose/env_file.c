/* Files of NAME=value lines: `.env` and `env_file`. */

#include "compose/environment.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { ENV_FILE_SIZE_MAX = YAML_SIZE_MAX };

struct scan {
    const char *file;
    const char *at;
    const char *end;
    unsigned line;
    const struct environment *env;
    struct env_pair *pairs; /* so far: later lines may ask for them */
    struct error *err;
};

static int fail(struct scan *s, unsigned line, const char *message) {
    return error_set(s->err, ERROR_CONFIG, "%s:%u: %s", s->file, line, message);
}

/* An earlier line wins over nothing, and the environment over earlier lines, as in Compose. */
static const char *lookup(void *arg, const char *name) {
    const struct scan *s = arg;
    const char *value = environment_get(s->env, name);
    const struct env_pair *pair = env_pairs_find(s->pairs, name);
    return value ? value : pair ? pair->value : NULL;
}

static bool more(const struct scan *s) {
    return s->at < s->end && *s->at != '\n';
}

static void skip_blanks(struct scan *s) {
    while (more(s) && isspace((unsigned char)*s->at))
        s->at++;
}

static void skip_line(struct scan *s) {
    while (more(s))
        s->at++;
    if (s->at < s->end)
        s->at++;
    s->line++;
}

static char *take_name(struct scan *s) {
    const char *start = s->at;
    while (more(s) && (isalnum((unsigned char)*s->at) || strchr("_.-", *s->at ? *s->at : ' ')))
        s->at++;
    return strndup(start, (size_t)(s->at - start));
}

static void unescape(struct scan *s, struct buffer *out) {
    static const char escapes[] = "n\nr\rt\t";
    const char *found = *s->at ? strchr("nrt", *s->at) : NULL;
    if (found)
        buffer_append(out, strchr(escapes, *s->at) + 1, 1);
    else if (*s->at == '$')
        buffer_text(out, "$$"); /* still to be interpolated */
    else
        buffer_append(out, s->at, 1);
    s->at++;
}

/* Behind the opening quote; may go on over lines. */
static int take_quoted(struct scan *s, char quote, struct buffer *out) {
    unsigned line = s->line;
    while (s->at < s->end && *s->at != quote) {
        s->line += *s->at == '\n';
        if (quote == '"' && *s->at == '\\' && s->at + 1 < s->end) {
            s->at++;
            unescape(s, out);
        } else {
            buffer_append(out, s->at++, 1);
        }
    }
    if (s->at == s->end)
        return fail(s, line, "a quote that is not closed");
    s->at++;
    skip_blanks(s);
    if (more(s) && *s->at != '#')
        return fail(s, s->line, "something behind the closing quote");
    return 0;
}

/* Up to the end of the line, or to a '#' behind a blank. */
static void take_unquoted(struct scan *s, struct buffer *out) {
    const char *start = s->at;
    while (more(s) && !(*s->at == '#' && (s->at == start || isblank((unsigned char)s->at[-1]))))
        s->at++;
    const char *end = s->at;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    buffer_append(out, start, (size_t)(end - start));
}

static int take_value(struct scan *s, char **ret) {
    cleanup(buffer_deinit) struct buffer raw;
    buffer_init(&raw, 2 * ENV_FILE_SIZE_MAX);
    unsigned line = s->line;
    skip_blanks(s);
    char quote = (char)(more(s) && (*s->at == '"' || *s->at == '\'') ? *s->at : '\0');
    if (quote) {
        s->at++;
        if (take_quoted(s, quote, &raw) < 0)
            return -1;
    } else {
        take_unquoted(s, &raw);
    }
    if (quote == '\'') {
        *ret = buffer_take(&raw);
        return 0;
    }
    struct environment env = {.lookup = lookup, .arg = s};
    if (environment_interpolate(&env, buffer_string(&raw), ret, NULL, s->err) < 0)
        return error_wrap(s->err, "%s:%u", s->file, line);
    return 0;
}

static int scan_line(struct scan *s) {
    skip_blanks(s);
    if (more(s) && *s->at == '#')
        return 0;
    if ((size_t)(s->end - s->at) > 7 && strncmp(s->at, "export ", 7) == 0) {
        s->at += 7;
        skip_blanks(s);
    }
    if (!more(s))
        return 0;
    cleanup_free char *name = take_name(s);
    cleanup_free char *value = NULL;
    skip_blanks(s);
    if (!*name || (more(s) && *s->at != '=' && *s->at != ':' && *s->at != '#'))
        return fail(s, s->line, "not NAME=value");
    if (more(s) && (*s->at == '=' || *s->at == ':')) {
        s->at++;
        if (take_value(s, &value) < 0)
            return -1;
    } else {
        value = text_dup(environment_get(s->env, name));
    }
    return env_pairs_set(&s->pairs, name, value, s->err);
}

static void scan_deinit(struct scan *s) {
    env_pairs_free(s->pairs);
}

int env_file_parse(const char *file, const char *text, size_t size, const struct environment *env,
                   struct env_pair **ret, struct error *err) {
    cleanup(scan_deinit) struct scan s = {
        .file = file, .at = text, .end = text + size, .line = 1, .env = env, .err = err};
    if (size > ENV_FILE_SIZE_MAX)
        return error_set(err, ERROR_CONFIG, "%s: larger than we accept (1 MiB)", file);
    if (size && memchr(text, '\0', size))
        return error_set(err, ERROR_CONFIG, "%s: a NUL character", file);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        s.at += 3;
    for (; s.at < s.end; skip_line(&s))
        if (scan_line(&s) < 0)
            return -1;
    *ret = take_ptr(s.pairs);
    return 0;
}
