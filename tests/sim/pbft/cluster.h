#pragma once

/* Inside of the simulator: what its files share. */

#include "executor/pbft/pbft.h"
#include "tests/sim/pbft/sim.h"

#include <stddef.h>

enum {
    REPLICAS_MAX = 7,
    CLIENTS_MAX = 8,
    NUMBERS_MAX = 4096, /* requests of one client */
    HEIGHT_MAX = 16 * 1024,
    RECORDS_MAX = 64 * 1024,
    HANDLES_MAX = 1 << 20,
    FORGED_MAX = 64,
    SIGNED_MAX = 256,
    ANSWER_NEEDED = 8, /* of each client, after the faults */
};

#define MS UINT64_C(1000000)
#define PROGRESS_UNTIL (60000 * MS)
#define STOP_UNTIL (90000 * MS)

enum kind {
    KIND_DELIVER,
    KIND_STORED,
    KIND_TICK,
    KIND_CLIENT,
    KIND_REPLY,
    KIND_FAULT,
    KIND_LINK,
    KIND_RESTART,
    KIND_STOP
};

/* What a request is, wherever it goes. */
struct issued {
    uint64_t client, number;
    bool forged; /* no client has made it */
};

struct packet {
    uint16_t from, to;
    struct pbft_message m; /* its arrays are the packet's */
    struct pbft_request *requests;
    struct pbft_view_change *changes;
};

struct reply {
    uint32_t client;
    uint16_t replica;
    uint64_t number, view, height;
    enum pbft_reply_status status;
    uint8_t digest[PBFT_DIGEST_SIZE];
};

struct event {
    uint64_t at_ns, order; /* equal times keep the order in which they were planned */
    enum kind kind;
    uint16_t a, b;
    uint64_t epoch;        /* of the replica: stale ones do nothing */
    struct packet *packet; /* DELIVER */
    struct reply reply;    /* REPLY */
};

struct block {
    uint64_t client, number, seq;
    uint8_t parent[PBFT_DIGEST_SIZE], digest[PBFT_DIGEST_SIZE];
};

/* A record with its requests, as a disk keeps it. */
struct logged {
    struct pbft_record record;
    struct pbft_request *requests;
    struct packet *changes; /* VIEW; or NULL */
};

enum badness { GOOD, BYZANTINE, FORGETFUL, BROKEN_DISK };

struct replica {
    bool running, drained;
    enum badness badness;
    uint64_t epoch;
    uint64_t clock_rate, clock_offset_ns; /* per mille of the true one */
    uint64_t tick_ns;
    void *memory;
    struct pbft *core;
    struct block *disk; /* by height - 1 */
    uint64_t disk_height;
    struct block *ordered; /* what PBFT_STORE and PBFT_ADOPT said, by height - 1 */
    uint64_t ordered_height;
    bool storing, store_failed;
    uint64_t store_slowness;
    struct logged *log;
    size_t log_count;
    /* Its VIEW-CHANGEs, and the NEW-VIEWs of its views: nobody else can sign them. Checksums of
     * what it has sent, the last ones. */
    uint64_t signed_sums[SIGNED_MAX];
    size_t signed_count;
    /* Byzantine: batches other than those of its core that it has proposed, the last ones. */
    struct pbft_certificate forged[FORGED_MAX];
    size_t forged_count;
    struct packet *heard[REPLICAS_MAX]; /* Byzantine: the last VIEW-CHANGE of each; NULL: none */
};

struct client {
    uint64_t number; /* of its request under way, or of the last one */
    bool waiting;
    uint64_t sent_ns;
    uint64_t view; /* of whom it thinks as primary */
    uint64_t answered, answered_at_end_of_faults;
    struct reply votes[REPLICAS_MAX];
    bool voted[REPLICAS_MAX];
};

struct acknowledgement {
    uint64_t height; /* 0: none */
    uint8_t digest[PBFT_DIGEST_SIZE];
};

