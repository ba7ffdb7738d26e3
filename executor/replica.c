/* The life of a replica, and its loop. */

#include "executor/replica.h"

#include "executor/request.h"
#include "executor/result.h"
#include "executor/shell.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Answers that are still in our hands when we may stop get this long to go out. */
#define FAREWELL_NS (2 * NS_PER_SEC)

/* ---- the core ---- */

/* The requests that it brings are the core's now. */
static void note_received(struct replica *r, const struct pbft_event *event) {
    const struct pbft_message *m = &event->message;
    bool batch = event->type == PBFT_MESSAGE &&
                 (m->type == PBFT_PRE_PREPARE || m->type == PBFT_BATCH || m->type == PBFT_FORWARD);
    if (event->type == PBFT_REQUEST)
        request_goes_on(request_of(&event->request), STAGE_ORDER, r->now_ns, r->stages);
    for (uint32_t i = 0; batch && i < m->count; i++)
        request_goes_on(request_of(&m->requests[i]), STAGE_ORDER, r->now_ns, r->stages);
}

static void take_steps(struct replica *r, struct pbft_event *event) {
    assert(!r->stepping); /* no action calls back */
    r->stepping = true;
    do {
        event->now_ns = r->now_ns = clock_instant().ns;
        if (r->stages)
            note_received(r, event);
        pbft_step(r->core, event, r->update);
        for (size_t i = 0; i < r->update->count; i++)
            carry_out(r, &r->update->actions[i]);
        event->type = PBFT_TICK;
    } while (r->update->more);
    r->timer_ns = r->update->timer_ns;
    r->drained = r->drained || r->update->drained;
    r->stepping = false;
}

void step(struct replica *r, struct pbft_event *event) {
    bool failed = r->storage_failed;
    r->stepped = event->type != PBFT_FLUSH;
    take_steps(r, event);
    if (r->storage_failed && !failed)
        take_steps(r, &(struct pbft_event){.type = PBFT_STORE_FAILED});
}

void storing_failed(struct replica *r, const struct error *why) {
    if (r->storage_failed)
        return;
    r->storage_failed = true;
    log_error("store", "%s; nothing more is stored%s%s", why->text, why->hint[0] ? "; " : "",
              why->hint);
    if (!r->stepping)
        take_steps(r, &(struct pbft_event){.type = PBFT_STORE_FAILED});
}

/* ---- what the transport asks ---- */

static void on_hello(void *context, struct wire_hello_answer *answer) {
    const struct replica *r = context;
    struct pbft_status status;
    pbft_get_status(r->core, &status);
    answer->primary = status.primary;
    answer->f = status.f;
    answer->answers = (uint16_t)(status.f + 1);
}

