/* replica: the program. Modes, process limits, and how errors reach the user. */

#include "executor/inspect.h"
#include "executor/keygen.h"
#include "executor/kv.h"
#include "executor/options.h"
#include "executor/pbft/pbft.h"
#include "executor/place.h"
#include "executor/query.h"
#include "executor/replica.h"

#include "lib/file.h"
#include "lib/log.h"
#include "lib/text.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define QUERY_NS (3 * NS_PER_SEC)
static const char default_log[] = "/seatrial/log4cplus.properties";

/* Core dumps can be had where the engine allows them; connections as many as the system gives. */
static void raise_limits(void) {
    static const int limits[] = {RLIMIT_CORE, RLIMIT_NOFILE};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        if (getrlimit(limits[i], &limit) == 0) {
            limit.rlim_cur = limit.rlim_max;
            setrlimit(limits[i], &limit);
        }
    }
    prctl(PR_SET_DUMPABLE, 1);
}

/* Before any thread starts, so that only the loop's signalfd gets them. */
static void block_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void print_banner(const struct replica_options *o, const struct place *place) {
    const struct transport_address *at = &place->addresses[place->replica];
    const struct pbft_config config = PBFT_CONFIG_DEFAULT;
    log_info(
        "replica",
        "replica %s: run %s, replica %u of %u (f = %u), address %s:%u, listen %s, cluster %s, "
        "keys %s, client-auth %s, "
        "store %s, data %s, memory-max %llu, memory-reserve %llu, handler %s, merkle %s, "
        "tree-memory %llu, durability %s, out "
        "%s, batches of up to %u requests or %u bytes, pipeline %u, window %u, a checkpoint every "
        "%u, requests of up to %llu bytes wait, for at most %llu ms, clients at most %u",
        SEATRIAL_VERSION, place->cluster->run, place->replica, place->n, (place->n - 1) / 3,
        at->host, at->port, o->listen ? o->listen : at->host, o->cluster,
        o->insecure ? "none (insecure)" : o->keys,
        o->insecure                                 ? "none"
        : o->client_auth == WIRE_AUTHENTICATOR_MACS ? "macs"
                                                    : "signature",
        o->store == REPLICA_MEMORY ? "memory" : "rocksdb",
        o->store == REPLICA_MEMORY ? "-" : o->data,
        o->store == REPLICA_MEMORY ? (unsigned long long)o->memory_max_bytes : 0,
        o->store == REPLICA_MEMORY ? (unsigned long long)o->memory_reserve_bytes : 0,
        o->ledger.handler->name, merkle_name(o->ledger.merkle),
        (unsigned long long)o->ledger.tree_bytes_max, store_durability_name(o->ledger.durability),
        o->out, config.batch_max, config.batch_bytes_max, config.pipeline_max, config.window,
        config.checkpoint_interval, (unsigned long long)config.waiting_bytes_max,
        (unsigned long long)(config.request_timeout_ns / NS_PER_MS), config.clients_max);
}

static int run(const struct replica_options *options, struct error *err) {
    cleanup(place_deinit) struct place place = PLACE_NULL;
    const char *log = options->log ? options->log : file_exists(default_log) ? default_log : NULL;
    block_signals();
    raise_limits();
    if (log_open(log, LOG_LEVEL_INFO, err) < 0)
        return -1;
    int r = place_find(options, &place, err);
    if (r == 0) {
        print_banner(options, &place);
        unsigned f = (place.n - 1u) / 3;
        if (place.n != 3 * f + 1)
            log_warn("replica", "%u replicas bear no more faulty ones than %u do", place.n,
                     3 * f + 1);
        if (options->insecure)
            log_warn("replica", "without keys: whoever reaches the port can speak as anybody");
        r = replica_run(options, &place, err);
    }
    if (r < 0)
        log_error("replica", "%s%s%s", err->text, err->hint[0] ? "; " : "", err->hint);
    log_close();
    return r;
}

/* Of what was asked for nothing may be lost without a word. */
static int check_output(struct error *err) {
    if (ferror(stdout) || fflush(stdout) != 0)
        return error_set_os(err, ERROR_IO, errno, "write the answer to the standard output");
    return 0;
}

static void print_status(const struct wire_status *s) {
    char digest[2 * WIRE_DIGEST_SIZE + 1];
    text_hex(s->digest, sizeof s->digest, digest);
    printf("{\"replica\": %u, \"primary\": %u, \"n\": %u, \"f\": %u, \"view\": %llu, \"height\": "
           "%llu, \"digest\": \"%s\", \"peers_connected\": %u, \"healthy\": %s}\n",
           s->replica, s->primary, s->n, s->f, (unsigned long long)s->view,
           (unsigned long long)s->height, digest, s->peers_connected,
           s->healthy ? "true" : "false");
}

static int query(const struct replica_options *options, struct error *err) {
    cleanup(place_deinit) struct place place = PLACE_NULL;
    struct wire_status status;
    struct task forever = TASK_FOREVER;
    struct task task = task_within(&forever, QUERY_NS);
    if (place_find(options, &place, err) < 0 || query_status(&task, &place, &status, err) < 0)
        return -1;
    if (options->mode == REPLICA_STATUS)
        print_status(&status);
    else if (!status.healthy)
        return error_set(err, ERROR_FAILED, "replica %u is not healthy: %s", status.replica,
                         status.text);
    return check_output(err);
}

/* ---- beside the replica itself ---- */

static const struct tool {
    const char *name;
    int (*main)(int argc, char **argv, struct error *err);
} tools[] = {{"inspect", inspect_main}, {"keygen", keygen_main}, {"kv", kv_main}};

static int run_tool(const struct tool *tool, int argc, char **argv) {
    struct error err = ERROR_NULL;
    if (tool->main(argc, argv, &err) == 0 && check_output(&err) == 0)
        return 0;
    fprintf(stderr, "replica %s: %s\n", tool->name, err.text);
    if (err.hint[0])
        fprintf(stderr, "hint: %s\n", err.hint);
    return error_exit_status(err.kind);
}

int main(int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < sizeof tools / sizeof *tools; i++)
        if (text_equal(argv[1], tools[i].name))
            return run_tool(&tools[i], argc - 1, argv + 1);
    struct replica_options options = {.mode = REPLICA_RUN};
    struct error err = ERROR_NULL;
    int r = options_parse(argc, argv, &options, &err);
    if (r == 0)
        r = options.mode == REPLICA_RUN ? run(&options, &err) : query(&options, &err);
    options_deinit(&options);
    if (r == 0)
        return 0;
    /* A health check's outcome is one line, and only good or bad. */
    fprintf(stderr, "replica: %s\n", err.text);
    if (err.hint[0] && options.mode == REPLICA_RUN)
        fprintf(stderr, "hint: %s\n", err.hint);
    return err.kind == ERROR_USAGE       ? 2
           : options.mode == REPLICA_RUN ? error_exit_status(err.kind)
                                         : 1;
}
