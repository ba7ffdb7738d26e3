/*
 * What authenticating costs on one core: a frame of 15,100 and of 64 bytes, sealed by us and by TLS
 * 1.3 through OpenSSL, both sides together; a request's authenticator; a whole handshake. Medians
 * of rounds, CPU time. Both carry the bytes through memory once; there is no kernel in between.
 *
 *     bench_links OPERATIONS ROUNDS
 */

#include "lib/file.h"
#include "lib/handshake.h"
#include "lib/memory.h"
#include "lib/request_auth.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <inttypes.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPLICAS = 4, LARGE = 15100, SMALL = 64, ROUNDS_MAX = 101 };

static uint64_t operations, rounds;
static struct identity *replicas[REPLICAS], *loader;
static uint8_t body[LARGE], wire[LARGE + 4096], got[LARGE + 4096];

static void check(bool good, const char *what) {
    if (good)
        return;
    fprintf(stderr, "bench_links: %s\n", what);
    exit(1);
}

static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

typedef void operation(void *context);

/* ns of one. */
static double measure(operation *run, void *context, uint64_t count) {
    double each[ROUNDS_MAX];
    for (uint64_t r = 0; r < rounds; r++) {
        double start = cpu_ns();
        for (uint64_t i = 0; i < count; i++)
            run(context);
        each[r] = (cpu_ns() - start) / (double)count;
    }
    qsort(each, rounds, sizeof *each, by_value);
    return each[rounds / 2];
}

/* ---- keys ---- */

static void make_identities(void) {
    struct error err = ERROR_NULL;
    struct folder folder = folder_make();
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cleanup_free char *path = path_join(folder.path, "keys");
    cluster_keys_generate(REPLICAS, 1, &keys, &list);
    int r = cluster_keys_save(path, &keys, list, &err);
    free(list);
    for (uint16_t i = 0; r == 0 && i <= REPLICAS; i++) {
        bool replica = i < REPLICAS;
        const struct principal self = {.role = replica ? PRINCIPAL_REPLICA : PRINCIPAL_LOADER,
                                       .index = replica ? i : 0};
        r = identity_open(path, self, REPLICAS, replica ? &replicas[i] : &loader, &err);
    }
    folder_remove(&folder);
    check(r == 0, err.text);
}

/* ---- ours ---- */

struct ours {
    struct seal from, to;
    size_t size;
    bool known; /* its hash is, to the sender */
    uint8_t hash[SHA256_SIZE];
};

static void shake_hands(void *context) {
    struct ours *o = context;
    struct error err = ERROR_NULL;
    cleanup(handshake_deinit) struct handshake a = HANDSHAKE_NULL, b = HANDSHAKE_NULL;
    uint8_t hello[WIRE_HELLO_SIZE_MAX], answer[WIRE_HELLO_ANSWER_SIZE_MAX];
    uint8_t proof[WIRE_HELLO_PROOF_SIZE];
    struct wire_hello said = {.role = WIRE_ROLE_CLIENT, .run = "run"}, heard;
    struct wire_hello_answer answers = {.accepted = true, .n = REPLICAS, .f = 1, .answers = 1};
    struct seal_keys from, to;
    const char *why;
    size_t size = handshake_begin(&a, loader, 0, &said, hello);
    int r = handshake_take_hello(&b, replicas[0], hello + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE,
                                 &heard, &why, &err);
    check(r == 0 && handshake_answer(&b, &answers, answer, &size, &err) == 0, "HELLO");
    r = handshake_take_answer(&a, answer + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &answers,
                              proof, &from, &err);
    check(r == 1 && handshake_take_proof(&b, proof + WIRE_HEADER_SIZE, WIRE_SIGNATURE_SIZE, &to,
                                         &err) == 0,
          "HELLO_ANSWER");
    seal_deinit(&o->from);
    seal_deinit(&o->to);
    seal_init(&o->from, &from);
    seal_init(&o->to, &to);
}

/* What a request's digest needs in any case. */
static void hash_only(void *context) {
    struct ours *o = context;
    sha256_of(body, o->size, o->hash);
}

static void carry_ours(void *context) {
    struct ours *o = context;
    struct error err = ERROR_NULL;
    struct unsealed unsealed;
    struct wire_header header;
    uint8_t head[WIRE_HEADER_SIZE], tag[SEAL_TAG_SIZE];
    if (!o->known)
        sha256_of(body, o->size, o->hash);
    const struct sealed frame = {.rest_hash = o->hash};
    wire_header_encode(100, o->size, head);
    seal_header(head, 0);
    seal_tag(&o->from, o->from.sent++, head, &frame, tag);
    memcpy(wire, body, o->size); /* the kernel's part */
    memcpy(wire + o->size, tag, sizeof tag);
    check(wire_sealed_header_decode(head, &header, &err) == 0 &&
              seal_open(&o->to, &header, wire, &unsealed, &err) == 0,
          err.text);
}

/* ---- TLS ---- */

struct tls {
    SSL *from, *to;
    size_t size;
};

