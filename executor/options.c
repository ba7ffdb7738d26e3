#include "executor/options.h"

#include "executor/pbft/pbft.h"

#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <argp.h>
#include <stdlib.h>

enum {
    KEY_CONFIG = 256,
    KEY_CLUSTER,
    KEY_INDEX,
    KEY_DATA,
    KEY_STORE,
    KEY_MEMORY_MAX,
    KEY_MEMORY_RESERVE,
    KEY_HANDLER,
    KEY_MERKLE,
    KEY_TREE_MEMORY,
    KEY_DURABILITY,
    KEY_OUT,
    KEY_LOG,
    KEY_LISTEN,
    KEY_METRICS,
    KEY_KEYS,
    KEY_INSECURE,
    KEY_CLIENT_AUTH,
    KEY_HEALTH,
    KEY_STATUS,
};

const char *argp_program_version = "replica " SEATRIAL_VERSION;

static const struct argp_option table[] = {
    {"config", KEY_CONFIG, "FILE", 0, "options by name: value; others win over it", 1},
    {"cluster", KEY_CLUSTER, "FILE", 0, "who is in the cluster (/seatrial/cluster.yaml)", 1},
    {"index", KEY_INDEX, "N", 0, "which replica this is ($SEATRIAL_INDEX)", 1},
    {"listen", KEY_LISTEN, "ADDRESS", 0, "listen there (its address in the cluster file)", 1},
    {"cluster-keys", KEY_KEYS, "DIR", 0,
     "where `replica keygen' has put the cluster's keys (/keys)", 1},
    {"insecure", KEY_INSECURE, NULL, 0,
     "do without keys: whoever reaches the port can speak as any replica or client", 1},
    {"client-auth", KEY_CLIENT_AUTH, "macs|signature", 0,
     "how requests are authenticated; as the loader (macs)", 1},
    {"data", KEY_DATA, "DIR", 0, "where rocksdb keeps the chain (/data)", 2},
    {"store", KEY_STORE, "rocksdb|memory", 0, "(rocksdb; memory if SEATRIAL_IN_MEMORY=1)", 2},
    {"memory-max", KEY_MEMORY_MAX, "SIZE", 0, "the most that the memory store takes (4g)", 2},
    {"memory-reserve", KEY_MEMORY_RESERVE, "SIZE", 0,
     "so much of it is got from the system before serving: new pages are slow (0)", 2},
    {"merkle", KEY_MERKLE, "keys|block|basic", 0,
     "what a block's state is: the root of a tree of every key, of one of blocks, or nothing "
     "(keys; basic if SEATRIAL_MERKLE=0)",
     2},
    {"tree-memory", KEY_TREE_MEMORY, "SIZE", 0,
     "the most that the tree of keys takes in memory (512m)", 2},
    {"durability", KEY_DURABILITY, "none|group|each", 0,
     "when rocksdb's blocks are on the disk: the system decides; each commit of up to 16 is; each "
     "block is (none)",
     2},
    {"handler", KEY_HANDLER, "pee|kv", 0,
     "what a request means: pee, a write set of a chosen size; kv, to put, delete or get a value "
     "(pee)",
     2},
    {"out", KEY_OUT, "DIR", 0, "where results go (/seatrial/out)", 3},
    {"log", KEY_LOG, "FILE", 0,
     "log4cplus properties (/seatrial/log4cplus.properties if it exists, else the console)", 3},
    {"metrics", KEY_METRICS, "[ADDRESS:]PORT", 0,
     "serve Prometheus metrics at /metrics (on 127.0.0.1 unless an address is given)", 3},
    {"health", KEY_HEALTH, NULL, 0, "ask the running replica whether it can serve, and end", 4},
    {"status", KEY_STATUS, NULL, 0, "print its status as JSON, and end", 4},
    {0},
};

