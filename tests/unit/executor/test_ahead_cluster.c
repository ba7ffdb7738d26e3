/*
 * Four replicas that execute ahead of the order, one of them the primary and one a liar, over a
 * network that delays, reorders and loses, while what they would read changes. Whatever happens,
 * the primary orders each request once, and what it says an execution has given, a correct replica
 * has found by executing.
 */

#include "executor/ahead.h"

#include "lib/memory.h"
#include "tests/unit/executor/signers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    N = SIGNERS,
    LIAR = 3,
    CLIENTS = 8,
    NUMBERS = 5,
    SEEDS = 60,
    EVENTS_MAX = 1024,
    VERSIONS = 64
};
#define MS UINT64_C(1000000)

enum kind { EVENT_EXECUTE, EVENT_EXECUTED, EVENT_DONE };

struct event {
    enum kind kind;
    uint16_t from, to;
    uint64_t client, number;
    struct request *request; /* DONE */
    struct codec_execution execution;
};

struct node {
    uint16_t index;
    uint8_t version; /* of what it would read */
    struct ahead *ahead;
};

static struct node nodes[N];
static struct event events[EVENTS_MAX];
static size_t event_count;
static uint64_t random_state, now_ns;
static unsigned ordered[CLIENTS + 1][NUMBERS + 1], endorsed;
/* By request: which versions a correct replica has found. */
static bool found[CLIENTS + 1][NUMBERS + 1][VERSIONS];

static uint64_t draw(uint64_t below) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % below;
}

static struct request *make_request(uint64_t client, uint64_t number) {
    struct request *request = mem_new(struct request);
    request->references = 1;
    request->command = (struct command){.client = client, .number = number, .execution_ms = 5};
    request->digest[0] = (uint8_t)client;
    request->digest[1] = (uint8_t)number;
    return request;
}

static void plan(struct event event) {
    assert_true(event_count < EVENTS_MAX);
    events[event_count++] = event;
}

/* ---- what they do ---- */

static bool execute(void *context, struct request *request) {
    const struct node *node = context;
    if (draw(20) == 0)
        return false;
    plan((struct event){.kind = EVENT_DONE, .to = node->index, .request = request});
    return true;
}

static void fan_out(void *context, const struct request *request) {
    const struct node *node = context;
    for (uint16_t i = 0; i < (uint16_t)N; i++)
        if (i != node->index && draw(8) > 0)
            plan((struct event){.kind = EVENT_EXECUTE,
                                .from = node->index,
                                .to = i,
                                .client = request->command.client,
                                .number = request->command.number});
}

static void tell(void *context, uint16_t peer, const struct codec_execution *execution) {
    const struct node *node = context;
    struct event event = {
        .kind = EVENT_EXECUTED, .from = node->index, .to = peer, .execution = *execution};
    if (node->index == LIAR && draw(3) > 0)
        event.execution.signature[draw(AUTH_SIGNATURE_SIZE)] ^= 1;
    if (draw(8) > 0)
        plan(event);
}

static void order_it(void *context, struct request *request) {
    uint64_t client = request->command.client, number = request->command.number;
    assert_ptr_equal(context, &nodes[0]);
    ordered[client][number]++;
    if (request->endorsed) {
        endorsed++;
        assert_true(found[client][number][request->endorsed->execution.read_set[0]]);
        for (size_t i = 0; i < N; i++)
            assert_true(endorsed_verify(&signers[i], request->digest, request->endorsed));
    }
    request_unref(request);
}

static void blame(void *context, uint16_t peer, const char *why) {
    (void)context;
    (void)why;
    assert_int_equal(peer, LIAR);
}

static bool leads(void *context, uint64_t view) {
    (void)view;
    return ((struct node *)context)->index == 0;
}

/* ---- what happens to them ---- */

