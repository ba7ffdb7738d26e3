#pragma once

/*
 * Lines in which things of one array stand, first come, first out. Each stands in one line at most,
 * linked through an array of links beside its own, so that nothing is allocated to stand in line or
 * to leave it, from any place of it.
 */

#include <stdint.h>

#define NOBODY UINT32_MAX

struct link {
    uint32_t before, after;
};

struct line {
    uint32_t first, last;
    uint64_t count;
};

#define LINE_EMPTY ((struct line){.first = NOBODY, .last = NOBODY})

void line_append(struct line *line, struct link *links, uint32_t index);
void line_remove(struct line *line, struct link *links, uint32_t index);
