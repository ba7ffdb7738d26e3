#include "loader/trial.h"

#include "lib/cleanup.h"
#include "lib/cluster.h"
#include "lib/file.h"
#include "lib/hdr_log.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/engine.h"
#include "loader/limits.h"
#include "loader/metrics.h"
#include "loader/progress.h"
#include "loader/replicas.h"
#include "loader/share.h"
#include "loader/start.h"
#include "loader/streams.h"
#include "loader/summary.h"
#include "loader/targets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SUMMARY_SIZE_MAX = 64 * 1024, FILE_MODE = 0644, FOLDER_MODE = 0755 };

struct trial {
    const struct options *whole;   /* of all loaders' load */
    struct options part;           /* ours of it, without what it borrows */
    const struct options *options; /* that */
    struct share share;
    const struct cancel *cancel;
    uint64_t seed;
    uint32_t threads;
    struct arrivals_config arrivals; /* open loop */
    struct pool *pool;               /* -f; NULL: none */
    struct targets targets;
    struct identity *identity; /* NULL: without keys */
    char **heads;              /* of HTTP requests, by target; NULL: another protocol */
    struct workload workload;
    struct record record;
    struct progress progress;
    struct load_metrics metrics;
    struct durations *durations; /* NULL with -i 0 */
    const char *log_file;        /* NULL: the log goes to the console, by -l */
    FILE *histograms;            /* latency.hlog */
    struct wall_time start;      /* time 0, once it was looked at or agreed */
    bool start_known;            /* to all files */
    uint64_t cpu_ns;
    struct hdr_log_writer histogram_writer;
    struct error histogram_fault; /* the first one; the load goes on */
};

static const char logger[] = "loader";

static void trial_deinit(struct trial *t) {
    load_metrics_deinit(&t->metrics);
    if (t->durations)
        durations_free(t->durations);
    if (t->histograms) {
        hdr_log_writer_deinit(&t->histogram_writer);
        fclose(t->histograms);
    }
    record_deinit(&t->record);
    if (t->pool)
        pool_free(t->pool);
    workload_deinit(&t->workload);
    for (size_t i = 0; t->heads && i < t->targets.count; i++)
        free(t->heads[i]);
    free(t->heads);
    targets_deinit(&t->targets);
    if (t->identity)
        identity_free(t->identity);
}

static uint32_t threads_for(const struct options *o) {
    uint64_t threads = o->threads ? o->threads : engine_cores();
    if (options_open(o))
        threads = threads < o->in_flight_max ? threads : o->in_flight_max;
    threads = threads < LOADER_THREADS_MAX ? threads : LOADER_THREADS_MAX;
    return (uint32_t)(threads < o->concurrency ? threads : o->concurrency);
}

/* Which loader of how many we are: the runner says it. */
static int take_share(struct trial *t, struct error *err) {
    if (share_parse(getenv("SEATRIAL_INDEX"), getenv("SEATRIAL_LOADERS"), &t->share, err) < 0 ||
        share_take(&t->share, t->whole, &t->part, err) < 0)
        return -1;
    t->options = &t->part;
    t->threads = threads_for(t->options);
    return 0;
}

static int draw_seed(const struct options *o, uint64_t *ret, struct error *err) {
    *ret = o->seed;
    if (!o->seed_given && getrandom(ret, sizeof *ret, 0) != (ssize_t)sizeof *ret)
        return error_set_os(err, ERROR_IO, errno, "draw a seed");
    return 0;
}

/* What the file of -f says of others' parts is not ours to do: refused by name, not ignored. */
static int read_pool(struct trial *t, struct error *err) {
    const struct options *o = t->options;
    if (!o->pool_path)
        return 0;
    if (pool_load(o->pool_path, &t->pool, err) < 0)
        return error_wrap(err, "option -f");
    size_t clients = t->pool->node_count ? t->pool->nodes[0].client_count : SIZE_MAX;
    if (t->pool->transport != POOL_PLAIN && t->pool->transport != POOL_TCP)
        return error_set(err, ERROR_CONFIG,
                         "'%s': comm_to_use is '%s', but our replicas speak plain TCP: say 'plain'",
                         o->pool_path, pool_transport_name(t->pool->transport));
    if (o->concurrency > clients)
        return error_set(err, ERROR_CONFIG,
                         "'%s': the first participant node has %zu external_clients, fewer than "
                         "the %" PRIu64 " that were asked for",
                         o->pool_path, clients, o->concurrency);
    return 0;
}

