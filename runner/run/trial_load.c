/* What the loaders of a trial have left, put together. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/hdr_merge.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/report/load.h"
#include "runner/run/trial.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOAD_FILE_MAX = 16 << 20 };

/* All of what load.json has percentiles of (ours), or of the whole run (anybody's). */
static const char window_name[] = "window.hlog", latency_name[] = "latency.hlog";

struct sums {
    struct histogram latency, from_send, lateness;
    struct hdr_tags others; /* of shapes: NAME and NAME.from-send */
};

static void sums_deinit(struct sums *s) {
    histogram_deinit(&s->latency);
    histogram_deinit(&s->from_send);
    histogram_deinit(&s->lateness);
    hdr_tags_deinit(&s->others);
}

/* The sum of a tag, empty if it is new. NULL: there are too many. */
static struct histogram *find_other(struct sums *s, const char *name) {
    struct hdr_tags *o = &s->others;
    for (size_t i = 0; i < o->count; i++)
        if (text_equal(o->list[i].name, name))
            return &o->list[i].histogram;
    if (o->count == HDR_TAGS_MAX)
        return NULL;
    struct hdr_tag *tag = &o->list[o->count++];
    *tag = (struct hdr_tag){.intervals = 0};
    snprintf(tag->name, sizeof tag->name, "%s", name);
    histogram_init(&tag->histogram, HISTOGRAM_HOUR_NS);
    return &tag->histogram;
}

static void add_others(const struct hdr_tags *tags, struct sums *s) {
    static const char *const own[] = {"", "from-send", "lateness"};
    for (size_t i = 0; i < tags->count; i++) {
        const struct hdr_tag *tag = &tags->list[i];
        bool other = true;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            other = other && !text_equal(tag->name, own[k]);
        struct histogram *sum = other ? find_other(s, tag->name) : NULL;
        if (sum)
            histogram_add(sum, &tag->histogram);
    }
}

static const struct histogram *other(const struct sums *s, const char *name) {
    const struct hdr_tag *tag = hdr_tags_find(&s->others, name);
    return tag ? &tag->histogram : NULL;
}

/* Every tag may be a shape: what load.json does not name is not looked for. */
static size_t list_shapes(const struct sums *s, struct report_shape out[HDR_TAGS_MAX]) {
    for (size_t i = 0; i < s->others.count; i++) {
        const char *name = s->others.list[i].name;
        cleanup_free char *from_send = text_format("%s.from-send", name);
        out[i] = (struct report_shape){
            .name = name, .latency = other(s, name), .from_send = other(s, from_send)};
    }
    return s->others.count;
}

static void warn(void *context, const char *text) {
    const struct trial *t = context;
    progress_warn(t->settings.progress, "%s", text);
}

static bool is_loader(const struct trial *t, size_t container) {
    return t->plan->containers[container].service->seatrial.role == PROJECT_ROLE_LOADER;
}

static bool add(const struct hdr_tags *tags, const char *name, struct histogram *to) {
    const struct hdr_tag *tag = hdr_tags_find(tags, name);
    if (tag)
        histogram_add(to, &tag->histogram);
    return tag != NULL;
}

static void read_histograms(struct trial *t, const char *folder, struct report_loader *l,
                            struct sums *sums) {
    struct error err = ERROR_NULL;
    cleanup(hdr_tags_deinit) struct hdr_tags tags = HDR_TAGS_NULL;
    cleanup_free char *window = path_join(folder, window_name);
    cleanup_free char *latency = path_join(folder, latency_name);
    const struct hdr_merge_log log = {.path = file_exists(window) ? window : latency};
    const struct hdr_merge merge = {.logs = &log, .count = 1, .warn = warn, .context = t};
    if (!file_exists(log.path))
        return;
    if (hdr_merge_sum(&merge, &tags, &err) < 0) {
        trial_unusable(t, l->name, &err);
        return;
    }
    l->has_latency = add(&tags, "", &sums->latency);
    l->has_from_send = add(&tags, "from-send", &sums->from_send);
    add(&tags, "lateness", &sums->lateness);
    add_others(&tags, sums);
}

/* Gives what it says of the load; NULL: nothing usable. */
static struct json *read_load(struct trial *t, const char *folder, const char *who) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(json_freep) struct json *load = NULL;
    if (trial_read_result(t, folder, "load.json", LOAD_FILE_MAX, &text) != 0)
        return NULL;
    if (json_parse(text.data, text.size, LOAD_FILE_MAX, &load, &err) == 0 &&
        report_check_load(load, &err) == 0)
        return take_ptr(load);
    trial_unusable(t, who, &err);
    return NULL;
}

