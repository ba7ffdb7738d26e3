#pragma once

/*
 * Words of a Dockerfile's instructions, and the variables in them. Private to images/dockerfile.c.
 */

#include <stdbool.h>
#include <stddef.h>

/* The next word as a shell would cut it, its quotes still on it, and moves `at` behind it; NULL at
 * the end. malloc()ed. */
char *dockerfile_word(const char **at);

/* Words between spaces, or the strings of a JSON array: NULL-terminated, malloc()ed, to be freed by
 * dockerfile_words_free. */
char **dockerfile_words(const char *text, size_t *ret_count);
void dockerfile_words_free(char **words);

struct dockerfile_variable {
    char *name;
    char *value;      /* NULL: not known to us */
    bool environment; /* ENV stands above ARG */
};
struct dockerfile_variables {
    struct dockerfile_variable *list;
    size_t count, capacity;
};

/* Copies; a later one of a kind stands above an earlier one. */
void dockerfile_set(struct dockerfile_variables *v, const char *name, const char *value,
                    bool environment);
/* NULL: there is none of that name. */
const struct dockerfile_variable *dockerfile_get(const struct dockerfile_variables *v,
                                                 const char *name);
void dockerfile_variables_deinit(struct dockerfile_variables *v);

/* Variables filled in, quotes and escapes taken away. NULL where a value is not known, or it is
 * said in a way that we do not read. malloc()ed. */
char *dockerfile_expand(const char *word, char escape, const struct dockerfile_variables *v);
