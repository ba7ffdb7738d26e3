#include "executor/pbft/state.h"

bool update_has_room(struct pbft_update *update, size_t actions) {
    if (update->count + actions + PBFT_ACTIONS_SPARE <= PBFT_ACTIONS_MAX)
        return true;
    update->more = true;
    return false;
}

static struct pbft_action *emit(struct pbft_update *update, enum pbft_action_type type) {
    assert(update->count < PBFT_ACTIONS_MAX);
    struct pbft_action *action = &update->actions[update->count++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

struct pbft_message *emit_message(struct pbft_update *update, uint16_t peer,
                                  enum pbft_message_type type) {
    struct pbft_action *action = emit(update, PBFT_SEND);
    action->peer = peer;
    action->message.type = type;
    return &action->message;
}

void emit_batch_message(struct pbft_update *update, uint16_t peer, enum pbft_message_type type,
                        uint64_t view, uint64_t seq, const uint8_t digest[PBFT_DIGEST_SIZE]) {
    struct pbft_message *m = emit_message(update, peer, type);
    m->view = view;
    m->seq = seq;
    memcpy(m->digest, digest, PBFT_DIGEST_SIZE);
}

struct pbft_record *emit_record(struct pbft_update *update, enum pbft_record_type type) {
    struct pbft_action *action = emit(update, PBFT_PERSIST);
    action->record.type = type;
    return &action->record;
}

void emit_store(struct pbft_update *update, uint64_t height, uint64_t seq,
                const struct pbft_request *request) {
    struct pbft_action *action = emit(update, PBFT_STORE);
    action->height = height;
    action->seq = seq;
    action->request = *request;
}

void emit_adopt(struct pbft_update *update, const struct pbft_block *block) {
    emit(update, PBFT_ADOPT)->block = *block;
}

void emit_serve(struct pbft_update *update, uint16_t peer, uint64_t height, uint32_t count) {
    struct pbft_action *action = emit(update, PBFT_SERVE);
    action->peer = peer;
    action->height = height;
    action->count = count;
}

void emit_release(struct pbft_update *update, uint64_t handle) {
    emit(update, PBFT_RELEASE)->request.handle = handle;
}

void emit_release_all(struct pbft_update *update, const struct pbft_request *requests,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        emit_release(update, requests[i].handle);
}

void emit_reply(const struct pbft *core, struct pbft_update *update,
                const struct pbft_request *request, enum pbft_reply_status status,
                enum pbft_reason reason) {
    struct pbft_action *action = emit(update, PBFT_REPLY);
    action->view = core->view;
    action->request = *request;
    action->status = status;
    action->reason = reason;
}

void emit_answer(const struct pbft *core, struct pbft_update *update, const struct client *client) {
    struct pbft_action *action = emit(update, PBFT_REPLY);
    action->view = core->view;
    action->request.client = client->client;
    action->request.number = client->number;
    action->request.origin = client->origin;
    action->status = PBFT_REPLY_OK;
    action->height = client->height;
    memcpy(action->digest, client->digest, PBFT_DIGEST_SIZE);
}

void emit_note(struct pbft_update *update, enum pbft_note note, uint16_t peer, uint64_t height,
               uint64_t other_height) {
    struct pbft_action *action = emit(update, PBFT_NOTE);
    action->note = note;
    action->peer = peer;
    action->height = height;
    action->other_height = other_height;
}

void emit_violation(struct pbft_update *update, uint16_t peer, uint64_t seq) {
    emit_note(update, PBFT_NOTE_VIOLATION, peer, seq, 0);
    emit(update, PBFT_DISCONNECT)->peer = peer;
}

void wake_at(struct pbft_update *update, uint64_t ns) {
    if (ns < update->timer_ns)
        update->timer_ns = ns;
}
