#include "runner/run/resume.h"

#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/custom.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20, PLAN_TEXT_MAX = 64 << 20, FILE_MAX = 16 << 20 };

void trial_resume_deinit(struct trial_resume *resume) {
    journal_log_deinit(&resume->log);
    free(resume->how);
    *resume = TRIAL_RESUME_NULL;
}

/* ---- the first line ---- */

static void digest_of(const void *data, size_t size, char ret[DIGEST_TEXT_SIZE]) {
    unsigned char hash[SHA256_SIZE];
    sha256_of(data, size, hash);
    digest_text(hash, ret);
}

/* Who does what, where, in which order. */
static int plan_digest(const struct plan *plan, char ret[DIGEST_TEXT_SIZE], struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, PLAN_TEXT_MAX);
    plan_write_text(plan, &text);
    plan_write_cluster(plan, &text);
    if (buffer_check(&text, "the plan", err) < 0)
        return -1;
    digest_of(text.data, text.size, ret);
    return 0;
}

static int file_digest(const char *path, char ret[DIGEST_TEXT_SIZE], struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, FILE_MAX, &text, err) < 0)
        return -1;
    digest_of(text.data ? text.data : "", text.size, ret);
    return 0;
}

static int add_file(struct json *files, const char *path, struct error *err) {
    char digest[DIGEST_TEXT_SIZE];
    if (file_digest(path, digest, err) < 0)
        return -1;
    cleanup_free char *absolute = path_absolute(path);
    struct json *file = json_append(files, json_new_object());
    json_set_text(file, "path", absolute);
    json_set_text(file, "digest", digest);
    return 0;
}

/* Text and digest of a file as we understood it: variables of the environment are in it too. */
static int set_understood(struct json *header, const char *key, const struct buffer *text,
                          struct error *err) {
    char digest[DIGEST_TEXT_SIZE];
    if (buffer_check(text, key, err) < 0)
        return -1;
    struct json *object = json_set_object(header, key);
    digest_of(text->data ? text->data : "", text->size, digest);
    json_set_text(object, "digest", digest);
    json_set_text(object, "text", text->data ? text->data : "");
    return 0;
}

static int set_both(struct json *header, const struct plan *plan, struct error *err) {
    cleanup(buffer_deinit) struct buffer project, deployment;
    buffer_init(&project, TEXT_MAX);
    buffer_init(&deployment, TEXT_MAX);
    project_write_config(plan->project, &project);
    deployment_write(plan->deployment, &deployment);
    if (set_understood(header, "project_text", &project, err) < 0)
        return -1;
    return set_understood(header, "deployment_text", &deployment, err);
}

static const char *mode_name(enum plan_mode mode) {
    static const char *const names[] = {[PLAN_TRIAL] = "trial",
                                        [PLAN_LOAD] = "load",
                                        [PLAN_COLLECT] = "collect",
                                        [PLAN_DOWN] = "down"};
    return names[mode];
}

/* The wishes that are true or false; one table for both ways. */
static const struct {
    const char *name;
    size_t offset;
} wishes[] = {
    {"no_build_replica", offsetof(struct plan_options, no_build_replica)},
    {"frozen", offsetof(struct plan_options, frozen)},
    {"no_build_loader", offsetof(struct plan_options, no_build_loader)},
    {"no_push_replica", offsetof(struct plan_options, no_push_replica)},
    {"no_push_loader", offsetof(struct plan_options, no_push_loader)},
    {"keep", offsetof(struct plan_options, keep)},
    {"no_load", offsetof(struct plan_options, no_load)},
    {"detach", offsetof(struct plan_options, detach)},
    {"machines_only", offsetof(struct plan_options, machines_only)},
    {"in_memory", offsetof(struct plan_options, in_memory)},
    {"no_merkle", offsetof(struct plan_options, no_merkle)},
    {"copy_data", offsetof(struct plan_options, copy_data)},
};
enum { WISHES = sizeof wishes / sizeof *wishes };

