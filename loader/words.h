#pragma once

/*
 * SEATRIAL_LOADER_ARGS is one text, as a person would type it: this splits it into words as a shell
 * does. Blanks separate; '...' keeps everything; "..." keeps everything but \" and \\; a backslash
 * outside of quotes keeps the next character. Nothing is expanded: $ * ? ~ are plain characters.
 *
 * Errors: ERROR_USAGE for a quote that is not closed, a backslash at the end, too many words.
 */

#include "lib/error.h"

struct words {
    char **argv; /* argv[0] is the program's name, argv[argc] is NULL */
    int argc;
    char *text; /* what the words point into */
};

#define WORDS_NULL ((struct words){.argv = NULL})

/* Gives `ret`; `program` is borrowed. */
int words_split(const char *program, const char *text, struct words *ret, struct error *err);
void words_deinit(struct words *w);