static int find_targets(struct trial *t, struct error *err) {
    static const char *const ports[] = {
        [PROTOCOL_REPLICA] = "replica", [PROTOCOL_HTTP] = "http", [PROTOCOL_ECHO] = "echo"};
    const struct options *o = t->options;
    cleanup(cluster_freep) struct cluster *cluster = NULL;
    if (o->target)
        return targets_parse(o->target, &t->targets, err);
    if (cluster_load(o->cluster_path, &cluster, err) < 0)
        return error_wrap(err, "find the replicas");
    int r = t->pool ? targets_from_pool(t->pool, cluster->run, &t->targets, err)
                    : targets_resolve(cluster, ports[o->protocol], &t->targets, err);
    return r < 0 ? error_wrap(err, "find the replicas") : 0;
}

/* Each client of a stream protocol has a connection: we take as many descriptors as we may have. */
static int make_room(const struct options *o, struct error *err) {
    enum { OTHERS = 64 }; /* files, eventfds, an epoll and a timer for each thread */
    struct rlimit limit;
    uint64_t wanted = o->concurrency + OTHERS + 2 * LOADER_THREADS_MAX;
    if (o->protocol == PROTOCOL_REPLICA || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        limit.rlim_cur >= wanted)
        return 0;
    if (limit.rlim_max < wanted) {
        error_set(err, ERROR_CONFIG,
                  "%" PRIu64 " clients need %" PRIu64
                  " open files, but this process may have %llu at most",
                  o->concurrency, wanted, (unsigned long long)limit.rlim_max);
        return error_hint(err, "raise the limit (ulimits.nofile of the service, or ulimit -n), or "
                               "ask for fewer clients");
    }
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return error_set_os(err, ERROR_IO, errno, "raise the limit of open files");
    return 0;
}

static struct replicas_config replicas_of(const struct trial *t) {
    static const enum wire_authenticator kinds[] = {
        [CLIENT_AUTH_MACS] = WIRE_AUTHENTICATOR_MACS,
        [CLIENT_AUTH_SIGNATURE] = WIRE_AUTHENTICATOR_SIGNATURE,
    };
    return (struct replicas_config){.targets = &t->targets,
                                    .workload = &t->workload,
                                    .connect_timeout_ns = t->options->connect_timeout_ns,
                                    .retry = t->pool ? t->pool->retry : RETRY_CONFIG_DEFAULT,
                                    .identity = t->identity,
                                    .client_auth = kinds[t->options->client_auth]};
}

/* Never without keys unless that was said. */
static int find_keys(struct trial *t, struct error *err) {
    const struct options *o = t->options;
    const struct principal self = {.role = PRINCIPAL_LOADER, .index = (uint16_t)t->share.index};
    if (o->protocol != PROTOCOL_REPLICA || o->insecure)
        return 0;
    if (t->targets.count > KEYS_REPLICAS_MAX || t->share.index >= KEYS_LOADERS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "there are keys for up to %d replicas and %d loaders, and this is loader "
                         "%u of %zu replicas",
                         KEYS_REPLICAS_MAX, KEYS_LOADERS_MAX, t->share.index, t->targets.count);
    if (identity_open(o->keys_path, self, (uint16_t)t->targets.count, &t->identity, err) == 0)
        return 0;
    error_wrap(err, "the keys of loader %u", self.index);
    if (err->kind == ERROR_NOT_FOUND) {
        err->kind = ERROR_CONFIG;
        return error_hint(err, "a service of role prepare with `replica keygen` makes keys "
                               "(docs/AUTHENTICATION.md); --insecure does without");
    }
    return -1;
}

