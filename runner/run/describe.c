#include "runner/run/describe.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/volume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { STOP_GRACE_S_DEFAULT = 10 };

static void *own(struct description *d, void *p) {
    mem_grow(d->owned, d->owned_count, d->owned_capacity);
    d->owned[d->owned_count++] = p;
    return p;
}

static const char *const *texts(char *const *list) {
    return (const char *const *)list;
}

static struct engine_pair *room(struct description *d, size_t count) {
    return own(d, mem_new_array(struct engine_pair, count + 1));
}

static const struct engine_pair *pairs(struct description *d, const struct env_pair *from) {
    if (!from)
        return NULL;
    struct engine_pair *to = room(d, env_pairs_count(from));
    for (size_t i = 0; from[i].name; i++)
        to[i] = (struct engine_pair){from[i].name, from[i].value};
    return to;
}

static const char *number(struct description *d, size_t n) {
    return own(d, text_format("%zu", n));
}

/* The user's variables first: ours win, whatever the Compose file says. */
static void environment(struct description *d, const struct plan *plan,
                        const struct plan_container *c) {
    const struct project_service *service = c->service;
    size_t given = env_pairs_count(service->environment);
    struct engine_pair *env = room(d, given + 7);
    size_t n = 0;
    for (size_t i = 0; i < given; i++)
        if (!text_starts(service->environment[i].name, "SEATRIAL_"))
            env[n++] =
                (struct engine_pair){service->environment[i].name, service->environment[i].value};
    env[n++] = (struct engine_pair){"SEATRIAL_INDEX", number(d, c->index)};
    env[n++] = (struct engine_pair){"SEATRIAL_ROLE", project_role_name(service->seatrial.role)};
    env[n++] = (struct engine_pair){"SEATRIAL_RUN", plan->run};
    if (plan->options.in_memory)
        env[n++] = (struct engine_pair){"SEATRIAL_IN_MEMORY", "1"};
    if (plan->options.no_merkle)
        env[n++] = (struct engine_pair){"SEATRIAL_MERKLE", "0"};
    size_t loaders = plan_role_count(plan, PROJECT_ROLE_LOADER);
    if (service->seatrial.role == PROJECT_ROLE_LOADER && loaders > 1)
        env[n++] = (struct engine_pair){"SEATRIAL_LOADERS", number(d, loaders)};
    if (service->seatrial.role == PROJECT_ROLE_LOADER && plan->loader_args)
        env[n++] = (struct engine_pair){"SEATRIAL_LOADER_ARGS", plan->loader_args};
    d->spec.env = env;
}

/* What `docker compose` compares to see whether a service has changed; ours is of the plan's words.
 */
static const char *config_hash(struct description *d, const struct plan_container *c) {
    unsigned char hash[SHA256_SIZE];
    char *text = own(d, mem_alloc(2 * SHA256_SIZE + 1));
    sha256_of(c->service->image, strlen(c->service->image), hash);
    text_hex(hash, sizeof hash, text);
    return text;
}

static void labels(struct description *d, const struct plan *plan, const struct plan_container *c,
                   const char *owner) {
    const struct project *project = plan->project;
    size_t given = env_pairs_count(c->service->labels), n = 0;
    struct engine_pair *list = room(d, given + 12);
    for (; n < given; n++)
        list[n] = (struct engine_pair){c->service->labels[n].name, c->service->labels[n].value};
    struct buffer files;
    buffer_init(&files, 64 << 10);
    for (size_t i = 0; project->files && project->files[i]; i++) {
        char *file = own(d, path_absolute(project->files[i]));
        buffer_format(&files, "%s%s", i ? "," : "", file);
    }
    const struct engine_pair ours[] = {
        {LABEL_RUN, plan->run},
        {LABEL_OWNER, owner},
        {LABEL_ROLE, project_role_name(c->service->seatrial.role)},
        {LABEL_INDEX, number(d, c->index)},
        {LABEL_PROJECT, project->name},
        {LABEL_SERVICE, c->service->name},
        {LABEL_NUMBER, number(d, c->number)},
        {LABEL_ONEOFF, "False"},
        {"com.docker.compose.config-hash", config_hash(d, c)},
        {"com.docker.compose.project.config_files", own(d, buffer_take(&files))},
        {"com.docker.compose.project.working_dir",
         own(d, path_absolute(*project->folder ? project->folder : "."))},
        {"com.docker.compose.version", "2.26.1"}, /* whose labels these are */
    };
    memcpy(list + n, ours, sizeof ours);
    d->spec.labels = list;
}