struct parsing {
    struct replica_options options;
    const char *config; /* the first time: all that is looked for */
    bool finding_config;
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
    if (text_to_u64(text, 0, PBFT_REPLICAS_MAX - 1, &index, err) < 0)
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

static int parse_tree_memory(const char *text, uint64_t *ret, struct error *err) {
    uint64_t bytes;
    if (text_to_size_bytes(text, &bytes, err) < 0)
        return -1;
    if (bytes < TREE_BYTES_MIN)
        return error_set(err, ERROR_USAGE, "--tree-memory is at least %d bytes, not '%s'",
                         TREE_BYTES_MIN, text);
    *ret = bytes;
    return 0;
}

/* The trial says whether there is a tree; which one can be said by name. */
static int parse_merkle_switch(const char *text, enum merkle *ret, struct error *err) {
    if (text_equal(text, "0"))
        *ret = MERKLE_BASIC;
    else if (text_equal(text, "1"))
        *ret = MERKLE_KEYS;
    else if (merkle_parse(text, ret, err) < 0)
        return error_wrap(err, "SEATRIAL_MERKLE is 0, 1, or a name");
    return 0;
}

int options_client_auth(const char *text, enum wire_authenticator *ret, struct error *err) {
    if (text_equal(text, "macs"))
        *ret = WIRE_AUTHENTICATOR_MACS;
    else if (text_equal(text, "signature"))
        *ret = WIRE_AUTHENTICATOR_SIGNATURE;
    else
        return error_set(err, ERROR_USAGE, "--client-auth is 'macs' or 'signature', not '%s'",
                         text);
    return 0;
}

static int parse_option(struct replica_options *o, int key, const char *argument,
                        struct error *err) {
    switch (key) {
    case KEY_CLUSTER: o->cluster = argument; return 0;
    case KEY_INDEX: return parse_index(argument, &o->index, err);
    case KEY_LISTEN: o->listen = argument; return 0;
    case KEY_KEYS: o->keys = argument; return 0;
    case KEY_INSECURE: o->insecure = true; return 0;
    case KEY_CLIENT_AUTH: return options_client_auth(argument, &o->client_auth, err);
    case KEY_DATA: o->data = argument; return 0;
    case KEY_STORE: return parse_store(argument, &o->store, err);
    case KEY_MEMORY_MAX: return text_to_size_bytes(argument, &o->memory_max_bytes, err);
    case KEY_MEMORY_RESERVE: return text_to_size_bytes(argument, &o->memory_reserve_bytes, err);
    case KEY_MERKLE: return merkle_parse(argument, &o->ledger.merkle, err);
    case KEY_TREE_MEMORY: return parse_tree_memory(argument, &o->ledger.tree_bytes_max, err);
    case KEY_DURABILITY: return store_durability_parse(argument, &o->ledger.durability, err);
    case KEY_HANDLER: return handler_find(argument, &o->ledger.handler, err);
    case KEY_OUT: o->out = argument; return 0;
    case KEY_LOG: o->log = argument; return 0;
    case KEY_METRICS: o->metrics = argument; return 0;
    case KEY_HEALTH: o->mode = REPLICA_HEALTH; return 0;
    case KEY_STATUS: o->mode = REPLICA_STATUS; return 0;
    default: return 1;
    }
}

static error_t on_key(int key, char *argument, struct argp_state *state) {
    struct parsing *p = state->input;
    if (p->finding_config || key == KEY_CONFIG) {
        if (key == KEY_CONFIG)
            p->config = argument;
        return 0;
    }
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
    return merkle ? parse_merkle_switch(merkle, &o->ledger.merkle, err) : 0;
}

/* ---- the configuration file ---- */

enum { CONFIG_SIZE_MAX = 64 * 1024, NAMES_MAX = sizeof table / sizeof *table };

/* As keys of the file are spelled. */
static size_t config_names(char **names, int *keys) {
    size_t count = 0;
    for (const struct argp_option *o = table; o->name; o++) {
        if (!o->arg || o->key == KEY_CONFIG)
            continue;
        keys[count] = o->key;
        names[count] = text_dup(o->name);
        for (char *c = names[count]; *c; c++)
            *c = *c == '-' ? '_' : *c;
        count++;
    }
    return count;
}

static int unknown_key(const struct yaml_node *key, char *const *names, size_t count,
                       struct error *err) {
    const char *nearest = text_nearest(key->text, (const char *const *)names, count);
    if (nearest)
        return yaml_error(key, err, "'%s' is not an option of a replica; did you mean '%s'?",
                          key->text, nearest);
    return yaml_error(key, err, "'%s' is not an option of a replica", key->text);
}

static int read_pair(struct replica_options *o, const struct yaml_node *key,
                     const struct yaml_node *value, char *const *names, const int *keys,
                     size_t count, struct error *err) {
    cleanup_free char *text = NULL;
    size_t i = 0;
    while (i < count && !text_equal(names[i], key->text))
        i++;
    if (i == count)
        return unknown_key(key, names, count, err);
    if (yaml_get_scalar(value, &text, err) < 0)
        return -1;
    texts_append(&o->texts, text);
    if (parse_option(o, keys[i], o->texts[texts_count(o->texts) - 1], err) == 0)
        return 0;
    err->kind = ERROR_CONFIG;
    return yaml_error_at(value, err);
}

static int read_mapping(struct replica_options *o, const struct yaml_node *root,
                        struct error *err) {
    char *names[NAMES_MAX];
    int keys[NAMES_MAX], r = 0;
    if (yaml_is_null(root)) /* an empty file */
        return 0;
    if (yaml_want(root, YAML_MAPPING, err) < 0)
        return -1;
    size_t count = config_names(names, keys);
    for (size_t i = 0; r == 0 && i < root->count; i++)
        r = read_pair(o, root->keys[i], root->items[i], names, keys, count, err);
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    return r;
}

static int read_config(struct replica_options *o, const char *path, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    if (file_read(path, CONFIG_SIZE_MAX, &text, err) < 0)
        return error_wrap(err, "the configuration file");
    if (yaml_parse(path, text.data, text.size, &tree, err) < 0)
        return -1;
    return read_mapping(o, yaml_root(tree), err);
}

/* Which file it is comes from the command line, all of which is read after the file. */
static const char *find_config(const struct argp *argp, int argc, char **argv) {
    struct parsing p = {.finding_config = true};
    argp_parse(argp, argc, argv, ARGP_SILENT, NULL, &p);
    return p.config;
}

void options_deinit(struct replica_options *options) {
    texts_free(options->texts);
    options->texts = NULL;
}

static int parse_command_line(const struct argp *argp, int argc, char **argv, struct parsing *p,
                              struct error *err) {
    /* Help and usage errors of argp's own end the process with status 0 and 2. */
    argp_err_exit_status = 2;
    error_t problem = argp_parse(argp, argc, argv, 0, NULL, p);
    if (problem && p->result == 0)
        return error_set_os(err, ERROR_USAGE, problem, "the command line");
    return p->result;
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
                    .keys = "/keys",
                    .client_auth = WIRE_AUTHENTICATOR_MACS,
                    .memory_max_bytes = UINT64_C(4) << 30,
                    .ledger = {.handler = &handler_pee,
                               .merkle = MERKLE_KEYS,
                               .tree_bytes_max = UINT64_C(512) << 20}},
        .err = err,
    };
    const char *config = find_config(&argp, argc, argv);
    if (config && read_config(&p.options, config, err) < 0) {
        options_deinit(&p.options);
        return -1;
    }
    if (read_environment(&p.options, err) < 0 ||
        parse_command_line(&argp, argc, argv, &p, err) < 0) {
        options_deinit(&p.options);
        err->kind = ERROR_USAGE;
        return -1;
    }
    *ret = p.options;
    return 0;
}
