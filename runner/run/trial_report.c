/* The end of a trial: what was found out, written down. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/report/trace.h"
#include "runner/run/describe.h"
#include "runner/run/trial.h"

#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_SCHEMA = 1, STATE_FILE_MAX = 64 << 10, TEXT_MAX = 1 << 20 };

/* ---- what the containers reported ---- */

struct findings {
    struct json *load;                 /* of all loaders; NULL: none */
    struct json *load_gaps;            /* sentences */
    struct request_set **acknowledged; /* by loader, and by load that was started by hand */
    size_t acknowledged_count, acknowledged_capacity;
    struct agreement_replica *replicas;
    size_t replica_count;
    struct agreement agreement;
    struct report_container *containers;
};

static void findings_deinit(struct findings *f) {
    for (size_t i = 0; i < f->replica_count; i++)
        if (f->replicas[i].executed)
            request_set_free(f->replicas[i].executed);
    for (size_t i = 0; i < f->acknowledged_count; i++)
        request_set_free(f->acknowledged[i]);
    free(f->acknowledged);
    json_free(f->load);
    json_free(f->load_gaps);
    free(f->replicas);
    free(f->containers);
}

int trial_read_result(struct trial *t, const char *folder, const char *name, size_t size_max,
                      struct buffer *ret) {
    struct error err = ERROR_NULL;
    cleanup_free char *path = path_join(folder, name);
    if (file_read(path, size_max, ret, &err) == 0)
        return 0;
    if (err.kind != ERROR_NOT_FOUND)
        progress_warn(t->settings.progress, "%s", err.text);
    return 1;
}

void trial_unusable(struct trial *t, const char *who, const struct error *err) {
    progress_warn(t->settings.progress, "what %s reports is not usable: %s", who, err->text);
    mem_grow(t->failures, t->failure_count, t->failure_capacity);
    t->failures[t->failure_count++] =
        text_format("what %s reports is not usable: %s", who, err->text);
}

static struct request_set *read_requests(struct trial *t, const char *folder, const char *who,
                                         const char *name) {
    struct error err = ERROR_NULL;
    struct request_set *set = NULL;
    cleanup_free char *path = path_join(folder, name);
    if (file_exists(path) && request_set_load(path, &set, &err) < 0) {
        trial_unusable(t, who, &err);
        return NULL;
    }
    return set;
}

static void read_acknowledged(struct trial *t, const char *folder, const char *who,
                              struct findings *f) {
    struct request_set *set = read_requests(t, folder, who, "acknowledged.json");
    if (!set)
        return;
    mem_grow(f->acknowledged, f->acknowledged_count, f->acknowledged_capacity);
    f->acknowledged[f->acknowledged_count++] = set;
}

/* Loads that were started by hand have folders of their own below the run's. */
static void read_loads_by_hand(struct trial *t, struct findings *f) {
    glob_t found;
    cleanup_free char *pattern =
        text_format("%s/*-load*-*/*/*/acknowledged.json", t->results.folder);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        cleanup_free char *folder = path_folder(found.gl_pathv[i]);
        read_acknowledged(t, folder, "a loader by hand", f);
    }
    globfree(&found);
}

static void read_replica(struct trial *t, size_t container, struct findings *f) {
    struct agreement_replica *r = &f->replicas[f->replica_count++];
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    r->name = t->plan->containers[container].name;
    r->executed = read_requests(t, t->containers[container].folder, r->name, "executed.json");
    if (trial_read_result(t, t->containers[container].folder, "state.json", STATE_FILE_MAX,
                          &text) == 0 &&
        agreement_read_state(text.data, text.size, r, &err) < 0)
        trial_unusable(t, t->plan->containers[container].name, &err);
}

static void describe_end(const struct trial *t, size_t i, struct report_container *ret) {
    const struct plan_container *plan = &t->plan->containers[i];
    const struct trial_container *c = &t->containers[i];
    *ret = (struct report_container){
        .name = plan->name,
        .service = plan->service->name,
        .role = project_role_name(plan->service->seatrial.role),
        .host = t->plan->hosts[plan->host].name,
        .image = t->plan->images[plan->image].reference,
        .image_id = c->image_id,
        .image_digest = trial_image(t, plan->host, plan->image)->digest,
        .created = c->created,
        .ended = c->ended,
        .exit_code = c->exit_code,
        .oom_killed = c->oom_killed,
        .restarts = c->restarts,
        .stopped_by_us = c->stopped_by_us,
        .found_ended = plan_is_rest(t->plan) && !c->stopped_by_us,
        .last_lines = c->last_lines,
    };
}

