/* A container's description as the engine reads it: the one place that knows the API's names. */

#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/container.h"

#include <stdio.h>
#include <string.h>

/* What is not asked for is left out, so that the engine's and the image's own words count. */

static void text(struct json *v, const char *key, const char *value) {
    if (value)
        json_set_text(v, key, value);
}

static void number(struct json *v, const char *key, int64_t value) {
    if (value)
        json_set_int(v, key, value);
}

static void flag(struct json *v, const char *key, bool value) {
    if (value)
        json_set_bool(v, key, true);
}

static void texts(struct json *v, const char *key, const char *const *values) {
    if (values)
        json_set(v, key, json_new_texts(values));
}

static void pairs(struct json *v, const char *key, const struct engine_pair *values) {
    if (values)
        json_set(v, key, engine_pairs_object(values));
}

static void healthcheck(struct json *v, const struct engine_healthcheck *check) {
    if (!check)
        return;
    struct json *h = json_set_object(v, "Healthcheck");
    texts(h, "Test", check->test);
    number(h, "Interval", (int64_t)check->interval_ns);
    number(h, "Timeout", (int64_t)check->timeout_ns);
    number(h, "StartPeriod", (int64_t)check->start_period_ns);
    number(h, "Retries", check->retries);
}

static void ports(struct json *v, struct json *host, const struct engine_port *port) {
    for (; port && port->container_port; port++) {
        char key[64];
        snprintf(key, sizeof key, "%u/%s", port->container_port,
                 port->protocol ? port->protocol : "tcp");
        json_set_object(json_set_object(v, "ExposedPorts"), key);
        if (!port->published)
            continue;
        struct json *list = json_set_array(json_set_object(host, "PortBindings"), key);
        struct json *binding = json_append(list, json_new_object());
        char host_port[8] = "";
        if (port->host_port)
            snprintf(host_port, sizeof host_port, "%u", port->host_port);
        json_set_text(binding, "HostIp", port->host_address ? port->host_address : "");
        json_set_text(binding, "HostPort", host_port);
    }
}

/* Only the old notation makes missing folders on every engine; it cannot say paths with colons. */
static bool as_bind(const struct engine_mount *mount) {
    return mount->type == ENGINE_MOUNT_BIND && mount->create_source &&
           !strchr(mount->source, ':') && !strchr(mount->target, ':');
}

static void mount_object(struct json *list, const struct engine_mount *mount) {
    static const char *const types[] = {
        [ENGINE_MOUNT_BIND] = "bind",
        [ENGINE_MOUNT_VOLUME] = "volume",
        [ENGINE_MOUNT_TMPFS] = "tmpfs",
    };
    struct json *m = json_append(list, json_new_object());
    json_set_text(m, "Type", types[mount->type]);
    text(m, "Source", mount->source);
    json_set_text(m, "Target", mount->target);
    flag(m, "ReadOnly", mount->read_only);
    if (mount->type == ENGINE_MOUNT_BIND && mount->create_source)
        json_set_bool(json_set_object(m, "BindOptions"), "CreateMountpoint", true);
    if (mount->type == ENGINE_MOUNT_VOLUME && mount->no_copy)
        json_set_bool(json_set_object(m, "VolumeOptions"), "NoCopy", true);
    if (mount->type == ENGINE_MOUNT_TMPFS && (mount->tmpfs_size_bytes || mount->tmpfs_mode)) {
        struct json *options = json_set_object(m, "TmpfsOptions");
        number(options, "SizeBytes", mount->tmpfs_size_bytes);
        number(options, "Mode", mount->tmpfs_mode);
    }
}

static void mounts(struct json *host, const struct engine_container_spec *spec) {
    texts(host, "Binds", spec->binds);
    for (const struct engine_mount *m = spec->mounts; m && m->target; m++) {
        if (as_bind(m)) {
            cleanup_free char *bind =
                text_format("%s:%s%s", m->source, m->target, m->read_only ? ":ro" : "");
            json_append_text(json_set_array(host, "Binds"), bind);
        } else {
            mount_object(json_set_array(host, "Mounts"), m);
        }
    }
    pairs(host, "Tmpfs", spec->tmpfs);
    texts(host, "VolumesFrom", spec->volumes_from);
    number(host, "ShmSize", spec->shm_size_bytes);
    flag(host, "ReadonlyRootfs", spec->read_only);
}

/* "host[:container[:rwm]]" */
static void devices(struct json *host, const char *const *device) {
    for (; device && *device; device++) {
        const char *rest = *device;
        size_t n = strcspn(rest, ":");
        cleanup_free char *on_host = text_format("%.*s", (int)n, rest);
        rest += n + (rest[n] == ':');
        n = strcspn(rest, ":");
        cleanup_free char *inside = n ? text_format("%.*s", (int)n, rest) : text_dup(on_host);
        rest += n + (rest[n] == ':');
        struct json *d = json_append(json_set_array(host, "Devices"), json_new_object());
        json_set_text(d, "PathOnHost", on_host);
        json_set_text(d, "PathInContainer", inside);
        json_set_text(d, "CgroupPermissions", *rest ? rest : "rwm");
    }
}

