#pragma once

/*
 * Backtraces of core dumps, by gdb: how it is called, and what is read from its words. Pure.
 *
 * A core dump is hostile, and gdb was not written for hostile input. It is given nothing that it
 * could run (no init files, no scripts beside programs, no network), an empty environment, little
 * time and memory, and it looks for programs and libraries only in the folder to which they were
 * brought. What it prints is bounded by whoever runs it (debugger.h).
 */

#include <stdbool.h>
#include <stddef.h>

enum {
    BACKTRACE_FRAMES_MAX = 256, /* of a thread: endless recursion is a usual reason to crash */
    BACKTRACE_FUNCTION_SIZE = 256,
    BACKTRACE_FILE_SIZE = 512,
};

/* All paths are absolute and ours. */
struct backtrace_want {
    const char *core;
    const char *program; /* brought from the container; NULL: it could not be */
    const char *root;    /* folder that stands for the container's file system */
};

/* The command line for people, to look at the core dump by hand. malloc()ed. */
char *backtrace_by_hand(const struct backtrace_want *want);

/* The shell script that prints the backtrace of all threads, that of the one that was ended first.
 * It ends with exit code 127 when there is no gdb. malloc()ed. */
char *backtrace_script(const struct backtrace_want *want);

/* Where a thread was. */
struct backtrace_frame {
    char function[BACKTRACE_FUNCTION_SIZE]; /* hostile; "??" when gdb does not know */
    char file[BACKTRACE_FILE_SIZE];         /* hostile; "": not known */
    unsigned line;                          /* 0: not known */
};

/*
 * The frame that tells most about the end, of what the script printed: the innermost whose source
 * line is known (abort() and its like have none), else the innermost. False when there is no frame.
 */
bool backtrace_top(const char *text, struct backtrace_frame *ret);