/* All that is sent is known now, but when. */
static int prepare_proofs(struct trial *t, struct error *err) {
    const struct replicas_config config = replicas_of(t);
    if (!t->identity)
        return 0;
    workload_hash_payloads(&t->workload);
    return replicas_check(&config, err);
}

static void write_heads(struct trial *t) {
    const struct options *o = t->options;
    t->heads = mem_new_array(char *, t->targets.count);
    for (size_t i = 0; i < t->targets.count; i++)
        t->heads[i] =
            streams_http_head(options_method_name(o->method), o->path,
                              t->targets.replicas[i].address, (size_t)options_payload_size(o));
}

static int prepare_load(struct trial *t, struct error *err) {
    const struct options *o = t->options;
    if (make_room(o, err) < 0 || draw_seed(o, &t->seed, err) < 0)
        return -1;
    if (read_pool(t, err) < 0 || find_targets(t, err) < 0 || find_keys(t, err) < 0)
        return -1;
    if (o->protocol == PROTOCOL_HTTP)
        write_heads(t);
    workload_init(&t->workload, &o->mix, t->seed, t->share.index, (uint32_t)o->concurrency);
    return prepare_proofs(t, err);
}

/* ---- log ---- */

/* Where the runner puts it, and where the original tool expected it. */
static const char *const log_places[] = {"/seatrial/log4cplus.properties",
                                         "/perf_loader/config/log4cplus.properties"};

static int open_log(struct trial *t, struct error *err) {
    static const enum log_level levels[] = {LOG_LEVEL_OFF, LOG_LEVEL_ERROR, LOG_LEVEL_INFO,
                                            LOG_LEVEL_DEBUG};
    t->log_file = t->options->log_config;
    for (size_t i = 0; !t->log_file && i < sizeof log_places / sizeof *log_places; i++)
        if (file_exists(log_places[i]))
            t->log_file = log_places[i];
    return log_open(t->log_file, levels[t->options->log_level], err);
}

/* People see warnings on stderr in any case; a console log would show them again. */
static void note(void *context, const char *text) {
    struct trial *t = context;
    progress_note(&t->progress, text);
    if (t->log_file)
        log_warn(logger, "%s", text);
}

static void tell(void *context, const struct engine_progress *progress) {
    struct trial *t = context;
    progress_tell(&t->progress, progress);
    load_metrics_tell(&t->metrics, progress);
    log_debug(logger, "%" PRIu64 " sent, %" PRIu64 " acknowledged", progress->sent,
              progress->outcomes[OUTCOME_ACKNOWLEDGED]);
}

static void log_begin(const struct trial *t) {
    const struct options *o = t->options;
    if (options_open(o))
        log_info(logger, "open loop, from %.1f requests/s on", options_rate_at(o, 0));
    log_info(logger,
             "run %s, %zu replicas: %" PRIu64 " requests by %" PRIu64 " clients from %" PRIu64
             ", seed %" PRIu64 ", %" PRIu64 " keys of %" PRIu64 " bytes, values of %" PRIu64
             ", payload of %" PRIu64,
             t->targets.run, t->targets.count, o->requests, o->concurrency, t->workload.client_base,
             t->seed, o->keys, o->key_size, o->value_size, o->payload_size);
}

static void log_end(const struct trial *t, int outcome, const struct error *err) {
    const struct record *r = &t->record;
    log_info(logger,
             "%" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " timed out, %" PRIu64
             " failed, %" PRIu64 " overloaded, %" PRIu64 " unsent%s",
             r->sent, r->outcomes[OUTCOME_ACKNOWLEDGED], r->outcomes[OUTCOME_TIMED_OUT],
             r->outcomes[OUTCOME_FAILED], r->outcomes[OUTCOME_OVERLOADED],
             r->outcomes[OUTCOME_UNSENT], outcome == DRIVER_INTERRUPTED ? "; interrupted" : "");
    if (outcome < 0 && t->log_file)
        log_error(logger, "%s", err->text);
}

/* ---- files ---- */

static const char *const out_names[] = {"load.json",    "acknowledged.json", "requests.bin",
                                        "latency.hlog", "window.hlog",       "ready"};
