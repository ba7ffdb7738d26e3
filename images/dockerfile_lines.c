#include "images/dockerfile_lines.h"

#include "images/dockerfile.h"
#include "images/dockerfile_words.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

void dockerfile_lines_init(struct dockerfile_lines *lines, const char *text, size_t size) {
    *lines = (struct dockerfile_lines){
        .at = text, .end = text + size, .escape = '\\', .directives = true};
    buffer_init(&lines->text, DOCKERFILE_LINE_MAX);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        lines->at += 3;
}

void dockerfile_lines_deinit(struct dockerfile_lines *lines) {
    buffer_deinit(&lines->text);
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A line without its end; false when there is none. */
static bool take_line(struct dockerfile_lines *lines, const char **ret, size_t *ret_size) {
    if (lines->at == lines->end)
        return false;
    const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *stop = newline ? newline : lines->end;
    *ret = lines->at;
    lines->at = newline ? newline + 1 : lines->end;
    lines->number++;
    while (stop > *ret && stop[-1] == '\r')
        stop--;
    *ret_size = (size_t)(stop - *ret);
    return true;
}

static size_t leading_space(const char *text, size_t size) {
    size_t n = 0;
    while (n < size && is_space(text[n]))
        n++;
    return n;
}

/* `# name=value` at the top; anything else there ends them. */
static void take_directive(struct dockerfile_lines *lines, const char *text, size_t size) {
    char line[512];
    size_t length = size < sizeof line ? size : sizeof line - 1;
    memcpy(line, text, length);
    line[length] = '\0';
    char *name = line + 1 + strspn(line + 1, " \t");
    size_t name_size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "0123456789-_.");
    char *equals = name + name_size + strspn(name + name_size, " \t");
    if (name_size == 0 || *equals != '=') {
        lines->directives = false;
        return;
    }
    char *value = equals + 1 + strspn(equals + 1, " \t");
    size_t value_size = strlen(value);
    while (value_size > 0 && is_space(value[value_size - 1]))
        value[--value_size] = '\0';
    if (name_size == 6 && strncasecmp(name, "escape", 6) == 0 && value_size == 1)
        lines->escape = *value;
    if (name_size == 6 && strncasecmp(name, "syntax", 6) == 0)
        snprintf(lines->frontend, sizeof lines->frontend, "%.255s", value);
}

/* Whether the line goes on: it ends with the escape character, alone and followed by space only. */
static bool goes_on(const struct dockerfile_lines *lines, const char *text, size_t *size) {
    size_t n = *size;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        n--;
    if (n == 0 || text[n - 1] != lines->escape || (n > 1 && text[n - 2] == lines->escape))
        return false;
    *size = n - 1;
    return true;
}

/* ---- here-documents ---- */

bool dockerfile_is_heredoc(const char *word) {
    word += strspn(word, "0123456789");
    if (!text_starts(word, "<<"))
        return false;
    word += word[2] == '-' ? 3 : 2;
    return *word && !strchr(word, '<');
}

/* Its name without quotes. malloc()ed. */
static char *heredoc_name(const char *word) {
    const char *at = strstr(word, "<<") + 2;
    at += *at == '-';
    char *name = text_dup(at), *out = name;
    for (const char *c = at; *c; c++) {
        if (*c == '\\' && c[1])
            c++;
        else if (*c == '"' || *c == '\'')
            continue;
        *out++ = *c;
    }
    *out = '\0';
    return name;
}

static int skip_heredoc(struct dockerfile_lines *lines, const char *word) {
    cleanup_free char *name = heredoc_name(word);
    bool tabs = strstr(word, "<<")[2] == '-';
    const char *text;
    size_t size;
    while (take_line(lines, &text, &size)) {
        while (tabs && size > 0 && *text == '\t') {
            text++;
            size--;
        }
        if (size == strlen(name) && memcmp(text, name, size) == 0)
            return 0;
    }
    return -1;
}

static bool may_have_heredocs(const char *name, const char *rest) {
    if (text_equal(name, "onbuild")) {
        size_t size = strcspn(rest, " \t");
        return size < 5 &&
               (strncasecmp(rest, "run", size) == 0 || strncasecmp(rest, "copy", size) == 0 ||
                strncasecmp(rest, "add", size) == 0);
    }
    return text_equal(name, "run") || text_equal(name, "copy") || text_equal(name, "add");
}

static int skip_heredocs(struct dockerfile_lines *lines, const char *rest) {
    char *word;
    while ((word = dockerfile_word(&rest))) {
        int r = dockerfile_is_heredoc(word) ? skip_heredoc(lines, word) : 0;
        free(word);
        if (r < 0)
            return -1;
    }
    return 0;
}

/* ---- instructions ---- */

/* Comments and empty lines between the parts of an instruction do not end it. */
static int join(struct dockerfile_lines *lines, const char *text, size_t size) {
    bool more = goes_on(lines, text, &size);
    for (;;) {
        if (memchr(text, '\0', size))
            return -1;
        buffer_append(&lines->text, text, size);
        do {
            if (!more || !take_line(lines, &text, &size))
                return lines->text.overflowed ? -1 : 0;
        } while (leading_space(text, size) == size || text[leading_space(text, size)] == '#');
        more = goes_on(lines, text, &size);
    }
}

/* The first line of the next instruction. */
static bool find_first(struct dockerfile_lines *lines, const char **ret, size_t *ret_size) {
    const char *text;
    size_t size;
    while (take_line(lines, &text, &size)) {
        size_t space = leading_space(text, size);
        text += space;
        size -= space;
        if (size > 0 && *text == '#') {
            if (lines->directives)
                take_directive(lines, text, size);
            continue;
        }
        lines->directives = false;
        if (size == 0)
            continue;
        *ret = text;
        *ret_size = size;
        return true;
    }
    return false;
}

int dockerfile_next(struct dockerfile_lines *lines, struct dockerfile_instruction *ret) {
    const char *text;
    size_t size;
    do {
        if (!find_first(lines, &text, &size))
            return 1;
        buffer_clear(&lines->text);
        ret->line = lines->number;
        if (join(lines, text, size) < 0)
            return -1;
        text = buffer_string(&lines->text);
        text += strspn(text, " \t");
    } while (!*text);
    size_t name_size = strcspn(text, " \t\v\f\r");
    snprintf(ret->name, sizeof ret->name, "%.*s", (int)(name_size < 15 ? name_size : 15), text);
    for (char *c = ret->name; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    ret->rest = text + name_size + strspn(text + name_size, " \t\v\f\r");
    return may_have_heredocs(ret->name, ret->rest) && *ret->rest != '['
               ? skip_heredocs(lines, ret->rest)
               : 0;
}
