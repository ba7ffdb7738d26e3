/* With keys: peers made by hand, who know the keys and break the rules. */

#include "tests/unit/executor/transport_nodes.h"

#include "lib/handshake.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A side of a conversation whose frames can be held back, repeated and changed. */
struct fake {
    int fd;
    struct handshake handshake;
    struct seal seal;
};

static void fake_end(struct fake *f) {
    handshake_deinit(&f->handshake);
    seal_deinit(&f->seal);
    close(f->fd);
}

static size_t read_frame(int fd, uint8_t frame[512]) {
    struct error err = ERROR_NULL;
    struct wire_header header;
    ssize_t n = -1;
    RUN_UNTIL((n = recv(fd, frame, WIRE_HEADER_SIZE, MSG_PEEK)) == WIRE_HEADER_SIZE);
    assert_int_equal(wire_sealed_header_decode(frame, &header, &err), 0);
    assert_true(header.body_size <= 512 - WIRE_HEADER_SIZE);
    ssize_t whole = (ssize_t)(WIRE_HEADER_SIZE + header.body_size);
    RUN_UNTIL((n = recv(fd, frame, (size_t)whole, MSG_PEEK)) == whole);
    assert_int_equal(recv(fd, frame, (size_t)whole, 0), whole);
    return (size_t)whole;
}

/* Until the proof, which is left to be sent. */
static struct fake say_who(uint16_t to, enum wire_role role, uint64_t index,
                           const struct identity *id, uint8_t proof[WIRE_HELLO_PROOF_SIZE]) {
    struct error err = ERROR_NULL;
    struct fake f = {.fd = connect_to(to)};
    struct wire_hello hello = {.role = role, .id = index, .run = "run"};
    struct wire_hello_answer answer;
    struct seal_keys keys;
    uint8_t frame[512];
    size_t size = handshake_begin(&f.handshake, id, to, &hello, frame);
    assert_int_equal(write(f.fd, frame, size), size);
    size = read_frame(f.fd, frame) - WIRE_HEADER_SIZE;
    if (handshake_take_answer(&f.handshake, frame + WIRE_HEADER_SIZE, size, &answer, proof, &keys,
                              &err) != 1)
        fail_msg("%s", err.text);
    seal_init(&f.seal, &keys);
    return f;
}

static struct fake become(uint16_t to, enum wire_role role, uint64_t index,
                          const struct identity *id) {
    uint8_t proof[WIRE_HELLO_PROOF_SIZE], welcome[512];
    struct error err = ERROR_NULL;
    struct wire_header header;
    struct unsealed unsealed;
    struct fake f = say_who(to, role, index, id, proof);
    assert_int_equal(write(f.fd, proof, sizeof proof), sizeof proof);
    read_frame(f.fd, welcome);
    assert_int_equal(wire_sealed_header_decode(welcome, &header, &err), 0);
    assert_int_equal(header.type, WIRE_WELCOME);
    assert_int_equal(seal_open(&f.seal, &header, welcome + WIRE_HEADER_SIZE, &unsealed, &err), 0);
    return f;
}

enum { FAKE_FRAME = WIRE_HEADER_SIZE + 8 + SEAL_TAG_SIZE };

static void make_frame(struct fake *f, uint8_t type, uint8_t frame[FAKE_FRAME]) {
    wire_header_encode(type, 8, frame);
    memset(frame + WIRE_HEADER_SIZE, type, 8);
    const struct sealed sealed = {.parts = {frame + WIRE_HEADER_SIZE}, .sizes = {8}};
    seal_header(frame, 8);
    seal_tag(&f->seal, f->seal.sent++, frame, &sealed, frame + WIRE_HEADER_SIZE + 8);
}

static void send_bytes(const struct fake *f, const void *data, size_t size) {
    assert_int_equal(send(f->fd, data, size, MSG_NOSIGNAL), size);
}

static void replicas_with_keys_talk_and_large_bodies_are_hashed_once(void **state) {
    (void)state;
    for (uint16_t i = 0; i < (uint16_t)NODES; i++)
        open_node(i);
    RUN_UNTIL(nodes[0].up[1] && nodes[0].up[2] && nodes[1].up[2] && nodes[2].up[0]);
    enum { BODY = 300000, OFFSET = 10 };
    struct blob *blob = blob_new(BODY);
    memset(blob->data, 7, BODY);
    uint8_t head[WIRE_HEADER_SIZE + 3] = {0};
    for (int round = 0; round < 2; round++) {
        wire_header_encode(0x50, 3 + BODY - OFFSET, head);
        transport_send_peer(nodes[0].transport, 1, head, sizeof head, blob, OFFSET);
        assert_int_equal(blob->hashed_from, OFFSET);
        /* A second one takes the hash as it is: if it were not of these bytes, it would fail. */
        transport_send_peer(nodes[0].transport, 2, head, sizeof head, blob, OFFSET);
        wire_header_encode(0x50, 3 + BODY, head);
        transport_send_peer(nodes[0].transport, 2, head, sizeof head, blob, 0);
    }
    RUN_UNTIL(nodes[1].peer_bytes == 2 * (3 + BODY - OFFSET) &&
              nodes[2].peer_bytes == 2 * (3 + 3 + 2 * BODY - OFFSET));
    assert_int_equal(nodes[2].last->size, 3 + BODY);
    assert_int_equal(nodes[2].last->hashed_from, 3 + OFFSET);
    assert_memory_equal(nodes[2].last->hash, blob->hash, sizeof blob->hash);
    blob_unref(blob);
    assert_int_equal(nodes[1].down[0] + nodes[2].down[0], 0);
}

