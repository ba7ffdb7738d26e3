/* Executing ahead of the order: what executor/ahead.h decides is done here. */

#include "executor/shell.h"

#include "lib/log.h"

#include <string.h>

/* ---- what is executed here ---- */

bool spend_time_of_read(struct replica *r, struct request *request) {
    const struct pre_execution_job job = {
        .request = request,
        .execution_ms = request->command.execution_ms,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
        .size_bytes = request->payload_size,
    };
    return pre_execution_push(r->pre_execution, &job);
}

static bool push(struct replica *r, struct request *request, const uint8_t read_set[SHA256_SIZE]) {
    struct pre_execution_job job = {
        .request = request,
        .execution_ms = request->command.execution_ms,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
        .size_bytes = request->payload_size,
        .command = &request->command,
        .digest = request->digest,
    };
    memcpy(job.execution.read_set, read_set, SHA256_SIZE);
    return pre_execution_push(r->pre_execution, &job);
}

/* What it reads comes first. */
static bool begin(void *context, struct request *request) {
    static const uint8_t nothing[SHA256_SIZE];
    struct replica *r = context;
    const struct storage_read read = {
        .request = request, .command = request->command, .ahead = true};
    if (handler_of(r)->read_count(&request->command) > 0)
        return storage_push_read(r->storage, &read);
    return push(r, request, nothing);
}

void read_set_there(struct replica *r, const struct storage_read *read) {
    if (read->problem[0] || !push(r, read->request, read->digest))
        ahead_executed(r->ahead, read->request, NULL, NULL, clock_instant().ns);
}

void take_executed(struct replica *r) {
    struct pre_execution_job job;
    while (pre_execution_take(r->pre_execution, &job))
        if (job.command)
            ahead_executed(r->ahead, job.request, &job.execution, job.signature,
                           clock_instant().ns);
        else
            read_now(r, job.request);
}

/* ---- what others are told ---- */

static void fan_out(void *context, const struct request *request) {
    struct replica *r = context;
    uint8_t head[CODEC_HEAD_SIZE_MAX];
    size_t size =
        codec_encode_request(CODEC_EXECUTE, NULL, 0, request->blob->size - request->offset, head);
    for (uint16_t i = 0; i < r->place->n; i++)
        if (i != r->place->replica)
            transport_send_peer(r->transport, i, head, size, request->blob, request->offset);
}

static void tell(void *context, uint16_t peer, const struct codec_execution *execution) {
    struct replica *r = context;
    uint8_t frame[WIRE_HEADER_SIZE + CODEC_EXECUTED_SIZE];
    size_t size = codec_encode_executed(execution, frame);
    transport_send_peer(r->transport, peer, frame, size, NULL, 0);
}

static void order_it(void *context, struct request *request) {
    order(context, request);
}

static void blame(void *context, uint16_t peer, const char *why) {
    struct replica *r = context;
    transport_disconnect_peer(r->transport, peer, why);
}

static bool leads(void *context, uint64_t view) {
    const struct replica *r = context;
    struct pbft_status status;
    pbft_get_status(r->core, &status);
    return status.active && status.primary == r->place->replica && status.view == view;
}

void open_ahead(struct replica *r) {
    struct pbft_status status;
    pbft_get_status(r->core, &status);
    const struct ahead_config config = {
        .replica = r->place->replica,
        .n = r->place->n,
        .f = status.f,
        .clients_max = r->config.clients_max,
        .auth = &r->auth,
        .ops = {.context = r,
                .execute = begin,
                .fan_out = fan_out,
                .tell = tell,
                .order = order_it,
                .blame = blame,
                .leads = leads},
    };
    r->ahead = ahead_new(&config);
}

/* ---- requests that come ---- */

bool execute_ahead(struct replica *r, struct request *request) {
    struct pbft_status status;
    pbft_get_status(r->core, &status);
    if (!(request->flags & WIRE_REQUEST_PRE_EXECUTE) || !leads(r, status.view))
        return false;
    goes_on(r, request, STAGE_PRE_EXECUTE);
    switch (ahead_begin(r->ahead, request, status.view, clock_instant().ns)) {
    case AHEAD_TAKEN: return true;
    case AHEAD_ORDER: return false;
    case AHEAD_FULL: break;
    }
    refuse(r, request, WIRE_REPLY_OVERLOADED, "too many requests wait for pre-execution");
    return true;
}

/* Who has executed it with the same outcome needs nobody's word; who has not, f + 1. */
int take_endorsed(struct replica *r, struct request *request, const uint8_t *bytes, size_t size,
                  struct error *err) {
    struct endorsed endorsed;
    if (endorsed_decode(bytes, size, &endorsed, err) < 0)
        return -1;
    unsigned needed = (r->place->n - 1u) / 3 + 1;
    if (endorsed.count != needed || endorsed.by[needed - 1].replica >= r->place->n)
        return error_set(err, ERROR_INVALID, "%u endorsements of an execution, not %u",
                         endorsed.count, needed);
    request_endorse(request, &endorsed);
    request->vouched = ahead_agrees(r->ahead, request, &endorsed.execution) ||
                       endorsed_verify(&r->auth, request->digest, &endorsed);
    return 0;
}
