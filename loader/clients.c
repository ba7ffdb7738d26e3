#include "loader/clients.h"

void line_append(struct line *line, struct client *clients, uint32_t index) {
    struct client *c = &clients[index];
    c->before = line->last;
    c->after = NOBODY;
    if (line->last == NOBODY)
        line->first = index;
    else
        clients[line->last].after = index;
    line->last = index;
    line->count++;
}

void line_remove(struct line *line, struct client *clients, uint32_t index) {
    struct client *c = &clients[index];
    if (c->before == NOBODY)
        line->first = c->after;
    else
        clients[c->before].after = c->after;
    if (c->after == NOBODY)
        line->last = c->before;
    else
        clients[c->after].before = c->before;
    line->count--;
}
