/*
 * Runs a command on a terminal of its own, 30 rows of 90 columns: what comes on stdin is typed,
 * what it shows goes to stdout. SIGUSR1 makes the window 40 by 100. At the end, stderr says whether
 * the terminal was left as it was found; the exit status is the command's.
 */

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

static int terminal;

static void enlarge(int number) {
    (void)number;
    struct winsize size = {.ws_row = 40, .ws_col = 100};
    ioctl(terminal, TIOCSWINSZ, &size);
}

static void copy(struct pollfd *from, int to) {
    char data[4096];
    ssize_t n = read(from->fd, data, sizeof data);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0) {
        from->fd = -1; /* poll() passes it over */
        return;
    }
    for (ssize_t done = 0; done < n;) {
        ssize_t written = write(to, data + done, (size_t)(n - done));
        if (written < 0 && errno != EINTR)
            exit(99);
        done += written > 0 ? written : 0;
    }
}

int main(int argc, char **argv) {
    struct winsize size = {.ws_row = 30, .ws_col = 90};
    struct termios before, after;
    int status, slave;
    if (argc < 2 || openpty(&terminal, &slave, NULL, NULL, &size) < 0 ||
        tcgetattr(slave, &before) < 0)
        return 99;
    pid_t pid = fork();
    if (pid == 0) {
        close(terminal);
        if (login_tty(slave) < 0)
            _exit(99);
        execvp(argv[1], argv + 1);
        _exit(99);
    }
    struct sigaction action = {.sa_handler = enlarge};
    sigaction(SIGUSR1, &action, NULL);
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = terminal, .events = POLLIN}};
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (poll(fds, 2, 20) <= 0)
            continue;
        if (fds[0].revents)
            copy(&fds[0], terminal);
        if (fds[1].revents)
            copy(&fds[1], STDOUT_FILENO);
    }
    for (fds[1].revents = 0; fds[1].fd >= 0 && poll(&fds[1], 1, 0) > 0;)
        copy(&fds[1], STDOUT_FILENO);
    tcgetattr(slave, &after);
    fprintf(stderr, "terminal %s\n",
            before.c_lflag == after.c_lflag && before.c_iflag == after.c_iflag &&
                    before.c_oflag == after.c_oflag
                ? "restored"
                : "left raw");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
