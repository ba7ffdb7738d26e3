#pragma once

/*
 * The caller's half of a command: its input is pulled and sent, its output and errors are received
 * and pushed, on the caller's thread, until both have ended. Whether the command runs here or on
 * another machine, it is descriptors that are pumped.
 */

#include "runner/remote/host.h"

struct pump {
    int input_fd;  /* a socket, or -1; shut down for writing when the input ends */
    int output_fd; /* may be the same */
    int errors_fd; /* or -1 */
};

/*
 * 0 once output and errors have ended; 1: the sink has had enough. A command that does not read all
 * of its input is not at fault. `ret->errors` is written in every case. Borrows the descriptors and
 * makes them non-blocking.
 */
int pump_run(const struct pump *pump, const struct host_exec *exec, const struct task *task,
             struct host_exec_result *ret, struct error *err);
