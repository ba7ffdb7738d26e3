/* Provider `ec2`: all of a deployment's regions as one. */

#include "lib/http.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/cloud/ec2_regions.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Machines of AWS run a minute or two after they were asked for, and end as fast. */
#define UP_NS (15 * 60 * NS_PER_SEC)
#define DOWN_NS (10 * 60 * NS_PER_SEC)
enum { RULES_OF_A_GROUP = 60 };
#define ADDRESS_NS (20 * NS_PER_SEC)
#define RENEW_NS (60 * NS_PER_SEC)

static struct ec2_provider *self(struct provider *provider) {
    return (struct ec2_provider *)provider;
}

/* ---- events, one at a time ---- */

static int locked_journal(void *arg, const char *event, struct json *fields, struct error *err) {
    struct ec2_provider *p = arg;
    pthread_mutex_lock(&p->lock);
    int r = p->settings->events.journal(p->settings->events.arg, event, fields, err);
    pthread_mutex_unlock(&p->lock);
    return r;
}

static char *locked_pending(void *arg, const char *fleet, const char *region) {
    struct ec2_provider *p = arg;
    pthread_mutex_lock(&p->lock);
    char *token = p->settings->events.pending(p->settings->events.arg, fleet, region);
    pthread_mutex_unlock(&p->lock);
    return token;
}

static void locked_note(void *arg, const char *text) {
    struct ec2_provider *p = arg;
    pthread_mutex_lock(&p->lock);
    p->settings->events.note(p->settings->events.arg, text);
    pthread_mutex_unlock(&p->lock);
}

/* ---- looking ---- */

static size_t regions_of(struct ec2_provider *p, enum provider_scope scope) {
    size_t count = scope == PROVIDER_ALL ? p->region_count : p->deployment_region_count;
    for (size_t i = 0; i < count; i++)
        p->regions[i].scope = scope;
    return count;
}

