/*
 * The parts of the benchmark `tunnel`: what is measured, from one process each.
 *
 *     bench_tunnel ask ENGINE COUNT              median microseconds of a small request, connection
 * kept alive bench_tunnel serve FILE                    a server on a loopback port (written to
 * FILE), for push and pull bench_tunnel pull|push PORT BYTES          seconds until all has gone
 * through bench_tunnel start ENGINE IMAGE COUNT THREADS   seconds until as many containers run;
 * they are removed afterwards bench_tunnel hold CONFIG CHANNELS HOST...  opens all hosts at once,
 * and so many channels to the engine of each (0: none); prints seconds and peak memory in KiB
 * before and after
 */

#include "lib/cleanup.h"
#include "lib/http.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"
#include "runner/engine/container.h"
#include "runner/remote/host.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PIECE_BYTES = 256 * 1024, THREADS_MAX = 64, HOSTS_MAX = 256 };

static char piece[PIECE_BYTES];

static void die(const struct error *err) {
    fprintf(stderr, "bench_tunnel: %s\n", err->text);
    exit(1);
}

static void die_text(const char *text) {
    perror(text);
    exit(1);
}

static double seconds_since(struct instant begun) {
    return (double)instant_ns_between(begun, clock_instant()) / (double)NS_PER_SEC;
}

/* ---- small requests ---- */

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int ask(char **words) {
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    size_t count = strtoul(words[1], NULL, 10);
    cleanup(engine_closep) struct engine *engine = NULL;
    struct engine_options options = {.host = words[0]};
    cleanup_free uint64_t *took = mem_new_array(uint64_t, count);
    if (engine_open(&options, &task, &engine, &err) < 0)
        die(&err);
    for (size_t i = 0; i < count; i++) {
        struct instant begun = clock_instant();
        if (engine_ping(engine, &task, &err) < 0)
            die(&err);
        took[i] = instant_ns_between(begun, clock_instant());
    }
    qsort(took, count, sizeof *took, by_size);
    printf("%.1f %.1f\n", (double)took[count / 2] / 1e3, (double)took[count * 99 / 100] / 1e3);
    return 0;
}

/* ---- bulk ---- */

static void send_all(int fd, uint64_t bytes) {
    while (bytes > 0) {
        ssize_t n = send(fd, piece, bytes < sizeof piece ? bytes : sizeof piece, MSG_NOSIGNAL);
        if (n <= 0)
            die_text("send");
        bytes -= (uint64_t)n;
    }
}

static void receive_all(int fd, uint64_t bytes) {
    while (bytes > 0) {
        ssize_t n = recv(fd, piece, bytes < sizeof piece ? bytes : sizeof piece, 0);
        if (n <= 0)
            die_text("recv");
        bytes -= (uint64_t)n;
    }
}

static void serve_one(int fd) {
    char what;
    uint64_t bytes;
    if (recv(fd, &what, 1, MSG_WAITALL) == 1 &&
        recv(fd, &bytes, sizeof bytes, MSG_WAITALL) == sizeof bytes) {
        if (what == 'd')
            send_all(fd, bytes);
        else
            receive_all(fd, bytes);
        send_all(fd, 1);
    }
    close(fd);
}

__attribute__((noreturn)) static int serve(char **words) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        die_text("listen");
    cleanup_free char *new = text_format("%s.new", words[0]);
    FILE *file = fopen(new, "w");
    if (!file)
        die_text(new);
    fprintf(file, "%u\n", ntohs(a.sin_port));
    fclose(file);
    rename(new, words[0]);
    for (;;)
        serve_one(accept(fd, NULL, NULL));
}

static int transfer(char what, char **words) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)atoi(words[0]))};
    uint64_t bytes = strtoull(words[1], NULL, 10);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        die_text("connect");
    struct instant begun = clock_instant();
    if (send(fd, &what, 1, MSG_MORE) != 1 || send(fd, &bytes, sizeof bytes, 0) != sizeof bytes)
        die_text("send");
    if (what == 'd')
        receive_all(fd, bytes);
    else
        send_all(fd, bytes);
    receive_all(fd, 1);
    printf("%.4f\n", seconds_since(begun));
    close(fd);
    return 0;
}

/* ---- containers ---- */

struct starter {
    pthread_t thread;
    const char *engine_host, *image;
    size_t first, step, count;
    bool remove;
};

