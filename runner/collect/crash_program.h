#pragma once

/*
 * A program that does nothing but crash, for a test of what becomes of core dumps on a host: one
 * instruction that no processor knows, in an ELF file made here, for whatever machine the engine
 * runs on. So the test needs no image, no registry and no file of ours. Pure.
 */

#include "lib/buffer.h"

enum { CRASH_PROGRAM_SIZE_MAX = 4096, CRASH_PROGRAM_ID_SIZE = 20 };

/* The signal that ends it: SIGILL. */
enum { CRASH_PROGRAM_SIGNAL = 4 };

/*
 * Appends the program for an engine's `architecture` ("x86_64", "amd64", "aarch64", ...), with a
 * build-id by which its core dump is known. Returns 1 for a machine of which we know no such
 * instruction.
 */
int crash_program(const char *architecture, const unsigned char id[CRASH_PROGRAM_ID_SIZE],
                  struct buffer *ret);
