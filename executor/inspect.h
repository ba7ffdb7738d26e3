#pragma once

/*
 * `replica inspect`: what a data folder holds: whose it is, height and digest, a block, a key with
 * its proof, and whether all of it is what it says. Only reads; also while the replica runs, whose
 * state it then sees as it was when it began.
 */

#include "lib/error.h"

/* `argv` begins with "inspect". Errors: ERROR_USAGE, ERROR_CONFLICT (data of another replica, run
 * or version), ERROR_NOT_FOUND, ERROR_INVALID (damaged), ERROR_IO. --help and unknown options end
 * the process, as argp does it. */
int inspect_main(int argc, char **argv, struct error *err);
