#include "lib/text.h"

#include "lib/clock.h"
#include "lib/memory.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool text_equal(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool text_starts(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

char *text_dup(const char *text) {
    return text ? mem_dup(text, strlen(text) + 1) : NULL;
}

char *text_format(const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    assert(size >= 0);
    char *text = mem_alloc((size_t)size + 1);
    vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

int text_to_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct error *err) {
    uint64_t value = 0;
    const char *p = text;
    bool fits = *p != '\0';
    for (; fits && *p; p++) {
        unsigned digit = (unsigned)*p - '0';
        fits = digit <= 9 && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, digit, &value);
    }
    if (!fits || value < min || value > max)
        return error_set(err, ERROR_INVALID, "'%.64s' is not a whole number from %llu to %llu",
                         text, (unsigned long long)min, (unsigned long long)max);
    *ret = value;
    return 0;
}

/* Digits with an optional fraction of at most nine digits; moves *p behind them. */
static bool decimal(const char **p, uint64_t *ret_whole, uint64_t *ret_billionths) {
    uint64_t whole = 0, billionths = 0;
    const char *start = *p;
    for (; isdigit((unsigned char)**p); (*p)++)
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(**p - '0'), &whole))
            return false;
    bool digits = *p > start;
    if (**p == '.') {
        (*p)++;
        uint64_t scale = NS_PER_SEC / 10;
        for (; isdigit((unsigned char)**p); (*p)++, scale /= 10) {
            billionths += (uint64_t)(**p - '0') * scale;
            digits = true;
        }
    }
    *ret_whole = whole;
    *ret_billionths = billionths;
    return digits;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* The longest unit that `text` starts with. */
static const struct unit *find_unit(const struct unit *units, size_t count, const char *text) {
    const struct unit *found = NULL;
    for (size_t i = 0; i < count; i++)
        if (strncasecmp(text, units[i].name, strlen(units[i].name)) == 0 &&
            (!found || strlen(units[i].name) > strlen(found->name)))
            found = &units[i];
    return found;
}

static bool scaled(uint64_t whole, uint64_t billionths, uint64_t factor, uint64_t *ret) {
    uint64_t value;
    uint64_t part = (uint64_t)((unsigned __int128)billionths * factor / NS_PER_SEC);
    if (__builtin_mul_overflow(whole, factor, &value) ||
        __builtin_add_overflow(value, part, &value))
        return false;
    *ret = value;
    return true;
}

int text_to_duration_ns(const char *text, uint64_t *ret_ns, struct error *err) {
    static const struct unit units[] = {
        {"ns", 1},         {"us", NS_PER_US},      {"ms", NS_PER_MS},
        {"s", NS_PER_SEC}, {"m", 60 * NS_PER_SEC}, {"h", 3600 * NS_PER_SEC},
    };
    uint64_t total = 0;
    const char *p = text;
    do {
        uint64_t whole, billionths, ns;
        const struct unit *unit;
        if (!decimal(&p, &whole, &billionths) ||
            !(unit = find_unit(units, sizeof units / sizeof *units, p)) ||
            !scaled(whole, billionths, unit->factor, &ns) ||
            __builtin_add_overflow(total, ns, &total))
            return error_set(err, ERROR_INVALID, "'%.64s' is not a duration such as 500ms or 1m30s",
                             text);
        p += strlen(unit->name);
    } while (*p);
    *ret_ns = total;
    return 0;
}

int text_to_size_bytes(const char *text, uint64_t *ret_bytes, struct error *err) {
    static const struct unit units[] = {
        {"", 1},        {"b", 1},        {"k", 1 << 10}, {"kb", 1 << 10},
        {"m", 1 << 20}, {"mb", 1 << 20}, {"g", 1 << 30}, {"gb", 1 << 30},
    };
    uint64_t whole, billionths, bytes;
    const char *p = text;
    const struct unit *unit;
    if (!decimal(&p, &whole, &billionths) ||
        !(unit = find_unit(units, sizeof units / sizeof *units, p)) || p[strlen(unit->name)] ||
        !scaled(whole, billionths, unit->factor, &bytes))
        return error_set(err, ERROR_INVALID, "'%.64s' is not a size such as 4096, 64m or 1gb",
                         text);
    *ret_bytes = bytes;
    return 0;
}

enum { NEAREST_NAME_MAX = 64 };

/* Optimal string alignment distance (Boytsov 2011, section 2.2), rows of at most 64 characters. */
static size_t distance(const char *a, size_t n, const char *b, size_t m) {
    size_t rows[3][NEAREST_NAME_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= m; j++)
        last[j] = j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

const char *text_nearest(const char *name, const char *const *candidates, size_t count) {
    size_t n = strlen(name);
    if (n > NEAREST_NAME_MAX)
        return NULL;
    const char *best = NULL;
    size_t best_distance = n / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        size_t m = strlen(candidates[i]);
        if (m > NEAREST_NAME_MAX)
            continue;
        size_t d = distance(name, n, candidates[i], m);
        if (d < best_distance || (d == best_distance && !best)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

void text_hex(const void *data, size_t size, char *out) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

int text_unhex(const char *hex, void *out, size_t size) {
    unsigned char *bytes = out;
    if (strlen(hex) != 2 * size)
        return -1;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return 0;
}

/* RFC 3629, section 4. */
size_t text_utf8_length(const char *data, size_t size) {
    const unsigned char *s = (const unsigned char *)data;
    unsigned char first = s[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xc2 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf5 ? 4
                                   : 0;
    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && s[1] < 0xa0) || (first == 0xed && s[1] > 0x9f) ||
        (first == 0xf0 && s[1] < 0x90) || (first == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void text_harmless(struct buffer *out, const char *data, size_t size) {
    const unsigned char *s = (const unsigned char *)data;
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_length(data + i, size - i);
        bool control = length == 1 && (s[i] < 0x20 || s[i] == 0x7f) && s[i] != '\n' && s[i] != '\t';
        bool c1_control = length == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0;
        if (length == 0 || control || c1_control) {
            buffer_format(out, "\\x%02x", s[i]);
            i += 1;
        } else {
            buffer_append(out, s + i, length);
            i += length;
        }
    }
}

const char *text_safe(const char *text, char *out, size_t size) {
    assert(size > 0);
    struct buffer harmless;
    buffer_init(&harmless, SIZE_MAX / 8);
    for (const char *rest = text; *rest;) {
        size_t plain = strcspn(rest, "\n\t");
        text_harmless(&harmless, rest, plain);
        rest += plain;
        if (*rest)
            buffer_text(&harmless, *rest++ == '\n' ? "\\n" : "\\t");
    }
    snprintf(out, size, "%s", buffer_string(&harmless));
    buffer_deinit(&harmless);
    return out;
}
