#pragma once

/* What the core's outcomes are called for people and on the wire. */

#include "executor/pbft/pbft.h"

#include "lib/wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_reply_status words_reply_status(enum pbft_reply_status status);
/* "" for PBFT_REASON_NONE. */
const char *words_reason(enum pbft_reason reason);
/* Writes the line; true: a warning. */
bool words_note(const struct pbft_action *action, char *out, size_t size);
/* Why it is not healthy; "" if it is. */
void words_health(const struct pbft_status *status, uint16_t n, char *out, size_t size);
