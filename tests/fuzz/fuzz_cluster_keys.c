/* Hostile key files: what is read is written as the same bytes. The first byte: whose file. */

#include "lib/cluster_keys.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_same(const struct buffer *written, const char *text, size_t size) {
    assert(!written->overflowed && written->size == size && memcmp(written->data, text, size) == 0);
}

static void fuzz_public(const char *text, size_t size, struct buffer *out) {
    struct error err = ERROR_NULL;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    if (cluster_keys_parse("fuzz", text, size, &keys, &err) < 0)
        return;
    cluster_keys_write(&keys, out);
    assert_same(out, text, size);
}

static void fuzz_private(const char *text, size_t size, struct buffer *out) {
    struct error err = ERROR_NULL;
    struct private_key key;
    if (private_key_parse("fuzz", text, size, &key, &err) < 0)
        return;
    private_key_write(&key, out);
    assert_same(out, text, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cleanup(buffer_deinit) struct buffer out = BUFFER_NULL;
    if (size == 0 || size > KEYS_FILE_SIZE_MAX)
        return 0;
    buffer_init(&out, KEYS_FILE_SIZE_MAX);
    char *text = mem_alloc(size); /* a block of its exact size, but for one byte */
    memcpy(text, data + 1, size - 1);
    if (data[0] & 1)
        fuzz_private(text, size - 1, &out);
    else
        fuzz_public(text, size - 1, &out);
    free(text);
    return 0;
}
