/*
 * What is given to a replica, or said to it, that is wrong, too large or too much: a clear word in
 * its log, no more memory than stated, and the cluster goes on. Keys are in replica_keys.bats and
 * test_replica_auth.c.
 */

#include "tests/cli/replica_stage.h"

#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rocksdb/c.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SHADOW = 4 }; /* so much more memory for the same bytes */
#else
enum { SHADOW = 1 };
#endif

/* ---- helpers ---- */

static void wait_log(struct replicas *r, unsigned i, const char *text) {
    struct instant end = instant_after(clock_instant(), 60 * NS_PER_SEC);
    cleanup_free char *path = text_format("%s/log%u", r->folder, i);
    while (access(path, R_OK) < 0 || !replicas_log_says(r, i, text)) {
        if (instant_passed(end, clock_instant()))
            fail_msg("replica %u never says: %s", i, text);
        poll(NULL, 0, 20);
    }
}

/* It takes nothing of what it was given, and ends by itself. */
static void expect_refusal(struct replicas *r, unsigned i, const char *option, const char *text) {
    r->option = option;
    replicas_start(r, i);
    assert_int_equal(replicas_wait(r, i), 1);
    r->option = NULL;
    if (!replicas_log_says(r, i, text))
        fail_msg("replica %u does not say: %s", i, text);
}

/* The most that a replica ever had in memory. */
static uint64_t peak_bytes(const struct replicas *r, unsigned i) {
    static const char mark[] = "VmHWM:";
    cleanup_free char *path = text_format("/proc/%d/status", (int)r->pids[i]);
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct error err = ERROR_NULL;
    if (file_read(path, 1 << 16, &text, &err) < 0)
        fail_msg("%s", err.text);
    const char *at = strstr(buffer_string(&text), mark);
    assert_non_null(at);
    return strtoull(at + strlen(mark), NULL, 10) << 10;
}

/* True once the other side has closed it. What it says meanwhile is read. */
static bool closes(int fd) {
    struct instant end = instant_after(clock_instant(), 60 * NS_PER_SEC);
    char bytes[4096];
    while (!instant_passed(end, clock_instant())) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 1000) == 1 && recv(fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    }
    return false;
}

static int hello_as(struct replicas *r, unsigned i, enum wire_role role, uint64_t id) {
    const struct wire_hello hello = {.role = role, .id = id, .run = "run1"};
    uint8_t frame[WIRE_HELLO_SIZE_MAX];
    int fd = replicas_connect(r, i);
    ssize_t size = (ssize_t)wire_hello_encode(&hello, frame);
    assert_int_equal(send(fd, frame, (size_t)size, MSG_NOSIGNAL), size);
    return fd;
}

static void serve_some(struct replicas *r, unsigned i, uint64_t first_client) {
    cleanup(load_deinit) struct load l = load_to(r, i, first_client);
    load_run(&l, 50);
    load_finish(&l);
}

/* ---- what it is given ---- */

static void write_cluster(const struct replicas *r, const char *name, const char *run, unsigned n) {
    cleanup_free char *path = text_format("%s/%s", r->folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "run: %s\nproject: test\ncontainers:\n", run);
    for (unsigned i = 0; i < n; i++)
        fprintf(f,
                "  - {name: replica-%u, service: replica, role: replica, index: %u, host: local, "
                "address: 127.0.0.1, ports: {replica: %u}}\n",
                i + 1, i, i < r->n ? r->ports[i] : 1u);
    assert_int_equal(fclose(f), 0);
}

static void who_counts_other_members_stays_outside(void **state) {
    (void)state;
    char why[512];
    cleanup(replicas_down) struct replicas r = replicas_prepare(4, "memory");
    cleanup_free char *option = text_format("--cluster=%s/five.yaml", r.folder);
    write_cluster(&r, "five.yaml", "run1", 5);
    for (unsigned i = 0; i < 3; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < 3; i++)
        replicas_wait_healthy(&r, i);
    r.option = option;
    replicas_start(&r, 3);
    wait_log(&r, 3, "replica 0 of 4 answers there, not of 5");
    assert_true(replicas_log_says(&r, 3, "5 replicas bear no more faulty ones than 4"));
    serve_some(&r, 0, 100);
    r.option = NULL;
    assert_int_equal(replicas_ask(&r, 3, "--health", why, sizeof why), 1);
    assert_int_equal(replicas_height(&r, 3), 0);
    replicas_stop(&r);
}