static void find_out(struct trial *t, struct findings *f) {
    const struct plan *plan = t->plan;
    f->replicas = mem_new_array(struct agreement_replica, plan->container_count);
    f->containers = mem_new_array(struct report_container, plan->container_count);
    trial_read_loads(t, &f->load, &f->load_gaps);
    for (size_t i = 0; i < plan->container_count; i++) {
        enum project_role role = plan->containers[i].service->seatrial.role;
        if (role == PROJECT_ROLE_REPLICA && t->plan->options.mode != PLAN_LOAD)
            read_replica(t, i, f);
        if (role == PROJECT_ROLE_LOADER)
            read_acknowledged(t, t->containers[i].folder, plan->containers[i].name, f);
        describe_end(t, i, &f->containers[i]);
    }
    if (t->plan->options.mode != PLAN_LOAD)
        read_loads_by_hand(t, f);
    agreement_check(f->replicas, f->replica_count, f->acknowledged, f->acknowledged_count,
                    &f->agreement);
}

/* ---- run.json and trace.json ---- */

static void set_time(struct json *object, const char *key, struct wall_time time) {
    char text[WALL_TEXT_SIZE];
    json_set(object, key, time.ns ? json_new_text(wall_text(time, text)) : json_new_null());
}

/* Good if nothing of the stage failed, skipped if nothing was done. */
static void stage_json(const struct trial *t, enum trial_stage stage, struct json *list) {
    struct wall_time started = {0}, ended = {0};
    bool failed = false, any = false, done = false;
    for (size_t i = 0; i < t->plan->step_count; i++) {
        if (t->plan->steps[i].stage != stage)
            continue;
        any = true;
        const struct trial_time *time = &t->times[i];
        if (time->started.ns && (!started.ns || time->started.ns < started.ns))
            started = time->started;
        if (time->ended.ns > ended.ns)
            ended = time->ended;
        failed = failed || t->schedule.states[i] == STEP_FAILED;
        done = done || t->schedule.states[i] == STEP_GOOD;
    }
    if (!any)
        return;
    struct json *object = json_append(list, json_new_object());
    json_set_text(object, "stage", stage_name(stage));
    set_time(object, "started", started);
    set_time(object, "ended", ended);
    json_set_text(object, "outcome", failed ? "failed" : done ? "good" : "skipped");
}

static void engine_json(const struct trial_host *h, struct json *engine) {
    json_set(engine, "id", json_new_text(h->engine_id));
    json_set(engine, "version", json_new_text(h->engine_version));
    json_set(engine, "storage_driver", json_new_text(h->storage_driver));
    cleanup_free char *api = text_format("1.%d", h->api_minor);
    json_set(engine, "api", h->checked ? json_new_text(api) : json_new_null());
}

/* How we are connected to it, and how well that went; null for this machine. */
static void ssh_json(const struct trial *t, size_t host, struct json *object) {
    const struct testbed_host *machine = &t->testbed->hosts[host];
    const struct host_ssh *ssh = machine->host ? host_ssh(machine->host) : NULL;
    const struct outage *outage = &t->hosts[host].outage;
    if (!ssh) {
        json_set(object, "ssh", json_new_null());
        return;
    }
    struct json *value = json_set_object(object, "ssh");
    json_set_text(value, "user", ssh->user);
    json_set_text(value, "address", ssh->address);
    json_set_int(value, "port", ssh->port);
    json_set_int(object, "reconnects", (int64_t)host_reconnects(machine->host));
    json_set_int(object, "outages", (int64_t)outage->count);
    json_set_int(object, "outages_ns", (int64_t)outage->total_ns);
    json_set_bool(object, "lost", outage->given_up);
}

static void hosts_json(const struct trial *t, struct json *list) {
    for (size_t i = 0; i < t->plan->host_count; i++) {
        const struct trial_host *h = &t->hosts[i];
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "name", t->plan->hosts[i].name);
        json_set_text(object, "address", t->plan->hosts[i].address);
        json_set(object, "os", json_new_text(h->os));
        json_set(object, "kernel", json_new_text(h->kernel));
        json_set_int(object, "cpus", h->cpus);
        json_set_int(object, "memory_bytes", h->memory_bytes);
        json_set_int(object, "clock_offset_ns", h->clock.offset_ns);
        json_set_int(object, "clock_uncertain_ns", (int64_t)h->clock.uncertain_ns);
        json_set(object, "disk_free_bytes",
                 h->disk_free_bytes == UINT64_MAX ? json_new_null()
                                                  : json_new_int((int64_t)h->disk_free_bytes));
        engine_json(h, json_set_object(object, "engine"));
        ssh_json(t, i, object);
        if (!h->custom_ran)
            continue;
        struct json *custom = json_set_object(object, "custom_command");
        json_set_int(custom, "runs", (int64_t)h->custom_result.runs);
        json_set_int(custom, "failures", (int64_t)h->custom_result.failures);
        json_set_int(custom, "overruns", (int64_t)h->custom_result.overruns);
        json_set_int(custom, "lost", (int64_t)h->custom_result.lost);
    }
}

