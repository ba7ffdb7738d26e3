#include "executor/words.h"

#include <stdio.h>

enum wire_reply_status words_reply_status(enum pbft_reply_status status) {
    static const enum wire_reply_status table[] = {
        [PBFT_REPLY_OK] = WIRE_REPLY_OK,
        [PBFT_REPLY_OVERLOADED] = WIRE_REPLY_OVERLOADED,
        [PBFT_REPLY_REFUSED] = WIRE_REPLY_REFUSED,
    };
    return table[status];
}

const char *words_reason(enum pbft_reason reason) {
    static const char *const table[PBFT_REASON_COUNT] = {
        [PBFT_REASON_NONE] = "",
        [PBFT_REASON_FULL] = "too many requests wait already",
        [PBFT_REASON_STALE_NUMBER] =
            "this client has used a higher number before; numbers of a client must rise",
        [PBFT_REASON_CLIENTS_FULL] = "too many different clients",
        [PBFT_REASON_DRAINING] = "the replica is stopping",
        [PBFT_REASON_STORE_FAILED] = "the replica cannot store any more, see its log",
        [PBFT_REASON_DIVERGED] = "the replica's chain is not that of the others, see its log",
    };
    return table[reason];
}

/* Each takes the peer, `height` and `other_height`, in this order; the last may be left out. */
static const struct {
    bool warning;
    const char *format;
} notes[PBFT_NOTE_COUNT] = {
    [PBFT_NOTE_SUSPECT] =
        {true, "the primary, replica %u, lets a request wait for too long in view %llu"},
    [PBFT_NOTE_VIEW_CHANGE] = {true, "a view change, to replica %u as the primary of view %llu; "
                                     "the stable checkpoint is number %llu"},
    [PBFT_NOTE_NEW_VIEW] = {false, "replica %u is the primary of view %llu, from number %llu on"},
    [PBFT_NOTE_TRANSFER] = {false, "replica %u fetches the blocks after %llu, up to %llu"},
    [PBFT_NOTE_TRANSFERRED] = {false, "replica %u has fetched what it lacked: it is at block "
                                      "%llu, number %llu"},
    [PBFT_NOTE_BAD_BLOCKS] = {true, "what replica %u sent are not blocks %llu to %llu"},
    [PBFT_NOTE_DIVERGED] = {true, "replica %u has another state at number %llu (block %llu) than "
                                  "f + 1 others: it takes part in nothing any more"},
    [PBFT_NOTE_DRAIN_LATE] =
        {true, "replica %u stops at block %llu, of number %llu: the others did not finish in time"},
    [PBFT_NOTE_VIOLATION] = {true, "replica %u broke the protocol about number %llu"},
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are those of the table */
bool words_note(const struct pbft_action *action, char *out, size_t size) {
    snprintf(out, size, notes[action->note].format, (unsigned)action->peer,
             (unsigned long long)action->height, (unsigned long long)action->other_height);
    return notes[action->note].warning;
}
#pragma GCC diagnostic pop

void words_health(const struct pbft_status *status, uint16_t n, char *out, size_t size) {
    unsigned needed = (unsigned)(n + status->f) / 2;
    out[0] = '\0';
    if (status->healthy)
        return;
    if (status->store_failed)
        snprintf(out, size, "it cannot store any more");
    else if (status->diverged)
        snprintf(out, size, "its chain is not that of the others");
    else if (status->draining)
        snprintf(out, size, "it is stopping");
    else if (status->peers_up < needed)
        snprintf(out, size, "connected to %u other replicas; %u are needed", status->peers_up,
                 needed);
    else if (status->transferring)
        snprintf(out, size, "it fetches blocks from the others, and is at block %llu",
                 (unsigned long long)status->stored);
    else if (!status->active)
        snprintf(out, size, "the replicas are on their way to view %llu",
                 (unsigned long long)status->view);
    else
        snprintf(out, size,
                 "too few of the others are in view %llu with it, or its primary "
                 "(replica %u) is not",
                 (unsigned long long)status->view, status->primary);
}
