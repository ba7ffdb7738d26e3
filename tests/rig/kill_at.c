/*
 * rig_kill_at N JOURNAL COMMAND...: runs COMMAND, and kills it (SIGKILL) as soon as JOURNAL has N
 * lines. Exit status 0: it was killed; 1: it ended by itself before; 2: we could not.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A line costs its writer a sync of the disk, which takes longer. */
enum { PAUSE_NS = 100 * 1000 };

struct journal {
    const char *path;
    int fd;
    long lines;
};

static void look(struct journal *j) {
    char text[1 << 16];
    ssize_t n;
    if (j->fd < 0)
        j->fd = open(j->path, O_RDONLY | O_CLOEXEC);
    while (j->fd >= 0 && (n = read(j->fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; i++)
            j->lines += text[i] == '\n';
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    long wanted = strtol(argv[1], NULL, 10);
    struct journal journal = {.path = argv[2], .fd = -1};
    pid_t child = fork();
    if (child < 0)
        return 2;
    if (child == 0) {
        execvp(argv[3], argv + 3);
        perror(argv[3]);
        _exit(127);
    }
    for (;;) {
        int status;
        look(&journal);
        if (journal.lines >= wanted) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return WIFSIGNALED(status) ? 0 : 1;
        }
        if (waitpid(child, &status, WNOHANG) == child)
            return 1;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
}
