#include "images/vcs.h"

#include "images/lock.h"
#include "lib/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OUTPUT_MAX = 256 };

static int spawn(const char *const *command, int out, pid_t *ret_pid) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int r = posix_spawnp(ret_pid, command[0], &actions, NULL, (char *const *)(uintptr_t)command,
                         environ);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

/* What it writes, up to what fits: one who has more to say is not waited for. */
static int read_output(int fd, const struct task *task, char text[OUTPUT_MAX], struct error *err) {
    size_t size = 0;
    while (size < OUTPUT_MAX - 1) {
        if (task_wait(task, fd, POLLIN, err) < 0)
            return -1;
        ssize_t n = read(fd, text + size, OUTPUT_MAX - 1 - size);
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "read what git says");
        if (n == 0)
            break;
        size += n > 0 ? (size_t)n : 0;
    }
    text[size] = '\0';
    return 0;
}

/* 1: it could not be run, or ended with a failure. */
static int ask(const char *const *command, const struct task *task, char text[OUTPUT_MAX],
               struct error *err) {
    int fds[2], status = 0;
    pid_t pid;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return error_set_os(err, ERROR_IO, errno, "make a pipe");
    cleanup_close int out = fds[0];
    int spawned = spawn(command, fds[1], &pid);
    close(fds[1]);
    if (spawned != 0)
        return 1;
    int r = read_output(out, task, text, err);
    bool full = r == 0 && strlen(text) == OUTPUT_MAX - 1;
    if (r < 0 || full)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (r < 0)
        return -1;
    return full || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? 0 : 1;
}

int vcs_look(const char *folder, const struct task *task, struct vcs *ret, struct error *err) {
    const char *commit[] = {"git", "-C", folder, "rev-parse", "--verify", "--quiet", "HEAD", NULL};
    /* No daemon is asked, no index written: it is only looked at. */
    const char *status[] = {"git",
                            "--no-optional-locks",
                            "-c",
                            "core.fsmonitor=false",
                            "-C",
                            folder,
                            "status",
                            "--porcelain",
                            "--",
                            ".",
                            ":(exclude,glob)**/" IMAGE_LOCK_NAME,
                            NULL};
    char text[OUTPUT_MAX];
    struct vcs vcs = {.dirty = false};
    int r = ask(commit, task, text, err);
    size_t size = r == 0 ? strspn(text, "0123456789abcdef") : 0;
    if (r < 0)
        return -1;
    if (size < 40 || size >= VCS_COMMIT_SIZE)
        return 1;
    memcpy(vcs.commit, text, size);
    r = ask(status, task, text, err);
    if (r < 0)
        return -1;
    vcs.dirty = r == 1 || text[0];
    *ret = vcs;
    return 0;
}
