/* Loaders that have keys and break the rules, against real replicas: each is told, named in the
 * log, and dismissed, and the others are served. */

#include "lib/cleanup.h"
#include "lib/handshake.h"
#include "lib/request_auth.h"
#include "lib/text.h"
#include "tests/cli/replica_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAYLOAD = 5 };

/* A connection of a loader, made by hand. */
struct client {
    int fd;
    struct identity *id;
    struct request_prover prover;
    struct seal seal;
};

static void client_end(struct client *c) {
    request_prover_deinit(&c->prover);
    seal_deinit(&c->seal);
    identity_free(c->id);
    close(c->fd);
}

static bool receive_all(int fd, uint8_t *data, size_t size) {
    for (size_t have = 0; have < size;) {
        ssize_t n = recv(fd, data + have, size - have, 0);
        if (n <= 0)
            return false;
        have += (size_t)n;
    }
    return true;
}

/* False: the connection has ended. */
static bool hear(struct client *c, struct wire_header *ret, uint8_t body[1024]) {
    uint8_t head[WIRE_HEADER_SIZE];
    struct error err = ERROR_NULL;
    struct unsealed unsealed;
    if (!receive_all(c->fd, head, sizeof head))
        return false;
    assert_int_equal(wire_sealed_header_decode(head, ret, &err), 0);
    assert_true(ret->body_size <= 1024);
    if (!receive_all(c->fd, body, ret->body_size))
        return false;
    if (seal_is_on(&c->seal)) {
        assert_int_equal(seal_open(&c->seal, ret, body, &unsealed, &err), 0);
        ret->body_size = (uint32_t)unsealed.size;
    }
    return true;
}

/* It names these clients; `err` says why it is refused. */
static int connect_with(struct replicas *r, unsigned replica, uint16_t loader,
                        enum wire_authenticator kind, struct wire_clients clients,
                        struct client *ret, struct error *err) {
    cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
    struct client c = {.fd = replicas_connect(r, replica)};
    const struct principal self = {.role = PRINCIPAL_LOADER, .index = loader};
    struct wire_hello hello = {
        .role = WIRE_ROLE_CLIENT, .id = loader, .run = "run1", .clients = clients};
    struct wire_hello_answer answer;
    struct wire_header header;
    struct seal_keys keys;
    uint8_t body[1024], proof[WIRE_HELLO_PROOF_SIZE];
    cleanup_free char *folder = text_format("%s/keys", r->folder);
    if (identity_open(folder, self, (uint16_t)r->n, &c.id, err) < 0)
        fail_msg("%s", err->text);
    assert_int_equal(request_prover_init(&c.prover, c.id, "run1", kind, err), 0);
    size_t size = handshake_begin(&h, c.id, (uint16_t)replica, &hello, body);
    assert_int_equal(send(c.fd, body, size, MSG_NOSIGNAL), size);
    assert_true(hear(&c, &header, body));
    if (handshake_take_answer(&h, body, header.body_size, &answer, proof, &keys, err) < 0) {
        client_end(&c);
        return -1;
    }
    assert_int_equal(send(c.fd, proof, sizeof proof, MSG_NOSIGNAL), sizeof proof);
    seal_init(&c.seal, &keys);
    assert_true(hear(&c, &header, body));
    assert_int_equal(header.type, WIRE_WELCOME);
    *ret = c;
    return 0;
}

static struct client connect_as(struct replicas *r, unsigned replica, uint16_t loader,
                                enum wire_authenticator kind) {
    struct error err = ERROR_NULL;
    struct client c;
    if (connect_with(r, replica, loader, kind, (struct wire_clients){.count = 0}, &c, &err) < 0)
        fail_msg("%s", err.text);
    return c;
}

/* `spoil`: this byte of the authenticator is changed; SIZE_MAX: none. False: it is closed. */
static bool ask(struct client *c, uint64_t client, uint64_t number, size_t spoil) {
    const struct wire_request request = {
        .client = client, .number = number, .payload_size = PAYLOAD};
    uint8_t frame[WIRE_REQUEST_HEAD_SIZE_MAX + PAYLOAD + SEAL_TAG_SIZE], hash[SHA256_SIZE];
    sha256_of("hello", PAYLOAD, hash);
    size_t head = request_prove(&c->prover, &request, hash, frame);
    if (spoil != SIZE_MAX)
        frame[WIRE_HEADER_SIZE + WIRE_AUTHENTICATOR_SIZE_MIN + spoil] ^= 1;
    memcpy(frame + head, "hello", PAYLOAD);
    const struct sealed sealed = {
        .parts = {frame + WIRE_HEADER_SIZE}, .sizes = {head - WIRE_HEADER_SIZE}, .rest_hash = hash};
    seal_header(frame, head - WIRE_HEADER_SIZE);
    seal_tag(&c->seal, c->seal.sent++, frame, &sealed, frame + head + PAYLOAD);
    size_t size = head + PAYLOAD + SEAL_TAG_SIZE;
    return send(c->fd, frame, size, MSG_NOSIGNAL) == (ssize_t)size;
}

static struct wire_reply reply_of(struct client *c) {
    struct error err = ERROR_NULL;
    struct wire_header header;
    struct wire_reply reply;
    uint8_t body[1024];
    assert_true(hear(c, &header, body));
    assert_int_equal(header.type, WIRE_REPLY);
    assert_int_equal(wire_reply_decode(body, header.body_size, &reply, &err), 0);
    return reply;
}

static uint64_t client_of(uint64_t loader, uint64_t i) {
    return (loader << WIRE_CLIENT_BITS) + i;
}

static void assert_served(struct client *c, uint64_t client, uint64_t number) {
    ask(c, client, number, SIZE_MAX);
    struct wire_reply reply = reply_of(c);
    if (reply.status != WIRE_REPLY_OK)
        fail_msg("%s", reply.text);
}

