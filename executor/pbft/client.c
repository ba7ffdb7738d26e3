/*
 * What is remembered of clients: their last request, so that none is executed twice (OSDI '99,
 * section 4.1), and the one that waits to be ordered. A client has one request at a time, so one
 * place for each bounds what a client can make us keep; they wait in line, first come first served
 * (TOCS '02, "Normal-Case Operation": the primary keeps fairness that way).
 */

#include "executor/pbft/state.h"

/* The slot that holds the client, or the free one where it belongs: the table is never full. */
static struct client *probe(const struct pbft *core, uint64_t client) {
    uint64_t i = keyed_hash_of(&core->config.clients, &client, sizeof client);
    i &= core->client_slots - 1;
    while (core->clients[i].used && core->clients[i].client != client)
        i = (i + 1) & (core->client_slots - 1);
    return &core->clients[i];
}

struct client *client_find(const struct pbft *core, uint64_t client) {
    struct client *entry = probe(core, client);
    return entry->used ? entry : NULL;
}

static struct client *enter(struct pbft *core, struct client *entry, uint64_t client) {
    *entry = (struct client){.used = true, .client = client, .next = NOBODY, .previous = NOBODY};
    core->known_clients++;
    return entry;
}

/* Those who only wait have half of the room: executed ones always find a place. */
struct client *client_ensure(struct pbft *core, uint64_t client) {
    struct client *entry = probe(core, client);
    if (entry->used)
        return entry;
    if (core->known_clients - core->executed_clients >= core->config.clients_max)
        return NULL;
    return enter(core, entry, client);
}

bool client_execute(struct pbft *core, const struct pbft_request *request, uint64_t height) {
    struct client *entry = probe(core, request->client);
    if (entry->used && request->number <= entry->number)
        return false;
    if (!entry->used || entry->number == 0) {
        /* Decided by what was executed alone, so that every replica decides alike. */
        if (core->executed_clients == core->config.clients_max)
            return false;
        core->executed_clients++;
    }
    if (!entry->used)
        enter(core, entry, request->client);
    entry->number = request->number;
    entry->height = height;
    entry->origin = request->origin;
    return true;
}

/* ---- the line ---- */

static uint32_t index_of(const struct pbft *core, const struct client *client) {
    return (uint32_t)(client - core->clients);
}

void client_wait(struct pbft *core, struct client *client, const struct pbft_request *request) {
    assert(!client->waits);
    client->waits = true;
    client->waiting = *request;
    client->next = NOBODY;
    client->previous = core->last;
    if (core->last == NOBODY)
        core->first = index_of(core, client);
    else
        core->clients[core->last].next = index_of(core, client);
    core->last = index_of(core, client);
    core->waiting_bytes += request->size_bytes;
    core->waiting_count++;
}

static void leave_line(struct pbft *core, struct client *client) {
    if (client->previous == NOBODY)
        core->first = client->next;
    else
        core->clients[client->previous].next = client->next;
    if (client->next == NOBODY)
        core->last = client->previous;
    else
        core->clients[client->next].previous = client->previous;
    client->waits = false;
    core->waiting_bytes -= client->waiting.size_bytes;
    core->waiting_count--;
}

void client_served(struct pbft *core, struct client *client, uint64_t number,
                   struct pbft_update *update) {
    if (!client->waits || client->waiting.number > number)
        return;
    leave_line(core, client);
    if (update)
        emit_release(update, client->waiting.handle);
}
