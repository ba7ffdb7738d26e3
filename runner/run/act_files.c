/*
 * The files that every container finds in /seatrial, brought to a host by one call for all of its
 * containers: a volume with a folder for each of them, which is what the container sees, filled
 * through a container that is never started. Decision 0013 says why not container by container.
 */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/engine/volume.h"
#include "runner/run/describe.h"
#include "runner/run/trial.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROPERTIES_MAX_BYTES = 1 << 20,
    CLUSTER_MAX_BYTES = 4 << 20,
    SUFFIX_BYTES = 4,
};

/* Where the volume is while it is filled. */
static const char filled_at[] = "/seatrial";

static struct trial_host *record(const struct act *act) {
    return &act->trial->hosts[act->step->host];
}

/* ---- what is put ---- */

static bool gets_files(const struct act *act, const struct plan_container *c) {
    return c->host == act->step->host && (act->trial->plan->options.mode != PLAN_LOAD ||
                                          c->service->seatrial.role == PROJECT_ROLE_LOADER);
}

static void list_folder(struct archive_list *list, const struct plan_container *planned,
                        const struct buffer *cluster, const struct buffer *properties) {
    const char *container = planned->name;
    cleanup_free char *cores = path_join(container, "cores");
    cleanup_free char *out = path_join(container, "out");
    cleanup_free char *cluster_path = path_join(container, "cluster.yaml");
    cleanup_free char *properties_path = path_join(container, "log4cplus.properties");
    archive_list_directory(list, container, 0755);
    archive_list_directory(list, out, 01777);
    if (describe_cores_are_ours(planned->service))
        archive_list_directory(list, cores, 01777);
    archive_list_file(list, cluster_path, 0644, cluster->data, cluster->size);
    if (properties->data)
        archive_list_file(list, properties_path, 0644, properties->data, properties->size);
}

static int list_files(const struct act *act, struct archive_list **ret_list, struct error *err) {
    const struct trial *t = act->trial;
    cleanup(buffer_deinit) struct buffer cluster, properties = BUFFER_NULL;
    cleanup(archive_list_freep) struct archive_list *list = archive_list_new();
    buffer_init(&cluster, CLUSTER_MAX_BYTES);
    plan_write_cluster(t->plan, &cluster);
    if (buffer_check(&cluster, "cluster.yaml", err) < 0)
        return -1;
    cleanup_free char *path = path_join(t->settings.config_path, "log4cplus.properties");
    if (file_exists(path) && file_read(path, PROPERTIES_MAX_BYTES, &properties, err) < 0)
        return -1;
    for (size_t i = 0; i < t->plan->container_count; i++)
        if (gets_files(act, &t->plan->containers[i]))
            list_folder(list, &t->plan->containers[i], &cluster, &properties);
    *ret_list = take_ptr(list);
    return 0;
}

/* ---- the volume ---- */

/* Of a run and a host; a loader that is started by hand has one of its own, and so clean folders,
 * whatever loaders before it have left. */
static char *volume_name(const struct act *act) {
    const struct plan *plan = act->trial->plan;
    char *name = text_format("seatrial-%s-%s", plan->run, plan->hosts[act->step->host].name);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
            *c = '-';
    if (plan->options.mode != PLAN_LOAD)
        return name;
    unsigned char bytes[SUFFIX_BYTES];
    char suffix[2 * SUFFIX_BYTES + 1];
    random_bytes(bytes, sizeof bytes);
    text_hex(bytes, sizeof bytes, suffix);
    char *own = text_format("%s-load-%s", name, suffix);
    free(name);
    return own;
}

/* One that is there already was made by an earlier try. */
static int make_volume(const struct act *act, const struct engine_pair *labels, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = act_cleanup_task(act);
    if (!host->files_volume)
        host->files_volume = volume_name(act);
    const struct engine_volume_spec spec = {.name = host->files_volume, .labels = labels};
    cleanup(engine_volume_deinit) struct engine_volume made = ENGINE_VOLUME_NULL;
    if (engine_volume_create(act->engine, &spec, &task, &made, err) < 0)
        return -1;
    if (!text_equal(json_text_or_null(json_member(made.labels, LABEL_RUN)), act->trial->plan->run))
        return error_set(err, ERROR_CONFLICT, "volume '%s' is there already, and is not ours",
                         host->files_volume);
    if (*made.mountpoint != '/')
        return error_set(err, ERROR_REFUSED, "the engine does not say where volume '%s' is",
                         host->files_volume);
    free(host->files_path);
    host->files_path = text_dup(made.mountpoint);
    return 0;
}

