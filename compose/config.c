/*
 * The project as canonical YAML: long forms, sorted names, what was not given left out. Reads as
 * `docker compose config` prints it, and is itself a Compose file that gives the same project.
 */

#include "compose/read.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A dollar that is meant is doubled, so that the text can be read again. */
static char *escaped(const char *text) {
    char *out = mem_alloc(2 * strlen(text) + 1), *to = out;
    for (; *text; text++) {
        *to++ = *text;
        if (*text == '$')
            *to++ = '$';
    }
    *to = '\0';
    return out;
}

static void value(struct yaml_writer *w, const char *text) {
    if (!text) {
        yaml_text(w, NULL);
        return;
    }
    cleanup_free char *out = escaped(text);
    yaml_text(w, out);
}

static void text(struct yaml_writer *w, const char *key, const char *given) {
    if (!given)
        return;
    yaml_key(w, key);
    value(w, given);
}

static void number(struct yaml_writer *w, const char *key, int64_t given) {
    if (given)
        yaml_pair_int(w, key, given);
}

static void truth(struct yaml_writer *w, const char *key, bool given) {
    if (given)
        yaml_pair_bool(w, key, true);
}

static void texts(struct yaml_writer *w, const char *key, char *const *given) {
    if (!given)
        return;
    yaml_key(w, key);
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
    for (; *given; given++)
        value(w, *given);
    yaml_end(w);
}

/* Compose prints sizes as text. */
static void size(struct yaml_writer *w, const char *key, int64_t bytes) {
    if (!bytes)
        return;
    cleanup_free char *out = text_format("%" PRId64, bytes);
    yaml_pair_text(w, key, out);
}

/* As Go writes it: 1h2m3.5s; below a second in the largest unit that leaves a whole number. */
static void duration(struct yaml_writer *w, const char *key, uint64_t ns) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 64);
    uint64_t seconds = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;
    if (rest && rest % NS_PER_MS)
        buffer_format(&out, "%" PRIu64 "ns", ns);
    else if (rest)
        buffer_format(&out, "%" PRIu64 "ms", ns / NS_PER_MS);
    else {
        if (seconds >= 3600)
            buffer_format(&out, "%" PRIu64 "h", seconds / 3600);
        if (seconds >= 60)
            buffer_format(&out, "%" PRIu64 "m", seconds / 60 % 60);
        buffer_format(&out, "%" PRIu64 "s", seconds % 60);
    }
    yaml_pair_text(w, key, buffer_string(&out));
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct env_pair *)a)->name, ((const struct env_pair *)b)->name);
}

static void pairs(struct yaml_writer *w, const char *key, const struct env_pair *given) {
    size_t count = env_pairs_count(given);
    if (count == 0)
        return;
    cleanup_free struct env_pair *sorted = mem_dup(given, count * sizeof *given);
    qsort(sorted, count, sizeof *sorted, by_name);
    yaml_key(w, key);
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    for (size_t i = 0; i < count; i++) {
        yaml_key(w, sorted[i].name);
        value(w, sorted[i].value);
    }
    yaml_end(w);
}

static void open_mapping(struct yaml_writer *w, const char *key) {
    yaml_key(w, key);
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
}

static void open_list(struct yaml_writer *w, const char *key) {
    yaml_key(w, key);
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
}

/* ---- parts of a service ---- */

static void write_build(struct yaml_writer *w, const struct project *project,
                        const struct project_service *s) {
    const struct project_build *b = s->build;
    if (!b)
        return;
    cleanup_free char *context = project_build_context(project, s, NULL);
    open_mapping(w, "build");
    pairs(w, "args", b->args);
    texts(w, "cache_from", b->cache_from);
    text(w, "context", context);
    if (b->dockerfile_inline)
        text(w, "dockerfile_inline", b->dockerfile_inline);
    else
        text(w, "dockerfile", b->dockerfile ? b->dockerfile : "Dockerfile");
    pairs(w, "labels", b->labels);
    text(w, "network", b->network);
    truth(w, "no_cache", b->no_cache);
    if (b->platform)
        texts(w, "platforms", (char *[]){b->platform, NULL});
    truth(w, "pull", b->pull);
    texts(w, "tags", b->tags);
    text(w, "target", b->target);
    yaml_end(w);
}