enum {
    OUT_LOAD,
    OUT_ACKNOWLEDGED,
    OUT_REQUESTS,
    OUT_HISTOGRAMS,
    OUT_WINDOW, /* the last two only among several loaders */
    OUT_READY,
    OUT_COUNT
};

static int prepare_out(const struct trial *t, struct error *err) {
    const char *folder = t->options->out_path;
    if (file_make_folders(folder, FOLDER_MODE, err) < 0)
        return -1;
    for (int i = 0; i < OUT_COUNT; i++) {
        cleanup_free char *path = path_join(folder, out_names[i]);
        if (unlink(path) < 0 && errno != ENOENT)
            return error_set_os(err, ERROR_IO, errno, "remove the old '%s'", path);
    }
    return 0;
}

static int open_histograms(struct trial *t, struct error *err) {
    enum { COMMENT_SIZE = 128 };
    char comment[COMMENT_SIZE];
    cleanup_free char *path = path_join(t->options->out_path, out_names[OUT_HISTOGRAMS]);
    snprintf(comment, sizeof comment, "loader " SEATRIAL_VERSION ", ns; run %.64s", t->targets.run);
    t->histograms = fopen(path, "we");
    if (!t->histograms)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    hdr_log_writer_init(&t->histogram_writer, hdr_log_file(t->histograms));
    return hdr_log_begin(&t->histogram_writer, comment, clock_wall(), err);
}

/* From the intended time without a tag, as others' tools look at it first. */
static void log_interval(void *context, struct instant start, const struct interval *i) {
    struct trial *t = context;
    struct hdr_log_writer *w = &t->histogram_writer;
    struct error *err = &t->histogram_fault;
    if (err->kind != ERROR_NONE)
        return;
    if (!t->start_known) { /* once, so that intervals adjoin whatever the wall clock does */
        t->start_known = true;
        if (t->start.ns == 0)
            t->start.ns = clock_wall().ns - (int64_t)instant_ns_between(start, clock_instant());
        if (t->durations && durations_start(t->durations, t->start, err) < 0)
            return;
    }
    const struct wall_time from = {.ns = t->start.ns + (int64_t)i->from_ns};
    const struct wall_time to = {.ns = t->start.ns + (int64_t)i->to_ns};
    int r = hdr_log_interval(w, NULL, from, to, &i->latency, err);
    if (r == 0)
        r = hdr_log_interval(w, "from-send", from, to, &i->latency_from_send, err);
    for (size_t s = 0; r == 0 && s < i->shapes_count; s++)
        r = hdr_log_interval(w, t->workload.mix.shapes[s].name, from, to, &i->shapes[s], err);
    if (r < 0)
        error_wrap(err, "'%s'", out_names[OUT_HISTOGRAMS]);
}

/* Without a cool-down it is open: the last outcome ends it. */
static uint64_t window_to_ns(const struct options *o) {
    return o->cool_down_ns ? options_span_ns(o) - o->cool_down_ns : UINT64_MAX;
}

/* From here on the run has a start and a record. */
static int open_record(struct trial *t, struct error *err) {
    uint64_t client_base = t->workload.client_base;
    if (t->options->durations) {
        cleanup_free char *path = path_join(t->options->out_path, out_names[OUT_REQUESTS]);
        if (durations_create(path, client_base, clock_wall(), &t->durations, err) < 0)
            return -1;
    }
    if (open_histograms(t, err) < 0)
        return -1;
    record_init(&t->record, client_base, NULL, NULL); /* each thread's goes into it */
    record_shapes(&t->record, mix_is_mixed(&t->workload.mix) ? t->workload.mix.count : 0);
    record_window(&t->record, t->options->warm_up_ns, window_to_ns(t->whole));
    return 0;
}

static int write_window(const struct trial *t, struct error *err) {
    cleanup_free char *path = path_join(t->options->out_path, out_names[OUT_WINDOW]);
    return share_write_window(path, &t->record, &t->options->mix, t->start, err);
}

