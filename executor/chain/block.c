#include "executor/chain/block.h"

#include "lib/bytes.h"

void block_header_encode(const struct block_header *h, uint8_t out[BLOCK_HEADER_SIZE]) {
    struct byte_writer w = byte_writer(out, BLOCK_HEADER_SIZE);
    bytes_put_u32(&w, BLOCK_VERSION);
    bytes_put_u64(&w, h->height);
    bytes_put_u64(&w, h->sequence);
    bytes_put(&w, h->parent, sizeof h->parent);
    bytes_put_u64(&w, h->client);
    bytes_put_u64(&w, h->number);
    bytes_put(&w, h->request, sizeof h->request);
    bytes_put_u32(&w, h->key_count);
    bytes_put_u32(&w, h->key_size);
    bytes_put_u32(&w, h->value_size);
    bytes_put_u64(&w, h->key_space);
    bytes_put_u64(&w, h->first_key);
    bytes_put_u32(&w, h->read_count);
    bytes_put(&w, h->read_set, sizeof h->read_set);
    bytes_put_u64(&w, h->write_set_size);
    bytes_put_u32(&w, h->maker);
    bytes_put(&w, h->write_set, sizeof h->write_set);
    bytes_put(&w, h->state, sizeof h->state);
    assert(w.at == w.end);
}

int block_header_decode(const uint8_t *data, size_t size, struct block_header *ret,
                        struct error *err) {
    struct byte_reader r = byte_reader(data, size);
    struct block_header h;
    uint32_t version = bytes_get_u32(&r);
    h.height = bytes_get_u64(&r);
    h.sequence = bytes_get_u64(&r);
    bytes_get(&r, h.parent, sizeof h.parent);
    h.client = bytes_get_u64(&r);
    h.number = bytes_get_u64(&r);
    bytes_get(&r, h.request, sizeof h.request);
    h.key_count = bytes_get_u32(&r);
    h.key_size = bytes_get_u32(&r);
    h.value_size = bytes_get_u32(&r);
    h.key_space = bytes_get_u64(&r);
    h.first_key = bytes_get_u64(&r);
    h.read_count = bytes_get_u32(&r);
    bytes_get(&r, h.read_set, sizeof h.read_set);
    h.write_set_size = bytes_get_u64(&r);
    h.maker = bytes_get_u32(&r);
    bytes_get(&r, h.write_set, sizeof h.write_set);
    bytes_get(&r, h.state, sizeof h.state);
    if (size >= sizeof version && version != BLOCK_VERSION)
        return error_set(err, ERROR_INVALID, "a block of version %u, this replica knows %d",
                         version, BLOCK_VERSION);
    if (!bytes_complete(&r))
        return error_set(err, ERROR_INVALID, "a block header of %zu bytes, not %d", size,
                         (int)BLOCK_HEADER_SIZE);
    *ret = h;
    return 0;
}

void block_digest(struct sha256 *hash, const uint8_t header[BLOCK_HEADER_SIZE],
                  uint8_t out[SHA256_SIZE]) {
    sha256_begin(hash);
    sha256_add(hash, header, BLOCK_HEADER_SIZE);
    sha256_end(hash, out);
}

void chain_init(struct chain *chain) {
    *chain = (struct chain){.height = 0};
    sha256_init(&chain->hash);
}

void chain_deinit(struct chain *chain) {
    sha256_deinit(&chain->hash);
}

struct block_header block_of(const struct command *command, const uint8_t request[SHA256_SIZE]) {
    struct block_header h = {
        .client = command->client,
        .number = command->number,
        .key_count = command->key_count,
        .key_size = command->key_size,
        .value_size = command->value_size,
        .key_space = command->key_space,
        .first_key = command->first_key,
    };
    memcpy(h.request, request, sizeof h.request);
    return h;
}

struct command block_command(const struct block_header *h) {
    return (struct command){
        .client = h->client,
        .number = h->number,
        .key_count = h->key_count,
        .key_size = h->key_size,
        .value_size = h->value_size,
        .key_space = h->key_space,
        .first_key = h->first_key,
    };
}

void chain_add(struct chain *chain, const struct block_header *block,
               uint8_t out[BLOCK_HEADER_SIZE]) {
    struct block_header h = *block;
    h.height = chain->height + 1;
    memcpy(h.parent, chain->digest, sizeof h.parent);
    block_header_encode(&h, out);
    block_digest(&chain->hash, out, chain->digest);
    chain->height = h.height;
}

int chain_check(const struct chain *chain, const uint8_t *header, size_t size,
                struct block_header *ret, struct error *err) {
    struct block_header h;
    if (block_header_decode(header, size, &h, err) < 0)
        return -1;
    if (h.height != chain->height + 1)
        return error_set(err, ERROR_INVALID, "block %llu follows block %llu",
                         (unsigned long long)h.height, (unsigned long long)chain->height);
    if (memcmp(h.parent, chain->digest, sizeof h.parent) != 0)
        return error_set(err, ERROR_INVALID, "block %llu does not name its parent's digest",
                         (unsigned long long)h.height);
    *ret = h;
    return 0;
}

int chain_follow(struct chain *chain, const uint8_t *header, size_t size, struct block_header *ret,
                 struct error *err) {
    struct block_header h;
    if (chain_check(chain, header, size, &h, err) < 0)
        return -1;
    chain->height = h.height;
    block_digest(&chain->hash, header, chain->digest);
    *ret = h;
    return 0;
}
