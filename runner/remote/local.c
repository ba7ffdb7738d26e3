#include "runner/remote/local.h"

#include "lib/text.h"
#include "runner/remote/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define TERM_GRACE_NS (2 * NS_PER_SEC)

/* The ends of what connects us with it: [0] ours, [1] its own. */
struct ends {
    int input[2], output[2], errors[2];
};

static void close_pair(int pair[2], int from, int to) {
    for (int i = from; i <= to; i++)
        if (pair[i] >= 0) {
            close(pair[i]);
            pair[i] = -1;
        }
}

static void close_ends(struct ends *e) {
    close_pair(e->input, 0, 1);
    close_pair(e->output, 0, 1);
    close_pair(e->errors, 0, 1);
}

static int open_ends(struct ends *e, struct error *err) {
    /* A socket, since sending to a pipe that nobody reads would raise SIGPIPE. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, e->input) < 0 ||
        pipe2(e->output, O_CLOEXEC) < 0 || pipe2(e->errors, O_CLOEXEC) < 0)
        return error_set_os(err, ERROR_IO, errno, "connect with the command");
    return 0;
}

static int spawn(const struct host_exec *exec, const struct ends *e, pid_t *ret_pid,
                 struct error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (!exec->terminal) {
        posix_spawn_file_actions_adddup2(&actions, e->input[1], 0);
        posix_spawn_file_actions_adddup2(&actions, e->output[1], 1);
        posix_spawn_file_actions_adddup2(&actions, e->errors[1], 2);
        posix_spawnattr_setpgroup(&attributes, 0);
        flags |= POSIX_SPAWN_SETPGROUP;
    }
    posix_spawnattr_setflags(&attributes, flags);

    char shell[] = "/bin/sh", option[] = "-c";
    cleanup_free char *words =
        text_dup(exec->command ? exec->command : "exec \"${SHELL:-/bin/sh}\" -l");
    char *argv[] = {shell, option, words, NULL};
    int r = posix_spawn(ret_pid, shell, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r ? error_set_os(err, ERROR_IO, r, "start a command") : 0;
}

static int wait_exit(pid_t pid, const struct task *task, struct error *err) {
    cleanup_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "watch a command");
    return task_wait(task, pid_fd, POLLIN, err);
}

/* Ends the group of one that goes on; afterwards nothing of it is left. */
static int reap(pid_t pid, bool group, bool end) {
    struct error ignored = ERROR_NULL;
    int status = 0;
    if (end) {
        struct task forever = TASK_FOREVER;
        struct task grace = task_within(&forever, TERM_GRACE_NS);
        kill(group ? -pid : pid, SIGTERM);
        if (wait_exit(pid, &grace, &ignored) < 0)
            kill(group ? -pid : pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (end && group)
        kill(-pid, SIGKILL);
    return status;
}

static void set_result(int status, struct host_exec_result *ret) {
    ret->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    ret->signal[0] = '\0';
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        snprintf(ret->signal, sizeof ret->signal, "%s", name ? name : "?");
    }
}

static int exec_on_terminal(const struct host_exec *exec, const struct task *task,
                            struct host_exec_result *ret, struct error *err) {
    pid_t pid;
    if (spawn(exec, NULL, &pid, err) < 0)
        return -1;
    int r = wait_exit(pid, task, err);
    set_result(reap(pid, false, r < 0), ret);
    return r;
}

int local_exec(const struct host_exec *exec, const struct task *task, struct host_exec_result *ret,
               struct error *err) {
    *ret = (struct host_exec_result){.exit_code = -1};
    if (exec->terminal)
        return exec_on_terminal(exec, task, ret, err);
    cleanup(close_ends) struct ends e = {{-1, -1}, {-1, -1}, {-1, -1}};
    pid_t pid;
    if (open_ends(&e, err) < 0 || spawn(exec, &e, &pid, err) < 0)
        return -1;
    close_pair(e.input, 1, 1);
    close_pair(e.output, 1, 1);
    close_pair(e.errors, 1, 1);
    struct pump pump = {.input_fd = e.input[0], .output_fd = e.output[0], .errors_fd = e.errors[0]};
    int r = pump_run(&pump, exec, task, ret, err);
    if (r == 0)
        r = wait_exit(pid, task, err);
    set_result(reap(pid, true, r != 0), ret);
    return r;
}
