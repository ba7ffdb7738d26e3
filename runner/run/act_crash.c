/*
 * Core dumps of a container that has ended, or goes on: brought home with the programs and
 * libraries that a debugger needs, and read by one. Nothing here fails a step: what is missing is
 * said. All of it can be done again.
 */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/core.h"
#include "runner/collect/debugger.h"
#include "runner/collect/files.h"
#include "runner/run/core_pattern.h"
#include "runner/run/describe.h"
#include "runner/run/trial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CORES_MAX = 16,   /* of a container; one that is started again and again leaves many */
    NAMES_MAX = 4096, /* files in its folder that are looked at */
    STRAYS_MAX = 16,  /* core dumps outside of that folder */
    SUMMARY_MAX = 16 << 10,
};

static const struct plan_container *planned(const struct act *act) {
    return &act->trial->plan->containers[act->step->subject];
}

static struct trial_container *record(const struct act *act) {
    return &act->trial->containers[act->step->subject];
}

/* ---- before there are any ---- */

/* Of all containers of a service on a host the same is true: it is said once. */
static bool is_first_there(const struct act *act) {
    const struct plan *plan = act->trial->plan;
    for (size_t i = 0; i < act->step->subject; i++)
        if (plan->containers[i].service == planned(act)->service &&
            plan->containers[i].host == act->step->host)
            return false;
    return true;
}

void act_expect_cores(const struct act *act, const char *working_dir) {
    const struct project_service *service = planned(act)->service;
    const char *pattern = act->trial->hosts[act->step->host].facts.core_pattern;
    if (!service->seatrial.cores || !act->trial->plan->deployment->collect.cores || !pattern[0] ||
        pattern[0] == '|' || !is_first_there(act))
        return;
    cleanup(buffer_deinit) struct buffer what, remedy;
    buffer_init(&what, CORE_SENTENCE_MAX);
    buffer_init(&remedy, CORE_SENTENCE_MAX);
    if (core_pattern_judge(pattern, service, working_dir, &what, &remedy) != CORE_ARRIVES)
        act_warn(act, "if a container of service '%s' on host %s leaves a core dump, %s; %s",
                 service->name, act->trial->plan->hosts[act->step->host].name, buffer_string(&what),
                 buffer_string(&remedy));
}

/* One core dump while it is looked at. */
struct look {
    const struct act *act;
    const struct task *task;
    char *path;    /* of the core dump, here */
    char *root;    /* the folder that stands for the container's file system */
    char *program; /* below it; NULL: not there */
    struct core core;
    struct buffer notes; /* what people have to know of the binaries */
    struct error *first; /* a host that was lost: all of it is done again */
};

static void look_deinit(struct look *l) {
    free(l->path);
    free(l->root);
    free(l->program);
    core_deinit(&l->core);
    buffer_deinit(&l->notes);
}

/* ---- programs and libraries ---- */

/* Is there an ELF image at `path`, and what is its build-id? */
static bool image_is_there(const char *path, char ret_id[BUILD_ID_TEXT_SIZE]) {
    struct elf_header header;
    cleanup_close int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    const struct elf_source file = elf_file_source(&fd);
    if (fd < 0 || elf_read_header(&file, 0, &header) != 0)
        return false;
    elf_build_id(&file, 0, true, ret_id);
    return true;
}

/* What is no ELF image is nothing that a debugger needs: a core dump may name any file. */
static bool fetch_image(const struct look *l, const char *inside, const char *path,
                        char ret_id[BUILD_ID_TEXT_SIZE]) {
    struct error err = ERROR_NULL;
    cleanup_free const char **secrets = act_secret_paths(l->act);
    cleanup_free char *folder = path_folder(path);
    const struct files_want want = {
        .path = inside, .as = FILES_NAMED, .folder = folder, .without = secrets};
    unlink(path); /* of another core dump, with another build-id */
    if (act_fetch_more(l->act, &want, l->task, &err) < 0) {
        if (err.kind == ERROR_UNREACHABLE || err.kind == ERROR_CANCELLED)
            act_note_failure(l->first, &err);
        return false;
    }
    if (image_is_there(path, ret_id))
        return true;
    unlink(path);
    return false;
}

/* Under the name, too, by which the dynamic linker knew it: there a debugger looks. */
static void add_name(const struct look *l, const char *path, const char *name) {
    struct error ignored = ERROR_NULL;
    cleanup_free char *other = text_format("%s%s", l->root, name);
    cleanup_free char *folder = path_folder(other);
    if (file_make_folders(folder, 0755, &ignored) < 0)
        return;
    int r = link(path, other);
    (void)r; /* if it is there already, it is of an earlier core dump */
}