static void write_dependencies(struct yaml_writer *w, const struct project_service *s) {
    static const char *const conditions[] = {
        [PROJECT_STARTED] = "service_started",
        [PROJECT_HEALTHY] = "service_healthy",
        [PROJECT_COMPLETED] = "service_completed_successfully",
    };
    if (s->dependency_count == 0)
        return;
    open_mapping(w, "depends_on");
    for (size_t i = 0; i < s->dependency_count; i++) {
        const struct project_dependency *d = &s->dependencies[i];
        open_mapping(w, d->service);
        yaml_pair_text(w, "condition", conditions[d->condition]);
        yaml_pair_bool(w, "required", !d->optional);
        truth(w, "restart", d->restart);
        yaml_end(w);
    }
    yaml_end(w);
}

static void write_deploy(struct yaml_writer *w, const struct project_service *s) {
    if (!s->replicas_given)
        return;
    open_mapping(w, "deploy");
    yaml_pair_int(w, "replicas", s->replicas);
    yaml_end(w);
}

static void write_healthcheck(struct yaml_writer *w, const struct project_healthcheck *h) {
    if (!h->given)
        return;
    open_mapping(w, "healthcheck");
    truth(w, "disable", h->disable);
    if (h->interval_ns)
        duration(w, "interval", h->interval_ns);
    number(w, "retries", h->retries);
    if (h->start_period_ns)
        duration(w, "start_period", h->start_period_ns);
    texts(w, "test", h->test);
    if (h->timeout_ns)
        duration(w, "timeout", h->timeout_ns);
    yaml_end(w);
}

static void write_endpoints(struct yaml_writer *w, const struct project_service *s) {
    if (s->endpoint_count == 0)
        return;
    open_mapping(w, "networks");
    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct project_endpoint *e = &s->endpoints[i];
        if (!e->aliases && !e->ipv4_address && !e->ipv6_address) {
            yaml_pair_text(w, e->network, NULL);
            continue;
        }
        open_mapping(w, e->network);
        texts(w, "aliases", e->aliases);
        text(w, "ipv4_address", e->ipv4_address);
        text(w, "ipv6_address", e->ipv6_address);
        yaml_end(w);
    }
    yaml_end(w);
}

static void write_hooks(struct yaml_writer *w, const char *key, const struct project_hook *hooks,
                        size_t count) {
    if (count == 0)
        return;
    open_list(w, key);
    for (size_t i = 0; i < count; i++) {
        yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
        texts(w, "command", hooks[i].command);
        pairs(w, "environment", hooks[i].environment);
        truth(w, "privileged", hooks[i].privileged);
        text(w, "user", hooks[i].user);
        text(w, "working_dir", hooks[i].working_dir);
        yaml_end(w);
    }
    yaml_end(w);
}

static size_t count_ports(const struct project_service *s, bool publish) {
    size_t count = 0;
    for (size_t i = 0; i < s->port_count; i++)
        count += s->ports[i].publish == publish;
    return count;
}

static void write_expose(struct yaml_writer *w, const struct project_service *s) {
    if (count_ports(s, false) == 0)
        return;
    open_list(w, "expose");
    for (size_t i = 0; i < s->port_count; i++) {
        const struct project_port *p = &s->ports[i];
        cleanup_free char *out = text_equal(p->protocol, "tcp")
                                     ? text_format("%u", p->target)
                                     : text_format("%u/%s", p->target, p->protocol);
        if (!p->publish)
            yaml_text(w, out);
    }
    yaml_end(w);
}

static void write_ports(struct yaml_writer *w, const struct project_service *s) {
    if (count_ports(s, true) == 0)
        return;
    open_list(w, "ports");
    for (size_t i = 0; i < s->port_count; i++) {
        const struct project_port *p = &s->ports[i];
        cleanup_free char *published = text_format("%u", p->published);
        if (!p->publish)
            continue;
        yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
        yaml_pair_text(w, "mode", "ingress");
        text(w, "host_ip", p->host_address);
        yaml_pair_int(w, "target", p->target);
        if (p->published)
            yaml_pair_text(w, "published", published);
        text(w, "protocol", p->protocol);
        yaml_end(w);
    }
    yaml_end(w);
}

static void write_tmpfs(struct yaml_writer *w, const struct project_service *s) {
    if (env_pairs_count(s->tmpfs) == 0)
        return;
    open_list(w, "tmpfs");
    for (const struct env_pair *p = s->tmpfs; p->name; p++) {
        cleanup_free char *out =
            *p->value ? text_format("%s:%s", p->name, p->value) : text_dup(p->name);
        value(w, out);
    }
    yaml_end(w);
}

