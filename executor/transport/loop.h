#pragma once

/*
 * One epoll loop. Whoever is watched embeds a `struct watch` and is called when its descriptor is
 * ready. Errors and hang-ups are reported as readiness to read, so that the next read names them.
 */

#include "lib/clock.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;
    bool added;
    uint32_t events; /* EPOLLIN, EPOLLOUT; level-triggered */
    void (*ready)(struct watch *watch, uint32_t events);
};

struct loop {
    int fd;
    struct instant now; /* when the round began that runs */
};

#define LOOP_NULL ((struct loop){.fd = -1})

int loop_init(struct loop *loop, struct error *err);
void loop_deinit(struct loop *loop);

/* Begins to watch, or changes what for; 0 events: not watched. */
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events, struct error *err);
/* Before its descriptor is closed. A call for it in the round that runs may still come. */
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Waits until something is ready or the deadline has passed, and calls those that are ready. */
int loop_round(struct loop *loop, struct instant deadline, struct error *err);
