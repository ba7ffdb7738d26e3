#pragma once

/*
 * A connection to a running replica for what asks it little: `replica --health`, `--status` and
 * `replica kv`. Sending waits; receiving does not have to.
 *
 * Errors: ERROR_UNREACHABLE, ERROR_TIMEOUT, ERROR_REFUSED (of another run, keys that do not go
 * together), ERROR_INVALID. All name the replica and its address.
 */

#include "executor/place.h"

#include "lib/buffer.h"
#include "lib/error.h"
#include "lib/seal.h"
#include "lib/task.h"
#include "lib/wire.h"

#include <stdint.h>

struct talk {
    const struct place *place; /* borrowed */
    uint16_t replica;
    int fd;
    struct seal seal; /* SEAL_NULL without keys */
    struct wire_hello_answer answer;
    struct buffer in;  /* what has come and was not given out */
    uint32_t consumed; /* of it: the frame that was given out last */
};

#define TALK_NULL ((struct talk){.fd = -1})

/* Connects and says HELLO; `hello` says role, id and clients. */
int talk_open(struct talk *t, const struct task *task, const struct place *place, uint16_t replica,
              const struct wire_hello *hello, struct error *err);
void talk_close(struct talk *t);

/* A frame: its head (header and what follows it), and a payload, whose hash may be NULL if it is
 * empty. */
int talk_send(struct talk *t, const struct task *task, uint8_t *head, size_t head_size,
              const void *payload, size_t payload_size, const uint8_t *payload_hash,
              struct error *err);
/* The next frame that is there: 1; 0: none yet, wait for talk.fd. The body is borrowed until the
 * next call. Frames are at most as large as a value. */
int talk_receive(struct talk *t, struct wire_header *ret, const uint8_t **ret_body,
                 struct error *err);
/* Waits for one of that type. */
int talk_expect(struct talk *t, const struct task *task, enum wire_type type,
                const uint8_t **ret_body, size_t *ret_size, struct error *err);
