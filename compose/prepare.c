/*
 * What role `prepare` asks for: such a service runs to its end before any other is made, and what
 * it leaves in its `output` folder is put at the same path into all others.
 */

#include "compose/read.h"
#include "lib/text.h"

#include <string.h>

#define place_error(place, err, format, ...)                                                       \
    error_set(err, ERROR_CONFIG, "%s:%u:%u: " format, (place)->file, (place)->line,                \
              (place)->column, __VA_ARGS__)

static bool is_prepare(const struct project_service *service) {
    return service->seatrial.role == PROJECT_ROLE_PREPARE;
}

/* One is the other, or a folder above it. Paths without "." or a slash at their end. */
static bool overlap(const char *a, const char *b) {
    size_t size = strlen(a) < strlen(b) ? strlen(a) : strlen(b);
    if (strncmp(a, b, size) != 0)
        return false;
    char next = strlen(a) < strlen(b) ? b[size] : a[size];
    return next == '\0' || next == '/' || size == 1;
}

/* ---- the order ---- */

int check_prepare_dependency(const struct project_service *service,
                             const struct project_service *other,
                             const struct project_dependency *d, struct error *err) {
    if (is_prepare(service) && !is_prepare(other))
        return place_error(&d->place, err,
                           "prepare service '%s' cannot wait for '%s': it has ended before that "
                           "is started",
                           service->name, other->name);
    if (!is_prepare(other))
        return 0;
    if (d->condition == PROJECT_HEALTHY) {
        place_error(&d->place, err,
                    "service '%s' cannot wait for the health of prepare service '%s', which has "
                    "ended before",
                    service->name, other->name);
        return error_hint(err, "it is waited for anyway; service_completed_successfully says so");
    }
    return 0;
}

/* ---- one service ---- */

/* A network is shared with a container that runs. */
static int check_shared_network(const struct project *project,
                                const struct project_service *service, struct error *err) {
    static const char prefix[] = "service:";
    if (!service->network_mode || !text_starts(service->network_mode, prefix))
        return 0;
    const struct project_service *other =
        project_service(project, service->network_mode + strlen(prefix));
    if (!is_prepare(service) && !is_prepare(other))
        return 0;
    return place_error(&service->place, err,
                       "service '%s' cannot share the network of '%s': they never run at the same "
                       "time, since '%s' is a prepare service",
                       service->name, other->name, (is_prepare(other) ? other : service)->name);
}

static int check_own(const struct project_service *service, struct error *err) {
    if (!is_prepare(service) && service->seatrial.output) {
        place_error(&service->place, err,
                    "service '%s' has 'output' in 'x-seatrial', which is for role prepare",
                    service->name);
        return error_hint(err, "'collect' fetches folders of other roles");
    }
    if (!is_prepare(service))
        return 0;
    if (text_equal(service->restart, "always") || text_equal(service->restart, "unless-stopped"))
        return place_error(&service->place, err,
                           "prepare service '%s' has 'restart: %s', and would never end",
                           service->name, service->restart);
    if (service->seatrial.output && service->replicas > 1)
        return place_error(&service->place, err,
                           "prepare service '%s' has an 'output', and so only one container can "
                           "run it, not %lld",
                           service->name, (long long)service->replicas);
    return 0;
}

/* ---- an output against the mounts of all ---- */

static int bad_mount(const struct project_service *from, const struct project_service *to,
                     const char *what, const char *target, struct error *err) {
    return place_error(&from->place, err,
                       "output '%s' of prepare service '%s' and %s '%s' of service '%s' overlap",
                       from->seatrial.output, from->name, what, target, to->name);
}

/* A tmpfs hides what is put beneath it, and a bind would get it onto the host. */
static int check_mounts(const struct project_service *from, const struct project_service *to,
                        struct error *err) {
    for (const struct env_pair *p = to->tmpfs; p && p->name; p++)
        if (overlap(from->seatrial.output, p->name))
            return bad_mount(from, to, "tmpfs", p->name, err);
    for (size_t i = 0; i < to->mount_count; i++) {
        const struct project_mount *m = &to->mounts[i];
        bool tmpfs = m->type == PROJECT_MOUNT_TMPFS;
        bool bind = m->type == PROJECT_MOUNT_BIND && from != to;
        if ((tmpfs || bind) && overlap(from->seatrial.output, m->target))
            return bad_mount(from, to, tmpfs ? "tmpfs" : "bind", m->target, err);
    }
    return 0;
}

static int check_output(const struct project *project, const struct project_service *service,
                        struct error *err) {
    for (size_t i = 0; i < project->service_count; i++) {
        const struct project_service *other = &project->services[i];
        if (check_mounts(service, other, err) < 0)
            return -1;
        const char *output = other->seatrial.output;
        if (other < service && is_prepare(other) && output &&
            overlap(output, service->seatrial.output))
            return place_error(&service->place, err,
                               "outputs '%s' of '%s' and '%s' of '%s' overlap", output, other->name,
                               service->seatrial.output, service->name);
    }
    return 0;
}

int check_prepare(const struct project *project, struct error *err) {
    for (size_t i = 0; i < project->service_count; i++)
        if (check_own(&project->services[i], err) < 0 ||
            check_shared_network(project, &project->services[i], err) < 0)
            return -1;
    for (size_t i = 0; i < project->service_count; i++)
        if (project->services[i].seatrial.output &&
            check_output(project, &project->services[i], err) < 0)
            return -1;
    return 0;
}