/* A container of that name is one that an earlier try of this step made. */
static int make_filler(const struct act *act, const struct engine_pair *labels, const char *name,
                       char ret_id[ENGINE_ID_SIZE], struct error *err) {
    static const char *const never_run[] = {"seatrial-files", NULL};
    const struct plan *plan = act->trial->plan;
    struct task task = act_cleanup_task(act);
    const struct engine_mount mounts[] = {{.type = ENGINE_MOUNT_VOLUME,
                                           .source = record(act)->files_volume,
                                           .target = filled_at,
                                           .no_copy = true},
                                          {.target = NULL}};
    const struct engine_container_spec spec = {
        .name = name,
        .image = plan->images[plan->hosts[act->step->host].files_image].reference,
        .cmd = never_run,
        .labels = labels,
        .mounts = mounts,
        .network_mode = "none",
    };
    if (act->tries > 0 && engine_container_remove(act->engine, name, true, false, &task, err) < 0)
        return -1;
    return engine_container_create(act->engine, &spec, &task, ret_id, err);
}

static int fill(const struct act *act, const struct engine_pair *labels, struct error *err) {
    struct task task = act_cleanup_task(act);
    char id[ENGINE_ID_SIZE];
    cleanup_free char *name = text_format("%s-put", record(act)->files_volume);
    cleanup(archive_list_freep) struct archive_list *list = NULL;
    if (list_files(act, &list, err) < 0 || make_filler(act, labels, name, id, err) < 0)
        return -1;
    cleanup(archive_stream_freep) struct archive_stream *stream =
        archive_stream_new(archive_list_items(list));
    struct source tar = archive_stream_source(stream);
    struct error removing = ERROR_NULL;
    int r = engine_archive_put(act->engine, id, filled_at, &tar, &task, err);
    if (engine_container_remove(act->engine, id, true, false, &task, &removing) < 0 && r == 0) {
        *err = removing;
        r = -1;
    }
    return r;
}

/* ---- the steps ---- */

/* Not cancelled by the first interrupt, as nothing is that makes something: it is short. */
int act_put_files(struct act *act, struct error *err) {
    struct engine_pair labels[LABELS_FILES_MAX];
    describe_files_labels(act->trial->plan, act->trial->settings.owner, labels);
    if (make_volume(act, labels, err) < 0)
        return -1;
    return fill(act, labels, err);
}

/* `down` does not know the names, of loads by hand for example: it goes by the labels. A container
 * is there when its run was killed while it filled the volume. */
static int remove_all_of_run(const struct act *act, struct error *err) {
    struct task task = act_cleanup_task(act);
    const struct engine_pair labels[] = {
        {LABEL_RUN, act->trial->plan->run}, {LABEL_FILES, NULL}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list fillers =
        ENGINE_CONTAINER_LIST_NULL;
    cleanup(engine_volume_list_deinit) struct engine_volume_list volumes = ENGINE_VOLUME_LIST_NULL;
    if (engine_container_list(act->engine, labels, &task, &fillers, err) < 0 ||
        engine_volume_list(act->engine, labels, &task, &volumes, err) < 0)
        return -1;
    for (size_t i = 0; i < fillers.count; i++)
        if (engine_container_remove(act->engine, fillers.entries[i].id, true, false, &task, err) <
            0)
            return -1;
    for (size_t i = 0; i < volumes.count; i++)
        if (engine_volume_remove(act->engine, volumes.entries[i].name, &task, err) < 0)
            return -1;
    return volumes.count > 0 ? 0 : 1;
}

int act_remove_files(struct act *act, struct error *err) {
    struct trial_host *host = record(act);
    struct task task = act_cleanup_task(act);
    if (act->trial->plan->options.mode == PLAN_DOWN || act->trial->settings.resume)
        return remove_all_of_run(act, err);
    if (!host->files_volume)
        return 1;
    cleanup_free char *filler = text_format("%s-put", host->files_volume);
    if (engine_container_remove(act->engine, filler, true, false, &task, err) < 0)
        return -1;
    int r = engine_volume_remove(act->engine, host->files_volume, &task, err);
    if (r < 0)
        return -1;
    free(host->files_volume);
    host->files_volume = NULL;
    return r;
}
