#include "tests/cli/exposition.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_SIZE = 128, SERIES_MAX = 4096 };

struct sample {
    char name[NAME_MAX_SIZE];
    char labels[256]; /* without `le` */
    double le;        /* NAN: none */
    double value;
};

struct reader {
    unsigned line;
    char *wrong;
    size_t wrong_size;
    char family[NAME_MAX_SIZE], type[32];
    bool helped, typed;
    char *families[SERIES_MAX]; /* that are done */
    size_t family_count;
    char *series[SERIES_MAX];
    size_t series_count;
    /* Of the histogram's series that is read. */
    char bucket_labels[256];
    double last_le, last_count;
    bool open; /* its +Inf, sum or count is still to come */
    unsigned parts;
};

static bool complain(struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool complain(struct reader *r, const char *format, ...) {
    va_list args;
    if (r->wrong[0])
        return false;
    int used = snprintf(r->wrong, r->wrong_size, "line %u: ", r->line);
    va_start(args, format);
    vsnprintf(r->wrong + used, r->wrong_size - (size_t)used, format, args);
    va_end(args);
    return false;
}

/* ---- words ---- */

static size_t name_length(const char *text, bool label) {
    size_t i = 0;
    while (isalpha((unsigned char)text[i]) || text[i] == '_' || (!label && text[i] == ':') ||
           (i > 0 && isdigit((unsigned char)text[i])))
        i++;
    return i;
}

static bool read_number(const char *text, double *ret) {
    char *end;
    if (!*text || isspace((unsigned char)*text))
        return false;
    *ret = strtod(text, &end);
    return *end == '\0';
}

/* `{a="b",...}`; gives where it ends, NULL if it is none. */
static const char *read_labels(const char *at, struct sample *ret) {
    size_t used = 0;
    at++;
    while (*at != '}') {
        size_t size = name_length(at, true);
        const char *name = at, *value = at + size + 2;
        if (size == 0 || name[size] != '=' || name[size + 1] != '"')
            return NULL;
        for (at = value; *at != '"'; at++)
            if (*at == '\0' || (*at == '\\' && !strchr("\\\"n", *++at)))
                return NULL;
        cleanup_free char *text = text_format("%.*s", (int)(at - value), value);
        if (size == 2 && memcmp(name, "le", 2) == 0) {
            if (!read_number(text, &ret->le))
                return NULL;
        } else {
            used += (size_t)snprintf(ret->labels + used, sizeof ret->labels - used, "%.*s=%s,",
                                     (int)size, name, text);
        }
        at++;
        if (*at == ',')
            at++;
        else if (*at != '}')
            return NULL;
    }
    return at + 1;
}

static bool read_sample(struct reader *r, const char *line, struct sample *ret) {
    size_t size = name_length(line, false);
    *ret = (struct sample){.le = (double)NAN};
    if (size == 0 || size >= NAME_MAX_SIZE)
        return complain(r, "no name of a metric: %s", line);
    memcpy(ret->name, line, size);
    const char *at = line + size;
    if (*at == '{' && !(at = read_labels(at, ret)))
        return complain(r, "labels that cannot be read: %s", line);
    if (*at != ' ' || !read_number(at + 1, &ret->value))
        return complain(r, "no value: %s", line);
    return true;
}

/* ---- families ---- */

static bool has(char *const *list, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++)
        if (text_equal(list[i], text))
            return true;
    return false;
}

static bool end_histogram(struct reader *r) {
    if (r->open)
        return complain(r, "%s{%s} lacks +Inf, _sum or _count", r->family, r->bucket_labels);
    return true;
}

static bool begin_family(struct reader *r, const char *name) {
    if (text_equal(r->family, name))
        return true;
    if (!end_histogram(r))
        return false;
    if (r->family[0])
        r->families[r->family_count++] = text_dup(r->family);
    if (has(r->families, r->family_count, name))
        return complain(r, "%s is there twice, or its samples do not stand together", name);
    snprintf(r->family, sizeof r->family, "%s", name);
    r->helped = r->typed = false;
    r->type[0] = '\0';
    return true;
}

