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
 * A malloc()ed string. `unset` (may be NULL): a list to which the names are appended that were
 * asked for without a default and are not set (and count as empty, as in Compose).
 * Errors: ERROR_CONFIG without a place (the caller knows it).
 */
int environment_interpolate(const struct environment *env, const char *text, char **ret,
                            char ***unset, struct error *err);

enum { ENV_PAIRS_MAX = 4096 }; /* in one list; the lists of users have tens */

struct env_pair {
    char *name;  /* NULL ends a list */
    char *value; /* NULL: named without a value */
};
void env_pairs_free(struct env_pair *pairs);
/* NULL when there is none of that name, or the list is NULL. */
const struct env_pair *env_pairs_find(const struct env_pair *pairs, const char *name);
size_t env_pairs_count(const struct env_pair *pairs);
/* Appends to the list at *pairs (NULL: a new one), or replaces the pair of that name. Copies.
 * ERROR_CONFIG when there are too many. */
int env_pairs_set(struct env_pair **pairs, const char *name, const char *value, struct error *err);

/*
 * A `.env` or `env_file`: lines NAME=value, `export ` in front allowed, # comments, single quotes
 * literal, double quotes with escapes; unquoted and double-quoted values are interpolated from
 * earlier lines and `env`. A name without `=` has no value. `file` is named in errors.
 */
int env_file_parse(const char *file, const char *text, size_t size, const struct environment *env,
                   struct env_pair **ret, struct error *err);
