/*
 * The loader against a bare loop of the same system calls, both against the same scripted replica
 * (a thread here) on loopback: requests per second, and per second of the client's own CPU time.
 * The bare loop keeps as many requests in flight, sends what is ready with one sendmsg, and records
 * nothing. The two take turns, and medians are printed: on a machine that does other things, one
 * run of each says nothing. Waking an idle core costs more than a request does, so figures per CPU
 * second are only steady when both ends share a core (taskset).
 *
 *     bench_loader LOADER REQUESTS CLIENTS PAYLOAD
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/wire.h"
#include "tests/fake/primary.h"
#include "tests/unit/folder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>

struct measure {
    double seconds, cpu_seconds;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double cpu_seconds(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- ours ---- */

static void become(char *const argv[], const struct folder *f) {
    int out = openat(f->fd, "stdout", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fchdir(f->fd) < 0 || dup2(out, 1) < 0)
        _exit(99);
    execv(argv[0], argv);
    _exit(98);
}

static struct measure run_child(char *const argv[], const struct folder *f) {
    struct instant start = clock_instant();
    double cpu = cpu_seconds(RUSAGE_CHILDREN);
    pid_t pid = fork();
    int status;
    if (pid == 0)
        become(argv, f);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "the client failed\n");
        exit(1);
    }
    return (struct measure){
        .seconds = (double)instant_ns_between(start, clock_instant()) / 1e9,
        .cpu_seconds = cpu_seconds(RUSAGE_CHILDREN) - cpu,
    };
}

/* ---- the floor: this program again, as `bare PORT REQUESTS CLIENTS PAYLOAD` ---- */

enum { REPLIES_SIZE = 128 * 1024, BATCH = 256 };

struct bare {
    int fd;
    uint8_t *payload;
    size_t payload_size;
    uint64_t left, number;
    uint8_t heads[BATCH][WIRE_REQUEST_HEAD_SIZE_MAX];
    struct iovec vectors[2 * BATCH];
};

static void bare_connect(struct bare *b, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX + WIRE_HELLO_SIZE_MAX];
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(b->fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("connect");
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const struct wire_hello hello = {.role = WIRE_ROLE_CLIENT, .run = "x"};
    if (write(b->fd, frame, wire_hello_encode(&hello, frame)) < 0 ||
        read(b->fd, frame, sizeof frame) <= 0)
        die("greeting");
}

/* As many requests as became free, in one call where it fits. */
static void bare_send(struct bare *b, uint64_t count) {
    count = count < b->left ? count : b->left;
    b->left -= count;
    while (count > 0) {
        int batch = count < BATCH ? (int)count : BATCH;
        for (int i = 0; i < batch; i++) {
            const struct wire_request r = {
                .client = 1, .number = ++b->number, .payload_size = (uint32_t)b->payload_size};
            wire_request_encode_head(&r, b->heads[i]);
            b->vectors[2 * i] = (struct iovec){b->heads[i], WIRE_REQUEST_HEAD_SIZE};
            b->vectors[2 * i + 1] = (struct iovec){b->payload, b->payload_size};
        }
        size_t size = (size_t)batch * (WIRE_REQUEST_HEAD_SIZE + b->payload_size);
        if (writev(b->fd, b->vectors, 2 * batch) != (ssize_t)size) /* it blocks */
            die("writev");
        count -= (uint64_t)batch;
    }
}

static int bare(char **argv) {
    struct bare *b = mem_new(struct bare);
    uint64_t requests = strtoull(argv[3], NULL, 10), clients = strtoull(argv[4], NULL, 10);
    b->payload_size = strtoull(argv[5], NULL, 10);
    b->payload = mem_zero(b->payload_size + 1, 1);
    b->left = requests;
    bare_connect(b, (uint16_t)atoi(argv[2]));
    bare_send(b, clients);
    uint8_t *in = mem_alloc(REPLIES_SIZE);
    size_t size = 0;
    for (uint64_t replies = 0; replies < requests;) {
        ssize_t n = recv(b->fd, in + size, REPLIES_SIZE - size, 0);
        struct wire_header header;
        struct error err = ERROR_NULL;
        uint64_t count = 0;
        if (n <= 0)
            die("recv");
        size += (size_t)n;
        size_t at = 0;
        while (size - at >= WIRE_HEADER_SIZE && wire_header_decode(in + at, &header, &err) == 0 &&
               size - at >= WIRE_HEADER_SIZE + header.body_size) {
            at += WIRE_HEADER_SIZE + header.body_size;
            count++;
        }
        memmove(in, in + at, size - at);
        size -= at;
        replies += count;
        bare_send(b, count);
    }
    free(in);
    free(b->payload);
    free(b);
    return 0;
}

/* ---- both, one after the other ---- */

enum { ROUNDS = 5 };

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double values[ROUNDS]) {
    qsort(values, ROUNDS, sizeof *values, by_value);
    return values[ROUNDS / 2];
}

static struct measure medians(const struct measure rounds[ROUNDS]) {
    double seconds[ROUNDS], cpu[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        seconds[i] = rounds[i].seconds;
        cpu[i] = rounds[i].cpu_seconds;
    }
    return (struct measure){.seconds = median(seconds), .cpu_seconds = median(cpu)};
}

static void print_row(const char *name, uint64_t requests, const struct measure *m) {
    printf("%-10s %10.0f requests/s   %10.0f requests/s of its own CPU   (%.2f s, %.2f s CPU)\n",
           name, (double)requests / m->seconds, (double)requests / m->cpu_seconds, m->seconds,
           m->cpu_seconds);
    fflush(stdout);
}

static void write_cluster(const struct folder *f, uint16_t port) {
    char text[512];
    snprintf(text, sizeof text,
             "run: bench\nproject: bench\ncontainers:\n  - {name: r, service: r, role: replica, "
             "index: 0, host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
             port);
    folder_write(f, "cluster.yaml", text);
}

int main(int argc, char **argv) {
    if (argc == 6 && text_equal(argv[1], "bare"))
        return bare(argv);
    if (argc != 5)
        return 2;
    uint64_t requests = strtoull(argv[2], NULL, 10);
    struct error err = ERROR_NULL;
    struct primary *p;
    const struct primary_script script = {.n = 1};
    cleanup(folder_remove) struct folder f = folder_make();
    if (primary_start(&script, &p, &err) < 0)
        return 1;
    write_cluster(&f, primary_port(p));
    char port[8], self[] = "/proc/self/exe", mode[] = "bare";
    snprintf(port, sizeof port, "%u", primary_port(p));
    char *const bare_argv[] = {self, mode, port, argv[2], argv[3], argv[4], NULL};
    char o[][16] = {"-b", "-c", "-d", "--cluster", "cluster.yaml", "--out", "out", "--insecure"};
    char *const loader_argv[] = {argv[1], o[0], argv[2], o[1], argv[3], o[2], argv[4],
                                 o[3],    o[4], o[5],    o[6], o[7],    NULL};
    struct measure floors[ROUNDS], all_ours[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        floors[i] = run_child(bare_argv, &f);
        all_ours[i] = run_child(loader_argv, &f);
    }
    struct measure floor = medians(floors), ours = medians(all_ours);
    print_row("bare loop", requests, &floor);
    print_row("loader", requests, &ours);
    printf("ratio      %10.2f %29.2f\n", floor.seconds / ours.seconds,
           floor.cpu_seconds / ours.cpu_seconds);
    primary_stop(p, NULL);
    return 0;
}