static void write_ulimits(struct yaml_writer *w, const struct project_service *s) {
    if (s->ulimit_count == 0)
        return;
    open_mapping(w, "ulimits");
    for (size_t i = 0; i < s->ulimit_count; i++) {
        const struct project_ulimit *u = &s->ulimits[i];
        if (u->soft == u->hard) {
            yaml_pair_int(w, u->name, u->soft);
            continue;
        }
        open_mapping(w, u->name);
        yaml_pair_int(w, "hard", u->hard);
        yaml_pair_int(w, "soft", u->soft);
        yaml_end(w);
    }
    yaml_end(w);
}

static void write_mount(struct yaml_writer *w, const struct project_mount *m) {
    static const char *const types[] = {[PROJECT_MOUNT_BIND] = "bind",
                                        [PROJECT_MOUNT_TMPFS] = "tmpfs",
                                        [PROJECT_MOUNT_VOLUME] = "volume"};
    bool bind = m->type == PROJECT_MOUNT_BIND;
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(w, "type", types[m->type]);
    text(w, "source", m->source);
    text(w, "target", m->target);
    truth(w, "read_only", m->read_only);
    if (bind) {
        open_mapping(w, "bind");
        yaml_pair_bool(w, "create_host_path", m->create_source);
        yaml_end(w);
    } else if (m->type == PROJECT_MOUNT_VOLUME) {
        open_mapping(w, "volume");
        truth(w, "nocopy", m->no_copy);
        yaml_end(w);
    } else if (m->tmpfs_size_bytes || m->tmpfs_mode) {
        cleanup_free char *mode = text_format("%" PRIo64, (uint64_t)m->tmpfs_mode);
        open_mapping(w, "tmpfs");
        if (m->tmpfs_mode)
            yaml_pair_text(w, "mode", mode);
        size(w, "size", m->tmpfs_size_bytes);
        yaml_end(w);
    }
    yaml_end(w);
}

static void write_volumes(struct yaml_writer *w, const struct project_service *s) {
    if (s->mount_count == 0)
        return;
    open_list(w, "volumes");
    for (size_t i = 0; i < s->mount_count; i++)
        write_mount(w, &s->mounts[i]);
    yaml_end(w);
}

static void write_logging(struct yaml_writer *w, const struct project_service *s) {
    if (!s->log_driver && !s->log_options)
        return;
    open_mapping(w, "logging");
    text(w, "driver", s->log_driver);
    pairs(w, "options", s->log_options);
    yaml_end(w);
}

static void write_seatrial(struct yaml_writer *w, const struct project_service *s) {
    const struct project_seatrial *x = &s->seatrial;
    if (!x->given)
        return;
    open_mapping(w, "x-seatrial");
    texts(w, "collect", x->collect);
    texts(w, "context_allow", x->context_allow);
    text(w, "cores", x->cores);
    texts(w, "data", x->data);
    text(w, "fleet", x->fleet);
    text(w, "output", x->output);
    yaml_pair_int(w, "per_host", x->per_host);
    if (x->port_count) {
        open_mapping(w, "ports");
        for (size_t i = 0; i < x->port_count; i++)
            yaml_pair_int(w, x->ports[i].name, x->ports[i].first);
        yaml_end(w);
    }
    yaml_pair_text(w, "role", project_role_name(x->role));
    yaml_end(w);
}

/* ---- a service, in the order of the alphabet ---- */

static void write_build_to_entrypoint(struct yaml_writer *w, const struct project *project,
                                      const struct project_service *s) {
    cleanup_free char *cpus =
        text_format("%" PRId64 ".%09" PRId64, s->nano_cpus / 1000000000, s->nano_cpus % 1000000000);
    for (size_t end = strlen(cpus); cpus[end - 1] == '0' || cpus[end - 1] == '.';) {
        bool point = cpus[--end] == '.';
        cpus[end] = '\0';
        if (point)
            break;
    }
    write_build(w, project, s);
    texts(w, "cap_add", s->cap_add);
    texts(w, "cap_drop", s->cap_drop);
    text(w, "cgroup_parent", s->cgroup_parent);
    texts(w, "command", s->command);
    text(w, "container_name", s->container_name);
    number(w, "cpu_shares", s->cpu_shares);
    if (s->nano_cpus)
        yaml_key(w, "cpus"), yaml_plain(w, cpus);
    text(w, "cpuset", s->cpuset);
    write_dependencies(w, s);
    write_deploy(w, s);
    texts(w, "devices", s->devices);
    texts(w, "dns", s->dns);
    texts(w, "dns_opt", s->dns_options);
    texts(w, "dns_search", s->dns_search);
    text(w, "domainname", s->domainname);
    texts(w, "entrypoint", s->entrypoint);
}

