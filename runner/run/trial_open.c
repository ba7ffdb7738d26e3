/* What a trial holds: made before its first step, released after its report. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/delivery.h"
#include "runner/run/lane.h"
#include "runner/run/resume.h"
#include "runner/run/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LANES_MIN = 8, /* where engines start containers fastest: docs/decisions/0002 */
    LANES_MAX = 64,
    TRANSFERS_MAX = 4, /* of images at once, whatever the number of hosts */
};

static size_t lane_count(const struct plan *plan, size_t host) {
    size_t wanted = LANES_MIN;
    for (size_t i = 0; i < plan->container_count; i++)
        wanted += plan->containers[i].host == host;
    return wanted > LANES_MAX ? LANES_MAX : wanted;
}

static void trial_allocate(struct trial *t, lane_act *lane) {
    const struct plan *plan = t->plan;
    sem_init(&t->transfers, 0, TRANSFERS_MAX);
    t->delivery = delivery_new(plan->host_count, plan->image_count);
    registries_init(&t->registries, plan->deployment);
    pthread_mutex_init(&t->pins_lock, NULL);
    t->pins = mem_new_array(char *, plan->image_count);
    schedule_init(&t->schedule, plan->steps, plan->step_count);
    t->lanes = mem_new_array(struct lanes *, plan->host_count);
    t->hosts = mem_new_array(struct trial_host, plan->host_count);
    t->images = mem_new_array(struct trial_image, plan->host_count * plan->image_count);
    t->containers = mem_new_array(struct trial_container, plan->container_count);
    t->networks_made = mem_new_array(bool, plan->host_count * plan->project->network_count);
    t->volumes_made = mem_new_array(bool, plan->host_count * plan->project->volume_count);
    t->times = mem_new_array(struct trial_time, plan->step_count);
    for (size_t i = 0; i < plan->host_count; i++) {
        t->hosts[i].trial = t;
        outage_init(&t->hosts[i].outage);
        t->hosts[i].disk_free_bytes = UINT64_MAX;
        t->lanes[i] = lanes_new(lane_count(plan, i), lane, t);
    }
    for (size_t i = 0; i < plan->container_count; i++)
        t->containers[i].folder = results_container_folder(
            &t->results, plan->hosts[plan->containers[i].host].name, plan->containers[i].name);
}

struct trial_image *trial_image(const struct trial *t, size_t host, size_t image) {
    return &t->images[host * t->plan->image_count + image];
}

bool *trial_network_made(const struct trial *t, size_t host, size_t network) {
    return &t->networks_made[host * t->plan->project->network_count + network];
}

bool *trial_volume_made(const struct trial *t, size_t host, size_t volume) {
    return &t->volumes_made[host * t->plan->project->volume_count + volume];
}

static void free_texts(char **list, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

static void free_hosts(struct trial *t) {
    for (size_t i = 0; i < t->plan->host_count; i++) {
        struct trial_host *h = &t->hosts[i];
        if (h->custom)
            custom_close(h->custom);
        free(h->custom_counts);
        sampled_deinit(&h->sampled);
        free(h->engine_version);
        free(h->engine_id);
        free(h->os);
        free(h->kernel);
        free(h->storage_driver);
        free(h->files_volume);
        free(h->files_path);
        outage_deinit(&h->outage);
    }
    free(t->hosts);
}

static void free_containers(struct trial *t) {
    for (size_t i = 0; i < t->plan->container_count; i++) {
        struct trial_container *c = &t->containers[i];
        if (c->log)
            log_follow_end(c->log, 0, &c->log_result);
        log_result_deinit(&c->log_result);
        free(c->folder);
        free(c->image_id);
        free(c->last_lines);
        trial_forget_cores(c);
        free(c->fetched);
        prepared_forget(&c->prepared);
        sampled_deinit(&c->sampled);
    }
    free(t->containers);
}

void trial_join_lanes(struct trial *t) {
    for (size_t i = 0; i < t->plan->host_count; i++) {
        lanes_free(t->lanes[i]);
        t->lanes[i] = NULL;
    }
}

void trial_deinit(struct trial *t) {
    if (t->lanes) {
        trial_join_lanes(t);
        trial_end_samples(t);
        free(t->lanes);
        free_containers(t); /* whose logs may be waiting for a host */
        free_hosts(t);
    }
    for (size_t i = 0; t->images && i < t->plan->host_count * t->plan->image_count; i++) {
        free(t->images[i].digest);
        free(t->images[i].pushed);
        free(t->images[i].context);
        locked_image_deinit(&t->images[i].locked);
    }
    free(t->images);
    free(t->networks_made);
    free(t->volumes_made);
    free(t->times);
    free_texts(t->failures, t->failure_count);
    free_texts(t->warnings, t->warning_count);
    free_texts(t->left_behind, t->left_count);
    schedule_deinit(&t->schedule);
    event_queue_deinit(&t->queue);
    journal_close(&t->journal);
    results_deinit(&t->results);
    if (t->lanes) {
        sem_destroy(&t->transfers);
        delivery_free(t->delivery);
        registries_deinit(&t->registries);
        pthread_mutex_destroy(&t->pins_lock);
        free_texts(t->pins, t->plan->image_count);
    }
    cancel_deinit(&t->forward);
    cancel_deinit(&t->cleanup);
    cancel_deinit(&t->release);
}

static int open_results(struct trial *t, struct error *err) {
    const struct trial_settings *s = &t->settings;
    const struct plan *plan = t->plan;
    if (s->results_folder) {
        t->results.folder = path_absolute(s->results_folder);
        snprintf(t->results.run, sizeof t->results.run, "%s", plan->run);
        return 0;
    }
    const char *root = s->results_root ? s->results_root : plan->deployment->local.perf_test_root;
    return results_create(root, plan->options.mode == PLAN_LOAD ? "load" : plan->name, plan->run,
                          t->started, &t->results, err);
}

/* The journal was read before it was ours: it must be what it was. */
static int go_on(struct trial *t, struct error *err) {
    const struct journal_log *log = &t->settings.resume->log;
    struct stat st;
    if (fstat(t->journal.fd, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at the journal");
    if ((size_t)st.st_size != log->read)
        return error_set(err, ERROR_CONFLICT, "somebody has gone on with the run just now");
    t->resumed = clock_wall();
    struct json *fields = json_new_object();
    json_set_int(fields, "died_ns", log->last.ns);
    if (journal_cut(&t->journal, log->size, err) < 0) {
        json_free(fields);
        return -1;
    }
    return journal_write(&t->journal, "resume", fields, err);
}

static int begin_journal(struct trial *t, struct error *err) {
    cleanup_free char *path = path_join(t->results.folder, "journal.jsonl");
    struct json *header;
    if (journal_open(&t->journal, path, err) < 0)
        return -1;
    if (t->settings.resume)
        return go_on(t, err);
    if (resume_header(t, &header, err) < 0)
        return -1;
    return journal_write(&t->journal, "run", header, err);
}

int trial_begin(struct trial *t, lane_act *lane, struct error *err) {
    if (open_results(t, err) < 0 || begin_journal(t, err) < 0)
        return -1;
    trial_allocate(t, lane);
    if (t->settings.resume)
        resume_restore(t);
    progress_note(t->settings.progress, "run %s%s: results in %s", t->plan->run,
                  t->settings.resume ? " goes on" : "", t->results.folder);
    return 0;
}
