#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 4096 };

/* Up to the closing quote. In double quotes a backslash hides only what POSIX (2.2.3) says. */
static const char *quoted_part(const char *p, char quote, struct buffer *word) {
    for (; *p && *p != quote; p++) {
        if (quote == '"' && *p == '\\' && p[1] && strchr("\"\\$`\n", p[1])) {
            p++;
            if (*p == '\n')
                continue;
        }
        buffer_append(word, p, 1);
    }
    return p;
}

static int one_word(const char **at, struct buffer *word, struct error *err) {
    const char *p = *at;
    while (*p && !isspace((unsigned char)*p)) {
        if (*p == '\'' || *p == '"') {
            const char *end = quoted_part(p + 1, *p, word);
            if (!*end)
                return error_set(err, ERROR_CONFIG, "quote %c is not closed", *p);
            p = end + 1;
        } else if (*p == '\\') {
            if (!p[1])
                return error_set(err, ERROR_CONFIG, "a backslash at the end");
            if (p[1] != '\n')
                buffer_append(word, p + 1, 1);
            p += 2;
        } else {
            buffer_append(word, p++, 1);
        }
    }
    *at = p;
    return 0;
}

int split_words(const char *text, char ***ret, struct error *err) {
    cleanup(texts_freep) char **words = mem_new_array(char *, 1);
    size_t count = 0;
    const char *p = text;
    for (;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p)
            break;
        cleanup(buffer_deinit) struct buffer word;
        buffer_init(&word, strlen(p));
        if (one_word(&p, &word, err) < 0)
            return -1;
        if (count++ == WORDS_MAX)
            return error_set(err, ERROR_CONFIG, "more than %d words", WORDS_MAX);
        texts_append(&words, buffer_string(&word));
    }
    *ret = take_ptr(words);
    return 0;
}
