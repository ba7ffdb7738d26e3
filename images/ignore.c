#include "images/ignore.h"

#include "images/ignore_pattern.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct rule {
    struct pattern pattern;
    bool exception;
};

struct ignore {
    struct rule *rules;
    size_t count, capacity;
    size_t exceptions;
};

enum { WORDS_MAX = IGNORE_PATTERNS_MAX / 64 + 1 };

void ignore_free(struct ignore *rules) {
    for (size_t i = 0; i < rules->count; i++)
        pattern_deinit(&rules->rules[i].pattern);
    free(rules->rules);
    free(rules);
}

size_t ignore_count(const struct ignore *rules) {
    return rules->count;
}

/* ---- reading ---- */

/* The size of the space at `text` by Go's unicode.IsSpace, or 0. */
static size_t space(const char *text) {
    static const char *const spaces[] = {
        "\t",           "\n",           "\v",
        "\f",           "\r",           " ",
        "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
        "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
        "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85",
        "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
        "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8",
        "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
        "\xe3\x80\x80",
    };
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        if (text_starts(text, spaces[i]))
            return strlen(spaces[i]);
    return 0;
}

/* Cuts the space off both ends; returns where the rest begins. */
static char *trim(char *text) {
    for (size_t n; (n = space(text)) > 0;)
        text += n;
    size_t end = strlen(text);
    for (bool found = true; found;) {
        found = false;
        for (size_t n = 1; n <= 3 && n <= end && !found; n++)
            if (space(text + end - n) == n) {
                end -= n;
                text[end] = '\0';
                found = true;
            }
    }
    return text;
}

/* path.Clean of Go, in place: what is not empty never becomes longer. */
static void clean(char *path) {
    bool rooted = path[0] == '/';
    char *out = path + rooted, *floor = out; /* of what ".." can take away */
    for (const char *at = path; *at;) {
        at += strspn(at, "/");
        size_t size = strcspn(at, "/");
        const char *name = at;
        at += size;
        if (size == 0 || (size == 1 && name[0] == '.'))
            continue;
        bool up = size == 2 && name[0] == '.' && name[1] == '.';
        if (up && out > floor) {
            while (out > floor && *--out != '/') {
            }
            continue;
        }
        if (up && rooted)
            continue;
        if (out > path + rooted)
            *out++ = '/';
        memmove(out, name, size);
        out += size;
        if (up)
            floor = out;
    }
    if (out == path)
        *out++ = '.';
    *out = '\0';
}

static int read_line(struct ignore *rules, char *line, struct error *err) {
    if (line[0] == '#')
        return 0;
    char *text = trim(line);
    if (*text == '\0')
        return 0;
    bool inverted = *text == '!';
    if (inverted)
        text = trim(text + 1);
    if (*text)
        clean(text);
    if (text[0] == '/' && text[1])
        text++;
    /* Docker puts the '!' back and looks again: `./!x` has become an exception by now. */
    cleanup_free char *pattern = text_format("%s%s", inverted ? "!" : "", text);
    char *trimmed = trim(pattern);
    if (*trimmed == '\0')
        return 0;
    clean(trimmed);
    bool exception = trimmed[0] == '!';
    if (exception && trimmed[1] == '\0')
        return error_set(err, ERROR_CONFIG, "there is no pattern after '!'");
    if (rules->count == IGNORE_PATTERNS_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d patterns", IGNORE_PATTERNS_MAX);
    mem_grow(rules->rules, rules->count, rules->capacity);
    struct rule *rule = &rules->rules[rules->count];
    *rule = (struct rule){.exception = exception};
    if (pattern_compile(trimmed + exception, &rule->pattern, err) < 0)
        return -1;
    rules->count++;
    rules->exceptions += exception;
    return 0;
}

int ignore_parse(const char *text, size_t size, struct ignore **ret, struct error *err) {
    if (size > IGNORE_BYTES_MAX)
        return error_set(err, ERROR_CONFIG, "larger than %d bytes", IGNORE_BYTES_MAX);
    cleanup(ignore_freep) struct ignore *rules = mem_new(struct ignore);
    char line[IGNORE_LINE_MAX + 1];
    const char *end = text + size;
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    for (size_t number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((newline ? newline : end) - text);
        if (length > IGNORE_LINE_MAX)
            return error_set(err, ERROR_CONFIG, "line %zu is longer than %d bytes", number,
                             IGNORE_LINE_MAX);
        if (memchr(text, '\0', length))
            return error_set(err, ERROR_CONFIG, "line %zu has a NUL byte", number);
        memcpy(line, text, length);
        line[length] = '\0';
        if (read_line(rules, line, err) < 0)
            return error_wrap(err, "line %zu", number);
        text = newline ? newline + 1 : end;
    }
    *ret = take_ptr(rules);
    return 0;
}

/* ---- matching ---- */

size_t ignore_words(const struct ignore *rules) {
    return rules->count / 64 + 1;
}

bool ignore_matches_below(const struct ignore *rules, const char *path, const uint64_t *parent,
                          uint64_t *own) {
    size_t size = strlen(path);
    bool excluded = false;
    for (size_t w = 0; w < ignore_words(rules); w++) {
        uint64_t inherited = parent ? parent[w] : 0;
        uint64_t matched = 0;
        for (size_t i = 64 * w; i < 64 * (w + 1) && i < rules->count; i++) {
            const struct rule *rule = &rules->rules[i];
            if (!(inherited >> i % 64 & 1) && !pattern_matches(&rule->pattern, path, size))
                continue;
            matched |= UINT64_C(1) << i % 64;
            excluded = !rule->exception;
        }
        own[w] = matched;
    }
    return excluded;
}

bool ignore_matches(const struct ignore *rules, const char *path) {
    uint64_t set[WORDS_MAX] = {0};
    cleanup_free char *prefix = text_dup(path);
    for (char *slash = prefix; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        ignore_matches_below(rules, prefix, set, set);
    }
    return ignore_matches_below(rules, path, set, set);
}

/* Whether one of "`folder`/" and the first `size` bytes of `text` begins with the other. */
static bool meets(const char *folder, const char *text, size_t size) {
    size_t folder_size = strlen(folder);
    if (size <= folder_size)
        return memcmp(folder, text, size) == 0;
    return memcmp(folder, text, folder_size) == 0 && text[folder_size] == '/';
}

bool ignore_reaches_into(const struct ignore *rules, const char *path) {
    if (rules->exceptions == 0)
        return false;
    for (size_t i = 0; i < rules->count; i++) {
        const struct pattern *p = &rules->rules[i].pattern;
        if (!rules->rules[i].exception)
            continue;
        bool whole = p->kind == PATTERN_EXACT;
        if (meets(path, p->text, whole ? p->size : p->lead) && (!whole || p->size > strlen(path)))
            return true;
    }
    return false;
}
