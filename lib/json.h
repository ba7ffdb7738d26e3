#pragma once

/*
 * JSON values: parsed from hostile text, built for requests and reports, written back.
 * The door to jansson.
 *
 * Parsing is bounded in size, depth and number of values, and strict: one value, no duplicate keys,
 * valid UTF-8, no NUL inside strings. Its errors say line and column. An integer that int64 cannot
 * hold is read as a real, which keeps 15 digits: engines write counters and limits in uint64, and
 * "no limit" as its maximum, and a document is worth more than the last digits of one such number.
 * It is no integer for json_get_int, and saturates in json_get_u64.
 *
 * Getters take a *path*: keys joined by dots, and positions in arrays ("State.Health.Status",
 * "layers.0.digest"). Keys that have dots themselves are reached by json_member. There are two
 * kinds: `json_get_*` writes a fallback where the value is missing or null, `json_require_*` calls
 * that an error. A value of another type is an error in both, and errors name the path:
 * "'State.Pid' must be an integer, not a string". An empty path is the value itself.
 *
 * Builders never fail: text that is not UTF-8 gets U+FFFD for each bad byte, as Go's encoder does
 * it, and a number that JSON cannot write (NaN, infinity) becomes null.
 *
 * Owns:    json_new_*, json_parse and json_copy give a value to be freed; json_set and json_append
 *          take it. Everything a getter returns is borrowed from the value it was taken from.
 * Errors:  ERROR_INVALID (the text or a type is wrong, or something required is missing),
 * ERROR_LIMIT. Threads: a value belongs to one thread at a time. Source:  RFC 8259.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

enum {
    JSON_DEPTH_MAX = 64,               /* nobody's honest document is deeper */
    JSON_VALUES_MAX = 8 * 1024 * 1024, /* a value costs up to 100 bytes of memory */
    JSON_TEXT_MAX = 256 * 1024 * 1024, /* what json_parse accepts at most, whatever it is told */
};

void json_free(struct json *v);
DEFINE_CLEANUP_FREE(json);

/* ---- text to values and back ---- */

/* `size_max`: what the caller accepts; 0 is JSON_TEXT_MAX. */
int json_parse(const char *text, size_t size, size_t size_max, struct json **ret,
               struct error *err);

enum json_style {
    JSON_LINE,     /* compact, no newline */
    JSON_INDENTED, /* two spaces, for people */
};
/* Appends the text, keys sorted, so that equal values are equal texts. */
void json_write(const struct json *v, enum json_style style, struct buffer *out);
/* The same as a malloc()ed string. */
char *json_to_text(const struct json *v, enum json_style style);

struct json *json_copy_deep(const struct json *v);
bool json_same(const struct json *a, const struct json *b);

/* ---- looking ---- */

/* false for a NULL pointer in all of them. */
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_text(const struct json *v);
bool json_is_int(const struct json *v);
bool json_is_bool(const struct json *v);
bool json_is_nothing(const struct json *v); /* null */

/* "an object", "a string", "an integer", ...; "nothing" for NULL. */
const char *json_type_name(const struct json *v);

/* NULL when there is none. `key` may hold dots. */
const struct json *json_member(const struct json *object, const char *key);
/* By path; NULL when there is none, or when a part of the way is of another type. */
const struct json *json_find(const struct json *v, const char *path);

/* Members of an object, items of an array; 0 for everything else. */
size_t json_count(const struct json *v);
const struct json *json_at(const struct json *array, size_t index);

/* The string, or NULL if the value is none. */
const char *json_text_or_null(const struct json *v);

/*
 * Members in the order of the text:
 *
 *     struct json_cursor cursor = {0};
 *     while (json_next(object, &cursor)) use(cursor.key, cursor.value);
 */
struct json_cursor {
    const char *key;
    const struct json *value;
    void *position;
};
bool json_next(const struct json *object, struct json_cursor *cursor);

/* Keys in strcmp() order: a malloc()ed, NULL-terminated array of borrowed strings. */
const char **json_keys_sorted(const struct json *object, size_t *ret_count);

/* ---- checked getters ---- */

int json_get_text(const struct json *v, const char *path, const char *fallback, const char **ret,
                  struct error *err);
int json_get_int(const struct json *v, const char *path, int64_t fallback, int64_t *ret,
                 struct error *err);
/* Above INT64_MAX with 15 digits only; from 2^64 on UINT64_MAX. */
int json_get_u64(const struct json *v, const char *path, uint64_t fallback, uint64_t *ret,
                 struct error *err);
/* Integers too. */
int json_get_number(const struct json *v, const char *path, double fallback, double *ret,
                    struct error *err);
int json_get_bool(const struct json *v, const char *path, bool fallback, bool *ret,
                  struct error *err);
/* NULL where missing or null. */
int json_get_object(const struct json *v, const char *path, const struct json **ret,
                    struct error *err);
int json_get_array(const struct json *v, const char *path, const struct json **ret,
                   struct error *err);

int json_require_text(const struct json *v, const char *path, const char **ret, struct error *err);
/* Also checks the range. */
int json_require_int(const struct json *v, const char *path, int64_t min, int64_t max, int64_t *ret,
                     struct error *err);
int json_require_u64(const struct json *v, const char *path, uint64_t *ret, struct error *err);
int json_require_number(const struct json *v, const char *path, double *ret, struct error *err);
int json_require_bool(const struct json *v, const char *path, bool *ret, struct error *err);
int json_require_object(const struct json *v, const char *path, const struct json **ret,
                        struct error *err);
int json_require_array(const struct json *v, const char *path, const struct json **ret,
                       struct error *err);

/* ---- building ---- */

struct json *json_new_object(void);
struct json *json_new_array(void);
struct json *json_new_text(const char *text);                    /* NULL makes null */
struct json *json_new_text_sized(const char *text, size_t size); /* cut at the first NUL */
struct json *json_new_int(int64_t number);
struct json *json_new_number(double number);
struct json *json_new_bool(bool truth);
struct json *json_new_null(void);
/* From a NULL-terminated array of strings. */
struct json *json_new_texts(const char *const *texts);

/* Takes `value`; an earlier member of that key goes. Returns `value`, borrowed, to go on with. */
struct json *json_set(struct json *object, const char *key, struct json *value);
void json_set_text(struct json *object, const char *key, const char *text);
void json_set_int(struct json *object, const char *key, int64_t number);
void json_set_number(struct json *object, const char *key, double number);
void json_set_bool(struct json *object, const char *key, bool truth);
/* The member of that key if it is an object, else a new empty one in its place. */
struct json *json_set_object(struct json *object, const char *key);
struct json *json_set_array(struct json *object, const char *key);
void json_remove(struct json *object, const char *key);

struct json *json_append(struct json *array, struct json *value);
void json_append_text(struct json *array, const char *text);
void json_append_int(struct json *array, int64_t number);
