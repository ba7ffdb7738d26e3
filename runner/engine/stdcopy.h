#pragma once

/*
 * Takes apart what the engine multiplexes: frames of 8 bytes of header (stream, three zeros, size
 * in big endian) and their payload. Nothing is kept but an unfinished header: payload is handed on
 * in the pieces it arrives in.
 *
 * Errors: ERROR_INVALID for what cannot be a header (a container with a terminal is not
 *         multiplexed) and for an end inside a frame; ERROR_REFUSED for the engine's own error
 * stream. Source: Docker Engine API, "Stream format" of ContainerAttach.
 */

#include "lib/error.h"
#include "runner/engine/log.h"

#include <stddef.h>
#include <stdint.h>

struct stdcopy {
    unsigned char header[8];
    size_t header_size;
    uint32_t left; /* of the frame's payload */
    bool first;    /* no byte of the payload came yet */
    char refusal[512];
    size_t refusal_size;
    /* `first`: the piece begins a frame. Non-zero ends the push with it. */
    int (*on_piece)(void *arg, enum engine_stream stream, bool first, const char *data, size_t size,
                    struct error *err);
    void *arg;
};

/* Shape of a sink's push. */
int stdcopy_push(void *stdcopy, const void *data, size_t size, struct error *err);
int stdcopy_end(const struct stdcopy *s, struct error *err);
