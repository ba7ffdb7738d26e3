#include "lib/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p) {
    if (!p) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size) {
    return checked(malloc(size ? size : 1));
}

void *mem_zero(size_t count, size_t size) {
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *mem_resize(void *p, size_t count, size_t size) {
    return checked(reallocarray(p, count ? count : 1, size ? size : 1));
}

void *mem_dup(const void *data, size_t size) {
    void *copy = mem_alloc(size);
    if (size)
        memcpy(copy, data, size);
    return copy;
}