static void write_environment_to_privileged(struct yaml_writer *w,
                                            const struct project_service *s) {
    pairs(w, "environment", s->environment);
    write_expose(w, s);
    texts(w, "extra_hosts", s->extra_hosts);
    texts(w, "group_add", s->group_add);
    write_healthcheck(w, &s->healthcheck);
    text(w, "hostname", s->hostname);
    if (s->image_given)
        text(w, "image", s->image);
    truth(w, "init", s->init);
    text(w, "ipc", s->ipc_mode);
    pairs(w, "labels", s->labels);
    write_logging(w, s);
    size(w, "mem_limit", s->memory_bytes);
    size(w, "mem_reservation", s->memory_reservation_bytes);
    size(w, "memswap_limit", s->memory_swap_bytes);
    text(w, "network_mode", s->network_mode);
    write_endpoints(w, s);
    number(w, "oom_score_adj", s->oom_score_adj);
    text(w, "pid", s->pid_mode);
    number(w, "pids_limit", s->pids_max);
    text(w, "platform", s->platform);
    write_ports(w, s);
    write_hooks(w, "pre_stop", s->pre_stop, s->pre_stop_count);
    truth(w, "privileged", s->privileged);
}

static void write_read_only_to_end(struct yaml_writer *w, const struct project_service *s) {
    truth(w, "read_only", s->read_only);
    if (s->restart_retries_max) {
        cleanup_free char *restart = text_format("%s:%" PRId64, s->restart, s->restart_retries_max);
        yaml_pair_text(w, "restart", restart);
    } else {
        text(w, "restart", s->restart);
    }
    texts(w, "security_opt", s->security_opt);
    size(w, "shm_size", s->shm_size_bytes);
    truth(w, "stdin_open", s->stdin_open);
    if (s->stop_grace_ns >= 0)
        duration(w, "stop_grace_period", (uint64_t)s->stop_grace_ns);
    text(w, "stop_signal", s->stop_signal);
    pairs(w, "sysctls", s->sysctls);
    write_tmpfs(w, s);
    truth(w, "tty", s->tty);
    write_ulimits(w, s);
    text(w, "user", s->user);
    write_volumes(w, s);
    text(w, "working_dir", s->working_dir);
    write_seatrial(w, s);
}

static void write_service(struct yaml_writer *w, const struct project *project,
                          const struct project_service *s) {
    open_mapping(w, s->name);
    write_build_to_entrypoint(w, project, s);
    write_environment_to_privileged(w, s);
    write_read_only_to_end(w, s);
    yaml_end(w);
}

static void write_network(struct yaml_writer *w, const struct project_network *n) {
    open_mapping(w, n->key);
    text(w, "name", n->name);
    text(w, "driver", n->driver);
    pairs(w, "driver_opts", n->options);
    truth(w, "attachable", n->attachable);
    truth(w, "enable_ipv6", n->ipv6);
    truth(w, "internal", n->internal);
    if (n->subnet || n->gateway || n->ip_range) {
        open_mapping(w, "ipam");
        open_list(w, "config");
        yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
        text(w, "subnet", n->subnet);
        text(w, "ip_range", n->ip_range);
        text(w, "gateway", n->gateway);
        yaml_end(w);
        yaml_end(w);
        yaml_end(w);
    }
    pairs(w, "labels", n->labels);
    yaml_end(w);
}

static void write_project_volume(struct yaml_writer *w, const struct project_volume *v) {
    open_mapping(w, v->key);
    text(w, "name", v->name);
    text(w, "driver", v->driver);
    pairs(w, "driver_opts", v->options);
    pairs(w, "labels", v->labels);
    truth(w, "external", v->external);
    yaml_end(w);
}

static int services_by_name(const void *a, const void *b) {
    const struct project_service *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

void project_write_config(const struct project *project, struct buffer *out) {
    struct yaml_writer w = yaml_writer(out);
    size_t count = project->service_count;
    cleanup_free const struct project_service **sorted =
        mem_new_array(const struct project_service *, count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &project->services[i];
    qsort(sorted, count, sizeof *sorted, services_by_name);
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(&w, "name", project->name);
    open_mapping(&w, "services");
    for (size_t i = 0; i < count; i++)
        write_service(&w, project, sorted[i]);
    yaml_end(&w);
    if (project->network_count) {
        open_mapping(&w, "networks");
        for (size_t i = 0; i < project->network_count; i++)
            write_network(&w, &project->networks[i]);
        yaml_end(&w);
    }
    if (project->volume_count) {
        open_mapping(&w, "volumes");
        for (size_t i = 0; i < project->volume_count; i++)
            write_project_volume(&w, &project->volumes[i]);
        yaml_end(&w);
    }
    yaml_end(&w);
}