const char *describe_cores(const struct project_service *service) {
    if (service->seatrial.cores)
        return service->seatrial.cores;
    return service->seatrial.role == PROJECT_ROLE_REPLICA ? DESCRIBE_CORES : NULL;
}

/* Below /seatrial, which is a mount of ours, the folder is there without one. */
static bool cores_are_mounted(const struct project_service *service) {
    if (!service->seatrial.cores)
        return false;
    cleanup_free char *folder = project_resolve_path("/", service->seatrial.cores);
    bool free = !text_equal(folder, "/") && !text_equal(folder, "/seatrial") &&
                !text_starts(folder, "/seatrial/");
    for (size_t i = 0; free && i < service->mount_count; i++) {
        cleanup_free char *target = project_resolve_path("/", service->mounts[i].target);
        free = !text_equal(folder, target);
    }
    for (size_t i = 0; free && service->tmpfs && service->tmpfs[i].name; i++) {
        cleanup_free char *target = project_resolve_path("/", service->tmpfs[i].name);
        free = !text_equal(folder, target);
    }
    return free;
}

bool describe_cores_are_ours(const struct project_service *service) {
    const char *folder = describe_cores(service);
    return folder && (text_equal(folder, DESCRIBE_CORES) || cores_are_mounted(service));
}

/* Core dumps need a soft limit that is not 0; a user's own word on it stands. */
static void ulimits(struct description *d, const struct project_service *service) {
    struct engine_ulimit *list =
        own(d, mem_new_array(struct engine_ulimit, service->ulimit_count + 2));
    bool core = false;
    for (size_t i = 0; i < service->ulimit_count; i++) {
        list[i] = (struct engine_ulimit){service->ulimits[i].name, service->ulimits[i].soft,
                                         service->ulimits[i].hard};
        core = core || text_equal(service->ulimits[i].name, "core");
    }
    if (!core && describe_cores(service))
        list[service->ulimit_count] = (struct engine_ulimit){"core", -1, -1};
    d->spec.ulimits = list;
}

static const char *mount_source(const struct plan *plan, const struct project_mount *m) {
    const struct project_volume *volume =
        m->type == PROJECT_MOUNT_VOLUME ? project_volume(plan->project, m->source) : NULL;
    return volume ? volume->name : m->source;
}

static void mounts(struct description *d, const struct plan *plan, const struct plan_container *c,
                   const char *files) {
    static const enum engine_mount_type types[] = {[PROJECT_MOUNT_BIND] = ENGINE_MOUNT_BIND,
                                                   [PROJECT_MOUNT_TMPFS] = ENGINE_MOUNT_TMPFS,
                                                   [PROJECT_MOUNT_VOLUME] = ENGINE_MOUNT_VOLUME};
    const struct project_service *service = c->service;
    struct engine_mount *list =
        own(d, mem_new_array(struct engine_mount, service->mount_count + 3));
    for (size_t i = 0; i < service->mount_count; i++) {
        const struct project_mount *m = &service->mounts[i];
        list[i] = (struct engine_mount){.type = types[m->type],
                                        .source = mount_source(plan, m),
                                        .target = m->target,
                                        .read_only = m->read_only,
                                        .create_source = m->create_source,
                                        .tmpfs_size_bytes = m->tmpfs_size_bytes,
                                        .tmpfs_mode = m->tmpfs_mode,
                                        .no_copy = m->no_copy};
    }
    char *folder = own(d, path_join(files, c->name));
    list[service->mount_count] =
        (struct engine_mount){.type = ENGINE_MOUNT_BIND, .source = folder, .target = "/seatrial"};
    if (cores_are_mounted(service))
        list[service->mount_count + 1] =
            (struct engine_mount){.type = ENGINE_MOUNT_BIND,
                                  .source = own(d, path_join(folder, "cores")),
                                  .target = service->seatrial.cores};
    d->spec.mounts = list;
    d->spec.tmpfs = pairs(d, service->tmpfs);
}