enum { LARGE_BODY = 5000, LARGE_FRAME = WIRE_HEADER_SIZE + LARGE_BODY + SEAL_TAG_SIZE };

/* Of different sizes up to LARGE_BODY; returns the frame's. */
static size_t make_large(struct fake *f, unsigned i, uint8_t frame[LARGE_FRAME]) {
    uint8_t hash[SHA256_SIZE];
    size_t size = LARGE_BODY - 100 * i;
    const struct sealed sealed = {.rest_hash = hash};
    wire_header_encode(0x50, size, frame);
    memset(frame + WIRE_HEADER_SIZE, (int)i, size);
    sha256_of(frame + WIRE_HEADER_SIZE, size, hash);
    seal_header(frame, 0);
    seal_tag(&f->seal, f->seal.sent++, frame, &sealed, frame + WIRE_HEADER_SIZE + size);
    return WIRE_HEADER_SIZE + size + SEAL_TAG_SIZE;
}

/* More of them than are hashed together, small ones in between. Returns the size of those before
 * the one that is changed on the way. */
static size_t send_burst(struct fake *peer, unsigned changed) {
    enum { FRAMES = 20 };
    static uint8_t burst[FRAMES * (LARGE_FRAME + FAKE_FRAME)];
    size_t size = 0, before = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        size_t large = make_large(peer, i, burst + size);
        if (i == changed)
            burst[size + WIRE_HEADER_SIZE + 77] ^= 1;
        make_frame(peer, 0x51, burst + size + large);
        size += large + FAKE_FRAME;
        before += i < changed ? LARGE_BODY - 100 * i + 8 : 0;
    }
    send_bytes(peer, burst, size);
    return before;
}

static void frames_that_come_together_are_checked_one_by_one(void **state) {
    (void)state;
    open_node(1);
    cleanup(fake_end) struct fake peer = become(1, WIRE_ROLE_REPLICA, 2, ids[2]);
    RUN_UNTIL(nodes[1].up[2] == 1);
    size_t size = send_burst(&peer, UINT_MAX);
    RUN_UNTIL(nodes[1].peer_bytes == size);
    nodes[1].peer_bytes = 0;
    size = send_burst(&peer, 5);
    RUN_UNTIL(nodes[1].down[2] == 1);
    assert_int_equal(nodes[1].peer_bytes, size);
    assert_non_null(strstr(nodes[1].noted, "its frame 50 (type 80) is not authentic"));
}

static void a_client_is_known_by_its_loader(void **state) {
    (void)state;
    open_node(1);
    cleanup(fake_end) struct fake client = become(1, WIRE_ROLE_CLIENT, 0, loader_id);
    cleanup(fake_end) struct fake monitor = become(1, WIRE_ROLE_MONITOR, 2, ids[2]);
    uint8_t frame[FAKE_FRAME], back[512];
    make_frame(&client, WIRE_REQUEST, frame);
    send_bytes(&client, frame, sizeof frame);
    RUN_UNTIL(nodes[1].client_frames == 1);
    assert_int_equal(nodes[1].last_loader, 0);
    wire_header_encode(WIRE_STATUS, 0, back);
    transport_send_client(nodes[1].transport, nodes[1].last_origin, back, WIRE_HEADER_SIZE);
    assert_int_equal(read_frame(client.fd, back), WIRE_HEADER_SIZE + SEAL_TAG_SIZE);
    make_frame(&monitor, WIRE_STATUS_QUERY, frame);
    send_bytes(&monitor, frame, sizeof frame);
    RUN_UNTIL(nodes[1].client_frames == 2);
    assert_int_equal(nodes[1].last_loader, TRANSPORT_MONITOR);
    transport_dismiss_client(nodes[1].transport, nodes[1].last_origin, "it is a test");
    RUN_UNTIL(is_closed(monitor.fd));
    assert_non_null(strstr(nodes[1].noted, "is dismissed: it is a test"));
}

