#include "lib/json.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ours are functions. */
#undef json_is_object
#undef json_is_array

/* `struct json` is never defined: a pointer to one is a pointer to jansson's value. */

static struct json *wrap(json_t *v) {
    return (struct json *)v;
}

static json_t *own(struct json *v) {
    return (json_t *)v;
}

/* Only for reading: jansson's getters do not change what they look at. */
static json_t *peek(const struct json *v) {
    const union {
        const struct json *ours;
        json_t *theirs;
    } pointer = {.ours = v};
    return pointer.theirs;
}

/* jansson's constructors return NULL only when memory is out, which is the end (memory.h). */
static json_t *must(json_t *v) {
    if (!v) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return v;
}

void json_free(struct json *v) {
    json_decref(own(v));
}

/* ---- text to values and back ---- */

/*
 * Depth and number of values, before anything is allocated for them: brackets and separators
 * outside of strings. Text that is not JSON may be counted wrong, and is refused by the parser
 * afterwards.
 */
static int check_shape(const char *text, size_t size, struct error *err) {
    size_t depth = 0, values = 1;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            values++;
            if (++depth > JSON_DEPTH_MAX)
                return error_set(err, ERROR_LIMIT, "JSON nested deeper than %d", JSON_DEPTH_MAX);
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == ',' || c == ':') {
            values++;
        }
    }
    if (values > JSON_VALUES_MAX)
        return error_set(err, ERROR_LIMIT, "JSON with more than %d values", JSON_VALUES_MAX);
    return 0;
}

/*
 * The text with ".0" behind every integer that int64 cannot hold, so that it is read as a real. (To
 * have all integers as reals would lose digits of those that fit.) Strings are left alone.
 */
static void widen_integers(const char *text, size_t size, struct buffer *out) {
    static const char number[] = "0123456789+-.eE";
    bool in_string = false;
    for (size_t i = 0; i < size;) {
        size_t n = 1;
        char c = text[i], digits[24];
        if (in_string) {
            n = c == '\\' && i + 1 < size ? 2 : 1;
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            bool whole = true;
            for (; i + n < size && text[i + n] && strchr(number, text[i + n]); n++)
                whole = whole && text[i + n] >= '0' && text[i + n] <= '9';
            snprintf(digits, sizeof digits, "%.*s", n < sizeof digits ? (int)n : 23, text + i);
            errno = 0;
            strtoll(digits, NULL, 10);
            buffer_append(out, text + i, n);
            if (whole && errno == ERANGE)
                buffer_text(out, ".0");
            i += n;
            continue;
        }
        buffer_append(out, text + i, n);
        i += n;
    }
}

static json_t *load(const char *text, size_t size, json_error_t *fault) {
    const size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
    json_t *v = json_loadb(text ? text : "", size, flags, fault);
    if (v || json_error_code(fault) != json_error_numeric_overflow)
        return v;
    cleanup(buffer_deinit) struct buffer wide;
    buffer_init(&wide, size + size / 8 + 16); /* 2 bytes more for at least 19 */
    widen_integers(text, size, &wide);
    assert(!wide.overflowed);
    return json_loadb(buffer_string(&wide), wide.size, flags, fault);
}

int json_parse(const char *text, size_t size, size_t size_max, struct json **ret,
               struct error *err) {
    if (size_max == 0 || size_max > JSON_TEXT_MAX)
        size_max = JSON_TEXT_MAX;
    if (size > size_max)
        return error_set(err, ERROR_LIMIT, "JSON is larger than %zu bytes", size_max);
    if (check_shape(text, size, err) < 0)
        return -1;

    json_error_t fault;
    json_t *v = load(text, size, &fault);
    if (!v) {
        cleanup(buffer_deinit) struct buffer reason;
        buffer_init(&reason, 4 * sizeof fault.text);
        text_harmless(&reason, fault.text, strlen(fault.text));
        return error_set(err, ERROR_INVALID, "not valid JSON at line %d, column %d: %s", fault.line,
                         fault.column, buffer_string(&reason));
    }
    *ret = wrap(v);
    return 0;
}