static void assert_dismissed(struct replicas *r, struct client *c, const char *why) {
    struct wire_header header;
    uint8_t body[1024];
    struct wire_reply reply = reply_of(c);
    assert_int_equal(reply.status, WIRE_REPLY_REFUSED);
    if (!strstr(reply.text, why))
        fail_msg("'%s' is not in: %s", why, reply.text);
    assert_false(hear(c, &header, body));
    assert_true(replicas_log_says(r, 0, why));
}

static struct replicas up(const char *option) {
    struct replicas r = replicas_prepare(4, "memory");
    r.option = option;
    replicas_make_keys(&r);
    for (unsigned i = 0; i < r.n; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < r.n; i++)
        replicas_wait_healthy(&r, i);
    return r;
}

/* Its first request ends it; what comes behind that is not looked at. */
static void assert_closed_by_flood(struct replicas *r) {
    struct wire_header header;
    uint8_t body[1024];
    cleanup(client_end) struct client c = connect_as(r, 0, 1, WIRE_AUTHENTICATOR_MACS);
    for (uint64_t i = 1; i <= 20; i++)
        if (!ask(&c, client_of(1, i), 1, 0))
            break;
    while (hear(&c, &header, body))
        continue;
}

static void who_speaks_for_others_clients_or_forges_is_dismissed(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = up(NULL);
    cleanup(client_end) struct client good = connect_as(&r, 0, 0, WIRE_AUTHENTICATOR_MACS);
    cleanup(client_end) struct client thief = connect_as(&r, 0, 1, WIRE_AUTHENTICATOR_MACS);
    cleanup(client_end) struct client forger = connect_as(&r, 0, 1, WIRE_AUTHENTICATOR_MACS);
    cleanup(client_end) struct client signer = connect_as(&r, 0, 1, WIRE_AUTHENTICATOR_SIGNATURE);
    assert_served(&good, client_of(0, 1), 1);
    ask(&thief, client_of(0, 1), 2, SIZE_MAX);
    assert_dismissed(&r, &thief, "loader 1 may not speak for client 1, which is of loader 0");
    ask(&forger, client_of(1, 1), 1, 0);
    assert_dismissed(&r, &forger, "its MAC for this replica is wrong");
    assert_closed_by_flood(&r);
    ask(&signer, client_of(1, 1), 1, SIZE_MAX);
    assert_dismissed(&r, &signer, "it is not authenticated by MACs");
    cleanup(client_end) struct client again = connect_as(&r, 0, 1, WIRE_AUTHENTICATOR_MACS);
    assert_served(&again, client_of(1, 1), 1);
    assert_served(&good, client_of(0, 1), 2);
    replicas_stop(&r);
}

/* The MAC for a backup is wrong: it cannot tell who lied, and leaves it to the protocol. */
static void a_mac_that_is_wrong_for_a_backup_stops_nobody(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = up(NULL);
    cleanup(client_end) struct client c = connect_as(&r, 0, 0, WIRE_AUTHENTICATOR_MACS);
    ask(&c, client_of(0, 1), 1, 2 * WIRE_MAC_SIZE);
    assert_int_equal(reply_of(&c).status, WIRE_REPLY_OK);
    assert_served(&c, client_of(0, 1), 2);
    replicas_stop(&r);
}

/* The request goes to the primary alone; those who were named elsewhere are answered there too. */
static void clients_are_answered_where_their_own_loader_names_them(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct client named, thief;
    const struct wire_clients clients = {.first = client_of(0, 1), .step = 1, .count = 3};
    const struct wire_clients too_many = {
        .first = client_of(1, 1), .step = UINT32_MAX, .count = 1 << 20};
    cleanup(replicas_down) struct replicas r = up(NULL);
    cleanup(client_end) struct client c = connect_as(&r, 0, 0, WIRE_AUTHENTICATOR_MACS);
    assert_int_equal(connect_with(&r, 3, 0, WIRE_AUTHENTICATOR_MACS, clients, &named, &err), 0);
    assert_int_equal(connect_with(&r, 3, 1, WIRE_AUTHENTICATOR_MACS, clients, &thief, &err), -1);
    assert_non_null(strstr(err.text, "it names clients of another loader"));
    err = ERROR_NULL;
    assert_int_equal(connect_with(&r, 3, 1, WIRE_AUTHENTICATOR_MACS, too_many, &thief, &err), -1);
    assert_non_null(strstr(err.text, "it names clients of another loader"));
    assert_served(&c, client_of(0, 2), 1);
    struct wire_reply reply = reply_of(&named);
    assert_int_equal(reply.status, WIRE_REPLY_OK);
    assert_int_equal(reply.replica, 3);
    assert_int_equal(reply.client, client_of(0, 2));
    assert_int_equal(reply.view, 0);
    client_end(&named);
    replicas_stop(&r);
}

static void signed_requests_are_served_where_they_are_asked_for(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = up("--client-auth=signature");
    cleanup(client_end) struct client good = connect_as(&r, 0, 0, WIRE_AUTHENTICATOR_SIGNATURE);
    cleanup(client_end) struct client forger = connect_as(&r, 0, 1, WIRE_AUTHENTICATOR_SIGNATURE);
    assert_served(&good, client_of(0, 1), 1);
    ask(&forger, client_of(1, 1), 1, 7);
    assert_dismissed(&r, &forger, "its signature is wrong");
    replicas_stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_speaks_for_others_clients_or_forges_is_dismissed),
        cmocka_unit_test(a_mac_that_is_wrong_for_a_backup_stops_nobody),
        cmocka_unit_test(clients_are_answered_where_their_own_loader_names_them),
        cmocka_unit_test(signed_requests_are_served_where_they_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
