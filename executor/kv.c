#include "executor/kv.h"

#include "executor/chain/kv.h"
#include "executor/talk.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/request_auth.h"
#include "lib/text.h"

#include <argp.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLIENTS = 1 << 16,
    SECONDS_MAX = 3600,
    OPERATIONS_MAX = 64,
    WORDS_MAX = 3 * OPERATIONS_MAX,
};

#define GREETING_NS NS_PER_SEC /* one that does not answer keeps the others waiting so long */
#define AGAIN_NS NS_PER_SEC    /* a request is sent again; a read is ordered instead */

/* ---- what is wanted ---- */

enum { KEY_CLUSTER = 256, KEY_KEYS, KEY_INSECURE, KEY_CLIENT_AUTH, KEY_LOADER, KEY_TIMEOUT };

static const struct argp_option table[] = {
    {"cluster", KEY_CLUSTER, "FILE", 0, "who is in the cluster (/seatrial/cluster.yaml)", 1},
    {"cluster-keys", KEY_KEYS, "DIR", 0, "where the cluster's keys are (/keys)", 1},
    {"insecure", KEY_INSECURE, NULL, 0, "do without keys, as the replicas do", 1},
    {"client-auth", KEY_CLIENT_AUTH, "macs|signature", 0, "as the replicas have it (macs)", 1},
    {"loader", KEY_LOADER, "N", 0, "speak as a client of that loader, with its keys (0)", 1},
    {"timeout", KEY_TIMEOUT, "SECONDS", 0, "wait so long for enough answers, each time (30)", 2},
    {0},
};

struct wishes {
    const char *cluster, *keys;
    bool insecure;
    enum wire_authenticator client_auth;
    uint64_t loader, seconds;
    const char *words[WORDS_MAX];
    size_t word_count;
    struct error *err;
    int result;
};

static int take_option(struct wishes *w, int key, const char *argument) {
    switch (key) {
    case KEY_CLUSTER: w->cluster = argument; return 0;
    case KEY_KEYS: w->keys = argument; return 0;
    case KEY_INSECURE: w->insecure = true; return 0;
    case KEY_CLIENT_AUTH: return options_client_auth(argument, &w->client_auth, w->err);
    case KEY_LOADER: return text_to_u64(argument, 0, KEYS_LOADERS_MAX - 1, &w->loader, w->err);
    case KEY_TIMEOUT: return text_to_u64(argument, 1, SECONDS_MAX, &w->seconds, w->err);
    case ARGP_KEY_ARG:
        if (w->word_count == WORDS_MAX)
            return error_set(w->err, ERROR_USAGE, "more than %d words", WORDS_MAX);
        w->words[w->word_count++] = argument;
        return 0;
    default: return 1;
    }
}

static error_t on_key(int key, char *argument, struct argp_state *state) {
    struct wishes *w = state->input;
    if (w->result < 0)
        return 0;
    int r = take_option(w, key, argument);
    if (r < 0)
        w->result = r;
    return r > 0 ? ARGP_ERR_UNKNOWN : 0;
}

static const char *const verbs[] = {[KV_PUT] = "put", [KV_DELETE] = "delete", [KV_GET] = "get"};

/* A text, or "hex:" and digits, or of a value "-": what comes by the standard input. */
static int take_bytes(const char *text, bool is_value, struct buffer *ret, struct error *err) {
    size_t size = strlen(text);
    if (is_value && text_equal(text, "-")) {
        char part[64 * 1024];
        while (!ret->overflowed && (size = fread(part, 1, sizeof part, stdin)) > 0)
            buffer_append(ret, part, size);
        if (ferror(stdin)) /* it is not known how much there was to come */
            return error_set_os(err, ERROR_IO, errno, "read the value from the standard input");
        return buffer_check(ret, "the value", err);
    }
    if (!text_starts(text, "hex:")) {
        buffer_append(ret, text, size);
        return buffer_check(ret, is_value ? "the value" : "the key", err);
    }
    size = (size - 4) / 2;
    uint8_t *bytes = buffer_reserve(ret, size);
    if (!bytes)
        return buffer_check(ret, is_value ? "the value" : "the key", err);
    if (strlen(text) % 2 != 0 || text_unhex(text + 4, bytes, size) < 0)
        return error_set(err, ERROR_USAGE, "'%s' is not in hexadecimal digits", text);
    buffer_commit(ret, size);
    return 0;
}

