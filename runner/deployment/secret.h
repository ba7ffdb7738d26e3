#pragma once

/*
 * A secret of a file that users write: a literal, `{file: PATH}` or `{env: NAME}`. What it hides is
 * read when it is needed and not before, and there is no way to print it by accident: nothing here
 * writes it into a buffer, a log or a report.
 */

#include "compose/environment.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>

struct secret;

enum { SECRET_SIZE_MAX = 16 * 1024 }; /* the longest session tokens are below 4 KiB */

struct secret *secret_new_literal(const char *value);
struct secret *secret_new_file(const char *path); /* absolute, or seen from the working folder */
struct secret *secret_new_env(const char *name);
/* Wipes. */
void secret_free(struct secret *secret);
DEFINE_CLEANUP_FREE(secret);

bool secret_is_literal(const struct secret *secret);

/* What may be shown: "<redacted>", "{file: PATH}", "{env: NAME}". */
void secret_describe(const struct secret *secret, struct buffer *out);

/*
 * What it hides, as a malloc()ed string to be given to secret_wipe. A file's last newline is not
 * part of it. Errors: ERROR_CONFIG (variable not set, or nothing in it; a file that others can
 * read, cannot be read, or is too large), worded without the value.
 */
int secret_reveal(const struct secret *secret, const struct environment *env, char **ret,
                  struct error *err);
/* Overwrites and frees; NULL is fine. */
void secret_wipe(char *value);
