/* REQUEST of a client, at the primary. */

#include "executor/core/state.h"

#include <assert.h>

static void refuse(const struct core_request *request, enum core_reply_status status,
                   enum core_reason reason, struct core_update *update) {
    emit_reply(update, request, status, reason);
    emit_release(update, request);
}

static enum core_reason reason_to_refuse(const struct core *core) {
    if (!is_primary(core))
        return CORE_REASON_NOT_PRIMARY;
    if (core->draining)
        return CORE_REASON_DRAINING;
    if (core->store_failed)
        return CORE_REASON_STORE_FAILED;
    if (core->ahead)
        return CORE_REASON_PEER_AHEAD;
    return CORE_REASON_NONE;
}

/* The client sends its last request again: it was answered, or it will be, to where it is now. */
static void on_repeated(const struct core *core, struct client *entry,
                        const struct core_request *request, struct core_update *update) {
    entry->origin = request->origin;
    if (entry->height && entry->height <= core->answered)
        emit_answer(update, request, entry->height, entry->digest);
    emit_release(update, request);
}

static bool is_full(const struct core *core, const struct core_request *request) {
    return pending_count(core) == core->config.pending_max ||
           core->flight_bytes + request->size_bytes > core->config.bytes_max / 2;
}

void on_request(struct core *core, const struct core_request *request, struct core_update *update) {
    assert(request->number > 0);
    enum core_reason reason = reason_to_refuse(core);
    if (reason != CORE_REASON_NONE) {
        refuse(request, CORE_REPLY_REFUSED, reason, update);
        return;
    }
    struct client *entry = client_find(core, request->client);
    if (entry && request->number == entry->number) {
        on_repeated(core, entry, request, update);
        return;
    }
    if (entry && request->number < entry->number) {
        refuse(request, CORE_REPLY_REFUSED, CORE_REASON_STALE_NUMBER, update);
        return;
    }
    if (is_full(core, request)) {
        refuse(request, CORE_REPLY_OVERLOADED, CORE_REASON_FULL, update);
        return;
    }
    entry = client_ensure(core, request->client);
    if (!entry) {
        refuse(request, CORE_REPLY_REFUSED, CORE_REASON_CLIENTS_FULL, update);
        return;
    }
    entry->number = request->number;
    entry->height = 0;
    entry->origin = request->origin;
    core->pending[core->pending_end++ & (core->config.pending_max - 1)] = *request;
    core->flight_bytes += request->size_bytes;
}