static void done(struct node *node, struct request *request) {
    uint8_t signature[AUTH_SIGNATURE_SIZE];
    struct execution execution = {.read_set = {node->version}};
    if (node->index == LIAR)
        execution.read_set[0] = (uint8_t)draw(VERSIONS);
    else
        found[request->command.client][request->command.number][node->version] = true;
    execution_sign(&signers[node->index], request->digest, &execution, signature);
    ahead_executed(node->ahead, request, &execution, signature, now_ns);
}

static void happen(const struct event *event) {
    struct node *to = &nodes[event->to];
    switch (event->kind) {
    case EVENT_EXECUTE:
        ahead_asked(to->ahead, event->from, make_request(event->client, event->number));
        return;
    case EVENT_EXECUTED: ahead_told(to->ahead, event->from, &event->execution); return;
    case EVENT_DONE: done(to, event->request); return;
    }
}

static void step(void) {
    now_ns += draw(20) * MS;
    if (draw(6) == 0) { /* something is written: each comes to it in its own time */
        struct node *node = &nodes[draw(N)];
        node->version = (uint8_t)(node->version + (node->version + 1 < VERSIONS));
    }
    if (event_count > 0) {
        size_t i = draw(event_count);
        struct event event = events[i];
        events[i] = events[--event_count];
        happen(&event);
    }
    ahead_tick(nodes[0].ahead, now_ns);
}

/* A client has one request at a time, asks again, and goes on when it is ordered. */
static void ask(uint64_t client, const uint64_t numbers[CLIENTS + 1]) {
    struct request *request = make_request(client, numbers[client]);
    if (ahead_begin(nodes[0].ahead, request, 0, now_ns) != AHEAD_TAKEN)
        request_unref(request);
}

static void start_nodes(uint64_t seed) {
    random_state = seed;
    now_ns = 1;
    memset(ordered, 0, sizeof ordered);
    memset(found, 0, sizeof found);
    for (uint16_t i = 0; i < (uint16_t)N; i++) {
        const struct ahead_config config = {
            .replica = i,
            .n = N,
            .f = 1,
            .clients_max = CLIENTS,
            .auth = &signers[i],
            .ops = {&nodes[i], execute, fan_out, tell, order_it, blame, leads},
        };
        nodes[i] = (struct node){.index = i, .ahead = ahead_new(&config)};
    }
}

static void stop_nodes(void) {
    for (; event_count > 0; event_count--)
        if (events[event_count - 1].request)
            request_unref(events[event_count - 1].request);
    for (size_t i = 0; i < N; i++)
        ahead_free(nodes[i].ahead);
}

static void run(uint64_t seed) {
    uint64_t numbers[CLIENTS + 1];
    uint64_t served = 0;
    for (uint64_t i = 0; i <= CLIENTS; i++)
        numbers[i] = 1;
    start_nodes(seed);
    for (unsigned i = 0; served < CLIENTS * NUMBERS; i++) {
        uint64_t client = 1 + draw(CLIENTS);
        if (i > 100000)
            fail_msg("seed %llu: nothing is ordered any more", (unsigned long long)seed);
        if (numbers[client] <= NUMBERS && ordered[client][numbers[client]] > 0) {
            numbers[client]++;
            served++;
        }
        if (numbers[client] <= NUMBERS && event_count < EVENTS_MAX / 2)
            ask(client, numbers);
        step();
    }
    for (uint64_t client = 1; client <= CLIENTS; client++)
        for (uint64_t number = 1; number <= NUMBERS; number++)
            if (ordered[client][number] != 1)
                fail_msg("seed %llu: request %llu of client %llu was ordered %u times",
                         (unsigned long long)seed, (unsigned long long)number,
                         (unsigned long long)client, ordered[client][number]);
    stop_nodes();
}

static void whatever_one_does_a_request_is_ordered_once_and_rightly(void **state) {
    (void)state;
    endorsed = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
    /* Both ways are taken. */
    assert_in_range(endorsed, SEEDS, SEEDS * CLIENTS * NUMBERS - SEEDS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_one_does_a_request_is_ordered_once_and_rightly),
    };
    return cmocka_run_group_tests(tests, signers_make, signers_forget);
}
