#include "lib/program.h"

#include "lib/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct program {
    pid_t pid;
    int in, out; /* our ends; -1 */
};

static void program_end(struct program *p) {
    if (p->in >= 0)
        close(p->in);
    if (p->out >= 0)
        close(p->out);
    if (p->pid <= 0)
        return;
    kill(p->pid, SIGKILL);
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

/* Signals are as usual for it, whatever this thread has blocked. `in`: -1 for nothing. */
static int spawn(char *const *argv, int in, int out, pid_t *ret_pid) {
    sigset_t none, usual;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    if (in < 0)
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    else
        posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    int r = posix_spawnp(ret_pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r;
}

static int start(char *const *argv, bool input, struct program *p, struct error *err) {
    cleanup_close int in = -1, out = -1; /* its ends */
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) < 0)
        return error_set_os(err, ERROR_IO, errno, "make a pipe");
    p->out = pair[0];
    out = pair[1];
    if (input) { /* no pipe: if it does not listen, that is no signal for us */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return error_set_os(err, ERROR_IO, errno, "make a pair of sockets");
        p->in = pair[0];
        in = pair[1];
    }
    int r = spawn(argv, in, out, &p->pid);
    if (r == 0)
        return 0;
    p->pid = 0;
    return error_set_os(err, ERROR_CONFIG, r, "run '%s'", argv[0]);
}

static int tell(const struct program *p, const char *input, struct error *err) {
    size_t size = strlen(input);
    assert(size <= PROGRAM_INPUT_MAX);
    if (send(p->in, input, size, MSG_NOSIGNAL) != (ssize_t)size && errno != EPIPE)
        return error_set_os(err, ERROR_IO, errno, "tell it its input");
    shutdown(p->in, SHUT_WR);
    return 0;
}

static int hear(const struct program *p, const struct task *task, struct buffer *output,
                struct error *err) {
    for (;;) {
        char piece[4096];
        if (task_wait(task, p->out, POLLIN, err) < 0)
            return -1;
        ssize_t n = read(p->out, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            buffer_append(output, piece, (size_t)n);
        explicit_bzero(piece, sizeof piece);
        if (n <= 0 || output->overflowed)
            return buffer_check(output, "its answer", err);
    }
}

/* It has closed its output, so it ends; should it not, it is ended. */
static int wait_for_end(struct program *p, const struct task *task, int *ret_status,
                        struct error *err) {
    int status = 0;
    pid_t r;
    while ((r = waitpid(p->pid, &status, WNOHANG)) == 0 || (r < 0 && errno == EINTR))
        if (task_sleep(task, NS_PER_MS, err) < 0)
            return -1;
    p->pid = 0;
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

int program_ask(char *const *argv, const char *input, const struct task *task,
                struct buffer *output, int *ret_status, struct error *err) {
    cleanup(program_end) struct program p = {.in = -1, .out = -1};
    if (start(argv, input != NULL, &p, err) < 0 || (input && tell(&p, input, err) < 0) ||
        hear(&p, task, output, err) < 0)
        return -1;
    return wait_for_end(&p, task, ret_status, err);
}
