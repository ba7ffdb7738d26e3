#pragma once

/*
 * The user's ssh-agent, over its unix socket: which keys it holds, and its signatures. An agent may
 * ask its user before it signs, so it has as long as the task. Each call has a connection of its
 * own.
 *
 * Source: draft-miller-ssh-agent, sections 3 to 5. Errors: ERROR_UNREACHABLE, ERROR_REFUSED (it
 * says no), ERROR_INVALID, ERROR_LIMIT, ERROR_TIMEOUT, ERROR_CANCELLED. Threads: any.
 */

#include "lib/buffer.h"
#include "lib/error.h"
#include "lib/task.h"

#include <stddef.h>

enum {
    AGENT_MESSAGE_SIZE_MAX = 256 << 10, /* as ssh */
    AGENT_KEYS_MAX = 2048,              /* as ssh */
};

struct agent_key {
    unsigned char *blob;
    size_t blob_size;
    char *comment; /* harmless to show */
};
struct agent_keys {
    struct agent_key *keys;
    size_t count;
};
#define AGENT_KEYS_NULL ((struct agent_keys){.keys = NULL})
void agent_keys_deinit(struct agent_keys *keys);

int agent_list(const char *socket_path, const struct task *task, struct agent_keys *ret,
               struct error *err);

/* `algorithm` is what the signature has to name: RSA's are asked for by a flag. Appends string
 * algorithm, string signature. */
int agent_sign(const char *socket_path, const struct agent_key *key, const char *algorithm,
               const void *data, size_t size, const struct task *task, struct buffer *ret,
               struct error *err);

/* What an answer says, without the length in front of it. Pure. */
int agent_read_list(const void *answer, size_t size, struct agent_keys *ret, struct error *err);
int agent_read_signature(const void *answer, size_t size, const char *algorithm, struct buffer *ret,
                         struct error *err);
