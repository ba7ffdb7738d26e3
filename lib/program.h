#pragma once

/*
 * A helper program that is asked something: it is started with the caller's environment, told its
 * input, heard until it closes its output, and waited for. What it says on stderr is for people.
 *
 * Nothing of it that we started is left, whatever becomes of the call: one that does not end in
 * time is killed. What it said may be a secret: our copies of it are overwritten.
 */

#include "lib/buffer.h"
#include "lib/task.h"

/*
 * `argv[0]` is looked for in PATH. `input`: a few bytes, at most PROGRAM_INPUT_MAX; NULL: nothing.
 * Appends what it prints to `output`, within its maximum. `ret_status` is as a shell has it: 128
 * and the signal where one ended it. Errors: ERROR_CONFIG (it cannot be run), ERROR_LIMIT,
 * ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_IO.
 */
enum { PROGRAM_INPUT_MAX = 64 * 1024 }; /* a socket takes so much at once */
int program_ask(char *const *argv, const char *input, const struct task *task,
                struct buffer *output, int *ret_status, struct error *err);
