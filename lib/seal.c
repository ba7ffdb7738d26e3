#include "lib/seal.h"

#include "lib/bytes.h"

#include <assert.h>
#include <string.h>

void seal_init(struct seal *s, struct seal_keys *keys) {
    *s = (struct seal){.session = keys->session};
    hmac_init(&s->send, keys->send, sizeof keys->send);
    hmac_init(&s->receive, keys->receive, sizeof keys->receive);
    secret_forget(keys, sizeof *keys);
}

void seal_deinit(struct seal *s) {
    hmac_deinit(&s->send);
    hmac_deinit(&s->receive);
    *s = SEAL_NULL;
}

void seal_header(uint8_t header[WIRE_HEADER_SIZE], size_t direct_size) {
    struct error err;
    struct wire_header h;
    error_init(&err);
    int good = wire_header_decode(header, &h, &err);
    assert(good == 0 && direct_size <= h.body_size && direct_size <= UINT16_MAX);
    (void)good;
    h.body_size += SEAL_TAG_SIZE;
    h.direct_size = (uint16_t)direct_size;
    wire_sealed_header_encode(&h, header);
}

static void compute(struct hmac *mac, uint64_t counter, const uint8_t header[WIRE_HEADER_SIZE],
                    const struct sealed *frame, uint8_t ret[SHA256_SIZE]) {
    uint8_t begin[8 + WIRE_HEADER_SIZE];
    struct byte_writer w = byte_writer(begin, sizeof begin);
    bytes_put_u64(&w, counter);
    bytes_put(&w, header, WIRE_HEADER_SIZE);
    hmac_begin(mac);
    hmac_add(mac, begin, sizeof begin);
    for (size_t i = 0; i < 2; i++)
        if (frame->sizes[i])
            hmac_add(mac, frame->parts[i], frame->sizes[i]);
    if (frame->rest_hash)
        hmac_add(mac, frame->rest_hash, SHA256_SIZE);
    hmac_end(mac, ret);
}

void seal_tag(struct seal *s, uint64_t counter, const uint8_t header[WIRE_HEADER_SIZE],
              const struct sealed *frame, uint8_t ret[SEAL_TAG_SIZE]) {
    uint8_t mac[SHA256_SIZE];
    compute(&s->send, counter, header, frame, mac);
    memcpy(ret, mac, SEAL_TAG_SIZE);
}

size_t seal_rest(const struct wire_header *header, size_t *ret_at) {
    *ret_at = header->direct_size;
    size_t direct = (size_t)header->direct_size + SEAL_TAG_SIZE;
    return header->body_size > direct ? header->body_size - direct : 0;
}

int seal_open(struct seal *s, const struct wire_header *header, const uint8_t *body,
              struct unsealed *ret, struct error *err) {
    return seal_open_hashed(s, header, body, NULL, ret, err);
}

int seal_open_hashed(struct seal *s, const struct wire_header *header, const uint8_t *body,
                     const uint8_t *rest_hash, struct unsealed *ret, struct error *err) {
    uint8_t mac[SHA256_SIZE], head[WIRE_HEADER_SIZE];
    if (header->body_size < SEAL_TAG_SIZE ||
        header->direct_size > header->body_size - SEAL_TAG_SIZE)
        return error_set(err, ERROR_INVALID, "a frame of type %u without a tag", header->type);
    ret->size = header->body_size - SEAL_TAG_SIZE;
    ret->rest = header->direct_size;
    struct sealed frame = {.parts = {body}, .sizes = {ret->rest}};
    if (ret->rest < ret->size) {
        if (rest_hash)
            memcpy(ret->hash, rest_hash, sizeof ret->hash);
        else
            sha256_of(body + ret->rest, ret->size - ret->rest, ret->hash);
        frame.rest_hash = ret->hash;
    }
    wire_sealed_header_encode(header, head);
    compute(&s->receive, s->received, head, &frame, mac);
    if (!secret_equal(mac, body + ret->size, SEAL_TAG_SIZE))
        return error_set(err, ERROR_INVALID,
                         "its frame %llu (type %u) is not authentic: forged, changed, repeated or "
                         "out of place",
                         (unsigned long long)s->received, header->type);
    s->received++;
    return 0;
}
