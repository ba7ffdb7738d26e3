#pragma once

/* Folders of cases: NAME.case goes in, what comes out is compared with NAME.expected, or written
 * there where SEATRIAL_GOLDEN_UPDATE is set. */

#include "lib/buffer.h"

#include <stdbool.h>

/* `text` may be written to. False: it cannot be played, and has printed why. */
typedef bool golden_play(const char *name, char *text, struct buffer *out);

/* main(): one argument, the folder, with at least one case in it. Returns the exit status. */
int golden_main(int argc, char **argv, golden_play *play);
