/* Which custom command runs when; custom_run.c has one run. */

#include "runner/collect/custom.h"

#include "lib/archive.h"
#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/custom_impl.h"
#include "runner/engine/archive.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
    SCRIPT_MAX_BYTES = 16 << 20,
    TOKEN_BYTES = 4,
};

/* What a command may take at most, when nothing else is said. */
#define RUN_NS_MAX (60 * NS_PER_SEC)

/* In a container: there is a mount, whatever its root is. */
static const char container_folder[] = "/seatrial";

/* ---- beginning ---- */

static void command_deinit(struct command *command) {
    for (size_t i = 0; i < command->target_count; i++) {
        free(command->targets[i].container_id);
        free(command->targets[i].container_name);
        free(command->targets[i].folder);
    }
    free(command->targets);
    free(command->name);
    free(command->command);
    free(command->script_path);
    free(command->work);
}

static void custom_free(struct custom *c) {
    for (size_t i = 0; i < c->command_count; i++)
        command_deinit(&c->commands[i]);
    engine_close(c->engine);
    engine_close(c->watch_engine);
    cancel_deinit(&c->stop);
    pthread_mutex_destroy(&c->lock);
    if (c->ended_fd >= 0)
        close(c->ended_fd);
    free(c->commands);
    free(c->run);
    free(c->work_folder);
    free(c->mark);
    free(c);
}

DEFINE_CLEANUP_FREE(custom);

/* On a host below the work folder, in a container below /seatrial; by the mark's token, so that two
 * of us do not meet there. */
static char *work_of(const struct custom *c, const struct custom_command *from) {
    const char *token = strrchr(c->mark, '/') + 1;
    if (from->in_container && !from->script_path)
        return NULL;
    cleanup_free char *base = from->in_container
                                  ? text_format("%s/custom/%s", container_folder, token)
                                  : text_dup(c->work_folder);
    return from->name ? path_join(base, from->name) : take_ptr(base);
}

static void copy_command(const struct custom *c, const struct custom_command *from,
                         struct command *to) {
    uint64_t usual_ns = from->interval_ns > RUN_NS_MAX ? from->interval_ns : RUN_NS_MAX;
    *to = (struct command){.name = text_dup(from->name),
                           .command = text_dup(from->command),
                           .script_path = text_dup(from->script_path),
                           .work = work_of(c, from),
                           .in_container = from->in_container,
                           .when = from->when,
                           .interval_ns = from->interval_ns,
                           .timeout_ns = from->timeout_ns ? from->timeout_ns : usual_ns,
                           .targets = mem_new_array(struct target, from->target_count + 1),
                           .target_count = from->target_count};
    for (size_t i = 0; i < from->target_count; i++) {
        const struct custom_target *target = &from->targets[i];
        to->targets[i] = (struct target){.container_id = text_dup(target->container_id),
                                         .container_name = text_dup(target->container_name),
                                         .folder = text_dup(target->folder),
                                         .index = target->index};
    }
}

int custom_new(const struct custom_settings *settings, struct custom **ret, struct error *err) {
    unsigned char bytes[TOKEN_BYTES];
    char token[2 * TOKEN_BYTES + 1];
    cleanup(custom_freep) struct custom *c = mem_new(struct custom);
    random_bytes(bytes, sizeof bytes);
    text_hex(bytes, sizeof bytes, token);
    c->settings = *settings;
    c->stop.event_fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    c->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->ended_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    c->run = text_dup(settings->run);
    c->mark = text_format("%s/%s", settings->run, token);
    c->work_folder = text_dup(settings->work_folder);
    c->commands = mem_new_array(struct command, settings->command_count + 1);
    c->command_count = settings->command_count;
    for (size_t i = 0; i < settings->command_count; i++)
        copy_command(c, &settings->commands[i], &c->commands[i]);
    *ret = take_ptr(c);
    return 0;
}

/* ---- folders and scripts ---- */

static int make_folder(const struct custom *c, const char *folder, const struct task *task,
                       struct error *err) {
    cleanup_free char *script = custom_folder_script(folder);
    return custom_ask_host(c, script, task, err);
}

static const char *script_name(const struct command *command) {
    const char *name = strrchr(command->script_path, '/');
    return name ? name + 1 : command->script_path;
}

