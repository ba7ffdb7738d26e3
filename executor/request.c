#include "executor/request.h"

#include "lib/memory.h"
#include "lib/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int request_new(const struct frame *frame, size_t offset, struct sha256 *hash, struct request **ret,
                struct error *err) {
    struct wire_request m;
    assert(offset <= frame->size);
    if (wire_request_decode(frame->body + offset, frame->size - offset, &m, err) < 0)
        return -1;
    struct request *request = mem_new(struct request);
    request->references = 1;
    request->offset = offset;
    request->flags = m.flags;
    request->command = (struct pee_command){
        .client = m.client,
        .number = m.number,
        .key_count = m.key_count,
        .key_size = m.key_size,
        .value_size = m.value_size,
        .execution_ms = m.execution_ms,
        .key_space = m.key_space,
        .first_key = m.first_key,
    };
    if (!request_reads(request)) {
        request->blob = frame_take(frame);
        sha256_begin(hash);
        sha256_add(hash, frame->body + offset, frame->size - offset);
        sha256_end(hash, request->digest);
    }
    *ret = request;
    return 0;
}

struct request *request_ref(struct request *request) {
    assert(request->references > 0);
    request->references++;
    return request;
}

void request_unref(struct request *request) {
    assert(request->references > 0);
    if (--request->references > 0)
        return;
    blob_unref(request->blob);
    free(request);
}

bool request_reads(const struct request *request) {
    return request->flags & WIRE_REQUEST_READ_ONLY;
}

int request_check(const struct request *request, struct error *err) {
    return request_reads(request) ? pee_check_read(&request->command, err)
                                  : pee_check(&request->command, err);
}

struct core_request request_for_core(const struct request *request, bool pre_executed) {
    assert(request->blob);
    struct core_request r = {
        .handle = (uint64_t)(uintptr_t)request,
        .size_bytes = (uint32_t)(request->blob->size - request->offset),
        .pre_executed = pre_executed,
        .client = request->command.client,
        .number = request->command.number,
        .origin = request->origin,
    };
    memcpy(r.digest, request->digest, sizeof r.digest);
    return r;
}

struct request *request_of(const struct core_request *core_request) {
    return (struct request *)(uintptr_t)core_request->handle;
}
