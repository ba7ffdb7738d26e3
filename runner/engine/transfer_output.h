#pragma once

/*
 * What an engine says while it loads, pushes or pulls images, line by line. Pure.
 *
 * Source: Docker Engine API, ImageLoad, ImagePush and ImageCreate; moby's pkg/jsonmessage.
 */

#include "runner/engine/transfer.h"

struct transfer_output {
    const struct engine_transfer *transfer; /* or NULL */
    char failure[2048];                     /* the first error it told of; "" */
    char digest[ENGINE_DIGEST_SIZE];        /* of what was pushed or pulled; "" */
    struct engine_loaded loaded;
    size_t loaded_capacity;
};

#define TRANSFER_OUTPUT_NULL ((struct transfer_output){.transfer = NULL})
void transfer_output_deinit(struct transfer_output *output);

/* Shape of json_lines' on_line. */
int transfer_output_line(void *output, const char *line, size_t size, struct error *err);
