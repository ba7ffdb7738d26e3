#pragma once

/*
 * Errors.
 *
 * A function that can fail returns `int`: negative is a fault, described once in the caller's
 * `struct error` (always the last argument); zero is success; positive is an outcome which that
 * function documents and its caller must handle. A `ret_` output is written only on success.
 *
 * The innermost function says what went wrong (`error_set`); each outer one that knows more says
 * what it was doing (`error_wrap`), so that the text reads from the outside in:
 *
 *     start service 'db' on host 'n3': create container: image 'x:1' not found
 *
 * A hint tells the user what to do about it; the innermost hint wins. A function either reports an
 * error to the user or returns it, never both. Out of memory is not an error but the end
 * (memory.h); a broken promise of our own code is an assertion, and assertions stay on.
 */

#include <stdarg.h>
#include <stdbool.h>

/* kind, name (as users and JSON see it), exit status of the command, worth a retry? */
#define ERROR_KINDS(X)                                                                             \
    X(NONE, "none", 0, false)                                                                      \
    X(USAGE, "usage", 2, false)             /* the command line is wrong */                        \
    X(CONFIG, "configuration", 3, false)    /* a file the user wrote is wrong */                   \
    X(INVALID, "invalid", 1, false)         /* a peer sent what its protocol does not allow */     \
    X(NOT_FOUND, "not found", 1, false)     /* the thing asked for does not exist */               \
    X(CONFLICT, "conflict", 1, false)       /* it exists, or is in use by somebody else */         \
    X(REFUSED, "refused", 1, false)         /* a peer understood, and said no */                   \
    X(UNREACHABLE, "unreachable", 1, true)  /* nobody answers there, or the connection broke */    \
    X(TIMEOUT, "timeout", 1, true)          /* the deadline passed */                              \
    X(CANCELLED, "cancelled", 130, false)   /* the user, or another failure, ended it */           \
    X(IO, "i/o", 1, false)                  /* the operating system said no: disk, file, socket */ \
    X(LIMIT, "limit", 1, false)             /* larger or more than we accept */                    \
    X(FAILED, "failed", 1, false)           /* what was measured or built failed by itself */      \
    X(THRESHOLD, "threshold", 4, false)     /* it ran, and missed what was demanded */             \
    X(LEFT_BEHIND, "left behind", 5, false) /* something of ours still exists */

enum error_kind {
#define X(kind, name, exit_status, retryable) ERROR_##kind,
    ERROR_KINDS(X)
#undef X
};

enum { ERROR_TEXT_MAX = 4096, ERROR_HINT_MAX = 512 };

/* Zero-initialised is "no error". Owns nothing: plain text, cut at its maximum. */
struct error {
    enum error_kind kind;
    int os_errno; /* 0 unless the operating system said it */
    char text[ERROR_TEXT_MAX];
    char hint[ERROR_HINT_MAX];
};

#define ERROR_NULL ((struct error){.kind = ERROR_NONE})

/* No error, without clearing five kilobytes: for what is done for each message. */
static inline void error_init(struct error *err) {
    err->kind = ERROR_NONE;
    err->os_errno = 0;
    err->text[0] = err->hint[0] = '\0';
}

/* These macros are expressions of constant value -1: `return error_set(err, ERROR_IO, "...");` */
#define error_minus_one(call)                                                                      \
    ({                                                                                             \
        call;                                                                                      \
        -1;                                                                                        \
    })
#define error_set(err, kind, ...) error_minus_one(error_set_text((err), (kind), 0, __VA_ARGS__))
/* Appends ": " and the text of the errno value `os`. */
#define error_set_os(err, kind, os, ...)                                                           \
    error_minus_one(error_set_text((err), (kind), (os), __VA_ARGS__))
#define error_wrap(err, ...) error_minus_one(error_wrap_text((err), __VA_ARGS__))
#define error_hint(err, ...) error_minus_one(error_hint_text((err), __VA_ARGS__))

void error_set_text(struct error *err, enum error_kind kind, int os_errno, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void error_wrap_text(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void error_hint_text(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Back to "no error"; for the places where a fault has been handled. */
void error_clear(struct error *err);

const char *error_kind_name(enum error_kind kind);
int error_exit_status(enum error_kind kind);
bool error_retryable(enum error_kind kind);
