#pragma once

/*
 * The options of `replica`: from a configuration file (--config), over which the environment of the
 * trial wins, over which the command line wins. The file is a YAML mapping; its keys are the long
 * options that take a value, with _ for -, and are checked as those are. What belongs to later
 * issues is refused by name.
 */

#include "executor/ledger.h"

#include "lib/error.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum replica_mode { REPLICA_RUN, REPLICA_HEALTH, REPLICA_STATUS };
enum replica_store { REPLICA_ROCKSDB, REPLICA_MEMORY };

struct replica_options {
    enum replica_mode mode;
    const char *cluster; /* all strings are borrowed from argv, the environment and `texts` */
    int64_t index;       /* -1: not given */
    const char *data;
    enum replica_store store;
    uint64_t memory_max_bytes;
    uint64_t memory_reserve_bytes;
    struct ledger_options ledger;
    const char *out;
    const char *log;     /* NULL: the default file if it exists */
    const char *listen;  /* NULL: the address of the cluster file */
    const char *metrics; /* where to serve them; NULL: nowhere */
    const char *keys;
    bool insecure;
    enum wire_authenticator client_auth; /* of requests */
    char **texts;                        /* what the configuration file said */
};

/*
 * Errors: ERROR_USAGE; of the configuration file ERROR_CONFIG with its place, or those of reading
 * it. --help, --version and unknown options end the process, as argp does it.
 */
int options_parse(int argc, char **argv, struct replica_options *ret, struct error *err);
void options_deinit(struct replica_options *options);
/* What --client-auth says. */
int options_client_auth(const char *text, enum wire_authenticator *ret, struct error *err);