static void on_note(void *context, bool warning, const char *text) {
    (void)context;
    log_write("transport", warning ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", text);
}

/* ---- what other threads and the system bring ---- */

/* A block of another replica, of which f + 1 have said that it is in the chain. */
static void adoption_failed(struct replica *r, const struct storage_job *job) {
    struct error why = ERROR_NULL;
    error_set(&why, ERROR_INVALID, "a block that the others have cannot be taken over: %s",
              job->problem);
    storing_failed(r, &why);
}

static void note_stored(struct replica *r, const struct storage_job *job) {
    (*(job->block ? &r->counts.adopted : &r->counts.executed))++;
    if (!job->block && r->stages)
        r->stored_ns[r->stored_count++] = job->at_ns;
}

/* Their answers are out. */
static void note_replied(struct replica *r, uint64_t now_ns) {
    for (uint32_t i = 0; i < r->stored_count; i++)
        stages_record_since(r->stages, STAGE_REPLY, r->stored_ns[i], now_ns);
    r->stored_count = 0;
}

/* How many of them are in the store now; none behind one that was refused. */
static uint32_t take_jobs(struct replica *r, const struct storage_job *jobs, size_t count,
                          uint8_t (*digests)[PBFT_DIGEST_SIZE]) {
    uint32_t stored = 0;
    for (size_t i = 0; i < count; i++) {
        r->counts.ahead += jobs[i].ahead;
        r->counts.conflicts += jobs[i].conflict;
        if (jobs[i].answer)
            send_value(r, jobs[i].request, jobs[i].height, jobs[i].answer);
        if (jobs[i].request)
            request_unref(jobs[i].request);
        blob_unref(jobs[i].block);
        if (jobs[i].refused)
            adoption_failed(r, &jobs[i]);
        else if (!r->storage_failed)
            memcpy(digests[stored++], jobs[i].digest, PBFT_DIGEST_SIZE);
        if (!jobs[i].refused)
            note_stored(r, &jobs[i]);
    }
    return stored;
}

static void take_stored(struct replica *r) {
    struct storage_job jobs[PBFT_STORED_MAX];
    uint8_t digests[PBFT_STORED_MAX][PBFT_DIGEST_SIZE];
    size_t count;
    while ((count = storage_take(r->storage, jobs, PBFT_STORED_MAX)) > 0) {
        uint64_t height = jobs[0].height;
        uint32_t stored = take_jobs(r, jobs, count, digests);
        if (stored == 0)
            continue;
        memcpy(r->digest, digests[stored - 1], sizeof r->digest);
        struct pbft_event event = {.type = PBFT_STORED};
        event.stored.height = height;
        event.stored.count = stored;
        event.stored.digests = (const uint8_t(*)[PBFT_DIGEST_SIZE])digests;
        step(r, &event);
    }
}

static void take_fetches(struct replica *r) {
    char problem[STORAGE_PROBLEM_SIZE];
    if (!transfer_take_fetches(r->transfer, r->storage, r->transport, problem))
        log_warn("store", "a block for another replica cannot be read: %s", problem);
}

static void storage_ready(struct watch *watch, uint32_t events) {
    struct replica *r =
        (struct replica *)(void *)((char *)watch - offsetof(struct replica, storage_watch));
    struct error err;
    (void)events;
    error_init(&err);
    take_stored(r);
    take_reads(r);
    take_fetches(r);
    if (!r->storage_failed && storage_failed(r->storage, &err))
        storing_failed(r, &err);
}

static void pre_execution_ready(struct watch *watch, uint32_t events) {
    (void)events;
    take_executed(
        (struct replica *)(void *)((char *)watch - offsetof(struct replica, pre_execution_watch)));
}

static void signal_ready(struct watch *watch, uint32_t events) {
    struct replica *r =
        (struct replica *)(void *)((char *)watch - offsetof(struct replica, signal_watch));
    struct signalfd_siginfo info;
    (void)events;
    if (read(watch->fd, &info, sizeof info) != sizeof info)
        return;
    log_info("replica", "%s: stopping", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    r->stopping = true;
    step(r, &(struct pbft_event){.type = PBFT_DRAIN});
}

/* ---- life ---- */

static int open_signals(struct replica *r, struct error *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "signalfd");
    r->signal_watch = (struct watch){.fd = fd, .ready = signal_ready};
    return loop_watch(&r->loop, &r->signal_watch, EPOLLIN, err);
}

static int open_store(const struct replica *r, struct store **ret, struct error *err) {
    const struct replica_options *o = r->options;
    if (o->store == REPLICA_MEMORY)
        return store_open_memory(o->memory_max_bytes, o->memory_reserve_bytes, ret, err);
    struct store_identity identity = {.run = r->place->cluster->run,
                                      .replica = r->place->replica,
                                      .n = r->place->n,
                                      .merkle = merkle_name(o->ledger.merkle)};
    return store_open_rocksdb(o->data, &identity, o->ledger.durability, ret, err);
}

/* ---- what was there before ---- */

struct recovery {
    struct chain chain;
    struct pbft *core;
};

static int recover_block(void *context, uint64_t height, const uint8_t *header, size_t size,
                         struct error *err) {
    struct recovery *recovery = context;
    struct block_header h;
    if (chain_follow(&recovery->chain, header, size, &h, err) < 0)
        return error_wrap(err, "block %llu in the store", (unsigned long long)height);
    struct pbft_block block = {
        .height = height, .seq = h.sequence, .client = h.client, .number = h.number};
    memcpy(block.parent, h.parent, sizeof block.parent);
    memcpy(block.digest, recovery->chain.digest, sizeof block.digest);
    if (!pbft_recover_block(recovery->core, &block))
        return error_set(err, ERROR_LIMIT, "the chain has requests of more clients than %u",
                         PBFT_CONFIG_DEFAULT.clients_max);
    return 0;
}

/* Reads the chain back, and gives store and chain to the storage thread. */
static int open_storage(struct replica *r, uint64_t *ret_height, struct error *err) {
    cleanup(store_freep) struct store *store = NULL;
    if (open_store(r, &store, err) < 0)
        return -1;
    struct recovery recovery = {.core = r->core};
    chain_init(&recovery.chain);
    if (store_each_header(store, recover_block, &recovery, err) < 0) {
        chain_deinit(&recovery.chain);
        return -1;
    }
    memcpy(r->digest, recovery.chain.digest, sizeof r->digest);
    char digest[2 * SHA256_SIZE + 1];
    text_hex(r->digest, sizeof r->digest, digest);
    log_info("store", "%s at height %llu, digest %s", store_name(store),
             (unsigned long long)recovery.chain.height, digest);
    *ret_height = recovery.chain.height;
    uint32_t jobs_max = r->config.window * PBFT_BATCH_MAX + PBFT_TRANSFER_MAX;
    if (storage_start(take_ptr(store), &recovery.chain, &r->options->ledger, jobs_max, &r->storage,
                      err) < 0)
        return -1;
    if (r->options->metrics) {
        r->stages = mem_new(struct stages);
        r->stored_ns = mem_new_array(uint64_t, jobs_max);
        storage_measure(r->storage, r->stages);
    }
    r->storage_watch = (struct watch){.fd = storage_done_fd(r->storage), .ready = storage_ready};
    return loop_watch(&r->loop, &r->storage_watch, EPOLLIN, err);
}

/* The requests of a PROPOSAL: its own bytes, as a frame would bring them. */
static int recover_requests(struct replica *r, const struct protocol_log_request *requests,
                            uint32_t count, struct pbft_request *ret, struct error *err) {
    for (uint32_t i = 0; i < count; i++) {
        struct blob *blob = requests[i].blob;
        const struct frame frame = {.body = blob->data, .size = blob->size, .blob = blob};
        struct request *request;
        int good = request_new(&frame, 0, &r->hash, &r->checker, &request, err);
        blob_unref(blob);
        if (good == 0 && requests[i].ahead_size > 0 &&
            (good = take_endorsed(r, request, requests[i].ahead, requests[i].ahead_size, err)) < 0)
            request_unref(request);
        if (good < 0)
            return -1;
        ret[i] = request_for_core(request);
    }
    return 0;
}

static int recover_record(void *context, const struct pbft_record *record,
                          const struct protocol_log_request *requests, struct error *err) {
    struct replica *r = context;
    struct pbft_request of_core[PBFT_BATCH_MAX];
    struct pbft_record copy = *record;
    uint32_t count = requests ? record->count : 0;
    if (recover_requests(r, requests, count, of_core, err) < 0)
        return -1;
    if (requests)
        copy.requests = of_core;
    if (!pbft_recover_record(r->core, &copy, r->update))
        for (uint32_t i = 0; i < count; i++)
            release_handle(r, of_core[i].handle);
    for (size_t i = 0; i < r->update->count; i++)
        carry_out(r, &r->update->actions[i]);
    return 0;
}

static int open_log(struct replica *r, uint64_t height, struct error *err) {
    if (r->options->store == REPLICA_MEMORY)
        return 0;
    cleanup_free char *folder = path_join(r->options->data, "protocol");
    const struct protocol_log_options options = {
        .folder = folder,
        .run = r->place->cluster->run,
        .replica = r->place->replica,
        .n = r->place->n,
        .sync = r->options->ledger.durability != STORE_SYNC_NONE,
    };
    if (protocol_log_open(&options, height, recover_record, r, &r->log, err) < 0)
        return error_wrap(err, "the protocol log");
    struct pbft_status status;
    pbft_get_status(r->core, &status);
    log_info("core", "view %llu, stable checkpoint at number %llu", (unsigned long long)status.view,
             (unsigned long long)status.stable);
    return 0;
}

/* ---- opening ---- */

static int open_transport(struct replica *r, struct error *err) {
    const struct place *place = r->place;
    struct transport_config config = {
        .run = place->cluster->run,
        .identity = place->identity,
        .replica = place->replica,
        .n = place->n,
        .addresses = place->addresses,
        .listen_host =
            r->options->listen ? r->options->listen : place->addresses[place->replica].host,
    };
    struct transport_events events = {
        .context = r,
        .peer_up = on_peer_up,
        .peer_down = on_peer_down,
        .peer_frame = on_peer_frame,
        .client_up = on_client_up,
        .client_frame = on_client_frame,
        .hello = on_hello,
        .note = on_note,
    };
    if (transport_open(&r->loop, &config, &events, &r->transport, err) < 0)
        return -1;
    log_info("transport", "listening on %s port %u", config.listen_host,
             place->addresses[place->replica].port);
    return 0;
}

static void hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]) {
    (void)context;
    sha256_of(data, size, out);
}

