#include "executor/replica.h"

#include "executor/core/codec.h"
#include "executor/pre_execution.h"
#include "executor/request.h"
#include "executor/result.h"
#include "executor/storage.h"
#include "executor/words.h"

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Answers that are still in our hands when we may stop get this long to go out. */
#define FAREWELL_NS (2 * NS_PER_SEC)

struct replica {
    const struct replica_options *options;
    const struct place *place;
    struct loop loop;
    struct transport *transport;
    struct storage *storage;
    struct pre_execution *pre_execution;
    struct watch storage_watch;
    struct watch pre_execution_watch;
    struct watch signal_watch;
    struct sha256 hash;
    void *core_memory;
    struct core *core;
    struct core_update *update; /* of the step that is carried out */
    bool stepping;
    bool drained;
    bool storage_failed;
    bool stopping;    /* a signal said so */
    uint32_t reads;   /* that wait for their time or for the store */
    bool read_failed; /* one, and the log has it */
    uint64_t timer_ns;
    uint8_t digest[SHA256_SIZE]; /* of the last stored block */
};

static void step(struct replica *r, struct core_event *event);

/* ---- what the core wants ---- */

static void send_reply(struct replica *r, uint64_t origin, struct wire_reply *reply) {
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    reply->replica = r->place->replica;
    transport_send_client(r->transport, origin, frame, wire_reply_encode(reply, frame));
}

static void do_reply(struct replica *r, const struct core_action *action) {
    struct wire_reply reply = {
        .client = action->request.client,
        .number = action->request.number,
        .status = words_reply_status(action->status),
        .height = action->height,
    };
    memcpy(reply.digest, action->digest, sizeof reply.digest);
    snprintf(reply.text, sizeof reply.text, "%s", words_reason(action->reason));
    send_reply(r, action->request.origin, &reply);
}

static void do_store(struct replica *r, const struct core_action *action) {
    struct request *request = request_of(&action->request);
    struct storage_job job = {
        .height = action->height,
        .request = request_ref(request),
        .command = request->command,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
        .skip_execution = action->request.pre_executed,
    };
    memcpy(job.request_digest, request->digest, sizeof job.request_digest);
    storage_push(r->storage, &job);
}

static void do_send(struct replica *r, const struct core_action *action) {
    uint8_t head[CODEC_HEAD_SIZE_MAX];
    const struct core_message *m = &action->message;
    const struct request *request = m->type == CORE_APPEND ? request_of(&m->request) : NULL;
    transport_send_peer(r->transport, action->peer, head, codec_encode(m, head),
                        request ? request->blob : NULL, request ? request->offset : 0);
}

