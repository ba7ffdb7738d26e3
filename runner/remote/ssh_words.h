#pragma once

/*
 * How lines of ssh_config(5) fall into words. There are two ways: the keyword, and everything
 * behind Match, are divided at white space or one `=`; arguments of other keywords at white space,
 * with quotes of both kinds, backslashes and comments. Pure.
 */

#include "lib/error.h"

#include <stddef.h>

/* Cuts the first word off `*rest` (which is written to); NULL at the end, or when a quote is not
 * closed. `*rest` is NULL after the last. */
char *ssh_word_next(char **rest);

struct ssh_words {
    char **words;
    size_t count, capacity;
};
#define SSH_WORDS_NULL ((struct ssh_words){.words = NULL})
void ssh_words_deinit(struct ssh_words *words);

/* ERROR_CONFIG: a quote is not closed. */
int ssh_words_split(const char *text, struct ssh_words *ret, struct error *err);
