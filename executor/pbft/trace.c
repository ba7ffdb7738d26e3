#include "executor/pbft/trace.h"

#include "lib/text.h"

/* ---- names ---- */

static const struct {
    const char *name, *label;
} messages[PBFT_MESSAGE_END] = {
    [PBFT_FORWARD] = {"FORWARD", "forward"},
    [PBFT_PRE_PREPARE] = {"PRE-PREPARE", "pre_prepare"},
    [PBFT_PREPARE] = {"PREPARE", "prepare"},
    [PBFT_COMMIT] = {"COMMIT", "commit"},
    [PBFT_CHECKPOINT] = {"CHECKPOINT", "checkpoint"},
    [PBFT_VIEW_CHANGE] = {"VIEW-CHANGE", "view_change"},
    [PBFT_NEW_VIEW] = {"NEW-VIEW", "new_view"},
    [PBFT_STATUS] = {"STATUS", "status"},
    [PBFT_ASK_BATCH] = {"ASK-BATCH", "ask_batch"},
    [PBFT_BATCH] = {"BATCH", "batch"},
    [PBFT_ASK_DIGEST] = {"ASK-DIGEST", "ask_digest"},
    [PBFT_BLOCK_DIGEST] = {"BLOCK-DIGEST", "block_digest"},
    [PBFT_ASK_BLOCKS] = {"ASK-BLOCKS", "ask_blocks"},
    [PBFT_BLOCK] = {"BLOCK", "block"},
};

static const struct {
    const char *name, *label;
} notes[PBFT_NOTE_COUNT] = {
    [PBFT_NOTE_SUSPECT] = {"suspect", "suspect"},
    [PBFT_NOTE_VIEW_CHANGE] = {"view change", "view_change"},
    [PBFT_NOTE_NEW_VIEW] = {"new view", "new_view"},
    [PBFT_NOTE_TRANSFER] = {"transfer", "transfer"},
    [PBFT_NOTE_TRANSFERRED] = {"transferred", "transferred"},
    [PBFT_NOTE_BAD_BLOCKS] = {"bad blocks", "bad_blocks"},
    [PBFT_NOTE_DIVERGED] = {"diverged", "diverged"},
    [PBFT_NOTE_DRAIN_LATE] = {"drain late", "drain_late"},
    [PBFT_NOTE_VIOLATION] = {"violation", "violation"},
};

const char *trace_message_name(enum pbft_message_type type) {
    return messages[type].name;
}

const char *trace_message_label(enum pbft_message_type type) {
    return messages[type].label;
}

const char *trace_note_label(enum pbft_note note) {
    return notes[note].label;
}

/* ---- parts ---- */

static unsigned long long whole(uint64_t number) {
    return number;
}

static void put_digest(struct buffer *out, const uint8_t digest[PBFT_DIGEST_SIZE]) {
    buffer_format(out, "%02x%02x", digest[0], digest[1]);
}

static void put_request(struct buffer *out, const struct pbft_request *r) {
    buffer_format(out, "%llu#%llu%s", whole(r->client), whole(r->number),
                  r->pre_executed ? "*" : "");
}

static void put_requests(struct buffer *out, const struct pbft_request *requests, uint32_t count) {
    buffer_text(out, " [");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_text(out, " ");
        put_request(out, &requests[i]);
    }
    buffer_text(out, "]");
}

static void put_certificates(struct buffer *out, const char *name,
                             const struct pbft_certificate *list, uint32_t count) {
    buffer_format(out, " %s{", name);
    for (uint32_t i = 0; i < count; i++) {
        buffer_format(out, "%s%llu@%llu:", i > 0 ? " " : "", whole(list[i].seq),
                      whole(list[i].view));
        put_digest(out, list[i].digest);
    }
    buffer_text(out, "}");
}

static void put_change(struct buffer *out, const struct pbft_view_change *c) {
    buffer_format(out, " (replica %u, h %llu, C{", c->replica, whole(c->stable));
    for (uint32_t i = 0; i < c->checkpoint_count; i++) {
        buffer_format(out, "%s%llu:", i > 0 ? " " : "", whole(c->checkpoints[i].seq));
        put_digest(out, c->checkpoints[i].digest);
    }
    buffer_text(out, "}");
    put_certificates(out, "P", c->prepared, c->prepared_count);
    put_certificates(out, "Q", c->proposed, c->proposed_count);
    buffer_text(out, ")");
}

static void put_changes(struct buffer *out, const struct pbft_view_change *changes,
                        uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        put_change(out, &changes[i]);
}

static void put_report(struct buffer *out, const struct pbft_report *r) {
    buffer_format(out, "%s%s%s%s stable %llu committed %llu proposed %llu stored %llu",
                  r->active ? "" : " on-the-way", r->suspects ? " suspects" : "",
                  r->draining ? " draining" : "", r->busy ? " busy" : "", whole(r->stable),
                  whole(r->committed), whole(r->proposed), whole(r->stored));
}

static void put_batch(struct buffer *out, uint64_t view, uint64_t seq,
                      const uint8_t digest[PBFT_DIGEST_SIZE]) {
    buffer_format(out, " v%llu n%llu ", whole(view), whole(seq));
    put_digest(out, digest);
}

