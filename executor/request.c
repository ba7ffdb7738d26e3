#include "executor/request.h"

#include "executor/clients.h"

#include "lib/bytes.h"
#include "lib/memory.h"
#include "lib/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A sealed frame has hashed the payload already. */
static void hash_request(const struct frame *frame, const struct wire_request *m,
                         struct sha256 *hash, uint8_t ret[SHA256_SIZE]) {
    uint8_t payload[SHA256_SIZE];
    if (frame->hash && frame->body + frame->hashed_from == m->payload)
        memcpy(payload, frame->hash, sizeof payload);
    else
        sha256_of(m->payload, m->payload_size, payload);
    request_digest(hash, m->fields, payload, ret);
}

int request_new(const struct frame *frame, size_t offset, struct sha256 *hash,
                struct request_checker *checker, struct request **ret, struct error *err) {
    struct wire_request m;
    assert(offset <= frame->size);
    if (wire_request_decode(frame->body + offset, frame->size - offset, &m, err) < 0)
        return -1;
    struct request *request = mem_new(struct request);
    request->references = 1;
    request->offset = offset;
    request->origin = CLIENTS_NOWHERE;
    request->stage = STAGE_RECEIVE;
    request->at_ns = frame->since.ns;
    request->flags = m.flags;
    request->command = (struct command){
        .client = m.client,
        .number = m.number,
        .read_only = m.flags & WIRE_REQUEST_READ_ONLY,
        .key_count = m.key_count,
        .read_count = m.read_count,
        .key_size = m.key_size,
        .value_size = m.value_size,
        .execution_ms = m.execution_ms,
        .key_space = m.key_space,
        .first_key = m.first_key,
    };
    hash_request(frame, &m, hash, request->digest);
    request->authentic = request_check_authenticator(checker, &m, request->digest, &request->doubt);
    request->payload_offset = (size_t)(m.payload - frame->body);
    request->payload_size = m.payload_size;
    if (!request_reads(request))
        request_keep(request, frame);
    *ret = request;
    return 0;
}

void request_keep(struct request *request, const struct frame *frame) {
    assert(!request->blob);
    request->blob = frame_take(frame);
    request->command.payload = request->blob->data + request->payload_offset;
    request->command.payload_size = request->payload_size;
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
    free(request->endorsed);
    free(request);
}

void request_goes_on(struct request *request, enum stage stage, uint64_t now_ns,
                     struct stages *stages) {
    stages_record_since(stages, request->stage, request->at_ns, now_ns);
    request->stage = stage;
    if (request->at_ns > 0)
        request->at_ns = now_ns;
}

bool request_reads(const struct request *request) {
    return request->flags & WIRE_REQUEST_READ_ONLY;
}

int request_check(const struct request *request, const struct handler *handler, struct error *err) {
    return handler->check(&request->command, err);
}

void request_endorse(struct request *request, const struct endorsed *endorsed) {
    assert(!request->endorsed);
    request->endorsed = mem_new(struct endorsed);
    *request->endorsed = *endorsed;
    request->vouched = true;
}

/* What its execution has given is a part of what is agreed on; who has endorsed it is not. */
static void core_digest(const struct request *request, uint8_t ret[PBFT_DIGEST_SIZE]) {
    uint8_t bytes[1 + 3 * SHA256_SIZE];
    struct byte_writer w = byte_writer(bytes, sizeof bytes);
    if (!request->endorsed) {
        memcpy(ret, request->digest, PBFT_DIGEST_SIZE);
        return;
    }
    bytes_put_u8(&w, 1);
    bytes_put(&w, request->digest, SHA256_SIZE);
    bytes_put(&w, request->endorsed->execution.read_set, SHA256_SIZE);
    bytes_put(&w, request->endorsed->execution.write_set, SHA256_SIZE);
    sha256_of(bytes, sizeof bytes, ret);
}

struct pbft_request request_for_core(const struct request *request) {
    assert(request->blob);
    bool authentic =
        request->authentic == REQUEST_AUTHENTIC && (!request->endorsed || request->vouched);
    struct pbft_request r = {
        .handle = (uint64_t)(uintptr_t)request,
        .size_bytes = (uint32_t)(request->blob->size - request->offset),
        .authentic = authentic ? PBFT_AUTHENTIC : PBFT_AUTHENTIC_UNKNOWN,
        .pre_executed = request->endorsed != NULL,
        .client = request->command.client,
        .number = request->command.number,
        .origin = request->origin,
    };
    core_digest(request, r.digest);
    return r;
}

struct request *request_of(const struct pbft_request *core_request) {
    return (struct request *)(uintptr_t)core_request->handle;
}
