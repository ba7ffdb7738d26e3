/* Hostile JSON: what is accepted can be written, read again, and is the same. */

#include "lib/json.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_real(const struct json *v) {
    struct json_cursor cursor = {0};
    while (json_next(v, &cursor))
        if (has_real(cursor.value))
            return true;
    for (size_t i = 0; json_is_array(v) && i < json_count(v); i++)
        if (has_real(json_at(v, i)))
            return true;
    return strcmp(json_type_name(v), "a number") == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v = NULL, *again = NULL;
    if (json_parse((const char *)data, size, 0, &v, &err) < 0) {
        assert(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
        return 0;
    }
    cleanup_free char *text = json_to_text(v, JSON_LINE);
    int r = json_parse(text, strlen(text), 0, &again, &err);
    assert(r == 0);
    assert(has_real(v) || json_same(v, again)); /* 15 digits of a real may round it */
    return 0;
}
