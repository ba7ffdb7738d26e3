#pragma once

/* What writer and reader of requests.bin share; durations.h has the format. */

#include "loader/durations.h"

#include <assert.h>

enum {
    HEADER_SIZE = 24,
    START_AT = 16, /* in the header */
    VERSION = 2,
    VARINT_MAX = 10,
    RECORD_MAX = 5 * VARINT_MAX,
};
enum { MARK_END = 0, MARK_PIECE = 7 };
static const char magic[4] = {'S', 'T', 'R', 'Q'};
static_assert((int)OUTCOME_COUNT < (int)MARK_PIECE,
              "an outcome and the mark of a record share three bits");
