#pragma once

/*
 * Our own terminal in the hands of a program elsewhere: what is typed goes there as it is typed,
 * Ctrl-C too, and changes of the window's size are told.
 *
 * The terminal is given back by terminal_end, and at exit() where that was not reached.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>

struct terminal {
    int resize_fd; /* can be read after the size has changed; -1: not begun */
};
#define TERMINAL_NULL ((struct terminal){.resize_fd = -1})

/* Both stdin and stdout are one. */
bool terminal_is_there(void);

/* One at a time. */
int terminal_begin(struct terminal *t, struct error *err);
void terminal_end(struct terminal *t);

/* The size now; takes what can be read from resize_fd (`terminal` is a struct terminal). */
void terminal_size(void *terminal, unsigned *ret_rows, unsigned *ret_columns);

/* All of it to stdout or stderr, whatever they are. Errors: ERROR_IO, those of the task. */
int terminal_write(int fd, const void *data, size_t size, const struct task *task,
                   struct error *err);
