/*
 * Ignore rules (up to the first NUL) and paths (the rest, NUL-separated). What the walk's way of
 * asking says must be what a single question says, and a folder that no exception reaches into has
 * nothing in it that is kept.
 */

#include "images/ignore.h"
#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct ignore *rules, char *path) {
    size_t words = ignore_words(rules);
    cleanup_free uint64_t *matched = mem_new_array(uint64_t, words);
    bool walked = true, excluded = false;
    for (char *slash = path; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        excluded = ignore_matches_below(rules, path, matched, matched);
        if (excluded && !ignore_reaches_into(rules, path))
            walked = false;
    }
    excluded = ignore_matches_below(rules, path, matched, matched);
    assert(excluded == ignore_matches(rules, path));
    assert(walked || excluded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup_free char *text = mem_zero(1, size + 1);
    if (size)
        memcpy(text, data, size);
    size_t rules_size = strlen(text);
    cleanup(ignore_freep) struct ignore *rules = NULL;
    if (ignore_parse(text, rules_size, &rules, &err) < 0) {
        assert(err.kind == ERROR_CONFIG);
        return 0;
    }
    for (size_t at = rules_size + 1; at < size; at += strlen(text + at) + 1)
        if (strlen(text + at) < 1000)
            ask(rules, text + at);
    return 0;
}
