#include "runner/remote/ssh_words.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdbool.h>
#include <string.h>

static const char blanks[] = " \t\r\n";

char *ssh_word_next(char **rest) {
    char *word = *rest;
    if (!word)
        return NULL;
    char *stop = strpbrk(word, "\" \t\r\n=");
    *rest = stop;
    if (!stop)
        return word;
    bool divided = *stop == '=';
    if (*stop == '"') {
        memmove(stop, stop + 1, strlen(stop));
        *rest = stop = strchr(stop, '"');
        if (!stop)
            return NULL;
        divided = true; /* a `=` behind a quote is part of what follows */
    }
    *stop = '\0';
    *rest = stop + 1 + strspn(stop + 1, blanks);
    if (!divided && **rest == '=')
        *rest += 1 + strspn(*rest + 1, blanks);
    return word;
}

void ssh_words_deinit(struct ssh_words *words) {
    for (size_t i = 0; i < words->count; i++)
        free(words->words[i]);
    free(words->words);
    *words = SSH_WORDS_NULL;
}

/* One word from `at` on; gives where it ends, NULL when a quote is not closed. `room` is as long as
 * the text. */
static const char *read_word(const char *at, char *room) {
    char quote = '\0';
    for (; *at && (quote || (*at != ' ' && *at != '\t')); at++) {
        bool escapes = *at == '\\' && at[1] && (strchr("'\"\\", at[1]) || (!quote && at[1] == ' '));
        if (escapes)
            *room++ = *++at;
        else if (!quote && (*at == '\'' || *at == '"'))
            quote = *at;
        else if (quote && *at == quote)
            quote = '\0';
        else
            *room++ = *at;
    }
    *room = '\0';
    return quote ? NULL : at;
}

int ssh_words_split(const char *text, struct ssh_words *ret, struct error *err) {
    cleanup_free char *room = mem_alloc(strlen(text) + 1);
    cleanup(ssh_words_deinit) struct ssh_words words = SSH_WORDS_NULL;
    const char *at = text;
    for (;;) {
        at += strspn(at, " \t");
        if (*at == '\0' || *at == '#')
            break;
        at = read_word(at, room);
        if (!at)
            return error_set(err, ERROR_CONFIG, "a quote is not closed");
        mem_grow(words.words, words.count, words.capacity);
        words.words[words.count++] = text_dup(room);
    }
    *ret = words;
    words = SSH_WORDS_NULL;
    return 0;
}