static void set_options(struct json *header, const struct plan *plan,
                        const struct trial_settings *settings) {
    struct json *options = json_set_object(header, "options");
    for (size_t i = 0; i < WISHES; i++)
        json_set_bool(options, wishes[i].name,
                      *(const bool *)((const char *)&plan->options + wishes[i].offset));
    json_set(options, "loader_args", json_new_text(plan->loader_args));
    json_set_int(options, "health_timeout_ns", (int64_t)settings->health_timeout_ns);
}

int resume_header(const struct trial *t, struct json **ret, struct error *err) {
    const struct plan *plan = t->plan;
    char digest[DIGEST_TEXT_SIZE];
    cleanup(json_freep) struct json *header = json_new_object();
    json_set_text(header, "mode", mode_name(plan->options.mode));
    json_set_text(header, "run", plan->run);
    json_set_text(header, "project", plan->project->name);
    json_set_text(header, "owner", t->settings.owner);
    json_set_text(header, "seatrial", SEATRIAL_VERSION);
    json_set_int(header, "steps", (int64_t)plan->step_count);
    struct json *files = json_set_array(header, "files");
    for (size_t i = 0; plan->project->files && plan->project->files[i]; i++)
        if (add_file(files, plan->project->files[i], err) < 0)
            return -1;
    if (plan->deployment->file && add_file(files, plan->deployment->file, err) < 0)
        return -1;
    if (set_both(header, plan, err) < 0 || plan_digest(plan, digest, err) < 0)
        return -1;
    json_set_text(header, "plan", digest);
    set_options(header, plan, &t->settings);
    *ret = take_ptr(header);
    return 0;
}

/* ---- and back ---- */

int resume_options(const struct journal_log *log, struct plan_options *ret,
                   struct trial_settings *settings, struct error *err) {
    const char *mode, *run, *args;
    const struct json *options;
    int64_t health_ns;
    *ret = (struct plan_options){.mode = PLAN_TRIAL};
    if (json_get_text(log->header, "mode", "trial", &mode, err) < 0 ||
        json_require_text(log->header, "run", &run, err) < 0 ||
        json_require_object(log->header, "options", &options, err) < 0 ||
        json_get_text(options, "loader_args", NULL, &args, err) < 0 ||
        json_get_int(options, "health_timeout_ns", 0, &health_ns, err) < 0)
        return error_wrap(err, "the journal's first line");
    if (!text_equal(mode, "trial")) {
        error_set(err, ERROR_CONFLICT, "that was no `run`, but a `%.16s`", mode);
        return error_hint(err, "only a `run` can be resumed; begin it anew");
    }
    for (size_t i = 0; i < WISHES; i++)
        if (json_get_bool(options, wishes[i].name, false, (bool *)((char *)ret + wishes[i].offset),
                          err) < 0)
            return error_wrap(err, "the journal's first line");
    ret->run = run;
    ret->loader_args = args;
    settings->health_timeout_ns = health_ns > 0 ? (uint64_t)health_ns : 0;
    return 0;
}

static int changed(const char *what, const char *hint, struct error *err) {
    error_set(err, ERROR_CONFLICT, "%s since the run began", what);
    return error_hint(err, "%s; or end the run with `seatrial down`, and begin a new one", hint);
}

/* The first file that is not what it was. */
static int check_files(const struct json *header, struct error *err) {
    const struct json *files = json_member(header, "files");
    for (size_t i = 0; i < json_count(files); i++) {
        char digest[DIGEST_TEXT_SIZE];
        struct error reading = ERROR_NULL;
        const char *path = json_text_or_null(json_member(json_at(files, i), "path"));
        const char *was = json_text_or_null(json_member(json_at(files, i), "digest"));
        bool same =
            path && was && file_digest(path, digest, &reading) == 0 && text_equal(was, digest);
        if (same)
            continue;
        char shown[512];
        cleanup_free char *what =
            text_format("'%s' has changed", text_safe(path ? path : "", shown, sizeof shown));
        return changed(what, "put it back as it was", err);
    }
    return 0;
}

static int check_understood(const struct json *now, const struct json *then, const char *path,
                            const char *what, struct error *err) {
    if (text_equal(json_text_or_null(json_find(now, path)),
                   json_text_or_null(json_find(then, path))))
        return 0;
    return changed(what, "call it as the run was called, with the same environment", err);
}

