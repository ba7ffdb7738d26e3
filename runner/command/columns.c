#include "runner/command/columns.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_MAX = 4096, GAP = 3 };

void columns_init(struct columns *c, size_t width) {
    *c = (struct columns){.width = width};
}

void columns_deinit(struct columns *c) {
    for (size_t i = 0; i < c->count; i++)
        free(c->cells[i]);
    free(c->cells);
    columns_init(c, 0);
}

void columns_add(struct columns *c, const char *text) {
    char cell[CELL_MAX];
    mem_grow(c->cells, c->count, c->capacity);
    c->cells[c->count++] = text_dup(text_safe(text ? text : "", cell, sizeof cell));
}

/* Characters, not bytes: a cell is UTF-8 once it is harmless. */
static size_t cell_width(const char *cell) {
    size_t width = 0;
    for (; *cell; cell++)
        width += ((unsigned char)*cell & 0xc0) != 0x80;
    return width;
}

void columns_print(const struct columns *c) {
    cleanup_free size_t *widths = mem_new_array(size_t, c->width);
    size_t whole = c->width ? c->count - c->count % c->width : 0;
    for (size_t i = 0; i < whole; i++) {
        size_t width = cell_width(c->cells[i]);
        size_t *widest = &widths[i % c->width];
        *widest = width > *widest ? width : *widest;
    }
    for (size_t row = 0; row < whole; row += c->width) {
        size_t gap = 0; /* owed to the next cell that is not empty */
        for (size_t i = 0; i < c->width; i++) {
            const char *cell = c->cells[row + i];
            if (*cell)
                printf("%*s%s", (int)gap, "", cell);
            gap = (*cell ? 0 : gap) + widths[i] - cell_width(cell) + GAP;
        }
        putchar('\n');
    }
}
