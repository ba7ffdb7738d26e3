#pragma once

/*
 * Our terminal in front of a command on another machine: raw while it runs, and as it was before
 * whatever happens; its size is told when it changes. Where standard input is no terminal, bytes
 * are passed all the same.
 */

#include "runner/remote/tunnel.h"

/* Writes its size into the job; whether it has changed. */
bool ssh_terminal_size(struct job *job);
/* Pumps standard input and output to and from `fd` until that ends. */
int ssh_terminal_run(struct tunnel *tunnel, struct job *job, int fd, const struct task *task,
                     struct error *err);