static int check_same(const struct journal_log *log, const struct plan *plan, struct error *err) {
    cleanup(json_freep) struct json *now = json_new_object();
    char digest[DIGEST_TEXT_SIZE];
    if (check_files(log->header, err) < 0 || set_both(now, plan, err) < 0 ||
        plan_digest(plan, digest, err) < 0)
        return -1;
    json_set_text(now, "plan", digest);
    if (check_understood(now, log->header, "project_text.digest",
                         "what the Compose files say has changed", err) < 0 ||
        check_understood(now, log->header, "deployment_text.digest",
                         "what the deployment file says has changed", err) < 0)
        return -1;
    return check_understood(now, log->header, "plan",
                            "the plan (steps, hosts or their addresses) has changed", err);
}

static int check_state(const struct journal_log *log, struct error *err) {
    if (!log->taken_down)
        return 0;
    error_set(err, ERROR_CONFLICT, "it was ended by `seatrial down`");
    return error_hint(err, "begin a new run");
}

int resume_prepare(struct trial_resume *resume, struct plan *plan, struct error *err) {
    const struct journal_log *log = &resume->log;
    if (check_state(log, err) < 0 || check_same(log, plan, err) < 0)
        return -1;
    if (log->step_count != plan->step_count)
        return error_set(err, ERROR_INVALID, "the journal is of %zu steps, and the plan has %zu",
                         log->step_count, plan->step_count);
    cleanup_free enum step_state *was = mem_new_array(enum step_state, plan->step_count);
    for (size_t i = 0; i < plan->step_count; i++)
        was[i] = log->steps[i].state;
    resume->how = mem_new_array(enum resume_how, plan->step_count);
    resume->forward = resume_steps(plan, was, log->interrupted, resume->how);
    resume_order(plan, resume->how, resume->forward);
    return 0;
}

/* ---- what steps leave for others ---- */

static void note_image(const struct trial_image *image, struct json *fields) {
    struct json *object = json_set_object(fields, "image");
    json_set_text(object, "id", image->id);
    json_set(object, "digest", json_new_text(image->digest));
    json_set(object, "pushed", json_new_text(image->pushed));
    json_set(object, "context", json_new_text(image->context));
    json_set_bool(object, "unchanged", image->unchanged);
    json_set_bool(object, "by_id", image->by_id);
    if (image->locked.reference)
        json_set_text(object, "reference", image->locked.reference);
    json_set(object, "locked",
             image->locked.reference ? locked_image_json(&image->locked) : json_new_null());
}

static char *text_of(const struct json *object, const char *key) {
    return text_dup(json_text_or_null(json_member(object, key)));
}

static bool truth_of(const struct json *object, const char *key) {
    struct error ignored = ERROR_NULL;
    bool truth = false;
    json_get_bool(object, key, false, &truth, &ignored);
    return truth;
}

static int64_t number_of(const struct json *object, const char *key) {
    struct error ignored = ERROR_NULL;
    int64_t number = 0;
    json_get_int(object, key, 0, &number, &ignored);
    return number;
}

static void replace(char **text, char *by) {
    free(*text);
    *text = by;
}

static void restore_image(struct trial_image *image, const struct json *object) {
    const char *id = json_text_or_null(json_member(object, "id"));
    snprintf(image->id, sizeof image->id, "%s", id ? id : "");
    replace(&image->digest, text_of(object, "digest"));
    replace(&image->pushed, text_of(object, "pushed"));
    replace(&image->context, text_of(object, "context"));
    image->unchanged = truth_of(object, "unchanged");
    image->by_id = truth_of(object, "by_id");
    const char *reference = json_text_or_null(json_member(object, "reference"));
    const struct json *locked = json_member(object, "locked");
    struct error ignored = ERROR_NULL;
    locked_image_deinit(&image->locked);
    if (reference && json_is_object(locked))
        (void)locked_image_read(reference, locked, &image->locked, &ignored);
}

