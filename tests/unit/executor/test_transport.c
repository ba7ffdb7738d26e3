/* Connections: frames survive being cut anywhere; strangers are told apart; peers find each other.
 */

#include "tests/unit/executor/transport_nodes.h"

#include "executor/transport/limits.h"

#include "lib/memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- one connection ---- */

enum { FRAMES = 40 };

static size_t frames_got;

static size_t frame_size_of(size_t i) {
    return i * i * i; /* from nothing to 59 kB */
}

static int take_numbered(struct connection *c, const struct frame *frame, struct error *err) {
    (void)c;
    assert_int_equal(frame->type, 100 + frames_got);
    assert_int_equal(frame->size, frame_size_of(frames_got));
    for (size_t i = 0; i < frame->size; i++)
        if (frame->body[i] != (uint8_t)(frames_got + i))
            return error_set(err, ERROR_INVALID, "wrong byte");
    struct blob *taken = frame_take(frame);
    assert_int_equal(taken->size, frame->size);
    assert_memory_equal(taken->data, frame->body, frame->size);
    blob_unref(taken);
    frames_got++;
    return 0;
}

static uint8_t *all_frames(size_t *ret_size) {
    size_t size = 0;
    for (size_t i = 0; i < FRAMES; i++)
        size += WIRE_HEADER_SIZE + frame_size_of(i);
    uint8_t *stream = mem_alloc(size), *at = stream;
    for (size_t i = 0; i < FRAMES; i++) {
        wire_header_encode((uint8_t)(100 + i), frame_size_of(i), at);
        at += WIRE_HEADER_SIZE;
        for (size_t j = 0; j < frame_size_of(i); j++)
            *at++ = (uint8_t)(i + j);
    }
    *ret_size = size;
    return stream;
}

static void make_pair(int ret[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ret), 0);
}

static void frames_arrive_whole_however_they_are_cut(void **state) {
    (void)state;
    size_t size;
    cleanup_free uint8_t *stream = all_frames(&size);
    uint64_t seed = 3;
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t pace = 1; pace <= 100000; pace *= 10) {
        struct error err = ERROR_NULL;
        struct receive_room room;
        struct connection c;
        int pair[2];
        make_pair(pair);
        receive_room_init(&room);
        connection_init(&c, pair[0]);
        frames_got = 0;
        for (size_t sent = 0; sent < size;) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            /* Byte by byte only through the small ones. */
            size_t piece = 1 + (seed >> 33) % (pace == 1 && sent > 3000 ? 5000 : pace);
            if (piece > size - sent)
                piece = size - sent;
            ssize_t n = write(pair[1], stream + sent, piece);
            assert_true(n > 0);
            sent += (size_t)n;
            assert_int_equal(connection_receive(&c, &room, take_numbered, &err), 0);
        }
        while (frames_got < FRAMES)
            assert_int_equal(connection_receive(&c, &room, take_numbered, &err), 0);
        assert_int_equal(room.partial_bytes, 0);
        assert_int_equal(c.frame_since.ns, INSTANT_NEVER.ns);
        close(pair[1]);
        assert_int_equal(connection_receive(&c, &room, take_numbered, &err), -1);
        assert_string_equal(err.text, "closed by the other side");
        connection_deinit(&c, &room);
        receive_room_deinit(&room);
    }
}

static void a_frame_that_never_ends_is_given_up_with_its_memory(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct receive_room room;
    struct connection c;
    int pair[2];
    uint8_t header[WIRE_HEADER_SIZE];
    make_pair(pair);
    receive_room_init(&room);
    connection_init(&c, pair[0]);
    wire_header_encode(1, 5000, header);
    assert_int_equal(write(pair[1], header, sizeof header), sizeof header);
    assert_int_equal(connection_receive(&c, &room, take_numbered, &err), 0);
    assert_int_equal(room.partial_bytes, 5000);
    assert_true(c.frame_since.ns != INSTANT_NEVER.ns);
    close(pair[1]);
    assert_int_equal(connection_receive(&c, &room, take_numbered, &err), -1);
    assert_string_equal(err.text, "closed in the middle of a frame");
    connection_deinit(&c, &room);
    assert_int_equal(room.partial_bytes, 0);
    receive_room_deinit(&room);
}