static const char *network_name(const struct plan *plan, const char *key) {
    const struct project_network *network = project_network(plan->project, key);
    return network ? network->name : key;
}

static const char *const *aliases(struct description *d, const struct project_service *service,
                                  const struct project_endpoint *endpoint) {
    size_t count = 0;
    while (endpoint->aliases && endpoint->aliases[count])
        count++;
    const char **list = own(d, mem_new_array(char *, count + 2));
    list[0] = service->name;
    for (size_t i = 0; i < count; i++)
        list[i + 1] = endpoint->aliases[i];
    return list;
}

static void networks(struct description *d, const struct plan *plan,
                     const struct plan_container *c) {
    const struct project_service *service = c->service;
    d->spec.network_mode = service->network_mode;
    if (c->network_of != PLAN_NONE)
        d->spec.network_mode =
            own(d, text_format("container:%s", plan->containers[c->network_of].name));
    d->spec.extra_hosts = texts(service->extra_hosts);
    d->spec.dns = texts(service->dns);
    d->spec.dns_search = texts(service->dns_search);
    d->spec.dns_options = texts(service->dns_options);

    struct engine_endpoint *endpoints =
        own(d, mem_new_array(struct engine_endpoint, service->endpoint_count + 1));
    for (size_t i = 0; i < service->endpoint_count; i++)
        endpoints[i] =
            (struct engine_endpoint){.network = network_name(plan, service->endpoints[i].network),
                                     .aliases = aliases(d, service, &service->endpoints[i]),
                                     .ipv4_address = service->endpoints[i].ipv4_address,
                                     .ipv6_address = service->endpoints[i].ipv6_address};
    d->spec.endpoints = endpoints;

    struct engine_port *ports = own(d, mem_new_array(struct engine_port, service->port_count + 1));
    for (size_t i = 0; i < service->port_count; i++)
        ports[i] = (struct engine_port){.container_port = service->ports[i].target,
                                        .protocol = service->ports[i].protocol,
                                        .published = service->ports[i].publish,
                                        .host_address = service->ports[i].host_address,
                                        .host_port = service->ports[i].published};
    d->spec.ports = ports;
}

static void healthcheck(struct description *d, const struct project_service *service) {
    static const char *const none[] = {"NONE", NULL};
    const struct project_healthcheck *h = &service->healthcheck;
    if (!h->given && !h->disable)
        return;
    struct engine_healthcheck *check = own(d, mem_new(struct engine_healthcheck));
    *check = (struct engine_healthcheck){.test = h->disable ? none : texts(h->test),
                                         .interval_ns = h->interval_ns,
                                         .timeout_ns = h->timeout_ns,
                                         .start_period_ns = h->start_period_ns,
                                         .retries = h->retries};
    d->spec.healthcheck = check;
}

static void limits(struct description *d, const struct project_service *service) {
    struct engine_container_spec *spec = &d->spec;
    spec->init = service->init;
    spec->tty = service->tty;
    spec->stdin_open = service->stdin_open;
    spec->cap_add = texts(service->cap_add);
    spec->cap_drop = texts(service->cap_drop);
    spec->security_opt = texts(service->security_opt);
    spec->group_add = texts(service->group_add);
    spec->devices = texts(service->devices);
    spec->pid_mode = service->pid_mode;
    spec->ipc_mode = service->ipc_mode;
    spec->privileged = service->privileged;
    spec->read_only = service->read_only;
    spec->sysctls = pairs(d, service->sysctls);
    spec->shm_size_bytes = service->shm_size_bytes;
    spec->memory_bytes = service->memory_bytes;
    spec->memory_swap_bytes = service->memory_swap_bytes;
    spec->memory_reservation_bytes = service->memory_reservation_bytes;
    spec->nano_cpus = service->nano_cpus;
    spec->cpu_shares = service->cpu_shares;
    spec->cpuset = service->cpuset;
    spec->pids_max = service->pids_max;
    spec->oom_score_adj = service->oom_score_adj;
    spec->cgroup_parent = service->cgroup_parent;
    spec->log_driver = service->log_driver;
    spec->log_options = pairs(d, service->log_options);
}

