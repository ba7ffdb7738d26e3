/* Is the registry there, and does it let us in? */

#include "images/reference.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/doctor.h"
#include "runner/run/registries.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* An image of Docker's own, for asking how many pulls are left: that is no pull. */
static const char limits_path[] = "ratelimitpreview/test";

static void find_limits(struct examination *x, struct registry *registry) {
    struct task task = doctor_task();
    struct registry_limits limits;
    struct error err = ERROR_NULL;
    int r = registry_pull_limits(registry, limits_path, "latest", &task, &limits, &err);
    if (r < 0)
        doctor_find_error(x, "pull limits", &err);
    else if (r == 1)
        doctor_find(x, "pull limits", FINDING_GOOD, "none that the registry tells of");
    else
        doctor_find(x, "pull limits", limits.left == 0 ? FINDING_WARNING : FINDING_GOOD,
                    "%" PRIu64 " of %" PRIu64 " pulls within %" PRIu64 " hours are left",
                    limits.left, limits.pulls, limits.window_s / 3600);
}

static int look(struct examination *x, struct registries *registries, const char *domain,
                struct error *err) {
    cleanup(registry_closep) struct registry *registry = NULL;
    struct engine_registry_auth auth;
    struct task task = doctor_task();
    char who[200];
    if (registries_auth(registries, domain, &task, &auth, err) < 0 ||
        registries_open(registries, domain, NULL, &task, &registry, err) < 0 ||
        registry_check(registry, &task, err) < 0)
        return -1;
    bool known = auth.username || auth.identity_token;
    struct finding *f = doctor_find(x, "registry", known ? FINDING_GOOD : FINDING_WARNING,
                                    "'%s' lets us in as %s", domain,
                                    auth.username ? text_safe(auth.username, who, sizeof who)
                                    : known       ? "who the token says"
                                                  : "nobody: pushing may not be allowed");
    if (!known)
        f->remedy =
            text_format("`docker login %s`, or docker.username and docker.access_token", domain);
    if (text_equal(domain, "docker.io"))
        find_limits(x, registry);
    return 0;
}

void doctor_examine_registry(struct examination *x, const struct deployment *deployment) {
    struct registries registries;
    struct error err = ERROR_NULL;
    const char *registry = deployment_registry(deployment);
    if (!registry) {
        doctor_find(x, "registry", FINDING_NOT_CHECKED,
                    "none is named: images go straight to hosts");
        return;
    }
    cleanup_free char *domain = text_format("%.*s", (int)strcspn(registry, "/"), registry);
    registries_init(&registries, deployment);
    if (look(x, &registries, domain, &err) < 0)
        doctor_find_error(x, "registry", &err);
    registries_deinit(&registries);
}
