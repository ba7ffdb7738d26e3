/* One service: the table of all keys that the specification knows. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Readers that only say where a shared shape goes. */
#define READER(name, call)                                                                         \
    static int name(const struct yaml_node *value, void *target, void *context,                    \
                    struct error *err) {                                                           \
        struct project_service *service = target;                                                  \
        struct reading *reading = context;                                                         \
        (void)reading;                                                                             \
        return call;                                                                               \
    }
READER(read_command_key, read_command(value, &service->command, err))
READER(read_entrypoint, read_command(value, &service->entrypoint, err))
READER(read_environment, read_pairs(value, reading, PAIRS_ENVIRONMENT, &service->environment, err))
READER(read_service_labels, read_labels(value, reading, &service->labels, err))
READER(read_sysctls, read_pairs(value, reading, PAIRS_EMPTY, &service->sysctls, err))
READER(read_dns, read_text_or_texts(value, &service->dns, err))
READER(read_dns_search, read_text_or_texts(value, &service->dns_search, err))

static int read_restart(const struct yaml_node *value, void *target, void *context,
                        struct error *err) {
    (void)context;
    static const char *const policies[] = {"no", "always", "unless-stopped", "on-failure", NULL};
    struct project_service *service = target;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    static const char with_count[] = "on-failure:";
    if (text_starts(text, with_count)) {
        uint64_t retries;
        if (text_to_u64(text + strlen(with_count), 0, INT32_MAX, &retries, err) < 0)
            return yaml_error_at(value, err);
        service->restart = text_dup("on-failure");
        service->restart_retries_max = (int64_t)retries;
        return 0;
    }
    int policy;
    if (yaml_get_choice(value, policies, &policy, err) < 0)
        return -1;
    service->restart = text_dup(policies[policy]);
    return 0;
}

/* Sizes with -1 for no limit. */
static int read_memory_swap(const struct yaml_node *value, void *target, void *context,
                            struct error *err) {
    (void)context;
    struct project_service *service = target;
    if (value->type == YAML_SCALAR && text_equal(value->text, "-1")) {
        service->memory_swap_bytes = -1;
        return 0;
    }
    return yaml_get_size(value, &service->memory_swap_bytes, err);
}

static int read_network_mode(const struct yaml_node *value, void *target, void *context,
                             struct error *err) {
    (void)context;
    static const char *const known[] = {"host", "none", "bridge"};
    struct project_service *service = target;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = text_starts(text, "service:") && text[8];
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        ok = ok || text_equal(text, known[i]);
    if (!ok)
        return yaml_error(value, err,
                          "network_mode '%.64s' is not supported yet (host, none, bridge, "
                          "service:NAME)",
                          text);
    service->network_mode = text_dup(text);
    return 0;
}

static int read_namespace(const struct yaml_node *value, const char *const *known, char **slot,
                          struct error *err) {
    int mode;
    if (yaml_get_choice(value, known, &mode, err) < 0)
        return -1;
    *slot = text_dup(known[mode]);
    return 0;
}
static const char *const ipc_modes[] = {"host", "private", "shareable", "none", NULL};
static const char *const pid_modes[] = {"host", NULL};
READER(read_ipc, read_namespace(value, ipc_modes, &service->ipc_mode, err))
READER(read_pid, read_namespace(value, pid_modes, &service->pid_mode, err))

static int read_container_name(const struct yaml_node *value, void *target, void *context,
                               struct error *err) {
    (void)context;
    struct project_service *service = target;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = isalnum((unsigned char)*text) && text[1];
    for (const char *p = text; *p; p++)
        ok = ok && (isalnum((unsigned char)*p) || strchr("_.-", *p));
    if (!ok)
        return yaml_error(value, err, "'%.64s' cannot be a container's name", text);
    service->container_name = text_dup(text);
    return 0;
}

