#pragma once

/*
 * Which client sends which request next. In the closed loop a request is due the moment its client
 * is free: whoever is free asks for the next position, until as many were given out as the load
 * has. Numbers of a client rise by one from 1, whatever became of the earlier ones.
 *
 * A load is cut into a slice for each thread: clients by index modulo the number of threads, and a
 * share of the requests in proportion, so that all slices end together.
 *
 * Pure: no clock; the same questions get the same answers.
 */

#include <stdbool.h>
#include <stdint.h>

/* Clients in slice `thread`: those of index thread, thread + threads, ... */
uint32_t slice_clients(uint32_t clients, uint32_t thread, uint32_t threads);
/* A closed loop's requests in it: as many per client as in any other slice. They add up to all. */
uint64_t slice_requests(uint64_t requests, uint32_t clients, uint32_t thread, uint32_t threads);

struct schedule_entry {
    uint64_t position; /* from 0, over all clients of the slice */
    uint32_t client;   /* its index in the slice */
    uint64_t number;   /* from 1, of this client */
};

struct schedule {
    uint64_t requests; /* to give out in all */
    uint64_t position; /* given out so far */
    uint32_t clients;
    uint64_t *numbers; /* the last one of each client */
};

#define SCHEDULE_NULL ((struct schedule){.numbers = NULL})

void schedule_init(struct schedule *s, uint64_t requests, uint32_t clients);
void schedule_deinit(struct schedule *s);

/* false when the load has no request left. */
bool schedule_next(struct schedule *s, uint32_t client, struct schedule_entry *ret);
