#pragma once

/*
 * Commands on this machine: a shell in a process group of its own, which is killed as a whole when
 * the task ends it. With a terminal it shares ours, and our group.
 */

#include "runner/remote/host.h"

/* As host_exec. */
int local_exec(const struct host_exec *exec, const struct task *task, struct host_exec_result *ret,
               struct error *err);
