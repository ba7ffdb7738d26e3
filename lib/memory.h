#pragma once

/*
 * Memory. Running out of it ends the program with a message: no caller can do better, and no error
 * path has to be written for it. Everything here is released with free().
 */

#include <stddef.h>

/* Zeroed. */
#define mem_new(type) ((type *)mem_zero(1, sizeof(type)))
#define mem_new_array(type, count) ((type *)mem_zero((count), sizeof(type)))

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zero(size_t count, size_t size) __attribute__((returns_nonnull));
/* As reallocarray(): checks the product for overflow. */
void *mem_resize(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
void *mem_dup(const void *data, size_t size) __attribute__((returns_nonnull));

/*
 * Grows the array `items` (a pointer lvalue) of capacity `capacity` (a size_t lvalue) so that one
 * more than `count` fits. New elements are not cleared.
 */
#define mem_grow(items, count, capacity)                                                           \
    do {                                                                                           \
        if ((count) == (capacity)) {                                                               \
            (capacity) = (capacity) ? 2 * (capacity) : 8;                                          \
            (items) = mem_resize((items), (capacity), sizeof *(items));                            \
        }                                                                                          \
    } while (0)