static bool read_comment(struct reader *r, char *line) {
    char *rest = NULL, *kind, *name;
    strtok_r(line, " ", &rest);
    kind = strtok_r(NULL, " ", &rest);
    if (!text_equal(kind, "HELP") && !text_equal(kind, "TYPE"))
        return true;
    name = strtok_r(NULL, " ", &rest);
    if (!name || !*rest || name_length(name, false) != strlen(name))
        return complain(r, "a %s without a name and a text", kind);
    if (!begin_family(r, name))
        return false;
    bool *seen = text_equal(kind, "HELP") ? &r->helped : &r->typed;
    if (*seen)
        return complain(r, "%s has two %s", name, kind);
    *seen = true;
    if (seen == &r->helped)
        return true;
    snprintf(r->type, sizeof r->type, "%s", rest);
    if (!text_equal(rest, "counter") && !text_equal(rest, "gauge") &&
        !text_equal(rest, "histogram") && !text_equal(rest, "summary"))
        return complain(r, "%s is of no type: %s", name, rest);
    if (text_equal(rest, "counter") != text_ends(name, "_total"))
        return complain(r, "%s is a %s: counters end in _total, and nothing else", name, rest);
    return true;
}

/* ---- samples ---- */

static bool check_histogram(struct reader *r, const struct sample *s, const char *part) {
    enum { INF = 1, SUM = 2, COUNT = 4 };
    if (!r->open || !text_equal(r->bucket_labels, s->labels)) {
        if (!end_histogram(r))
            return false;
        r->open = true;
        r->parts = 0;
        r->last_le = -(double)INFINITY;
        r->last_count = 0;
        snprintf(r->bucket_labels, sizeof r->bucket_labels, "%s", s->labels);
    }
    if (text_equal(part, "_bucket")) {
        if (isnan(s->le) || s->le <= r->last_le || s->value < r->last_count)
            return complain(r, "buckets of %s do not rise", r->family);
        r->last_le = s->le;
        r->last_count = s->value;
        r->parts |= isinf(s->le) ? INF : 0;
    } else if (text_equal(part, "_count")) {
        if (s->value != r->last_count)
            return complain(r, "%s_count is not its +Inf", r->family);
        r->parts |= COUNT;
    } else if (text_equal(part, "_sum")) {
        r->parts |= SUM;
    } else {
        return complain(r, "%s is no part of a histogram", s->name);
    }
    r->open = r->parts != (INF | SUM | COUNT);
    return true;
}

static bool take_sample(struct reader *r, const char *line) {
    struct sample s;
    if (!read_sample(r, line, &s))
        return false;
    size_t family = strlen(r->family);
    bool histogram = text_equal(r->type, "histogram");
    if (!r->typed || !r->helped || strncmp(s.name, r->family, family) != 0 ||
        (!histogram && s.name[family] != '\0'))
        return complain(r, "%s has no HELP and TYPE before it", s.name);
    char *series = text_format("%s{%s%g}", s.name, s.labels, s.le);
    if (has(r->series, r->series_count, series) || r->series_count == SERIES_MAX) {
        free(series);
        return complain(r, "twice: %s", line);
    }
    r->series[r->series_count++] = series;
    if (text_equal(r->type, "counter") && !(s.value >= 0))
        return complain(r, "a counter below zero: %s", line);
    return !histogram || check_histogram(r, &s, s.name + family);
}

void exposition_check(const char *text, char *wrong, size_t size) {
    struct reader *r = mem_new(struct reader);
    cleanup_free char *copy = text_dup(text);
    *r = (struct reader){.wrong = wrong, .wrong_size = size};
    wrong[0] = '\0';
    bool good = text_ends(text, "\n") || complain(r, "the last line has no end");
    for (char *line = copy, *end; good && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        r->line++;
        if (*line == '#')
            good = read_comment(r, line);
        else if (*line)
            good = take_sample(r, line);
    }
    if (good)
        end_histogram(r);
    for (size_t i = 0; i < r->family_count; i++)
        free(r->families[i]);
    for (size_t i = 0; i < r->series_count; i++)
        free(r->series[i]);
    free(r);
}

double exposition_value(const char *text, const char *series) {
    size_t size = strlen(series);
    for (const char *at = text; at && *at; at = strchr(at, '\n'), at = at ? at + 1 : NULL)
        if (strncmp(at, series, size) == 0 && at[size] == ' ')
            return strtod(at + size, NULL);
    return (double)NAN;
}
