#include "tests/unit/executor/transport_nodes.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "tests/unit/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct loop loop;
struct transport_address addresses[NODES];
struct node nodes[NODES];
struct identity *ids[NODES];
struct identity *loader_id;
uint32_t hello_ms, connections_max;

static void node_up(void *context, uint16_t peer) {
    ((struct node *)context)->up[peer]++;
}
static void node_down(void *context, uint16_t peer) {
    struct node *node = context;
    uint8_t frame[WIRE_HEADER_SIZE + 1] = {0};
    node->down[peer]++;
    wire_header_encode(0x50, 1, frame);
    if (node->tells)
        transport_send_peer(node->transport, 1, frame, sizeof frame, NULL, 0);
}
static int node_peer_frame(void *context, uint16_t peer, const struct frame *frame,
                           struct error *err) {
    struct node *node = context;
    (void)peer;
    node->peer_bytes += frame->size;
    blob_unref(node->last);
    node->last = frame_take(frame);
    return frame->type == 99 ? error_set(err, ERROR_INVALID, "a bad frame") : 0;
}
static void node_client_up(void *context, uint64_t origin, const struct wire_clients *clients) {
    ((struct node *)context)->client_up_origin = origin;
    ((struct node *)context)->last_clients = *clients;
}
static int node_client_frame(void *context, uint64_t origin, uint16_t loader,
                             const struct frame *frame, struct error *err) {
    (void)frame;
    (void)err;
    ((struct node *)context)->client_frames++;
    ((struct node *)context)->last_origin = origin;
    ((struct node *)context)->last_loader = loader;
    return 0;
}
static void node_hello(void *context, struct wire_hello_answer *answer) {
    (void)context;
    answer->primary = 0;
    answer->f = 0;
    answer->answers = 1;
}
static void node_note(void *context, bool warning, const char *text) {
    struct node *node = context;
    (void)warning;
    size_t used = strlen(node->noted);
    snprintf(node->noted + used, sizeof node->noted - used, "%s\n", text);
}

static uint16_t free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    cleanup_close int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    return ntohs(a.sin_port);
}

void open_node(uint16_t i) {
    struct error err = ERROR_NULL;
    struct node *node = &nodes[i];
    *node = (struct node){.config = {.run = "run",
                                     .identity = ids[i],
                                     .replica = i,
                                     .n = NODES,
                                     .addresses = addresses,
                                     .listen_host = "127.0.0.1",
                                     /* Signing takes its time on a busy machine. */
                                     .hello_ms = hello_ms ? hello_ms
                                                 : ids[i] ? 1500
                                                          : 60,
                                     .connections_max = connections_max}};
    struct transport_events events = {.context = node,
                                      .peer_up = node_up,
                                      .peer_down = node_down,
                                      .peer_frame = node_peer_frame,
                                      .client_up = node_client_up,
                                      .client_frame = node_client_frame,
                                      .hello = node_hello,
                                      .note = node_note};
    if (transport_open(&loop, &node->config, &events, &node->transport, &err) < 0)
        fail_msg("%s", err.text);
}

void close_node(uint16_t i) {
    transport_free(nodes[i].transport);
    nodes[i].transport = NULL;
    blob_unref(take_ptr(nodes[i].last));
}

int set_up(void **state) {
    struct error err = ERROR_NULL;
    (void)state;
    hello_ms = connections_max = 0;
    for (uint16_t i = 0; i < (uint16_t)NODES; i++)
        addresses[i] = (struct transport_address){.host = "127.0.0.1", .port = free_port()};
    return loop_init(&loop, &err);
}

int tear_down(void **state) {
    (void)state;
    for (uint16_t i = 0; i < (uint16_t)NODES; i++)
        if (nodes[i].transport)
            close_node(i);
    loop_deinit(&loop);
    for (size_t i = 0; i < NODES; i++)
        if (ids[i])
            identity_free(take_ptr(ids[i]));
    if (loader_id)
        identity_free(take_ptr(loader_id));
    return 0;
}

int set_up_with_keys(void **state) {
    struct error err = ERROR_NULL;
    struct folder folder = folder_make();
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cleanup_free char *path = path_join(folder.path, "keys");
    cluster_keys_generate(NODES, 1, &keys, &list);
    int r = cluster_keys_save(path, &keys, list, &err);
    free(list);
    for (uint16_t i = 0; r == 0 && i <= (uint16_t)NODES; i++) {
        bool replica = i < (uint16_t)NODES;
        const struct principal self = {.role = replica ? PRINCIPAL_REPLICA : PRINCIPAL_LOADER,
                                       .index = replica ? i : 0};
        r = identity_open(path, self, NODES, replica ? &ids[i] : &loader_id, &err);
    }
    folder_remove(&folder);
    return r < 0 ? r : set_up(state);
}

void run_round(void) {
    struct error err = ERROR_NULL;
    struct instant due = instant_after(clock_instant(), 100 * NS_PER_MS);
    for (uint16_t i = 0; i < (uint16_t)NODES; i++)
        if (nodes[i].transport)
            due = instant_earlier(due, transport_round(nodes[i].transport));
    assert_int_equal(loop_round(&loop, due, &err), 0);
}

int connect_to(uint16_t i) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons(addresses[i].port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

void say_hello(int fd, enum wire_role role, uint64_t id, const char *run) {
    struct wire_hello hello = {.role = role, .id = id};
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    snprintf(hello.run, sizeof hello.run, "%s", run);
    size_t size = wire_hello_encode(&hello, frame);
    assert_int_equal(write(fd, frame, size), size);
}

struct wire_hello_answer read_answer(int fd) {
    struct error err = ERROR_NULL;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    struct wire_hello_answer answer = {0};
    ssize_t n = -1;
    RUN_UNTIL((n = read(fd, frame, sizeof frame)) > 0);
    assert_int_equal(wire_hello_answer_decode(frame + WIRE_HEADER_SIZE,
                                              (size_t)n - WIRE_HEADER_SIZE, &answer, &err),
                     0);
    return answer;
}

bool is_closed(int fd) {
    char byte;
    ssize_t n = read(fd, &byte, 1);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}
