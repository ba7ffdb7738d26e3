#include "executor/clients.h"

#include "lib/crypto.h"
#include "lib/keyed_hash.h"
#include "lib/memory.h"

#include <stdlib.h>

struct client {
    uint64_t client;
    uint64_t origin;
    bool used;
};

/* Open addressing, at most half full. */
struct clients {
    uint32_t max, count;
    uint64_t mask;
    struct keyed_hash hash; /* loaders choose the ids of their clients */
    struct client *table;
};

struct clients *clients_new(uint32_t max) {
    struct clients *c = mem_new(struct clients);
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)max)
        slots *= 2;
    c->max = max;
    c->mask = slots - 1;
    random_bytes(c->hash.secret, sizeof c->hash.secret);
    c->table = mem_new_array(struct client, slots);
    return c;
}

void clients_free(struct clients *c) {
    free(c->table);
    free(c);
}

/* Its place, or the free one where it belongs. */
static struct client *probe(const struct clients *c, uint64_t client) {
    uint64_t i = keyed_hash_of(&c->hash, &client, sizeof client) & c->mask;
    while (c->table[i].used && c->table[i].client != client)
        i = (i + 1) & c->mask;
    return &c->table[i];
}

/* NULL: there are too many. */
static struct client *ensure(struct clients *c, uint64_t client) {
    struct client *entry = probe(c, client);
    if (entry->used)
        return entry;
    if (c->count == c->max)
        return NULL;
    c->count++;
    *entry = (struct client){.client = client, .origin = CLIENTS_NOWHERE, .used = true};
    return entry;
}

void clients_asked(struct clients *c, uint64_t client, uint64_t origin) {
    struct client *entry = ensure(c, client);
    if (entry)
        entry->origin = origin;
}

void clients_enter(struct clients *c, const struct wire_clients *range, uint64_t origin) {
    uint32_t count = range->count < c->max ? range->count : c->max;
    for (uint32_t i = 0; i < count; i++) {
        struct client *entry = ensure(c, range->first + (uint64_t)i * range->step);
        if (!entry)
            return;
        entry->origin = origin;
    }
}

uint64_t clients_origin(const struct clients *c, uint64_t client) {
    const struct client *entry = probe(c, client);
    return entry->used ? entry->origin : CLIENTS_NOWHERE;
}