/* Where it was built, else the first host that has it: ids of hosts differ only if their engines
 * count differently. */
static const struct trial_image *main_image(const struct trial *t, size_t image) {
    const struct plan *plan = t->plan;
    if (plan->images[image].build && plan->builder != PLAN_NONE)
        return trial_image(t, plan->builder, image);
    for (size_t host = 0; host < plan->host_count; host++)
        if (trial_image(t, host, image)->id[0])
            return trial_image(t, host, image);
    return trial_image(t, 0, image);
}

static void images_json(const struct trial *t, struct json *list) {
    for (size_t i = 0; i < t->plan->image_count; i++) {
        const struct trial_image *image = main_image(t, i);
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "reference", t->plan->images[i].reference);
        json_set(object, "id", json_new_text(image->id[0] ? image->id : NULL));
        json_set(object, "digest", json_new_text(image->digest));
        json_set_bool(object, "built", t->plan->images[i].build);
        json_set(object, "context_digest", json_new_text(image->context));
        json_set_bool(object, "unchanged", image->unchanged);
        struct json *hosts = json_set_object(object, "hosts");
        for (size_t host = 0; host < t->plan->host_count; host++)
            if (trial_image(t, host, i)->id[0])
                json_set_text(hosts, t->plan->hosts[host].name, trial_image(t, host, i)->id);
    }
}

static void containers_json(const struct trial *t, const struct findings *f, struct json *list) {
    for (size_t i = 0; i < t->plan->container_count; i++) {
        const struct trial_container *c = &t->containers[i];
        const struct report_container *r = &f->containers[i];
        if (!c->created)
            continue;
        int signal = report_exit_signal(r);
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "name", r->name);
        json_set_text(object, "host", r->host);
        json_set_text(object, "role", r->role);
        json_set_text(object, "id", c->id);
        json_set_text(object, "image", r->image);
        json_set(object, "image_id", json_new_text(r->image_id));
        json_set(object, "image_digest", json_new_text(r->image_digest));
        json_set(object, "exit_code", r->ended ? json_new_int(r->exit_code) : json_new_null());
        json_set(object, "signal", signal ? json_new_int(signal) : json_new_null());
        json_set_bool(object, "oom_killed", r->oom_killed);
        json_set_int(object, "restarts", r->restarts);
        json_set_int(object, "log_lines", (int64_t)c->log_result.lines);
        json_set_bool(object, "log_complete", c->log_result.complete);
    }
}

static void texts_json(struct json *object, const char *key, char *const *list, size_t count) {
    struct json *array = json_set_array(object, key);
    for (size_t i = 0; i < count; i++)
        json_append_text(array, list[i]);
}

static struct json *run_json(const struct trial *t, const struct findings *f,
                             const struct report_input *input) {
    struct json *run = json_new_object();
    json_set_int(run, "schema", RUN_SCHEMA);
    json_set_text(run, "run", t->plan->run);
    json_set_text(run, "name", t->plan->name);
    json_set_text(run, "seatrial", SEATRIAL_VERSION);
    json_set_text(run, "owner", t->settings.owner);
    json_set_text(run, "verdict", verdict_name(report_verdict(input)));
    set_time(run, "started", t->started);
    set_time(run, "ended", clock_wall());
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    project_write_config(t->plan->project, &text);
    json_set_text(run, "project", buffer_string(&text));
    buffer_clear(&text);
    deployment_write(t->plan->deployment, &text);
    json_set_text(run, "deployment", buffer_string(&text));
    json_set(run, "loader_args", json_new_text(t->plan->loader_args));
    hosts_json(t, json_set_array(run, "hosts"));
    images_json(t, json_set_array(run, "images"));
    struct json *stages = json_set_array(run, "stages");
    for (int stage = 0; stage < STAGE_COUNT; stage++)
        stage_json(t, (enum trial_stage)stage, stages);
    containers_json(t, f, json_set_array(run, "containers"));
    texts_json(run, "failures", t->failures, t->failure_count);
    texts_json(run, "warnings", t->warnings, t->warning_count);
    texts_json(run, "left_behind", t->left_behind, t->left_count);
    return run;
}