/* Each ends the connection with a note, and nothing of it is seen above. */
static void frames_that_are_not_the_next_one_never_arrive(void **state) {
    (void)state;
    open_node(1);
    for (int way = 0; way < 5; way++) {
        uint8_t first[FAKE_FRAME], second[FAKE_FRAME];
        struct node *node = &nodes[1];
        cleanup(fake_end) struct fake peer = become(1, WIRE_ROLE_REPLICA, 2, ids[2]);
        RUN_UNTIL(node->up[2] == (unsigned)way + 1);
        make_frame(&peer, 0x50, first);
        make_frame(&peer, 0x51, second);
        size_t seen = node->peer_bytes;
        node->noted[0] = '\0';
        send_bytes(&peer, first, sizeof first);
        RUN_UNTIL(node->peer_bytes == seen + 8);
        if (way == 0) /* replayed */
            send_bytes(&peer, first, sizeof first);
        if (way == 1) { /* reordered: one is missing */
            make_frame(&peer, 0x52, second);
            send_bytes(&peer, second, sizeof second);
        }
        if (way == 2) { /* changed */
            second[WIRE_HEADER_SIZE + 3] ^= 1;
            send_bytes(&peer, second, sizeof second);
        }
        if (way == 3) { /* not sealed */
            wire_header_encode(0x51, 8, second);
            send_bytes(&peer, second, WIRE_HEADER_SIZE + 8);
        }
        if (way == 4) { /* cut */
            send_bytes(&peer, second, sizeof second - 1);
            shutdown(peer.fd, SHUT_WR);
        }
        RUN_UNTIL(node->down[2] == (unsigned)way + 1);
        assert_int_equal(node->peer_bytes, seen + 8);
        assert_non_null(strstr(node->noted, "replica 2: "));
        assert_non_null(strstr(node->noted, way == 4   ? "closed in the middle of a frame"
                                            : way == 3 ? "without a tag"
                                                       : "is not authentic"));
    }
}

static void who_proves_nothing_replaces_nobody(void **state) {
    (void)state;
    open_node(1);
    cleanup(fake_end) struct fake peer = become(1, WIRE_ROLE_REPLICA, 2, ids[2]);
    RUN_UNTIL(nodes[1].up[2] == 1);
    uint8_t proof[WIRE_HELLO_PROOF_SIZE], unsent[WIRE_HELLO_PROOF_SIZE], frame[FAKE_FRAME];
    /* A loader says that it is replica 2; somebody says so and falls silent. */
    cleanup(fake_end) struct fake liar = say_who(1, WIRE_ROLE_REPLICA, 2, loader_id, proof);
    cleanup(fake_end) struct fake silent = say_who(1, WIRE_ROLE_REPLICA, 2, ids[2], unsent);
    send_bytes(&liar, proof, sizeof proof);
    RUN_UNTIL(is_closed(liar.fd));
    RUN_UNTIL(is_closed(silent.fd));
    assert_non_null(strstr(nodes[1].noted, "it cannot prove that it is replica 2"));
    assert_non_null(strstr(nodes[1].noted, "did not prove who it is in time"));
    make_frame(&peer, 0x50, frame);
    send_bytes(&peer, frame, sizeof frame);
    RUN_UNTIL(nodes[1].peer_bytes == 8);
    assert_int_equal(nodes[1].down[2], 0);
}

static void what_a_replica_says_cannot_be_held_against_it(void **state) {
    (void)state;
    open_node(1);
    cleanup(fake_end) struct fake peer = become(1, WIRE_ROLE_REPLICA, 2, ids[2]);
    RUN_UNTIL(nodes[1].up[2] == 1);
    uint8_t frame[WIRE_HEADER_SIZE], back[512];
    wire_header_encode(0x50, 0, frame);
    transport_send_peer(nodes[1].transport, 2, frame, sizeof frame, NULL, 0);
    size_t size = read_frame(peer.fd, back);
    send_bytes(&peer, back, size); /* reflected */
    RUN_UNTIL(nodes[1].down[2] == 1);
    assert_int_equal(nodes[1].peer_bytes, 0);
}

static void nobody_gets_in_without_keys(void **state) {
    (void)state;
    open_node(1);
    static const enum wire_role roles[] = {WIRE_ROLE_CLIENT, WIRE_ROLE_REPLICA, WIRE_ROLE_MONITOR};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        cleanup_close int fd = connect_to(1);
        say_hello(fd, roles[i], 2, "run");
        struct wire_hello_answer answer = read_answer(fd);
        assert_false(answer.accepted);
        assert_non_null(strstr(answer.text, "talks to nobody without keys"));
        RUN_UNTIL(is_closed(fd));
    }
    assert_int_equal(nodes[1].up[2], 0);
}

int main(void) {
#define KEYS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_with_keys, tear_down)
    const struct CMUnitTest tests[] = {
        KEYS_TEST(replicas_with_keys_talk_and_large_bodies_are_hashed_once),
        KEYS_TEST(frames_that_come_together_are_checked_one_by_one),
        KEYS_TEST(a_client_is_known_by_its_loader),
        KEYS_TEST(frames_that_are_not_the_next_one_never_arrive),
        KEYS_TEST(who_proves_nothing_replaces_nobody),
        KEYS_TEST(what_a_replica_says_cannot_be_held_against_it),
        KEYS_TEST(nobody_gets_in_without_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