struct operation {
    enum kv_kind kind;
    struct buffer payload;
};

struct operations {
    struct operation list[OPERATIONS_MAX];
    size_t count;
    bool takes_input; /* one of them has the standard input as its value */
};

static void operations_deinit(struct operations *all) {
    for (size_t i = 0; i < all->count; i++)
        buffer_deinit(&all->list[i].payload);
}

/* The payload of a command whose words are there. */
static int make_payload(enum kv_kind kind, const char *const *words, struct buffer *ret,
                        struct error *err) {
    cleanup(buffer_deinit) struct buffer key, value;
    buffer_init(&key, KV_KEY_SIZE_MAX);
    buffer_init(&value, KV_VALUE_SIZE_MAX);
    if (take_bytes(words[0], false, &key, err) < 0 ||
        (kind == KV_PUT && take_bytes(words[1], true, &value, err) < 0))
        return -1;
    const struct kv_command c = {.kind = kind,
                                 .key = (const uint8_t *)key.data,
                                 .key_size = (uint32_t)key.size,
                                 .value = (const uint8_t *)value.data,
                                 .value_size = (uint32_t)value.size};
    if (c.key_size == 0)
        return error_set(err, ERROR_USAGE, "the key is empty");
    kv_encode(&c, buffer_reserve(ret, kv_size(&c)));
    buffer_commit(ret, kv_size(&c));
    return 0;
}

static enum kv_kind find_verb(const char *word) {
    for (enum kv_kind kind = KV_PUT; kind <= KV_GET; kind++)
        if (text_equal(word, verbs[kind]))
            return kind;
    return 0;
}

/* The words from there on. Returns how many it takes. */
static int add_operation(const struct wishes *w, size_t at, struct operations *all,
                         struct error *err) {
    enum kv_kind kind = at < w->word_count ? find_verb(w->words[at]) : 0;
    size_t words = kind == KV_PUT ? 3 : 2;
    if (!kind && at > 0)
        return error_set(err, ERROR_USAGE, "'%s' is one word too many", w->words[at]);
    if (!kind || w->word_count - at < words)
        return error_set(err, ERROR_USAGE, "say 'get KEY', 'put KEY VALUE' or 'delete KEY'");
    if (all->count == OPERATIONS_MAX)
        return error_set(err, ERROR_USAGE, "more than %d operations", OPERATIONS_MAX);
    if (kind == KV_PUT && text_equal(w->words[at + 2], "-")) {
        if (all->takes_input)
            return error_set(err, ERROR_USAGE, "the standard input is one value, not two");
        all->takes_input = true;
    }
    struct operation *o = &all->list[all->count++];
    o->kind = kind;
    buffer_init(&o->payload, WIRE_PAYLOAD_MAX);
    return make_payload(kind, &w->words[at + 1], &o->payload, err) < 0 ? -1 : (int)words;
}

static int make_operations(const struct wishes *w, struct operations *all, struct error *err) {
    size_t at = 0;
    do {
        int words = add_operation(w, at, all, err);
        if (words < 0)
            return -1;
        at += (size_t)words;
    } while (at < w->word_count);
    return 0;
}

/* ---- what the replicas say ---- */

struct answer {
    bool replied, has_value;
    struct wire_reply reply;
    uint64_t value_height;
    uint8_t hash[SHA256_SIZE]; /* of the value */
    struct buffer value;
};

struct asking {
    struct place place;
    uint16_t f, quorum;
    bool ordered_read;
    struct request_prover prover;
    struct talk *talks;     /* by replica; fd -1: not connected */
    struct answer *answers; /* by replica */
    struct error why;       /* the last of them that went */
    struct wire_request request;
    uint8_t payload_hash[SHA256_SIZE];
};

static bool reads(const struct asking *a) {
    return a->request.flags & WIRE_REQUEST_READ_ONLY;
}

static void forget_answers(struct asking *a) {
    for (uint16_t i = 0; i < a->place.n; i++) {
        buffer_deinit(&a->answers[i].value);
        a->answers[i] = (struct answer){.replied = false};
        buffer_init(&a->answers[i].value, KV_ANSWER_SIZE_MAX);
    }
}

