#pragma once

/*
 * Scoped ownership. A variable declared with a `cleanup_*` attribute releases what it owns when its
 * scope ends, so that every error path is one `return`. Ownership leaves by `take_ptr` or `take_fd`
 * on the one line where it does.
 *
 *     cleanup_free char *name = text_dup("x");
 *     ...
 *     *ret_name = take_ptr(name);
 *     return 0;
 *
 * A type with `x_free(struct x *)` gets its attribute by `DEFINE_CLEANUP_FREE(x);` beside the
 * declaration of x_free and is used as `cleanup(x_freep)`; a type with `x_deinit(struct x *)`
 * needs nothing more: `cleanup(x_deinit)`.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(function) __attribute__((cleanup(function)))

#define DEFINE_CLEANUP_FREE(name)                                                                  \
    static inline void name##_freep(struct name **p) {                                             \
        if (*p)                                                                                    \
            name##_free(*p);                                                                       \
    }                                                                                              \
    struct name /* swallows the semicolon */

static inline void cleanup_free_impl(void *p) {
    free(*(void **)p);
}
static inline void cleanup_close_impl(const int *fd) {
    if (*fd >= 0)
        close(*fd);
}
static inline void cleanup_fclose_impl(FILE **f) {
    if (*f)
        fclose(*f);
}
static inline void cleanup_closedir_impl(DIR **d) {
    if (*d)
        closedir(*d);
}

#define cleanup_free cleanup(cleanup_free_impl)
#define cleanup_close cleanup(cleanup_close_impl)
#define cleanup_fclose cleanup(cleanup_fclose_impl)
#define cleanup_closedir cleanup(cleanup_closedir_impl)

#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *take_from_ = &(p);                                                          \
        __typeof__(p) taken_ = *take_from_;                                                        \
        *take_from_ = NULL;                                                                        \
        taken_;                                                                                    \
    })

static inline int take_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}
