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
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    COMMAND_MAX_BYTES = 64 << 10,
    OUTPUT_MAX_BYTES = 64 << 20,
    SCRIPT_MAX_BYTES = 16 << 20,
    ANSWER_MAX_BYTES = 4096,
};

/* What a command may take at most, when its interval is shorter. */
#define RUN_NS_MAX (60 * NS_PER_SEC)
/* For ending a command, which is given 2 s between SIGTERM and SIGKILL, and tidying up. */
#define END_NS_MAX (10 * NS_PER_SEC)
#define END_PAUSE_NS (50 * NS_PER_MS)

struct target {
    char *container_id, *container_name, *folder;
    size_t index;
    uint64_t runs;
};

struct custom {
    struct custom_settings settings; /* without targets and what they point to */
    char *command, *work_folder;
    struct target *targets;
    size_t target_count;
    bool unfinished;    /* something of the last run may still be there */
    struct cancel stop; /* no more runs */
    struct cancel drop; /* the run that goes on has had its chance */
    int ended_fd;       /* readable once the thread is through */
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

/* ---- what the host is asked to do ---- */

/* Everywhere the same shell, whatever the user's login shell is. */
static char *for_shell(const char *script) {
    cleanup_free char *quoted = host_quote(script);
    return text_format("exec /bin/sh -c %s", quoted);
}

/* The command's group is noted down, so that it can be ended when the connection is gone. */
static char *run_script(const struct custom *c, const struct target *t, const char *command) {
    cleanup_free char *folder = host_quote(c->work_folder), *id = host_quote(t->container_id),
                      *name = host_quote(t->container_name),
                      *host = host_quote(host_name(c->settings.host));
    cleanup_free char *script =
        text_format("cd %s || exit 126\n"
                    "read -r _ _ _ _ group _ </proc/self/stat && echo \"$group\" >.group\n"
                    "export CONTAINER_ID=%s CONTAINER_NAME=%s SEATRIAL_INDEX=%zu HOST=%s\n"
                    "%s\n",
                    folder, id, name, t->index, host, command);
    return for_shell(script);
}

/* A group that is not at work in our folder any more is somebody else's. */
static char *end_script(const struct custom *c) {
    cleanup_free char *folder = host_quote(c->work_folder);
    cleanup_free char *script = text_format(
        "cd %s && read -r group <.group && rm -f .group || exit 0\n"
        "[ \"/proc/$group/cwd\" -ef . ] || exit 0\n"
        "kill -s TERM -- \"-$group\" || exit 0\n"
        "for i in 1 2 3 4 5 6 7 8 9 10; do kill -s 0 -- \"-$group\" || exit 0; sleep 0.2; done\n"
        "kill -s KILL -- \"-$group\"\n"
        "exit 0\n",
        folder);
    return for_shell(script);
}

static int ask(const struct custom *c, const char *script, const struct task *task,
               struct error *err) {
    cleanup(buffer_deinit) struct buffer ignored = BUFFER_NULL;
    return host_exec_text(c->settings.host, script, ANSWER_MAX_BYTES, task, &ignored, err);
}

/* On this machine host_exec has done it already. */
static int end_unfinished(struct custom *c, const struct task *task, struct error *err) {
    if (!c->unfinished || host_is_local(c->settings.host))
        return 0;
    cleanup_free char *script = end_script(c);
    if (ask(c, script, task, err) < 0)
        return -1;
    c->unfinished = false;
    return 0;
}

/* ---- one run ---- */

struct output {
    FILE *file;
    uint64_t bytes;
};

/* What is too much is dropped: the command goes on. */
static int write_output(void *arg, const void *data, size_t size, struct error *err) {
    struct output *out = arg;
    uint64_t room = OUTPUT_MAX_BYTES - out->bytes;
    size_t taken = size < room ? size : (size_t)room;
    out->bytes += taken;
    if (fwrite(data, 1, taken, out->file) < taken)
        return error_set_os(err, ERROR_IO, errno, "write the custom command's output");
    return 0;
}

static int signal_number(const char *name) {
    for (int n = 1; n < NSIG; n++)
        if (text_equal(sigabbrev_np(n), name))
            return n;
    return 0;
}

struct run {
    const char *command;
    struct wall_time started;
    uint64_t duration_ns;
    struct host_exec_result result;
    bool timed_out, lost;
};

static void write_record(const struct target *t, const struct run *run) {
    char when[WALL_TEXT_SIZE];
    cleanup(json_freep) struct json *record = json_new_object();
    int number = signal_number(run->result.signal);
    json_set_text(record, "command", run->command);
    json_set_text(record, "started", wall_text(run->started, when));
    json_set_int(record, "duration_ns", (int64_t)run->duration_ns);
    json_set(record, "exit_code",
             run->result.exit_code >= 0 ? json_new_int(run->result.exit_code) : json_new_null());
    json_set(record, "signal", number ? json_new_int(number) : json_new_null());
    json_set_bool(record, "timed_out", run->timed_out);
    json_set_bool(record, "lost", run->lost);

    struct error ignored = ERROR_NULL; /* the output beside it is what matters */
    cleanup_free char *path = text_format("%s/%llu.json", t->folder, (unsigned long long)t->runs);
    cleanup_free char *text = json_to_text(record, JSON_INDENTED);
    file_write(path, 0644, text, strlen(text), &ignored);
}

static int execute(struct custom *c, struct target *t, struct run *run, struct error *err) {
    cleanup_free char *script = run_script(c, t, run->command);
    cleanup_free char *path = text_format("%s/%llu.out", t->folder, (unsigned long long)t->runs);
    cleanup_fclose FILE *file = fopen(path, "we");
    if (!file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    struct output output = {.file = file};
    struct sink sink = {.push = write_output, .arg = &output};
    struct host_exec exec = {.command = script, .output = &sink, .errors = &sink};
    struct task task = {.cancel = &c->drop, .deadline = INSTANT_NEVER};
    uint64_t interval_ns = c->settings.interval_ns;
    task = task_within(&task, interval_ns > RUN_NS_MAX ? interval_ns : RUN_NS_MAX);
    c->unfinished = true;
    int r = host_exec(c->settings.host, &exec, &task, &run->result, err);
    if (r >= 0)
        c->unfinished = false;
    return r;
}

static void count(struct custom *c, const struct run *run) {
    bool ended_by_us = cancel_level(&c->stop) > 0;
    c->result.runs++;
    if (run->lost)
        c->result.lost++;
    else if (run->result.exit_code != 0 && !ended_by_us)
        c->result.failures++;
}

/* Negative when the connection broke. */
static int run_once(struct custom *c, struct target *t, struct error *err) {
    struct task task = {.cancel = &c->drop, .deadline = INSTANT_NEVER};
    struct custom_target target = {t->container_id, t->container_name, t->index, t->folder};
    cleanup_free char *command = custom_expand(c->command, &target, host_name(c->settings.host));
    if (end_unfinished(c, &task, err) < 0)
        return err->kind == ERROR_UNREACHABLE ? -1 : 0;
    struct run run = {.command = command, .result = {.exit_code = -1}, .started = clock_wall()};
    struct instant begun = clock_instant();
    t->runs++;
    int r = execute(c, t, &run, err);
    run.duration_ns = instant_ns_between(begun, clock_instant());
    run.timed_out = r < 0 && err->kind == ERROR_TIMEOUT;
    run.lost = r < 0 && err->kind == ERROR_UNREACHABLE;
    count(c, &run);
    write_record(t, &run);
    return run.lost ? -1 : 0;
}

/* ---- turn by turn ---- */

/* Negative when there is no sense in going on. */
static int take_turn(struct custom *c, const struct task *task, struct error *err) {
    for (size_t i = 0; i < c->target_count && cancel_level(&c->stop) == 0; i++) {
        error_clear(err);
        if (run_once(c, &c->targets[i], err) == 0)
            continue;
        error_clear(err);
        if (!c->settings.await || c->settings.await(c->settings.arg, task, err) < 0)
            return -1;
    }
    return 0;
}

static void run_turns(struct custom *c) {
    struct error err = ERROR_NULL;
    struct task task = {.cancel = &c->stop, .deadline = INSTANT_NEVER};
    struct instant next = clock_instant();
    while (take_turn(c, &task, &err) == 0) {
        next = instant_after(next, c->settings.interval_ns);
        struct instant now = clock_instant();
        while (instant_passed(next, now)) {
            c->result.overruns++;
            next = instant_after(next, c->settings.interval_ns);
        }
        error_clear(&err);
        if (task_sleep(&task, instant_ns_between(now, next), &err) < 0)
            return;
    }
}

static void *custom_main(void *arg) {
    struct custom *c = arg;
    uint64_t one = 1;
    run_turns(c);
    ssize_t n = write(c->ended_fd, &one, sizeof one);
    (void)n;
    return NULL;
}

/* ---- beginning and end ---- */

/* Ours alone, even where everybody may write beside it. */
static int make_work_folder(const struct custom *c, const struct task *task, struct error *err) {
    cleanup_free char *folder = host_quote(c->work_folder);
    cleanup_free char *script =
        text_format("umask 077; d=%s; mkdir -p -- \"${d%%/*}\" && "
                    "{ mkdir -- \"$d\" 2>/dev/null || { [ -d \"$d\" ] && [ ! -L \"$d\" ] && "
                    "[ -O \"$d\" ]; } || { echo \"cannot make folder $d\" >&2; exit 1; }; }",
                    folder);
    cleanup_free char *words = for_shell(script);
    return ask(c, words, task, err);
}

static int put_script(const struct custom *c, const char *script_path, const struct task *task,
                      struct error *err) {
    cleanup(buffer_deinit) struct buffer content = BUFFER_NULL;
    if (file_read(script_path, SCRIPT_MAX_BYTES, &content, err) < 0)
        return -1;
    const char *name = strrchr(script_path, '/');
    cleanup_free char *path = text_format("%s/%s", c->work_folder, name ? name + 1 : script_path);
    struct memory_source memory = {.data = content.data, .size = content.size};
    struct source source = memory_source(&memory);
    return host_put(c->settings.host, path, 0755, &source, task, err);
}

static int prepare(const struct custom *c, const char *script_path, const struct task *task,
                   struct error *err) {
    for (size_t i = 0; i < c->target_count; i++)
        if (file_make_folders(c->targets[i].folder, 0755, err) < 0)
            return -1;
    if (make_work_folder(c, task, err) < 0)
        return -1;
    return script_path ? put_script(c, script_path, task, err) : 0;
}

static void custom_free(struct custom *c) {
    for (size_t i = 0; i < c->target_count; i++) {
        free(c->targets[i].container_id);
        free(c->targets[i].container_name);
        free(c->targets[i].folder);
    }
    cancel_deinit(&c->stop);
    cancel_deinit(&c->drop);
    if (c->ended_fd >= 0)
        close(c->ended_fd);
    free(c->targets);
    free(c->command);
    free(c->work_folder);
    free(c);
}

DEFINE_CLEANUP_FREE(custom);

static struct custom *custom_new(const struct custom_settings *settings) {
    struct custom *c = mem_new(struct custom);
    c->settings = *settings;
    c->stop.event_fd = c->drop.event_fd = -1;
    c->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    c->command = text_dup(settings->command);
    c->work_folder = text_dup(settings->work_folder);
    c->targets = mem_new_array(struct target, settings->target_count);
    c->target_count = settings->target_count;
    for (size_t i = 0; i < c->target_count; i++) {
        const struct custom_target *from = &settings->targets[i];
        c->targets[i] = (struct target){.container_id = text_dup(from->container_id),
                                        .container_name = text_dup(from->container_name),
                                        .folder = text_dup(from->folder),
                                        .index = from->index};
    }
    return c;
}

int custom_start(const struct custom_settings *settings, const struct task *task,
                 struct custom **ret, struct error *err) {
    cleanup(custom_freep) struct custom *c = custom_new(settings);
    if (c->ended_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    if (cancel_init(&c->stop, err) < 0 || cancel_init(&c->drop, err) < 0 ||
        prepare(c, settings->script_path, task, err) < 0)
        return error_wrap(err, "prepare the custom command");
    int r = pthread_create(&c->thread, NULL, custom_main, c);
    if (r)
        return error_set_os(err, ERROR_IO, r, "start a thread for the custom command");
    *ret = take_ptr(c);
    return 0;
}

static void tidy_up(struct custom *c) {
    struct error err = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task task = task_within(&forever, END_NS_MAX);
    bool ended = end_unfinished(c, &task, &err) == 0;
    if (!c->settings.remove_work_folder)
        return;
    cleanup_free char *folder = host_quote(c->work_folder);
    cleanup_free char *command = text_format("rm -rf -- %s", folder);
    c->result.kept = !ended || ask(c, command, &task, &err) < 0;
}

/* A command is ended where it runs, so that what it has printed still comes home. It may have been
 * about to begin: then there is nothing to end yet, and we look again. */
static void end_running(struct custom *c) {
    struct error err = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task limit = task_within(&forever, END_NS_MAX);
    cleanup_free char *script = end_script(c);
    for (;;) {
        struct task pause = task_within(&limit, END_PAUSE_NS);
        error_clear(&err);
        if (task_wait(&pause, c->ended_fd, POLLIN, &err) == 0)
            return;
        error_clear(&err);
        if (task_check(&limit, &err) < 0 || ask(c, script, &limit, &err) < 0)
            break;
    }
    cancel_raise(&c->drop, 1);
}

void custom_stop(struct custom *custom, struct custom_result *ret) {
    cancel_raise(&custom->stop, 1);
    end_running(custom);
    pthread_join(custom->thread, NULL);
    tidy_up(custom);
    if (ret)
        *ret = custom->result;
    custom_free(custom);
}
