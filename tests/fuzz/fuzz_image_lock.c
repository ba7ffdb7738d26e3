/* seatrial.lock. What is accepted is written, and read again, as the same. */

#include "images/lock.h"
#include "lib/cleanup.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_lock(const struct image_lock *lock, struct buffer *out) {
    buffer_init(out, 16 * IMAGE_LOCK_BYTES_MAX);
    image_lock_write(lock, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL, again = IMAGE_LOCK_NULL;
    if (image_lock_parse((const char *)data, size, &lock, &err) < 0) {
        assert(err.kind == ERROR_CONFIG);
        return 0;
    }
    cleanup(buffer_deinit) struct buffer first, second;
    write_lock(&lock, &first);
    int r = image_lock_parse(buffer_string(&first), first.size, &again, &err);
    assert(r == 0);
    write_lock(&again, &second);
    assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    return 0;
}
