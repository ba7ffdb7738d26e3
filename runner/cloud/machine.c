#include "runner/cloud/machine.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

const char *const machine_state_names[] = {
    [MACHINE_PENDING] = "pending", [MACHINE_RUNNING] = "running", [MACHINE_STOPPING] = "stopping",
    [MACHINE_STOPPED] = "stopped", [MACHINE_ENDING] = "ending",   [MACHINE_GONE] = "gone",
};

enum { TEXT_MAX = 512, TEXTS = 12 };

static void slots_of(struct machine *m, char **ret[TEXTS]) {
    char **all[TEXTS] = {&m->id,      &m->name,    &m->region, &m->owner,   &m->deployment,
                         &m->fleet,   &m->zone,    &m->type,   &m->address, &m->private_address,
                         &m->network, &m->host_key};
    memcpy(ret, all, sizeof all);
}

void machines_deinit(struct machines *machines) {
    for (size_t i = 0; i < machines->count; i++) {
        char **slots[TEXTS];
        slots_of(&machines->items[i], slots);
        for (size_t k = 0; k < TEXTS; k++)
            free(*slots[k]);
        free(machines->items[i].reason);
    }
    free(machines->items);
    *machines = MACHINES_NULL;
}

int machines_add(struct machines *machines, struct machine **ret, struct error *err) {
    if (machines->count == MACHINES_MAX)
        return error_set(err, ERROR_LIMIT, "there are more than %d machines", MACHINES_MAX);
    mem_grow(machines->items, machines->count, machines->capacity);
    struct machine *m = &machines->items[machines->count++];
    char **slots[TEXTS];
    *m = (struct machine){.state = MACHINE_PENDING};
    slots_of(m, slots);
    for (size_t i = 0; i < TEXTS; i++)
        *slots[i] = text_dup("");
    m->reason = text_dup("");
    *ret = m;
    return 0;
}

void machine_set(char **slot, const char *text) {
    char safe[TEXT_MAX];
    free(*slot);
    *slot = text_dup(text_safe(text, safe, sizeof safe));
}

void machines_move(struct machines *to, struct machines *from) {
    for (size_t i = 0; i < from->count; i++) {
        mem_grow(to->items, to->count, to->capacity);
        to->items[to->count++] = from->items[i];
    }
    free(from->items);
    *from = MACHINES_NULL;
}

bool machine_lives(const struct machine *m) {
    return m->kind == MACHINE_IS_MACHINE && m->state != MACHINE_ENDING && m->state != MACHINE_GONE;
}

static int by_age(const void *a, const void *b) {
    const struct machine *x = a, *y = b;
    int order = (int)x->kind - (int)y->kind;
    if (order == 0)
        order = strcmp(x->deployment, y->deployment);
    if (order == 0)
        order = strcmp(x->fleet, y->fleet);
    if (order == 0)
        order = strcmp(x->region, y->region);
    if (order == 0)
        order = (x->launched_s > y->launched_s) - (x->launched_s < y->launched_s);
    if (order == 0)
        order = (x->launch_index > y->launch_index) - (x->launch_index < y->launch_index);
    return order ? order : strcmp(x->id, y->id);
}

void machines_sort(struct machines *machines) {
    if (machines->count)
        qsort(machines->items, machines->count, sizeof *machines->items, by_age);
}

static bool belongs(const struct machine *m, const struct deployment_fleet *fleet,
                    const struct deployment_region *region) {
    return machine_lives(m) && text_equal(m->fleet, fleet->name) &&
           text_equal(m->region, region->name);
}

static void name_region(struct machines *machines, const struct deployment *d,
                        const struct deployment_fleet *fleet,
                        const struct deployment_region *region) {
    int64_t n = 0;
    for (size_t i = 0; i < machines->count && n < region->count; i++) {
        struct machine *m = &machines->items[i];
        if (!belongs(m, fleet, region))
            continue;
        m->host = &d->testbed.hosts[region->first_host + (size_t)n++];
        machine_set(&m->name, m->host->name);
    }
}

void machines_name(struct machines *machines, const struct deployment *d) {
    machines_sort(machines);
    for (size_t i = 0; i < machines->count; i++)
        machines->items[i].host = NULL;
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t r = 0; r < d->testbed.fleets[f].region_count; r++)
            name_region(machines, d, &d->testbed.fleets[f], &d->testbed.fleets[f].regions[r]);
}

size_t machines_wishes_max(const struct deployment *d) {
    size_t count = 0;
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        count += d->testbed.fleets[f].region_count;
    return count;
}

size_t machines_missing(const struct machines *machines, const struct deployment *d,
                        struct machine_wish *ret) {
    size_t count = 0;
    for (size_t f = 0; f < d->testbed.fleet_count; f++) {
        const struct deployment_fleet *fleet = &d->testbed.fleets[f];
        for (size_t r = 0; r < fleet->region_count; r++) {
            const struct deployment_region *region = &fleet->regions[r];
            size_t have = 0;
            for (size_t i = 0; i < machines->count; i++)
                have += belongs(&machines->items[i], fleet, region);
            if (have < (size_t)region->count)
                ret[count++] = (struct machine_wish){fleet, region, (size_t)region->count - have};
        }
    }
    return count;
}

/* ---- as hosts of a trial ---- */

const char *machines_user(const struct deployment *d) {
    return d->testbed.user ? d->testbed.user : "ubuntu";
}

const char *machine_address(const struct machine *m, const struct deployment *d) {
    return d->testbed.addresses == DEPLOYMENT_PRIVATE ? m->private_address : m->address;
}

/* Takes `text`. */
static void replace(char **slot, char *text) {
    free(*slot);
    *slot = text;
}

static void to_host(const struct machine *m, const struct deployment *d,
                    struct deployment_host *h) {
    const char *address = machine_address(m, d);
    if (m->state != MACHINE_RUNNING || !*address) {
        replace(&h->absent,
                text_format("its machine %s in %s is %s", m->id, m->region,
                            m->state == MACHINE_RUNNING ? "without an address"
                                                        : machine_state_names[m->state]));
        return;
    }
    replace(&h->absent, NULL);
    replace(&h->ssh, text_format("%s@%s", machines_user(d), address));
    replace(&h->ssh_host, text_dup(address));
    replace(&h->host_key, *m->host_key ? text_dup(m->host_key) : NULL);
}

void machines_to_hosts(const struct machines *machines, struct deployment *d) {
    for (size_t i = 0; i < d->testbed.host_count; i++)
        replace(&d->testbed.hosts[i].absent, text_dup("there is no machine for it"));
    for (size_t i = 0; i < machines->count; i++)
        if (machines->items[i].host)
            to_host(&machines->items[i], d,
                    &d->testbed.hosts[machines->items[i].host - d->testbed.hosts]);
}