static int write_files(struct trial *t, const struct summary *summary, struct error *err) {
    const char *folder = t->options->out_path;
    cleanup_free char *load_path = path_join(folder, out_names[OUT_LOAD]);
    cleanup_free char *acknowledged_path = path_join(folder, out_names[OUT_ACKNOWLEDGED]);
    cleanup(buffer_deinit) struct buffer json;
    buffer_init(&json, SUMMARY_SIZE_MAX);
    summary_json(summary, &json);
    if (t->histogram_fault.kind != ERROR_NONE) {
        *err = t->histogram_fault;
        return -1;
    }
    if (t->durations && durations_finish(t->durations, err) < 0)
        return -1;
    if (t->share.loaders > 1 && write_window(t, err) < 0)
        return -1;
    if (request_set_save(t->record.acknowledged, acknowledged_path, err) < 0 ||
        buffer_check(&json, "the summary", err) < 0)
        return -1;
    return file_write(load_path, FILE_MODE, json.data, json.size, err);
}

static int print_summary(const struct summary *summary, struct error *err) {
    cleanup(buffer_deinit) struct buffer text, harmless;
    buffer_init(&text, SUMMARY_SIZE_MAX);
    buffer_init(&harmless, 4 * SUMMARY_SIZE_MAX);
    summary_text(summary, &text);
    text_harmless(&harmless, buffer_string(&text), text.size);
    buffer_deinit(&text);
    if (fwrite(buffer_string(&harmless), 1, harmless.size, stdout) != harmless.size ||
        fflush(stdout) != 0)
        return error_set_os(err, ERROR_IO, errno, "print the summary");
    return 0;
}

/* ---- the load ---- */

static uint64_t or_never(uint64_t limit) {
    return limit ? limit : UINT64_MAX;
}

/* Of all threads. */
static uint64_t cpu_time_ns(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
}

/* All loaders draw from the same. */
static uint64_t arrival_seed(const struct trial *t) {
    return t->share.loaders > 1 && !t->whole->seed_given ? share_seed(t->targets.run) : t->seed;
}

static int begin_together(void *context, struct instant *ret, struct error *err) {
    struct trial *t = context;
    const struct options *o = t->options;
    cleanup_free char *ready = path_join(o->out_path, out_names[OUT_READY]);
    log_info(logger, "connected; waiting for the start that all loaders agree on");
    struct wall_time at;
    int r = start_await(ready, o->start_path, o->start_timeout_ns, t->cancel, &at, ret, err);
    if (r == 0)
        t->start = at; /* before that there is none to speak of */
    return r;
}

static int drive(struct trial *t, struct error *err) {
    const struct options *o = t->options;
    bool shared = t->share.loaders > 1;
    t->arrivals = (struct arrivals_config){.rate = &o->rate,
                                           .model = o->arrival,
                                           .seed = arrival_seed(t),
                                           .requests = or_never(t->whole->requests),
                                           .end_ns = or_never(o->time_ns),
                                           .loader = share_part(&t->share),
                                           .loaders = t->share.loaders};
    const struct replicas_config replicas = replicas_of(t);
    const struct streams_config streams = {.protocol = o->protocol == PROTOCOL_HTTP ? STREAM_HTTP
                                                                                    : STREAM_ECHO,
                                           .targets = &t->targets,
                                           .workload = &t->workload,
                                           .heads = t->heads,
                                           .connect_timeout_ns = o->connect_timeout_ns};
    const struct engine_config config = {
        .maker =
            o->protocol == PROTOCOL_REPLICA ? replicas_maker(&replicas) : streams_maker(&streams),
        .workload = &t->workload,
        .clients = t->workload.clients,
        .client_base = t->workload.client_base,
        .threads = t->threads,
        .requests = or_never(o->requests),
        .end_ns = or_never(o->time_ns),
        .arrivals = options_open(o) ? &t->arrivals : NULL,
        .in_flight_max = o->in_flight_max,
        .spin = o->spin,
        .window_from_ns = t->record.window_from_ns,
        .window_to_ns = t->record.window_to_ns,
        .request_timeout_ns = o->request_timeout_ns,
        .cancel = t->cancel,
        .durations = t->durations,
        .note = note,
        .tell = tell,
        .log = log_interval,
        .begin = shared ? begin_together : NULL,
        .context = t,
    };
    log_begin(t);
    uint64_t cpu_ns = cpu_time_ns();
    int r = engine_run(&config, &t->record, err);
    t->cpu_ns = cpu_time_ns() - cpu_ns;
    progress_end(&t->progress);
    log_end(t, r, err);
    return r;
}

