#pragma once

/*
 * The core's messages as frames (lib/wire.h): each between replicas that have said HELLO. Beside
 * the pure core, because errors are texts.
 *
 * APPEND carries the request as its client sent it, so that the bytes go from the client's
 * connection to the backups' uncopied: the frame ends with the body of that REQUEST.
 */

#include "executor/core/core.h"

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CODEC_APPEND_FIELDS_SIZE = 8 + 1, /* height, pre-executed */
    CODEC_HEAD_SIZE_MAX = 12 + 8 + CORE_DIGEST_SIZE,
};

/* The frame without the request's bytes, which the header counts. Returns the size of the head. */
size_t codec_encode(const struct core_message *m, uint8_t out[CODEC_HEAD_SIZE_MAX]);

/*
 * Of an APPEND only type, height and pre_executed are set; *ret_request_offset says where in the
 * body the REQUEST's body begins (the size of the body if there is none).
 */
int codec_decode(uint8_t type, const uint8_t *body, size_t size, struct core_message *ret,
                 size_t *ret_request_offset, struct error *err);
