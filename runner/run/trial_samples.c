/* What was sampled, for the report. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/trial.h"

#include <math.h>
#include <stdlib.h>

/* A load that says that it ran long before or after the trial does not know. */
#define CLOCKS_APART_NS_MAX (60 * (int64_t)NS_PER_SEC)

void trial_end_samples(struct trial *t) {
    for (size_t i = 0; i < t->plan->host_count; i++) {
        samples_free(t->hosts[i].samples);
        t->hosts[i].samples = NULL;
    }
}

/* ---- when the load ran ---- */

/* How far what the load says is ahead of our clock: one loader's own time, or already ours. */
static int64_t ahead_ns(const struct trial *t) {
    if (plan_role_count(t->plan, PROJECT_ROLE_LOADER) == 1)
        for (size_t i = 0; i < t->plan->container_count; i++)
            if (t->plan->containers[i].service->seatrial.role == PROJECT_ROLE_LOADER)
                return t->hosts[t->plan->containers[i].host].clock.offset_ns;
    return 0;
}

/* As its report has it: without its warm-up. */
static bool reported_window(const struct trial *t, const struct json *load,
                            struct series_window *ret) {
    struct error ignored = ERROR_NULL;
    int64_t now_ns = clock_wall().ns, started_ns;
    double from_s, to_s;
    if (!load ||
        json_require_int(load, "started_ns", 0, INT64_MAX / 2, &started_ns, &ignored) < 0 ||
        json_require_number(load, "window.from_s", &from_s, &ignored) < 0 ||
        json_require_number(load, "window.to_s", &to_s, &ignored) < 0)
        return false;
    started_ns -= ahead_ns(t);
    double seconds_max = (double)(now_ns - t->started.ns + CLOCKS_APART_NS_MAX) / 1e9;
    if (started_ns < t->started.ns - CLOCKS_APART_NS_MAX ||
        started_ns > now_ns + CLOCKS_APART_NS_MAX || !(from_s >= 0) || !(to_s > from_s) ||
        !(to_s <= seconds_max))
        return false;
    ret->from_ns = started_ns + (int64_t)(from_s * 1e9);
    ret->to_ns = started_ns + (int64_t)(to_s * 1e9);
    return true;
}

/* From the first loader's start to the last one's end. */
static bool steps_window(const struct trial *t, struct series_window *ret) {
    int64_t from_ns = 0, to_ns = 0;
    for (size_t i = 0; i < t->plan->step_count; i++) {
        const struct step *step = &t->plan->steps[i];
        if (step->stage != STAGE_LOAD)
            continue;
        int64_t ended_ns = t->times[i].ended.ns;
        if (step->kind == STEP_START_CONTAINER && ended_ns && (!from_ns || ended_ns < from_ns))
            from_ns = ended_ns;
        if (step->kind == STEP_WAIT_EXIT && ended_ns > to_ns)
            to_ns = ended_ns;
    }
    if (!from_ns || to_ns <= from_ns)
        return false;
    *ret = (struct series_window){from_ns, to_ns};
    return true;
}

/* ---- the whole ---- */

void trial_sampled(struct trial *t, const struct json *load, struct trial_resources *ret) {
    const struct plan *plan = t->plan;
    *ret = (struct trial_resources){
        .containers = mem_new_array(struct resources_container, plan->container_count),
        .hosts = mem_new_array(struct resources_host, plan->host_count)};
    struct resources *r = &ret->resources;
    *r = (struct resources){
        .containers = ret->containers, .hosts = ret->hosts, .window = SERIES_ALL};
    r->of_load = reported_window(t, load, &r->window) || steps_window(t, &r->window);
    cleanup_free size_t *places = mem_new_array(size_t, plan->host_count);
    for (size_t i = 0; i < plan->host_count; i++) {
        const struct sampled *s = &t->hosts[i].sampled;
        places[i] = r->host_count;
        if (plan->hosts[i].container_count > 0)
            ret->hosts[r->host_count++] = (struct resources_host){.name = plan->hosts[i].name,
                                                                  .cpus = t->hosts[i].cpus,
                                                                  .series = &s->series,
                                                                  .samples = s->samples,
                                                                  .missed = s->missed};
    }
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct sampled *s = &t->containers[i].sampled;
        if (t->containers[i].started)
            ret->containers[r->container_count++] =
                (struct resources_container){.name = plan->containers[i].name,
                                             .service = plan->containers[i].service->name,
                                             .host = places[plan->containers[i].host],
                                             .series = &s->series,
                                             .samples = s->samples,
                                             .missed = s->missed};
    }
}

void trial_resources_deinit(struct trial_resources *r) {
    free(r->containers);
    free(r->hosts);
}

/* ---- what it cost ---- */

static void add(const struct sampled *s, struct sampled *sum) {
    sum->samples += s->samples;
    sum->missed += s->missed;
    sum->breaks += s->breaks;
    sum->cpu_ns += s->cpu_ns;
    sum->intervals.count += s->intervals.count;
    sum->intervals.sum_s += s->intervals.sum_s;
    sum->intervals.squares_s2 += s->intervals.squares_s2;
    sum->intervals.max_s = fmax(sum->intervals.max_s, s->intervals.max_s);
}

static void set_intervals(const struct sampled_intervals *i, struct json *object) {
    if (i->count == 0) {
        json_set(object, "interval_s", json_new_null());
        return;
    }
    double mean = i->sum_s / (double)i->count;
    double variance = fmax(i->squares_s2 / (double)i->count - mean * mean, 0);
    struct json *interval = json_set_object(object, "interval_s");
    json_set_number(interval, "mean", mean);
    json_set_number(interval, "deviation", sqrt(variance));
    json_set_number(interval, "max", i->max_s);
}

static void set_sampled(const struct sampled *s, struct json *object) {
    json_set_int(object, "samples", (int64_t)s->samples);
    json_set_int(object, "missed", (int64_t)s->missed);
    json_set_int(object, "breaks", (int64_t)s->breaks);
    json_set_int(object, "cpu_ns", (int64_t)s->cpu_ns);
    set_intervals(&s->intervals, object);
}

struct json *trial_samples_json(const struct trial *t) {
    struct json *object = json_new_object();
    struct sampled containers = {.samples = 0}, hosts = {.samples = 0};
    for (size_t i = 0; i < t->plan->container_count; i++)
        add(&t->containers[i].sampled, &containers);
    for (size_t i = 0; i < t->plan->host_count; i++)
        add(&t->hosts[i].sampled, &hosts);
    set_sampled(&containers, json_set_object(object, "containers"));
    set_sampled(&hosts, json_set_object(object, "hosts"));
    return object;
}

/* Ended early, and not because the trial did. */
static void warn(struct trial *t, const char *what, const struct sampled *s) {
    if (s->why[0] && s->samples + s->missed + s->breaks > 0)
        event_post_text(&t->queue, EVENT_WARNING, 0, "%s was not sampled to the end: %s", what,
                        s->why);
}

void trial_warn_of_samples(struct trial *t) {
    for (size_t i = 0; i < t->plan->host_count; i++) {
        cleanup_free char *host = text_format("host %s", t->plan->hosts[i].name);
        warn(t, host, &t->hosts[i].sampled);
    }
    for (size_t i = 0; i < t->plan->container_count; i++)
        warn(t, t->plan->containers[i].name, &t->containers[i].sampled);
}
