/*
 * Traces of the consensus core: what each rule of PBFT looks like.
 *
 *     golden_pbft FOLDER
 *
 * plays every FOLDER/NAME.case with real cores, over a network that keeps the order and loses what
 * the case says, and compares what they did with FOLDER/NAME.expected; with
 * SEATRIAL_GOLDEN_UPDATE=1 that file is written instead. A line of a case is one of
 *
 *     # TEXT                       which rule this is, and where it stands; goes into the trace
 *     replicas N [KEY=NUMBER]...   first; window, interval, pipeline, batch, timeout, status (ms)
 *     hide KIND...                 such messages and records are not shown: STATUS, PROPOSAL, ...
 *     show releases                what the core gives back is shown, which it is not otherwise
 *     ask REPLICA CLIENT#NUMBER... requests come to a replica, which proposes them if it may
 *     lose KIND FROM TO [SEQ]      such messages from now on; * stands for any
 *     lose nothing                 that ends
 *     cut REPLICA                  all its connections break
 *     heal REPLICA                 they are there again
 *     run                          until nothing is under way
 *     wait MS                      the same, as time passes: timers go off
 *
 * Read-only requests have no trace: they never get to the core (tests/cli/test_replica.c).
 *
 * Of each step what came is shown, and below it what the core did. Steps that did nothing to be
 * seen are left out.
 */

#include "executor/pbft/pbft.h"
#include "executor/pbft/trace.h"
#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/golden/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 1 << 20,
    REPLICAS_MAX = 7,
    RULES_MAX = 16,
    HIDDEN_MAX = 16,
    HEIGHT_MAX = 256,
    ANY = 0xffff,
    STEPS_MAX = 20000, /* of a case: one that never comes to rest is a failure */
};

#define MS UINT64_C(1000000)

struct packet {
    struct packet *next;
    uint16_t from, to;
    struct pbft_message m; /* its arrays are the packet's; none where `stores` */
    bool stores;           /* the disk of `to` is done with what it was given */
    struct pbft_request *requests;
    struct pbft_view_change *changes;
};

struct rule {
    const char *kind;
    uint16_t from, to;
    uint64_t seq; /* 0: any */
};

struct replica {
    void *memory;
    struct pbft *core;
    uint64_t timer_ns;
    bool up[REPLICAS_MAX];
    struct pbft_block chain[HEIGHT_MAX];
    uint64_t ordered, stored;
    bool storing;
};

struct play {
    struct buffer *out;
    uint16_t n;
    uint64_t now_ns, handles;
    unsigned steps;
    struct replica replicas[REPLICAS_MAX];
    struct packet *first, **last;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    char *hidden[HIDDEN_MAX];
    size_t hidden_count;
    bool shows_releases;
    struct pbft_update update;
};

static void hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]) {
    (void)context;
    sha256_of(data, size, out);
}

/* ---- the network ---- */

static void *copy(const void *data, size_t count, size_t size) {
    void *to = mem_zero(count + 1, size);
    if (count > 0)
        memcpy(to, data, count * size);
    return to;
}

static bool carries_requests(const struct pbft_message *m) {
    return m->type == PBFT_FORWARD || m->type == PBFT_PRE_PREPARE || m->type == PBFT_BATCH;
}

static bool carries_changes(const struct pbft_message *m) {
    return m->type == PBFT_VIEW_CHANGE || m->type == PBFT_NEW_VIEW;
}

static void launch(struct play *p, struct packet *packet) {
    *p->last = packet;
    p->last = &packet->next;
}

static bool is_lost(const struct play *p, uint16_t from, uint16_t to,
                    const struct pbft_message *m) {
    for (size_t i = 0; i < p->rule_count; i++) {
        const struct rule *r = &p->rules[i];
        if ((text_equal(r->kind, "*") || text_equal(r->kind, trace_message_name(m->type))) &&
            (r->from == ANY || r->from == from) && (r->to == ANY || r->to == to) &&
            (r->seq == 0 || r->seq == m->seq))
            return true;
    }
    return false;
}

