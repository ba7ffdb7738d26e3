/* What clients say: requests, reads, and questions about the status. */

#include "executor/shell.h"
#include "executor/words.h"

#include "lib/log.h"

#include <stdio.h>
#include <string.h>

void on_client_up(void *context, uint64_t origin, const struct wire_clients *clients) {
    struct replica *r = context;
    clients_enter(r->clients, clients, origin);
}

void order(struct replica *r, struct request *request) {
    struct pbft_event event = {.type = PBFT_REQUEST, .request = request_for_core(request)};
    step(r, &event);
}

void refuse(struct replica *r, struct request *request, enum wire_reply_status status,
            const char *why) {
    struct pbft_status core;
    pbft_get_status(r->core, &core);
    struct wire_reply reply = {.client = request->command.client,
                               .number = request->command.number,
                               .status = status,
                               .view = core.view};
    snprintf(reply.text, sizeof reply.text, "%s", why);
    send_reply(r, request->origin, &reply);
    request_unref(request);
}

void goes_on(struct replica *r, struct request *request, enum stage stage) {
    if (r->stages)
        request_goes_on(request, stage, clock_instant().ns, r->stages);
}

/* ---- reads ---- */

/* Whether what we have is all that was acknowledged, other replicas' answers say. */
static enum pbft_reason reason_not_to_read(const struct replica *r) {
    if (r->stopping)
        return PBFT_REASON_DRAINING;
    return r->storage_failed ? PBFT_REASON_STORE_FAILED : PBFT_REASON_NONE;
}

static void refuse_read(struct replica *r, struct request *request, const char *why) {
    refuse(r, request, WIRE_REPLY_OVERLOADED, why);
    r->reads--;
}

void read_now(struct replica *r, struct request *request) {
    const struct storage_read read = {.request = request, .command = request->command};
    if (!storage_push_read(r->storage, &read))
        refuse_read(r, request, "too many reads wait already");
}

/* Reads wait for nobody, so their execution times are spent side by side, as in pre-execution. */
static void begin_read(struct replica *r, struct request *request) {
    enum pbft_reason reason = reason_not_to_read(r);
    if (reason != PBFT_REASON_NONE) {
        refuse(r, request, WIRE_REPLY_REFUSED, words_reason(reason));
        return;
    }
    r->reads++;
    goes_on(r, request, STAGE_READ);
    if (request->command.execution_ms == 0)
        read_now(r, request);
    else if (!spend_time_of_read(r, request))
        refuse_read(r, request, "too many requests wait for pre-execution");
}

static void answer_read(struct replica *r, const struct storage_read *read) {
    struct request *request = read->request;
    struct pbft_status core;
    pbft_get_status(r->core, &core);
    struct wire_reply reply = {
        .client = request->command.client,
        .number = request->command.number,
        .status = read->problem[0] ? WIRE_REPLY_REFUSED : WIRE_REPLY_OK,
        .view = core.view,
        .height = read->height,
    };
    memcpy(reply.digest, read->digest, sizeof reply.digest);
    snprintf(reply.text, sizeof reply.text, "%s", read->problem);
    if (read->problem[0] && !r->read_failed)
        log_warn("store", "a read failed: %s; others are told, not logged", read->problem);
    r->read_failed = r->read_failed || read->problem[0];
    if (read->answer)
        send_value(r, request, read->height, read->answer);
    send_reply(r, request->origin, &reply);
    goes_on(r, request, STAGE_REPLY);
    request_unref(request);
    r->reads--;
}

void take_reads(struct replica *r) {
    enum { READS_MAX = 16 };
    struct storage_read reads[READS_MAX];
    size_t count;
    while ((count = storage_take_reads(r->storage, reads, READS_MAX)) > 0)
        for (size_t i = 0; i < count; i++)
            if (reads[i].ahead)
                read_set_there(r, &reads[i]);
            else
                answer_read(r, &reads[i]);
}

/* ---- what comes ---- */

/* Its own link is authenticated: what is wrong here, the loader has done. */
static int check_client(const struct replica *r, uint16_t loader, const struct request *request,
                        struct error *err) {
    unsigned long long client = request->command.client;
    if (!r->place->identity)
        return 0;
    if (request_principal(request->command.client) != loader)
        return error_set(err, ERROR_REFUSED,
                         "loader %u may not speak for client %llu, which is of loader %llu", loader,
                         client, (unsigned long long)request_principal(request->command.client));
    if (request->authentic != REQUEST_AUTHENTIC)
        return error_set(err, ERROR_REFUSED, "a request of client %llu is not authentic: %s",
                         client, request->doubt);
    return 0;
}

static int on_request(struct replica *r, uint64_t origin, uint16_t loader,
                      const struct frame *frame, struct error *err) {
    struct request *request;
    struct error why;
    error_init(&why);
    if (request_new(frame, 0, &r->hash, &r->checker, &request, err) < 0)
        return -1;
    request->origin = origin;
    r->counts.from_clients++;
    if (request_reads(request) && handler_of(r)->reads_payload)
        request_keep(request, frame);
    if (check_client(r, loader, request, &why) < 0) {
        refuse(r, request, WIRE_REPLY_REFUSED, why.text);
        transport_dismiss_client(r->transport, origin, why.text);
        return 0;
    }
    clients_asked(r->clients, request->command.client, origin);
    if (request_check(request, handler_of(r), &why) < 0)
        refuse(r, request, WIRE_REPLY_REFUSED, why.text);
    else if (request_reads(request))
        begin_read(r, request);
    else if (!execute_ahead(r, request))
        order(r, request);
    return 0;
}

static void on_status_query(struct replica *r, uint64_t origin) {
    uint8_t frame[WIRE_STATUS_SIZE_MAX];
    struct pbft_status core;
    pbft_get_status(r->core, &core);
    struct wire_status status = {
        .replica = r->place->replica,
        .primary = core.primary,
        .n = r->place->n,
        .f = core.f,
        .view = core.view,
        .height = core.stored,
        .peers_connected = core.peers_up,
        .healthy = core.healthy,
    };
    memcpy(status.digest, r->digest, sizeof status.digest);
    words_health(&core, r->place->n, status.text, sizeof status.text);
    transport_send_client(r->transport, origin, frame, wire_status_encode(&status, frame));
}

int on_client_frame(void *context, uint64_t origin, uint16_t loader, const struct frame *frame,
                    struct error *err) {
    if (frame->type == WIRE_REQUEST && loader != TRANSPORT_MONITOR)
        return on_request(context, origin, loader, frame, err);
    if (frame->type != WIRE_STATUS_QUERY || frame->size != 0)
        return error_set(err, ERROR_INVALID, "a client does not say that (type %u, %zu bytes)",
                         frame->type, frame->size);
    on_status_query(context, origin);
    return 0;
}