static void lose(struct asking *a, uint16_t i, const struct error *why) {
    a->why = *why;
    talk_close(&a->talks[i]);
    a->talks[i] = TALK_NULL;
}

static void connect_all(struct asking *a, const struct task *task) {
    const struct wire_hello hello = {
        .role = WIRE_ROLE_CLIENT,
        .id = request_principal(a->request.client),
        .clients = {.first = a->request.client, .step = 1, .count = 1},
    };
    for (uint16_t i = 0; i < a->place.n; i++) {
        struct error why = ERROR_NULL;
        struct task greeting = task_within(task, GREETING_NS);
        if (talk_open(&a->talks[i], &greeting, &a->place, i, &hello, &why) < 0)
            lose(a, i, &why);
    }
}

static void send_to_all(struct asking *a, const struct task *task) {
    for (uint16_t i = 0; i < a->place.n; i++) {
        uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
        struct error why = ERROR_NULL;
        struct task greeting = task_within(task, GREETING_NS);
        if (a->talks[i].fd < 0)
            continue;
        size_t size = request_prove(&a->prover, &a->request, a->payload_hash, head);
        if (talk_send(&a->talks[i], &greeting, head, size, a->request.payload,
                      a->request.payload_size, a->payload_hash, &why) < 0)
            lose(a, i, &why);
    }
}

static int take_value(struct answer *answer, const struct asking *a, const uint8_t *body,
                      size_t size, struct error *err) {
    struct wire_value m;
    if (wire_value_decode(body, size, &m, err) < 0)
        return -1;
    if (m.client != a->request.client || m.number != a->request.number)
        return 0;
    buffer_clear(&answer->value);
    buffer_append(&answer->value, m.value, m.value_size);
    answer->value_height = m.height;
    answer->has_value = true;
    sha256_of(m.value, m.value_size, answer->hash);
    return buffer_check(&answer->value, "a value", err);
}

static int take_frame(struct asking *a, uint16_t i, const struct wire_header *header,
                      const uint8_t *body, struct error *err) {
    struct answer *answer = &a->answers[i];
    struct wire_reply m;
    if (header->type == WIRE_VALUE)
        return take_value(answer, a, body, header->body_size, err);
    if (header->type != WIRE_REPLY)
        return error_set(err, ERROR_INVALID, "an unexpected frame of type %u", header->type);
    if (wire_reply_decode(body, header->body_size, &m, err) < 0)
        return -1;
    if (m.client != a->request.client || m.number != a->request.number || m.replica != i)
        return 0; /* to what was asked before */
    answer->reply = m;
    answer->replied = true;
    return 0;
}

/* One that has more to say than anybody has asked keeps neither the others nor the time waiting. */
static void hear_one(struct asking *a, uint16_t i) {
    enum { AT_ONCE_MAX = 64 };
    struct wire_header header;
    struct error why = ERROR_NULL;
    const uint8_t *body;
    int r = 1;
    for (int k = 0; r > 0 && k < AT_ONCE_MAX; k++)
        if ((r = talk_receive(&a->talks[i], &header, &body, &why)) > 0)
            r = take_frame(a, i, &header, body, &why) < 0 ? -1 : 1;
    if (r < 0)
        lose(a, i, &why);
}

/* Whatever comes within the time. */
static void hear_all(struct asking *a, struct instant until) {
    struct pollfd fds[KEYS_REPLICAS_MAX];
    struct instant now = clock_instant();
    for (uint16_t i = 0; i < a->place.n; i++)
        fds[i] = (struct pollfd){.fd = a->talks[i].fd, .events = POLLIN};
    if (instant_passed(until, now))
        return;
    uint64_t ms = instant_ns_between(now, until) / NS_PER_MS + 1;
    if (poll(fds, a->place.n, (int)ms) <= 0)
        return;
    for (uint16_t i = 0; i < a->place.n; i++)
        if (fds[i].revents)
            hear_one(a, i);
}

/* ---- whether it is enough ---- */

/* A read may be of different heights, and says nothing about blocks. */
static bool alike(const struct asking *a, const struct answer *x, const struct answer *y) {
    if (!x->replied || !y->replied || x->reply.status != y->reply.status)
        return false;
    if (x->reply.status != WIRE_REPLY_OK)
        return true;
    return memcmp(x->reply.digest, y->reply.digest, sizeof x->reply.digest) == 0 &&
           (reads(a) || x->reply.height == y->reply.height);
}

