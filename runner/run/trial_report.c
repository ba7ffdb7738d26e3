/* The end of a trial: what was found out, written down. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/report/trace.h"
#include "runner/run/custom.h"
#include "runner/run/describe.h"
#include "runner/run/resume.h"
#include "runner/run/trial.h"

#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_SCHEMA = 1, STATE_FILE_MAX = 64 << 10, TEXT_MAX = 1 << 20 };

/* ---- what the containers reported ---- */

struct findings {
    struct json *load;      /* of all loaders; NULL: none */
    struct json *load_gaps; /* sentences */
    struct json *loads_by_hand;
    struct request_set **acknowledged; /* by loader, and by load that was started by hand */
    size_t acknowledged_count, acknowledged_capacity;
    struct agreement_replica *replicas;
    size_t replica_count;
    struct agreement agreement;
    struct report_container *containers;
    struct report_core **cores; /* by container */
    size_t container_count;
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
    json_free(f->loads_by_hand);
    free(f->replicas);
    for (size_t i = 0; i < f->container_count; i++)
        free(f->cores[i]);
    free(f->cores);
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

static struct report_core *describe_crashes(const struct trial_container *c) {
    struct report_core *list = mem_new_array(struct report_core, c->core_count + 1);
    for (size_t i = 0; i < c->core_count; i++)
        list[i] = (struct report_core){.path = c->cores[i].path,
                                       .program = c->cores[i].program,
                                       .build_id = c->cores[i].build_id,
                                       .where = c->cores[i].where,
                                       .signal = c->cores[i].signal};
    return list;
}

static uint64_t memory_seen(const struct trial_container *c) {
    uint64_t most = 0;
    if (c->sampled.samples > 0)
        series_max(&c->sampled.series, USAGE_MEMORY_BYTES, SERIES_ALL, &most);
    return most;
}

static void describe_end(const struct trial *t, size_t i, const struct report_core *cores,
                         struct report_container *ret) {
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
        .memory_bytes = c->memory_bytes,
        .memory_bytes_seen = memory_seen(c),
        .cores = cores,
        .core_count = c->core_count,
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
    f->cores = mem_new_array(struct report_core *, plan->container_count);
    f->container_count = plan->container_count;
    trial_read_loads(t, &f->load, &f->load_gaps);
    for (size_t i = 0; i < plan->container_count; i++) {
        enum project_role role = plan->containers[i].service->seatrial.role;
        if (role == PROJECT_ROLE_REPLICA && t->plan->options.mode != PLAN_LOAD)
            read_replica(t, i, f);
        if (role == PROJECT_ROLE_LOADER)
            read_acknowledged(t, t->containers[i].folder, plan->containers[i].name, f);
        f->cores[i] = describe_crashes(&t->containers[i]);
        describe_end(t, i, f->cores[i], &f->containers[i]);
    }
    if (t->plan->options.mode != PLAN_LOAD) {
        read_loads_by_hand(t, f);
        f->loads_by_hand = trial_read_loads_by_hand(t);
    }
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

/* Seed 000's command under a key of its own, those that have names below another. */
static void custom_json(const struct trial *t, const struct trial_host *h, struct json *object) {
    const struct deployment *d = t->plan->deployment;
    struct json *named = NULL;
    for (size_t i = 0; i < d->runtime.command_count; i++) {
        const struct deployment_command *command = &d->runtime.commands[i];
        const struct custom_count *n = &h->custom_counts[i];
        if (command->name && !named)
            named = json_set_object(object, "custom_commands");
        struct json *custom = command->name ? json_set_object(named, command->name)
                                            : json_set_object(object, "custom_command");
        custom_count_write(n, custom);
    }
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
        json_set(object, "facts", h->has_facts ? host_facts_json(&h->facts) : json_new_null());
        json_set_int(object, "other_trials", (int64_t)h->other_trials);
        json_set_int(object, "other_containers", (int64_t)h->other_containers);
        engine_json(h, json_set_object(object, "engine"));
        ssh_json(t, i, object);
        if (h->custom_counts)
            custom_json(t, h, object);
    }
}

static void images_json(const struct trial *t, struct json *list) {
    for (size_t i = 0; i < t->plan->image_count; i++) {
        const struct trial_image *image = trial_main_image(t, i);
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "reference", t->plan->images[i].reference);
        json_set(object, "id", json_new_text(image->id[0] ? image->id : NULL));
        json_set(object, "digest", json_new_text(image->digest));
        json_set_bool(object, "built", t->plan->images[i].build);
        json_set(object, "context_digest", json_new_text(image->context));
        json_set_bool(object, "unchanged", image->unchanged);
        json_set(object, "locked",
                 image->locked.reference ? locked_image_json(&image->locked) : json_new_null());
        struct json *hosts = json_set_object(object, "hosts");
        for (size_t host = 0; host < t->plan->host_count; host++)
            if (trial_image(t, host, i)->id[0])
                json_set_text(hosts, t->plan->hosts[host].name, trial_image(t, host, i)->id);
    }
}

