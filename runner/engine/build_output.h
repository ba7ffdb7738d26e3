#pragma once

/*
 * What a build says, one JSON value per line, as events. Pure.
 */

#include "runner/engine/build_trace.h"
#include "runner/engine/image.h"

struct build_output {
    int (*on_event)(void *arg, const struct engine_build_event *event, struct error *err);
    void *arg;
    char image_id[ENGINE_IMAGE_ID_SIZE]; /* "" until one was told */
    char failure[2048];                  /* "" or why the build failed, harmless */
    struct build_trace trace;            /* BuildKit's */
};

void build_output_init(struct build_output *out,
                       int (*on_event)(void *arg, const struct engine_build_event *event,
                                       struct error *err),
                       void *arg);
void build_output_deinit(struct build_output *out);

/* One line. Errors: ERROR_INVALID, ERROR_LIMIT, and those of on_event. */
int build_output_line(void *build_output, const char *line, size_t size, struct error *err);
