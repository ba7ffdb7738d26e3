/* What is promised, looked at from outside: these know blocks, requests and answers, and nothing of
 * how they came to be. */

#include "tests/sim/pbft/cluster.h"

#include <string.h>

/* Agreement; at most once; only what a client has asked for. */
void check_stored(struct sim *s, uint16_t replica, uint64_t height, const struct block *block) {
    if (block->client >= s->clients || block->number == 0 ||
        block->number > s->client[block->client].number) {
        violation(s, "replica %u stored (%llu, %llu), which nobody has asked for", replica,
                  (unsigned long long)block->client, (unsigned long long)block->number);
        return;
    }
    if (height <= s->truth_height) {
        if (memcmp(s->truth[height - 1].digest, block->digest, PBFT_DIGEST_SIZE) != 0)
            violation(s, "replica %u stored another block %llu than others", replica,
                      (unsigned long long)height);
        return;
    }
    if (height != s->truth_height + 1) {
        violation(s, "replica %u stored block %llu before any correct one stored %llu", replica,
                  (unsigned long long)height, (unsigned long long)s->truth_height + 1);
        return;
    }
    if (s->executed[block->client][block->number])
        violation(s, "request (%llu, %llu) is executed twice", (unsigned long long)block->client,
                  (unsigned long long)block->number);
    s->executed[block->client][block->number] = true;
    s->truth[height - 1] = *block;
    s->truth_height = height;
}

void check_acknowledged(struct sim *s, uint32_t client, uint64_t number, uint64_t height,
                        const uint8_t digest[PBFT_DIGEST_SIZE]) {
    const struct block *b = height > 0 && height <= s->truth_height ? &s->truth[height - 1] : NULL;
    if (!b || b->client != client || b->number != number ||
        memcmp(b->digest, digest, PBFT_DIGEST_SIZE) != 0)
        violation(s, "(%u, %llu) was acknowledged as block %llu, which it is not", client,
                  (unsigned long long)number, (unsigned long long)height);
    s->acknowledged[client][number].height = height;
    memcpy(s->acknowledged[client][number].digest, digest, PBFT_DIGEST_SIZE);
}

/* All correct replicas end with the same chain, and every acknowledged request is in it. */
void check_end(struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++) {
        const struct replica *r = &s->replicas[i];
        if (r->badness == GOOD && r->disk_height != s->truth_height)
            violation(s, "replica %u ends at height %llu, others at %llu", i,
                      (unsigned long long)r->disk_height, (unsigned long long)s->truth_height);
        for (uint64_t h = 1; r->badness == GOOD && h <= r->disk_height; h++)
            if (memcmp(r->disk[h - 1].digest, s->truth[h - 1].digest, PBFT_DIGEST_SIZE) != 0)
                violation(s, "replica %u ends with another block %llu", i, (unsigned long long)h);
    }
    for (uint32_t c = 0; c < s->clients; c++)
        for (uint64_t n = 1; n <= s->client[c].number; n++) {
            const struct acknowledgement *a = &s->acknowledged[c][n];
            if (a->height > 0 &&
                memcmp(s->truth[a->height - 1].digest, a->digest, PBFT_DIGEST_SIZE) != 0)
                violation(s, "acknowledged request (%u, %llu) is lost", c, (unsigned long long)n);
        }
}
