#include "executor/core/state.h"

#include <assert.h>
#include <string.h>

bool update_has_room(const struct core_update *update, size_t actions) {
    return update->count + actions + CORE_ACTIONS_SPARE <= CORE_ACTIONS_MAX;
}

static struct core_action *emit(struct core_update *update, enum core_action_type type) {
    assert(update->count < CORE_ACTIONS_MAX);
    struct core_action *action = &update->actions[update->count++];
    memset(action, 0, sizeof *action);
    action->type = type;
    return action;
}

void emit_store(struct core_update *update, uint64_t height, const struct core_request *request) {
    struct core_action *action = emit(update, CORE_STORE);
    action->height = height;
    action->request = *request;
}

void emit_message(struct core_update *update, uint16_t peer, enum core_message_type type,
                  uint64_t height, const uint8_t digest[CORE_DIGEST_SIZE]) {
    struct core_action *action = emit(update, CORE_SEND);
    action->peer = peer;
    action->message.type = type;
    action->message.height = height;
    if (digest)
        memcpy(action->message.digest, digest, CORE_DIGEST_SIZE);
}

void emit_append(struct core_update *update, uint16_t peer, uint64_t height,
                 const struct core_request *request) {
    struct core_action *action = emit(update, CORE_SEND);
    action->peer = peer;
    action->message.type = CORE_APPEND;
    action->message.height = height;
    action->message.request = *request;
}

void emit_release(struct core_update *update, const struct core_request *request) {
    emit(update, CORE_RELEASE)->request = *request;
}

void emit_reply(struct core_update *update, const struct core_request *request,
                enum core_reply_status status, enum core_reason reason) {
    struct core_action *action = emit(update, CORE_REPLY);
    action->request = *request;
    action->status = status;
    action->reason = reason;
}

void emit_answer(struct core_update *update, const struct core_request *request, uint64_t height,
                 const uint8_t digest[CORE_DIGEST_SIZE]) {
    struct core_action *action = emit(update, CORE_REPLY);
    action->request = *request;
    action->status = CORE_REPLY_OK;
    action->height = height;
    memcpy(action->digest, digest, CORE_DIGEST_SIZE);
}

void emit_disconnect(struct core_update *update, uint16_t peer) {
    emit(update, CORE_DISCONNECT)->peer = peer;
}

void emit_note(struct core_update *update, enum core_note note, uint16_t peer, uint64_t height,
               uint64_t other_height) {
    struct core_action *action = emit(update, CORE_NOTE);
    action->note = note;
    action->peer = peer;
    action->height = height;
    action->other_height = other_height;
}
