#pragma once

/*
 * The options of `replica`, from the command line and the environment of the trial. The command
 * line wins. What belongs to later issues is refused by name.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum replica_mode { REPLICA_RUN, REPLICA_HEALTH, REPLICA_STATUS };
enum replica_store { REPLICA_ROCKSDB, REPLICA_MEMORY };

struct replica_options {
    enum replica_mode mode;
    const char *cluster; /* all strings are borrowed from argv and the environment */
    int64_t index;       /* -1: not given */
    const char *data;
    enum replica_store store;
    uint64_t memory_max_bytes;
    uint64_t memory_reserve_bytes;
    const char *out;
    const char *log;    /* NULL: the default file if it exists */
    const char *listen; /* NULL: the address of the cluster file */
};

/*
 * Errors: ERROR_USAGE. --help, --version and unknown options end the process, as argp does it.
 */
int options_parse(int argc, char **argv, struct replica_options *ret, struct error *err);