static void *starter_main(void *arg) {
    const struct starter *s = arg;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    cleanup(engine_closep) struct engine *engine = NULL;
    struct engine_options options = {.host = s->engine_host};
    static const char *const cmd[] = {"/bin/busybox", "sleep", "1000", NULL};
    if (engine_open(&options, &task, &engine, &err) < 0)
        die(&err);
    for (size_t i = s->first; i < s->count; i += s->step) {
        char name[64];
        snprintf(name, sizeof name, "bench-tunnel-%zu", i);
        if (s->remove) {
            if (engine_container_remove(engine, name, true, true, &task, &err) < 0)
                die(&err);
            continue;
        }
        struct engine_container_spec spec = {
            .name = name, .image = s->image, .cmd = cmd, .network_mode = "host"};
        char id[ENGINE_ID_SIZE];
        if (engine_container_create(engine, &spec, &task, id, &err) < 0 ||
            engine_container_start(engine, name, &task, &err) < 0)
            die(&err);
    }
    return NULL;
}

static void all_containers(char **words, bool remove) {
    struct starter starters[THREADS_MAX];
    size_t count = strtoul(words[2], NULL, 10), threads = strtoul(words[3], NULL, 10);
    for (size_t i = 0; i < threads && i < THREADS_MAX; i++) {
        starters[i] = (struct starter){.engine_host = words[0],
                                       .image = words[1],
                                       .first = i,
                                       .step = threads,
                                       .count = count,
                                       .remove = remove};
        pthread_create(&starters[i].thread, NULL, starter_main, &starters[i]);
    }
    for (size_t i = 0; i < threads && i < THREADS_MAX; i++)
        pthread_join(starters[i].thread, NULL);
}

static int start(char **words) {
    struct instant begun = clock_instant();
    all_containers(words, false);
    printf("%.3f\n", seconds_since(begun));
    all_containers(words, true);
    return 0;
}

/* ---- many hosts, many channels ---- */

static long rss_kib(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

struct opener {
    pthread_t thread;
    const char *config, *name;
    struct host *host;
};

static void *opener_main(void *arg) {
    struct opener *o = arg;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct host_options options = {.name = o->name,
                                   .ssh = o->name,
                                   .config_file = o->config,
                                   .connect_timeout_ns = 60 * NS_PER_SEC};
    if (host_open(&options, &task, &o->host, &err) < 0)
        die(&err);
    return NULL;
}

/* A stream of events: open until we close it; its first bytes say that it is through. */
static int open_stream(const struct host *host) {
    static const char request[] = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char answer[16];
    snprintf(a.sun_path, sizeof a.sun_path, "%s", host_engine(host) + strlen("unix://"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof answer, MSG_WAITALL) != sizeof answer)
        die_text("open a stream");
    return fd;
}

static int hold(char **words) {
    struct opener openers[HOSTS_MAX];
    size_t channels = strtoul(words[1], NULL, 10), count = 0;
    struct instant begun = clock_instant();
    long before = rss_kib();
    for (; words[2 + count] && count < HOSTS_MAX; count++) {
        openers[count] = (struct opener){.config = words[0], .name = words[2 + count]};
        pthread_create(&openers[count].thread, NULL, opener_main, &openers[count]);
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(openers[i].thread, NULL);
    double opened = seconds_since(begun);
    long with_hosts = rss_kib();
    cleanup_free int *fds = mem_new_array(int, channels *count + 1);
    for (size_t i = 0; i < channels * count; i++)
        fds[i] = open_stream(openers[i % count].host);
    printf("%.3f %.3f %ld %ld %ld\n", opened, seconds_since(begun) - opened, before, with_hosts,
           rss_kib());
    for (size_t i = 0; i < channels * count; i++)
        close(fds[i]);
    for (size_t i = 0; i < count; i++)
        host_close(openers[i].host);
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "ask") == 0 && argc == 4)
        return ask(argv + 2);
    if (strcmp(what, "serve") == 0 && argc == 3)
        return serve(argv + 2);
    if (strcmp(what, "pull") == 0 && argc == 4)
        return transfer('d', argv + 2);
    if (strcmp(what, "push") == 0 && argc == 4)
        return transfer('u', argv + 2);
    if (strcmp(what, "start") == 0 && argc == 6)
        return start(argv + 2);
    if (strcmp(what, "hold") == 0 && argc >= 5)
        return hold(argv + 2);
    fprintf(stderr, "usage: see the head of tests/bench/tunnel.c\n");
    return 2;
}