/* In the order of the alphabet, as the specification has them. */
#define AT(member) offsetof(struct project_service, member)
static const struct yaml_field fields[] = {
    YAML_UNSUPPORTED("annotations"),
    YAML_UNSUPPORTED("attach"),
    YAML_UNSUPPORTED("blkio_config"),
    YAML_READ_VALUE("build", read_build),
    YAML_VALUE("cap_add", TEXTS, AT(cap_add)),
    YAML_VALUE("cap_drop", TEXTS, AT(cap_drop)),
    YAML_UNSUPPORTED("cgroup"),
    YAML_VALUE("cgroup_parent", TEXT, AT(cgroup_parent)),
    YAML_READ_VALUE("command", read_command_key),
    YAML_UNSUPPORTED("configs"),
    YAML_READ_VALUE("container_name", read_container_name),
    YAML_UNSUPPORTED("cpu_count"),
    YAML_UNSUPPORTED("cpu_percent"),
    YAML_UNSUPPORTED("cpu_period"),
    YAML_UNSUPPORTED("cpu_quota"),
    YAML_UNSUPPORTED("cpu_rt_period"),
    YAML_UNSUPPORTED("cpu_rt_runtime"),
    YAML_INT_VALUE("cpu_shares", AT(cpu_shares), 2, 262144),
    YAML_READ_VALUE("cpus", read_limit_cpus),
    YAML_VALUE("cpuset", SCALAR, AT(cpuset)),
    YAML_UNSUPPORTED("credential_spec"),
    YAML_READ_VALUE("depends_on", read_depends_on),
    YAML_READ_VALUE("deploy", read_deploy),
    YAML_UNSUPPORTED("develop"),
    YAML_UNSUPPORTED("device_cgroup_rules"),
    YAML_VALUE("devices", TEXTS, AT(devices)),
    YAML_READ_VALUE("dns", read_dns),
    YAML_VALUE("dns_opt", TEXTS, AT(dns_options)),
    YAML_READ_VALUE("dns_search", read_dns_search),
    YAML_VALUE("domainname", TEXT, AT(domainname)),
    YAML_UNSUPPORTED("driver_opts"),
    YAML_READ_VALUE("entrypoint", read_entrypoint),
    YAML_READ_VALUE("env_file", read_env_file),
    YAML_READ_VALUE("environment", read_environment),
    YAML_READ_VALUE("expose", read_expose),
    YAML_UNSUPPORTED("extends"),
    YAML_UNSUPPORTED("external_links"),
    YAML_READ_VALUE("extra_hosts", read_extra_hosts),
    YAML_UNSUPPORTED("gpus"),
    YAML_VALUE("group_add", TEXTS, AT(group_add)),
    YAML_READ_VALUE("healthcheck", read_healthcheck),
    YAML_VALUE("hostname", TEXT, AT(hostname)),
    YAML_VALUE("image", TEXT, AT(image)),
    YAML_VALUE("init", BOOL, AT(init)),
    YAML_READ_VALUE("ipc", read_ipc),
    YAML_UNSUPPORTED("isolation"),
    YAML_UNSUPPORTED("label_file"),
    YAML_READ_VALUE("labels", read_service_labels),
    YAML_UNSUPPORTED("links"),
    YAML_READ_VALUE("logging", read_logging),
    YAML_UNSUPPORTED("mac_address"),
    YAML_READ_VALUE("mem_limit", read_limit_memory),
    YAML_READ_VALUE("mem_reservation", read_reserved_memory),
    YAML_UNSUPPORTED("mem_swappiness"),
    YAML_READ_VALUE("memswap_limit", read_memory_swap),
    YAML_UNSUPPORTED("models"),
    YAML_READ_VALUE("network_mode", read_network_mode),
    YAML_READ_VALUE("networks", read_service_networks),
    YAML_UNSUPPORTED("oom_kill_disable"),
    YAML_INT_VALUE("oom_score_adj", AT(oom_score_adj), -1000, 1000),
    YAML_READ_VALUE("pid", read_pid),
    YAML_READ_VALUE("pids_limit", read_limit_pids),
    YAML_VALUE("platform", TEXT, AT(platform)),
    YAML_READ_VALUE("ports", read_ports),
    YAML_UNSUPPORTED("post_start"),
    YAML_READ_VALUE("pre_stop", read_pre_stop),
    YAML_VALUE("privileged", BOOL, AT(privileged)),
    YAML_UNSUPPORTED("profiles"),
    YAML_UNSUPPORTED("provider"),
    YAML_UNSUPPORTED("pull_policy"),
    YAML_VALUE("read_only", BOOL, AT(read_only)),
    YAML_READ_VALUE("restart", read_restart),
    YAML_UNSUPPORTED("runtime"),
    YAML_READ_VALUE("scale", read_replicas),
    YAML_UNSUPPORTED("secrets"),
    YAML_VALUE("security_opt", TEXTS, AT(security_opt)),
    YAML_VALUE("shm_size", SIZE, AT(shm_size_bytes)),
    YAML_VALUE("stdin_open", BOOL, AT(stdin_open)),
    YAML_VALUE("stop_grace_period", DURATION, AT(stop_grace_ns)),
    YAML_VALUE("stop_signal", TEXT, AT(stop_signal)),
    YAML_UNSUPPORTED("storage_opt"),
    YAML_READ_VALUE("sysctls", read_sysctls),
    YAML_READ_VALUE("tmpfs", read_tmpfs),
    YAML_VALUE("tty", BOOL, AT(tty)),
    YAML_READ_VALUE("ulimits", read_ulimits),
    YAML_UNSUPPORTED("use_api_socket"),
    YAML_VALUE("user", TEXT, AT(user)),
    YAML_UNSUPPORTED("userns_mode"),
    YAML_UNSUPPORTED("uts"),
    YAML_READ_VALUE("volumes", read_volumes),
    YAML_UNSUPPORTED("volumes_from"),
    YAML_VALUE("working_dir", TEXT, AT(working_dir)),
    YAML_READ_VALUE("x-seatrial", read_seatrial),
};
#undef AT
static const struct yaml_table table = YAML_TABLE_WITH_EXTENSIONS("a service", fields);

