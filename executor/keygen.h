#pragma once

/*
 * `replica keygen`: makes the keys of a cluster (lib/cluster_keys.h). In a trial it is a service of
 * role prepare with the replica's image, whose `output` folder is where the keys go.
 */

#include "lib/error.h"

/* `argv` begins with "keygen". Errors: ERROR_USAGE, ERROR_CONFIG, ERROR_CONFLICT, ERROR_IO. --help
 * and unknown options end the process, as argp does it. */
int keygen_main(int argc, char **argv, struct error *err);
