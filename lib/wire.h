#pragma once

/*
 * What clients and replicas say to each other over TCP. All numbers are little endian. A connection
 * is a sequence of frames, each a fixed header and a body:
 *
 *     magic u32 | version u8 | type u8 | zero u16 | body size u32 | body ...
 *
 * Whoever connects says HELLO first and waits for HELLO_ANSWER, which either names the replica and
 * the primary or says why not. Where both have keys, HELLO_PROOF and WELCOME follow (handshake.h),
 * and every frame from WELCOME on is sealed (seal.h): then the zero is the size of the body's part
 * that is in its MAC directly. A *client connection* carries requests of any number of
 * clients (each REQUEST names its client), in any order, and replies come back in the order of
 * completion, not of sending. STATUS_QUERY may be asked at any time by a client connection, and by
 * a *monitor*, which may do nothing else. Types from WIRE_REPLICA_FIRST on are spoken between
 * replicas only (executor/pbft/codec.h).
 *
 * Encoders write a whole frame, header included, and return its size; only the payload of a REQUEST
 * is left to the caller, who sends it behind the head from where it lies (writev), uncopied.
 * Decoders check every bound and that nothing is left over; what they give borrows from the body.
 *
 * Errors: ERROR_INVALID (not our protocol, or a field out of its range), ERROR_LIMIT (larger than
 * we accept). After either, the connection cannot be used any more.
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_VERSION = 6,
    WIRE_HEADER_SIZE = 12,
    WIRE_DIGEST_SIZE = 32,
    WIRE_CLUSTER_SIZE = 16, /* id of a cluster's keys */
    WIRE_NONCE_SIZE = 32,
    WIRE_AGREEMENT_SIZE = 32, /* X25519 */
    WIRE_SIGNATURE_SIZE = 64, /* Ed25519 */
    WIRE_MAC_SIZE = 8,    /* of a request, for one replica; a guess is refused and ends the link */
    WIRE_MACS_MAX = 31,   /* as many as there can be replicas with keys */
    WIRE_RUN_SIZE = 64,   /* run id with its NUL */
    WIRE_TEXT_SIZE = 192, /* short reasons for people, with their NUL */

    /* The largest payload of a request: well above any shape that is measured, and small enough
     * that a window of the largest ones fits into the memory that a replica states. */
    WIRE_PAYLOAD_MAX = 1024 * 1024,
    /* The largest body of any frame: a request and what replicas wrap around it. */
    WIRE_BODY_MAX = WIRE_PAYLOAD_MAX + 4096,
};

#define WIRE_MAGIC UINT32_C(0x52544153) /* "SATR" */
/* Clients and numbers stay within what JSON readers hold exactly as a signed integer. */
#define WIRE_NUMBER_MAX ((uint64_t)INT64_MAX)

/* A client's id: below these bits the client, above them its loader. With ten bits for loaders, ids
 * stay below 2^53, which every JSON reader holds. */
enum { WIRE_CLIENT_BITS = 43, WIRE_LOADER_BITS = 10 };

enum wire_type {
    WIRE_HELLO = 1,
    WIRE_HELLO_ANSWER = 2,
    WIRE_REQUEST = 3,
    WIRE_REPLY = 4,
    WIRE_STATUS_QUERY = 5, /* no body */
    WIRE_STATUS = 6,
    WIRE_HELLO_PROOF = 7,
    WIRE_WELCOME = 8, /* no body */
    WIRE_VALUE = 9,   /* before the REPLY that it belongs to */
    WIRE_REPLICA_FIRST = 32,
};

struct wire_header {
    uint8_t type;         /* not checked against the list: the receiver knows what it may be sent */
    uint16_t direct_size; /* sealed: see seal.h; else 0 */
    uint32_t body_size;
};

/* A frame's first WIRE_HEADER_SIZE bytes. The body's size is within WIRE_BODY_MAX. */
int wire_header_decode(const uint8_t in[WIRE_HEADER_SIZE], struct wire_header *ret,
                       struct error *err);
void wire_header_encode(uint8_t type, size_t body_size, uint8_t out[WIRE_HEADER_SIZE]);
/* The same for a frame that is sealed. */
int wire_sealed_header_decode(const uint8_t in[WIRE_HEADER_SIZE], struct wire_header *ret,
                              struct error *err);
void wire_sealed_header_encode(const struct wire_header *header, uint8_t out[WIRE_HEADER_SIZE]);

enum wire_role {
    WIRE_ROLE_CLIENT = 1,
    WIRE_ROLE_REPLICA = 2,
    WIRE_ROLE_MONITOR = 3, /* with a replica's keys: its own health check */
};

/*
 * Clients first, first + step, ...: so many of them are on a connection. A replica that did not get
 * a request of theirs from them answers it there all the same. Later connections win; who is not
 * named is answered where its request came from.
 */
struct wire_clients {
    uint64_t first; /* all of them up to WIRE_NUMBER_MAX */
    uint32_t step;  /* from 1, unless none is named */
    uint32_t count; /* 0: none is named */
};

