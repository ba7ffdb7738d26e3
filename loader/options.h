#pragma once

/*
 * The command line of the loader: the options of the Performance Loader Tool (seed 000) with their
 * meanings and defaults, a long name beside each, and ours. One table (options.c) makes the parser,
 * the defaults, the checks and the help text.
 *
 * Pure: prints nothing and never exits. Errors: ERROR_USAGE (exit status 2).
 */

#include "lib/error.h"
#include "loader/arrivals.h"
#include "loader/limits.h"
#include "loader/mix.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum options_command {
    OPTIONS_RUN,
    OPTIONS_EXPORT,    /* loader export FILE */
    OPTIONS_IMPORT,    /* loader import FILE */
    OPTIONS_MERGE,     /* loader merge FILE... -o OUT */
    OPTIONS_SUMMARIZE, /* loader summarize FILE... */
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

/* In the order of the table's names. */
enum options_protocol { PROTOCOL_REPLICA, PROTOCOL_HTTP, PROTOCOL_ECHO };
enum options_client_auth { CLIENT_AUTH_MACS, CLIENT_AUTH_SIGNATURE };
enum options_method { METHOD_GET, METHOD_POST, METHOD_PUT };

struct options {
    enum options_command command;
    const char *files[LOADER_FILES_MAX]; /* of these four */
    size_t files_count;
    const char *merged_path; /* -o */

    uint64_t requests;      /* -b; 0: no limit by number */
    uint64_t pre_execute;   /* -p: 0 or 1 */
    uint64_t keys;          /* -k */
    uint64_t key_size;      /* -s */
    uint64_t value_size;    /* -v */
    uint64_t payload_size;  /* -d */
    uint64_t concurrency;   /* -c; clients of the pool, in both models */
    uint64_t execution_ms;  /* -e */
    const char *pool_path;  /* -f; NULL: none */
    uint64_t busy_wait;     /* -w: 0 or 1 */
    uint64_t durations;     /* -i: 0 or 1 */
    uint64_t log_level;     /* -l: 0 to 3 */
    const char *log_config; /* -a; NULL: the default places */

    const char *shapes[LOADER_SHAPES_MAX]; /* --shape */
    size_t shapes_count;
    uint64_t reads; /* percent */
    uint64_t read_keys;
    uint64_t key_space;
    struct keys_skew key_skew;
    struct mix mix; /* what follows from all these: the requests */

    struct rate rate; /* no phases: closed loop */
    uint32_t loaders; /* that keep it together, as equals (share.h); 0: one */
    enum arrival_model arrival;
    uint64_t clients; /* --clients: becomes concurrency */
    uint64_t in_flight_max;
    bool spin;
    uint64_t time_ns; /* 0: no limit by time */
    uint64_t warm_up_ns, cool_down_ns;

    enum options_protocol protocol;
    const char *target; /* NULL: by the cluster file */
    enum options_method method;
    const char *path;

    uint64_t threads; /* 0: as many as cores, and not more than clients */
    const char *cluster_path;
    const char *keys_path;
    bool insecure;
    enum options_client_auth client_auth;
    const char *out_path;
    const char *metrics; /* where to listen; NULL: nowhere */
    uint64_t request_timeout_ns;
    uint64_t connect_timeout_ns;
    const char *start_path; /* several loaders: where the time of start appears */
    uint64_t start_timeout_ns;
    uint64_t seed;
    bool seed_given;
};

const char *options_protocol_name(enum options_protocol protocol);
const char *options_method_name(enum options_method method);
/* What a request carries: nothing with GET. */
uint64_t options_payload_size(const struct options *o);

bool options_open(const struct options *o);
/* Requests/s that this loader is asked for at a time. */
double options_rate_at(const struct options *o, uint64_t at_ns);
/* Neither a number, nor a time, nor the rate's course ends the load: only a signal does. */
bool options_until_told(const struct options *o);

/* Until when requests are asked for, as far as it is known; UINT64_MAX: not known. */
uint64_t options_span_ns(const struct options *o);

/* Gives `ret`. Texts are borrowed from `argv`, whose order may be changed. */
int options_parse(int argc, char **argv, struct options *ret, struct error *err);

void options_deinit(struct options *o);

void options_print_help(FILE *to);
