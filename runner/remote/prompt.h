#pragma once

/*
 * Asks the user for a secret: on the terminal, or by SSH_ASKPASS. SSH_ASKPASS_REQUIRE decides
 * between them as in ssh(1): `force`, `prefer`, `never`; without it the terminal is asked, and
 * where there is none and DISPLAY (or WAYLAND_DISPLAY) is set, the program.
 *
 * Threads: one at a time.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stddef.h>

/* 1: the user declined (end of input, or the program failed). ERROR_REFUSED: nobody to ask. */
int prompt_secret(const char *question, char *ret, size_t ret_size, const struct task *task,
                  struct error *err);