/* All of its memory. */
static void make_core(struct replica *r) {
    r->config = PBFT_CONFIG_DEFAULT;
    r->config.replica = r->place->replica;
    r->config.n = r->place->n;
    r->config.hash = hash;
    random_bytes(r->config.clients.secret, sizeof r->config.clients.secret);
    r->core_memory = mem_zero(1, pbft_size(&r->config));
    r->core = pbft_init(r->core_memory, &r->config);
    r->update = mem_new(struct pbft_update);
    r->timer_ns = UINT64_MAX;
    r->clients = clients_new(r->config.clients_max);
    r->room = codec_room_new();
    r->gathered = mem_new_array(struct gathered, r->place->n);
    r->transfer = transfer_new(r->place->n);
    r->traces = log_enabled("core", LOG_LEVEL_DEBUG);
    sha256_init(&r->hash);
}

static int open_all(struct replica *r, struct error *err) {
    uint64_t height = 0;
    make_core(r);
    r->auth = (struct auth){.identity = r->place->identity, .run = r->place->cluster->run};
    if (request_checker_init(&r->checker, r->place->identity, r->place->cluster->run,
                             r->options->client_auth, err) < 0)
        return -1;
    if (loop_init(&r->loop, err) < 0 || open_signals(r, err) < 0 ||
        open_storage(r, &height, err) < 0 ||
        pre_execution_new(handler_of(r), &r->auth, &r->pre_execution, err) < 0)
        return -1;
    open_ahead(r);
    if (open_log(r, height, err) < 0)
        return -1;
    r->pre_execution_watch =
        (struct watch){.fd = pre_execution_fd(r->pre_execution), .ready = pre_execution_ready};
    if (loop_watch(&r->loop, &r->pre_execution_watch, EPOLLIN, err) < 0)
        return -1;
    return open_transport(r, err) < 0 ? -1 : replica_metrics_open(r, err);
}

