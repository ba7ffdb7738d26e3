/*
 * How late the loader's open loop sends, against bare loops that do nothing but wait for the same
 * times: one that sleeps on an absolute timer, and one that sleeps until 100 µs before and spins.
 * The two take turns, and medians of the rounds are printed. The loader's replica is a thread here.
 *
 *     bench_lateness LOADER RATE SECONDS ROUNDS
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
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

enum { ROUNDS_MAX = 99, SPIN_NS = 100 * 1000 };

struct lateness {
    uint64_t p50_ns, p99_ns;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int compare(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* ---- the floor ---- */

static void sleep_until(int timer_fd, int epoll_fd, uint64_t at_ns) {
    const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / NS_PER_SEC),
                                                 .tv_nsec = (long)(at_ns % NS_PER_SEC)}};
    struct epoll_event event;
    if (clock_instant().ns >= at_ns)
        return;
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
    epoll_wait(epoll_fd, &event, 1, -1);
}

static struct lateness bare(uint64_t rate, uint64_t seconds, bool spin) {
    uint64_t count = rate * seconds, gap_ns = NS_PER_SEC / rate;
    uint64_t *late = mem_new_array(uint64_t, count);
    cleanup_close int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    cleanup_close int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    if (timer_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) < 0)
        die("timer");
    prctl(PR_SET_TIMERSLACK, 1UL);
    uint64_t due_ns = clock_instant().ns + NS_PER_MS;
    for (uint64_t i = 0; i < count; i++, due_ns += gap_ns) {
        sleep_until(timer_fd, epoll_fd, spin ? due_ns - SPIN_NS : due_ns);
        uint64_t now_ns = clock_instant().ns;
        while (now_ns < due_ns)
            now_ns = clock_instant().ns;
        late[i] = now_ns - due_ns;
    }
    qsort(late, count, sizeof *late, compare);
    const struct lateness l = {.p50_ns = late[count / 2], .p99_ns = late[count * 99 / 100]};
    free(late);
    return l;
}

/* ---- ours ---- */

static void become(char *const argv[], const struct folder *f) {
    int out = openat(f->fd, "stdout", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fchdir(f->fd) < 0 || dup2(out, 1) < 0)
        _exit(99);
    execv(argv[0], argv);
    _exit(98);
}

static struct lateness ours(char *loader, const struct folder *f, uint64_t rate, uint64_t seconds,
                            bool spin) {
    enum { ARGS_MAX = 32 };
    char *argv[ARGS_MAX] = {loader};
    cleanup_free char *args = text_format(
        "--insecure --cluster cluster.yaml --out out -i 0 -d 64 --threads 1 --rate %" PRIu64
        ":%" PRIu64 "s%s",
        rate, seconds, spin ? " --spin" : "");
    int argc = 1;
    for (char *rest = args, *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    pid_t pid = fork();
    int status;
    if (pid == 0)
        become(argv, f);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        fprintf(stderr, "the loader failed\n");
        exit(1);
    }
    cleanup_free char *text = folder_read(f, "out/load.json");
    cleanup(json_freep) struct json *load = NULL;
    struct error err = ERROR_NULL;
    int64_t p50_ns = 0, p99_ns = 0;
    if (!text || json_parse(text, strlen(text), 0, &load, &err) < 0 ||
        json_require_int(load, "lateness_ns.p50", 0, INT64_MAX, &p50_ns, &err) < 0 ||
        json_require_int(load, "lateness_ns.p99", 0, INT64_MAX, &p99_ns, &err) < 0)
        die("load.json");
    return (struct lateness){.p50_ns = (uint64_t)p50_ns, .p99_ns = (uint64_t)p99_ns};
}

/* ---- both ---- */

static struct lateness median(const struct lateness *all, int count) {
    uint64_t p50_ns[ROUNDS_MAX], p99_ns[ROUNDS_MAX];
    for (int i = 0; i < count; i++) {
        p50_ns[i] = all[i].p50_ns;
        p99_ns[i] = all[i].p99_ns;
    }
    qsort(p50_ns, (size_t)count, sizeof *p50_ns, compare);
    qsort(p99_ns, (size_t)count, sizeof *p99_ns, compare);
    return (struct lateness){.p50_ns = p50_ns[count / 2], .p99_ns = p99_ns[count / 2]};
}

static void print(const char *name, struct lateness l) {
    printf("  %-24s late p50 %8.1f us   p99 %8.1f us\n", name, (double)l.p50_ns / 1e3,
           (double)l.p99_ns / 1e3);
}

static void compare_both(char *loader, const struct folder *f, uint64_t rate, uint64_t seconds,
                         int rounds, bool spin) {
    struct lateness own[ROUNDS_MAX], floor[ROUNDS_MAX];
    for (int i = 0; i < rounds; i++) {
        floor[i] = bare(rate, seconds, spin);
        own[i] = ours(loader, f, rate, seconds, spin);
    }
    struct lateness a = median(own, rounds), b = median(floor, rounds);
    print(spin ? "loader --spin" : "loader", a);
    print(spin ? "bare sleep, then spin" : "bare timer", b);
    if (spin)
        printf("  difference               p50 %+.1f us, p99 %+.1f us (goal: at most +5)\n",
               ((double)a.p50_ns - (double)b.p50_ns) / 1e3,
               ((double)a.p99_ns - (double)b.p99_ns) / 1e3);
    else
        printf("  ratio                    p50 %.2f, p99 %.2f (goal: at most 1.5)\n",
               (double)a.p50_ns / (double)b.p50_ns, (double)a.p99_ns / (double)b.p99_ns);
}

int main(int argc, char **argv) {
    uint64_t rate, seconds, rounds;
    struct error err = ERROR_NULL;
    struct primary *p;
    const struct primary_script script = {.n = 1};
    if (argc != 5 || text_to_u64(argv[2], 1, 1000000, &rate, &err) < 0 ||
        text_to_u64(argv[3], 1, 3600, &seconds, &err) < 0 ||
        text_to_u64(argv[4], 1, ROUNDS_MAX, &rounds, &err) < 0) {
        fprintf(stderr, "usage: bench_lateness LOADER RATE SECONDS ROUNDS\n");
        return 2;
    }
    if (primary_start(&script, &p, &err) < 0)
        die("replica");
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup_free char *cluster = text_format(
        "run: x\nproject: bench\ncontainers:\n  - {name: bench-replica-1, service: replica, role: "
        "replica, index: 0, host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
        primary_port(p));
    folder_write(&f, "cluster.yaml", cluster);
    compare_both(argv[1], &f, rate, seconds, (int)rounds, false);
    compare_both(argv[1], &f, rate, seconds, (int)rounds, true);
    primary_stop(p, NULL);
    return 0;
}
