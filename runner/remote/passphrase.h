#pragma once

/*
 * Passphrases of private keys: asked of the user on the terminal without echo, or by the program
 * that SSH_ASKPASS names, under the same conditions as ssh; remembered in locked memory that core
 * dumps leave out, so that forty hosts ask once; wiped when the process ends.
 *
 * While it asks, the terminal sends no signals: Ctrl-C and Ctrl-Z are read as characters, the
 * terminal is restored, and then they do what they always do. So does whatever ends the task.
 *
 * Threads: any; one asks at a time, the others wait as long as their task allows.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>

enum { PASSPHRASE_SIZE_MAX = 1024, PASSPHRASE_ATTEMPTS = 3 };

/* 0: it was the right one; 1: it was not; negative: an error, and nobody is asked again. */
typedef int (*passphrase_try)(void *context, const char *passphrase, struct error *err);

/*
 * Offers `try` what is remembered for `file`, then what the user says, at most three times.
 * ERROR_REFUSED: nobody to ask, or nobody knew it (then nobody is asked for this file again);
 * ERROR_TIMEOUT, ERROR_CANCELLED.
 */
int passphrase_open(const char *file, const struct task *task, passphrase_try try, void *context,
                    struct error *err);

/* Wipes all that is remembered. */
void passphrase_forget(void);
