/* `local` and `hosts`: machines that are there anyway. They are listed, and left alone. */

#include "lib/memory.h"
#include "runner/cloud/provider.h"

#include <stdlib.h>

struct hosts_provider {
    struct provider base;
    const struct deployment *deployment;
    const char *name;
};

static void close_hosts(struct provider *provider) {
    free(provider);
}

static int add(const struct hosts_provider *p, const char *name, struct machines *ret,
               struct machine **ret_machine, struct error *err) {
    if (machines_add(ret, ret_machine, err) < 0)
        return -1;
    machine_set(&(*ret_machine)->id, name);
    machine_set(&(*ret_machine)->name, name);
    machine_set(&(*ret_machine)->deployment, p->name);
    (*ret_machine)->state = MACHINE_RUNNING;
    return 0;
}

static int list(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret, struct error *err) {
    (void)scope, (void)task;
    const struct hosts_provider *p = (const struct hosts_provider *)provider;
    const struct deployment *d = p->deployment;
    struct machine *m;
    if (d->testbed.provider == DEPLOYMENT_LOCAL)
        return add(p, "local", ret, &m, err);
    for (size_t i = 0; i < d->testbed.host_count; i++) {
        const struct deployment_host *host = &d->testbed.hosts[i];
        if (add(p, host->name, ret, &m, err) < 0)
            return -1;
        machine_set(&m->address, host->address ? host->address : host->ssh_host);
        machine_set(&m->fleet, host->fleet ? host->fleet : "");
        m->host = host;
    }
    return 0;
}

static int up(struct provider *provider, bool make, const struct task *task, struct machines *ret,
              struct error *err) {
    (void)make;
    return list(provider, PROVIDER_DEPLOYMENT, task, ret, err);
}

static int not_ours(const struct provider *provider, const char *what, struct error *err) {
    error_set(err, ERROR_USAGE, "the machines of provider '%s' are not ours to %s",
              provider->kind->name, what);
    return error_hint(err, "only machines that seatrial has made (provider: ec2) are stopped and "
                           "ended");
}

static int stop(struct provider *provider, const struct task *task, struct error *err) {
    (void)task;
    return not_ours(provider, "stop", err);
}

static int down(struct provider *provider, enum provider_scope scope, const struct task *task,
                struct machines *ret_left, struct error *err) {
    (void)scope, (void)task, (void)ret_left;
    return not_ours(provider, "end", err);
}

static int renew(struct provider *provider, const struct task *task, struct machines *ret,
                 struct error *err) {
    return list(provider, PROVIDER_DEPLOYMENT, task, ret, err);
}

static int reap(struct provider *provider, const struct task *task, struct machines *ret,
                struct error *err) {
    (void)task, (void)ret;
    return not_ours(provider, "end", err);
}

static int check(struct provider *provider, const struct task *task, struct error *err) {
    (void)provider, (void)task, (void)err;
    return 0;
}

static int examine(struct provider *provider, const struct task *task, provider_found *found,
                   void *arg, struct error *err) {
    (void)provider, (void)task, (void)found, (void)arg, (void)err;
    return 0;
}

#define KIND(name_)                                                                                \
    {                                                                                              \
        .name = (name_), .close = close_hosts, .list = list, .up = up, .stop = stop, .down = down, \
        .renew = renew, .reap = reap, .check = check, .examine = examine                           \
    }
static const struct provider_kind local_kind = KIND("local"), hosts_kind = KIND("hosts");

int provider_hosts_open(const struct provider_settings *settings, struct provider **ret,
                        struct error *err) {
    (void)err;
    struct hosts_provider *p = mem_new(struct hosts_provider);
    bool local = settings->deployment->testbed.provider == DEPLOYMENT_LOCAL;
    p->base.kind = local ? &local_kind : &hosts_kind;
    p->deployment = settings->deployment;
    p->name = settings->name;
    *ret = &p->base;
    return 0;
}
