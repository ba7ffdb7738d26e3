/* An image reference. What is accepted means the same again when it is written out, in both forms.
 */

#include "images/reference.h"
#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct reference *r, const char *text) {
    struct error err = ERROR_NULL;
    struct reference again;
    int result = reference_parse(text, &again, &err);
    assert(result == 0);
    assert(strcmp(r->domain, again.domain) == 0 && strcmp(r->path, again.path) == 0);
    assert(strcmp(r->tag, again.tag) == 0 && strcmp(r->digest, again.digest) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct reference r;
    char text[REFERENCE_TEXT_SIZE];
    cleanup_free char *input = mem_zero(1, size + 1);
    if (size)
        memcpy(input, data, size);
    if (reference_parse(input, &r, &err) < 0) {
        assert(err.kind == ERROR_INVALID);
        return 0;
    }
    same(&r, reference_text(&r, text));
    same(&r, reference_familiar(&r, text));
    reference_default_tag(&r);
    same(&r, reference_text(&r, text));
    return 0;
}