/* ---- the loop ---- */

static void propose(struct replica *r) {
    if (r->stepped)
        step(r, &(struct pbft_event){.type = PBFT_FLUSH});
}

/* What came is proposed and written down, and then what was said goes out. */
static int end_round(struct replica *r, struct instant *ret_due, struct error *err) {
    ahead_tick(r->ahead, clock_instant().ns);
    propose(r);
    while (storage_do_at_once(r->storage)) {
        take_stored(r);
        propose(r);
    }
    if (r->log && !r->log_failed && protocol_log_sync(r->log, err) < 0)
        return -1; /* what the disk has is not known any more */
    transfer_work(r->transfer, r->storage, r->transport);
    storage_kick(r->storage);
    struct instant due = transport_round(r->transport);
    *ret_due = r->stepped ? clock_instant() : due; /* somebody has gone: the next round, at once */
    return 0;
}

static bool owes_answers(const struct replica *r) {
    return r->reads > 0 || transport_unsent(r->transport);
}

static int serve(struct replica *r, struct error *err) {
    struct instant farewell = INSTANT_NEVER, due;
    step(r, &(struct pbft_event){.type = PBFT_TICK});
    for (;;) {
        if (end_round(r, &due, err) < 0)
            return -1;
        struct instant now = clock_instant();
        note_replied(r, now.ns);
        if (r->drained && farewell.ns == INSTANT_NEVER.ns)
            farewell = instant_after(now, FAREWELL_NS);
        if (r->drained && (instant_passed(farewell, now) || !owes_answers(r)))
            return 0;
        due = instant_earlier(due, instant_earlier(farewell, (struct instant){r->timer_ns}));
        due = instant_earlier(due, (struct instant){ahead_due(r->ahead)});
        if (loop_round(&r->loop, due, err) < 0)
            return -1;
        if (clock_instant().ns >= r->timer_ns)
            step(r, &(struct pbft_event){.type = PBFT_TICK});
    }
}