static void a_frame_beyond_what_is_accepted_is_refused_at_its_header(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct receive_room room;
    struct connection c;
    int pair[2];
    uint8_t header[WIRE_HEADER_SIZE];
    make_pair(pair);
    receive_room_init(&room);
    connection_init(&c, pair[0]);
    c.body_max = 100;
    wire_header_encode(1, 101, header);
    assert_int_equal(write(pair[1], header, sizeof header), sizeof header);
    assert_int_equal(connection_receive(&c, &room, take_numbered, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_int_equal(room.partial_bytes, 0);
    connection_deinit(&c, &room);
    close(pair[1]);
    receive_room_deinit(&room);
}

static void what_is_queued_goes_out_in_order_as_the_reader_reads(void **state) {
    (void)state;
    enum { ROUNDS = 500, BODY = 9000 };
    struct error err = ERROR_NULL;
    struct receive_room room;
    struct connection c;
    int pair[2];
    make_pair(pair);
    receive_room_init(&room);
    connection_init(&c, pair[0]);
    struct blob *body = blob_new(BODY);
    for (size_t i = 0; i < BODY; i++)
        body->data[i] = (uint8_t)i;
    for (size_t i = 0; i < ROUNDS; i++) {
        connection_queue(&c, "head", 4, NULL, 0);
        connection_queue(&c, "HEAD", 4, body, 1000);
    }
    assert_int_equal(c.queued_bytes, ROUNDS * (8 + BODY - 1000));
    assert_int_equal(body->references, 1 + ROUNDS);
    cleanup_free uint8_t *got = mem_alloc(ROUNDS * (8 + BODY));
    size_t have = 0;
    int r;
    do {
        r = connection_flush(&c, &err);
        assert_true(r >= 0);
        ssize_t n;
        while ((n = read(pair[1], got + have, 7777)) > 0)
            have += (size_t)n;
    } while (r > 0);
    assert_int_equal(have, ROUNDS * (8 + BODY - 1000));
    for (size_t i = 0; i < ROUNDS; i++) {
        const uint8_t *at = got + i * (8 + BODY - 1000);
        assert_memory_equal(at, "headHEAD", 8);
        assert_memory_equal(at + 8, body->data + 1000, BODY - 1000);
    }
    assert_int_equal(c.queued_bytes, 0);
    assert_int_equal(body->references, 1);
    blob_unref(body);
    connection_deinit(&c, &room);
    close(pair[1]);
    receive_room_deinit(&room);
}

/* ---- transports ---- */

static void replicas_find_each_other_in_any_order(void **state) {
    (void)state;
    open_node(2); /* the lower ones are not there yet: it tries again */
    for (int i = 0; i < 5; i++)
        run_round();
    open_node(0);
    open_node(1);
    RUN_UNTIL(nodes[0].up[1] && nodes[0].up[2] && nodes[1].up[0] && nodes[1].up[2] &&
              nodes[2].up[0] && nodes[2].up[1]);
    uint8_t frame[WIRE_HEADER_SIZE + 5] = {0};
    wire_header_encode(0x50, 5, frame);
    transport_send_peer(nodes[0].transport, 2, frame, sizeof frame, NULL, 0);
    RUN_UNTIL(nodes[2].peer_bytes == 5);
    close_node(0);
    RUN_UNTIL(nodes[1].down[0] && nodes[2].down[0]);
    open_node(0);
    RUN_UNTIL(nodes[0].up[1] && nodes[0].up[2]);
    RUN_UNTIL(nodes[1].up[0] == 2);
}

static void a_bad_frame_of_a_peer_ends_its_connection_and_it_returns(void **state) {
    (void)state;
    open_node(0);
    open_node(1);
    RUN_UNTIL(nodes[0].up[1] && nodes[1].up[0]);
    uint8_t frame[WIRE_HEADER_SIZE];
    wire_header_encode(99, 0, frame);
    transport_send_peer(nodes[1].transport, 0, frame, sizeof frame, NULL, 0);
    RUN_UNTIL(nodes[0].down[1] == 1 && nodes[0].up[1] == 2);
    assert_non_null(strstr(nodes[0].noted, "replica 1: a bad frame"));
}

/* The owner writes down what it has said before it calls for the next round. */
static void what_is_said_to_the_end_of_a_peer_waits_for_the_next_round(void **state) {
    (void)state;
    for (uint16_t i = 0; i < (uint16_t)NODES; i++)
        open_node(i);
    RUN_UNTIL(nodes[0].up[1] && nodes[0].up[2] && nodes[1].up[0] && nodes[2].up[0]);
    uint8_t frame[WIRE_HEADER_SIZE + 1] = {0};
    wire_header_encode(0x50, 1, frame);
    nodes[0].tells = true;
    transport_disconnect_peer(nodes[0].transport, 2, "it is a test");
    transport_send_peer(nodes[0].transport, 1, frame, sizeof frame, NULL, 0);
    struct instant due = transport_round(nodes[0].transport);
    assert_int_equal(nodes[0].down[2], 1);
    assert_true(transport_unsent(nodes[0].transport));
    assert_int_equal(transport_queued(nodes[0].transport, 1), sizeof frame);
    assert_true(instant_passed(due, clock_instant()));
    transport_round(nodes[0].transport);
    assert_false(transport_unsent(nodes[0].transport));
    RUN_UNTIL(nodes[1].peer_bytes == 2);
}

static void clients_are_welcomed_and_answered(void **state) {
    (void)state;
    open_node(0);
    cleanup_close int fd = connect_to(0);
    say_hello(fd, WIRE_ROLE_CLIENT, 5, "run");
    struct wire_hello_answer answer = read_answer(fd);
    assert_true(answer.accepted);
    assert_int_equal(answer.n, NODES);
    uint8_t frame[WIRE_STATUS_QUERY_SIZE], back[16];
    wire_status_query_encode(frame);
    assert_int_equal(write(fd, frame, sizeof frame), sizeof frame);
    RUN_UNTIL(nodes[0].client_frames == 1);
    assert_int_equal(nodes[0].client_up_origin, nodes[0].last_origin);
    assert_int_equal(nodes[0].last_clients.count, 0);
    transport_send_client(nodes[0].transport, nodes[0].last_origin, "answer", 6);
    RUN_UNTIL(read(fd, back, sizeof back) == 6);

    close(take_fd(&fd));
    for (int i = 0; i < 3; i++)
        run_round();
    cleanup_close int other = connect_to(0); /* takes the place of the first */
    say_hello(other, WIRE_ROLE_CLIENT, 6, "run");
    read_answer(other);
    transport_send_client(nodes[0].transport, nodes[0].last_origin, "late", 4);
    for (int i = 0; i < 3; i++)
        run_round();
    assert_int_equal(read(other, back, sizeof back), -1); /* not for this one */
}

/* Without keys, a client's id is whatever it says, and no role. */
static void a_client_is_one_whatever_its_id(void **state) {
    (void)state;
    uint8_t frame[WIRE_STATUS_QUERY_SIZE];
    open_node(0);
    cleanup_close int fd = connect_to(0);
    say_hello(fd, WIRE_ROLE_CLIENT, 0x1ffff, "run");
    assert_true(read_answer(fd).accepted);
    wire_status_query_encode(frame);
    assert_int_equal(write(fd, frame, sizeof frame), sizeof frame);
    RUN_UNTIL(nodes[0].client_frames == 1);
    assert_int_not_equal(nodes[0].last_loader, TRANSPORT_MONITOR);
}

/* As many as there is room for have begun a large frame, and do not go on. */
static void clients_that_do_not_end_their_frames_keep_no_peer_out(void **state) {
    (void)state;
    enum { CLIENTS = TRANSPORT_PARTIAL_BYTES_MAX / WIRE_BODY_MAX + 1 };
    int fds[CLIENTS];
    uint8_t begun[WIRE_HEADER_SIZE];
    open_node(0);
    open_node(1);
    RUN_UNTIL(nodes[0].up[1] == 1 && nodes[1].up[0] == 1);
    wire_header_encode(WIRE_REQUEST, WIRE_BODY_MAX, begun);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = connect_to(0);
        say_hello(fds[i], WIRE_ROLE_CLIENT, i, "run");
        assert_int_equal(write(fds[i], begun, sizeof begun), sizeof begun);
    }
    RUN_UNTIL(strstr(nodes[0].noted, "too many frames are begun and not completed"));
    struct blob *large = blob_new(WIRE_BODY_MAX);
    memset(large->data, 7, large->size);
    wire_header_encode(0x50, large->size, begun);
    transport_send_peer(nodes[1].transport, 0, begun, sizeof begun, large, 0);
    RUN_UNTIL(nodes[0].peer_bytes == large->size || nodes[0].down[1] > 0);
    assert_int_equal(nodes[0].down[1], 0);
    blob_unref(large);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

/* Each of them keeps within what one may leave unread. */
static void clients_that_do_not_read_share_one_limit(void **state) {
    (void)state;
    enum { EACH = 15 * 1024 * 1024, CLIENTS = TRANSPORT_CLIENTS_QUEUE_MAX / EACH + 12 };
    int fds[CLIENTS];
    uint64_t origins[CLIENTS];
    uint8_t byte;
    struct transport_stats stats;
    open_node(0);
    for (size_t i = 0; i < CLIENTS; i++) {
        fds[i] = connect_to(0);
        nodes[0].client_up_origin = UINT64_MAX;
        say_hello(fds[i], WIRE_ROLE_CLIENT, i, "run");
        RUN_UNTIL(nodes[0].client_up_origin != UINT64_MAX);
        origins[i] = nodes[0].client_up_origin;
    }
    struct blob *answer = blob_new(EACH);
    memset(answer->data, 0, answer->size);
    for (size_t i = 1; i < CLIENTS; i++)
        transport_send_client_blob(nodes[0].transport, origins[i], "b", 1, answer);
    run_round();
    transport_get_stats(nodes[0].transport, &stats);
    assert_true(stats.client_bytes <= TRANSPORT_CLIENTS_QUEUE_MAX);
    assert_true(stats.clients > 10 && stats.clients < CLIENTS);
    assert_non_null(strstr(nodes[0].noted, "it does not read, and all clients together"));
    read_answer(fds[0]); /* who reads is still there */
    transport_send_client(nodes[0].transport, origins[0], "a", 1);
    RUN_UNTIL(read(fds[0], &byte, 1) == 1);
    blob_unref(answer);
    for (size_t i = 0; i < CLIENTS; i++)
        close(fds[i]);
}

static uint32_t strangers_of(uint16_t i) {
    struct transport_stats stats;
    transport_get_stats(nodes[i].transport, &stats);
    return stats.strangers;
}

/* They take all places that there are, for ages. */
static void strangers_that_say_nothing_keep_nobody_out(void **state) {
    (void)state;
    enum { CROWD = 4 };
    int crowd[CROWD], clients[CROWD];
    hello_ms = 3600 * 1000;
    connections_max = CROWD;
    open_node(0);
    for (uint32_t i = 0; i < CROWD; i++) {
        crowd[i] = connect_to(0);
        RUN_UNTIL(strangers_of(0) == i + 1);
    }
    for (uint64_t i = 0; i < CROWD; i++) {
        clients[i] = connect_to(0);
        say_hello(clients[i], WIRE_ROLE_CLIENT, i, "run");
        assert_true(read_answer(clients[i]).accepted);
        assert_true(is_closed(crowd[i])); /* who was there first is the first to go */
        assert_true(i == CROWD - 1 || !is_closed(crowd[i + 1]));
    }
    cleanup_close int late = connect_to(0); /* clients make no room for it */
    RUN_UNTIL(is_closed(late));
    for (size_t i = 0; i < CROWD; i++) {
        assert_false(is_closed(clients[i]));
        close(clients[i]);
        close(crowd[i]);
    }
}

/* The store opens files while it works, and fails for good where it cannot. */
static void connections_leave_descriptors_for_the_store(void **state) {
    (void)state;
    enum { FILES = 400, CROWD = FILES / 2 + 1 };
    int crowd[CROWD];
    struct rlimit before, less;
    hello_ms = 3600 * 1000;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    less = before;
    less.rlim_cur = FILES;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &less), 0);
    open_node(0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0); /* the crowd needs some, too */
    for (size_t i = 0; i < CROWD; i++)
        crowd[i] = connect_to(0);
    RUN_UNTIL(strstr(nodes[0].noted, "it made room for another"));
    assert_int_equal(strangers_of(0), FILES / 2);
    for (size_t i = 0; i < CROWD; i++)
        close(crowd[i]);
}