static int put_on_host(const struct custom *c, const struct command *command,
                       const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer content = BUFFER_NULL;
    if (command->name && make_folder(c, command->work, task, err) < 0)
        return -1;
    if (!command->script_path)
        return 0;
    if (file_read(command->script_path, SCRIPT_MAX_BYTES, &content, err) < 0)
        return -1;
    cleanup_free char *path = path_join(command->work, script_name(command));
    struct memory_source memory = {.data = content.data, .size = content.size};
    struct source source = memory_source(&memory);
    return host_put(c->settings.host, path, 0755, &source, task, err);
}

static int check_shell(struct custom *c, const struct command *command, const struct target *t,
                       const struct task *task, struct error *err) {
    cleanup(engine_path_deinit) struct engine_path there = ENGINE_PATH_NULL;
    int r = engine_archive_stat(c->engine, t->container_id, "/bin/sh", task, &there, err);
    if (r <= 0)
        return r;
    error_set(err, ERROR_CONFIG, "container '%s' has no /bin/sh, by which command '%s' would run",
              t->container_name, command->name);
    return error_hint(err, "run it `in: host`: CONTAINER_ID leads to the container's processes");
}

/* Every folder on the way, for any user of the container. */
static void list_folders(struct archive_list *list, const char *path) {
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        cleanup_free char *folder = text_format("%.*s", (int)(slash - path), path);
        archive_list_directory(list, folder, 0755);
    }
    archive_list_directory(list, path, 0755);
}

static int put_in_container(struct custom *c, const struct command *command, struct target *t,
                            const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer content = BUFFER_NULL;
    if (custom_have_engine(c, &c->engine, task, err) < 0 ||
        check_shell(c, command, t, task, err) < 0)
        return -1;
    if (!command->script_path || t->has_script)
        return 0;
    if (file_read(command->script_path, SCRIPT_MAX_BYTES, &content, err) < 0)
        return -1;
    cleanup(archive_list_freep) struct archive_list *list = archive_list_new();
    const char *below = command->work + sizeof container_folder; /* and its slash */
    cleanup_free char *path = path_join(below, script_name(command));
    list_folders(list, below);
    archive_list_file(list, path, 0755, content.data, content.size);
    cleanup(archive_stream_freep) struct archive_stream *stream =
        archive_stream_new(archive_list_items(list));
    struct source tar = archive_stream_source(stream);
    if (engine_archive_put(c->engine, t->container_id, container_folder, &tar, task, err) < 0)
        return error_wrap(err, "put the script into container '%s'", t->container_name);
    t->has_script = true;
    return 0;
}

static int prepare_command(struct custom *c, struct command *command, const struct task *task,
                           struct error *err) {
    for (size_t i = 0; i < command->target_count; i++)
        if (file_make_folders(command->targets[i].folder, 0755, err) < 0)
            return -1;
    if (!command->in_container)
        return put_on_host(c, command, task, err);
    for (size_t i = 0; i < command->target_count; i++)
        if (put_in_container(c, command, &command->targets[i], task, err) < 0)
            return -1;
    return 0;
}

int custom_prepare(struct custom *c, const struct task *task, struct error *err) {
    if (make_folder(c, c->work_folder, task, err) < 0)
        return error_wrap(err, "prepare the custom commands");
    for (size_t i = 0; i < c->command_count; i++) {
        struct command *command = &c->commands[i];
        if (prepare_command(c, command, task, err) == 0)
            continue;
        engine_close(c->engine); /* it may be the one whose connection broke */
        c->engine = NULL;
        return command->name ? error_wrap(err, "prepare custom command '%s'", command->name)
                             : error_wrap(err, "prepare the custom command");
    }
    return 0;
}

/* ---- phases: a thread, until it has nothing more to do or is stopped ---- */

static int begin_phase(struct custom *c, void *(*phase)(void *arg), struct error *err) {
    cancel_deinit(&c->stop);
    c->stop.event_fd = -1;
    error_clear(&c->err);
    if (cancel_init(&c->stop, err) < 0)
        return -1;
    int r = pthread_create(&c->thread, NULL, phase, c);
    if (r)
        return error_set_os(err, ERROR_IO, r, "start a thread for the custom commands");
    c->has_thread = true;
    return 0;
}

static void phase_is_over(struct custom *c) {
    uint64_t one = 1;
    ssize_t n = write(c->ended_fd, &one, sizeof one);
    (void)n;
}

static void end_phase(struct custom *c) {
    uint64_t count;
    if (!c->has_thread)
        return;
    cancel_raise(&c->stop, 1);
    custom_end_run(c);
    pthread_join(c->thread, NULL);
    c->has_thread = false;
    ssize_t n = read(c->ended_fd, &count, sizeof count);
    (void)n;
}

/* ---- once ---- */