static int append_to_buffer(const char *data, size_t size, void *arg) {
    buffer_append(arg, data, size);
    return 0;
}

void json_write(const struct json *v, enum json_style style, struct buffer *out) {
    /* 15 digits: what was written with a few decimals comes back as it was written. */
    size_t flags = JSON_ENCODE_ANY | JSON_SORT_KEYS | JSON_REAL_PRECISION(15);
    flags |= style == JSON_INDENTED ? JSON_INDENT(2) : JSON_COMPACT;
    int r = json_dump_callback(peek(v), append_to_buffer, out, flags);
    assert(r == 0);
}

char *json_to_text(const struct json *v, enum json_style style) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, SIZE_MAX / 2);
    json_write(v, style, &out);
    return buffer_take(&out);
}

struct json *json_copy_deep(const struct json *v) {
    return wrap(must(json_deep_copy(peek(v))));
}

bool json_same(const struct json *a, const struct json *b) {
    return json_equal(peek(a), peek(b));
}

/* ---- looking ---- */

bool json_is_object(const struct json *v) {
    return v && json_typeof(peek(v)) == JSON_OBJECT;
}

bool json_is_array(const struct json *v) {
    return v && json_typeof(peek(v)) == JSON_ARRAY;
}

bool json_is_text(const struct json *v) {
    return json_is_string(peek(v));
}

bool json_is_int(const struct json *v) {
    return json_is_integer(peek(v));
}

bool json_is_bool(const struct json *v) {
    return json_is_boolean(peek(v));
}

bool json_is_nothing(const struct json *v) {
    return json_is_null(peek(v));
}

const char *json_type_name(const struct json *v) {
    if (!v)
        return "nothing";
    switch (json_typeof(peek(v))) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a boolean";
    case JSON_NULL: return "null";
    }
    return "nothing";
}

const struct json *json_member(const struct json *object, const char *key) {
    return wrap(json_object_get(peek(object), key)); /* NULL for what is no object */
}

static const struct json *step(const struct json *v, const char *key, size_t size) {
    if (json_is_object(v))
        return wrap(json_object_getn(peek(v), key, size));
    char digits[24];
    if (!json_is_array(v) || size >= sizeof digits)
        return NULL;
    memcpy(digits, key, size);
    digits[size] = '\0';
    struct error err = ERROR_NULL;
    uint64_t index;
    if (text_to_u64(digits, 0, SIZE_MAX, &index, &err) < 0)
        return NULL;
    return json_at(v, index);
}

const struct json *json_find(const struct json *v, const char *path) {
    while (v && *path) {
        size_t size = strcspn(path, ".");
        v = step(v, path, size);
        path += size + (path[size] == '.');
    }
    return v;
}

size_t json_count(const struct json *v) {
    if (json_is_object(v))
        return json_object_size(peek(v));
    return json_array_size(peek(v)); /* 0 for what is no array */
}

const struct json *json_at(const struct json *array, size_t index) {
    return wrap(json_array_get(peek(array), index));
}

const char *json_text_or_null(const struct json *v) {
    return json_string_value(peek(v));
}