static int look(struct ec2_provider *p, enum provider_scope scope, const struct task *task,
                struct error *err) {
    if (scope == PROVIDER_ALL && ec2_regions_discover(p, task, err) < 0)
        return -1;
    size_t count = regions_of(p, scope);
    if (ec2_regions_each(p, count, task, ec2_region_look, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        machines_sort(&p->regions[i].found);
    /* Names are those of one deployment: with others in between, none has one. */
    for (size_t i = 0; scope == PROVIDER_DEPLOYMENT && i < count; i++)
        machines_name(&p->regions[i].found, p->settings->deployment);
    return 0;
}

static void hand_over(struct ec2_provider *p, enum provider_scope scope, struct machines *ret) {
    size_t count = regions_of(p, scope);
    for (size_t i = 0; i < count; i++)
        machines_move(ret, &p->regions[i].found);
    machines_sort(ret);
}

static int list(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret, struct error *err) {
    struct ec2_provider *p = self(provider);
    if (look(p, scope, task, err) < 0)
        return -1;
    hand_over(p, scope, ret);
    return 0;
}

/* ---- who may come in ---- */

/* As AWS sees us. */
static int ask_address(const struct task *task, char **ret, struct error *err) {
    cleanup(http_closep) struct http *http = NULL;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct http_tls tls = {.ca_file = NULL};
    struct http_address address = {
        .host = "checkip.amazonaws.com", .port = 443, .tls = &tls, .proxies = true};
    struct http_request request = {.method = "GET", .path = "/", .body_max = 256};
    struct task limited = task_within(task, ADDRESS_NS);
    unsigned char bytes[4];
    if (http_open(&address, &http, err) < 0 ||
        http_call(http, &request, &limited, &response, err) < 0)
        return -1;
    cleanup_free char *text = text_format("%.*s", (int)strcspn(buffer_string(&response.body), "\n"),
                                          buffer_string(&response.body));
    if (response.status != 200 || inet_pton(AF_INET, text, bytes) != 1)
        return error_set(err, ERROR_INVALID, "checkip.amazonaws.com does not say our address");
    *ret = text_format("%s/32", text);
    return 0;
}

static int find_ssh_from(struct ec2_provider *p, const struct task *task, struct error *err) {
    const struct deployment *d = p->settings->deployment;
    char *const *said = d->testbed.ssh_from;
    if (p->ssh_from)
        return 0;
    for (; said && *said; said++)
        texts_append(&p->ssh_from, *said);
    if (p->ssh_from)
        return 0;
    if (d->testbed.addresses == DEPLOYMENT_PRIVATE) {
        error_set(err, ERROR_CONFIG, "which addresses may come in by SSH is not known");
        return error_hint(err, "with `addresses: private` say testbed.ssh_from: [NETWORK]");
    }
    cleanup_free char *network = NULL;
    if (ask_address(task, &network, err) < 0) {
        error_wrap(err, "which address of this machine AWS sees");
        return error_hint(err, "say it in testbed.ssh_from: [ADDRESS/32]");
    }
    texts_append(&p->ssh_from, network);
    return 0;
}

/* ---- up ---- */

static const char *address_of(const struct ec2_provider *p, const struct machine *m) {
    return machine_address(m, p->settings->deployment);
}

static size_t count_ready(const struct ec2_provider *p) {
    size_t ready = 0;
    for (size_t i = 0; i < p->deployment_region_count; i++) {
        const struct machines *found = &p->regions[i].found;
        for (size_t k = 0; k < found->count; k++)
            ready += found->items[k].host && found->items[k].state == MACHINE_RUNNING &&
                     *address_of(p, &found->items[k]);
    }
    return ready;
}

/* A machine that was made and has ended will not come back by waiting. */
static int check_ended(const struct ec2_provider *p, int64_t begun_s, struct error *err) {
    for (size_t i = 0; i < p->deployment_region_count; i++) {
        const struct machines *found = &p->regions[i].found;
        for (size_t k = 0; k < found->count; k++) {
            const struct machine *m = &found->items[k];
            if (m->kind != MACHINE_IS_MACHINE || machine_lives(m) || !*m->reason ||
                m->launched_s < begun_s)
                continue;
            error_set(err, ERROR_FAILED, "machine %s of fleet '%s' in %s ended: %s", m->id,
                      m->fleet, m->region, m->reason);
            return error_hint(err, "`seatrial machines up` makes another");
        }
    }
    return 0;
}

/* Once all are asked for: what EC2 does not show yet is on its way. */
static int wait_until_up(struct ec2_provider *p, int64_t begun_s, const struct task *task,
                         struct error *err) {
    const size_t wanted = p->settings->deployment->testbed.host_count;
    size_t told = 0;
    for (unsigned n = 1;; n++) {
        if (look(p, PROVIDER_DEPLOYMENT, task, err) < 0)
            return -1;
        size_t ready = count_ready(p);
        if (ready == wanted)
            return 0;
        if (check_ended(p, begun_s, err) < 0 ||
            ec2_regions_each(p, p->deployment_region_count, task, ec2_region_start, err) < 0)
            return -1;
        if (ready != told) {
            cleanup_free char *text = text_format("%zu of %zu machines run", ready, wanted);
            p->events.note(p->events.arg, text);
            told = ready;
        }
        if (ec2_pause(p, n, task, err) < 0)
            return error_wrap(err, "%zu of %zu machines run", ready, wanted);
    }
}

/* Machines of other regions come by their addresses, which change when they are started again. */
static void find_peers(struct ec2_provider *p) {
    for (size_t i = 0; i < p->deployment_region_count; i++) {
        struct ec2_region *r = &p->regions[i];
        texts_free(r->peers);
        r->peers = NULL;
        for (size_t k = 0; k < p->deployment_region_count; k++)
            for (size_t m = 0; k != i && m < p->regions[k].found.count; m++) {
                const struct machine *machine = &p->regions[k].found.items[m];
                if (machine->host && *address_of(p, machine))
                    texts_append(&r->peers, address_of(p, machine));
            }
    }
}

/* Each machine elsewhere is a rule, and so is each network of the runner. */
static void warn_of_rules(const struct ec2_provider *p) {
    size_t own = 1 + texts_count(p->ssh_from);
    const struct deployment *d = p->settings->deployment;
    for (size_t i = 0; i < p->deployment_region_count; i++) {
        size_t rules = own + d->testbed.host_count;
        for (size_t f = 0; f < d->testbed.fleet_count; f++)
            for (size_t k = 0; k < d->testbed.fleets[f].region_count; k++)
                if (text_equal(d->testbed.fleets[f].regions[k].name, p->regions[i].name))
                    rules -= (size_t)d->testbed.fleets[f].regions[k].count;
        if (rules <= RULES_OF_A_GROUP)
            continue;
        cleanup_free char *text =
            text_format("the security group in %s will need %zu rules, one for each machine of "
                        "another region: EC2 gives %d unless it was asked for more",
                        p->regions[i].name, rules, RULES_OF_A_GROUP);
        p->events.note(p->events.arg, text);
    }
}

static int up(struct provider *provider, bool make, const struct task *task, struct machines *ret,
              struct error *err) {
    struct ec2_provider *p = self(provider);
    struct task limited = task_within(task, UP_NS);
    int64_t begun_s = clock_wall().ns / (int64_t)NS_PER_SEC - 60; /* clocks differ */
    size_t count = p->deployment_region_count;
    if (find_ssh_from(p, task, err) < 0 || look(p, PROVIDER_DEPLOYMENT, &limited, err) < 0)
        return -1;
    find_peers(p);
    warn_of_rules(p);
    for (size_t i = 0; i < count; i++) {
        p->regions[i].expires_s = provider_expires_s(p->settings->deployment);
        p->regions[i].flag = make;
    }
    if (ec2_regions_each(p, count, &limited, ec2_region_up, err) < 0 ||
        wait_until_up(p, begun_s, &limited, err) < 0)
        return -1;
    find_peers(p);
    if (ec2_regions_each(p, count, &limited, ec2_region_groups, err) < 0 ||
        ec2_regions_each(p, count, &limited, ec2_region_renew, err) < 0)
        return -1;
    hand_over(p, PROVIDER_DEPLOYMENT, ret);
    return 0;
}

/* ---- renew, stop, down, reap ---- */

static int renew(struct provider *provider, const struct task *task, struct machines *ret,
                 struct error *err) {
    struct ec2_provider *p = self(provider);
    struct task limited = task_within(task, RENEW_NS);
    if (look(p, PROVIDER_DEPLOYMENT, &limited, err) < 0)
        return -1;
    for (size_t i = 0; i < p->deployment_region_count; i++)
        p->regions[i].expires_s = provider_expires_s(p->settings->deployment);
    if (ec2_regions_each(p, p->deployment_region_count, &limited, ec2_region_renew, err) < 0)
        return -1;
    hand_over(p, PROVIDER_DEPLOYMENT, ret);
    return 0;
}

static bool all_stopped(const struct ec2_provider *p) {
    for (size_t i = 0; i < p->deployment_region_count; i++)
        for (size_t k = 0; k < p->regions[i].found.count; k++) {
            const struct machine *m = &p->regions[i].found.items[k];
            if (machine_lives(m) && m->state != MACHINE_STOPPED)
                return false;
        }
    return true;
}

static int stop(struct provider *provider, const struct task *task, struct error *err) {
    struct ec2_provider *p = self(provider);
    struct task limited = task_within(task, DOWN_NS);
    for (unsigned n = 1;; n++) {
        if (look(p, PROVIDER_DEPLOYMENT, &limited, err) < 0)
            return -1;
        if (all_stopped(p))
            return 0;
        if (ec2_regions_each(p, p->deployment_region_count, &limited, ec2_region_stop, err) < 0 ||
            ec2_pause(p, n, &limited, err) < 0)
            return -1;
    }
}

static void keep_living(struct machines *all, struct machines *ret) {
    for (size_t i = 0; i < all->count; i++) {
        struct machine *m = &all->items[i];
        if (m->kind == MACHINE_IS_MACHINE && m->state == MACHINE_GONE)
            continue;
        mem_grow(ret->items, ret->count, ret->capacity);
        ret->items[ret->count++] = *m;
        *m = (struct machine){.id = NULL};
    }
}

static int down(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret_left, struct error *err) {
    struct ec2_provider *p = self(provider);
    struct task limited = task_within(task, DOWN_NS);
    cleanup(machines_deinit) struct machines all = MACHINES_NULL;
    if (scope == PROVIDER_ALL && ec2_regions_discover(p, task, err) < 0)
        return -1;
    int r = ec2_regions_each(p, regions_of(p, scope), &limited, ec2_region_down, err);
    if (r < 0 && err->kind != ERROR_TIMEOUT)
        return -1;
    hand_over(p, scope, &all); /* what the last look saw */
    keep_living(&all, ret_left);
    if (r < 0 && ret_left->count == 0)
        return -1; /* a look that was cut off saw nothing: that is not that there is nothing */
    if (r < 0)
        p->events.note(p->events.arg, err->text);
    return 0;
}

static int reap(struct provider *provider, const struct task *task, struct machines *ret,
                struct error *err) {
    struct ec2_provider *p = self(provider);
    if (look(p, PROVIDER_ALL, task, err) < 0 ||
        ec2_regions_each(p, p->region_count, task, ec2_region_reap, err) < 0)
        return -1;
    hand_over(p, PROVIDER_ALL, ret);
    return 0;
}

/* ---- the rest ---- */

static int check(struct provider *provider, const struct task *task, struct error *err) {
    struct ec2_provider *p = self(provider);
    for (size_t i = 0; i < p->deployment_region_count; i++)
        p->regions[i].expires_s = provider_expires_s(p->settings->deployment);
    return ec2_regions_each(p, p->deployment_region_count, task, ec2_region_check, err);
}

static void close_ec2(struct provider *provider) {
    struct ec2_provider *p = self(provider);
    ec2_regions_free(p);
    texts_free(p->ssh_from);
    aws_chain_free(p->chain);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static const struct provider_kind ec2_kind = {.name = "ec2",
                                              .makes = true,
                                              .close = close_ec2,
                                              .list = list,
                                              .up = up,
                                              .stop = stop,
                                              .renew = renew,
                                              .down = down,
                                              .reap = reap,
                                              .check = check,
                                              .examine = ec2_examine};

int provider_ec2_open(const struct provider_settings *settings, struct provider **ret,
                      struct error *err) {
    const struct deployment *d = settings->deployment;
    struct ec2_provider *p = mem_new(struct ec2_provider);
    cleanup(provider_closep) struct provider *base = &p->base;
    p->base.kind = &ec2_kind;
    p->settings = settings;
    p->events = (struct provider_events){
        .journal = locked_journal, .pending = locked_pending, .note = locked_note, .arg = p};
    p->locked = *settings;
    p->locked.events = p->events;
    pthread_mutex_init(&p->lock, NULL);
    p->chain = aws_chain_new(d, settings->environment);
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t r = 0; r < d->testbed.fleets[f].region_count; r++)
            if (ec2_region_add(p, d->testbed.fleets[f].regions[r].name, err) < 0)
                return -1;
    p->deployment_region_count = p->region_count;
    *ret = take_ptr(base);
    return 0;
}
