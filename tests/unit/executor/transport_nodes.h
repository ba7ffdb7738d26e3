#pragma once

/*
 * Transports of a small cluster, in one process and one loop: what tests of the transport share.
 * Their owners note what reaches them. A test opens those that it wants, and is a client or peer of
 * them by sockets of its own; whatever fails, fails the test.
 */

#include "executor/transport/transport.h"

#include "lib/clock.h"
#include "lib/identity.h"
#include "lib/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NODES = 3 };

struct node {
    struct transport *transport;
    struct transport_config config;
    unsigned up[NODES];
    unsigned down[NODES];
    bool tells; /* replica 1, by a byte, when another one is down */
    unsigned client_frames;
    uint64_t client_up_origin;
    struct wire_clients last_clients;
    uint64_t last_origin;
    uint16_t last_loader;
    size_t peer_bytes;
    struct blob *last; /* the last body that a peer sent, taken */
    char noted[4096];
};

extern struct loop loop;
extern struct transport_address addresses[NODES];
extern struct node nodes[NODES];
extern struct identity *ids[NODES];        /* NULL: without keys */
extern uint32_t hello_ms, connections_max; /* of nodes that are opened; 0: as usual */
extern struct identity *loader_id;

/* Of a test; nothing is open yet. */
int set_up(void **state);
int set_up_with_keys(void **state);
int tear_down(void **state);

void open_node(uint16_t i);
void close_node(uint16_t i);

/* Runs all nodes until the condition holds; ten seconds are far more than it takes. */
#define RUN_UNTIL(condition)                                                                       \
    do {                                                                                           \
        struct instant end_ = instant_after(clock_instant(), 10 * NS_PER_SEC);                     \
        while (!(condition)) {                                                                     \
            if (instant_passed(end_, clock_instant()))                                             \
                fail_msg("never: %s", #condition);                                                 \
            run_round();                                                                           \
        }                                                                                          \
    } while (0)

void run_round(void);

/* A stranger, who does not block. */
int connect_to(uint16_t i);
void say_hello(int fd, enum wire_role role, uint64_t id, const char *run);
struct wire_hello_answer read_answer(int fd);
bool is_closed(int fd);
