/*
 * A delay line: what goes into one end comes out at the other one a while later, both ways. The
 * ends are TAP interfaces, made here and gone when this program ends. For kernels without netem.
 *
 * Usage: delay TUN_DEVICE INTERFACE INTERFACE MICROSECONDS, which is the delay of one way.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_SIZE_MAX = 2032, /* an MTU of 1500, and headers */
    FRAMES_MAX = 32768,    /* on the way at once; more are dropped, as by a real queue */
    BATCH = 64,            /* read from one end before the other one gets its turn */
};

struct frame {
    uint64_t due_ns;
    uint32_t size;
    char bytes[FRAME_SIZE_MAX];
};

/* One way. Frames are due in the order in which they came, as all take equally long. */
struct line {
    int from, to;
    struct frame *frames; /* a ring; its pages are touched only when needed */
    uint64_t first, end;
};

static void fail(const char *what) {
    fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int open_tap(const char *device, const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open(device, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        fail(device);
    if (strlen(name) >= sizeof request.ifr_name) {
        errno = ENAMETOOLONG;
        fail(name);
    }
    strcpy(request.ifr_name, name);
    if (ioctl(fd, TUNSETIFF, &request) != 0)
        fail(name);
    return fd;
}

static void line_init(struct line *line, int from, int to) {
    void *frames = mmap(NULL, FRAMES_MAX * sizeof(struct frame), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (frames == MAP_FAILED)
        fail("mmap");
    *line = (struct line){.from = from, .to = to, .frames = frames};
}

static void take_in(struct line *line, uint64_t delay_ns) {
    char dropped[FRAME_SIZE_MAX];
    for (int i = 0; i < BATCH; i++) {
        bool full = line->end - line->first == FRAMES_MAX;
        struct frame *frame = &line->frames[line->end % FRAMES_MAX];
        ssize_t size = read(line->from, full ? dropped : frame->bytes, FRAME_SIZE_MAX);
        if (size < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == EIO) /* EIO: not up yet */
                return;
            fail("read");
        }
        if (full)
            continue;
        frame->size = (uint32_t)size;
        frame->due_ns = now_ns() + delay_ns;
        line->end++;
    }
}

/* Returns when the next frame is due; UINT64_MAX if none is on its way. */
static uint64_t give_out(struct line *line) {
    while (line->first != line->end) {
        struct frame *frame = &line->frames[line->first % FRAMES_MAX];
        if (frame->due_ns > now_ns())
            return frame->due_ns;
        /* What cannot be written is lost, as on a wire. */
        (void)!write(line->to, frame->bytes, frame->size);
        line->first++;
    }
    return UINT64_MAX;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "Usage: delay TUN_DEVICE INTERFACE INTERFACE MICROSECONDS\n");
        return 2;
    }
    uint64_t delay_ns = strtoull(argv[4], NULL, 10) * 1000;
    int one = open_tap(argv[1], argv[2]), other = open_tap(argv[1], argv[3]);
    struct line lines[2];
    line_init(&lines[0], one, other);
    line_init(&lines[1], other, one);
    prctl(PR_SET_TIMERSLACK, 1);
    (void)!setpriority(PRIO_PROCESS, 0, -20); /* a wire is never busy with other things */
    for (;;) {
        uint64_t due_ns = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            uint64_t next_ns = give_out(&lines[i]);
            due_ns = next_ns < due_ns ? next_ns : due_ns;
        }
        uint64_t now = now_ns(), wait_ns = due_ns > now ? due_ns - now : 0;
        struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000),
                                .tv_nsec = (long)(wait_ns % 1000000000)};
        struct pollfd ends[2] = {{.fd = one, .events = POLLIN}, {.fd = other, .events = POLLIN}};
        if (ppoll(ends, 2, due_ns == UINT64_MAX ? NULL : &wait, NULL) < 0 && errno != EINTR)
            fail("ppoll");
        for (int i = 0; i < 2; i++)
            if (ends[i].revents)
                take_in(&lines[i], delay_ns);
    }
}