static unsigned needed(const struct asking *a, enum wire_reply_status status) {
    bool of_one_will_do = status == WIRE_REPLY_REFUSED || a->ordered_read;
    return of_one_will_do ? a->f + 1u : a->quorum;
}

/* An answer that enough replicas give; NULL: none yet. */
static const struct answer *decided(const struct asking *a) {
    for (uint16_t i = 0; i < a->place.n; i++) {
        enum wire_reply_status status = a->answers[i].reply.status;
        unsigned count = 0;
        for (uint16_t k = 0; k < a->place.n; k++)
            count += alike(a, &a->answers[i], &a->answers[k]);
        if (status != WIRE_REPLY_OVERLOADED && count >= needed(a, status))
            return &a->answers[i];
    }
    return NULL;
}

/* The value of a read has the digest of the reply; of an ordered one, f + 1 have said it alike. */
static const struct answer *value_of(const struct asking *a, const struct wire_reply *reply) {
    for (uint16_t i = 0; i < a->place.n; i++) {
        const struct answer *x = &a->answers[i];
        unsigned count = 0;
        for (uint16_t k = 0; k < a->place.n; k++) {
            const struct answer *y = &a->answers[k];
            count += x->has_value && y->has_value && x->value_height == y->value_height &&
                     memcmp(x->hash, y->hash, sizeof x->hash) == 0;
        }
        if (reads(a) ? x->has_value && memcmp(x->hash, reply->digest, sizeof x->hash) == 0
                     : count > a->f && x->value_height == reply->height)
            return x;
    }
    return NULL;
}

static bool all_replied(const struct asking *a) {
    for (uint16_t i = 0; i < a->place.n; i++)
        if (a->talks[i].fd >= 0 && !a->answers[i].replied)
            return false;
    return true;
}

static unsigned connected(const struct asking *a) {
    unsigned count = 0;
    for (uint16_t i = 0; i < a->place.n; i++)
        count += a->talks[i].fd >= 0;
    return count;
}

/* ---- asking ---- */

static int check_time(const struct asking *a, const struct task *task, struct error *err) {
    unsigned have = connected(a);
    if (have <= a->f) {
        *err = a->why;
        return error_wrap(err, "%u of %u replicas can be asked, %u are needed", have, a->place.n,
                          a->f + 1u);
    }
    if (task_check(task, err) < 0)
        return error_wrap(err, "no answer that %u of %u replicas give alike",
                          needed(a, WIRE_REPLY_OK), a->place.n);
    return 0;
}

/* Whether there is more to wait for than the answer. */
static bool is_complete(const struct asking *a, const struct answer *answer) {
    return !a->ordered_read || answer->reply.status != WIRE_REPLY_OK ||
           value_of(a, &answer->reply) != NULL;
}

/* 0: `ret` is decided. 1: a read that there is no quorum for; or an ordered one whose value no f +
 * 1 have said, because a faulty one has said another: it is sent once, so it is to be ordered
 * again. */
static int ask(struct asking *a, const struct task *task, const struct answer **ret,
               struct error *err) {
    struct instant again = clock_instant();
    forget_answers(a);
    for (;;) {
        if (check_time(a, task, err) < 0)
            return -1;
        if (instant_passed(again, clock_instant())) {
            send_to_all(a, task);
            again = instant_after(clock_instant(), AGAIN_NS);
        }
        hear_all(a, instant_earlier(again, task->deadline));
        bool over = all_replied(a) || instant_passed(again, clock_instant());
        if ((*ret = decided(a)) && is_complete(a, *ret))
            return 0;
        if (over && (reads(a) || *ret))
            return 1;
    }
}

static int print_answer(const struct answer *value, struct error *err) {
    struct kv_answer answer;
    if (kv_answer_decode((const uint8_t *)value->value.data, value->value.size, &answer, err) < 0)
        return -1;
    if (!answer.found)
        return error_set(err, ERROR_NOT_FOUND, "there is no such key");
    fwrite(answer.value, 1, answer.value_size, stdout);
    putchar('\n');
    return 0;
}