static void *once_main(void *arg) {
    struct custom *c = arg;
    for (size_t i = 0; i < c->command_count; i++) {
        struct command *command = &c->commands[i];
        while (command->when == c->when && command->begun < command->target_count &&
               cancel_level(&c->stop) == 0) {
            if (custom_run(c, command, &command->targets[command->begun], &c->err) < 0) {
                phase_is_over(c);
                return NULL;
            }
            command->begun++;
        }
    }
    phase_is_over(c);
    return NULL;
}

int custom_once(struct custom *c, enum custom_when when, const struct task *task,
                struct error *err) {
    c->when = when;
    if (begin_phase(c, once_main, err) < 0)
        return -1;
    int r = task_wait(task, c->ended_fd, POLLIN, err);
    end_phase(c);
    if (r == 0 && c->err.kind != ERROR_NONE) {
        *err = c->err;
        r = -1;
    }
    return r;
}

/* ---- at an interval ---- */

static struct command *next_due(struct custom *c) {
    struct command *next = NULL;
    for (size_t i = 0; i < c->command_count; i++) {
        struct command *command = &c->commands[i];
        if (command->when == CUSTOM_INTERVAL && (!next || command->due.ns < next->due.ns))
            next = command;
    }
    return next;
}

/* Negative when there is no sense in going on. */
static int take_turn(struct custom *c, struct command *command) {
    for (size_t i = 0; i < command->target_count && cancel_level(&c->stop) == 0; i++) {
        error_clear(&c->err);
        if (custom_run(c, command, &command->targets[i], &c->err) < 0 && c->settings.await)
            return -1;
    }
    return 0;
}

static void set_due(struct command *command) {
    struct instant now = clock_instant();
    command->due = instant_after(command->due, command->interval_ns);
    while (instant_passed(command->due, now)) {
        command->count.overruns++;
        command->due = instant_after(command->due, command->interval_ns);
    }
}

static void *turns_main(void *arg) {
    struct custom *c = arg;
    struct task task = {.cancel = &c->stop, .deadline = INSTANT_NEVER};
    for (size_t i = 0; i < c->command_count; i++)
        c->commands[i].due = clock_instant();
    for (struct command *command; (command = next_due(c));) {
        struct instant now = clock_instant();
        error_clear(&c->err);
        if (!instant_passed(command->due, now) &&
            task_sleep(&task, instant_ns_between(now, command->due), &c->err) < 0)
            break;
        if (take_turn(c, command) < 0 || cancel_level(&c->stop) > 0)
            break;
        set_due(command);
    }
    phase_is_over(c);
    return NULL;
}

int custom_begin(struct custom *c, struct error *err) {
    return next_due(c) ? begin_phase(c, turns_main, err) : 0;
}

void custom_pause(struct custom *c) {
    end_phase(c);
}

const struct custom_count *custom_count(const struct custom *c, size_t command) {
    return &c->commands[command].count;
}

/* ---- end ---- */

int custom_close(struct custom *c) {
    struct error err = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task task = task_within(&forever, CUSTOM_END_NS_MAX);
    end_phase(c);
    bool left = custom_end_unfinished(c, &task, &err) < 0;
    if (c->settings.remove_work_folder) {
        cleanup_free char *folder = host_quote(c->work_folder);
        cleanup_free char *script = text_format("rm -rf -- %s", folder);
        error_clear(&err);
        left = left || custom_ask_host(c, script, &task, &err) < 0;
    }
    custom_free(c);
    return left;
}

/* ---- what a run leaves ---- */

char *custom_work_folder(const char *run, const char *part) {
    return text_format("/tmp/seatrial-%s-%s", run, part);
}

/* It goes into a pattern of what is removed. */
static bool is_run(const char *run) {
    size_t length = 0;
    while (isalnum((unsigned char)run[length]))
        length++;
    return length > 0 && !run[length];
}

int custom_clean(struct host *host, const char *run, const struct task *task, struct error *err) {
    const struct custom c = {.settings = {.host = host}};
    char shown[64];
    if (!is_run(run))
        return error_set(err, ERROR_INVALID, "'%s' is no run's id",
                         text_safe(run, shown, sizeof shown));
    struct task brief = task_within(task, CUSTOM_END_NS_MAX);
    cleanup_free char *mark = text_format("%s/", run), *prefix = custom_work_folder(run, "");
    cleanup_free char *script = custom_clean_script(mark, prefix);
    if (custom_ask_host(&c, script, &brief, err) < 0)
        return error_wrap(err, "end what custom commands of run %s have left", run);
    return 0;
}