struct sim {
    uint64_t rng, now_ns, order;
    bool verbose, faults, stopping;
    bool quiet; /* clients begin nothing new */
    uint16_t n, f;
    uint32_t clients;
    uint64_t loss_per_mille, double_per_mille, slow_per_mille, faults_until_ns;
    struct pbft_config config;
    struct replica replicas[REPLICAS_MAX];
    bool cut[REPLICAS_MAX][REPLICAS_MAX];
    bool link[REPLICAS_MAX][REPLICAS_MAX]; /* as both ends know it: up */
    struct client client[CLIENTS_MAX];
    struct acknowledgement (*acknowledged)[NUMBERS_MAX];
    struct {
        struct issued issued;
        uint16_t replica;
        int references;
    } * handles;
    uint64_t handle_count;
    struct block *truth; /* what the first correct replica stored at each height */
    uint64_t truth_height;
    bool (*executed)[NUMBERS_MAX];
    struct event *heap;
    size_t heap_count, heap_capacity;
    struct pbft_update update;
    struct sim_result *result;
};

/* ---- sim.c ---- */
void violation(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void say(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t roll(struct sim *s, uint64_t below);
bool chance(struct sim *s, uint64_t per_mille);
void plan(struct sim *s, uint64_t delay_ns, const struct event *event);
static inline bool is_bad(const struct sim *s, uint16_t replica) {
    return s->replicas[replica].badness != GOOD;
}
static inline bool is_byzantine(const struct sim *s, uint16_t replica) {
    return s->replicas[replica].badness == BYZANTINE;
}

/* ---- network.c ---- */
/* A copy goes on its way, unless it is lost. `to` may be PBFT_ALL. */
void send(struct sim *s, uint16_t from, uint16_t to, const struct pbft_message *m);
/* Once, as it is. */
void send_one(struct sim *s, uint16_t from, uint16_t to, const struct pbft_message *m);
struct packet *packet_new(uint16_t from, uint16_t to, const struct pbft_message *m);
void packet_free(struct packet *packet);
void on_deliver(struct sim *s, const struct event *e);
void set_link(struct sim *s, uint16_t a, uint16_t b, bool up);

/* ---- replica.c ---- */
void replica_start(struct sim *s, uint16_t at);
void replica_crash(struct sim *s, uint16_t at);
void replica_step(struct sim *s, uint16_t at, struct pbft_event *event);
void on_store_done(struct sim *s, const struct event *e);
uint64_t handle_new(struct sim *s, uint16_t replica, uint64_t client, uint64_t number, bool forged);
struct pbft_request make_request(uint64_t client, uint64_t number, bool forged);
uint64_t change_checksum(const struct pbft_view_change *c);
uint64_t view_checksum(const struct pbft_message *m);
bool has_signed(const struct replica *r, uint64_t sum);
/* Only the first `count` records stay. */
void log_cut(struct replica *r, size_t count);
void sim_hash(void *context, const void *data, size_t size, uint8_t out[PBFT_DIGEST_SIZE]);

/* ---- byzantine.c ---- */
/* What a Byzantine replica makes of what its core would send. */
void byzantine_send(struct sim *s, uint16_t from, const struct pbft_action *action);
/* What it learns from a message, its own ones included. */
void byzantine_hear(struct sim *s, uint16_t at, uint16_t from, const struct pbft_message *m);
void byzantine_reply(struct sim *s, struct reply *reply);

/* ---- client.c ---- */
void on_client(struct sim *s, const struct event *e);
void on_reply(struct sim *s, const struct event *e);

/* ---- check.c ---- */
void check_stored(struct sim *s, uint16_t replica, uint64_t height, const struct block *block);
void check_acknowledged(struct sim *s, uint32_t client, uint64_t number, uint64_t height,
                        const uint8_t digest[PBFT_DIGEST_SIZE]);
void check_end(struct sim *s);
