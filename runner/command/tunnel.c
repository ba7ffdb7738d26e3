/* `seatrial tunnel`: the engines of all hosts as local sockets, for any Docker client. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/command/jobs.h"
#include "runner/remote/host.h"
#include "runner/run/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often it is looked whether a connection was lost. */
#define LOOK_NS (500 * NS_PER_MS)
/* A look may take so long while there is a connection. */
#define PATIENCE_NS (5 * NS_PER_SEC)

struct arguments {
    char **command; /* NULL: none */
    struct hosts_chosen chosen;
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case ARGP_KEY_ARG:
        a->command = &state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- kept open ---- */

/* A line that a shell can read, the host's name behind it. */
static void print_hosts(const struct command_hosts *hosts) {
    for (size_t i = 0; i < hosts->count; i++)
        if (!hosts->hosts[i].failed)
            printf("DOCKER_HOST=%s # %s\n", host_engine(hosts->hosts[i].at->host),
                   hosts->hosts[i].name);
    fflush(stdout);
}

/* Watches one host; what it has to say is said one at a time. */
struct keeper {
    struct progress *progress;
    pthread_mutex_t *lock;
    const char *name;
    struct host *host;
    uint64_t reconnects; /* told so far */
    bool lost;
};

static void tell(struct keeper *k, int r, const struct error *err) {
    uint64_t reconnects = host_reconnects(k->host);
    bool refused = r < 0 && err->kind == ERROR_REFUSED;
    pthread_mutex_lock(k->lock);
    if (r < 0 && !k->lost)
        progress_warn(k->progress, "host %s: the connection is lost; connecting again", k->name);
    if (refused && !k->lost)
        progress_error(k->progress, err);
    if (r >= 0 && (reconnects > k->reconnects || k->lost))
        progress_note(k->progress, "host %s: connected again", k->name);
    pthread_mutex_unlock(k->lock);
    k->lost = r < 0;
    k->reconnects = reconnects;
}

static int watch(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine;
    (void)arg;
    struct keeper *k = subject;
    struct task task = command_task();
    for (;;) {
        struct error why = ERROR_NULL;
        struct task patient = task_within(&task, PATIENCE_NS);
        int r = host_await(k->host, &patient, &why);
        if (task_check(&task, err) < 0)
            return 0;
        tell(k, r, &why);
        if (task_sleep(&task, LOOK_NS, err) < 0)
            return 0;
    }
}

/* Until Ctrl-C. */
static void keep(const struct command_hosts *hosts) {
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    cleanup_free struct keeper *keepers = mem_new_array(struct keeper, hosts->count);
    struct job *jobs = mem_new_array(struct job, hosts->count);
    size_t count = 0;
    for (size_t i = 0; i < hosts->count; i++) {
        if (hosts->hosts[i].failed)
            continue;
        keepers[count] = (struct keeper){.progress = hosts->context->progress,
                                         .lock = &lock,
                                         .name = hosts->hosts[i].name,
                                         .host = hosts->hosts[i].at->host};
        jobs[count] = (struct job){.subject = &keepers[count]};
        count++;
    }
    jobs_run(jobs, count, 0, watch, NULL);
    jobs_free(jobs, count);
}

/* ---- around a command ---- */

/* The socket in front of a remote engine needs no TLS, whatever the environment says of another. */
static int set_environment(struct host *host, struct error *err) {
    static const char *const of_others[] = {"DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CERT_PATH"};
    int r = setenv("DOCKER_HOST", host_engine(host), 1) | unsetenv("DOCKER_CONTEXT");
    for (size_t i = 0; !host_is_local(host) && i < sizeof of_others / sizeof *of_others; i++)
        r |= unsetenv(of_others[i]);
    return r < 0 ? error_set_os(err, ERROR_IO, errno, "set the environment") : 0;
}

static int start(char **command, struct host *host, pid_t *ret_pid, struct error *err) {
    sigset_t none;
    posix_spawnattr_t attributes;
    sigemptyset(&none);
    if (set_environment(host, err) < 0)
        return -1;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int r = posix_spawnp(ret_pid, command[0], NULL, &attributes, command, environ);
    posix_spawnattr_destroy(&attributes);
    if (r)
        return error_set_os(err, r == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, r, "start '%s'",
                            command[0]);
    return 0;
}

/*
 * The terminal sends Ctrl-C to the command itself; a signal that came to us alone is handed on. It
 * is waited for whatever it makes of it.
 */
static int wait_for(pid_t pid, int *ret_status, struct error *err) {
    bool told = false;
    int status;
    cleanup_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "watch the command");
    for (;;) {
        struct error ignored = ERROR_NULL;
        struct task task = told ? TASK_FOREVER : command_task();
        if (task_wait(&task, pid_fd, POLLIN, &ignored) == 0)
            break;
        told = true;
        if (interrupt_exit_status() != 128 + SIGINT || !isatty(STDIN_FILENO))
            kill(pid, interrupt_exit_status() - 128);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return 0;
}

static int run_command(const struct command_hosts *hosts, char **command, int *ret_status,
                       struct error *err) {
    pid_t pid;
    return start(command, hosts->hosts[0].at->host, &pid, err) < 0 ? -1
                                                                   : wait_for(pid, ret_status, err);
}

static int check_one(const struct command_hosts *hosts, struct error *err) {
    if (hosts->count == 1)
        return 0;
    error_set(err, ERROR_USAGE, "a command gets the engine of one host, and there are %zu",
              hosts->count);
    return error_hint(err, "say which by --machine");
}

const struct argp tunnel_argp = {
    NULL,
    parse_option,
    "[-- COMMAND...]",
    "Keeps the hosts' engines open as local sockets, and prints a line DOCKER_HOST=... for each, "
    "until Ctrl-C. With COMMAND: runs it with the DOCKER_HOST of the one host, and ends with its "
    "exit status.",
    hosts_children,
    NULL,
    NULL};

int command_tunnel(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct arguments a = {.command = NULL};
    command_parse_in_order(&tunnel_argp, "tunnel", argc, argv, &a);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (command_hosts_choose(context, &a.chosen, &hosts, &err) < 0 ||
        (a.command && check_one(&hosts, &err) < 0))
        return command_fail(context, &err);
    command_hosts_connect(&hosts);
    bool any = false;
    for (size_t i = 0; i < hosts.count; i++)
        any = any || !hosts.hosts[i].failed;
    if (!any)
        return hosts.status;
    int status = 0;
    if (a.command)
        return run_command(&hosts, a.command, &status, &err) < 0 ? command_fail(context, &err)
                                                                 : status;
    print_hosts(&hosts);
    keep(&hosts);
    return interrupt_exit_status();
}
