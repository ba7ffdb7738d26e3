/* At-most-once execution: the last request of each client (Castro & Liskov, OSDI '99, section 4.1).
 */

#include "executor/core/state.h"

#include <stddef.h>

/* The slot that holds the client, or the free one where it belongs: the table is never full. */
static struct client *probe(const struct core *core, uint64_t client) {
    uint64_t hash = client * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t i = (hash >> 32) & (core->client_slots - 1);
    while (core->clients[i].number != 0 && core->clients[i].client != client)
        i = (i + 1) & (core->client_slots - 1);
    return &core->clients[i];
}

struct client *client_find(const struct core *core, uint64_t client) {
    struct client *entry = probe(core, client);
    return entry->number != 0 ? entry : NULL;
}

struct client *client_ensure(struct core *core, uint64_t client) {
    struct client *entry = probe(core, client);
    if (entry->number != 0)
        return entry;
    if (core->client_count == core->config.clients_max)
        return NULL;
    core->client_count++;
    entry->client = client;
    return entry;
}
