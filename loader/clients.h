#pragma once

/*
 * The clients of one thread: what each is doing, and the lines that they stand in. A client stands
 * in one line at most, linked through itself, so that nothing is allocated for it.
 */

#include <stdbool.h>
#include <stdint.h>

#define NOBODY UINT32_MAX

enum client_state {
    CLIENT_IDLE,    /* the load has nothing for it now */
    CLIENT_PAUSING, /* until intended_ns, after an overload */
    CLIENT_WAITING, /* its request is not begun */
    CLIENT_SENT,
};

/* Times are ns since the start of the run. */
struct client {
    enum client_state state;
    uint64_t number; /* of its request, or of its last one */
    uint64_t intended_ns;
    uint64_t sent_ns;
    uint32_t before, after;
};

/* First come, first out. In the line of those in flight, that is in order of intended times. */
struct line {
    uint32_t first, last;
    uint64_t count;
};

#define LINE_EMPTY ((struct line){.first = NOBODY, .last = NOBODY})

void line_append(struct line *line, struct client *clients, uint32_t index);
void line_remove(struct line *line, struct client *clients, uint32_t index);
