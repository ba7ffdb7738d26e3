/* What provider `ec2` does in one region, on the region's thread. */

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/cloud/ec2_group.h"
#include "runner/cloud/ec2_make.h"
#include "runner/cloud/ec2_regions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_MAX = 500, PAGE = 1000 };

/* What is made by a call that was cut off, nobody knows: it is given its own time instead. */
#define MAKING_NS (120 * NS_PER_SEC)

static struct task making(void) {
    struct task forever = TASK_FOREVER;
    return task_within(&forever, MAKING_NS);
}

static const struct deployment *deployment_of(const struct ec2_region *r) {
    return r->provider->settings->deployment;
}

/* ---- looking ---- */

static void scope(const struct ec2_region *r, struct ec2_request *request) {
    const struct provider_settings *s = r->provider->settings;
    ec2_filter(request, "tag:" TAG_OWNER, s->owner);
    if (r->scope == PROVIDER_DEPLOYMENT)
        ec2_filter(request, "tag:" TAG_DEPLOYMENT, s->name);
    ec2_add_int(request, PAGE, "MaxResults");
}

static int on_instances(void *arg, const struct xml_node *root, struct error *err) {
    struct ec2_region *r = arg;
    return ec2_read_instances(root, r->name, r->provider->settings->owner, &r->found, err);
}

static int on_groups(void *arg, const struct xml_node *root, struct error *err) {
    struct ec2_region *r = arg;
    return ec2_read_groups(root, r->name, r->provider->settings->owner, &r->found, err);
}

/* Filters are EC2's; that a machine is of the deployment is looked at again. */
static void drop_others(struct ec2_region *r) {
    struct machines kept = MACHINES_NULL;
    const char *name = r->provider->settings->name;
    for (size_t i = 0; i < r->found.count; i++) {
        struct machines *to = &kept;
        struct machine *m = &r->found.items[i];
        if (r->scope == PROVIDER_DEPLOYMENT && !text_equal(m->deployment, name))
            continue;
        mem_grow(to->items, to->count, to->capacity);
        to->items[to->count++] = *m;
        *m = (struct machine){.id = NULL};
    }
    machines_deinit(&r->found);
    r->found = kept;
}

/* What was found before stays where it cannot be looked again. */
int ec2_region_look(struct ec2_region *r, struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request instances = EC2_REQUEST_NULL,
                                                   groups = EC2_REQUEST_NULL;
    cleanup(machines_deinit) struct machines before = r->found;
    r->found = MACHINES_NULL;
    ec2_request_init(&instances, "DescribeInstances");
    ec2_request_init(&groups, "DescribeSecurityGroups");
    scope(r, &instances);
    scope(r, &groups);
    if (ec2_sweep(r->ec2, &instances, r->task, on_instances, r, err) < 0 ||
        ec2_sweep(r->ec2, &groups, r->task, on_groups, r, err) < 0) {
        machines_deinit(&r->found);
        r->found = before;
        before = MACHINES_NULL;
        return -1;
    }
    drop_others(r);
    return 0;
}

/* ---- many machines by one call ---- */

static int journal(const struct ec2_region *r, const char *action, char *const *ids, size_t count,
                   struct error *err) {
    struct json *fields = json_new_object();
    json_set_text(fields, "action", action);
    json_set_text(fields, "region", r->name);
    struct json *list = json_set_array(fields, "ids");
    for (size_t i = 0; i < count; i++)
        json_append_text(list, ids[i]);
    return r->provider->events.journal(r->provider->events.arg, "call", fields, err);
}

static int call_with(struct ec2_region *r, const char *action, const char *parameter,
                     char *const *ids, size_t count, const char *const *tag, struct error *err) {
    static const char *const expected[] = {"InvalidInstanceID.NotFound", "IncorrectInstanceState",
                                           NULL};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    struct task task = making();
    if (journal(r, action, ids, count, err) < 0)
        return -1;
    ec2_request_init(&request, action);
    for (size_t i = 0; i < count; i++)
        ec2_add(&request, ids[i], "%s.%zu", parameter, i + 1);
    if (tag) {
        ec2_add(&request, tag[0], "Tag.1.Key");
        ec2_add(&request, tag[1], "Tag.1.Value");
    }
    return ec2_call(r->ec2, &request, expected, &task, NULL, err) < 0 ? -1 : 0;
}