static void data_of_somebody_else_is_refused_by_name(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    serve_some(&r, 0, 100);
    for (unsigned i = 2; i < 4; i++) {
        replicas_signal(&r, i, SIGKILL);
        replicas_wait(&r, i);
    }
    cleanup_free char *other_data = text_format("--data=%s/data2", r.folder);
    cleanup_free char *used_data = text_format("--data=%s/data1", r.folder);
    cleanup_free char *other_run = text_format("--cluster=%s/run.yaml", r.folder);
    cleanup_free char *five = text_format("--cluster=%s/five.yaml", r.folder);
    write_cluster(&r, "run.yaml", "run2", 4);
    write_cluster(&r, "five.yaml", "run1", 5);
    expect_refusal(&r, 3, other_data, "run run1, replica 2 of 4, merkle keys, this is seatrial");
    expect_refusal(&r, 3, used_data, "data1' is in use by another process");
    expect_refusal(&r, 3, other_run, "run run1, replica 3 of 4, merkle keys, this is seatrial");
    expect_refusal(&r, 3, five, "replica 3 of 4, merkle keys, this is seatrial");
    expect_refusal(&r, 3, "--merkle=block", "replica 3 of 4, merkle keys, this is seatrial");
    assert_true(replicas_log_says(&r, 3, "give an empty folder by --data"));
    replicas_start(&r, 2);
    replicas_start(&r, 3);
    replicas_wait_healthy(&r, 3);
    serve_some(&r, 0, 200);
    replicas_stop(&r);
}

/* As a replica of another version would have written it, with RocksDB's own words. */
static void put_identity(const char *folder, const char *text) {
    enum { FAMILIES_MAX = 16 };
    char *problem = NULL;
    size_t count = 0;
    const rocksdb_options_t *options[FAMILIES_MAX];
    rocksdb_column_family_handle_t *handles[FAMILIES_MAX];
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_writeoptions_t *write = rocksdb_writeoptions_create();
    char **names = rocksdb_list_column_families(o, folder, &count, &problem);
    assert_null(problem);
    assert_true(count <= FAMILIES_MAX);
    for (size_t i = 0; i < count; i++)
        options[i] = o;
    rocksdb_t *db = rocksdb_open_column_families(o, folder, (int)count, (const char *const *)names,
                                                 options, handles, &problem);
    assert_null(problem);
    rocksdb_put(db, write, "identity", strlen("identity"), text, strlen(text), &problem);
    assert_null(problem);
    for (size_t i = 0; i < count; i++)
        rocksdb_column_family_handle_destroy(handles[i]);
    rocksdb_close(db);
    rocksdb_list_column_families_destroy(names, count);
    rocksdb_writeoptions_destroy(write);
    rocksdb_options_destroy(o);
}

static void data_of_another_version_is_refused(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    serve_some(&r, 0, 100);
    replicas_signal(&r, 3, SIGTERM);
    assert_int_equal(replicas_wait(&r, 3), 0);
    cleanup_free char *folder = text_format("%s/data3", r.folder);
    put_identity(folder, "seatrial 99, run run1, replica 3 of 4, merkle keys");
    expect_refusal(&r, 3, NULL, "belongs to seatrial 99, run run1, replica 3 of 4");
    assert_true(replicas_log_says(&r, 3, "give an empty folder by --data"));
    serve_some(&r, 0, 200);
    replicas_stop(&r);
}

/* The first bytes of a segment say which version has written it. */
static void a_protocol_log_of_another_version_is_refused(void **state) {
    (void)state;
    cleanup(replicas_down) struct replicas r = replicas_up(4, "rocksdb");
    serve_some(&r, 0, 100);
    replicas_signal(&r, 3, SIGTERM);
    assert_int_equal(replicas_wait(&r, 3), 0);
    cleanup_free char *path = text_format("%s/data3/protocol/1.log", r.folder);
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
    expect_refusal(&r, 3, NULL, "no protocol log of this version");
    assert_true(replicas_log_says(&r, 3, path));
    serve_some(&r, 0, 200);
    replicas_stop(&r);
}

/* ---- a full disk ---- */

/* For us and our children only, so that nothing is left of it. RocksDB sets 70 MB of it aside for
 * its log at once. */
