#pragma once

/* What the core's outcomes are called for people and on the wire. */

#include "executor/core/core.h"

#include "lib/wire.h"

enum wire_reply_status words_reply_status(enum core_reply_status status);
/* "" for CORE_REASON_NONE. */
const char *words_reason(enum core_reason reason);
/* Writes the line; true: a warning. */
bool words_note(const struct core_action *action, char *out, size_t size);
/* Why it is not healthy; "" if it is. */
void words_health(const struct core_status *status, uint16_t n, char *out, size_t size);