/* As Compose has it, and short enough to be part of a container's and a host's name. */
static bool is_service_name(const char *name) {
    if (!isalnum((unsigned char)*name) || strlen(name) > PROJECT_NAME_MAX)
        return false;
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return false;
    return true;
}

/* An extension that is ours but for a slip of the finger would be ignored in silence. */
static void warn_of_slips(const struct yaml_node *value, struct project *project) {
    static const char *const ours[] = {"x-seatrial"};
    for (size_t i = 0; i < value->count; i++) {
        const char *key = value->keys[i]->text;
        if (text_starts(key, "x-") && !text_equal(key, ours[0]) && text_nearest(key, ours, 1))
            project_warn(project, place_of(value->keys[i]),
                         "'%.64s' is ignored; did you mean 'x-seatrial'?", key);
    }
}

int read_service(const struct yaml_node *name, const struct yaml_node *value,
                 struct reading *reading, struct project_service *service, struct error *err) {
    service->name = text_dup(name->text);
    service->place = place_of(name);
    service->replicas = 1;
    service->stop_grace_ns = -1;
    service->seatrial.per_host = 1;
    if (!is_service_name(name->text))
        return yaml_error(name, err,
                          "'%.64s' cannot be a service's name (letters, digits, '.', '-' and "
                          "'_', at most %d)",
                          name->text, PROJECT_NAME_MAX);
    if (value->type != YAML_MAPPING)
        return yaml_error(value, err, "service '%s' must be a mapping, not %s", name->text,
                          yaml_what(value).text);
    if (yaml_read(value, &table, service, reading, err) < 0)
        return -1;
    warn_of_slips(value, reading->project);
    if (!service->image && !service->build)
        return yaml_error(name, err, "service '%s' has neither 'image' nor 'build'", name->text);
    if (service->platform && !service->build)
        return yaml_error(name, err,
                          "'platform' of a service without 'build' (%s) is not supported yet",
                          name->text);
    service->image_given = service->image != NULL;
    if (!service->image)
        service->image = text_format("%s-%s", reading->project->name, service->name);
    return 0;
}
