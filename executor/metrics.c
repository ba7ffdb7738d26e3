#include "executor/metrics.h"

#include "executor/pbft/trace.h"
#include "executor/shell.h"
#include "executor/stages.h"

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/metrics.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A loop that does not come round in this time waits for its disk, and has nothing to say. */
#define PATIENCE_NS (2 * NS_PER_SEC)

struct snapshot {
    struct pbft_status core;
    struct replica_counts counts;
    struct transport_stats transport;
    struct storage_stats storage;
    uint64_t pre_executing;
    uint64_t log_bytes;
    uint64_t loop_cpu_ns;
};

struct replica_metrics {
    struct replica *replica; /* of the loop, but for what never changes */
    struct watch watch;      /* readable: the server asks */
    struct metrics *server;
    int64_t started_s;    /* since 1970 */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t answered;
    uint64_t asked, told;
    bool closing;
    struct snapshot snapshot;
};

/* ---- the loop's side ---- */

static uint64_t cpu_ns(clockid_t clock) {
    struct timespec t = {.tv_sec = 0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

static void take_snapshot(const struct replica *r, struct snapshot *ret) {
    pbft_get_status(r->core, &ret->core);
    ret->counts = r->counts;
    transport_get_stats(r->transport, &ret->transport);
    storage_get_stats(r->storage, &ret->storage);
    ret->pre_executing = pre_execution_count(r->pre_execution);
    ret->log_bytes = r->log ? protocol_log_bytes(r->log) : 0;
    ret->loop_cpu_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void somebody_asks(struct watch *watch, uint32_t events) {
    struct replica_metrics *m =
        (struct replica_metrics *)(void *)((char *)watch - offsetof(struct replica_metrics, watch));
    uint64_t count;
    (void)events;
    if (read(watch->fd, &count, sizeof count) != sizeof count)
        return;
    pthread_mutex_lock(&m->lock);
    take_snapshot(m->replica, &m->snapshot);
    m->told = m->asked;
    pthread_mutex_unlock(&m->lock);
    pthread_cond_signal(&m->answered);
}

/* ---- the server's side ---- */

static bool ask(struct replica_metrics *m, struct snapshot *ret) {
    const uint64_t one = 1;
    struct instant until = instant_after(clock_instant(), PATIENCE_NS);
    const struct timespec deadline = {.tv_sec = (time_t)(until.ns / NS_PER_SEC),
                                      .tv_nsec = (long)(until.ns % NS_PER_SEC)};
    pthread_mutex_lock(&m->lock);
    uint64_t question = ++m->asked;
    int late = write(m->watch.fd, &one, sizeof one) == sizeof one ? 0 : EIO;
    while (m->told < question && !m->closing && !late)
        late = pthread_cond_timedwait(&m->answered, &m->lock, &deadline);
    bool told = m->told >= question;
    *ret = m->snapshot;
    pthread_mutex_unlock(&m->lock);
    return told;
}

static double in_seconds(uint64_t ns) {
    return (double)ns / (double)NS_PER_SEC;
}

static void write_one(struct buffer *out, const char *name, const char *type, const char *help,
                      double value) {
    metrics_head(out, name, type, help);
    metrics_sample(out, name, NULL, value);
}

static void write_labelled(struct buffer *out, const char *name, const char *key, const char *text,
                           double value) {
    char label[80];
    snprintf(label, sizeof label, "%s=\"%s\"", key, text);
    metrics_sample(out, name, label, value);
}

/* Numbers and names only, so nothing has to be escaped. */
static void write_info(const struct replica *r, struct buffer *out) {
    static const char name[] = "seatrial_replica_info";
    const struct replica_options *o = r->options;
    char labels[400];
    snprintf(labels, sizeof labels,
             "version=\"%s\",replica=\"%u\",replicas=\"%u\",handler=\"%s\",store=\"%s\","
             "merkle=\"%s\",durability=\"%s\"",
             SEATRIAL_VERSION, r->place->replica, r->place->n, o->ledger.handler->name,
             o->store == REPLICA_MEMORY ? "memory" : "rocksdb", merkle_name(o->ledger.merkle),
             store_durability_name(o->ledger.durability));
    metrics_head(out, name, "gauge", "Which replica this is, and how it runs: always 1.");
    metrics_sample(out, name, labels, 1);
}

static void write_agreement(const struct replica *r, const struct pbft_status *core,
                            struct buffer *out) {
    static const char role[] = "seatrial_replica_role";
    static const char sequence[] = "seatrial_replica_sequence_number";
    bool primary = core->active && core->primary == r->place->replica;
    write_one(out, "seatrial_replica_view", "gauge", "The view, or the one that is on its way.",
              (double)core->view);
    metrics_head(out, role, "gauge", "1 for what the replica is; in a view change it is neither.");
    write_labelled(out, role, "role", "primary", primary);
    write_labelled(out, role, "role", "backup", core->active && !primary);
    write_one(out, "seatrial_replica_healthy", "gauge", "1: what --health calls good.",
              core->healthy);
    write_one(out, "seatrial_replica_transferring", "gauge",
              "1: it fetches blocks from the others.", core->transferring);
    write_one(out, "seatrial_replica_height", "gauge", "Blocks in the store.",
              (double)core->stored);
    metrics_head(out, sequence, "gauge", "Numbers of batches.");
    write_labelled(out, sequence, "of", "proposed", (double)core->proposed);
    write_labelled(out, sequence, "of", "committed", (double)core->committed);
    write_labelled(out, sequence, "of", "stable", (double)core->stable);
}

static void write_counts(const struct replica_counts *c, struct buffer *out) {
    static const char requests[] = "seatrial_replica_requests_total";
    static const char replies[] = "seatrial_replica_replies_total";
    static const char blocks[] = "seatrial_replica_blocks_total";
    metrics_head(out, requests, "counter", "Requests that came, repeated ones included.");
    write_labelled(out, requests, "from", "client", (double)c->from_clients);
    write_labelled(out, requests, "from", "replica", (double)c->from_replicas);
    metrics_head(out, replies, "counter", "Answers, wherever the client is.");
    write_labelled(out, replies, "status", "ok", (double)c->replies[WIRE_REPLY_OK]);
    write_labelled(out, replies, "status", "overloaded", (double)c->replies[WIRE_REPLY_OVERLOADED]);
    write_labelled(out, replies, "status", "refused", (double)c->replies[WIRE_REPLY_REFUSED]);
    metrics_head(out, blocks, "counter", "Blocks that were stored since the start.");
    write_labelled(out, blocks, "by", "execution", (double)c->executed);
    write_labelled(out, blocks, "by", "transfer", (double)c->adopted);
    write_one(out, "seatrial_replica_ahead_total", "counter",
              "Blocks of requests that were ordered as executed ahead.", (double)c->ahead);
    write_one(out, "seatrial_replica_conflicts_total", "counter",
              "Of them, those that were in conflict, and executed once more.",
              (double)c->conflicts);
}

static void write_messages(const char *name, const char *help, const uint64_t *counts,
                           struct buffer *out) {
    metrics_head(out, name, "counter", help);
    for (int type = PBFT_FORWARD; type < PBFT_MESSAGE_END; type++)
        write_labelled(out, name, "type", trace_message_label((enum pbft_message_type)type),
                       (double)counts[type - PBFT_FORWARD]);
}

static void write_protocol(const struct replica_counts *c, struct buffer *out) {
    static const char events[] = "seatrial_replica_events_total";
    metrics_head(out, events, "counter", "What the log of 'core' tells about, by kind.");
    for (int i = 0; i < PBFT_NOTE_COUNT; i++)
        write_labelled(out, events, "event", trace_note_label((enum pbft_note)i),
                       (double)c->notes[i]);
    write_messages("seatrial_replica_messages_sent_total",
                   "Messages to other replicas; one to all of them counts for each.",
                   c->messages_sent, out);
    write_messages("seatrial_replica_messages_received_total",
                   "Messages of other replicas that were whole.", c->messages_received, out);
}

static void write_connections(const struct transport_stats *t, struct buffer *out) {
    static const char connections[] = "seatrial_replica_connections";
    static const char unsent[] = "seatrial_replica_unsent_bytes";
    metrics_head(out, connections, "gauge", "Connections; strangers have not said who they are.");
    write_labelled(out, connections, "with", "replica", t->peers);
    write_labelled(out, connections, "with", "client", t->clients);
    write_labelled(out, connections, "with", "stranger", t->strangers);
    metrics_head(out, unsent, "gauge", "Bytes that wait to be sent.");
    write_labelled(out, unsent, "to", "replica", (double)t->peer_bytes);
    write_labelled(out, unsent, "to", "client", (double)t->client_bytes);
    write_one(out, "seatrial_replica_unreceived_bytes", "gauge",
              "Sizes of the frames that have begun to come.", (double)t->partial_bytes);
}

static void write_queues(const struct snapshot *s, struct buffer *out) {
    static const char queue[] = "seatrial_replica_queue_length";
    metrics_head(out, queue, "gauge", "What waits, and for what.");
    write_labelled(out, queue, "for", "pre_execution", (double)s->pre_executing);
    write_labelled(out, queue, "for", "order", (double)s->core.waiting);
    write_labelled(out, queue, "for", "storage", (double)s->storage.jobs);
    write_labelled(out, queue, "for", "reading", (double)s->storage.reads);
    write_labelled(out, queue, "for", "fetching", (double)s->storage.fetches);
    write_one(out, "seatrial_replica_waiting_bytes", "gauge",
              "Of the requests that wait to be ordered.", (double)s->core.waiting_bytes);
    write_one(out, "seatrial_replica_protocol_log_bytes", "gauge",
              "Of the protocol log on the disk.", (double)s->log_bytes);
}

/* By their usual names. */
static void write_process(const struct replica_metrics *m, const struct snapshot *s,
                          struct buffer *out) {
    static const char threads[] = "seatrial_replica_thread_cpu_seconds_total";
    unsigned long size = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%lu %lu", &size, &resident) != 2)
            resident = 0;
        fclose(f);
    }
    metrics_head(out, threads, "counter", "CPU time of the two threads that do most.");
    write_labelled(out, threads, "thread", "loop", in_seconds(s->loop_cpu_ns));
    write_labelled(out, threads, "thread", "storage", in_seconds(s->storage.cpu_ns));
    write_one(out, "process_cpu_seconds_total", "counter", "CPU time of the process.",
              in_seconds(cpu_ns(CLOCK_PROCESS_CPUTIME_ID)));
    write_one(out, "process_resident_memory_bytes", "gauge", "Memory of the process.",
              (double)resident * (double)sysconf(_SC_PAGESIZE));
    write_one(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.",
              (double)m->started_s);
}

static bool write_all(void *context, struct buffer *out) {
    struct replica_metrics *m = context;
    struct snapshot s;
    if (!ask(m, &s))
        return false;
    write_info(m->replica, out);
    write_agreement(m->replica, &s.core, out);
    write_counts(&s.counts, out);
    stages_write(m->replica->stages, out);
    write_protocol(&s.counts, out);
    write_connections(&s.transport, out);
    write_queues(&s, out);
    write_process(m, &s, out);
    return true;
}

/* ---- opening ---- */

static void init_lock(struct replica_metrics *m) {
    pthread_condattr_t attributes;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&m->answered, &attributes);
    pthread_condattr_destroy(&attributes);
}

int replica_metrics_open(struct replica *r, struct error *err) {
    if (!r->options->metrics)
        return 0;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "eventfd");
    struct replica_metrics *m = mem_new(struct replica_metrics);
    *m = (struct replica_metrics){.replica = r,
                                  .watch = {.fd = fd, .ready = somebody_asks},
                                  .started_s = clock_wall().ns / (int64_t)NS_PER_SEC};
    init_lock(m);
    if (loop_watch(&r->loop, &m->watch, EPOLLIN, err) < 0 ||
        metrics_open(r->options->metrics, write_all, m, &m->server, err) < 0) {
        replica_metrics_close(m);
        return error_wrap(err, "--metrics");
    }
    log_info("replica", "metrics on port %u", metrics_port(m->server));
    r->metrics = m;
    return 0;
}

void replica_metrics_close(struct replica_metrics *m) {
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->closing = true; /* the loop answers nobody any more */
    pthread_mutex_unlock(&m->lock);
    pthread_cond_broadcast(&m->answered);
    if (m->server)
        metrics_close(m->server);
    loop_unwatch(&m->replica->loop, &m->watch);
    close(m->watch.fd);
    pthread_cond_destroy(&m->answered);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