static bool mount_small(const char *folder) {
    assert_int_equal(mkdir(folder, 0755), 0);
    if (unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", folder, "tmpfs", 0, "size=400m") == 0)
        return true;
    const char *strict = getenv("TEST_STRICT");
    if (errno != EPERM || text_equal(strict, "1"))
        fail_msg("mount a tmpfs: %s", strerror(errno));
    return false;
}

/* 256 MiB before its end: what was stored can be read, and the others do without it. */
static void with_a_full_disk_it_says_so_and_the_others_go_on(void **state) {
    (void)state;
    char why[512];
    cleanup(replicas_down) struct replicas r = replicas_prepare(4, "rocksdb");
    cleanup_free char *small = text_format("%s/data2", r.folder);
    if (!mount_small(small)) {
        replicas_down(&r);
        skip(); /* does not come back */
    }
    for (unsigned i = 0; i < 4; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < 4; i++)
        replicas_wait_healthy(&r, i);
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    l.shape.value_size = 300 * 1000;
    load_run(&l, 120);
    load_finish(&l);
    wait_log(&r, 2, "data2' is full: only ");
    assert_int_equal(replicas_ask(&r, 2, "--health", why, sizeof why), 1);
    assert_non_null(strstr(why, "it cannot store any more"));
    load_run(&l, 30);
    load_finish(&l);
    for (unsigned i = 0; i < 4; i++)
        replicas_signal(&r, i, SIGTERM);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(replicas_wait(&r, i), i == 2 ? 1 : 0);
    replicas_assert_agreement(&r, 0xb, l.acknowledged);
    uint64_t height;
    char digest[65];
    replicas_state(&r, 2, &height, digest); /* it is still told how far it got */
    if (height == 0 || height >= l.acknowledged_count)
        fail_msg("height %llu of %llu", (unsigned long long)height,
                 (unsigned long long)l.acknowledged_count);
    assert_int_equal(umount2(small, MNT_DETACH), 0);
}

/* ---- what is said to it ---- */

/* 4 GiB less one byte, as far as a header can say it. */
static void put_monstrous(uint8_t type, uint8_t out[WIRE_HEADER_SIZE]) {
    wire_header_encode(type, 0, out);
    memset(out + WIRE_HEADER_SIZE - 4, 0xff, 4);
}

static void a_message_of_4_gib_ends_its_connection_and_costs_nothing(void **state) {
    (void)state;
    uint8_t head[WIRE_HEADER_SIZE], rest[1 << 16] = {0};
    cleanup(replicas_down) struct replicas r = replicas_up(4, "memory");
    uint64_t before = peak_bytes(&r, 0);
    cleanup(load_deinit) struct load client = load_to(&r, 0, 100);
    cleanup_close int stranger = replicas_connect(&r, 0);
    cleanup_close int peer = hello_as(&r, 0, WIRE_ROLE_REPLICA, 3); /* in the place of the real */
    const struct {
        int fd;
        uint8_t type;
    } all[] = {{stranger, WIRE_HELLO}, {client.fd, WIRE_REQUEST}, {peer, WIRE_REPLICA_FIRST + 1}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put_monstrous(all[i].type, head);
        assert_int_equal(send(all[i].fd, head, sizeof head, MSG_NOSIGNAL), sizeof head);
        (void)!send(all[i].fd, rest, sizeof rest, MSG_NOSIGNAL | MSG_DONTWAIT);
        assert_true(closes(all[i].fd));
    }
    assert_true(replicas_log_says(&r, 0, "4294967295 bytes"));
    assert_true(peak_bytes(&r, 0) < before + (UINT64_C(64) << 20) * SHADOW);
    serve_some(&r, 0, 200);
    replicas_stop(&r);
}

/* Requests that are refused at once, and answers that nobody reads. */
static void who_does_not_read_is_disconnected(void **state) {
    (void)state;
    enum { EACH = 1000, ROUNDS = 2000 };
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    cleanup(buffer_deinit) struct buffer many;
    buffer_init(&many, 1 << 20);
    cleanup(replicas_down) struct replicas r = replicas_up(1, "memory");
    uint64_t before = peak_bytes(&r, 0);
    cleanup(load_deinit) struct load flood = load_to(&r, 0, 100);
    const struct wire_request request = {.client = 1, .number = 1, .key_count = 1, .key_size = 7};
    size_t size = wire_request_encode_head(&request, head);
    for (int i = 0; i < EACH; i++)
        buffer_append(&many, (const char *)head, size);
    /* Until nothing goes any more: a reset, or a socket that stays full. */
    const struct timeval patience = {.tv_sec = 10};
    setsockopt(flood.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    int rounds = 0;
    while (rounds < ROUNDS && send(flood.fd, many.data, many.size, MSG_NOSIGNAL) > 0)
        rounds++;
    assert_true(rounds < ROUNDS);
    assert_true(replicas_log_says(&r, 0, "it does not read what it asked for"));
    assert_true(peak_bytes(&r, 0) < before + (UINT64_C(96) << 20) * SHADOW);
    serve_some(&r, 0, 200);
    replicas_stop(&r);
}

static void send_large(int fd, const struct wire_request *request) {
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    size_t size = wire_request_encode_head(request, head);
    assert_int_equal(send(fd, head, size, MSG_NOSIGNAL), size);
    for (size_t sent = 0; sent < request->payload_size;) {
        ssize_t n = send(fd, request->payload + sent, request->payload_size - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

static struct wire_reply receive_reply(int fd) {
    struct error err = ERROR_NULL;
    uint8_t frame[WIRE_REPLY_SIZE_MAX];
    struct wire_header header;
    struct wire_reply reply = {.number = 0};
    assert_int_equal(recv(fd, frame, WIRE_HEADER_SIZE, MSG_WAITALL), WIRE_HEADER_SIZE);
    assert_int_equal(wire_header_decode(frame, &header, &err), 0);
    assert_int_equal(recv(fd, frame, header.body_size, MSG_WAITALL), header.body_size);
    assert_int_equal(wire_reply_decode(frame, header.body_size, &reply, &err), 0);
    return reply;
}

/* More large requests at once than may wait, each of a client of its own: of some of them the
 * client is told that it is too much. */
static void flood(const struct wire_request *first, const struct wire_request *others,
                  uint64_t bytes_max) {
    enum { FLOOD = 800, SIZE = 1 << 20 };
    cleanup_free uint8_t *payload = mem_zero(1, SIZE);
    cleanup(replicas_down) struct replicas r = replicas_up(1, "memory");
    cleanup(load_deinit) struct load l = load_to(&r, 0, 100);
    uint64_t before = peak_bytes(&r, 0);
    unsigned overloaded = 0;
    for (unsigned i = 0; i < FLOOD; i++) {
        struct wire_request request = i ? *others : *first;
        request.client = 1000 + i;
        request.number = 1;
        request.payload = payload;
        request.payload_size = SIZE;
        send_large(l.fd, &request);
    }
    for (unsigned i = 0; i < FLOOD && overloaded == 0; i++)
        overloaded += receive_reply(l.fd).status == WIRE_REPLY_OVERLOADED;
    assert_int_equal(overloaded, 1);
    assert_true(peak_bytes(&r, 0) < before + bytes_max * SHADOW);
    replicas_signal(&r, 0, SIGKILL); /* it would execute for minutes */
    replicas_wait(&r, 0);
}

/* While execution is slow: 256 MiB wait, and 128 MiB are in the window. */
static void a_flood_of_large_requests_takes_no_more_memory_than_stated(void **state) {
    (void)state;
    const struct wire_request slow = {.execution_ms = 1000};
    flood(&slow, &slow, UINT64_C(480) << 20);
}

/* While the storage thread executes one, the others wait for what they would read. */
static void a_flood_of_requests_to_execute_ahead_does_neither(void **state) {
    (void)state;
    const struct wire_request slow = {.execution_ms = 60 * 1000};
    const struct wire_request ahead = {
        .flags = WIRE_REQUEST_PRE_EXECUTE, .read_count = 1, .key_size = 20, .key_space = 1};
    flood(&slow, &ahead, UINT64_C(200) << 20);
}

/* As one of the four, and then as a crowd. */
static void who_connects_and_says_nothing_keeps_nobody_waiting(void **state) {
    (void)state;
    enum { CROWD = 300 };
    int crowd[CROWD], as_replica[3];
    cleanup(replicas_down) struct replicas r = replicas_prepare(4, "memory");
    for (unsigned i = 0; i < 3; i++)
        replicas_start(&r, i);
    for (unsigned i = 0; i < 3; i++)
        replicas_wait_healthy(&r, i);
    for (unsigned i = 0; i < 3; i++)
        as_replica[i] = hello_as(&r, i, WIRE_ROLE_REPLICA, 3);
    for (unsigned i = 0; i < 3; i++)
        wait_log(&r, i, "replica 3 is connected");
    for (int i = 0; i < CROWD; i++)
        crowd[i] = replicas_connect(&r, (unsigned)i % 3);
    for (uint64_t k = 1; k <= 3; k++)
        serve_some(&r, 0, 100 * k);
    assert_true(closes(crowd[0]));
    wait_log(&r, 0, "it connected and did not say HELLO in time");
    for (int i = 0; i < CROWD; i++)
        close(crowd[i]);
    for (unsigned i = 0; i < 3; i++)
        close(as_replica[i]);
    replicas_stop(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_counts_other_members_stays_outside),
        cmocka_unit_test(data_of_somebody_else_is_refused_by_name),
        cmocka_unit_test(data_of_another_version_is_refused),
        cmocka_unit_test(a_protocol_log_of_another_version_is_refused),
        cmocka_unit_test(with_a_full_disk_it_says_so_and_the_others_go_on),
        cmocka_unit_test(a_message_of_4_gib_ends_its_connection_and_costs_nothing),
        cmocka_unit_test(who_does_not_read_is_disconnected),
        cmocka_unit_test(a_flood_of_large_requests_takes_no_more_memory_than_stated),
        cmocka_unit_test(a_flood_of_requests_to_execute_ahead_does_neither),
        cmocka_unit_test(who_connects_and_says_nothing_keeps_nobody_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
