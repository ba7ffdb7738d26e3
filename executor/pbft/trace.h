#pragma once

/*
 * What the core says and does, as text for people: a line for each action, in the words of the
 * papers. The log has it at level DEBUG of `core`, and the golden traces (tests/golden/pbft) are
 * made of it.
 *
 * Shape: requests are CLIENT#NUMBER, a batch is [1#1 2#1] (the null request is []), digests are
 *        their first four digits, a certificate is NUMBER@VIEW:DIGEST.
 */

#include "executor/pbft/pbft.h"

#include "lib/buffer.h"

/* "PRE-PREPARE", for labels: "pre_prepare" */
const char *trace_message_name(enum pbft_message_type type);
const char *trace_message_label(enum pbft_message_type type);
const char *trace_note_label(enum pbft_note note);

void trace_message(struct buffer *out, const struct pbft_message *m);
/* Without an end of line. */
void trace_action(struct buffer *out, const struct pbft_action *action);