static void ulimits(struct json *host, const struct engine_ulimit *limit) {
    for (; limit && limit->name; limit++) {
        struct json *u = json_append(json_set_array(host, "Ulimits"), json_new_object());
        json_set_text(u, "Name", limit->name);
        json_set_int(u, "Soft", limit->soft);
        json_set_int(u, "Hard", limit->hard);
    }
}

static void resources(struct json *host, const struct engine_container_spec *spec) {
    ulimits(host, spec->ulimits);
    pairs(host, "Sysctls", spec->sysctls);
    number(host, "Memory", spec->memory_bytes);
    number(host, "MemorySwap", spec->memory_swap_bytes);
    number(host, "MemoryReservation", spec->memory_reservation_bytes);
    number(host, "NanoCpus", spec->nano_cpus);
    number(host, "CpuShares", spec->cpu_shares);
    text(host, "CpusetCpus", spec->cpuset);
    number(host, "PidsLimit", spec->pids_max);
    number(host, "OomScoreAdj", spec->oom_score_adj);
    text(host, "CgroupParent", spec->cgroup_parent);
}

static void rights(struct json *host, const struct engine_container_spec *spec) {
    texts(host, "CapAdd", spec->cap_add);
    texts(host, "CapDrop", spec->cap_drop);
    texts(host, "SecurityOpt", spec->security_opt);
    texts(host, "GroupAdd", spec->group_add);
    devices(host, spec->devices);
    flag(host, "Privileged", spec->privileged);
    text(host, "PidMode", spec->pid_mode);
    text(host, "IpcMode", spec->ipc_mode);
    text(host, "UsernsMode", spec->userns_mode);
    text(host, "Runtime", spec->runtime);
}

struct json *engine_endpoint_json(const struct engine_endpoint *endpoint) {
    struct json *v = json_new_object();
    texts(v, "Aliases", endpoint->aliases);
    if (endpoint->ipv4_address || endpoint->ipv6_address) {
        struct json *ipam = json_set_object(v, "IPAMConfig");
        text(ipam, "IPv4Address", endpoint->ipv4_address);
        text(ipam, "IPv6Address", endpoint->ipv6_address);
    }
    return v;
}

static void network(struct json *v, struct json *host, const struct engine_container_spec *spec) {
    const struct engine_endpoint *first = spec->endpoints;
    bool has_first = first && first->network;
    text(host, "NetworkMode",
         spec->network_mode ? spec->network_mode
         : has_first        ? first->network
                            : NULL);
    texts(host, "ExtraHosts", spec->extra_hosts);
    texts(host, "Dns", spec->dns);
    texts(host, "DnsSearch", spec->dns_search);
    texts(host, "DnsOptions", spec->dns_options);
    ports(v, host, spec->ports);
    text(v, "MacAddress", spec->mac_address);
    /* Engines before 1.44 accept one endpoint here; the others are connected afterwards. */
    if (has_first) {
        struct json *config =
            json_set_object(json_set_object(v, "NetworkingConfig"), "EndpointsConfig");
        json_set(config, first->network, engine_endpoint_json(first));
    }
}

static void life(struct json *v, struct json *host, const struct engine_container_spec *spec) {
    healthcheck(v, spec->healthcheck);
    text(v, "StopSignal", spec->stop_signal);
    number(v, "StopTimeout", spec->stop_grace_s);
    flag(host, "Init", spec->init);
    if (spec->restart_policy) {
        struct json *policy = json_set_object(host, "RestartPolicy");
        json_set_text(policy, "Name", spec->restart_policy);
        number(policy, "MaximumRetryCount", spec->restart_retries_max);
    }
    if (spec->log_driver || spec->log_options) {
        struct json *config = json_set_object(host, "LogConfig");
        json_set_text(config, "Type", spec->log_driver ? spec->log_driver : "");
        json_set(config, "Config", engine_pairs_object(spec->log_options));
    }
}

struct json *engine_container_json(const struct engine_container_spec *spec) {
    struct json *v = json_new_object();
    struct json *host = json_set_object(v, "HostConfig");
    text(v, "Image", spec->image);
    texts(v, "Cmd", spec->cmd);
    texts(v, "Entrypoint", spec->entrypoint);
    if (spec->env)
        json_set(v, "Env", engine_pairs_list(spec->env));
    pairs(v, "Labels", spec->labels);
    text(v, "User", spec->user);
    text(v, "WorkingDir", spec->working_dir);
    text(v, "Hostname", spec->hostname);
    text(v, "Domainname", spec->domainname);
    flag(v, "Tty", spec->tty);
    flag(v, "OpenStdin", spec->stdin_open);
    mounts(host, spec);
    network(v, host, spec);
    life(v, host, spec);
    rights(host, spec);
    resources(host, spec);
    return v;
}