static const char *why_ended(int outcome, const struct error *err) {
    return outcome < 0 ? err->text : outcome == DRIVER_INTERRUPTED ? "interrupted" : NULL;
}

/* What a number asked for stays asked for if the load ended early; a time asks for no number. */
static uint64_t intended(const struct trial *t, int outcome) {
    const struct options *o = t->options;
    if (outcome != DRIVER_DONE && o->requests > 0)
        return o->requests;
    return options_open(o) ? t->record.due : record_outcomes(&t->record);
}

static uint64_t span_ns(const struct trial *t, int outcome) {
    if (!options_open(t->options))
        return 0;
    uint64_t span_ns = arrivals_span_ns(&t->arrivals), end_ns = t->record.end_ns;
    bool whole = outcome == DRIVER_DONE && span_ns != UINT64_MAX;
    return whole || span_ns < end_ns ? span_ns : end_ns;
}

/* The load came to its end. */
static int judge(const struct trial *t, const struct summary *summary) {
    cleanup(buffer_deinit) struct buffer why;
    buffer_init(&why, SUMMARY_SIZE_MAX);
    if (summary_shortfall(summary, &why)) {
        fprintf(stderr, "loader: the load was not generated as asked: %s\n", buffer_string(&why));
        if (t->log_file)
            log_error(logger, "the load was not generated as asked: %s", buffer_string(&why));
        return TRIAL_NOT_GENERATED;
    }
    return t->record.outcomes[OUTCOME_ACKNOWLEDGED] == summary->intended
               ? TRIAL_GOOD
               : TRIAL_NOT_ALL_ACKNOWLEDGED;
}

/* Everything is written, whatever became of the load; the load's own fault is the one reported. */
static int finish(struct trial *t, int outcome, struct error *err) {
    if (outcome == DRIVER_INTERRUPTED && options_until_told(t->options) && t->record.begun_ns > 0 &&
        cancel_level(t->cancel) < 2)
        outcome = DRIVER_DONE; /* it was told */
    const struct summary summary = {
        .options = t->options,
        .record = &t->record,
        .run = t->targets.run,
        .seed = t->seed,
        .threads = t->threads,
        .share = &t->share,
        .whole = t->whole,
        .start = t->start,
        .cpu_ns = t->cpu_ns,
        .intended = intended(t, outcome),
        .span_ns = span_ns(t, outcome),
        .why = why_ended(outcome, err),
    };
    struct error second = ERROR_NULL, third = ERROR_NULL;
    int files = write_files(t, &summary, outcome < 0 ? &second : err);
    int text = print_summary(&summary, outcome < 0 || files < 0 ? &third : err);
    if (outcome < 0 || files < 0 || text < 0)
        return -1;
    return outcome == DRIVER_INTERRUPTED ? TRIAL_INTERRUPTED : judge(t, &summary);
}

static int open_metrics(struct trial *t, struct error *err) {
    if (load_metrics_open(&t->metrics, err) < 0)
        return -1;
    if (t->metrics.server)
        fprintf(stderr, "loader: metrics on port %u\n", metrics_port(t->metrics.server));
    return 0;
}

int trial_run(const struct options *options, const struct cancel *cancel, struct error *err) {
    cleanup(trial_deinit) struct trial t = {.whole = options, .options = options, .cancel = cancel};
    if (take_share(&t, err) < 0)
        return -1;
    progress_init(&t.progress, stderr, isatty(STDERR_FILENO), t.options);
    load_metrics_init(&t.metrics, t.options);
    if (open_log(&t, err) < 0)
        return -1;
    int r = -1;
    if (open_metrics(&t, err) == 0 && prepare_out(&t, err) == 0 && prepare_load(&t, err) == 0 &&
        open_record(&t, err) == 0)
        r = finish(&t, drive(&t, err), err);
    log_close();
    return r;
}
