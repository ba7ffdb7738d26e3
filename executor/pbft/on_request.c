/* REQUEST of a client, and FORWARD: the same by way of another replica. */

#include "executor/pbft/state.h"

static void refuse(const struct pbft *core, const struct pbft_request *request,
                   enum pbft_reply_status status, enum pbft_reason reason,
                   struct pbft_update *update) {
    emit_reply(core, update, request, status, reason);
    emit_release(update, request->handle);
}

static enum pbft_reason reason_to_refuse(const struct pbft *core) {
    if (core->diverged)
        return PBFT_REASON_DIVERGED;
    if (core->store_failed)
        return PBFT_REASON_STORE_FAILED;
    return core->draining ? PBFT_REASON_DRAINING : PBFT_REASON_NONE;
}

/* The client asks again for what was executed, or will be: its answer goes to where it is now. */
static void on_repeated(struct pbft *core, struct client *entry, const struct pbft_request *request,
                        struct pbft_update *update) {
    entry->origin = request->origin;
    if (entry->height <= core->stored)
        emit_answer(core, update, entry);
    emit_release(update, request->handle);
}

/* A backup leaves the answer to the primary: f + 1 equal refusals would be believed. */
static void on_full(const struct pbft *core, const struct pbft_request *request,
                    struct pbft_update *update) {
    if (core->active && is_primary(core))
        refuse(core, request, PBFT_REPLY_OVERLOADED, PBFT_REASON_FULL, update);
    else
        emit_release(update, request->handle);
}

/* A new request, or one that waits here already. */
static void take(struct pbft *core, struct client *entry, const struct pbft_request *request,
                 struct pbft_update *update) {
    if (entry->waits && entry->waiting.number >= request->number) {
        if (entry->waiting.number == request->number)
            entry->waiting.origin = request->origin;
        emit_release(update, request->handle);
        return;
    }
    client_served(core, entry, request->number, update); /* it was given up for this one */
    if (core->waiting_bytes + request->size_bytes > core->config.waiting_bytes_max)
        on_full(core, request, update);
    else
        client_wait(core, entry, request);
}

void on_request(struct pbft *core, const struct pbft_request *request, struct pbft_update *update) {
    assert(request->number > 0);
    enum pbft_reason reason = reason_to_refuse(core);
    struct client *entry = client_find(core, request->client);
    if (entry && request->number == entry->number) {
        on_repeated(core, entry, request, update);
    } else if (reason != PBFT_REASON_NONE) {
        refuse(core, request, PBFT_REPLY_REFUSED, reason, update);
    } else if (entry && request->number < entry->number) {
        refuse(core, request, PBFT_REPLY_REFUSED, PBFT_REASON_STALE_NUMBER, update);
    } else if (!entry && !(entry = client_ensure(core, request->client))) {
        refuse(core, request, PBFT_REPLY_REFUSED, PBFT_REASON_CLIENTS_FULL, update);
    } else {
        /* OSDI '99, section 4.1: whoever is not the primary relays it. */
        if (core->active && !is_primary(core)) {
            struct pbft_message *m =
                emit_message(update, primary_of(core, core->view), PBFT_FORWARD);
            m->count = 1;
            m->requests = request;
        }
        take(core, entry, request, update);
    }
}

void on_forward(struct pbft *core, const struct pbft_message *m, struct pbft_update *update) {
    const struct pbft_request *request = m->requests;
    struct client *entry = client_find(core, request->client);
    bool late = entry && request->number <= entry->number;
    if (!core->active || !is_primary(core) || late || reason_to_refuse(core) != PBFT_REASON_NONE ||
        request->authentic != PBFT_AUTHENTIC ||
        (!entry && !(entry = client_ensure(core, request->client))))
        emit_release(update, request->handle);
    else
        take(core, entry, request, update);
}