static void put_height(struct buffer *out, uint64_t height,
                       const uint8_t digest[PBFT_DIGEST_SIZE]) {
    buffer_format(out, " height %llu ", whole(height));
    put_digest(out, digest);
}

/* ---- messages ---- */

void trace_message(struct buffer *out, const struct pbft_message *m) {
    buffer_text(out, messages[m->type].name);
    switch (m->type) {
    case PBFT_PRE_PREPARE: buffer_format(out, " v%llu n%llu", whole(m->view), whole(m->seq)); break;
    case PBFT_BATCH: buffer_format(out, " n%llu", whole(m->seq)); break;
    case PBFT_PREPARE:
    case PBFT_COMMIT:
    case PBFT_ASK_BATCH: put_batch(out, m->view, m->seq, m->digest); return;
    case PBFT_CHECKPOINT:
        buffer_format(out, " n%llu", whole(m->seq));
        put_height(out, m->height, m->digest);
        return;
    case PBFT_VIEW_CHANGE:
    case PBFT_NEW_VIEW:
        buffer_format(out, " v%llu", whole(m->view));
        put_changes(out, m->changes, m->count);
        return;
    case PBFT_STATUS:
        buffer_format(out, " v%llu", whole(m->view));
        put_report(out, &m->report);
        return;
    case PBFT_ASK_DIGEST: buffer_format(out, " height %llu", whole(m->height)); return;
    case PBFT_BLOCK_DIGEST: put_height(out, m->height, m->digest); return;
    case PBFT_ASK_BLOCKS:
        buffer_format(out, " height %llu, %u", whole(m->height), m->count);
        return;
    case PBFT_BLOCK: put_height(out, m->block.height, m->block.digest); return;
    case PBFT_FORWARD:
    case PBFT_MESSAGE_END: break;
    }
    put_requests(out, m->requests, m->count);
}

/* ---- actions ---- */

static void put_record(struct buffer *out, const struct pbft_record *r) {
    static const char *const names[PBFT_RECORD_END] = {
        [PBFT_RECORD_VIEW] = "VIEW",         [PBFT_RECORD_PROPOSAL] = "PROPOSAL",
        [PBFT_RECORD_PREPARED] = "PREPARED", [PBFT_RECORD_CHECKPOINT] = "CHECKPOINT",
        [PBFT_RECORD_STABLE] = "STABLE",
    };
    buffer_format(out, "persist %s", names[r->type]);
    switch (r->type) {
    case PBFT_RECORD_VIEW:
        buffer_format(out, " v%llu%s", whole(r->view), r->active ? " active" : "");
        return;
    case PBFT_RECORD_PROPOSAL:
        put_batch(out, r->view, r->seq, r->digest);
        if (r->count > 0 || r->empty)
            put_requests(out, r->requests, r->count);
        return;
    case PBFT_RECORD_PREPARED: put_batch(out, r->view, r->seq, r->digest); return;
    case PBFT_RECORD_CHECKPOINT:
    case PBFT_RECORD_STABLE:
        buffer_format(out, " n%llu", whole(r->seq));
        put_height(out, r->height, r->digest);
        return;
    case PBFT_RECORD_END: return;
    }
}

static void put_reply(struct buffer *out, const struct pbft_action *a) {
    static const char *const names[] = {[PBFT_REPLY_OK] = "ok",
                                        [PBFT_REPLY_OVERLOADED] = "overloaded",
                                        [PBFT_REPLY_REFUSED] = "refused"};
    buffer_text(out, "reply ");
    put_request(out, &a->request);
    buffer_format(out, " v%llu %s", whole(a->view), names[a->status]);
    if (a->status == PBFT_REPLY_OK)
        put_height(out, a->height, a->digest);
    else
        buffer_format(out, " (reason %d)", (int)a->reason);
}

static void put_send(struct buffer *out, const struct pbft_action *a) {
    if (a->peer == PBFT_ALL)
        buffer_text(out, "send all ");
    else
        buffer_format(out, "send %u ", a->peer);
    trace_message(out, &a->message);
}

void trace_action(struct buffer *out, const struct pbft_action *a) {
    switch (a->type) {
    case PBFT_PERSIST: put_record(out, &a->record); return;
    case PBFT_SEND: put_send(out, a); return;
    case PBFT_STORE:
        buffer_format(out, "store height %llu n%llu ", whole(a->height), whole(a->seq));
        put_request(out, &a->request);
        return;
    case PBFT_ADOPT:
        buffer_text(out, "adopt");
        put_height(out, a->block.height, a->block.digest);
        return;
    case PBFT_REPLY: put_reply(out, a); return;
    case PBFT_RELEASE: buffer_text(out, "release"); return;
    case PBFT_SERVE:
        buffer_format(out, "serve %u height %llu, %u", a->peer, whole(a->height), a->count);
        return;
    case PBFT_DISCONNECT: buffer_format(out, "disconnect %u", a->peer); return;
    case PBFT_NOTE:
        buffer_format(out, "note %s: replica %u, %llu, %llu", notes[a->note].name, a->peer,
                      whole(a->height), whole(a->other_height));
        return;
    }
}
