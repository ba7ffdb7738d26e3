#pragma once

/*
 * Runs gdb on a core dump, on this machine, within limits of time, memory and output (backtrace.h
 * says why).
 */

#include "lib/buffer.h"
#include "lib/error.h"
#include "lib/task.h"
#include "runner/collect/backtrace.h"

enum { DEBUGGER_OUTPUT_MAX = 4 << 20 };

/*
 * Its words go into `ret`, of at most DEBUGGER_OUTPUT_MAX bytes: the first of them, and a sentence
 * that says so when it was cut off or ended with an error. Returns 1 when there is no gdb here.
 * Errors: ERROR_CANCELLED, ERROR_IO.
 */
int debugger_run(const struct backtrace_want *want, const struct task *task, struct buffer *ret,
                 struct error *err);