static void release_request(void *request) {
    request_unref(request);
}

/* What the storage thread has not given back. */
static void release_jobs(struct replica *r) {
    struct storage_job job;
    struct storage_read read;
    struct storage_fetch fetch;
    while (storage_take(r->storage, &job, 1) > 0) {
        if (job.request)
            request_unref(job.request);
        blob_unref(job.block);
        blob_unref(job.answer);
    }
    while (storage_take_reads(r->storage, &read, 1) > 0) {
        request_unref(read.request);
        blob_unref(read.answer);
    }
    while (storage_take_fetches(r->storage, &fetch, 1) > 0)
        for (uint32_t i = 0; i < fetch.found; i++)
            blob_unref(fetch.blocks[i]);
}

/* Stops all threads. Gives the store, if there is one. */
static struct store *close_all(struct replica *r) {
    struct store *store = NULL;
    replica_metrics_close(r->metrics);
    if (r->transport)
        transport_free(r->transport);
    if (r->pre_execution)
        pre_execution_free(r->pre_execution, release_request);
    if (r->ahead)
        ahead_free(r->ahead);
    if (r->storage) {
        storage_stop(r->storage);
        release_jobs(r);
        store = storage_free(r->storage);
    }
    pbft_drop(r->core, release_handle, r);
    for (uint16_t i = 0; i < r->place->n; i++)
        drop_gathered(r, i);
    if (r->signal_watch.added)
        close(r->signal_watch.fd);
    loop_deinit(&r->loop);
    request_checker_deinit(&r->checker);
    sha256_deinit(&r->hash);
    if (r->log)
        protocol_log_free(r->log);
    transfer_free(r->transfer);
    codec_room_free(r->room);
    clients_free(r->clients);
    free(r->gathered);
    free(r->stages);
    free(r->stored_ns);
    free(r->update);
    free(r->core_memory);
    return store;
}

int replica_run(const struct replica_options *options, const struct place *place,
                struct error *err) {
    struct replica r = {.options = options, .place = place, .loop = LOOP_NULL};
    int result = open_all(&r, err);
    if (result == 0)
        result = serve(&r, err);
    bool stored_all = !r.storage_failed;
    cleanup(store_freep) struct store *store = close_all(&r);
    if (result < 0)
        return -1;
    uint64_t height = store_height(store);
    if (result_write(store, options->out, err) < 0)
        return -1;
    if (r.counts.ahead > 0)
        log_info("replica",
                 "of %llu requests that were ordered as executed ahead, %llu were in conflict, and "
                 "executed once more",
                 (unsigned long long)r.counts.ahead, (unsigned long long)r.counts.conflicts);
    log_info("replica", "stopped at height %llu; results are in %s", (unsigned long long)height,
             options->out);
    if (!stored_all)
        return error_set(err, ERROR_FAILED, "the store had failed, see above");
    return 0;
}