static void send_one(struct play *p, uint16_t from, uint16_t to, const struct pbft_message *m) {
    if (!p->replicas[from].up[to] || is_lost(p, from, to, m))
        return;
    struct packet *packet = mem_new(struct packet);
    *packet = (struct packet){.from = from, .to = to, .m = *m};
    if (carries_requests(m)) {
        packet->m.requests = packet->requests = copy(m->requests, m->count, sizeof *m->requests);
        for (uint32_t i = 0; i < m->count; i++)
            packet->requests[i].handle = ++p->handles;
    }
    if (carries_changes(m)) {
        packet->m.changes = packet->changes = copy(m->changes, m->count, sizeof *m->changes);
        for (uint32_t i = 0; i < m->count; i++) {
            struct pbft_view_change *c = &packet->changes[i];
            c->checkpoints = copy(c->checkpoints, c->checkpoint_count, sizeof *c->checkpoints);
            c->prepared = copy(c->prepared, c->prepared_count, sizeof *c->prepared);
            c->proposed = copy(c->proposed, c->proposed_count, sizeof *c->proposed);
        }
    }
    launch(p, packet);
}

static void packet_free(struct packet *packet) {
    for (uint32_t i = 0; packet->changes && i < packet->m.count; i++) {
        free((void *)(uintptr_t)packet->changes[i].checkpoints);
        free((void *)(uintptr_t)packet->changes[i].prepared);
        free((void *)(uintptr_t)packet->changes[i].proposed);
    }
    free(packet->requests);
    free(packet->changes);
    free(packet);
}

/* ---- the shell of a replica ---- */

static void begin_storing(struct play *p, uint16_t at) {
    struct replica *r = &p->replicas[at];
    if (r->storing || r->ordered == r->stored)
        return;
    struct packet *packet = mem_new(struct packet);
    *packet = (struct packet){.from = at, .to = at, .stores = true};
    r->storing = true;
    launch(p, packet);
}

static void do_store(struct play *p, uint16_t at, const struct pbft_action *action) {
    struct replica *r = &p->replicas[at];
    uint8_t bytes[PBFT_DIGEST_SIZE + 3 * sizeof(uint64_t)];
    struct pbft_block *block = &r->chain[r->ordered++];
    const uint64_t words[3] = {action->request.client, action->request.number, action->seq};
    *block = (struct pbft_block){.height = action->height,
                                 .seq = action->seq,
                                 .client = action->request.client,
                                 .number = action->request.number};
    if (action->height > 1)
        memcpy(block->parent, block[-1].digest, PBFT_DIGEST_SIZE);
    memcpy(bytes, block->parent, PBFT_DIGEST_SIZE);
    memcpy(bytes + PBFT_DIGEST_SIZE, words, sizeof words);
    sha256_of(bytes, sizeof bytes, block->digest);
    begin_storing(p, at);
}

static void do_serve(struct play *p, uint16_t at, const struct pbft_action *action) {
    const struct replica *r = &p->replicas[at];
    uint64_t count = action->count ? action->count : 1;
    for (uint64_t h = action->height; h < action->height + count && h <= r->stored; h++) {
        struct pbft_message m = {.type = action->count ? PBFT_BLOCK : PBFT_BLOCK_DIGEST,
                                 .height = h};
        memcpy(m.digest, r->chain[h - 1].digest, PBFT_DIGEST_SIZE);
        if (action->count) {
            m.block = r->chain[h - 1];
            m.block.handle = ++p->handles;
        }
        send_one(p, at, action->peer, &m);
    }
}

static void carry_out(struct play *p, uint16_t at, const struct pbft_action *action) {
    struct replica *r = &p->replicas[at];
    switch (action->type) {
    case PBFT_SEND:
        for (uint16_t i = 0; i < p->n; i++)
            if (i != at && (action->peer == PBFT_ALL || action->peer == i))
                send_one(p, at, i, &action->message);
        return;
    case PBFT_STORE: do_store(p, at, action); return;
    case PBFT_ADOPT:
        r->chain[r->ordered++] = action->block;
        begin_storing(p, at);
        return;
    case PBFT_SERVE: do_serve(p, at, action); return;
    case PBFT_PERSIST: /* nobody crashes here */
    case PBFT_REPLY:
    case PBFT_RELEASE:
    case PBFT_DISCONNECT:
    case PBFT_NOTE: return;
    }
}

/* ---- what is shown ---- */

