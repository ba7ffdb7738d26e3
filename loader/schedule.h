#pragma once

/*
 * Which client sends which request next. In the closed loop a request is due the moment its client
 * is free: whoever is free asks for the next position, until as many were given out as the load
 * has. Numbers of a client rise by one from 1, whatever became of the earlier ones.
 *
 * Pure: no clock; the same questions get the same answers. An open loop will ask by position alone
 * and be told an intended time with it; drivers of several threads each have a schedule of their
 * own slice.
 */

#include <stdbool.h>
#include <stdint.h>

struct schedule_entry {
    uint64_t position; /* from 0, over all clients */
    uint32_t client;   /* its index in the pool */
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
