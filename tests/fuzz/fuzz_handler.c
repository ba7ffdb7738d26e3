/*
 * What handlers are given by the network: whatever their check lets through, the others can work
 * with, within the limits, and make a write set of exactly the size that they said, of distinct
 * keys. The first byte says what the rest is: a payload for kv (0; 1: read-only), an answer of it
 * (2), the fields of a request for pee (3; 4: read-only), what goes before a request that was
 * executed ahead (5): that is read in one way only, or a block of another replica (6): whatever its
 * header says, its write set is the one that it binds, or refused.
 */

#include "executor/chain/kv.h"
#include "executor/chain/pee.h"
#include "executor/chain/write_set.h"
#include "executor/endorsed.h"
#include "executor/handler.h"
#include "executor/written.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZED_BYTES_MAX = 1 << 20 };

static const struct handler *find(const char *name) {
    struct error err = ERROR_NULL;
    const struct handler *handler = NULL;
    int r = handler_find(name, &handler, &err);
    assert(r == 0);
    return handler;
}

static int compare_hashes(const void *a, const void *b) {
    return memcmp(a, b, SHA256_SIZE);
}

static void check_keys(const uint8_t *bytes, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(write_set_deinit) struct write_set set;
    write_set_init(&set, COMMAND_KEYS_MAX);
    int r = write_set_read(&set, bytes, size, &err);
    assert(r == 0);
    qsort(set.keys, set.count, sizeof *set.keys, compare_hashes);
    for (size_t i = 1; i < set.count; i++)
        assert(compare_hashes(set.keys[i - 1], set.keys[i]) != 0);
}

/* Twice: the same bytes. */
static void expand(const struct handler *h, const struct command *c, size_t size) {
    cleanup_free uint8_t *set = mem_alloc(size ? size : 1), *again = mem_alloc(size ? size : 1);
    struct byte_reader r = byte_reader(set, size);
    struct write_set_entry entry;
    h->expand(c, set);
    h->expand(c, again);
    assert(memcmp(set, again, size) == 0);
    while (write_set_next(&r, &entry)) {
        assert(entry.key_size <= COMMAND_KEY_SIZE_MAX);
        assert(entry.value_size <= COMMAND_VALUE_SIZE_MAX);
    }
    assert(bytes_complete(&r));
    check_keys(set, size);
}

static void use(const struct handler *h, const struct command *c) {
    struct error err = ERROR_NULL;
    uint8_t key[COMMAND_KEY_SIZE_MAX];
    if (h->check(c, &err) < 0)
        return;
    uint32_t count = h->read_count(c);
    assert(count <= COMMAND_KEYS_MAX && (!h->gives_value || count <= 1));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = h->read_key(c, i, key);
        assert(size > 0 && size <= COMMAND_KEY_SIZE_MAX);
    }
    if (c->read_only)
        return;
    size_t size = h->write_set_size(c);
    assert(size <= COMMAND_WRITE_SET_MAX);
    if (size <= FUZZED_BYTES_MAX)
        expand(h, c, size);
}

static void fuzz_kv(const uint8_t *data, size_t size, bool read_only) {
    struct error err = ERROR_NULL;
    struct kv_command decoded;
    const struct command c = {.client = 1,
                              .number = 1,
                              .read_only = read_only,
                              .payload = data,
                              .payload_size = (uint32_t)size};
    use(find("kv"), &c);
    if (kv_decode(data, size, &decoded, &err) < 0)
        return;
    assert(kv_size(&decoded) == size);
    cleanup_free uint8_t *again = mem_alloc(size);
    kv_encode(&decoded, again);
    assert(memcmp(data, again, size) == 0);
}

static void fuzz_answer(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct kv_answer answer;
    if (kv_answer_decode(data, size, &answer, &err) == 0)
        assert(1 + answer.value_size == size && answer.found == data[0]);
}

static void fuzz_pee(const uint8_t *data, size_t size, bool read_only) {
    struct byte_reader r = byte_reader(data, size);
    struct command c = {.client = 1, .number = 1, .read_only = read_only};
    c.key_count = bytes_get_u32(&r);
    c.read_count = bytes_get_u32(&r);
    c.key_size = bytes_get_u32(&r);
    c.value_size = bytes_get_u32(&r);
    c.execution_ms = bytes_get_u32(&r);
    c.key_space = bytes_get_u64(&r) >> 1; /* as the wire has it */
    c.first_key = c.key_space ? bytes_get_u64(&r) % c.key_space : 0;
    use(find("pee"), &c);
}

static void fuzz_endorsed(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct endorsed endorsed;
    uint8_t again[ENDORSED_SIZE_MAX];
    if (endorsed_decode(data, size, &endorsed, &err) < 0)
        return;
    assert(endorsed.count > 0 && endorsed.count <= ENDORSEMENTS_MAX);
    assert(endorsed_encode(&endorsed, again) == size && memcmp(again, data, size) == 0);
}

static void fuzz_written(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct block_header h;
    if (size < BLOCK_HEADER_SIZE || block_header_decode(data, BLOCK_HEADER_SIZE, &h, &err) < 0)
        return;
    cleanup(write_set_deinit) struct write_set set;
    write_set_init(&set, COMMAND_KEYS_MAX);
    size -= BLOCK_HEADER_SIZE;
    if (written_check(&set, &h, data + BLOCK_HEADER_SIZE, size, &err) == 0 && h.maker)
        assert(set.count == h.key_count &&
               pee_write_set_size(&(struct command){.key_count = h.key_count,
                                                    .key_size = h.key_size,
                                                    .value_size = h.value_size}) == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > FUZZED_BYTES_MAX)
        return 0;
    switch (data[0]) {
    case 0:
    case 1: fuzz_kv(data + 1, size - 1, data[0]); break;
    case 2: fuzz_answer(data + 1, size - 1); break;
    case 3:
    case 4: fuzz_pee(data + 1, size - 1, data[0] == 4); break;
    case 5: fuzz_endorsed(data + 1, size - 1); break;
    case 6: fuzz_written(data + 1, size - 1); break;
    default: break;
    }
    return 0;
}
