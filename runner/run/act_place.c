/* Steps about what containers are given: networks, volumes, and what prepare services left for
 * them. */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/engine/network.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/prepared.h"
#include "runner/run/trial.h"

#include <stdlib.h>
#include <string.h>

/* Keys, certificates and configurations, held in memory: nothing larger belongs there. */
enum { PREPARED_MAX_BYTES = 64 << 20 };

static bool of_this_run(const struct act *act, const struct json *labels) {
    return text_equal(json_text_or_null(json_member(labels, LABEL_RUN)), act->trial->plan->run);
}

/* ---- networks ---- */

static const struct project_network *network_of(const struct act *act) {
    return &act->trial->plan->project->networks[act->step->subject];
}

/* An earlier try made it, and only the answer was lost. */
static int adopt_network(const struct act *act, const char *name, struct error *err) {
    struct task task = act_cleanup_task(act);
    struct error looking = ERROR_NULL;
    cleanup(engine_network_deinit) struct engine_network found = ENGINE_NETWORK_NULL;
    int r = engine_network_inspect(act->engine, name, &task, &found, &looking);
    if (r < 0)
        *err = looking;
    if (r != 0 || !of_this_run(act, found.labels))
        return -1;
    error_clear(err);
    return 0;
}

int act_create_network(struct act *act, struct error *err) {
    const struct plan *plan = act->trial->plan;
    const struct project_network *network = network_of(act);
    struct engine_pair labels[LABELS_NETWORK_MAX];
    char id[ENGINE_ID_SIZE];
    describe_network_labels(plan, network, act->trial->settings.owner, labels);
    struct engine_network_spec spec = {.name = network->name,
                                       .driver = network->driver,
                                       .labels = labels,
                                       .internal = network->internal,
                                       .attachable = network->attachable,
                                       .ipv6 = network->ipv6,
                                       .subnet = network->subnet,
                                       .gateway = network->gateway,
                                       .ip_range = network->ip_range};
    struct task task = act_cleanup_task(act);
    *trial_network_made(act->trial, act->step->host, act->step->subject) = true;
    if (engine_network_create(act->engine, &spec, &task, id, err) == 0)
        return 0;
    return err->kind == ERROR_CONFLICT && act->tries > 0 ? adopt_network(act, network->name, err)
                                                         : -1;
}

int act_remove_network(struct act *act, struct error *err) {
    const struct project_network *network = network_of(act);
    struct task task = act_cleanup_task(act);
    bool *made = trial_network_made(act->trial, act->step->host, act->step->subject);
    if (!*made && act->trial->plan->options.mode == PLAN_TRIAL)
        return 1;
    cleanup(engine_network_deinit) struct engine_network found = ENGINE_NETWORK_NULL;
    int r = engine_network_inspect(act->engine, network->name, &task, &found, err);
    if (r == 1)
        *made = false;
    if (r != 0 || !of_this_run(act, found.labels))
        return r < 0 ? -1 : 1;
    r = engine_network_remove(act->engine, found.id, &task, err);
    if (r >= 0)
        *made = false;
    return r < 0 ? -1 : 0;
}

/* ---- volumes ---- */

static const struct project_volume *volume_of(const struct act *act) {
    return &act->trial->plan->project->volumes[act->step->subject];
}

int act_create_volume(struct act *act, struct error *err) {
    const struct project_volume *volume = volume_of(act);
    struct task task = act_cleanup_task(act);
    cleanup(description_deinit) struct description d;
    cleanup(engine_volume_deinit) struct engine_volume made = ENGINE_VOLUME_NULL;
    struct engine_volume_spec spec = {.name = volume->name, .driver = volume->driver};
    describe_volume(act->trial->plan, volume, act->trial->settings.owner, &d, &spec);
    if (engine_volume_create(act->engine, &spec, &task, &made, err) < 0)
        return -1;
    if (of_this_run(act, made.labels)) {
        *trial_volume_made(act->trial, act->step->host, act->step->subject) = true;
        return 0;
    }
    error_set(err, ERROR_CONFLICT, "volume '%s' is there already, and is not of this run",
              volume->name);
    const char *owner = json_text_or_null(json_member(made.labels, LABEL_OWNER));
    return text_equal(owner, act->trial->settings.owner)
               ? error_hint(err, "--clean-remote removes what earlier trials of ours left")
               : error_hint(err, "say `external: true` if it is to be used as it is, or choose "
                                 "another project name with -p");
}

int act_find_volume(struct act *act, struct error *err) {
    struct task task = act_forward_task(act);
    cleanup(engine_volume_deinit) struct engine_volume found = ENGINE_VOLUME_NULL;
    int r = engine_volume_inspect(act->engine, volume_of(act)->name, &task, &found, err);
    if (r != 1)
        return r;
    error_set(err, ERROR_NOT_FOUND, "external volume '%s' is not there", volume_of(act)->name);
    return error_hint(err, "`docker volume create %s` makes it", volume_of(act)->name);
}

int act_remove_volume(struct act *act, struct error *err) {
    const struct project_volume *volume = volume_of(act);
    struct task task = act_cleanup_task(act);
    bool *made = trial_volume_made(act->trial, act->step->host, act->step->subject);
    if (!*made && act->trial->plan->options.mode == PLAN_TRIAL)
        return 1;
    cleanup(engine_volume_deinit) struct engine_volume found = ENGINE_VOLUME_NULL;
    int r = engine_volume_inspect(act->engine, volume->name, &task, &found, err);
    if (r == 1)
        *made = false;
    if (r != 0 || !of_this_run(act, found.labels))
        return r < 0 ? -1 : 1;
    r = engine_volume_remove(act->engine, volume->name, &task, err);
    if (r >= 0)
        *made = false;
    return r < 0 ? -1 : 0;
}