static void describe(const struct trial *t, size_t container, struct report_loader *ret) {
    const struct plan_container *c = &t->plan->containers[container];
    const struct host_clock *clock = &t->hosts[c->host].clock;
    *ret = (struct report_loader){.name = c->name,
                                  .host = t->plan->hosts[c->host].name,
                                  .ended = t->containers[container].ended,
                                  .exit_code = t->containers[container].exit_code,
                                  .clock_offset_ns = clock->offset_ns,
                                  .clock_uncertain_ns = clock->uncertain_ns};
}

/* One log of all, second by second, by our clock. */
static void merge_logs(struct trial *t, size_t loaders) {
    struct error err = ERROR_NULL;
    cleanup_free struct hdr_merge_log *logs = mem_new_array(struct hdr_merge_log, loaders);
    cleanup_free char **paths = mem_new_array(char *, loaders);
    cleanup_free char *out = path_join(t->results.folder, latency_name);
    size_t count = 0;
    for (size_t i = 0; i < t->plan->container_count; i++) {
        cleanup_free char *path = path_join(t->containers[i].folder, latency_name);
        if (!is_loader(t, i) || !file_exists(path))
            continue;
        paths[count] = take_ptr(path);
        logs[count] = (struct hdr_merge_log){
            .path = paths[count],
            .shift_ns = -t->hosts[t->plan->containers[i].host].clock.offset_ns};
        count++;
    }
    const struct hdr_merge merge = {.logs = logs, .count = count, .warn = warn, .context = t};
    if (count > 0 &&
        hdr_merge_write(&merge, "all loaders, merged by seatrial " SEATRIAL_VERSION, out, &err) < 0)
        trial_unusable(t, "the loaders", &err);
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
}

/* Their own commands have written what became of them. */
static struct json *read_by_hand(const char *path) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(json_freep) struct json *summary = NULL;
    const char *verdict;
    if (file_read(path, LOAD_FILE_MAX, &text, &err) < 0 ||
        json_parse(text.data, text.size, LOAD_FILE_MAX, &summary, &err) < 0 ||
        json_require_text(summary, "verdict", &verdict, &err) < 0)
        return NULL;
    cleanup_free char *folder = path_folder(path);
    const struct json *load = json_member(summary, "load");
    struct json *one = json_new_object();
    json_set_text(one, "folder", strrchr(folder, '/') + 1);
    json_set_text(one, "verdict", verdict);
    json_set(one, "load", json_is_object(load) ? json_copy_deep(load) : json_new_null());
    return one;
}

struct json *trial_read_loads_by_hand(struct trial *t) {
    struct json *list = json_new_array();
    glob_t found;
    cleanup_free char *pattern = text_format("%s/*-load*-*/summary.json", t->results.folder);
    if (glob(pattern, 0, NULL, &found) != 0)
        return list;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct json *one = read_by_hand(found.gl_pathv[i]);
        if (one)
            json_append(list, one);
    }
    globfree(&found);
    return list;
}

void trial_read_loads(struct trial *t, struct json **ret_load, struct json **ret_gaps) {
    size_t loaders = plan_role_count(t->plan, PROJECT_ROLE_LOADER), count = 0;
    cleanup_free struct report_loader *list = mem_new_array(struct report_loader, loaders);
    cleanup_free struct json **loads = mem_new_array(struct json *, loaders);
    cleanup(sums_deinit) struct sums sums;
    struct report_shape shapes[HDR_TAGS_MAX];
    sums.others = HDR_TAGS_NULL;
    histogram_init(&sums.latency, HISTOGRAM_HOUR_NS);
    histogram_init(&sums.from_send, HISTOGRAM_HOUR_NS);
    histogram_init(&sums.lateness, HISTOGRAM_HOUR_NS);
    for (size_t i = 0; i < t->plan->container_count; i++) {
        if (!is_loader(t, i))
            continue;
        struct report_loader *l = &list[count];
        describe(t, i, l);
        loads[count] = read_load(t, t->containers[i].folder, l->name);
        l->load = loads[count++];
        if (loaders > 1 && l->load)
            read_histograms(t, t->containers[i].folder, l, &sums);
    }
    if (loaders > 1)
        merge_logs(t, loaders);
    const struct report_loads all = {.loaders = list,
                                     .count = loaders,
                                     .agreed_ns = atomic_load(&t->load_start_ns),
                                     .latency = &sums.latency,
                                     .from_send = &sums.from_send,
                                     .lateness = &sums.lateness,
                                     .shapes = shapes,
                                     .shapes_count = list_shapes(&sums, shapes)};
    *ret_load = report_merge_loads(&all);
    *ret_gaps = report_load_gaps(&all);
    for (size_t i = 0; i < count; i++)
        json_free(loads[i]);
}