static void note_container(const struct trial_container *c, struct json *fields) {
    if (!c->created)
        return;
    json_set_text(fields, "container", c->id);
    json_set(fields, "image_id", json_new_text(c->image_id));
    if (!c->ended)
        return;
    struct json *end = json_set_object(fields, "ended");
    json_set_int(end, "exit_code", c->exit_code);
    json_set_int(end, "restarts", c->restarts);
    json_set_bool(end, "oom_killed", c->oom_killed);
    json_set_bool(end, "stopped_by_us", c->stopped_by_us);
    json_set(end, "last_lines", json_new_text(c->last_lines));
    json_set_int(end, "log_lines", (int64_t)c->log_result.lines);
    json_set_bool(end, "log_complete", c->log_result.complete);
}

static void restore_end(struct trial_container *c, const struct json *end) {
    c->ended = true;
    c->exit_code = number_of(end, "exit_code");
    c->restarts = number_of(end, "restarts");
    c->oom_killed = truth_of(end, "oom_killed");
    c->stopped_by_us = truth_of(end, "stopped_by_us");
    replace(&c->last_lines, text_of(end, "last_lines"));
    c->log_result.lines = (uint64_t)number_of(end, "log_lines");
    c->log_result.complete = truth_of(end, "log_complete");
}

static void restore_container(struct trial_container *c, const struct json *line) {
    const char *id = json_text_or_null(json_member(line, "container"));
    if (!id)
        return;
    snprintf(c->id, sizeof c->id, "%s", id);
    c->created = true;
    replace(&c->image_id, text_of(line, "image_id"));
    const struct json *end = json_member(line, "ended");
    if (json_is_object(end))
        restore_end(c, end);
}

static void note_commands(const struct trial *t, size_t index, struct json *fields) {
    const struct custom_count *counts = t->hosts[index].custom_counts;
    if (!counts)
        return;
    struct json *list = json_set_array(fields, "custom");
    for (size_t i = 0; i < t->plan->deployment->runtime.command_count; i++)
        custom_count_write(&counts[i], json_append(list, json_new_object()));
}

static void restore_commands(struct trial *t, size_t index, const struct json *list) {
    size_t count = t->plan->deployment->runtime.command_count;
    struct trial_host *host = &t->hosts[index];
    if (!json_is_array(list) || json_count(list) != count || host->custom_counts)
        return;
    host->custom_counts = mem_new_array(struct custom_count, count);
    for (size_t i = 0; i < count; i++)
        host->custom_counts[i] = custom_count_read(json_at(list, i));
}

void resume_note(const struct trial *t, size_t index, struct json *fields) {
    const struct step *step = &t->plan->steps[index];
    const struct trial_host *host = &t->hosts[step->host];
    switch (step_subject(step->kind)) {
    case SUBJECT_IMAGE: note_image(trial_image(t, step->host, step->subject), fields); break;
    case SUBJECT_CONTAINER: note_container(&t->containers[step->subject], fields); break;
    case SUBJECT_HOST:
    case SUBJECT_NETWORK:
    case SUBJECT_VOLUME: break;
    }
    if (step->kind == STEP_PUT_FILES) {
        json_set(fields, "volume", json_new_text(host->files_volume));
        json_set(fields, "path", json_new_text(host->files_path));
    }
    if (step->kind == STEP_GIVE_START)
        json_set_int(fields, "start_ns", (int64_t)atomic_load(&t->load_start_ns));
    if (step->kind == STEP_STOP_COMMANDS)
        note_commands(t, step->host, fields);
}

/* Of a step that had ended. */
static void restore_result(struct trial *t, const struct step *step, const struct json *line) {
    struct trial_host *host = &t->hosts[step->host];
    if (step_subject(step->kind) == SUBJECT_IMAGE && json_is_object(json_member(line, "image")))
        restore_image(trial_image(t, step->host, step->subject), json_member(line, "image"));
    if (step_subject(step->kind) == SUBJECT_CONTAINER)
        restore_container(&t->containers[step->subject], line);
    if (step->kind == STEP_PUT_FILES) {
        replace(&host->files_volume, text_of(line, "volume"));
        replace(&host->files_path, text_of(line, "path"));
    }
    if (step->kind == STEP_GIVE_START)
        atomic_store(&t->load_start_ns, number_of(line, "start_ns"));
    if (step->kind == STEP_STOP_COMMANDS)
        restore_commands(t, step->host, json_member(line, "custom"));
}

