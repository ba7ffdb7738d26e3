#pragma once

/*
 * Ctrl-C and its kin. The first SIGINT, SIGTERM or SIGHUP raises `interrupt_cancel` to level 1: end
 * the load, collect, clean up. The next one raises it to 2: stop waiting, say what was left.
 */

#include "lib/task.h"

extern struct cancel interrupt_cancel;

/* Once per process, before threads. SIGPIPE is ignored from then on. */
int interrupt_watch(struct error *err);

/* 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP; 0 while there was none. */
int interrupt_exit_status(void);
