/* Any bytes as a requests.bin: records within their limits, or an error. */

#include "lib/cleanup.h"
#include "loader/durations.h"
#include "loader/limits.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *context, const struct durations_origin *origin, const struct duration *one,
                 struct error *err) {
    (void)context;
    (void)origin;
    (void)err;
    assert(one->client < LOADER_CLIENTS_MAX && one->outcome < OUTCOME_COUNT);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    if (size == 0)
        return 0;
    cleanup_fclose FILE *from = fmemopen((void *)(uintptr_t)data, size, "r");
    assert(from);
    if (durations_read(from, check, NULL, &err) < 0)
        assert(err.kind == ERROR_INVALID && *err.text);
    return 0;
}
