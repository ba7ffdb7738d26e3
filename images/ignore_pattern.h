#pragma once

/*
 * One pattern of a `.dockerignore`, made ready for matching. Private to images/ignore.c, which says
 * what the rules are.
 *
 * Docker chooses among four ways to match; the choice shows in corner cases (only a pattern that is
 * matched as an expression decodes UTF-8, and `**` in the middle of one does not pass a newline),
 * so we make the same one. An expression is run as a set of states that all advance over the path
 * together (Thompson 1968): time is bounded by length of pattern times length of path, whatever the
 * stars.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pattern_kind {
    PATTERN_EXACT,      /* the path is the text */
    PATTERN_PREFIX,     /* text**: the path begins with the text */
    PATTERN_SUFFIX,     /* **text: the path ends with the text */
    PATTERN_EXPRESSION, /* the tokens match it */
};

struct pattern_token;
struct pattern_range;

struct pattern {
    enum pattern_kind kind;
    char *text; /* cleaned, without '!' */
    size_t size;
    struct pattern_token *tokens;
    size_t token_count, token_capacity;
    struct pattern_range *ranges; /* of all character classes */
    size_t range_count, range_capacity;
    size_t lead; /* bytes of text before the first that is not just itself */
    size_t tail; /* bytes that a path must end with, taken from the end of the text */
};

#define PATTERN_NULL ((struct pattern){.text = NULL})

/* Copies the text, at most IGNORE_LINE_MAX bytes. Errors: ERROR_CONFIG. */
int pattern_compile(const char *text, struct pattern *ret, struct error *err);
void pattern_deinit(struct pattern *p);

bool pattern_matches(const struct pattern *p, const char *path, size_t size);