/* ---- what prepare services leave: secrets, so in memory only ---- */

static int push_into_buffer(void *arg, const void *data, size_t size, struct error *err) {
    buffer_append(arg, data, size);
    return buffer_check(arg, "what a prepare service leaves for the others", err);
}

void prepared_forget(struct buffer *prepared) {
    if (prepared->data)
        explicit_bzero(prepared->data, prepared->capacity);
    buffer_deinit(prepared);
    *prepared = BUFFER_NULL;
}

int act_fetch_output(struct act *act, struct error *err) {
    const struct plan_container *planned = &act->trial->plan->containers[act->step->subject];
    struct trial_container *c = &act->trial->containers[act->step->subject];
    const char *path = planned->service->seatrial.output;
    struct task task = act_forward_task(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, &task, &state, err);
    if (r < 0)
        return -1;
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "its container is not there any more");
    prepared_forget(&c->prepared);
    buffer_init(&c->prepared, PREPARED_MAX_BYTES);
    struct sink sink = {.push = push_into_buffer, .arg = &c->prepared};
    r = engine_archive_get(act->engine, c->id, path, &sink, &task, err);
    if (r == 1)
        error_set(err, ERROR_NOT_FOUND, "it ended well, but left nothing at '%s'", path);
    if (r == 0)
        act_say(act, "%.1f kB", (double)c->prepared.size / 1e3);
    return r == 0 ? 0 : -1;
}

/* The folders of `path` from where they begin to be missing in the container. `ret_base`: the
 * deepest that is there. */
static int find_missing(const struct act *act, const char *path, char **ret_base,
                        struct error *err) {
    struct task task = act_cleanup_task(act);
    cleanup_free char *base = text_dup(path);
    while (!text_equal(base, "/")) {
        cleanup(engine_path_deinit) struct engine_path there = ENGINE_PATH_NULL;
        int r = engine_archive_stat(act->engine, act->trial->containers[act->step->subject].id,
                                    base, &task, &there, err);
        if (r < 0)
            return -1;
        if (r == 0)
            break;
        char *above = path_folder(base);
        free(base);
        base = above;
    }
    *ret_base = take_ptr(base);
    return 0;
}

static int make_parents(const struct act *act, const char *path, struct error *err) {
    struct task task = act_cleanup_task(act);
    cleanup_free char *base = NULL;
    if (find_missing(act, path, &base, err) < 0)
        return -1;
    size_t size = text_equal(base, "/") ? 0 : strlen(base);
    if (text_equal(base, path))
        return 0;
    cleanup(archive_list_freep) struct archive_list *list = archive_list_new();
    const char *rest = path + size + 1;
    for (size_t end = strcspn(rest, "/");; end += 1 + strcspn(rest + end + 1, "/")) {
        cleanup_free char *name = text_format("%.*s", (int)end, rest);
        archive_list_directory(list, name, 0755);
        if (!rest[end])
            break;
    }
    cleanup(archive_stream_freep) struct archive_stream *stream =
        archive_stream_new(archive_list_items(list));
    struct source tar = archive_stream_source(stream);
    return engine_archive_put(act->engine, act->trial->containers[act->step->subject].id, base,
                              &tar, &task, err);
}

static int select_part(const struct act *act, const struct trial_container *source,
                       const char *path, struct buffer *ret, struct error *err) {
    const struct plan_container *planned = &act->trial->plan->containers[act->step->subject];
    cleanup_free char *own =
        text_format("%s-%zu", project_role_name(planned->service->seatrial.role), planned->index);
    buffer_init(ret, PREPARED_MAX_BYTES);
    return prepared_select(&source->prepared, strrchr(path, '/') + 1, own, ret, err);
}

/* The tar that came out of one container goes into another but for what is others' alone: the
 * engine unpacks it there. */
static int put_output(const struct act *act, size_t from, struct error *err) {
    const struct trial *t = act->trial;
    const struct trial_container *source = &t->containers[from];
    struct task task = act_cleanup_task(act);
    const char *path = t->plan->containers[from].service->seatrial.output;
    cleanup_free char *folder = path_folder(path);
    cleanup(prepared_forget) struct buffer part = BUFFER_NULL;
    if (!source->prepared.data)
        return error_set(err, ERROR_NOT_FOUND, "what '%s' prepared is not there",
                         t->plan->containers[from].name);
    if (select_part(act, source, path, &part, err) < 0 || make_parents(act, folder, err) < 0 ||
        engine_archive_put_memory(act->engine, t->containers[act->step->subject].id, folder,
                                  part.data, part.size, &task, err) < 0)
        return error_wrap(err, "put what '%s' prepared into the container",
                          t->plan->containers[from].name);
    return 0;
}

int act_put_outputs(const struct act *act, struct error *err) {
    const struct plan_container *planned = &act->trial->plan->containers[act->step->subject];
    for (size_t i = 0; i < planned->output_count; i++)
        if (put_output(act, planned->outputs[i], err) < 0)
            return -1;
    return 0;
}

const char **act_secret_paths(const struct act *act) {
    const struct plan *plan = act->trial->plan;
    const struct plan_container *planned = &plan->containers[act->step->subject];
    const char **paths = mem_new_array(const char *, planned->output_count + 2);
    size_t n = 0;
    for (size_t i = 0; i < planned->output_count; i++)
        paths[n++] = plan->containers[planned->outputs[i]].service->seatrial.output;
    if (planned->service->seatrial.output)
        paths[n++] = planned->service->seatrial.output;
    return paths;
}
