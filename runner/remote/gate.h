#pragma once

/*
 * How many connections of this process may knock at one sshd at once. An sshd drops those that are
 * not yet logged in when there are too many (MaxStartups), and newer ones punish the address.
 *
 * Threads: all functions from any thread.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdint.h>

enum { GATE_AT_ONCE = 2 };

struct gate;

/* Waits for its turn. */
int gate_enter(const char *address, uint16_t port, const struct task *task, struct gate **ret,
               struct error *err);
void gate_leave(struct gate *gate);
static inline void gate_leavep(struct gate **gate) {
    if (*gate)
        gate_leave(*gate);
}
