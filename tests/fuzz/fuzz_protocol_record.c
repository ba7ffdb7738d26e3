/* A protocol log that somebody has written over: any bytes are one record, and then exactly what
 * would be written for it, or none. */

#include "executor/protocol_record.h"
#include "executor/request.h"

#include "lib/crypto.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs need not know their own checks: with this one they get as far as the fields. */
static void make_right(uint8_t *bytes, size_t size) {
    uint32_t head;
    uint8_t hash[SHA256_SIZE];
    if (size < 12)
        return;
    memcpy(&head, bytes + 8, sizeof head);
    if (head < 12 || head > size)
        return;
    sha256_of(bytes + 8, head - 8, hash);
    memcpy(bytes, hash, 8);
}

static void read_one(const uint8_t *bytes, size_t size) {
    struct record_reader reader;
    size_t used = 0;
    record_reader_init(&reader);
    if (record_reader_read(&reader, bytes, size, &used)) {
        const struct protocol_log_request *requests = record_reader_requests(&reader);
        assert(used > 0 && used <= size);
        for (uint32_t i = 0; requests && i < reader.record.count; i++)
            blob_unref(requests[i].blob);
        if (!requests) { /* those with requests want real ones */
            cleanup(buffer_deinit) struct buffer again;
            buffer_init(&again, PROTOCOL_RECORD_HEAD_MAX);
            protocol_record_encode(&reader.record, &again);
            assert(again.size == used && memcmp(again.data, bytes, used) == 0);
        }
    }
    record_reader_deinit(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = mem_alloc(size ? size : 1); /* a block of its exact size */
    if (size > 0)
        memcpy(bytes, data, size);
    read_one(bytes, size);
    make_right(bytes, size);
    read_one(bytes, size);
    free(bytes);
    return 0;
}
