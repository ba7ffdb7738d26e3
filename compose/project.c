#include "compose/project.h"

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- release ---- */

static void free_build(struct project_build *build) {
    if (!build)
        return;
    free(build->context);
    free(build->dockerfile);
    free(build->target);
    env_pairs_free(build->args);
    env_pairs_free(build->labels);
    texts_free(build->tags);
    texts_free(build->cache_from);
    free(build->dockerfile_inline);
    free(build->platform);
    free(build->network);
    free(build);
}

static void free_lists(struct project_service *s) {
    for (size_t i = 0; i < s->env_file_count; i++)
        free(s->env_files[i].path);
    for (size_t i = 0; i < s->dependency_count; i++)
        free(s->dependencies[i].service);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        free(s->endpoints[i].network);
        texts_free(s->endpoints[i].aliases);
        free(s->endpoints[i].ipv4_address);
        free(s->endpoints[i].ipv6_address);
    }
    for (size_t i = 0; i < s->port_count; i++) {
        free(s->ports[i].host_address);
        free(s->ports[i].protocol);
    }
    for (size_t i = 0; i < s->mount_count; i++) {
        free(s->mounts[i].source);
        free(s->mounts[i].target);
    }
    for (size_t i = 0; i < s->ulimit_count; i++)
        free(s->ulimits[i].name);
    for (size_t i = 0; i < s->seatrial.port_count; i++)
        free(s->seatrial.ports[i].name);
    for (size_t i = 0; i < s->pre_stop_count; i++) {
        texts_free(s->pre_stop[i].command);
        env_pairs_free(s->pre_stop[i].environment);
        free(s->pre_stop[i].user);
        free(s->pre_stop[i].working_dir);
    }
    free(s->pre_stop);
    free(s->env_files);
    free(s->dependencies);
    free(s->endpoints);
    free(s->ports);
    free(s->mounts);
    free(s->ulimits);
    free(s->seatrial.ports);
}

static void free_service(struct project_service *s) {
    char *texts[] = {s->name,           s->image,           s->user,          s->working_dir,
                     s->hostname,       s->cpuset,          s->domainname,    s->container_name,
                     s->pid_mode,       s->ipc_mode,        s->network_mode,  s->stop_signal,
                     s->restart,        s->log_driver,      s->cgroup_parent, s->seatrial.fleet,
                     s->seatrial.cores, s->seatrial.output, s->platform};
    char **lists[] = {s->command,       s->entrypoint,       s->extra_hosts,
                      s->dns,           s->dns_search,       s->dns_options,
                      s->cap_add,       s->cap_drop,         s->devices,
                      s->security_opt,  s->group_add,        s->healthcheck.test,
                      s->seatrial.data, s->seatrial.collect, s->seatrial.context_allow};
    struct env_pair *pairs[] = {s->environment, s->labels, s->tmpfs, s->sysctls, s->log_options};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        texts_free(lists[i]);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        env_pairs_free(pairs[i]);
    free_build(s->build);
    free_lists(s);
}

static void free_network(struct project_network *n) {
    free(n->key);
    free(n->name);
    free(n->driver);
    env_pairs_free(n->options);
    env_pairs_free(n->labels);
    free(n->subnet);
    free(n->gateway);
    free(n->ip_range);
}

static void free_volume(struct project_volume *v) {
    free(v->key);
    free(v->name);
    free(v->driver);
    env_pairs_free(v->options);
    env_pairs_free(v->labels);
}

void project_free(struct project *project) {
    for (size_t i = 0; i < project->service_count; i++)
        free_service(&project->services[i]);
    for (size_t i = 0; i < project->network_count; i++)
        free_network(&project->networks[i]);
    for (size_t i = 0; i < project->volume_count; i++)
        free_volume(&project->volumes[i]);
    free(project->volumes);
    free(project->services);
    free(project->networks);
    free(project->start_order);
    free(project->name);
    free(project->folder);
    texts_free(project->files);
    texts_free(project->warnings);
    free(project);
}

void project_drop_network(struct project *project, size_t index) {
    free_network(&project->networks[index]);
    project->network_count--;
    memmove(project->networks + index, project->networks + index + 1,
            (project->network_count - index) * sizeof *project->networks);
}

