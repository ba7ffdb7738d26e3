#include "loader/workload.h"

#include "lib/memory.h"
#include "loader/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Bases are multiples of this, so that pools of the largest size never overlap by half. */
enum { CLIENT_BITS = 17, BASE_BITS = (int)WIRE_CLIENT_BITS - CLIENT_BITS };
static_assert(LOADER_CLIENTS_MAX <= 1 << CLIENT_BITS, "a pool fits between two bases");

/* Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014. */
uint64_t workload_mix(uint64_t x) {
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void fill(uint8_t *bytes, size_t size, uint64_t seed) {
    uint64_t state = workload_mix(seed);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = workload_mix(state++);
        memcpy(bytes + i, &word, size - i < 8 ? size - i : 8);
    }
}

/* What is drawn for a request. */
enum draw { DRAW_SHAPE = 1, DRAW_KEY = 2 };

static uint64_t draw(const struct workload *w, enum draw what, uint32_t client, uint64_t number) {
    uint64_t seed = workload_mix(workload_mix(w->seed) + what);
    return workload_mix(workload_mix(seed ^ (w->client_base + client)) + number);
}

void workload_init(struct workload *w, const struct mix *mix, uint64_t seed, uint32_t loader_index,
                   uint32_t clients) {
    assert(clients > 0 && clients <= LOADER_CLIENTS_MAX && mix->count > 0);
    uint64_t base = workload_mix(workload_mix(seed) + loader_index) >> (64 - BASE_BITS);
    uint64_t payload_size = 0;
    *w = (struct workload){
        .mix = *mix,
        .seed = seed,
        .client_base = ((uint64_t)loader_index % (1U << WIRE_LOADER_BITS) << WIRE_CLIENT_BITS) +
                       (base << CLIENT_BITS) + 1, /* 0 is nobody's id */
        .clients = clients,
    };
    for (size_t i = 0; i < mix->count; i++) {
        w->weight += mix->shapes[i].weight;
        if (mix->shapes[i].payload_size > payload_size)
            payload_size = mix->shapes[i].payload_size;
    }
    assert(payload_size <= WIRE_PAYLOAD_MAX);
    if (mix->key_space > 0)
        keys_init(&w->keys, mix->key_space, &mix->skew);
    size_t size = (size_t)payload_size + WORKLOAD_PLACES * WORKLOAD_PLACE_SIZE;
    w->bytes = mem_alloc(size);
    fill(w->bytes, size, seed);
}

uint32_t workload_shape(const struct workload *w, uint32_t client, uint64_t number) {
    uint32_t i = 0;
    if (!mix_is_mixed(&w->mix))
        return i;
    unsigned __int128 scaled = (unsigned __int128)draw(w, DRAW_SHAPE, client, number) * w->weight;
    for (uint64_t at = (uint64_t)(scaled >> 64); at >= w->mix.shapes[i].weight; i++)
        at -= w->mix.shapes[i].weight;
    return i;
}

void workload_deinit(struct workload *w) {
    free(w->bytes);
    free(w->hashes);
    *w = WORKLOAD_NULL;
}

static uint64_t place_of(const struct schedule_entry *entry) {
    return workload_mix(entry->number * LOADER_CLIENTS_MAX + entry->client) % WORKLOAD_PLACES;
}

void workload_hash_payloads(struct workload *w) {
    w->hashes = mem_alloc(w->mix.count * WORKLOAD_PLACES * sizeof *w->hashes);
    for (size_t i = 0; i < w->mix.count; i++)
        for (size_t place = 0; place < WORKLOAD_PLACES; place++)
            sha256_of(w->bytes + place * WORKLOAD_PLACE_SIZE, w->mix.shapes[i].payload_size,
                      w->hashes[i * WORKLOAD_PLACES + place]);
}

const uint8_t *workload_payload_hash(const struct workload *w, const struct schedule_entry *entry) {
    size_t shape = workload_shape(w, entry->client, entry->number);
    return w->hashes ? w->hashes[shape * WORKLOAD_PLACES + place_of(entry)] : NULL;
}

void workload_request(const struct workload *w, const struct schedule_entry *entry,
                      struct wire_request *ret) {
    const struct shape *shape = &w->mix.shapes[workload_shape(w, entry->client, entry->number)];
    uint64_t key_space = w->mix.key_space;
    unsigned flags = (shape->read_only ? (unsigned)WIRE_REQUEST_READ_ONLY : 0U) |
                     (shape->pre_execute ? (unsigned)WIRE_REQUEST_PRE_EXECUTE : 0U) |
                     (shape->busy_wait ? (unsigned)WIRE_REQUEST_BUSY_WAIT : 0U);
    *ret = (struct wire_request){
        .client = w->client_base + entry->client,
        .number = entry->number,
        .flags = (uint8_t)flags,
        .key_count = (uint32_t)shape->key_count,
        .read_count = (uint32_t)shape->read_count,
        .key_size = (uint32_t)shape->key_size,
        .value_size = (uint32_t)shape->value_size,
        .execution_ms = (uint32_t)shape->execution_ms,
        .key_space = key_space,
        .first_key =
            key_space ? keys_draw(&w->keys, draw(w, DRAW_KEY, entry->client, entry->number)) : 0,
        .payload_size = (uint32_t)shape->payload_size,
        .payload = w->bytes + place_of(entry) * WORKLOAD_PLACE_SIZE,
    };
}

int64_t workload_client_index(const struct workload *w, uint64_t client) {
    uint64_t index = client - w->client_base; /* wraps to something large when below */
    return index < w->clients ? (int64_t)index : -1;
}