/* As a read first, if it is one; then in order, again under another number where the value that
 * goes with the answer was lost. */
static int carry_out(struct asking *a, const struct task *task, enum kv_kind kind,
                     struct error *err) {
    for (a->request.flags = kind == KV_GET ? WIRE_REQUEST_READ_ONLY : 0;; a->request.number++) {
        const struct answer *answer, *value;
        int r = ask(a, task, &answer, err);
        if (r < 0)
            return -1;
        if (r == 0 && answer->reply.status == WIRE_REPLY_REFUSED)
            return error_set(err, ERROR_REFUSED, "the replicas refuse it: %s", answer->reply.text);
        if (r == 0 && kind != KV_GET) {
            printf("block %llu\n", (unsigned long long)answer->reply.height);
            return 0;
        }
        value = r == 0 ? value_of(a, &answer->reply) : NULL;
        if (value)
            return print_answer(value, err);
        a->request.flags = 0;
        a->ordered_read = true;
    }
}

static void asking_deinit(struct asking *a) {
    for (uint16_t i = 0; a->talks && i < a->place.n; i++) {
        talk_close(&a->talks[i]);
        buffer_deinit(&a->answers[i].value);
    }
    free(a->talks);
    free(a->answers);
    request_prover_deinit(&a->prover);
    place_deinit(&a->place);
}

static int open_asking(struct asking *a, const struct wishes *w, struct error *err) {
    uint16_t draw;
    if (place_find_as_loader(w->cluster, w->insecure ? NULL : w->keys, (uint16_t)w->loader,
                             &a->place, err) < 0 ||
        request_prover_init(&a->prover, a->place.identity, a->place.cluster->run, w->client_auth,
                            err) < 0)
        return -1;
    random_bytes(&draw, sizeof draw);
    a->f = (uint16_t)((a->place.n - 1) / 3);
    a->quorum = (uint16_t)((a->place.n + a->f) / 2 + 1);
    a->request = (struct wire_request){
        .client = (w->loader << WIRE_CLIENT_BITS) + 1 + draw % CLIENTS,
        .number = (uint64_t)clock_wall().ns,
    };
    a->talks = mem_new_array(struct talk, a->place.n);
    a->answers = mem_new_array(struct answer, a->place.n);
    for (uint16_t i = 0; i < a->place.n; i++)
        a->talks[i] = TALK_NULL;
    return 0;
}

/* One after the other; the first that fails is the last. */
static int run(const struct wishes *w, const struct operations *all, struct error *err) {
    cleanup(asking_deinit) struct asking a = {.prover = REQUEST_PROVER_NULL};
    const struct task forever = TASK_FOREVER;
    if (open_asking(&a, w, err) < 0)
        return -1;
    connect_all(&a, &forever);
    for (size_t i = 0; i < all->count; i++) {
        const struct operation *o = &all->list[i];
        struct task task = task_within(&forever, w->seconds * NS_PER_SEC);
        a.request.number++;
        a.request.payload = (const uint8_t *)o->payload.data;
        a.request.payload_size = (uint32_t)o->payload.size;
        a.ordered_read = false;
        sha256_of(o->payload.data, o->payload.size, a.payload_hash);
        if (carry_out(&a, &task, o->kind, err) < 0)
            return -1;
    }
    return 0;
}

int kv_main(int argc, char **argv, struct error *err) {
    const struct argp argp = {
        .options = table,
        .parser = on_key,
        .args_doc = "get KEY...\nput KEY VALUE...\ndelete KEY...",
        .doc = "A client of replicas that run with --handler kv. KEY and VALUE are texts, or hex: "
               "and hexadecimal digits; VALUE may be -, for the standard input. Several operations "
               "are done one after the other, until one fails: put a 1 get a delete a.",
    };
    struct wishes w = {.cluster = "/seatrial/cluster.yaml",
                       .keys = "/keys",
                       .client_auth = WIRE_AUTHENTICATOR_MACS,
                       .seconds = 30,
                       .err = err};
    cleanup(operations_deinit) struct operations all = {.count = 0};
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &w);
    if (w.result < 0 || make_operations(&w, &all, err) < 0) {
        err->kind = err->kind == ERROR_IO ? ERROR_IO : ERROR_USAGE;
        return -1;
    }
    return run(&w, &all, err);
}