void project_drop_volume(struct project *project, size_t index) {
    free_volume(&project->volumes[index]);
    project->volume_count--;
    memmove(project->volumes + index, project->volumes + index + 1,
            (project->volume_count - index) * sizeof *project->volumes);
}

/* ---- looking ---- */

const struct project_service *project_service(const struct project *project, const char *name) {
    for (size_t i = 0; i < project->service_count; i++)
        if (text_equal(project->services[i].name, name))
            return &project->services[i];
    return NULL;
}

const struct project_network *project_network(const struct project *project, const char *key) {
    for (size_t i = 0; i < project->network_count; i++)
        if (text_equal(project->networks[i].key, key))
            return &project->networks[i];
    return NULL;
}

const struct project_volume *project_volume(const struct project *project, const char *key) {
    for (size_t i = 0; i < project->volume_count; i++)
        if (text_equal(project->volumes[i].key, key))
            return &project->volumes[i];
    return NULL;
}

/* ---- names and paths ---- */

char *project_name_normalised(const char *name) {
    char *out = mem_zero(1, strlen(name) + 1);
    size_t size = 0;
    for (; *name && size < PROJECT_NAME_MAX; name++) {
        char c = (char)tolower((unsigned char)*name);
        if (isalnum((unsigned char)c) || (size > 0 && (c == '-' || c == '_')))
            out[size++] = c;
    }
    return out;
}

/* Appends the parts of `path`, taking one away for each ".." that can be. */
static void append_parts(struct buffer *out, const char *path, bool absolute) {
    while (*path) {
        size_t n = strcspn(path, "/");
        bool up = n == 2 && strncmp(path, "..", 2) == 0;
        if (n && !(n == 1 && *path == '.')) {
            const char *last = out->size ? strrchr(buffer_string(out), '/') : NULL;
            const char *name = last ? last + 1 : buffer_string(out);
            if (up && *name && strcmp(name, "..") != 0) {
                size_t keep = last ? (size_t)(last - out->data) : 0;
                out->size = keep;
                out->data[keep] = '\0';
            } else if (!(up && absolute)) {
                if (absolute || out->size)
                    buffer_text(out, "/");
                buffer_append(out, path, n);
            }
        }
        path += n;
        path += *path == '/';
    }
}

char *project_resolve_path(const char *base, const char *path) {
    bool from_base = *path != '/';
    bool absolute = !from_base || *base == '/';
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, strlen(base) + strlen(path) + 2);
    if (from_base)
        append_parts(&out, base, absolute);
    append_parts(&out, path, absolute);
    if (out.size == 0)
        buffer_text(&out, absolute ? "/" : ".");
    return buffer_take(&out);
}

char *project_build_context(const struct project *project, const struct project_service *service,
                            const char *concord_root) {
    return project_resolve_path(concord_root ? concord_root : project->folder,
                                service->build->context);
}

/* ---- warnings ---- */

enum { WARNINGS_MAX = 100 };

void project_warn(struct project *project, struct project_place at, const char *format, ...) {
    cleanup(buffer_deinit) struct buffer message;
    buffer_init(&message, ERROR_TEXT_MAX);
    buffer_format(&message, "%s:%u:%u: ", at.file, at.line, at.column);
    va_list args;
    va_start(args, format);
    buffer_vformat(&message, format, args);
    va_end(args);
    if (texts_count(project->warnings) < WARNINGS_MAX)
        texts_append(&project->warnings, buffer_string(&message));
}

/* ---- env_file ---- */

int project_apply_env_file(struct project_service *service, const char *file, const char *text,
                           size_t size, const struct environment *env, struct error *err) {
    struct env_pair *pairs = NULL;
    int result = env_file_parse(file, text, size, env, &pairs, err);
    for (const struct env_pair *p = pairs; result == 0 && p && p->name; p++)
        if (!env_pairs_find(service->environment, p->name))
            result = env_pairs_set(&service->environment, p->name, p->value, err);
    env_pairs_free(pairs);
    return result;
}
