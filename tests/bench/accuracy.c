/*
 * Whether the loader tells the truth. A scripted replica answers each request after a time of its
 * own and stalls once for a second; it notes when it gave each reply to the kernel. Open loop: the
 * true latency of a request is that moment less the one at which the request was due, which the
 * schedule says; percentiles of these are compared with what the loader reports. The loader's own
 * way to the reply (being woken, reading) is what is left of a difference.
 *
 * The same replica under a closed loop shows what that model hides: during the stall it sends
 * nothing, so that a second of waiting is seen by a handful of requests.
 *
 *     bench_accuracy LOADER RATE SECONDS
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/fake/primary.h"
#include "tests/unit/folder.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

static const struct percentile {
    const char *name, *key;
    double value;
} percentiles[] = {{"p50", "latency_ns.p50", 50},         {"p90", "latency_ns.p90", 90},
                   {"p99", "latency_ns.p99", 99},         {"p99.9", "latency_ns.p999", 99.9},
                   {"p99.99", "latency_ns.p9999", 99.99}, {"max", "latency_ns.max", 100}};
enum { PERCENTILES = sizeof percentiles / sizeof *percentiles };

/* The goal: within 1 % or 20 us of the truth. */
#define WITHIN_NS (20 * NS_PER_US)

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void become(char *const argv[], const struct folder *f) {
    int out = openat(f->fd, "stdout", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fchdir(f->fd) < 0 || dup2(out, 1) < 0)
        _exit(99);
    execv(argv[0], argv);
    _exit(98);
}

/* Runs `loader LINE`, and gives its load.json. */
static struct json *load(char *loader, const struct folder *f, const char *line) {
    enum { ARGS_MAX = 40 };
    char *argv[ARGS_MAX] = {loader};
    cleanup_free char *words = text_dup(line);
    int argc = 1, status;
    for (char *rest = words, *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, f);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        die("loader");
    cleanup_free char *text = folder_read(f, "out/load.json");
    struct json *json = NULL;
    struct error err = ERROR_NULL;
    if (!text || json_parse(text, strlen(text), 0, &json, &err) < 0)
        die("load.json");
    return json;
}

static int64_t number(const struct json *json, const char *path) {
    int64_t value = 0;
    struct error err = ERROR_NULL;
    if (json_require_int(json, path, 0, INT64_MAX, &value, &err) < 0) {
        fprintf(stderr, "load.json: %s\n", err.text);
        exit(1);
    }
    return value;
}

/* Against a fresh replica, which stalls at the same place. */
static struct json *load_replica(char *loader, uint64_t requests, const char *args,
                                 struct primary_reply *replies) {
    struct error err = ERROR_NULL;
    struct primary *p;
    const struct primary_script script = {.n = 1,
                                          .delay_ns = 5 * NS_PER_MS,
                                          .delay_spread_ns = 20 * NS_PER_MS,
                                          .stall_at = requests / 4,
                                          .stall_ns = NS_PER_SEC,
                                          .replies = replies,
                                          .replies_max = requests};
    if (primary_start(&script, &p, &err) < 0)
        die("replica");
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup_free char *cluster = text_format(
        "run: x\nproject: bench\ncontainers:\n  - {name: bench-replica-1, service: replica, role: "
        "replica, index: 0, host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
        primary_port(p));
    cleanup_free char *line = text_format(
        "--insecure --cluster cluster.yaml --out out -i 0 -d 64 --threads 1 -b %" PRIu64 " %s",
        requests, args);
    folder_write(&f, "cluster.yaml", cluster);
    struct json *json = load(loader, &f, line);
    primary_stop(p, NULL);
    return json;
}

static int ascending(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/*
 * True latencies, sorted. Requests go out in the order of the schedule over one connection, and
 * this replica answers in that order: reply i is to the request that was due at i / rate.
 */
static int64_t *truth(const struct primary_reply *replies, uint64_t requests, uint64_t rate,
                      int64_t started_ns) {
    int64_t *all = mem_new_array(int64_t, requests);
    for (uint64_t i = 0; i < requests; i++)
        all[i] = replies[i].wall_ns - started_ns - (int64_t)(i * NS_PER_SEC / rate);
    qsort(all, requests, sizeof *all, ascending);
    return all;
}

static int64_t true_percentile(const int64_t *sorted, uint64_t count, double p) {
    double rank = p / 100 * (double)count;
    uint64_t index = (uint64_t)rank + ((double)(uint64_t)rank < rank);
    return sorted[index > 0 ? index - 1 : 0];
}

int main(int argc, char **argv) {
    uint64_t rate, seconds;
    struct error err = ERROR_NULL;
    if (argc != 4 || text_to_u64(argv[2], 1, 1000000, &rate, &err) < 0 ||
        text_to_u64(argv[3], 1, 3600, &seconds, &err) < 0) {
        fprintf(stderr, "usage: bench_accuracy LOADER RATE SECONDS\n");
        return 2;
    }
    uint64_t requests = rate * seconds;
    struct primary_reply *replies = mem_new_array(struct primary_reply, requests);
    cleanup_free char *args = text_format("--rate %" PRIu64, rate);
    cleanup(json_freep) struct json *open = load_replica(argv[1], requests, args, replies);
    cleanup(json_freep) struct json *closed = load_replica(argv[1], requests, "-c 30", NULL);
    int64_t *all = truth(replies, requests, rate, number(open, "started_ns"));
    bool good = true;
    printf("%-8s %14s %14s %10s %8s %18s\n", "", "truth us", "open loop us", "error us", "error",
           "closed loop us");
    for (size_t i = 0; i < PERCENTILES; i++) {
        int64_t is = true_percentile(all, requests, percentiles[i].value);
        int64_t told = number(open, percentiles[i].key);
        int64_t error = told - is, size = error < 0 ? -error : error;
        bool within = size <= (int64_t)WITHIN_NS || size * 100 <= is;
        good = good && within;
        printf("%-8s %14.1f %14.1f %10.1f %7.2f%% %18.1f%s\n", percentiles[i].name,
               (double)is / 1e3, (double)told / 1e3, (double)error / 1e3,
               100.0 * (double)error / (double)is, (double)number(closed, percentiles[i].key) / 1e3,
               within ? "" : "   not within");
    }
    printf("every percentile within 1 %% or 20 us of the truth: %s\n", good ? "yes" : "no");
    free(replies);
    free(all);
    return 0;
}