/* The ids of found that `chosen` says, in calls of IDS_MAX. What EC2 does not know any more, or is
 * on its way, the next look shows. */
static int call_all(struct ec2_region *r, const char *action, const char *parameter,
                    bool chosen(const struct machine *m), const char *const *tag,
                    struct error *err) {
    cleanup_free char **ids = mem_new_array(char *, r->found.count);
    size_t count = 0;
    for (size_t i = 0; i < r->found.count; i++)
        if (chosen(&r->found.items[i]))
            ids[count++] = r->found.items[i].id;
    for (size_t at = 0; at < count; at += IDS_MAX) {
        size_t n = count - at < IDS_MAX ? count - at : IDS_MAX;
        if (call_with(r, action, parameter, ids + at, n, tag, err) < 0)
            return -1;
    }
    return 0;
}

static bool is_stopped(const struct machine *m) {
    return machine_lives(m) && m->state == MACHINE_STOPPED && m->host;
}

static bool runs(const struct machine *m) {
    return machine_lives(m) && (m->state == MACHINE_RUNNING || m->state == MACHINE_PENDING);
}

static bool is_ours(const struct machine *m) {
    return machine_lives(m) || m->kind == MACHINE_IS_GROUP;
}

static bool is_over(const struct machine *m) {
    return machine_lives(m) && m->expires_s && m->expires_s < clock_wall().ns / (int64_t)NS_PER_SEC;
}

int ec2_region_renew(struct ec2_region *r, struct error *err) {
    char value[24];
    const char *const tag[] = {TAG_EXPIRES, value};
    snprintf(value, sizeof value, "%" PRId64, r->expires_s);
    return call_all(r, "CreateTags", "ResourceId", is_ours, tag, err);
}

int ec2_region_stop(struct ec2_region *r, struct error *err) {
    for (size_t i = 0; i < r->found.count; i++)
        if (runs(&r->found.items[i]) && r->found.items[i].spot) {
            error_set(err, ERROR_REFUSED, "%s (%s) is a spot machine, which cannot be stopped",
                      r->found.items[i].name, r->found.items[i].id);
            return error_hint(err, "`seatrial machines down` ends it");
        }
    return call_all(r, "StopInstances", "InstanceId", runs, NULL, err);
}

/* ---- groups ---- */

struct ec2_group_wish ec2_region_group_wish(const struct ec2_region *r, const char *network) {
    const struct provider_settings *s = r->provider->settings;
    return (struct ec2_group_wish){.owner = s->owner,
                                   .deployment = s->name,
                                   .network = network,
                                   .expires_s = r->expires_s,
                                   .ssh_from = r->provider->ssh_from,
                                   .peers = r->peers,
                                   .events = &r->provider->events};
}

static int ensure_group(struct ec2_region *r, const char *subnet, const struct task *task,
                        char **ret_id, struct error *err) {
    cleanup_free char *network = NULL;
    if (ec2_network_of(r->ec2, subnet, task, &network, err) < 0)
        return -1;
    struct ec2_group_wish wish = ec2_region_group_wish(r, network);
    return ec2_group_ensure(r->ec2, &wish, task, ret_id, err);
}

int ec2_region_groups(struct ec2_region *r, struct error *err) {
    const struct deployment *d = deployment_of(r);
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t k = 0; k < d->testbed.fleets[f].region_count; k++) {
            const struct deployment_region *region = &d->testbed.fleets[f].regions[k];
            cleanup_free char *id = NULL;
            if (text_equal(region->name, r->name) &&
                ensure_group(r, region->subnet, r->task, &id, err) < 0)
                return -1;
        }
    return 0;
}

/* ---- making ---- */

static int make(struct ec2_region *r, const struct machine_wish *wish, struct error *err) {
    struct ec2_image image;
    cleanup_free char *group = NULL;
    if (ec2_image_find(r->ec2, wish, r->task, &image, err) < 0 ||
        ensure_group(r, wish->region->subnet, r->task, &group, err) < 0)
        return error_wrap(err, "fleet '%s'", wish->fleet->name);
    struct ec2_make what = {.wish = wish,
                            .settings = &r->provider->locked,
                            .group = group,
                            .image = &image,
                            .expires_s = r->expires_s};
    struct task task = making();
    return task_check(r->task, err) < 0 ? -1 : ec2_make_machines(r->ec2, &what, &task, err);
}