/* As a whole: PREPARE is not in PRE-PREPARE. */
static bool has_word(const char *line, const char *word) {
    size_t size = strlen(word);
    for (const char *at = line; (at = strstr(at, word)); at += size)
        if ((at == line || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

static bool is_hidden(const struct play *p, const struct pbft_action *action, const char *line) {
    for (size_t i = 0; i < p->hidden_count; i++)
        if (has_word(line, p->hidden[i]))
            return true;
    return action->type == PBFT_RELEASE;
}

/* The head of a step is only there if something follows. */
static void show_line(struct play *p, uint16_t at, const char **what, const char *line) {
    if (*what)
        buffer_format(p->out, "%5llu ms  replica %u  %s\n", (unsigned long long)(p->now_ns / MS),
                      at, *what);
    buffer_format(p->out, "               %s\n", line);
    *what = NULL;
}

static void show(struct play *p, uint16_t at, const char *what) {
    unsigned released = 0;
    for (size_t i = 0; i < p->update.count; i++) {
        cleanup(buffer_deinit) struct buffer line;
        buffer_init(&line, TEXT_MAX);
        trace_action(&line, &p->update.actions[i]);
        released += p->update.actions[i].type == PBFT_RELEASE;
        if (!is_hidden(p, &p->update.actions[i], buffer_string(&line)))
            show_line(p, at, &what, buffer_string(&line));
    }
    if (released > 0 && p->shows_releases) {
        cleanup_free char *line = text_format("release, of %u requests", released);
        show_line(p, at, &what, line);
    }
}

static void step(struct play *p, uint16_t at, const struct pbft_event *event, const char *what) {
    struct replica *r = &p->replicas[at];
    struct pbft_event e = *event;
    do {
        e.now_ns = p->now_ns;
        pbft_step(r->core, &e, &p->update);
        show(p, at, what);
        for (size_t i = 0; i < p->update.count; i++)
            carry_out(p, at, &p->update.actions[i]);
        e.type = PBFT_TICK;
        what = "goes on";
        p->steps++;
    } while (p->update.more);
    r->timer_ns = p->update.timer_ns;
}

static void flush(struct play *p, uint16_t at) {
    step(p, at, &(struct pbft_event){.type = PBFT_FLUSH}, "ends its round");
}

/* ---- what happens ---- */

static void stored(struct play *p, uint16_t at) {
    struct replica *r = &p->replicas[at];
    uint8_t digests[PBFT_STORED_MAX][PBFT_DIGEST_SIZE];
    char what[64];
    struct pbft_event event = {.type = PBFT_STORED};
    event.stored.height = r->stored + 1;
    event.stored.digests = (const uint8_t(*)[PBFT_DIGEST_SIZE])digests;
    while (r->stored < r->ordered && event.stored.count < PBFT_STORED_MAX)
        memcpy(digests[event.stored.count++], r->chain[r->stored++].digest, PBFT_DIGEST_SIZE);
    r->storing = false;
    snprintf(what, sizeof what, "has stored up to height %llu", (unsigned long long)r->stored);
    step(p, at, &event, what);
    begin_storing(p, at);
}

static void deliver(struct play *p, struct packet *packet) {
    cleanup(buffer_deinit) struct buffer what = BUFFER_NULL;
    if (packet->stores) {
        stored(p, packet->to);
        return;
    }
    buffer_init(&what, TEXT_MAX);
    buffer_format(&what, "<- %u ", packet->from);
    trace_message(&what, &packet->m);
    if (p->replicas[packet->to].up[packet->from])
        step(p, packet->to,
             &(struct pbft_event){.type = PBFT_MESSAGE, .peer = packet->from, .message = packet->m},
             buffer_string(&what));
}

static void run(struct play *p) {
    while (p->first && p->steps < STEPS_MAX) {
        struct packet *packet = p->first;
        p->first = packet->next;
        if (!p->first)
            p->last = &p->first;
        deliver(p, packet);
        flush(p, packet->to);
        packet_free(packet);
    }
}

static void wait(struct play *p, uint64_t ms) {
    uint64_t until_ns = p->now_ns + ms * MS;
    run(p);
    while (p->steps < STEPS_MAX) {
        uint16_t next = 0;
        for (uint16_t i = 1; i < p->n; i++)
            if (p->replicas[i].timer_ns < p->replicas[next].timer_ns)
                next = i;
        if (p->replicas[next].timer_ns > until_ns)
            break;
        if (p->replicas[next].timer_ns > p->now_ns)
            p->now_ns = p->replicas[next].timer_ns;
        step(p, next, &(struct pbft_event){.type = PBFT_TICK}, "timer");
        run(p);
    }
    p->now_ns = until_ns;
}

static void set_links(struct play *p, uint16_t at, bool up) {
    for (uint16_t i = 0; i < p->n; i++) {
        if (i == at || p->replicas[at].up[i] == up)
            continue;
        p->replicas[at].up[i] = p->replicas[i].up[at] = up;
        struct pbft_event event = {.type = up ? PBFT_PEER_UP : PBFT_PEER_DOWN, .peer = i};
        step(p, at, &event, up ? "is connected" : "is cut off");
        event.peer = at;
        step(p, i, &event, up ? "is connected" : "is cut off");
    }
}

static void ask(struct play *p, uint16_t at, uint64_t client, uint64_t number) {
    char what[64];
    const uint64_t words[2] = {client, number};
    struct pbft_event event = {.type = PBFT_REQUEST};
    event.request = (struct pbft_request){.handle = ++p->handles,
                                          .size_bytes = 100,
                                          .client = client,
                                          .number = number,
                                          .origin = client};
    sha256_of(words, sizeof words, event.request.digest);
    snprintf(what, sizeof what, "<- client REQUEST %llu#%llu", (unsigned long long)client,
             (unsigned long long)number);
    step(p, at, &event, what);
}

/* ---- reading a case ---- */

static uint64_t number_of(const char *text, uint64_t any) {
    struct error ignored = ERROR_NULL;
    uint64_t number = 0;
    if (!text || text_equal(text, "*"))
        return any;
    return text_to_u64(text, 0, UINT32_MAX, &number, &ignored) < 0 ? any : number;
}

static bool replica_of(const struct play *p, const char *text, uint16_t *ret) {
    uint64_t number = number_of(text, ANY);
    *ret = (uint16_t)number;
    return number < p->n;
}

static bool set_key(struct pbft_config *config, char *word) {
    char *value = strchr(word, '=');
    if (!value)
        return false;
    *value++ = '\0';
    uint64_t number = number_of(value, 0);
    if (text_equal(word, "window"))
        config->window = (uint32_t)number;
    else if (text_equal(word, "interval"))
        config->checkpoint_interval = (uint32_t)number;
    else if (text_equal(word, "pipeline"))
        config->pipeline_max = (uint32_t)number;
    else if (text_equal(word, "batch"))
        config->batch_max = (uint32_t)number;
    else if (text_equal(word, "timeout"))
        config->request_timeout_ns = number * MS;
    else if (text_equal(word, "status"))
        config->status_ns = number * MS;
    else
        return false;
    return number > 0;
}

static bool make(struct play *p, char *rest) {
    struct pbft_config config = PBFT_CONFIG_DEFAULT;
    char *word = strtok_r(rest, " ", &rest);
    uint64_t n = number_of(word, 0);
    if (p->n > 0 || n < 1 || n > REPLICAS_MAX)
        return false;
    config.window = 8;
    config.checkpoint_interval = 4;
    config.clients_max = 16;
    config.hash = hash;
    while ((word = strtok_r(NULL, " ", &rest)))
        if (!set_key(&config, word))
            return false;
    config.n = p->n = (uint16_t)n;
    for (uint16_t i = 0; i < p->n; i++) {
        struct replica *r = &p->replicas[i];
        config.replica = i;
        r->memory = mem_zero(1, pbft_size(&config));
        r->core = pbft_init(r->memory, &config);
        r->timer_ns = UINT64_MAX;
    }
    /* Not shown: every case begins with it. */
    struct buffer *out = p->out;
    cleanup(buffer_deinit) struct buffer nowhere;
    buffer_init(&nowhere, TEXT_MAX);
    p->out = &nowhere;
    for (uint16_t i = 0; i < p->n; i++)
        set_links(p, i, true);
    run(p);
    p->out = out;
    return true;
}

static bool do_ask(struct play *p, char *rest) {
    uint16_t at;
    char *word = strtok_r(rest, " ", &rest);
    if (!replica_of(p, word, &at))
        return false;
    while ((word = strtok_r(NULL, " ", &rest))) {
        char *number = strchr(word, '#');
        if (!number)
            return false;
        *number++ = '\0';
        ask(p, at, number_of(word, 0), number_of(number, 0));
    }
    flush(p, at);
    return true;
}

static bool do_lose(struct play *p, char *rest) {
    char *kind = strtok_r(rest, " ", &rest);
    if (text_equal(kind, "nothing")) {
        p->rule_count = 0;
        return true;
    }
    char *from = strtok_r(NULL, " ", &rest), *to = strtok_r(NULL, " ", &rest);
    if (!to || p->rule_count == RULES_MAX)
        return false;
    p->rules[p->rule_count++] = (struct rule){.kind = kind,
                                              .from = (uint16_t)number_of(from, ANY),
                                              .to = (uint16_t)number_of(to, ANY),
                                              .seq = number_of(strtok_r(NULL, " ", &rest), 0)};
    return true;
}

static bool do_hide(struct play *p, char *rest) {
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        if (p->hidden_count == HIDDEN_MAX)
            return false;
        p->hidden[p->hidden_count++] = word;
    }
    return p->hidden_count > 0;
}

/* The words stay as long as the case does. */
static bool do_line(struct play *p, char *line) {
    char *rest = strchr(line, ' ');
    uint16_t at;
    buffer_format(p->out, "%s%s\n", *line == '#' ? "" : "> ", line);
    if (*line == '#' || *line == '\0')
        return true;
    static char nothing[1];
    if (rest)
        *rest++ = '\0';
    else
        rest = nothing;
    if (text_equal(line, "replicas"))
        return make(p, rest);
    if (text_equal(line, "hide"))
        return do_hide(p, rest);
    if (text_equal(line, "ask"))
        return do_ask(p, rest);
    if (text_equal(line, "show"))
        return p->shows_releases = text_equal(rest, "releases");
    if (text_equal(line, "lose"))
        return do_lose(p, rest);
    if ((text_equal(line, "cut") || text_equal(line, "heal")) && replica_of(p, rest, &at))
        set_links(p, at, *line == 'h');
    else if (text_equal(line, "run"))
        run(p);
    else if (text_equal(line, "wait") && number_of(rest, 0) > 0)
        wait(p, number_of(rest, 0));
    else
        return false;
    return true;
}

/* Where everybody is in the end: what was agreed on is the same. */
static bool end(const struct play *p, const char *name) {
    for (uint16_t i = 0; i < p->n; i++) {
        struct pbft_status s;
        pbft_get_status(p->replicas[i].core, &s);
        buffer_format(p->out,
                      "replica %u: view %llu%s, stable %llu, committed %llu, proposed %llu, "
                      "height %llu\n",
                      i, (unsigned long long)s.view, s.active ? "" : " (on the way)",
                      (unsigned long long)s.stable, (unsigned long long)s.committed,
                      (unsigned long long)s.proposed, (unsigned long long)s.stored);
        for (uint64_t h = 0; h < s.stored; h++)
            for (uint16_t k = 0; k < i; k++)
                if (h < p->replicas[k].stored &&
                    memcmp(p->replicas[i].chain[h].digest, p->replicas[k].chain[h].digest,
                           PBFT_DIGEST_SIZE) != 0) {
                    printf("%s: replicas %u and %u have different blocks at height %llu\n", name, i,
                           k, (unsigned long long)h + 1);
                    return false;
                }
    }
    return true;
}

static void play_deinit(struct play *p) {
    while (p->first) {
        struct packet *packet = p->first;
        p->first = packet->next;
        packet_free(packet);
    }
    for (uint16_t i = 0; i < p->n; i++)
        free(p->replicas[i].memory);
    free(p);
}

static bool play(const char *name, char *text, struct buffer *out) {
    struct play *p = mem_new(struct play);
    bool good = true;
    *p = (struct play){.out = out};
    p->last = &p->first;
    unsigned number = 0;
    for (char *line = text, *next; line && *line && good; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        number++;
        good = do_line(p, line);
        if (!good)
            printf("%s: line %u is none that can be played\n", name, number);
    }
    if (p->steps >= STEPS_MAX) {
        printf("%s: it never comes to rest\n", name);
        good = false;
    }
    good = good && end(p, name);
    play_deinit(p);
    return good;
}

int main(int argc, char **argv) {
    return golden_main(argc, argv, play);
}
