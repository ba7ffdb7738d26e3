#pragma once

/*
 * `.dockerignore`, as Docker reads it.
 *
 * One pattern per line. Lines that begin with '#' are comments; space around a pattern is dropped;
 * a byte order mark at the start of the file is dropped; `!` at the front makes an exception. The
 * pattern is cleaned as a path (`a//b/./c/../d/` is `a/b/d`) and a leading '/' is dropped: all
 * patterns are relative to the root of the context. `*` is any run of characters within one name,
 * `?` any one, `[a-z]` and `[^a-z]` one of or none of these, `\` takes the next character as it is,
 * and
 * `**` is any number of folders, none included. A path is matched if it, or a folder above it, is
 * matched by the pattern. The last pattern that matches decides.
 *
 * Docker makes a Go regular expression of the pattern, which gives some spellings a meaning that
 * nobody wants: `[*]` is not a star there, and `\d` is a digit or an error. Those are refused here,
 * with a message, rather than read in one way or the other. So is what Docker itself refuses.
 *
 * Two of Docker's own readers differ in whether an exception that begins with a wildcard can reach
 * into an excluded folder: the classic one does not look there, BuildKit's does, and so does the
 * documentation. We do as BuildKit. Where moby's functions differ among themselves, the documented
 * rule holds: the last pattern that matches decides.
 *
 * Pure: it never looks at a file system. Source: docs.docker.com/build/concepts/context/,
 * github.com/moby/patternmatcher, Go's path/filepath.Match and Clean.
 *
 * Threads: the rules may be shared once made.
 */

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    IGNORE_BYTES_MAX = 1 << 20,  /* of the file */
    IGNORE_PATTERNS_MAX = 10000, /* each is tried on each path */
    IGNORE_LINE_MAX = 4096,      /* longer than any path */
};

struct ignore;

/* Errors: ERROR_CONFIG naming the line (the caller wraps it with the file's name). */
int ignore_parse(const char *text, size_t size, struct ignore **ret, struct error *err);
void ignore_free(struct ignore *rules);
DEFINE_CLEANUP_FREE(ignore);

size_t ignore_count(const struct ignore *rules);

/* Whether the file or folder `path` ("a/b/c", relative to the root) is excluded. */
bool ignore_matches(const struct ignore *rules, const char *path);

/*
 * The same for a walk that goes from the top down: `parent` and `own` are sets of ignore_words()
 * words each; what matched the folder above is in `parent` (NULL at the top), what matches the path
 * is put into `own`. `own` may be `parent` for a path that is not a folder.
 */
size_t ignore_words(const struct ignore *rules);
bool ignore_matches_below(const struct ignore *rules, const char *path, const uint64_t *parent,
                          uint64_t *own);

/*
 * Whether an exception could match something below the excluded folder `path`. False is certain;
 * true may cost a walk in vain.
 */
bool ignore_reaches_into(const struct ignore *rules, const char *path);