static void do_note(const struct core_action *action) {
    char text[256];
    bool warning = words_note(action, text, sizeof text);
    log_write("core", warning ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", text);
}

static void carry_out(struct replica *r, const struct core_action *action) {
    switch (action->type) {
    case CORE_STORE: do_store(r, action); return;
    case CORE_SEND: do_send(r, action); return;
    case CORE_REPLY: do_reply(r, action); return;
    case CORE_RELEASE: request_unref(request_of(&action->request)); return;
    case CORE_DISCONNECT:
        transport_disconnect_peer(r->transport, action->peer, "it broke the protocol");
        return;
    case CORE_NOTE: do_note(action); return;
    }
}

static void step(struct replica *r, struct core_event *event) {
    assert(!r->stepping); /* no action calls back */
    r->stepping = true;
    do {
        event->now_ns = clock_instant().ns;
        core_step(r->core, event, r->update);
        for (size_t i = 0; i < r->update->count; i++)
            carry_out(r, &r->update->actions[i]);
        event->type = CORE_TICK;
    } while (r->update->more);
    r->timer_ns = r->update->timer_ns;
    r->drained = r->drained || r->update->drained;
    r->stepping = false;
}

/* ---- what the transport brings ---- */

static void on_peer_up(void *context, uint16_t peer) {
    log_info("transport", "replica %u is connected", peer);
    step(context, &(struct core_event){.type = CORE_PEER_UP, .peer = peer});
}

static void on_peer_down(void *context, uint16_t peer) {
    log_info("transport", "replica %u is gone", peer);
    step(context, &(struct core_event){.type = CORE_PEER_DOWN, .peer = peer});
}

static int on_peer_frame(void *context, uint16_t peer, const struct frame *frame,
                         struct error *err) {
    struct replica *r = context;
    struct core_event event = {.type = CORE_MESSAGE, .peer = peer};
    size_t offset;
    if (codec_decode(frame->type, frame->body, frame->size, &event.message, &offset, err) < 0)
        return -1;
    if (event.message.type == CORE_APPEND) {
        bool pre_executed = event.message.request.pre_executed;
        struct request *request;
        if (request_new(frame, offset, &r->hash, &request, err) < 0)
            return -1;
        int good = request_reads(request)
                       ? error_set(err, ERROR_REFUSED, "read-only requests are not ordered")
                       : request_check(request, err);
        if (good < 0) {
            request_unref(request);
            return error_wrap(err, "it ordered a request that it should have refused");
        }
        event.message.request = request_for_core(request, pre_executed);
    }
    step(r, &event);
    return 0;
}

static void order(struct replica *r, struct request *request, bool pre_executed) {
    struct core_event event = {.type = CORE_REQUEST,
                               .request = request_for_core(request, pre_executed)};
    step(r, &event);
}

static void refuse(struct replica *r, struct request *request, enum wire_reply_status status,
                   const char *why) {
    struct wire_reply reply = {
        .client = request->command.client, .number = request->command.number, .status = status};
    snprintf(reply.text, sizeof reply.text, "%s", why);
    send_reply(r, request->origin, &reply);
    request_unref(request);
}

/* Only the primary has all that was acknowledged. */
static enum core_reason reason_not_to_read(const struct replica *r) {
    struct core_status status;
    core_get_status(r->core, &status);
    if (status.primary != r->place->replica)
        return CORE_REASON_NOT_PRIMARY;
    if (r->stopping)
        return CORE_REASON_DRAINING;
    return r->storage_failed ? CORE_REASON_STORE_FAILED : CORE_REASON_NONE;
}

static void refuse_read(struct replica *r, struct request *request, const char *why) {
    refuse(r, request, WIRE_REPLY_OVERLOADED, why);
    r->reads--;
}

/* Its time has been spent. */
static void read_now(struct replica *r, struct request *request) {
    const struct storage_read read = {.request = request, .command = request->command};
    if (!storage_push_read(r->storage, &read))
        refuse_read(r, request, "too many reads wait already");
}

/* Reads wait for nobody, so their execution times are spent side by side, as in pre-execution. */
static void begin_read(struct replica *r, struct request *request) {
    struct pre_execution_job job = {
        .request = request,
        .execution_ms = request->command.execution_ms,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
    };
    enum core_reason reason = reason_not_to_read(r);
    if (reason != CORE_REASON_NONE) {
        refuse(r, request, WIRE_REPLY_REFUSED, words_reason(reason));
        return;
    }
    r->reads++;
    if (job.execution_ms == 0)
        read_now(r, request);
    else if (!pre_execution_push(r->pre_execution, &job))
        refuse_read(r, request, "too many requests wait for pre-execution");
}

static void pre_execute(struct replica *r, struct request *request) {
    struct pre_execution_job job = {
        .request = request,
        .execution_ms = request->command.execution_ms,
        .busy_wait = request->flags & WIRE_REQUEST_BUSY_WAIT,
    };
    if (job.execution_ms == 0)
        order(r, request, true);
    else if (!pre_execution_push(r->pre_execution, &job))
        refuse(r, request, WIRE_REPLY_OVERLOADED, "too many requests wait for pre-execution");
}

static int on_request(struct replica *r, uint64_t origin, const struct frame *frame,
                      struct error *err) {
    struct request *request;
    struct error why = ERROR_NULL;
    if (request_new(frame, 0, &r->hash, &request, err) < 0)
        return -1;
    request->origin = origin;
    struct core_status status;
    bool pre = request->flags & WIRE_REQUEST_PRE_EXECUTE;
    if (request_check(request, &why) < 0) {
        refuse(r, request, WIRE_REPLY_REFUSED, why.text);
    } else if (request_reads(request)) {
        begin_read(r, request);
    } else if (pre && (core_get_status(r->core, &status), status.primary == r->place->replica)) {
        pre_execute(r, request);
    } else {
        order(r, request, false);
    }
    return 0;
}

static void on_status_query(struct replica *r, uint64_t origin) {
    uint8_t frame[WIRE_STATUS_SIZE_MAX];
    struct core_status core;
    core_get_status(r->core, &core);
    struct wire_status status = {
        .replica = r->place->replica,
        .primary = core.primary,
        .n = r->place->n,
        .f = core.f,
        .height = core.stored,
        .peers_connected = core.peers_up,
        .healthy = core.healthy,
    };
    memcpy(status.digest, r->digest, sizeof status.digest);
    words_health(&core, r->place->n, status.text, sizeof status.text);
    transport_send_client(r->transport, origin, frame, wire_status_encode(&status, frame));
}

static int on_client_frame(void *context, uint64_t origin, const struct frame *frame,
                           struct error *err) {
    if (frame->type == WIRE_REQUEST)
        return on_request(context, origin, frame, err);
    if (frame->type != WIRE_STATUS_QUERY || frame->size != 0)
        return error_set(err, ERROR_INVALID, "a client does not say that (type %u, %zu bytes)",
                         frame->type, frame->size);
    on_status_query(context, origin);
    return 0;
}

static void on_hello(void *context, struct wire_hello_answer *answer) {
    const struct replica *r = context;
    struct core_status status;
    core_get_status(r->core, &status);
    answer->primary = status.primary;
    answer->f = status.f;
    answer->answers = 1; /* the primary's says that f + 1 have stored it */
}

static void on_note(void *context, bool warning, const char *text) {
    (void)context;
    log_write("transport", warning ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "%s", text);
}

/* ---- what other threads and the system bring ---- */

static void take_stored(struct replica *r) {
    struct storage_job jobs[CORE_STORED_MAX];
    uint8_t digests[CORE_STORED_MAX][CORE_DIGEST_SIZE];
    size_t count;
    while ((count = storage_take(r->storage, jobs, CORE_STORED_MAX)) > 0) {
        for (size_t i = 0; i < count; i++) {
            memcpy(digests[i], jobs[i].digest, CORE_DIGEST_SIZE);
            request_unref(jobs[i].request);
        }
        memcpy(r->digest, jobs[count - 1].digest, sizeof r->digest);
        struct core_event event = {.type = CORE_STORED};
        event.stored.height = jobs[0].height;
        event.stored.count = (uint32_t)count;
        event.stored.digests = (const uint8_t(*)[CORE_DIGEST_SIZE])digests;
        step(r, &event);
    }
}

static void answer_read(struct replica *r, const struct storage_read *read) {
    struct request *request = read->request;
    struct wire_reply reply = {
        .client = request->command.client,
        .number = request->command.number,
        .status = read->problem[0] ? WIRE_REPLY_REFUSED : WIRE_REPLY_OK,
        .height = read->height,
    };
    memcpy(reply.digest, read->digest, sizeof reply.digest);
    snprintf(reply.text, sizeof reply.text, "%s", read->problem);
    if (read->problem[0] && !r->read_failed)
        log_warn("store", "a read failed: %s; others are told, not logged", read->problem);
    r->read_failed = r->read_failed || read->problem[0];
    send_reply(r, request->origin, &reply);
    request_unref(request);
    r->reads--;
}

static void take_reads(struct replica *r) {
    enum { READS_MAX = 16 };
    struct storage_read reads[READS_MAX];
    size_t count;
    while ((count = storage_take_reads(r->storage, reads, READS_MAX)) > 0)
        for (size_t i = 0; i < count; i++)
            answer_read(r, &reads[i]);
}

static void storage_ready(struct watch *watch, uint32_t events) {
    struct replica *r =
        (struct replica *)(void *)((char *)watch - offsetof(struct replica, storage_watch));
    struct error err = ERROR_NULL;
    (void)events;
    take_stored(r);
    take_reads(r);
    if (!r->storage_failed && storage_failed(r->storage, &err)) {
        r->storage_failed = true;
        log_error("store", "%s; nothing more is stored%s%s", err.text, err.hint[0] ? "; " : "",
                  err.hint);
        step(r, &(struct core_event){.type = CORE_STORE_FAILED});
    }
}

static void pre_execution_ready(struct watch *watch, uint32_t events) {
    struct replica *r =
        (struct replica *)(void *)((char *)watch - offsetof(struct replica, pre_execution_watch));
    struct request *request;
    (void)events;
    while ((request = pre_execution_take(r->pre_execution)))
        if (request_reads(request))
            read_now(r, request);
        else
            order(r, request, true);
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
    step(r, &(struct core_event){.type = CORE_DRAIN});
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
    struct store_identity identity = {
        .run = r->place->cluster->run, .replica = r->place->replica, .n = r->place->n};
    return store_open_rocksdb(o->data, &identity, ret, err);
}

struct recovery {
    struct chain chain;
    struct core *core;
};

static int recover_block(void *context, uint64_t height, const uint8_t *header, size_t size,
                         struct error *err) {
    struct recovery *recovery = context;
    struct block_header h;
    if (chain_follow(&recovery->chain, header, size, &h, err) < 0)
        return error_wrap(err, "block %llu in the store", (unsigned long long)height);
    if (!core_recover(recovery->core, h.client, h.number, height, recovery->chain.digest))
        return error_set(err, ERROR_LIMIT, "the chain has requests of more clients than %u",
                         CORE_CONFIG_DEFAULT.clients_max);
    return 0;
}

/* Reads the chain back, and gives store and chain to the storage thread. */
static int open_storage(struct replica *r, const struct core_config *config, struct error *err) {
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
    if (storage_start(take_ptr(store), &recovery.chain, 2 * config->log_slots, &r->storage, err) <
        0)
        return -1;
    r->storage_watch = (struct watch){.fd = storage_done_fd(r->storage), .ready = storage_ready};
    return loop_watch(&r->loop, &r->storage_watch, EPOLLIN, err);
}

static int open_transport(struct replica *r, struct error *err) {
    const struct place *place = r->place;
    struct transport_config config = {
        .run = place->cluster->run,
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

static int open_all(struct replica *r, struct error *err) {
    struct core_config config = CORE_CONFIG_DEFAULT;
    config.replica = r->place->replica;
    config.n = r->place->n;
    r->core_memory = mem_zero(1, core_size(&config));
    r->core = core_init(r->core_memory, &config);
    r->update = mem_new(struct core_update);
    r->timer_ns = UINT64_MAX;
    sha256_init(&r->hash);
    if (loop_init(&r->loop, err) < 0 || open_signals(r, err) < 0 ||
        open_storage(r, &config, err) < 0 || pre_execution_new(&r->pre_execution, err) < 0)
        return -1;
    r->pre_execution_watch =
        (struct watch){.fd = pre_execution_fd(r->pre_execution), .ready = pre_execution_ready};
    if (loop_watch(&r->loop, &r->pre_execution_watch, EPOLLIN, err) < 0)
        return -1;
    return open_transport(r, err);
}

static int serve(struct replica *r, struct error *err) {
    struct instant farewell = INSTANT_NEVER;
    for (;;) {
        storage_kick(r->storage);
        struct instant due = transport_round(r->transport);
        struct instant now = clock_instant();
        if (r->drained && farewell.ns == INSTANT_NEVER.ns)
            farewell = instant_after(now, FAREWELL_NS);
        bool owing = r->reads > 0 || transport_unsent(r->transport);
        if (r->drained && (!owing || instant_passed(farewell, now)))
            return 0;
        due = instant_earlier(due, instant_earlier(farewell, (struct instant){r->timer_ns}));
        if (loop_round(&r->loop, due, err) < 0)
            return -1;
        if (clock_instant().ns >= r->timer_ns)
            step(r, &(struct core_event){.type = CORE_TICK});
    }
}

static void release_request(void *request) {
    request_unref(request);
}

static void release_of_core(const struct core_request *request) {
    request_unref(request_of(request));
}

/* What the storage thread has not given back. */
static void release_jobs(struct replica *r) {
    struct storage_job jobs[CORE_STORED_MAX];
    struct storage_read read;
    for (size_t count; (count = storage_take(r->storage, jobs, CORE_STORED_MAX)) > 0;)
        for (size_t i = 0; i < count; i++)
            request_unref(jobs[i].request);
    while (storage_take_reads(r->storage, &read, 1) > 0)
        request_unref(read.request);
}

/* Stops all threads. Gives the store, if there is one. */
static struct store *close_all(struct replica *r) {
    struct store *store = NULL;
    if (r->transport)
        transport_free(r->transport);
    if (r->pre_execution)
        pre_execution_free(r->pre_execution, release_request);
    if (r->storage) {
        storage_stop(r->storage);
        release_jobs(r);
        store = storage_free(r->storage);
    }
    if (r->core)
        core_drop(r->core, release_of_core);
    if (r->signal_watch.added)
        close(r->signal_watch.fd);
    loop_deinit(&r->loop);
    sha256_deinit(&r->hash);
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
    log_info("replica", "stopped at height %llu; results are in %s", (unsigned long long)height,
             options->out);
    if (!stored_all)
        return error_set(err, ERROR_FAILED, "the store had failed, see above");
    return 0;
}
