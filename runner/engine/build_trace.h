#pragma once

/*
 * What BuildKit says while it builds: `moby.buildkit.trace` lines, each a StatusResponse of its
 * control API in protobuf. Made into text as people know it from `docker build --progress plain`:
 *
 *     #3 [build 2/4] RUN make
 *     #3 0.512 cc -o a a.c
 *     #3 DONE 1.8s
 *
 * Pure. The bytes are hostile: lengths are checked against what there is, nesting is what the
 * messages have, steps are counted.
 *
 * Source: github.com/moby/buildkit, api/services/control/control.proto; protobuf.dev's encoding.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BUILD_TRACE_STEPS_MAX = 10000, BUILD_TRACE_DIGEST_MAX = 96 };

struct build_trace_step {
    char digest[BUILD_TRACE_DIGEST_MAX];
    int64_t started_ns; /* 0: not yet */
    bool named, ended;
};

struct build_trace {
    /* Text, any number of lines or parts of one, followed by a NUL. A negative return ends it. */
    int (*on_text)(void *arg, const char *text, struct error *err);
    void *arg;
    struct build_trace_step *steps;
    size_t count, capacity;
    size_t open; /* the step, counted from 1, whose output ends within a line; 0: none */
};

void build_trace_deinit(struct build_trace *trace);

/* One message. Errors: ERROR_INVALID, ERROR_LIMIT, those of on_text. */
int build_trace_read(struct build_trace *trace, const void *data, size_t size, struct error *err);
