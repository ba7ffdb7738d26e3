#include "runner/remote/ssh_pattern.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <ctype.h>
#include <string.h>

bool ssh_pattern_match(const char *text, const char *pattern, size_t pattern_size) {
    const char *at = pattern, *end = pattern + pattern_size;
    const char *star = NULL, *retry = NULL; /* behind the last `*`, and where its text may end */
    while (*text) {
        if (at < end && *at == '*') {
            star = ++at;
            retry = text;
        } else if (at < end && (*at == '?' || *at == *text)) {
            at++;
            text++;
        } else if (star) {
            at = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (at < end && *at == '*')
        at++;
    return at == end;
}

static void fold_case(char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        text[i] = (char)tolower((unsigned char)text[i]);
}

int ssh_pattern_list(const char *text, const char *list, size_t list_size, bool fold) {
    cleanup_free char *copy = mem_dup(list, list_size);
    if (fold)
        fold_case(copy, list_size);
    int result = 0;
    const char *end = copy + list_size;
    for (const char *at = copy; at < end;) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma ? comma : end;
        bool negated = at < stop && *at == '!';
        at += negated;
        if (at < stop && ssh_pattern_match(text, at, (size_t)(stop - at))) {
            if (negated)
                return -1;
            result = 1;
        }
        at = comma ? comma + 1 : end;
    }
    return result;
}