static void bring_module(struct look *l, const struct core_module *module, bool program) {
    char id[BUILD_ID_TEXT_SIZE] = "", shown[CORE_PATH_MAX];
    cleanup_free char *path = text_format("%s%s", l->root, module->path);
    bool wanted = module->build_id[0];
    bool there = image_is_there(path, id) && wanted && text_equal(id, module->build_id);
    text_safe(module->path, shown, sizeof shown);
    if (!there && !fetch_image(l, module->path, path, id)) {
        buffer_format(&l->notes, "%s could not be brought: it is not there any more\n", shown);
        return;
    }
    if (wanted && !text_equal(id, module->build_id))
        buffer_format(&l->notes,
                      "%s is another than the one that ran (build-id %s, then %s): do not trust "
                      "what is said of it\n",
                      shown, id[0] ? id : "none", module->build_id);
    if (program)
        l->program = text_dup(path);
    if (module->name)
        add_name(l, path, module->name);
}

/* A core dump without first pages names its program alone. */
static void bring_binaries(struct look *l) {
    for (size_t i = 0; i < l->core.module_count; i++)
        bring_module(l, &l->core.modules[i], (int)i == l->core.main_module);
    if (l->core.main_module != CORE_NONE || !l->core.program || l->core.program[0] != '/')
        return;
    const struct core_module program = {.path = l->core.program};
    bring_module(l, &program, true);
}

/* ---- the backtrace ---- */

static const char *build_id_of(const struct core *core) {
    return core->main_module == CORE_NONE ? "" : core->modules[core->main_module].build_id;
}

static void write_head(const struct look *l, const struct backtrace_want *want,
                       struct buffer *out) {
    const struct core *core = &l->core;
    const char *name = core->signal ? sigdescr_np(core->signal) : NULL;
    char shown[CORE_PATH_MAX];
    cleanup_free char *by_hand = backtrace_by_hand(want);
    buffer_format(out, "core dump  %s\nof         %s, process %" PRId64 ", %zu threads\n", l->path,
                  text_safe(core->program ? core->program : "?", shown, sizeof shown), core->pid,
                  core->threads);
    if (core->signal)
        buffer_format(out, "ended by   signal %d (%s)\n", core->signal, name ? name : "?");
    buffer_format(out, "build-id   %s\n", *build_id_of(core) ? build_id_of(core) : "none");
    buffer_format(out, "by hand    %s\n\n%s", by_hand, buffer_string(&l->notes));
}

static void note_where(const struct buffer *said, struct trial_core *ret) {
    struct backtrace_frame frame;
    cleanup(buffer_deinit) struct buffer where;
    if (!said->data || !backtrace_top(said->data, &frame))
        return;
    char function[BACKTRACE_FUNCTION_SIZE], file[BACKTRACE_FILE_SIZE];
    buffer_init(&where, sizeof function + sizeof file + 16);
    buffer_text(&where, text_safe(frame.function, function, sizeof function));
    if (frame.line)
        buffer_format(&where, " at %s:%u", text_safe(frame.file, file, sizeof file), frame.line);
    free(ret->where);
    ret->where = text_dup(buffer_string(&where));
}

static int write_backtrace(const struct look *l, struct trial_core *ret, struct error *err) {
    const struct backtrace_want want = {.core = l->path, .program = l->program, .root = l->root};
    cleanup_free char *path = text_format("%s.backtrace.txt", l->path);
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL, out;
    buffer_init(&out, SUMMARY_MAX + 2 * DEBUGGER_OUTPUT_MAX);
    write_head(l, &want, &out);
    int r = debugger_run(&want, l->task, &said, err);
    if (r < 0)
        return -1;
    if (r == 1) {
        buffer_text(&out, "There is no gdb on this machine (`apt-get install gdb`): the line "
                          "above shows the backtrace where there is one.\n");
        act_warn(l->act, "there is no gdb here: '%s' says how to get the backtrace by hand", path);
    }
    if (said.data)
        text_harmless(&out, said.data, said.size);
    note_where(&said, ret);
    return file_write(path, 0644, out.data, out.size, err);
}

/* ---- a core dump ---- */

/* 1 when it is none. */
static int read_core(struct look *l, struct error *err) {
    struct stat st;
    cleanup_close int fd = open(l->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "read '%s'", l->path);
    return S_ISREG(st.st_mode) ? core_read(fd, &l->core, err) : 1;
}

static void describe(const struct look *l, struct trial_core *ret) {
    char shown[CORE_PATH_MAX];
    const char *below = l->path + strlen(l->act->trial->results.folder);
    *ret = (struct trial_core){
        .path = text_dup(below + (*below == '/')),
        .program =
            l->core.program ? text_dup(text_safe(l->core.program, shown, sizeof shown)) : NULL,
        .build_id = *build_id_of(&l->core) ? text_dup(build_id_of(&l->core)) : NULL,
        .signal = l->core.signal,
    };
}

