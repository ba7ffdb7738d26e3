#include "executor/core/state.h"

#include <assert.h>
#include <string.h>

static uint64_t client_slots(const struct core_config *config) {
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)config->clients_max)
        slots *= 2;
    return slots;
}

static size_t align(size_t size) {
    return (size + 63) & ~(size_t)63;
}

static bool power_of_two(uint64_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}

/* Backups need neither log nor queue nor table yet; giving them to all keeps one size for all. */
size_t core_size(const struct core_config *config) {
    return align(sizeof(struct core)) + align(config->log_slots * sizeof(struct slot)) +
           align(config->pending_max * sizeof(struct core_request)) +
           align(client_slots(config) * sizeof(struct client));
}

struct core *core_init(void *memory, const struct core_config *config) {
    assert(config->n >= 1 && config->n <= CORE_REPLICAS_MAX && config->replica < config->n);
    assert(power_of_two(config->log_slots) && config->log_slots <= CORE_LOG_SLOTS_MAX);
    assert(power_of_two(config->pending_max));
    assert(config->pipeline_max > 0 && config->pipeline_max < config->log_slots);

    uint8_t *at = memory;
    struct core *core = memory;
    core->config = *config;
    core->f = (uint16_t)((config->n - 1) / 3);
    core->client_slots = client_slots(config);
    at += align(sizeof(struct core));
    core->log = (struct slot *)(void *)at;
    at += align(config->log_slots * sizeof(struct slot));
    core->pending = (struct core_request *)(void *)at;
    at += align(config->pending_max * sizeof(struct core_request));
    core->clients = (struct client *)(void *)at;

    core->low = 1;
    core->held_by = CORE_NOBODY;
    return core;
}

bool core_recover(struct core *core, uint64_t client, uint64_t number, uint64_t height,
                  const uint8_t digest[CORE_DIGEST_SIZE]) {
    assert(number > 0 && height == core->head + 1);
    struct client *entry = client_ensure(core, client);
    if (!entry)
        return false;
    core->low = height + 1;
    core->head = core->stored = core->answered = height;
    memcpy(core->digest, digest, CORE_DIGEST_SIZE);
    memcpy(core->low_digest, digest, CORE_DIGEST_SIZE);
    entry->number = number;
    entry->height = height;
    memcpy(entry->digest, digest, CORE_DIGEST_SIZE);
    return true;
}

void violation(struct core *core, uint16_t peer, uint64_t height, struct core_update *update) {
    core->peers[peer].joined = false;
    emit_note(update, CORE_NOTE_VIOLATION, peer, height, core->head);
    emit_disconnect(update, peer);
}

static void on_message(struct core *core, uint16_t peer, const struct core_message *message,
                       struct core_update *update) {
    switch (message->type) {
    case CORE_JOIN: on_join(core, peer, message, update); return;
    case CORE_APPEND: on_append(core, peer, message, update); return;
    case CORE_ACK: on_ack(core, peer, message, update); return;
    case CORE_BEHIND: on_behind(core, peer, message, update); return;
    case CORE_ASK_DRAIN: on_ask_drain(core, peer); return;
    case CORE_DRAINED: on_drained(core, message); return;
    case CORE_MESSAGE_END: break;
    }
    assert(false && "a message type that the shell let through");
}

static void dispatch(struct core *core, const struct core_event *event,
                     struct core_update *update) {
    switch (event->type) {
    case CORE_REQUEST: on_request(core, &event->request, update); return;
    case CORE_MESSAGE:
        assert(event->peer < core->config.n && event->peer != core->config.replica);
        on_message(core, event->peer, &event->message, update);
        return;
    case CORE_STORED: on_stored(core, event, update); return;
    case CORE_STORE_FAILED: core->store_failed = true; return;
    case CORE_PEER_UP:
        assert(event->peer < core->config.n && event->peer != core->config.replica);
        on_peer_up(core, event->peer, update);
        return;
    case CORE_PEER_DOWN: on_peer_down(core, event->peer); return;
    case CORE_TICK: return;
    case CORE_DRAIN: on_drain(core); return;
    }
}

void core_step(struct core *core, const struct core_event *event, struct core_update *update) {
    assert(event->now_ns >= core->now_ns);
    core->now_ns = event->now_ns;
    update->more = false;
    update->drained = false;
    update->timer_ns = UINT64_MAX;
    update->count = 0;
    dispatch(core, event, update);
    advance(core, update);
    advance_drain(core, update);
}

void core_drop(struct core *core, void (*release)(const struct core_request *request)) {
    for (; is_primary(core) && core->low <= core->head; core->low++)
        release(&slot_of(core, core->low)->request);
    for (; pending_count(core) > 0; core->pending_first++)
        release(&core->pending[core->pending_first & (core->config.pending_max - 1)]);
}

static bool is_healthy(const struct core *core, const struct core_status *status) {
    if (core->store_failed || core->draining)
        return false;
    uint16_t others_needed = (uint16_t)(core->config.n - core->f - 1);
    if (is_primary(core))
        return !core->ahead && status->peers_joined >= others_needed;
    return !core->behind && core->peers[CORE_PRIMARY].up && status->peers_up >= others_needed;
}

void core_get_status(const struct core *core, struct core_status *ret) {
    *ret = (struct core_status){
        .primary = CORE_PRIMARY,
        .f = core->f,
        .head = core->head,
        .stored = core->stored,
        .answered = core->answered,
        .pending = pending_count(core),
        .bytes = core->log_bytes,
        .store_failed = core->store_failed,
        .behind = core->behind,
    };
    for (uint16_t i = 0; i < core->config.n; i++) {
        ret->peers_up = (uint16_t)(ret->peers_up + core->peers[i].up);
        ret->peers_joined = (uint16_t)(ret->peers_joined + core->peers[i].joined);
    }
    ret->healthy = is_healthy(core, ret);
}
