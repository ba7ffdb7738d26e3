#include "lib/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_status;
    bool retryable;
} kinds[] = {
#define X(kind, name, exit_status, retryable) [ERROR_##kind] = {name, exit_status, retryable},
    ERROR_KINDS(X)
#undef X
};

void error_set_text(struct error *err, enum error_kind kind, int os_errno, const char *format,
                    ...) {
    assert(err && kind != ERROR_NONE);
    err->kind = kind;
    err->os_errno = os_errno;
    err->hint[0] = '\0';

    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);

    if (os_errno && n >= 0 && (size_t)n < sizeof err->text) {
        char reason[128];
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s",
                 strerror_r(os_errno, reason, sizeof reason));
    }
}

void error_wrap_text(struct error *err, const char *format, ...) {
    assert(err && err->kind != ERROR_NONE);
    char inner[ERROR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);

    va_list args;
    va_start(args, format);
    int n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
}

void error_hint_text(struct error *err, const char *format, ...) {
    assert(err && err->kind != ERROR_NONE);
    if (err->hint[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

void error_clear(struct error *err) {
    error_init(err);
}

const char *error_kind_name(enum error_kind kind) {
    return kinds[kind].name;
}

int error_exit_status(enum error_kind kind) {
    return kinds[kind].exit_status;
}

bool error_retryable(enum error_kind kind) {
    return kinds[kind].retryable;
}
