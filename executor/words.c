#include "executor/words.h"

#include <stdio.h>

enum wire_reply_status words_reply_status(enum core_reply_status status) {
    static const enum wire_reply_status table[] = {
        [CORE_REPLY_OK] = WIRE_REPLY_OK,
        [CORE_REPLY_OVERLOADED] = WIRE_REPLY_OVERLOADED,
        [CORE_REPLY_REFUSED] = WIRE_REPLY_REFUSED,
    };
    return table[status];
}

const char *words_reason(enum core_reason reason) {
    static const char *const table[CORE_REASON_COUNT] = {
        [CORE_REASON_NONE] = "",
        [CORE_REASON_FULL] = "too many requests wait already",
        [CORE_REASON_NOT_PRIMARY] = "this replica is not the primary; send to replica 0",
        [CORE_REASON_STALE_NUMBER] =
            "this client has used a higher number before; numbers of a client must rise",
        [CORE_REASON_CLIENTS_FULL] = "too many different clients",
        [CORE_REASON_DRAINING] = "the replica is stopping",
        [CORE_REASON_STORE_FAILED] = "the replica cannot store any more, see its log",
        [CORE_REASON_PEER_AHEAD] =
            "another replica holds blocks that the primary has lost; see the primary's log",
    };
    return table[reason];
}

/* Each takes the peer, `height` and `other_height`, in this order. */
static const struct {
    bool warning;
    const char *format;
} notes[CORE_NOTE_COUNT] = {
    [CORE_NOTE_PEER_BEHIND] =
        {true, "replica %u needs block %llu, but the primary's window begins at %llu; it stays "
               "behind (there is no state transfer yet)"},
    [CORE_NOTE_PEER_LAGGING] =
        {true, "replica %u has stored nothing beyond block %llu for too long, while block %llu is "
               "ordered; it is left behind (there is no state transfer yet)"},
    [CORE_NOTE_PEER_DIVERGED] =
        {true, "replica %u has another block %llu than the primary (at %llu); it is not fed"},
    [CORE_NOTE_PEER_AHEAD] =
        {true, "replica %u has blocks up to %llu, this primary only up to %llu: they are lost "
               "here, and no request is accepted"},
    [CORE_NOTE_PEER_JOINED] = {false, "replica %u joins at block %llu, the head is at %llu"},
    [CORE_NOTE_WE_ARE_BEHIND] =
        {true, "the primary (replica %u) cannot give us block %llu, its window begins at %llu; we "
               "stay behind (there is no state transfer yet)"},
    [CORE_NOTE_DRAIN_LATE] =
        {true, "replica %u stops at block %llu of %llu: the others did not finish in time"},
    [CORE_NOTE_VIOLATION] = {true, "replica %u broke the protocol about block %llu (head %llu)"},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those of the table */
bool words_note(const struct core_action *action, char *out, size_t size) {
    snprintf(out, size, notes[action->note].format, (unsigned)action->peer,
             (unsigned long long)action->height, (unsigned long long)action->other_height);
    return notes[action->note].warning;
}
#pragma GCC diagnostic pop

void words_health(const struct core_status *status, uint16_t n, char *out, size_t size) {
    unsigned needed = (unsigned)(n - status->f - 1);
    out[0] = '\0';
    if (status->healthy)
        return;
    if (status->store_failed)
        snprintf(out, size, "it cannot store any more");
    else if (status->behind)
        snprintf(out, size, "it is behind the primary's window");
    else if (status->peers_up < needed || status->peers_joined < 1)
        snprintf(out, size, "connected to %u other replicas, of which %u follow; %u are needed",
                 status->peers_up, status->peers_joined, needed);
    else
        snprintf(out, size, "it is stopping, or waits for other replicas");
}