static void log_json(const struct log_result *log, struct json *object) {
    json_set_int(object, "log_lines", (int64_t)log->lines);
    json_set_bool(object, "log_readable", !log->unreadable);
    json_set_bool(object, "log_complete", log->complete);
    json_set_int(object, "log_gap_count", (int64_t)log->gaps_all);
    struct json *gaps = json_set_array(object, "log_gaps");
    for (size_t i = 0; i < log->gap_count; i++) {
        struct json *gap = json_append(gaps, json_new_object());
        set_time(gap, "from", (struct wall_time){log->gaps[i].from_ns});
        set_time(gap, "to", (struct wall_time){log->gaps[i].to_ns});
        json_set_text(gap, "reason", log_gap_reason_name(log->gaps[i].reason));
        json_set_bool(gap, "certain", !log->gaps[i].perhaps);
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
        log_json(&c->log_result, object);
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
    json_set(run, "resumed", resume_json(t));
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
    json_set(run, "samples", trial_samples_json(t));
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

void trial_tell_hold(const struct trial *t) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    buffer_text(
        &text,
        "The replicas are running. Start the loader by hand, from elsewhere; Ctrl-C here, or down "
        "there, ends the trial:\n");
    command_text(t, "load -- -b 100", &text);
    command_text(t, "down", &text);
    progress_clear(t->settings.progress);
    fwrite(text.data, 1, text.size, t->out);
    fflush(t->out);
}

static void hints_text(const struct trial *t, struct buffer *out) {
    const struct plan_options *o = &t->plan->options;
    if (plan_is_left(t->plan) && !t->schedule.aborted) {
        buffer_text(out,
                    "\nThe replicas are running. Start the loader by hand, and end the trial:\n");
        command_text(t, "load -- -b 100", out);
        command_text(t, "down", out);
    } else if (o->keep) {
        buffer_text(out, "\nThe stopped containers were kept. This removes them:\n");
        command_text(t, "down", out);
    }
}

/* Of hosts that were lost nothing was collected: what was followed is what there is. */
static void end_logs(struct trial *t) {
    for (size_t i = 0; i < t->plan->container_count; i++) {
        struct trial_container *c = &t->containers[i];
        if (c->log)
            log_follow_end(c->log, 0, &c->log_result);
        c->log = NULL;
    }
}

/* Returns `ret`, or NULL. */
static const struct report_cost *cost_until_now(const struct trial *t, struct report_cost *ret) {
    if (!t->settings.cost)
        return NULL;
    *ret = *t->settings.cost;
    ret->run_ns = clock_wall().ns - t->started.ns;
    return ret;
}

/* 1 when the verdict is good, 0 when it is not, -1 when it could not be written. */
int trial_report(struct trial *t, FILE *out, struct error *err) {
    cleanup(findings_deinit) struct findings f = {.load = NULL};
    end_logs(t);
    find_out(t, &f);
    cleanup(trial_resources_deinit) struct trial_resources sampled;
    trial_sampled(t, f.load, &sampled);
    struct report_cost cost;
    struct report_input input = {
        .run = t->plan->run,
        .name = t->plan->name,
        .containers = f.containers,
        .container_count = t->plan->container_count,
        .load = f.load,
        .load_gaps = f.load_gaps,
        .loads_by_hand = f.loads_by_hand,
        .load_expected = had_loader(t),
        .agreement = &f.agreement,
        .agreement_expected = t->plan->options.mode == PLAN_TRIAL
                                  ? had_loader(t) || f.acknowledged_count > 0
                                  : t->plan->options.mode != PLAN_LOAD,
        .resources = plan_is_rest(t->plan) ? NULL : &sampled.resources,
        .cost = cost_until_now(t, &cost),
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
    struct error printing = ERROR_NULL;
    if (fwrite(text.data, 1, text.size, out) < text.size || fflush(out) != 0)
        error_set_os(&printing, ERROR_IO, errno, "print the report");
    if (write_all(t, &f, &input, err) < 0)
        return error_wrap(err, "write the results");
    if (printing.kind != ERROR_NONE) {
        *err = printing;
        return error_hint(err, "it is in '%s' all the same", t->results.folder);
    }
    return report_verdict(&input) == VERDICT_GOOD;
}
