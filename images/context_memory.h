#pragma once

/*
 * What contexts looked like when they were read last: fingerprint and digest of each, in files
 * below $XDG_CACHE_HOME/seatrial/contexts. It spares reading what has not changed; nothing depends
 * on it, and what cannot be read or written there is as if it had never been. What was not written
 * anew for ninety days goes.
 */

#include "images/context.h"

enum context_memory {
    CONTEXT_NEW,     /* nothing is known of it */
    CONTEXT_CHANGED, /* it looked otherwise */
    CONTEXT_SAME,    /* the digest is known */
};

/* `name`: what tells apart several that are sent of one folder. */
enum context_memory context_remembered(const char *root, const char *name, const char *fingerprint,
                                       char ret_digest[DIGEST_TEXT_SIZE]);
/* Only what is settled is kept. */
void context_remember(const char *root, const char *name, const struct context_result *result);