struct wire_hello {
    enum wire_role role;
    /* Replica and monitor: the replica's index; client connection: the loader's index with keys,
     * any number without, for logs. */
    uint64_t id;
    char run[WIRE_RUN_SIZE];     /* the run id of cluster.yaml: strangers are refused by it */
    struct wire_clients clients; /* client connection: who is answered on it */
    bool authenticates;          /* the following is there */
    uint8_t cluster[WIRE_CLUSTER_SIZE];
    uint8_t nonce[WIRE_NONCE_SIZE];
    uint8_t ephemeral[WIRE_AGREEMENT_SIZE];
};

struct wire_hello_answer {
    bool accepted;
    uint16_t replica; /* who answers */
    uint16_t primary; /* whom to send requests to, for now */
    uint16_t n;
    uint16_t f;
    uint16_t answers; /* equal ones, of different replicas, that make a request done: 1 where one
                         speaks for enough */
    char text[WIRE_TEXT_SIZE]; /* why not, if not accepted */
    bool authenticates;        /* the following is there, the signature last */
    uint8_t nonce[WIRE_NONCE_SIZE];
    uint8_t ephemeral[WIRE_AGREEMENT_SIZE];
    uint8_t signature[WIRE_SIGNATURE_SIZE];
};

enum wire_authenticator {
    WIRE_AUTHENTICATOR_NONE = 0,
    WIRE_AUTHENTICATOR_MACS = 1, /* one for each replica */
    WIRE_AUTHENTICATOR_SIGNATURE = 2,
};

enum wire_request_flag {
    /* Reads its keys instead of writing them: it is not ordered, and in no chain. */
    WIRE_REQUEST_READ_ONLY = 1,
    WIRE_REQUEST_PRE_EXECUTE = 2, /* -p */
    WIRE_REQUEST_BUSY_WAIT = 4,   /* -w 1: burn the execution time instead of sleeping */
    WIRE_REQUEST_FLAGS = 7,
};

struct wire_request {
    uint64_t client; /* up to WIRE_NUMBER_MAX */
    /* From 1 up, rising with each new request of this client; a repeated request keeps its number.
     * A client has one request at a time: a lower number than its last one is never executed. */
    uint64_t number;
    uint8_t flags;
    uint32_t key_count;  /* the write set that executing it makes; limits: executor/chain */
    uint32_t read_count; /* of the keys, from first_key on, are read before they are written; needs
                            a key space */
    uint32_t key_size;
    uint32_t value_size; /* of a read-only request: means nothing */
    uint32_t execution_ms;
    /* Which keys: first_key, first_key + 1, ... of those numbered from 0 below key_space, after the
     * last of which comes the first. Requests of all clients share them. 0 and 0: keys of its own,
     * that no other request writes. */
    uint64_t key_space;     /* up to WIRE_NUMBER_MAX */
    uint64_t first_key;     /* below key_space */
    uint32_t payload_size;  /* up to WIRE_PAYLOAD_MAX */
    const uint8_t *payload; /* borrowed */
    /* Of all of the above (request_auth.h); on the wire it comes first. */
    enum wire_authenticator authenticator;
    uint16_t macs;         /* MACS: how many */
    const uint8_t *proof;  /* MACs or signature; borrowed. To encode: NULL leaves room for it */
    const uint8_t *fields; /* decoded: where in the body they begin; borrowed */
};

enum wire_reply_status {
    WIRE_REPLY_OK = 0,         /* executed, and stored by enough replicas; or read */
    WIRE_REPLY_OVERLOADED = 1, /* not taken; may be sent again later */
    WIRE_REPLY_REFUSED = 2,    /* not taken, and never will be; see the text */
};

struct wire_reply {
    uint64_t client;
    uint64_t number;
    enum wire_reply_status status;
    uint16_t replica;                 /* who answers */
    uint64_t view;                    /* that it is in: its primary is replica view mod n */
    uint64_t height;                  /* block that holds it; the last one that a read saw */
    uint8_t digest[WIRE_DIGEST_SIZE]; /* of that block, or of all that was read: the result that
                                         answers are compared by */
    char text[WIRE_TEXT_SIZE];        /* why, if not OK */
};

/* What was read, where that is the answer (executor/handler.h: kv); an ordered read is answered so
 * once, when it is executed, and not when it is asked for again. */
struct wire_value {
    uint64_t client;
    uint64_t number;
    uint16_t replica;
    uint64_t height; /* as in the reply */
    const uint8_t *value;
    uint32_t value_size; /* up to WIRE_PAYLOAD_MAX; borrowed */
};

struct wire_status {
    uint16_t replica;
    uint16_t primary;
    uint16_t n;
    uint16_t f;
    uint64_t view;
    uint64_t height; /* of the last stored block */
    uint8_t digest[WIRE_DIGEST_SIZE];
    uint16_t peers_connected;  /* other replicas */
    bool healthy;              /* a request sent to the primary now can be answered */
    char text[WIRE_TEXT_SIZE]; /* why not, if not healthy */
};

