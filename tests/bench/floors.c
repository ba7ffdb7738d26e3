/*
 * What a block of seed 000's shape cannot cost less than on this machine, one core, nothing around
 * it: a name and the median in microseconds a line.
 *
 *     bench_floors FOLDER ROUNDS
 *
 * hashing the payload; making the write set; hashing it, or its checksum; 31 random stores into
 * memory that was used before; appending its bytes to a file in FOLDER, which the disk need not
 * have; and 64 bytes to another process and back over loopback.
 */

#include "executor/chain/checksum.h"
#include "executor/chain/pee.h"
#include "executor/chain/write_set.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAYLOAD = 15100, CELLS = 10000, MESSAGE = 64, SET_MAX = 100 * 1000, FILE_MAX = 64 << 20 };

static const struct command shape = {
    .client = 1, .number = 1, .key_count = 31, .key_size = 118, .value_size = 2841};

struct bench {
    struct write_set set;
    uint8_t payload[PAYLOAD];
    uint8_t bytes[SET_MAX]; /* the write set */
    size_t size;
    uint8_t *cells;
    uint8_t digest[SHA256_SIZE];
    int file, peer;
    off_t end; /* of the file */
};

static void need(bool good, const char *what) {
    if (good)
        return;
    perror(what);
    exit(1);
}

static void hash_payload(struct bench *b) {
    sha256_of(b->payload, sizeof b->payload, b->digest);
}

static void make(struct bench *b) {
    pee_expand(&shape, b->bytes);
}

static void hash_set(struct bench *b) {
    struct error err = ERROR_NULL;
    need(write_set_read(&b->set, b->bytes, b->size, &err) == 0, "read a write set");
}

static void sum_set(struct bench *b) {
    checksum_digest(b->bytes, b->size, b->digest);
}

static void store(struct bench *b) {
    static uint64_t random = 88172645463325252;
    size_t cell = shape.key_size + shape.value_size;
    for (unsigned i = 0; i < shape.key_count; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(b->cells + random % CELLS * cell, b->bytes + i * cell, cell);
    }
}

/* At its end, where the cache needs new pages; it begins anew before the disk has much of it. */
static void append(struct bench *b) {
    if (b->end > FILE_MAX) {
        need(ftruncate(b->file, 0) == 0, "truncate");
        b->end = 0;
    }
    need(pwrite(b->file, b->bytes, b->size, b->end) == (ssize_t)b->size, "write");
    b->end += (off_t)b->size;
}

static void echo(struct bench *b) {
    uint8_t message[MESSAGE] = {1};
    need(send(b->peer, message, sizeof message, 0) == sizeof message &&
             recv(b->peer, message, sizeof message, MSG_WAITALL) == sizeof message,
         "echo");
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, void (*work)(struct bench *), struct bench *b,
                    size_t rounds) {
    cleanup_free uint64_t *times = mem_new_array(uint64_t, rounds);
    for (size_t i = 0; i < rounds; i++) {
        struct instant begin = clock_instant();
        work(b);
        times[i] = instant_ns_between(begin, clock_instant());
    }
    qsort(times, rounds, sizeof *times, compare);
    printf("%s %.1f\n", name, (double)times[rounds / 2] / 1000);
}

static int open_peer(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(bind(listener, (struct sockaddr *)&at, size) == 0 && listen(listener, 1) == 0 &&
             getsockname(listener, (struct sockaddr *)&at, &size) == 0,
         "listen");
    if (fork() == 0) {
        uint8_t message[MESSAGE];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = accept(listener, NULL, NULL);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        while (recv(fd, message, sizeof message, MSG_WAITALL) == sizeof message)
            need(send(fd, message, sizeof message, 0) == sizeof message, "answer");
        _exit(0);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(connect(fd, (struct sockaddr *)&at, sizeof at) == 0, "connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    close(listener);
    return fd;
}

int main(int argc, char **argv) {
    static struct bench b;
    size_t rounds = argc == 3 ? (size_t)atoi(argv[2]) : 0;
    if (rounds == 0)
        return 2;
    cleanup_free char *path = text_format("%s/floor", argv[1]);
    size_t cells_size = (size_t)CELLS * (shape.key_size + shape.value_size);
    write_set_init(&b.set, shape.key_count);
    b.size = pee_write_set_size(&shape);
    b.cells = mem_new_array(uint8_t, cells_size);
    memset(b.cells, 1, cells_size);
    b.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    need(b.file >= 0 && unlink(path) == 0, path);
    b.peer = open_peer();
    make(&b);
    measure("payload-hashed", hash_payload, &b, rounds);
    measure("set-made", make, &b, rounds);
    measure("set-hashed", hash_set, &b, rounds);
    measure("set-summed", sum_set, &b, rounds);
    measure("stored-in-memory", store, &b, rounds);
    measure("appended", append, &b, rounds);
    measure("loopback", echo, &b, rounds);
    close(b.peer);
    wait(NULL);
    write_set_deinit(&b.set);
    free(b.cells);
    return 0;
}