bool json_next(const struct json *object, struct json_cursor *cursor) {
    json_t *o = peek(object);
    cursor->position = cursor->position ? json_object_iter_next(o, cursor->position)
                                        : json_object_iter(o); /* NULL for what is no object */
    if (!cursor->position)
        return false;
    cursor->key = json_object_iter_key(cursor->position);
    cursor->value = wrap(json_object_iter_value(cursor->position));
    return true;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **json_keys_sorted(const struct json *object, size_t *ret_count) {
    size_t size = json_is_object(object) ? json_count(object) : 0, count = 0;
    const char **keys = mem_new_array(const char *, size + 1);
    struct json_cursor cursor = {0};
    while (json_next(object, &cursor))
        keys[count++] = cursor.key;
    assert(count == size);
    qsort(keys, count, sizeof *keys, by_text);
    if (ret_count)
        *ret_count = count;
    return keys;
}

/* ---- checked getters ---- */

static int wrong_type(const struct json *found, const char *path, const char *wanted,
                      struct error *err) {
    if (!*path)
        return error_set(err, ERROR_INVALID, "must be %s, not %s", wanted, json_type_name(found));
    return error_set(err, ERROR_INVALID, "'%s' must be %s, not %s", path, wanted,
                     json_type_name(found));
}

static int missing(const char *path, struct error *err) {
    if (!*path)
        return error_set(err, ERROR_INVALID, "the value is missing or null");
    return error_set(err, ERROR_INVALID, "'%s' is missing", path);
}

/* What is there and not null. */
static const struct json *find_something(const struct json *v, const char *path) {
    const struct json *found = json_find(v, path);
    return json_is_nothing(found) ? NULL : found;
}

int json_require_text(const struct json *v, const char *path, const char **ret, struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_text(found))
        return wrong_type(found, path, "a string", err);
    *ret = json_string_value(peek(found));
    return 0;
}

int json_get_text(const struct json *v, const char *path, const char *fallback, const char **ret,
                  struct error *err) {
    if (find_something(v, path))
        return json_require_text(v, path, ret, err);
    *ret = fallback;
    return 0;
}

int json_require_int(const struct json *v, const char *path, int64_t min, int64_t max, int64_t *ret,
                     struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_int(found))
        return wrong_type(found, path, "an integer", err);
    int64_t number = json_integer_value(peek(found));
    if (number < min || number > max)
        return error_set(err, ERROR_INVALID, "'%s' must be from %lld to %lld, not %lld", path,
                         (long long)min, (long long)max, (long long)number);
    *ret = number;
    return 0;
}

int json_get_int(const struct json *v, const char *path, int64_t fallback, int64_t *ret,
                 struct error *err) {
    if (find_something(v, path))
        return json_require_int(v, path, INT64_MIN, INT64_MAX, ret, err);
    *ret = fallback;
    return 0;
}

int json_require_number(const struct json *v, const char *path, double *ret, struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_number(peek(found)))
        return wrong_type(found, path, "a number", err);
    *ret = json_number_value(peek(found));
    return 0;
}

int json_require_u64(const struct json *v, const char *path, uint64_t *ret, struct error *err) {
    double number;
    if (json_require_number(v, path, &number, err) < 0)
        return -1;
    const json_t *found = peek(json_find(v, path));
    if (json_is_integer(found) && json_integer_value(found) >= 0)
        *ret = (uint64_t)json_integer_value(found);
    else if (json_is_real(found) && number >= 0x1p63) /* others were written with a fraction */
        *ret = number < 0x1p64 ? (uint64_t)number : UINT64_MAX;
    else
        return error_set(err, ERROR_INVALID, "'%s' must be a whole number, and not negative", path);
    return 0;
}

int json_get_u64(const struct json *v, const char *path, uint64_t fallback, uint64_t *ret,
                 struct error *err) {
    if (find_something(v, path))
        return json_require_u64(v, path, ret, err);
    *ret = fallback;
    return 0;
}

int json_get_number(const struct json *v, const char *path, double fallback, double *ret,
                    struct error *err) {
    if (find_something(v, path))
        return json_require_number(v, path, ret, err);
    *ret = fallback;
    return 0;
}

int json_require_bool(const struct json *v, const char *path, bool *ret, struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_bool(found))
        return wrong_type(found, path, "a boolean", err);
    *ret = json_is_true(peek(found));
    return 0;
}

int json_get_bool(const struct json *v, const char *path, bool fallback, bool *ret,
                  struct error *err) {
    if (find_something(v, path))
        return json_require_bool(v, path, ret, err);
    *ret = fallback;
    return 0;
}

int json_require_object(const struct json *v, const char *path, const struct json **ret,
                        struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_object(found))
        return wrong_type(found, path, "an object", err);
    *ret = found;
    return 0;
}