static void certify(SSL_CTX *context) {
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *certificate = X509_new();
    check(key && certificate, "make a certificate");
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    check(X509_set_pubkey(certificate, key) == 1 && X509_sign(certificate, key, NULL) > 0 &&
              SSL_CTX_use_certificate(context, certificate) == 1 &&
              SSL_CTX_use_PrivateKey(context, key) == 1,
          "use a certificate");
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int trust(int good, X509_STORE_CTX *chain) {
    (void)good;
    (void)chain;
    return 1; /* a pinned key would be compared here */
}

static struct tls tls_pair(const char *suite) {
    SSL_CTX *contexts[2] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_server_method())};
    struct tls t;
    BIO *a, *b;
    for (int i = 0; i < 2; i++) {
        SSL_CTX_set_min_proto_version(contexts[i], TLS1_3_VERSION);
        check(SSL_CTX_set_ciphersuites(contexts[i], suite) == 1, suite);
        certify(contexts[i]);
        SSL_CTX_set_verify(contexts[i], SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, trust);
    }
    t.from = SSL_new(contexts[0]);
    t.to = SSL_new(contexts[1]);
    check(BIO_new_bio_pair(&a, 64 * 1024, &b, 64 * 1024) == 1, "BIO_new_bio_pair");
    SSL_set_bio(t.from, a, a);
    SSL_set_bio(t.to, b, b);
    SSL_set_connect_state(t.from);
    SSL_set_accept_state(t.to);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(t.from);
        SSL_do_handshake(t.to);
    }
    check(SSL_is_init_finished(t.from) && SSL_is_init_finished(t.to), "TLS handshake");
    SSL_CTX_free(contexts[0]);
    SSL_CTX_free(contexts[1]);
    return t;
}

static void carry_tls(void *context) {
    struct tls *t = context;
    check(SSL_write(t->from, body, (int)t->size) == (int)t->size, "SSL_write");
    check(SSL_read(t->to, got, sizeof got) == (int)t->size, "SSL_read");
}

static void shake_hands_tls(void *context) {
    struct tls t = tls_pair(context);
    SSL_free(t.from);
    SSL_free(t.to);
}

/* ---- requests ---- */

struct proving {
    struct request_prover prover;
    struct request_checker checker;
    struct sha256 hash;
    struct wire_request request;
    uint8_t payload_hash[SHA256_SIZE], frame[WIRE_REQUEST_HEAD_SIZE_MAX];
    size_t size;
};

static void prove(void *context) {
    struct proving *p = context;
    p->size = request_prove(&p->prover, &p->request, p->payload_hash, p->frame);
}

static void check_one(void *context) {
    struct proving *p = context;
    struct error err = ERROR_NULL;
    struct wire_request heard;
    const char *why;
    uint8_t digest[SHA256_SIZE];
    check(wire_request_decode(p->frame + WIRE_HEADER_SIZE, p->size - WIRE_HEADER_SIZE, &heard,
                              &err) == 0,
          err.text);
    request_digest(&p->hash, heard.fields, p->payload_hash, digest);
    check(request_check_authenticator(&p->checker, &heard, digest, &why) == REQUEST_AUTHENTIC,
          "a request is not authentic");
}

static void measure_requests(enum wire_authenticator kind, const char *what, uint64_t count) {
    struct error err = ERROR_NULL;
    struct proving p = {.request = {.client = 1, .number = 1}};
    sha256_init(&p.hash);
    sha256_of("", 0, p.payload_hash);
    check(request_prover_init(&p.prover, loader, "run", kind, &err) == 0 &&
              request_checker_init(&p.checker, replicas[1], "run", kind, &err) == 0,
          err.text);
    double made = measure(prove, &p, count), checked = measure(check_one, &p, count);
    printf("request, %-28s %9.0f ns to make %9.0f ns to check\n", what, made, checked);
    request_prover_deinit(&p.prover);
    request_checker_deinit(&p.checker);
    sha256_deinit(&p.hash);
}

static void measure_size(size_t size) {
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    struct ours o = {.size = size};
    shake_hands(&o);
    double fresh = measure(carry_ours, &o, operations);
    o.known = true;
    double known = measure(carry_ours, &o, operations), hash = measure(hash_only, &o, operations);
    printf("%zu B, sealed                        %9.0f ns\n", size, fresh);
    printf("%zu B, sealed, hash known to sender  %9.0f ns\n", size, known);
    printf("%zu B, the same without that hash     %9.0f ns\n", size, known - hash);
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++) {
        struct tls t = tls_pair(suites[i]);
        t.size = size;
        double ns = measure(carry_tls, &t, operations);
        printf("%zu B, %-30s %9.0f ns, %.2f of sealed\n", size, suites[i], ns, ns / fresh);
        SSL_free(t.from);
        SSL_free(t.to);
    }
    seal_deinit(&o.from);
    seal_deinit(&o.to);
}

int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    char suite[] = "TLS_AES_128_GCM_SHA256";
    struct ours o = {.size = 0};
    if (argc != 3 || text_to_u64(argv[1], 1, UINT32_MAX, &operations, &err) < 0 ||
        text_to_u64(argv[2], 1, ROUNDS_MAX, &rounds, &err) < 0) {
        fprintf(stderr, "usage: bench_links OPERATIONS ROUNDS\n");
        return 2;
    }
    make_identities();
    measure_size(LARGE);
    measure_size(SMALL);
    measure_requests(WIRE_AUTHENTICATOR_MACS, "4 MACs", operations);
    measure_requests(WIRE_AUTHENTICATOR_SIGNATURE, "Ed25519 signature", operations / 20 + 1);
    double ours = measure(shake_hands, &o, operations / 200 + 1);
    double theirs = measure(shake_hands_tls, suite, operations / 200 + 1);
    printf("handshake, both sides               %9.0f ns; TLS 1.3 with certificates %9.0f ns\n",
           ours, theirs);
    seal_deinit(&o.from);
    seal_deinit(&o.to);
    for (size_t i = 0; i < REPLICAS; i++)
        identity_free(replicas[i]);
    identity_free(loader);
    return 0;
}
