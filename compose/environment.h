#pragma once

/*
 * Variables that files may ask for, and what they may write to ask: `$NAME`, `${NAME}`,
 * `${NAME:-default}`, `${NAME-default}`, `${NAME:?message}`, `${NAME?message}`, `${NAME:+other}`,
 * `${NAME+other}` and `$$` for a dollar; defaults may hold such expressions again.
 *
 * Pure: where variables come from is the caller's business.
 *
 * Source: Compose Specification, "Interpolation"; docker compose's env-file syntax.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>

struct environment {
    const char *(*lookup)(void *arg, const char *name); /* borrowed, or NULL: not set */
    void *arg;
};

/* A name that is not set; and "": set to nothing. A lookup of NULL means that nothing is set. */
const char *environment_get(const struct environment *env, const char *name);

/* The process's own (getenv). */
extern const struct environment environment_of_process;

enum {
    INTERPOLATED_SIZE_MAX = 256 * 1024, /* one value; far above what a command line can carry */
    INTERPOLATION_DEPTH_MAX = 16,       /* ${A:-${B:-...}} */
};

/*
 * A malloc()ed string. `ret_changed` (may be NULL): whether there was anything to replace.
 * Errors: ERROR_CONFIG without a place (the caller knows it), ERROR_LIMIT.
 */
int environment_interpolate(const struct environment *env, const char *text, char **ret,
                            bool *ret_changed, struct error *err);

struct env_pair {
    char *name;  /* NULL ends a list */
    char *value; /* NULL: named without a value */
};
void env_pairs_free(struct env_pair *pairs);
/* NULL when there is none of that name, or the list is NULL. */
const struct env_pair *env_pairs_find(const struct env_pair *pairs, const char *name);
size_t env_pairs_count(const struct env_pair *pairs);
/* Appends to the list at *pairs, or replaces the pair of that name. Copies. */
void env_pairs_set(struct env_pair **pairs, const char *name, const char *value);

/*
 * A `.env` or `env_file`: lines NAME=value, `export ` in front allowed, # comments, single quotes
 * literal, double quotes with escapes; unquoted and double-quoted values are interpolated from
 * earlier lines and `env`. A name without `=` has no value. `file` is named in errors.
 */
int env_file_parse(const char *file, const char *text, size_t size, const struct environment *env,
                   struct env_pair **ret, struct error *err);