static void strangers_are_refused_and_told_why(void **state) {
    (void)state;
    open_node(1);
    static const struct {
        enum wire_role role;
        uint64_t id;
        const char *run;
        const char *why;
    } cases[] = {
        {WIRE_ROLE_CLIENT, 0, "another", "another run"},
        {WIRE_ROLE_REPLICA, 7, "run", "no replica of that index"},
        {WIRE_ROLE_REPLICA, 0, "run", "lower index"},
        {WIRE_ROLE_REPLICA, 1, "run", "lower index"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_close int fd = connect_to(1);
        say_hello(fd, cases[i].role, cases[i].id, cases[i].run);
        struct wire_hello_answer answer = read_answer(fd);
        assert_false(answer.accepted);
        assert_non_null(strstr(answer.text, cases[i].why));
        RUN_UNTIL(is_closed(fd));
    }
}

static void garbage_and_silence_end_a_connection(void **state) {
    (void)state;
    open_node(0);
    cleanup_close int garbage = connect_to(0), silent = connect_to(0), large = connect_to(0);
    assert_int_equal(write(garbage, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    uint8_t header[WIRE_HEADER_SIZE];
    wire_header_encode(WIRE_HELLO, WIRE_BODY_MAX, header);
    assert_int_equal(write(large, header, sizeof header), sizeof header);
    RUN_UNTIL(is_closed(garbage));
    RUN_UNTIL(is_closed(large));
    RUN_UNTIL(is_closed(silent));
    assert_non_null(strstr(nodes[0].noted, "not a frame of this protocol"));
    assert_non_null(strstr(nodes[0].noted, "at most 512 are accepted now"));
    assert_non_null(strstr(nodes[0].noted, "did not say HELLO in time"));
}

static void a_port_in_use_is_named_with_what_to_do(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct transport *second = NULL;
    open_node(0);
    const struct transport_events events = {.context = NULL};
    assert_int_equal(transport_open(&loop, &nodes[0].config, &events, &second, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    char expected[64];
    snprintf(expected, sizeof expected, "listen on 127.0.0.1 port %u: Address already in use",
             addresses[0].port);
    assert_string_equal(err.text, expected);
    assert_non_null(strstr(err.hint, "x-seatrial.ports"));
}

int main(void) {
#define NODES_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_frame_that_never_ends_is_given_up_with_its_memory),
        cmocka_unit_test(a_frame_beyond_what_is_accepted_is_refused_at_its_header),
        cmocka_unit_test(what_is_queued_goes_out_in_order_as_the_reader_reads),
        NODES_TEST(replicas_find_each_other_in_any_order),
        NODES_TEST(a_bad_frame_of_a_peer_ends_its_connection_and_it_returns),
        NODES_TEST(what_is_said_to_the_end_of_a_peer_waits_for_the_next_round),
        NODES_TEST(clients_are_welcomed_and_answered),
        NODES_TEST(a_client_is_one_whatever_its_id),
        NODES_TEST(clients_that_do_not_end_their_frames_keep_no_peer_out),
        NODES_TEST(clients_that_do_not_read_share_one_limit),
        NODES_TEST(strangers_that_say_nothing_keep_nobody_out),
        NODES_TEST(connections_leave_descriptors_for_the_store),
        NODES_TEST(strangers_are_refused_and_told_why),
        NODES_TEST(garbage_and_silence_end_a_connection),
        NODES_TEST(a_port_in_use_is_named_with_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
