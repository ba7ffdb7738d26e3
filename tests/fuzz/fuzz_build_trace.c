/* BuildKit's StatusResponse, in one message and once more after it: whatever is said is text. */

#include "lib/cleanup.h"
#include "runner/engine/build_trace.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_text(void *arg, const char *text, struct error *err) {
    (void)err;
    size_t *total = arg;
    *total += strlen(text);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    size_t total = 0;
    cleanup(build_trace_deinit) struct build_trace trace = {.on_text = on_text, .arg = &total};
    for (int i = 0; i < 2; i++)
        if (build_trace_read(&trace, data, size, &err) < 0)
            assert(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
    /* A step says its name once, and what ends a line adds little to what came. */
    assert(total <= 64 * (size + 1));
    return 0;
}
