#include "loader/start.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum { START_SIZE_MAX = 64, READY_MODE = 0644, LOOKS = 16 };

/* A folder that tells nothing is looked into so often. */
#define LOOK_NS NS_PER_SEC
/* What is left to whoever sleeps up to the very moment. */
#define SHORTLY_NS (50 * NS_PER_MS)

int start_parse(const char *text, struct wall_time *ret, struct error *err) {
    char number[START_SIZE_MAX];
    uint64_t ns;
    size_t size = strcspn(text, "\n");
    if (text[size] != '\n')
        return 1;
    if (size >= sizeof number || text[size + 1])
        return error_set(err, ERROR_INVALID, "it is not one line with a time");
    snprintf(number, sizeof number, "%.*s", (int)size, text);
    if (text_to_u64(number, 1, INT64_MAX, &ns, err) < 0) {
        err->kind = ERROR_INVALID;
        return -1;
    }
    ret->ns = (int64_t)ns;
    return 0;
}

struct start_clocks start_clocks(void) {
    struct start_clocks best = {.instant = INSTANT_NEVER};
    uint64_t best_ns = UINT64_MAX;
    for (int i = 0; i < LOOKS; i++) {
        struct instant before = clock_instant();
        struct wall_time wall = clock_wall();
        uint64_t ns = instant_ns_between(before, clock_instant());
        if (ns < best_ns) {
            best_ns = ns;
            best = (struct start_clocks){.wall = wall, .instant = instant_after(before, ns / 2)};
        }
    }
    return best;
}

int start_convert(struct wall_time at, const struct start_clocks *now, struct instant *ret,
                  struct error *err) {
    int64_t ahead_ns = at.ns - now->wall.ns;
    if (ahead_ns <= 0) {
        error_set(err, ERROR_TIMEOUT, "the agreed start was missed: it was %.6f s ago",
                  (double)-ahead_ns / (double)NS_PER_SEC);
        return error_hint(err, "either it came too late, or the clock of this host was set since "
                               "its offset was measured");
    }
    if ((uint64_t)ahead_ns > LOADER_START_AHEAD_NS_MAX)
        return error_set(err, ERROR_INVALID,
                         "the agreed start is %.3f s ahead, which is more than %.0f s",
                         (double)ahead_ns / (double)NS_PER_SEC,
                         (double)LOADER_START_AHEAD_NS_MAX / (double)NS_PER_SEC);
    *ret = instant_after(now->instant, (uint64_t)ahead_ns);
    return 0;
}

/* 0: it is there. 1: not yet. */
static int look(const char *path, struct wall_time *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, START_SIZE_MAX, &text, err) < 0) {
        if (err->kind != ERROR_NOT_FOUND)
            return -1;
        error_clear(err);
        return 1;
    }
    int r = start_parse(buffer_string(&text), ret, err);
    return r < 0 ? error_wrap(err, "'%s'", path) : r;
}

/* Something has happened in the folder, or a while has passed. 1: cancelled. */
static int wait_for_news(int fd, const struct cancel *cancel, struct instant until) {
    enum { WAIT_MS_MAX = 60 * 1000 };
    char events[4096];
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                           {.fd = cancel->event_fd, .events = POLLIN}};
    int n = poll(fds, 2, instant_poll_ms(until, clock_instant(), WAIT_MS_MAX));
    if (n > 0 && fds[0].revents) {
        ssize_t size = read(fd, events, sizeof events);
        (void)size; /* whatever it was, the caller looks */
    }
    return cancel_level(cancel) > 0;
}

static int watch(const char *path, int *ret, struct error *err) {
    cleanup_free char *folder = path_folder(path);
    cleanup_close int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0 || inotify_add_watch(fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE) < 0)
        return error_set_os(err, ERROR_IO, errno, "watch '%s'", folder);
    *ret = take_fd(&fd);
    return 0;
}

static int await_file(const char *path, int fd, uint64_t timeout_ns, const struct cancel *cancel,
                      struct wall_time *ret, struct error *err) {
    struct instant deadline = instant_after(clock_instant(), timeout_ns);
    int r;
    while ((r = look(path, ret, err)) == 1) {
        struct instant now = clock_instant();
        if (instant_passed(deadline, now)) {
            error_set(err, ERROR_TIMEOUT,
                      "we are ready, but no time of start came to '%s' within %.0f s", path,
                      (double)timeout_ns / (double)NS_PER_SEC);
            return error_hint(err, "SEATRIAL_LOADERS says that several loaders begin together; the "
                                   "runner says when, once all are ready");
        }
        if (wait_for_news(fd, cancel, instant_earlier(deadline, instant_after(now, LOOK_NS))))
            return 1;
    }
    return r;
}

/* The wall clock says when, so the last look at it is the one that counts. */
static int wait_until_shortly(struct wall_time at, const struct cancel *cancel, struct instant *ret,
                              struct error *err) {
    for (;;) {
        const struct start_clocks now = start_clocks();
        if (start_convert(at, &now, ret, err) < 0)
            return -1;
        if (instant_ns_between(now.instant, *ret) <= SHORTLY_NS)
            return 0;
        struct instant until = {.ns = ret->ns - SHORTLY_NS};
        if (wait_for_news(-1, cancel, until))
            return 1;
    }
}

int start_await(const char *ready_path, const char *start_path, uint64_t timeout_ns,
                const struct cancel *cancel, struct wall_time *ret_at, struct instant *ret,
                struct error *err) {
    static const char text[] = "ready\n";
    cleanup_close int fd = -1;
    if (watch(start_path, &fd, err) < 0 ||
        file_write(ready_path, READY_MODE, text, sizeof text - 1, err) < 0)
        return -1;
    int r = await_file(start_path, fd, timeout_ns, cancel, ret_at, err);
    return r == 0 ? wait_until_shortly(*ret_at, cancel, ret, err) : r;
}
