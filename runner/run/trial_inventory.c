/* Which machines a trial has, and who they are, for the inventory. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/target.h"
#include "runner/run/inventory.h"
#include "runner/run/trial.h"

#include <stdlib.h>
#include <string.h>

struct machines {
    struct inventory_host *hosts;
    struct target **targets;
    const char ***roles;
    size_t count;
};

static void machines_deinit(struct machines *m) {
    for (size_t i = 0; i < m->count; i++) {
        if (m->targets[i])
            target_free(m->targets[i]);
        free(m->roles[i]);
    }
    free(m->hosts);
    free(m->targets);
    free(m->roles);
}

/* A check that was good is one whose lane has told us all about the host. */
static bool is_checked(const struct trial *t, size_t host) {
    for (size_t i = 0; i < t->plan->step_count; i++)
        if (t->plan->steps[i].kind == STEP_CHECK_HOST && t->plan->steps[i].host == host)
            return t->schedule.states[i] == STEP_GOOD;
    return false;
}

static const char **roles_on(const struct plan *plan, size_t host) {
    const char **roles = mem_new_array(const char *, PROJECT_ROLE_LOADER + 2);
    size_t n = 0;
    for (int role = 0; role <= PROJECT_ROLE_LOADER; role++)
        for (size_t i = 0; i < plan->container_count; i++)
            if (plan->containers[i].host == host &&
                plan->containers[i].service->seatrial.role == (enum project_role)role) {
                roles[n++] = project_role_name((enum project_role)role);
                break;
            }
    return roles;
}

static void add_machine(const struct trial *t, size_t host, struct machines *m) {
    const struct testbed_host *at = &t->testbed->hosts[host];
    const struct host_ssh *ssh = host_ssh(at->host);
    struct error ignored = ERROR_NULL; /* it was read before, so that we are connected */
    if (!ssh)
        return;
    struct target **target = &m->targets[m->count];
    if (target_resolve(at->ssh, t->testbed->ssh_config, target, &ignored) < 0)
        *target = NULL;
    const char **roles = m->roles[m->count] = roles_on(t->plan, host);
    const char *pinned = at->deployment ? at->deployment->host_key : NULL;
    m->hosts[m->count++] = (struct inventory_host){
        .name = t->plan->hosts[host].name,
        .user = ssh->user,
        .address = ssh->address,
        .port = ssh->port,
        .identity_file = ssh->identity_file,
        .proxy_jump = ssh->proxy_jump,
        .host_key = pinned && !text_starts(pinned, "SHA256:") ? pinned : NULL,
        .host_key_alias = *target ? (*target)->host_key_alias : NULL,
        .known_hosts_files = *target ? (*target)->user_known_hosts_files : NULL,
        .roles = roles,
        .fleet = at->deployment ? at->deployment->fleet : NULL,
    };
}

void trial_write_inventory(struct trial *t) {
    struct error err = ERROR_NULL;
    size_t count = t->plan->host_count;
    cleanup(machines_deinit) struct machines m = {.hosts =
                                                      mem_new_array(struct inventory_host, count),
                                                  .targets = mem_new_array(struct target *, count),
                                                  .roles = mem_new_array(const char **, count)};
    for (size_t i = 0; i < count; i++)
        if (is_checked(t, i))
            add_machine(t, i, &m);
    cleanup_free char *config =
        t->testbed->ssh_config ? path_absolute(t->testbed->ssh_config) : NULL;
    const struct inventory inventory = {
        .hosts = m.hosts, .count = m.count, .folder = t->results.folder, .ssh_config = config};
    if (m.count > 0 && inventory_write(&inventory, &err) < 0)
        progress_warn(t->settings.progress, "%s", err.text);
}