/* What may be there because the step had begun. */
static void restore_begun(struct trial *t, const struct step *step, enum step_state state) {
    bool good = state == STEP_GOOD;
    switch (step->kind) {
    case STEP_CREATE_NETWORK: *trial_network_made(t, step->host, step->subject) = true; break;
    case STEP_CREATE_VOLUME: *trial_volume_made(t, step->host, step->subject) = true; break;
    case STEP_REMOVE_NETWORK: *trial_network_made(t, step->host, step->subject) = !good; break;
    case STEP_REMOVE_VOLUME: *trial_volume_made(t, step->host, step->subject) = !good; break;
    case STEP_CREATE_CONTAINER: t->containers[step->subject].maybe_created = true; break;
    case STEP_START_CONTAINER: t->containers[step->subject].started = good; break;
    case STEP_STOP_CONTAINER: t->containers[step->subject].stop_begun = true; break;
    case STEP_REMOVE_CONTAINER: t->containers[step->subject].removed = good; break;
    case STEP_REMOVE_FILES:
        if (good)
            replace(&t->hosts[step->host].files_volume, NULL);
        break;
    default: break;
    }
}

static void remember(char ***list, size_t *count, size_t *capacity, const char *text) {
    mem_grow(*list, *count, *capacity);
    (*list)[(*count)++] = text_dup(text);
}

static void restore_failure(struct trial *t, const struct json *line) {
    const char *text = json_text_or_null(json_member(line, "error"));
    if (!text || truth_of(line, "cancelled"))
        return;
    if (t->first_error.kind == ERROR_NONE)
        error_set(&t->first_error, ERROR_FAILED, "%s", text);
    remember(&t->failures, &t->failure_count, &t->failure_capacity, text);
}

static void restore_step(struct trial *t, size_t i) {
    const struct trial_resume *resume = t->settings.resume;
    const struct journal_step *was = &resume->log.steps[i];
    const struct step *step = &t->plan->steps[i];
    if (was->state == STEP_WAITING)
        return;
    t->times[i] = (struct trial_time){.started = was->begun, .ended = was->ended};
    restore_begun(t, step, was->state);
    if (was->end)
        restore_result(t, step, was->end);
    if (resume->how[i] != RESUME_DONE)
        return;
    schedule_restore(&t->schedule, i, was->state);
    if (was->state == STEP_FAILED)
        restore_failure(t, was->end);
}

void resume_restore(struct trial *t) {
    const struct trial_resume *resume = t->settings.resume;
    const struct journal_log *log = &resume->log;
    t->started = log->first;
    t->interrupted = log->interrupted;
    for (size_t i = 0; i < log->step_count; i++)
        restore_step(t, i);
    for (size_t i = 0; i < log->warning_count; i++) {
        const char *text = json_text_or_null(json_member(log->warnings[i], "text"));
        if (text)
            remember(&t->warnings, &t->warning_count, &t->warning_capacity, text);
    }
    if (resume->forward)
        return;
    schedule_abort(&t->schedule);
    cancel_raise(&t->forward, 1);
}

struct json *resume_json(const struct trial *t) {
    const struct trial_resume *resume = t->settings.resume;
    char text[WALL_TEXT_SIZE];
    if (!resume)
        return json_new_array();
    struct json *list = json_new_array();
    for (size_t i = 0; i <= resume->log.resumed_count; i++) {
        const struct json *line = i < resume->log.resumed_count ? resume->log.resumed[i] : NULL;
        struct wall_time died =
            line ? (struct wall_time){number_of(line, "died_ns")} : resume->log.last;
        struct wall_time went_on = line ? (struct wall_time){number_of(line, "ns")} : t->resumed;
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "last_seen", wall_text(died, text));
        json_set_text(object, "resumed", wall_text(went_on, text));
    }
    return list;
}
