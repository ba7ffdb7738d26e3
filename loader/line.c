#include "loader/line.h"

void line_append(struct line *line, struct link *links, uint32_t index) {
    links[index] = (struct link){.before = line->last, .after = NOBODY};
    if (line->last == NOBODY)
        line->first = index;
    else
        links[line->last].after = index;
    line->last = index;
    line->count++;
}

void line_remove(struct line *line, struct link *links, uint32_t index) {
    const struct link own = links[index];
    if (own.before == NOBODY)
        line->first = own.after;
    else
        links[own.before].after = own.after;
    if (own.after == NOBODY)
        line->last = own.before;
    else
        links[own.after].before = own.before;
    line->count--;
}
