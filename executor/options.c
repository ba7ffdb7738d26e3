#include "executor/options.h"

#include "executor/core/core.h"

#include "lib/text.h"

#include <argp.h>
#include <stdlib.h>

enum {
    KEY_CLUSTER = 256,
    KEY_INDEX,
    KEY_DATA,
    KEY_STORE,
    KEY_MEMORY_MAX,
    KEY_MEMORY_RESERVE,
    KEY_HANDLER,
    KEY_OUT,
    KEY_LOG,
    KEY_LISTEN,
    KEY_HEALTH,
    KEY_STATUS,
};

const char *argp_program_version = "replica " SEATRIAL_VERSION;

static const struct argp_option table[] = {
    {"cluster", KEY_CLUSTER, "FILE", 0, "who is in the cluster (/seatrial/cluster.yaml)", 1},
    {"index", KEY_INDEX, "N", 0, "which replica this is ($SEATRIAL_INDEX)", 1},
    {"listen", KEY_LISTEN, "ADDRESS", 0, "listen there (its address in the cluster file)", 1},
    {"data", KEY_DATA, "DIR", 0, "where rocksdb keeps the chain (/data)", 2},
    {"store", KEY_STORE, "rocksdb|memory", 0, "(rocksdb; memory if SEATRIAL_IN_MEMORY=1)", 2},
    {"memory-max", KEY_MEMORY_MAX, "SIZE", 0, "the most that the memory store takes (4g)", 2},
    {"memory-reserve", KEY_MEMORY_RESERVE, "SIZE", 0,
     "so much of it is got from the system before serving: new pages are slow (0)", 2},
    {"handler", KEY_HANDLER, "NAME", 0, "what executes requests; there is only pee (pee)", 2},
    {"out", KEY_OUT, "DIR", 0, "where results go (/seatrial/out)", 3},
    {"log", KEY_LOG, "FILE", 0,
     "log4cplus properties (/seatrial/log4cplus.properties if it exists, else the console)", 3},
    {"health", KEY_HEALTH, NULL, 0, "ask the running replica whether it can serve, and end", 4},
    {"status", KEY_STATUS, NULL, 0, "print its status as JSON, and end", 4},
    {0},
};

struct parsing {
    struct replica_options options;
    struct error *err;
    int result;
};

/* Notes the first error; argp has no way to end early but to be told that all is well. */
static void failed(struct parsing *p) {
    if (p->result == 0)
        p->result = -1;
}

static int parse_index(const char *text, int64_t *ret, struct error *err) {
    uint64_t index;
    if (text_to_u64(text, 0, CORE_REPLICAS_MAX - 1, &index, err) < 0)
        return error_wrap(err, "the index of a replica");
    *ret = (int64_t)index;
    return 0;
}

static int parse_store(const char *text, enum replica_store *ret, struct error *err) {
    if (text_equal(text, "rocksdb"))
        *ret = REPLICA_ROCKSDB;
    else if (text_equal(text, "memory"))
        *ret = REPLICA_MEMORY;
    else
        return error_set(err, ERROR_USAGE, "--store is 'rocksdb' or 'memory', not '%s'", text);
    return 0;
}

static int check_handler(const char *text, struct error *err) {
    if (!text_equal(text, "pee"))
        return error_set(err, ERROR_USAGE, "there is no handler '%s' yet, only 'pee'", text);
    return 0;
}

static int parse_option(struct replica_options *o, int key, const char *argument,
                        struct error *err) {
    switch (key) {
    case KEY_CLUSTER: o->cluster = argument; return 0;
    case KEY_INDEX: return parse_index(argument, &o->index, err);
    case KEY_LISTEN: o->listen = argument; return 0;
    case KEY_DATA: o->data = argument; return 0;
    case KEY_STORE: return parse_store(argument, &o->store, err);
    case KEY_MEMORY_MAX: return text_to_size_bytes(argument, &o->memory_max_bytes, err);
    case KEY_MEMORY_RESERVE: return text_to_size_bytes(argument, &o->memory_reserve_bytes, err);
    case KEY_HANDLER: return check_handler(argument, err);
    case KEY_OUT: o->out = argument; return 0;
    case KEY_LOG: o->log = argument; return 0;
    case KEY_HEALTH: o->mode = REPLICA_HEALTH; return 0;
    case KEY_STATUS: o->mode = REPLICA_STATUS; return 0;
    default: return 1;
    }
}

static error_t on_key(int key, char *argument, struct argp_state *state) {
    struct parsing *p = state->input;
    if (key == ARGP_KEY_ARG) {
        error_set(p->err, ERROR_USAGE, "'%s' is not an option", argument);
        failed(p);
        return 0;
    }
    if (p->result != 0)
        return 0;
    int r = parse_option(&p->options, key, argument, p->err);
    if (r < 0)
        failed(p);
    return r > 0 ? ARGP_ERR_UNKNOWN : 0;
}

static int read_environment(struct replica_options *o, struct error *err) {
    const char *index = getenv("SEATRIAL_INDEX"), *merkle = getenv("SEATRIAL_MERKLE");
    const char *in_memory = getenv("SEATRIAL_IN_MEMORY");
    if (index && parse_index(index, &o->index, err) < 0)
        return error_wrap(err, "SEATRIAL_INDEX");
    if (in_memory && !text_equal(in_memory, "0") && !text_equal(in_memory, "1"))
        return error_set(err, ERROR_USAGE, "SEATRIAL_IN_MEMORY is 0 or 1, not '%s'", in_memory);
    if (text_equal(in_memory, "1"))
        o->store = REPLICA_MEMORY;
    if (merkle && !text_equal(merkle, "0")) {
        error_set(err, ERROR_USAGE, "SEATRIAL_MERKLE=%s: there is no Merkle tree yet, only 0",
                  merkle);
        return error_hint(err, "run with --no-merkle");
    }
    return 0;
}

int options_parse(int argc, char **argv, struct replica_options *ret, struct error *err) {
    const struct argp argp = {
        .options = table,
        .parser = on_key,
        .doc = "The built-in system under test: a replica that orders requests with its peers and "
               "executes each as a synthetic write set into a key-value block chain.",
    };
    struct parsing p = {
        .options = {.cluster = "/seatrial/cluster.yaml",
                    .index = -1,
                    .data = "/data",
                    .out = "/seatrial/out",
                    .memory_max_bytes = UINT64_C(4) << 30},
        .err = err,
    };
    if (read_environment(&p.options, err) < 0) {
        err->kind = ERROR_USAGE;
        return -1;
    }
    /* Help and usage errors of argp's own end the process with status 0 and 2. */
    argp_err_exit_status = 2;
    error_t problem = argp_parse(&argp, argc, argv, 0, NULL, &p);
    if (problem && p.result == 0)
        return error_set_os(err, ERROR_USAGE, problem, "the command line");
    if (p.result < 0) {
        err->kind = ERROR_USAGE;
        return -1;
    }
    *ret = p.options;
    return 0;
}
