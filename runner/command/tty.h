#pragma once

/*
 * Our own terminal in the hands of a program elsewhere: what is typed goes there as it is typed,
 * Ctrl-C too, and changes of the window's size are told.
 *
 * The terminal is given back by tty_end, and at exit() where that was not reached.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>

struct tty {
    int resize_fd; /* can be read after the size has changed; -1: not begun */
};
#define TTY_NULL ((struct tty){.resize_fd = -1})

/* Both stdin and stdout are one. */
bool tty_is_there(void);

/* One at a time. */
int tty_begin(struct tty *t, struct error *err);
void tty_end(struct tty *t);

/* The size now; takes what can be read from resize_fd (`tty` is a struct tty). */
void tty_size(void *tty, unsigned *ret_rows, unsigned *ret_columns);

/* All of it to stdout or stderr, whatever they are. Errors: ERROR_IO, those of the task. */
int tty_write(int fd, const void *data, size_t size, const struct task *task, struct error *err);