int ec2_region_start(struct ec2_region *r, struct error *err) {
    return call_all(r, "StartInstances", "InstanceId", is_stopped, NULL, err);
}

int ec2_region_up(struct ec2_region *r, struct error *err) {
    const struct deployment *d = deployment_of(r);
    cleanup_free struct machine_wish *wishes =
        mem_new_array(struct machine_wish, machines_wishes_max(d));
    size_t count = machines_missing(&r->found, d, wishes);
    if (ec2_region_start(r, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(wishes[i].region->name, r->name))
            continue;
        if (!r->flag) {
            error_set(err, ERROR_NOT_FOUND, "fleet '%s' has %zu machines too few in %s",
                      wishes[i].fleet->name, wishes[i].count, r->name);
            return error_hint(err, "`seatrial machines up` makes them");
        }
        if (make(r, &wishes[i], err) < 0)
            return -1;
    }
    return 0;
}

int ec2_region_check(struct ec2_region *r, struct error *err) {
    const struct deployment *d = deployment_of(r);
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t k = 0; k < d->testbed.fleets[f].region_count; k++) {
            struct ec2_image image;
            struct machine_wish wish = {&d->testbed.fleets[f], &d->testbed.fleets[f].regions[k],
                                        (size_t)d->testbed.fleets[f].regions[k].count};
            if (!text_equal(wish.region->name, r->name))
                continue;
            if (ec2_image_find(r->ec2, &wish, r->task, &image, err) < 0)
                return error_wrap(err, "fleet '%s'", wish.fleet->name);
            struct ec2_make what = {.wish = &wish,
                                    .settings = &r->provider->locked,
                                    .image = &image,
                                    .expires_s = r->expires_s,
                                    .dry_run = true};
            if (ec2_make_machines(r->ec2, &what, r->task, err) < 0)
                return -1;
        }
    return 0;
}

/* ---- ending ---- */

static bool has_machines(const struct ec2_region *r) {
    for (size_t i = 0; i < r->found.count; i++)
        if (r->found.items[i].kind == MACHINE_IS_MACHINE && r->found.items[i].state != MACHINE_GONE)
            return true;
    return false;
}

/* Returns how many are still there; -1. */
static int delete_groups(struct ec2_region *r, struct error *err) {
    int left = 0;
    for (size_t i = 0; i < r->found.count; i++) {
        char *id = r->found.items[i].id;
        if (r->found.items[i].kind != MACHINE_IS_GROUP)
            continue;
        struct task task = making();
        if (journal(r, "DeleteSecurityGroup", &id, 1, err) < 0)
            return -1;
        int in_use = ec2_group_delete(r->ec2, id, &task, err);
        if (in_use < 0)
            return -1;
        left += in_use;
    }
    return left;
}

/* Looks until nothing is left; what is there is ended each time, so that a machine that was not
 * seen at first ends too. */
int ec2_region_down(struct ec2_region *r, struct error *err) {
    for (unsigned n = 1;; n++) {
        if (ec2_region_look(r, err) < 0 ||
            call_all(r, "TerminateInstances", "InstanceId", machine_lives, NULL, err) < 0)
            return -1;
        if (!has_machines(r)) {
            int left = delete_groups(r, err);
            if (left < 0)
                return -1;
            if (left == 0)
                return ec2_region_look(r, err);
        }
        if (ec2_pause(r->provider, n, r->task, err) < 0)
            return -1;
    }
}

int ec2_region_reap(struct ec2_region *r, struct error *err) {
    struct machines over = MACHINES_NULL;
    if (call_all(r, "TerminateInstances", "InstanceId", is_over, NULL, err) < 0)
        return -1;
    for (size_t i = 0; i < r->found.count; i++) {
        struct machine *m = &r->found.items[i];
        if (!is_over(m))
            continue;
        mem_grow(over.items, over.count, over.capacity);
        over.items[over.count++] = *m;
        *m = (struct machine){.id = NULL};
    }
    machines_deinit(&r->found);
    r->found = over;
    return 0;
}