int json_get_object(const struct json *v, const char *path, const struct json **ret,
                    struct error *err) {
    if (find_something(v, path))
        return json_require_object(v, path, ret, err);
    *ret = NULL;
    return 0;
}

int json_require_array(const struct json *v, const char *path, const struct json **ret,
                       struct error *err) {
    const struct json *found = find_something(v, path);
    if (!found)
        return missing(path, err);
    if (!json_is_array(found))
        return wrong_type(found, path, "an array", err);
    *ret = found;
    return 0;
}

int json_get_array(const struct json *v, const char *path, const struct json **ret,
                   struct error *err) {
    if (find_something(v, path))
        return json_require_array(v, path, ret, err);
    *ret = NULL;
    return 0;
}

/* ---- building ---- */

struct json *json_new_object(void) {
    return wrap(must(json_object()));
}

struct json *json_new_array(void) {
    return wrap(must(json_array()));
}

struct json *json_new_null(void) {
    return wrap(json_null());
}

struct json *json_new_bool(bool truth) {
    return wrap(json_boolean(truth));
}

struct json *json_new_int(int64_t number) {
    return wrap(must(json_integer(number)));
}

struct json *json_new_number(double number) {
    return isfinite(number) ? wrap(must(json_real(number))) : json_new_null();
}

/* The text with U+FFFD for every byte that is not part of UTF-8. */
static json_t *mended(const char *text, size_t size) {
    cleanup(buffer_deinit) struct buffer good;
    buffer_init(&good, SIZE_MAX / 2);
    while (size) {
        size_t n = text_utf8_length(text, size);
        if (n)
            buffer_append(&good, text, n);
        else
            buffer_text(&good, "\xef\xbf\xbd");
        text += n ? n : 1;
        size -= n ? n : 1;
    }
    return must(json_stringn_nocheck(buffer_string(&good), good.size));
}

struct json *json_new_text_sized(const char *text, size_t size) {
    size = strnlen(text, size);
    json_t *v = json_stringn(text, size); /* NULL also when it is not UTF-8 */
    return wrap(v ? v : mended(text, size));
}

struct json *json_new_text(const char *text) {
    return text ? json_new_text_sized(text, strlen(text)) : json_new_null();
}

struct json *json_new_texts(const char *const *texts) {
    struct json *array = json_new_array();
    for (; texts && *texts; texts++)
        json_append_text(array, *texts);
    return array;
}

struct json *json_set(struct json *object, const char *key, struct json *value) {
    assert(json_is_object(object) && value);
    cleanup(json_freep) struct json *good = json_new_text(key);
    int r = json_object_set_new_nocheck(own(object), json_string_value(own(good)), own(value));
    assert(r == 0);
    return value;
}

void json_set_text(struct json *object, const char *key, const char *text) {
    json_set(object, key, json_new_text(text));
}

void json_set_int(struct json *object, const char *key, int64_t number) {
    json_set(object, key, json_new_int(number));
}

void json_set_number(struct json *object, const char *key, double number) {
    json_set(object, key, json_new_number(number));
}

void json_set_bool(struct json *object, const char *key, bool truth) {
    json_set(object, key, json_new_bool(truth));
}

struct json *json_set_object(struct json *object, const char *key) {
    json_t *there = json_object_get(own(object), key);
    return json_is_object(wrap(there)) ? wrap(there) : json_set(object, key, json_new_object());
}

struct json *json_set_array(struct json *object, const char *key) {
    json_t *there = json_object_get(own(object), key);
    return json_is_array(wrap(there)) ? wrap(there) : json_set(object, key, json_new_array());
}

void json_remove(struct json *object, const char *key) {
    json_object_del(own(object), key); /* -1 when there is none: nothing to do */
}

struct json *json_append(struct json *array, struct json *value) {
    assert(json_is_array(array) && value);
    int r = json_array_append_new(own(array), own(value));
    assert(r == 0);
    return value;
}

void json_append_text(struct json *array, const char *text) {
    json_append(array, json_new_text(text));
}

void json_append_int(struct json *array, int64_t number) {
    json_append(array, json_new_int(number));
}
