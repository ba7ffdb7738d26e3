#pragma once

/*
 * A table for a terminal: each column as wide as its widest cell, three spaces between, as
 * `docker compose` prints it. What is put in is made harmless.
 */

#include <stddef.h>

struct columns {
    size_t width; /* cells of a row */
    char **cells;
    size_t count, capacity;
};

void columns_init(struct columns *c, size_t width);
void columns_deinit(struct columns *c);

/* The next cell, left to right, row by row; NULL is "". */
void columns_add(struct columns *c, const char *text);

/* To stdout. Only whole rows. */
void columns_print(const struct columns *c);
