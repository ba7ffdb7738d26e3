/* Who we are at the cloud, what we may do there, and whether the machines could be made. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/doctor.h"
#include "runner/command/machines.h"

#include <stdlib.h>

static const enum finding_result results[] = {[PROVIDER_GOOD] = FINDING_GOOD,
                                              [PROVIDER_WARNING] = FINDING_WARNING,
                                              [PROVIDER_FAILED] = FINDING_FAILED,
                                              [PROVIDER_NOT_CHECKED] = FINDING_NOT_CHECKED};

static struct examination *of_region(struct doctor_cloud *c, const char *region) {
    for (size_t i = 0; i < c->count; i++)
        if (text_equal(c->hosts[i].name, region))
            return &c->all[i];
    if (c->count == DOCTOR_REGIONS_MAX)
        return &c->all[0];
    c->names[c->count] = text_dup(region);
    c->hosts[c->count].name = c->names[c->count];
    c->all[c->count].host = &c->hosts[c->count];
    return &c->all[c->count++];
}

static void on_found(void *arg, const struct provider_finding *found) {
    struct examination *x = of_region(arg, found->region);
    if (x->count == FINDINGS_MAX)
        return;
    struct finding *f = doctor_find(x, found->check, results[found->result], "%s", found->text);
    f->remedy = text_dup(found->remedy);
}

static int examine(const struct command_context *context, const struct command_files *files,
                   struct doctor_cloud *c, struct error *err) {
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    struct task task = doctor_task();
    if (machines_open_with(context, files, MACHINES_ASK, &s, err) < 0)
        return -1;
    return s.provider->kind->examine(s.provider, &task, on_found, c, err);
}

void doctor_examine_cloud(const struct command_context *context, const struct command_files *files,
                          struct doctor_cloud *ret) {
    struct error err = ERROR_NULL;
    if (files->deployment->testbed.provider != DEPLOYMENT_EC2)
        return;
    if (examine(context, files, ret, &err) < 0)
        doctor_find_error(of_region(ret, "-"), "cloud", &err);
}

void doctor_cloud_move(struct doctor_cloud *c, struct examination *to) {
    for (size_t i = 0; i < c->count; i++) {
        to[i] = c->all[i];
        c->all[i].count = 0;
    }
}

void doctor_cloud_deinit(struct doctor_cloud *c) {
    for (size_t i = 0; i < c->count; i++) {
        doctor_free_findings(&c->all[i]);
        free(c->names[i]);
    }
    c->count = 0;
}