static struct json *trace_json(const struct trial *t) {
    struct trace trace;
    trace_init(&trace);
    for (size_t i = 0; i < t->plan->step_count; i++) {
        const struct step *step = &t->plan->steps[i];
        if (!t->times[i].ended.ns)
            continue;
        trace_add(&trace, &(struct trace_span){.name = step_kind_name(step->kind),
                                               .stage = stage_name(step->stage),
                                               .host = t->plan->hosts[step->host].name,
                                               .host_index = step->host,
                                               .subject = plan_subject(t->plan, step),
                                               .outcome = step_state_name(t->schedule.states[i]),
                                               .started_ns = t->times[i].started.ns - t->started.ns,
                                               .ended_ns = t->times[i].ended.ns - t->started.ns});
    }
    return trace_take(&trace);
}

/* What was done later to a run does not overwrite what the run itself recorded. */
static const char *record_name(const struct trial *t) {
    switch (t->plan->options.mode) {
    case PLAN_TRIAL:
    case PLAN_LOAD: break;
    case PLAN_COLLECT: return "collect.json";
    case PLAN_DOWN: return "down.json";
    }
    return "run.json";
}

static bool had_loader(const struct trial *t) {
    for (size_t i = 0; i < t->plan->container_count; i++)
        if (t->plan->containers[i].service->seatrial.role == PROJECT_ROLE_LOADER &&
            (t->containers[i].started || t->containers[i].ended))
            return true;
    return false;
}

static int write_all(struct trial *t, const struct findings *f, const struct report_input *input,
                     struct error *err) {
    cleanup(json_freep) struct json *run = run_json(t, f, input);
    cleanup(json_freep) struct json *summary = report_summary(input);
    cleanup(json_freep) struct json *trace = trace_json(t);
    if (results_write_json(t->results.folder, record_name(t), run, err) < 0 ||
        results_write_json(t->results.folder, "trace.json", trace, err) < 0)
        return -1;
    return results_write_json(t->results.folder, "summary.json", summary, err);
}

/* How this project's commands are begun. */
static void command_text(const struct trial *t, const char *command, struct buffer *out) {
    const struct plan *plan = t->plan;
    buffer_text(out, "  seatrial");
    if (t->testbed->ssh_config)
        buffer_format(out, " --ssh-config %s", t->testbed->ssh_config);
    for (size_t i = 0; plan->project->files && plan->project->files[i]; i++)
        buffer_format(out, " -f %s", plan->project->files[i]);
    if (plan->deployment->file)
        buffer_format(out, " -d %s", plan->deployment->file);
    buffer_format(out, " -p %s %s\n", plan->project->name, command);
}

static void hints_text(const struct trial *t, struct buffer *out) {
    const struct plan_options *o = &t->plan->options;
    if (o->no_load && !t->schedule.aborted) {
        buffer_text(out,
                    "\nThe replicas are running. Start the loader by hand, and end the trial:\n");
        command_text(t, "load -- -b 100", out);
        command_text(t, "down", out);
    } else if (o->keep) {
        buffer_text(out, "\nThe stopped containers were kept. This removes them:\n");
        command_text(t, "down", out);
    }
}

/* 1 when the verdict is good, 0 when it is not, -1 when it could not be written. */
int trial_report(struct trial *t, FILE *out, struct error *err) {
    cleanup(findings_deinit) struct findings f = {.load = NULL};
    find_out(t, &f);
    struct report_input input = {
        .run = t->plan->run,
        .name = t->plan->name,
        .containers = f.containers,
        .container_count = t->plan->container_count,
        .load = f.load,
        .load_gaps = f.load_gaps,
        .load_expected = had_loader(t),
        .agreement = &f.agreement,
        .agreement_expected = t->plan->options.mode == PLAN_TRIAL
                                  ? had_loader(t)
                                  : t->plan->options.mode != PLAN_LOAD,
        .interrupted = t->interrupted,
        .failures = (const char *const *)t->failures,
        .failure_count = t->failure_count,
        .left_behind = (const char *const *)t->left_behind,
        .left_behind_count = t->left_count,
    };
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    report_text(&input, &text);
    buffer_format(&text, "results     %s\n", t->results.folder);
    hints_text(t, &text);
    progress_clear(t->settings.progress);
    fwrite(text.data, 1, text.size, out);
    fflush(out);
    if (write_all(t, &f, &input, err) < 0)
        return error_wrap(err, "write the results");
    return report_verdict(&input) == VERDICT_GOOD;
}
