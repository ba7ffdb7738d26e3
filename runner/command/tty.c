#include "runner/command/tty.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { ROWS_DEFAULT = 24, COLUMNS_DEFAULT = 80 };

static struct termios before;
static volatile sig_atomic_t is_raw;
static int resize_event = -1;

bool tty_is_there(void) {
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static void give_back(void) {
    if (is_raw)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    is_raw = 0;
}

static void on_resize(int number) {
    (void)number;
    int kept = errno;
    uint64_t one = 1;
    ssize_t ignored = write(resize_event, &one, sizeof one);
    (void)ignored;
    errno = kept;
}

int tty_begin(struct tty *t, struct error *err) {
    static bool registered;
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return error_set_os(err, ERROR_IO, errno, "ask for the terminal's settings");
    if (!registered)
        atexit(give_back);
    registered = true;
    resize_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (resize_event < 0)
        return error_set_os(err, ERROR_IO, errno, "watch the terminal's size");
    struct termios raw = before;
    cfmakeraw(&raw);
    if (tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0) {
        int os = errno;
        close(resize_event);
        return error_set_os(err, ERROR_IO, os, "set the terminal");
    }
    is_raw = 1;
    t->resize_fd = resize_event;
    struct sigaction action = {.sa_handler = on_resize, .sa_flags = SA_RESTART};
    sigaction(SIGWINCH, &action, NULL);
    return 0;
}

void tty_end(struct tty *t) {
    if (t->resize_fd < 0)
        return;
    signal(SIGWINCH, SIG_DFL);
    give_back();
    close(t->resize_fd);
    *t = TTY_NULL;
}

void tty_size(void *tty, unsigned *ret_rows, unsigned *ret_columns) {
    const struct tty *t = tty;
    uint64_t count;
    ssize_t ignored = t->resize_fd < 0 ? 0 : read(t->resize_fd, &count, sizeof count);
    (void)ignored;
    struct winsize size = {.ws_row = 0};
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;
    *ret_rows = known ? size.ws_row : ROWS_DEFAULT;
    *ret_columns = known ? size.ws_col : COLUMNS_DEFAULT;
}

int tty_write(int fd, const void *data, size_t size, const struct task *task, struct error *err) {
    for (const char *p = data; size > 0;) {
        if (task_wait(task, fd, POLLOUT, err) < 0)
            return -1;
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return error_set_os(err, ERROR_IO, errno, "write to %s",
                                fd == STDOUT_FILENO ? "stdout" : "stderr");
        p += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}