/* 1 when the file is no core dump; one that cannot be read is one, of which little is known. */
static int look_at_core(const struct act *act, const char *folder, const char *name,
                        const struct task *task, struct trial_core *ret, struct error *first,
                        struct error *err) {
    struct error reading = ERROR_NULL;
    cleanup(look_deinit) struct look l = {.act = act,
                                          .task = task,
                                          .path = path_join(folder, name),
                                          .root = path_join(record(act)->folder, "binaries"),
                                          .core = CORE_NULL,
                                          .first = first};
    buffer_init(&l.notes, SUMMARY_MAX);
    int r = read_core(&l, &reading);
    if (r == 1)
        return 1;
    act_say(act, "core dump %s", name);
    if (r < 0) {
        buffer_format(&l.notes, "it could not be read: %s\n", reading.text);
        act_warn(act, "the core dump '%s' could not be read: %s", l.path, reading.text);
    }
    bring_binaries(&l);
    describe(&l, ret);
    return write_backtrace(&l, ret, err);
}

void trial_forget_cores(struct trial_container *c) {
    for (size_t i = 0; i < c->core_count; i++) {
        free(c->cores[i].path);
        free(c->cores[i].program);
        free(c->cores[i].build_id);
        free(c->cores[i].where);
    }
    free(c->cores);
    c->cores = NULL;
    c->core_count = 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of what is in a folder, in order. */
static char **list_folder(const char *path, size_t *ret_count) {
    cleanup_closedir DIR *dir = opendir(path);
    char **names = mem_new_array(char *, NAMES_MAX);
    size_t count = 0;
    const struct dirent *entry;
    while (dir && count < NAMES_MAX && (entry = readdir(dir)))
        if (entry->d_name[0] != '.' && !text_ends(entry->d_name, ".backtrace.txt"))
            names[count++] = text_dup(entry->d_name);
    qsort(names, count, sizeof *names, by_name);
    *ret_count = count;
    return names;
}

static void look_at_cores(const struct act *act, const char *folder, const struct task *task,
                          struct error *first) {
    struct trial_container *c = record(act);
    size_t count;
    char **names = list_folder(folder, &count);
    trial_forget_cores(c);
    c->cores = mem_new_array(struct trial_core, CORES_MAX);
    for (size_t i = 0; i < count && c->core_count < CORES_MAX; i++) {
        struct error err = ERROR_NULL;
        struct trial_core *core = &c->cores[c->core_count];
        int r = look_at_core(act, folder, names[i], task, core, first, &err);
        if (r < 0)
            act_note_failure(first, &err);
        c->core_count += core->path != NULL;
    }
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (c->core_count == CORES_MAX)
        act_warn(act, "%s left many core dumps: %d of them were looked at", planned(act)->name,
                 CORES_MAX);
    if (c->core_count > 0)
        act_warn(act, "%s left core dumps: see '%s'", planned(act)->name, folder);
}

/* ---- where they are ---- */

/* Core dumps that lie elsewhere in the container, as those of a process that went to another
 * folder do. */
static void fetch_strays(const struct act *act, const char *folder, const struct task *task) {
    struct error ignored = ERROR_NULL;
    const char *pattern = act->trial->hosts[act->step->host].facts.core_pattern;
    cleanup(json_freep) struct json *changes = NULL;
    if (engine_container_changes(act->engine, record(act)->id, task, &changes, &ignored) != 0)
        return;
    cleanup_free const char **secrets = act_secret_paths(act);
    for (size_t i = 0, found = 0; i < json_count(changes) && found < STRAYS_MAX; i++) {
        const char *path = json_text_or_null(json_member(json_at(changes, i), "Path"));
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (!slash || path[0] != '/' || !core_pattern_matches(pattern, slash + 1))
            continue;
        const struct files_want want = {
            .path = path, .as = FILES_NAMED, .folder = folder, .without = secrets};
        found += act_fetch_more(act, &want, task, &ignored) == 0;
    }
}

static bool ended_by_signal(const struct trial_container *c) {
    return c->ended && c->exit_code > 128 && c->exit_code != 130 && c->exit_code != 137 &&
           c->exit_code != 143;
}

void act_fetch_cores(const struct act *act, size_t place, const struct task *task,
                     struct error *first) {
    struct trial_container *c = record(act);
    const char *cores = describe_cores(planned(act)->service);
    if (!cores || !act->trial->plan->deployment->collect.cores)
        return;
    cleanup_free char *folder = path_join(c->folder, "cores");
    act_fetch(act, place,
              (struct files_want){.path = cores, .as = FILES_CONTENTS, .folder = folder}, task,
              first);
    files_remove_empty(folder);
    if (ended_by_signal(c) && !file_exists(folder))
        fetch_strays(act, folder, task);
    files_remove_empty(folder);
    if (file_exists(folder))
        look_at_cores(act, folder, task, first);
}
