#include "runner/collect/custom.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    COMMAND_MAX_BYTES = 64 << 10,
    OUTPUT_MAX_BLOCKS = 131072, /* of 512 bytes, as ulimit -f counts: 64 MiB */
    SCRIPT_MAX_BYTES = 16 << 20,
};

/* What a command may take at most, when its interval is shorter. */
#define RUN_NS_MAX (60 * NS_PER_SEC)
#define TERM_GRACE_NS (2 * NS_PER_SEC)

struct target {
    char *container_id, *container_name, *folder;
    size_t index;
    uint64_t runs;
};

struct custom {
    char *command, *work_folder, *host;
    uint64_t interval_ns;
    struct target *targets;
    size_t target_count;
    struct cancel cancel;
    pthread_t thread;
    struct custom_result result;
};

static bool word_character(char c) {
    return isalnum((unsigned char)c) || c == '_';
}

char *custom_expand(const char *command, const struct custom_target *target, const char *host) {
    char index[24];
    snprintf(index, sizeof index, "%zu", target->index);
    const struct {
        const char *word, *value;
    } words[] = {{"CONTAINER_ID", target->container_id},
                 {"CONTAINER_NAME", target->container_name},
                 {"SEATRIAL_INDEX", index},
                 {"HOST", host}};
    struct buffer out;
    buffer_init(&out, COMMAND_MAX_BYTES);
    for (const char *p = command; *p;) {
        size_t length = 1;
        while (word_character(*p) && word_character(p[length]))
            length++;
        const char *value = NULL;
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (strlen(words[i].word) == length && strncmp(p, words[i].word, length) == 0)
                value = words[i].value;
        /* $CONTAINER_ID is left to the shell, which has it in its environment. */
        bool variable = p > command && (p[-1] == '$' || p[-1] == '{');
        if (value && !variable)
            buffer_text(&out, value);
        else
            buffer_append(&out, p, length);
        p += length;
    }
    return buffer_take(&out);
}

static void set_environment(char **entries, const struct target *t, const char *host) {
    entries[0] = text_format("CONTAINER_ID=%s", t->container_id);
    entries[1] = text_format("CONTAINER_NAME=%s", t->container_name);
    entries[2] = text_format("SEATRIAL_INDEX=%zu", t->index);
    entries[3] = text_format("HOST=%s", host);
}

/* Environment of the runner, with ours before it (the first of equal names wins). */
static char **make_environment(const struct target *t, const char *host) {
    size_t count = 0;
    while (environ[count])
        count++;
    char **env = mem_new_array(char *, count + 5);
    set_environment(env, t, host);
    memcpy(env + 4, environ, count * sizeof *env);
    return env;
}

static void free_environment(char **env) {
    for (size_t i = 0; i < 4; i++)
        free(env[i]);
    free(env);
}

static int spawn(const struct custom *c, const struct target *t, const char *script,
                 const char *output_path, pid_t *ret_pid, struct error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGINT);
    sigaddset(&usual, SIGTERM);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, output_path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addchdir_np(&actions, c->work_folder);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);

    char shell[] = "/bin/sh", option[] = "-c";
    cleanup_free char *words = text_dup(script);
    char *argv[] = {shell, option, words, NULL};
    char **env = make_environment(t, c->host);
    int r = posix_spawn(ret_pid, shell, &actions, &attributes, argv, env);
    free_environment(env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r ? error_set_os(err, ERROR_IO, r, "start the custom command") : 0;
}

