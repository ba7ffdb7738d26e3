#pragma once

/*
 * Strings: predicates, checked numbers, and making foreign text harmless.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool text_equal(const char *a, const char *b); /* NULL equals only NULL */
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/* malloc()ed; text_dup(NULL) is NULL. */
char *text_dup(const char *text);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * A whole decimal number from `min` to `max`, with no sign, space or rest. ERROR_INVALID names the
 * text and the range; the caller wraps it with the option or key that it belongs to.
 */
int text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err);

/* "500ms", "90s", "1h30m", "2.5s" as Compose and Go write durations. Units: ns us ms s m h. */
int text_to_duration_ns(const char *text, uint64_t *ret_ns, struct error *err);

/* "64m", "1gb", "4096" as Compose writes byte values: b k kb m mb g gb, powers of 1024. */
int text_to_size_bytes(const char *text, uint64_t *ret_bytes, struct error *err);

/*
 * The name nearest to `name` by edit distance (with swaps), or NULL when none is near enough to be
 * meant. For "did you mean".
 */
const char *text_nearest(const char *name, const char *const *candidates, size_t count);

/* Lower-case hexadecimal; `out` holds 2 * size + 1. */
void text_hex(const void *data, size_t size, char *out);
/* Bytes decoded, or -1 if `hex` is not 2 * size hexadecimal digits. */
int text_unhex(const char *hex, void *out, size_t size);

/* Length of the well-formed UTF-8 sequence at `data` (`size` > 0 bytes), 0 if there is none. */
size_t text_utf8_length(const char *data, size_t size);

/*
 * Appends foreign text for a terminal or a report: control characters (but newline and tab) and
 * bytes that are not UTF-8 become \xNN, so that no escape sequence gets through.
 */
void text_harmless(struct buffer *out, const char *data, size_t size);

/* The same for quoting a foreign name in an error: newline and tab are escaped too, and it is cut
 * at `size`. Returns `out`. */
const char *text_safe(const char *text, char *out, size_t size);
