#include "lib/stream.h"

#include <string.h>

static ssize_t memory_pull(void *arg, void *data, size_t size, struct error *err) {
    (void)err;
    struct memory_source *m = arg;
    size_t n = size < m->size ? size : m->size;
    if (n)
        memcpy(data, m->data, n);
    m->data += n;
    m->size -= n;
    return (ssize_t)n;
}

struct source memory_source(struct memory_source *m) {
    return (struct source){.pull = memory_pull, .arg = m};
}
