/* Hostile tars of prepare services: what one container is given is no more than there was, and is
 * selected from again as the same bytes. */

#include "runner/run/prepared.h"

#include "lib/cleanup.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TAR_SIZE_MAX = 64 * 1024, END = 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    if (size > TAR_SIZE_MAX)
        return 0;
    cleanup(buffer_deinit) struct buffer tar, once, twice;
    buffer_init(&tar, TAR_SIZE_MAX);
    buffer_init(&once, TAR_SIZE_MAX + END);
    buffer_init(&twice, TAR_SIZE_MAX + END);
    buffer_append(&tar, data, size);
    if (prepared_select(&tar, "keys", "replica-1", &once, &err) < 0)
        return 0;
    int r = prepared_select(&once, "keys", "replica-1", &twice, &err);
    assert(r == 0 && once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    return 0;
}
