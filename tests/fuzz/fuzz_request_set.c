/* Hostile sets of requests: what is accepted is written and read to an equal set. */

#include "lib/request_set.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = NULL, *again = NULL;
    if (request_set_parse((const char *)data, size, &set, &err) < 0) {
        assert(err.text[0]);
        return 0;
    }
    cleanup(buffer_deinit) struct buffer text, text_again;
    buffer_init(&text, REQUEST_SET_JSON_SIZE_MAX);
    buffer_init(&text_again, REQUEST_SET_JSON_SIZE_MAX);
    request_set_write(set, &text);
    int r = request_set_parse(buffer_string(&text), text.size, &again, &err);
    assert(r == 0);
    request_set_write(again, &text_again);
    assert(strcmp(buffer_string(&text), buffer_string(&text_again)) == 0);
    struct request_check check;
    request_set_check(set, again, &check);
    assert(check.missing == 0 && check.unacknowledged == 0);
    return 0;
}
