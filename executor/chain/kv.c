#include "executor/chain/kv.h"

#include "executor/chain/write_set.h"

#include "lib/bytes.h"

/* ---- the bytes ---- */

static int check_sizes(const struct kv_command *c, struct error *err) {
    if (c->key_size < 1 || c->key_size > KV_KEY_SIZE_MAX)
        return error_set(err, ERROR_LIMIT, "a key of %u bytes, only 1 to %d", c->key_size,
                         KV_KEY_SIZE_MAX);
    if (c->value_size > KV_VALUE_SIZE_MAX)
        return error_set(err, ERROR_LIMIT, "a value of %u bytes, at most %d", c->value_size,
                         KV_VALUE_SIZE_MAX);
    return 0;
}

int kv_decode(const uint8_t *payload, size_t size, struct kv_command *ret, struct error *err) {
    struct byte_reader r = byte_reader(payload, size);
    uint8_t kind = bytes_get_u8(&r);
    struct kv_command c = {.kind = (enum kv_kind)kind, .key_size = bytes_get_u16(&r)};
    c.key = bytes_take(&r, c.key_size);
    if (r.failed || kind < KV_PUT || kind > KV_GET || size > UINT32_MAX)
        return error_set(err, ERROR_INVALID, "its payload is no command of the handler kv");
    c.value_size = (uint32_t)bytes_left(&r);
    c.value = bytes_take(&r, c.value_size);
    if (c.kind != KV_PUT && c.value_size > 0)
        return error_set(err, ERROR_INVALID, "a value of %u bytes where only a put has one",
                         c.value_size);
    if (check_sizes(&c, err) < 0)
        return -1;
    *ret = c;
    return 0;
}

size_t kv_size(const struct kv_command *c) {
    return KV_HEAD_SIZE + (size_t)c->key_size + c->value_size;
}

void kv_encode(const struct kv_command *c, uint8_t *out) {
    struct byte_writer w = byte_writer(out, kv_size(c));
    bytes_put_u8(&w, (uint8_t)c->kind);
    bytes_put_u16(&w, (uint16_t)c->key_size);
    bytes_put(&w, c->key, c->key_size);
    bytes_put(&w, c->value, c->value_size);
}

int kv_answer_decode(const uint8_t *bytes, size_t size, struct kv_answer *ret, struct error *err) {
    struct byte_reader r = byte_reader(bytes, size);
    uint8_t found = bytes_get_u8(&r);
    size_t left = bytes_left(&r);
    if (r.failed || found > 1 || (!found && left > 0) || left > KV_VALUE_SIZE_MAX)
        return error_set(err, ERROR_INVALID, "no answer of the handler kv (%zu bytes)", size);
    *ret = (struct kv_answer){.found = found, .value = r.at, .value_size = (uint32_t)left};
    return 0;
}

/* ---- the handler ---- */

int kv_check(const struct command *command, struct error *err) {
    struct kv_command c;
    if (command->key_count || command->read_count || command->key_size || command->value_size ||
        command->execution_ms || command->key_space || command->first_key) {
        error_set(err, ERROR_REFUSED, "the handler kv executes no write sets of chosen sizes");
        return error_hint(err, "the replicas run with --handler kv; a load wants --handler pee");
    }
    if (kv_decode(command->payload, command->payload_size, &c, err) < 0)
        return -1;
    if (command->read_only && c.kind != KV_GET)
        return error_set(err, ERROR_REFUSED, "a read-only request that writes");
    return 0;
}

/* It was checked. */
static struct kv_command decoded(const struct command *command) {
    struct error err = ERROR_NULL;
    struct kv_command c = {.kind = KV_GET};
    int r = kv_decode(command->payload, command->payload_size, &c, &err);
    assert(r == 0);
    return c;
}

size_t kv_write_set_size(const struct command *command) {
    struct kv_command c = decoded(command);
    return c.kind == KV_GET ? 0 : WRITE_SET_ENTRY_HEAD + (size_t)c.key_size + c.value_size;
}

void kv_expand(const struct command *command, uint8_t *out) {
    struct kv_command c = decoded(command);
    struct byte_writer w = byte_writer(out, kv_write_set_size(command));
    if (c.kind == KV_GET)
        return;
    bytes_put_u32(&w, c.key_size);
    bytes_put_u32(&w, c.kind == KV_DELETE ? WRITE_SET_DELETED : c.value_size);
    bytes_put(&w, c.key, c.key_size);
    bytes_put(&w, c.value, c.value_size);
}

uint32_t kv_read_count(const struct command *command) {
    return decoded(command).kind == KV_GET;
}

uint32_t kv_read_key(const struct command *command, uint32_t i, uint8_t *out) {
    struct kv_command c = decoded(command);
    assert(i == 0);
    memcpy(out, c.key, c.key_size);
    return c.key_size;
}