/* Sizes of whole frames. */
enum {
    WIRE_HELLO_SIZE_MAX = WIRE_HEADER_SIZE + 1 + 8 + 1 + WIRE_RUN_SIZE + 8 + 2 * 4 + 1 +
                          WIRE_CLUSTER_SIZE + WIRE_NONCE_SIZE + WIRE_AGREEMENT_SIZE,
    WIRE_HELLO_ANSWER_SIZE_MAX = WIRE_HEADER_SIZE + 1 + 5 * 2 + 1 + WIRE_TEXT_SIZE + 1 +
                                 WIRE_NONCE_SIZE + WIRE_AGREEMENT_SIZE + WIRE_SIGNATURE_SIZE,
    WIRE_HELLO_PROOF_SIZE = WIRE_HEADER_SIZE + WIRE_SIGNATURE_SIZE,
    WIRE_WELCOME_SIZE = WIRE_HEADER_SIZE,
    WIRE_AUTHENTICATOR_SIZE_MIN = 1 + 1, /* kind, number of MACs */
    WIRE_AUTHENTICATOR_SIZE_MAX = WIRE_AUTHENTICATOR_SIZE_MIN + WIRE_MACS_MAX * WIRE_MAC_SIZE,
    WIRE_REQUEST_FIELDS_SIZE = 2 * 8 + 1 + 5 * 4 + 2 * 8 + 4, /* of the body, before the payload */
    /* Without authenticator, and at most. */
    WIRE_REQUEST_HEAD_SIZE =
        WIRE_HEADER_SIZE + WIRE_AUTHENTICATOR_SIZE_MIN + WIRE_REQUEST_FIELDS_SIZE,
    WIRE_REQUEST_HEAD_SIZE_MAX =
        WIRE_HEADER_SIZE + WIRE_AUTHENTICATOR_SIZE_MAX + WIRE_REQUEST_FIELDS_SIZE,
    WIRE_REPLY_SIZE_MAX =
        WIRE_HEADER_SIZE + 2 * 8 + 1 + 2 + 2 * 8 + WIRE_DIGEST_SIZE + 1 + WIRE_TEXT_SIZE,
    WIRE_VALUE_HEAD_SIZE = WIRE_HEADER_SIZE + 2 * 8 + 2 + 8,
    WIRE_STATUS_QUERY_SIZE = WIRE_HEADER_SIZE,
    WIRE_STATUS_SIZE_MAX =
        WIRE_HEADER_SIZE + 4 * 2 + 2 * 8 + WIRE_DIGEST_SIZE + 2 + 1 + 1 + WIRE_TEXT_SIZE,
};

size_t wire_hello_encode(const struct wire_hello *m, uint8_t out[WIRE_HELLO_SIZE_MAX]);
size_t wire_hello_answer_encode(const struct wire_hello_answer *m,
                                uint8_t out[WIRE_HELLO_ANSWER_SIZE_MAX]);
void wire_hello_proof_encode(const uint8_t signature[WIRE_SIGNATURE_SIZE],
                             uint8_t out[WIRE_HELLO_PROOF_SIZE]);
size_t wire_welcome_encode(uint8_t out[WIRE_WELCOME_SIZE]);
/* The header (whose body size counts the payload), authenticator and fields; the payload follows
 * them. Returns how many bytes that is. */
size_t wire_request_encode_head(const struct wire_request *m,
                                uint8_t out[WIRE_REQUEST_HEAD_SIZE_MAX]);
size_t wire_reply_encode(const struct wire_reply *m, uint8_t out[WIRE_REPLY_SIZE_MAX]);
/* The header (whose body size counts the value) and what comes before the value. */
void wire_value_encode_head(const struct wire_value *m, uint8_t out[WIRE_VALUE_HEAD_SIZE]);
size_t wire_status_query_encode(uint8_t out[WIRE_STATUS_QUERY_SIZE]);
size_t wire_status_encode(const struct wire_status *m, uint8_t out[WIRE_STATUS_SIZE_MAX]);

int wire_hello_decode(const uint8_t *body, size_t size, struct wire_hello *ret, struct error *err);
int wire_hello_answer_decode(const uint8_t *body, size_t size, struct wire_hello_answer *ret,
                             struct error *err);
int wire_hello_proof_decode(const uint8_t *body, size_t size, uint8_t ret[WIRE_SIGNATURE_SIZE],
                            struct error *err);
int wire_request_decode(const uint8_t *body, size_t size, struct wire_request *ret,
                        struct error *err);
int wire_reply_decode(const uint8_t *body, size_t size, struct wire_reply *ret, struct error *err);
int wire_value_decode(const uint8_t *body, size_t size, struct wire_value *ret, struct error *err);
int wire_status_decode(const uint8_t *body, size_t size, struct wire_status *ret,
                       struct error *err);
