#pragma once

/*
 * A cluster of real replica processes on loopback ports, in a folder of its own, and a client that
 * keeps some requests under way, for the tests of `replica`. Whatever fails, fails the test.
 */

#include "lib/request_set.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STAGE_REPLICAS_MAX = 7, STAGE_CLIENTS = 8 };

struct replicas {
    char folder[64];
    unsigned n;
    const char *store;
    const char *option; /* one more, for those that are started; NULL */
    bool keys;          /* replicas_make_keys; else they run without */
    uint16_t ports[STAGE_REPLICAS_MAX];
    pid_t pids[STAGE_REPLICAS_MAX]; /* 0: not running */
};

/* Ports and cluster file; nothing runs yet. */
struct replicas replicas_prepare(unsigned n, const char *store);
/* Keys for all of them and two loaders, in the folder's `keys`; before they are started. */
void replicas_make_keys(struct replicas *r);
/* Started, and healthy. */
struct replicas replicas_up(unsigned n, const char *store);
void replicas_down(struct replicas *r); /* kills what still runs, removes the folder */

void replicas_start(struct replicas *r, unsigned i);
void replicas_wait_healthy(struct replicas *r, unsigned i);
/* Exit status of `replica OPTION` for replica i; what it prints comes back in `out`. */
int replicas_ask(struct replicas *r, unsigned i, const char *option, char *out, size_t size);
void replicas_signal(struct replicas *r, unsigned i, int signal);
/* Waits for its end: exit status, or 128 + signal. */
int replicas_wait(struct replicas *r, unsigned i);
/* SIGTERM to all, wait for all: all must end with 0. */
void replicas_stop(struct replicas *r);

/* Height of the last status, by `replica --status`. */
uint64_t replicas_height(struct replicas *r, unsigned i);
/* Waits until it is there. */
void replicas_wait_height(struct replicas *r, unsigned i, uint64_t height);
/* state.json */
void replicas_state(struct replicas *r, unsigned i, uint64_t *ret_height, char digest[65]);
struct request_set *replicas_executed(struct replicas *r, unsigned i);
/* All stopped ones that are listed in `mask` have the same chain, in which every acknowledged
 * request is exactly once. */
void replicas_assert_agreement(struct replicas *r, unsigned mask,
                               const struct request_set *acknowledged);
bool replicas_log_says(struct replicas *r, unsigned i, const char *text);

/* ---- a client: STAGE_CLIENTS logical clients on one connection, each with one request ---- */

struct load {
    int fd;
    uint64_t first_client;
    uint64_t numbers[STAGE_CLIENTS];
    bool waiting[STAGE_CLIENTS];
    struct wire_request shape; /* client and number are set by the load */
    struct request_set *acknowledged;
    uint64_t acknowledged_count;
    struct wire_reply last;
};

int replicas_connect(struct replicas *r, unsigned i);
/* Connects to replica i and says HELLO. */
struct load load_to(struct replicas *r, unsigned i, uint64_t first_client);
void load_deinit(struct load *l);
/* `count` more are acknowledged; each must be. */
void load_run(struct load *l, uint64_t count);
/* Fetches the answers to what is under way. */
void load_finish(struct load *l);
/* Sends requests of new clients until one is not acknowledged: its answer is in l->last. Those that
 * are acknowledged count. */
void load_run_into_failure(struct load *l);
/* One request of one client and its answer, whatever it is. */
struct wire_reply load_one(struct load *l, uint64_t client, uint64_t number);