int64_t describe_stop_grace_s(const struct project_service *service) {
    const int64_t second_ns = (int64_t)NS_PER_SEC;
    return service->stop_grace_ns < 0 ? STOP_GRACE_S_DEFAULT
                                      : (service->stop_grace_ns + second_ns - 1) / second_ns;
}

void describe_container(const struct plan *plan, const struct plan_container *c, const char *owner,
                        const char *files, struct description *ret) {
    const struct project_service *service = c->service;
    *ret = (struct description){.spec = {.name = c->name,
                                         .image = service->image,
                                         .cmd = texts(service->command),
                                         .entrypoint = texts(service->entrypoint),
                                         .user = service->user,
                                         .working_dir = service->working_dir,
                                         .hostname = service->hostname,
                                         .domainname = service->domainname,
                                         .stop_signal = service->stop_signal,
                                         .stop_grace_s = describe_stop_grace_s(service),
                                         .restart_policy = service->restart,
                                         .restart_retries_max = service->restart_retries_max}};
    environment(ret, plan, c);
    labels(ret, plan, c, owner);
    ulimits(ret, service);
    mounts(ret, plan, c, files);
    networks(ret, plan, c);
    healthcheck(ret, service);
    limits(ret, service);
}

/* Whose namespaces it shares is of no matter to it, and they are not there. */
static const char *own_or_host(const char *mode) {
    return mode && strchr(mode, ':') ? NULL : mode;
}

void describe_like(const struct project_service *service, struct description *ret) {
    *ret =
        (struct description){.spec = {.user = service->user, .working_dir = service->working_dir}};
    ulimits(ret, service);
    limits(ret, service);
    ret->spec.pid_mode = own_or_host(ret->spec.pid_mode);
    ret->spec.ipc_mode = own_or_host(ret->spec.ipc_mode);
}

void description_deinit(struct description *d) {
    for (size_t i = 0; i < d->owned_count; i++)
        free(d->owned[i]);
    free(d->owned);
    *d = (struct description){.owned = NULL};
}

void describe_network_labels(const struct plan *plan, const struct project_network *network,
                             const char *owner, struct engine_pair list[LABELS_NETWORK_MAX]) {
    const struct engine_pair ours[LABELS_NETWORK_MAX] = {
        {LABEL_RUN, plan->run},
        {LABEL_OWNER, owner},
        {LABEL_PROJECT, plan->project->name},
        {"com.docker.compose.network", network->key},
        {NULL, NULL},
    };
    memcpy(list, ours, sizeof ours);
}

void describe_files_labels(const struct plan *plan, const char *owner,
                           struct engine_pair list[LABELS_FILES_MAX]) {
    const struct engine_pair ours[LABELS_FILES_MAX] = {
        {LABEL_RUN, plan->run}, {LABEL_OWNER, owner}, {LABEL_PROJECT, plan->project->name},
        {LABEL_ONEOFF, "True"}, {LABEL_FILES, "1"},   {NULL, NULL},
    };
    memcpy(list, ours, sizeof ours);
}

void describe_volume(const struct plan *plan, const struct project_volume *volume,
                     const char *owner, struct description *ret, struct engine_volume_spec *spec) {
    size_t given = env_pairs_count(volume->labels);
    *ret = (struct description){.owned = NULL};
    struct engine_pair *list = room(ret, given + 4);
    for (size_t i = 0; i < given; i++)
        list[i] = (struct engine_pair){volume->labels[i].name, volume->labels[i].value};
    const struct engine_pair ours[] = {
        {LABEL_RUN, plan->run},
        {LABEL_OWNER, owner},
        {LABEL_PROJECT, plan->project->name},
        {"com.docker.compose.volume", volume->key},
    };
    memcpy(list + given, ours, sizeof ours);
    spec->labels = list;
    spec->options = pairs(ret, volume->options);
}
