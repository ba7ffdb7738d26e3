#include "loader/votes.h"

#include <assert.h>
#include <string.h>

/* What matters of a refusal is that it is one; its text may name the replica. */
uint64_t votes_of(const struct wire_reply *reply) {
    uint64_t vote = 0;
    if (reply->status != WIRE_REPLY_OK)
        return (uint64_t)reply->status;
    memcpy(&vote, reply->digest, sizeof vote);
    vote += reply->height * UINT64_C(0x9e3779b97f4a7c15);
    return vote | UINT64_C(1) << 63; /* no refusal */
}

size_t votes_add(uint64_t *votes, size_t n, const struct wire_reply *reply) {
    assert(reply->replica < n);
    uint64_t vote = votes_of(reply);
    size_t equal = 0;
    if (votes[reply->replica] != 0)
        return 0;
    votes[reply->replica] = vote;
    for (size_t i = 0; i < n; i++)
        equal += votes[i] == vote;
    return equal;
}

size_t votes_count(const uint64_t *votes, size_t n) {
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += votes[i] != 0;
    return count;
}

void votes_clear(uint64_t *votes, size_t n) {
    memset(votes, 0, n * sizeof *votes);
}
