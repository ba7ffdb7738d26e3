#pragma once

/*
 * A key-value store for ordinary use: a request puts a value, deletes a key, or gets a value. The
 * command is the request's payload, and nothing else of the request may say anything:
 *
 *     kind u8 | key size u16 | key | value
 *
 * little endian; kind is enum kv_kind; only a put has a value, which is all that is left. So a
 * payload is read in one way only, and what was read is encoded to the same bytes again.
 *
 * Putting a value that is there already, and deleting what is not, are writes like all others.
 * What a get answers (struct kv_answer) is
 *
 *     found u8: 0 or 1 | value
 *
 * Pure; borrows everything. The bytes may come from anybody.
 */

#include "executor/chain/command.h"

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kv_kind { KV_PUT = 1, KV_DELETE = 2, KV_GET = 3 };

enum {
    KV_HEAD_SIZE = 1 + 2,
    KV_KEY_SIZE_MAX = COMMAND_KEY_SIZE_MAX, /* at least 1 */
    /* So that a request with the longest key, and the answer, fit into a frame. */
    KV_VALUE_SIZE_MAX = 1024 * 1024 - KV_HEAD_SIZE - KV_KEY_SIZE_MAX,
    KV_ANSWER_SIZE_MAX = 1 + KV_VALUE_SIZE_MAX,
};

struct kv_command {
    enum kv_kind kind;
    const uint8_t *key;
    uint32_t key_size;
    const uint8_t *value; /* of a put */
    uint32_t value_size;
};

/* ERROR_LIMIT, which names the field and its bounds; ERROR_INVALID: no command. */
int kv_decode(const uint8_t *payload, size_t size, struct kv_command *ret, struct error *err);
size_t kv_size(const struct kv_command *c);
/* Fills exactly kv_size bytes. */
void kv_encode(const struct kv_command *c, uint8_t *out);

struct kv_answer {
    bool found;
    const uint8_t *value;
    uint32_t value_size;
};

int kv_answer_decode(const uint8_t *bytes, size_t size, struct kv_answer *ret, struct error *err);

/* ---- as a handler (executor/handler.h) ---- */

int kv_check(const struct command *command, struct error *err);
size_t kv_write_set_size(const struct command *command);
void kv_expand(const struct command *command, uint8_t *out);
uint32_t kv_read_count(const struct command *command);
uint32_t kv_read_key(const struct command *command, uint32_t i, uint8_t *out);