/* Waits for the command; ends its group when the task is over. Returns the wait status. */
static int wait_command(const struct custom *c, pid_t pid, bool *ret_timed_out) {
    struct error err = ERROR_NULL;
    struct task task = {.cancel = &c->cancel, .deadline = INSTANT_NEVER};
    task = task_within(&task, c->interval_ns > RUN_NS_MAX ? c->interval_ns : RUN_NS_MAX);
    cleanup_close int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    *ret_timed_out = false;
    if (pid_fd >= 0 && task_wait(&task, pid_fd, POLLIN, &err) < 0) {
        *ret_timed_out = err.kind == ERROR_TIMEOUT;
        kill(-pid, SIGTERM);
        struct task forever = TASK_FOREVER;
        struct task grace = task_within(&forever, TERM_GRACE_NS);
        if (task_wait(&grace, pid_fd, POLLIN, &err) < 0)
            kill(-pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid, SIGKILL); /* what it left running in its group */
    return status;
}

static void write_record(const struct target *t, const char *command, struct wall_time started,
                         uint64_t duration_ns, int status, bool timed_out) {
    char when[WALL_TEXT_SIZE];
    cleanup(json_freep) struct json *record = json_new_object();
    json_set_text(record, "command", command);
    json_set_text(record, "started", wall_text(started, when));
    json_set_int(record, "duration_ns", (int64_t)duration_ns);
    if (WIFEXITED(status))
        json_set_int(record, "exit_code", WEXITSTATUS(status));
    else
        json_set(record, "exit_code", json_new_null());
    if (WIFSIGNALED(status))
        json_set_int(record, "signal", WTERMSIG(status));
    else
        json_set(record, "signal", json_new_null());
    json_set_bool(record, "timed_out", timed_out);

    struct error ignored = ERROR_NULL; /* the output beside it is what matters */
    cleanup_free char *path = text_format("%s/%llu.json", t->folder, (unsigned long long)t->runs);
    cleanup_free char *text = json_to_text(record, JSON_INDENTED);
    file_write(path, 0644, text, strlen(text), &ignored);
}

static void run_once(struct custom *c, struct target *t) {
    struct error err = ERROR_NULL;
    struct custom_target target = {t->container_id, t->container_name, t->index, t->folder};
    cleanup_free char *command = custom_expand(c->command, &target, c->host);
    cleanup_free char *script = text_format("ulimit -f %d\n%s", OUTPUT_MAX_BLOCKS, command);
    t->runs++;
    c->result.runs++;
    cleanup_free char *output = text_format("%s/%llu.out", t->folder, (unsigned long long)t->runs);

    struct wall_time started = clock_wall();
    struct instant begun = clock_instant();
    pid_t pid;
    if (spawn(c, t, script, output, &pid, &err) < 0) {
        c->result.failures++;
        return;
    }
    bool timed_out;
    int status = wait_command(c, pid, &timed_out);
    bool ended_by_us = cancel_level(&c->cancel) > 0;
    if (status != 0 && !ended_by_us)
        c->result.failures++;
    write_record(t, command, started, instant_ns_between(begun, clock_instant()), status,
                 timed_out);
}

static void *custom_main(void *arg) {
    struct custom *c = arg;
    struct error err = ERROR_NULL;
    struct task task = {.cancel = &c->cancel, .deadline = INSTANT_NEVER};
    struct instant next = clock_instant();
    for (;;) {
        for (size_t i = 0; i < c->target_count && cancel_level(&c->cancel) == 0; i++)
            run_once(c, &c->targets[i]);
        next = instant_after(next, c->interval_ns);
        struct instant now = clock_instant();
        while (instant_passed(next, now)) {
            c->result.overruns++;
            next = instant_after(next, c->interval_ns);
        }
        if (task_sleep(&task, instant_ns_between(now, next), &err) < 0)
            return NULL;
    }
}

static int prepare_folders(const struct custom *c, const char *script_path, struct error *err) {
    if (file_make_folders(c->work_folder, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < c->target_count; i++)
        if (file_make_folders(c->targets[i].folder, 0755, err) < 0)
            return -1;
    if (!script_path)
        return 0;
    const char *name = strrchr(script_path, '/');
    cleanup_free char *copy = text_format("%s/%s", c->work_folder, name ? name + 1 : script_path);
    return file_copy(script_path, copy, 0755, SCRIPT_MAX_BYTES, err);
}

static void custom_free(struct custom *c) {
    for (size_t i = 0; i < c->target_count; i++) {
        free(c->targets[i].container_id);
        free(c->targets[i].container_name);
        free(c->targets[i].folder);
    }
    cancel_deinit(&c->cancel);
    free(c->targets);
    free(c->command);
    free(c->work_folder);
    free(c->host);
    free(c);
}

DEFINE_CLEANUP_FREE(custom);

int custom_start(const struct custom_settings *settings, struct custom **ret, struct error *err) {
    cleanup(custom_freep) struct custom *c = mem_new(struct custom);
    c->cancel.event_fd = -1;
    c->command = text_dup(settings->command);
    c->work_folder = text_dup(settings->work_folder);
    c->host = text_dup(settings->host);
    c->interval_ns = settings->interval_ns;
    c->targets = mem_new_array(struct target, settings->target_count);
    c->target_count = settings->target_count;
    for (size_t i = 0; i < c->target_count; i++) {
        const struct custom_target *from = &settings->targets[i];
        c->targets[i] = (struct target){.container_id = text_dup(from->container_id),
                                        .container_name = text_dup(from->container_name),
                                        .folder = text_dup(from->folder),
                                        .index = from->index};
    }
    if (cancel_init(&c->cancel, err) < 0 || prepare_folders(c, settings->script_path, err) < 0)
        return error_wrap(err, "prepare the custom command");
    int r = pthread_create(&c->thread, NULL, custom_main, c);
    if (r)
        return error_set_os(err, ERROR_IO, r, "start a thread for the custom command");
    *ret = take_ptr(c);
    return 0;
}

void custom_stop(struct custom *custom, struct custom_result *ret) {
    cancel_raise(&custom->cancel, 1);
    pthread_join(custom->thread, NULL);
    if (ret)
        *ret = custom->result;
    custom_free(custom);
}
