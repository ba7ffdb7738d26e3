#include "runner/engine/engine.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/host.h"

#include <stdlib.h>
#include <string.h>

static int refuse_scheme(const char *host, struct error *err) {
    char shown[200];
    error_set(err, ERROR_CONFIG, "an engine at '%s' is not supported",
              text_safe(host, shown, sizeof shown));
    if (text_starts(host, "ssh://"))
        return error_hint(err, "name the host in the deployment file, under testbed.hosts");
    return error_hint(err, "unix:///path/of/docker.sock and tcp://host:port are");
}

static int parse_host(const char *host, struct http_address *ret, char **ret_name,
                      struct error *err) {
    static const char local[] = "unix://", tcp[] = "tcp://";
    if (text_starts(host, tcp)) {
        if (engine_host_split(host + strlen(tcp), ret_name, &ret->port, err) < 0)
            return -1;
        ret->host = *ret_name;
        return 0;
    }
    if (!text_starts(host, local))
        return refuse_scheme(host, err);
    ret->unix_socket = host + strlen(local);
    if (ret->unix_socket[0] != '/')
        return error_set(err, ERROR_CONFIG, "'%s' has no absolute path after '%s'", host, local);
    return 0;
}

/* "1.41": the major version has been 1 from the beginning. */
static int parse_api_version(const char *text, int *ret_minor, struct error *err) {
    struct error ignored = ERROR_NULL;
    uint64_t minor;
    if (!text[0])
        return error_set(err, ERROR_INVALID,
                         "it does not say its API version: no Docker Engine listens there");
    if (!text_starts(text, "1.") || text_to_u64(text + 2, 0, 9999, &minor, &ignored) < 0) {
        char shown[64];
        engine_harmless(text, strlen(text), shown, sizeof shown);
        return error_set(err, ERROR_INVALID, "its API version '%s' is not one we know", shown);
    }
    *ret_minor = (int)minor;
    return 0;
}

static int negotiate(struct engine *engine, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer path;
    buffer_init(&path, HTTP_PATH_MAX);
    buffer_text(&path, "/_ping"); /* the one path without a version */
    struct engine_call call = {.method = "GET", .path = &path};
    char text[32];
    int minor;
    if (engine_call(engine, &call, task, &response, err) < 0)
        return -1;
    http_response_header(&response, "Api-Version", text, sizeof text);
    if (parse_api_version(text, &minor, err) < 0)
        return -1;
    if (minor < ENGINE_API_MINOR_MIN) {
        error_set(err, ERROR_REFUSED, "it is too old: it speaks API 1.%d, and 1.%d is needed",
                  minor, ENGINE_API_MINOR_MIN);
        return error_hint(err, "Docker 20.10 or newer is needed");
    }
    engine->api_minor = minor < ENGINE_API_MINOR_MAX ? minor : ENGINE_API_MINOR_MAX;
    return 0;
}

static int connect_to(struct engine *engine, const struct engine_options *options,
                      const struct task *task, struct error *err) {
    const struct engine_tls *tls = &options->tls;
    const struct http_tls http_tls = {.skip_verify = tls->skip_verify,
                                      .ca_file = tls->ca_file,
                                      .cert_file = tls->cert_file,
                                      .key_file = tls->key_file,
                                      .server_name = tls->server_name};
    struct http_address address = {.tls = tls->on ? &http_tls : NULL,
                                   .connect_timeout_ns = options->connect_timeout_ns};
    cleanup_free char *name = NULL;
    if (parse_host(engine->host, &address, &name, err) < 0)
        return -1;
    if (tls->on && address.unix_socket)
        return error_set(err, ERROR_CONFIG, "TLS is for tcp://, not for a unix socket");
    if (http_open(&address, &engine->http, err) < 0)
        return -1;
    return negotiate(engine, task, err);
}

int engine_open(const struct engine_options *options, const struct task *task, struct engine **ret,
                struct error *err) {
    const char *host = options->host && options->host[0] ? options->host : ENGINE_HOST_DEFAULT;
    cleanup(engine_closep) struct engine *engine = mem_new(struct engine);
    engine->host = text_dup(host);
    engine->call_timeout_ns =
        options->call_timeout_ns ? options->call_timeout_ns : ENGINE_CALL_TIMEOUT_NS_DEFAULT;
    engine->build_idle_ns =
        options->build_idle_ns ? options->build_idle_ns : ENGINE_BUILD_IDLE_NS_DEFAULT;
    if (connect_to(engine, options, task, err) < 0)
        return error_wrap(err, "engine '%s'", host);
    *ret = take_ptr(engine);
    return 0;
}

void engine_close(struct engine *engine) {
    if (!engine)
        return;
    http_close(engine->http);
    free(engine->host);
    free(engine);
}

const char *engine_host(const struct engine *engine) {
    return engine->host;
}

int engine_api_minor(const struct engine *engine) {
    return engine->api_minor;
}

int engine_ping(struct engine *engine, const struct task *task, struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    engine_path(engine, &path, "/_ping");
    if (engine_call_simple(engine, "GET", &path, NULL, task, err) < 0)
        return error_wrap(err, "engine '%s'", engine->host);
    return 0;
}

static int read_info(const struct json *v, struct engine_info *info, struct error *err) {
    if (json_get_text(v, "ID", "", &info->id, err) < 0 ||
        json_get_text(v, "Name", "", &info->name, err) < 0 ||
        json_require_text(v, "ServerVersion", &info->server_version, err) < 0 ||
        json_get_text(v, "OperatingSystem", "", &info->operating_system, err) < 0 ||
        json_get_text(v, "KernelVersion", "", &info->kernel_version, err) < 0 ||
        json_get_text(v, "Architecture", "", &info->architecture, err) < 0 ||
        json_get_text(v, "Driver", "", &info->storage_driver, err) < 0 ||
        json_get_text(v, "CgroupVersion", "", &info->cgroup_version, err) < 0 ||
        json_get_text(v, "DockerRootDir", "", &info->root_dir, err) < 0 ||
        json_get_int(v, "NCPU", 0, &info->cpus, err) < 0 ||
        json_get_int(v, "MemTotal", 0, &info->memory_bytes, err) < 0 ||
        json_get_int(v, "ContainersRunning", 0, &info->containers_running, err) < 0)
        return error_wrap(err, "the engine's answer");
    info->podman = json_member(v, "BuildahVersion") != NULL; /* a word of its own */
    return 0;
}

int engine_info(struct engine *engine, const struct task *task, struct engine_info *ret,
                struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    engine_path(engine, &path, "/info");
    if (engine_call_json(engine, "GET", &path, NULL, task, &info.json, err) < 0 ||
        read_info(info.json, &info, err) < 0)
        return error_wrap(err, "ask the engine about itself");
    *ret = info;
    info = ENGINE_INFO_NULL;
    return 0;
}

void engine_info_deinit(struct engine_info *info) {
    json_free(info->json);
    *info = ENGINE_INFO_NULL;
}

static int read_version(const struct json *v, struct engine_version *version, struct error *err) {
    if (json_require_text(v, "Version", &version->version, err) < 0 ||
        json_require_text(v, "ApiVersion", &version->api_version, err) < 0 ||
        json_get_text(v, "GitCommit", "", &version->git_commit, err) < 0 ||
        json_get_text(v, "Platform.Name", "", &version->platform, err) < 0)
        return error_wrap(err, "the engine's answer");
    return 0;
}

int engine_version(struct engine *engine, const struct task *task, struct engine_version *ret,
                   struct error *err) {
    cleanup(buffer_deinit) struct buffer path;
    cleanup(engine_version_deinit) struct engine_version version = ENGINE_VERSION_NULL;
    engine_path(engine, &path, "/version");
    if (engine_call_json(engine, "GET", &path, NULL, task, &version.json, err) < 0 ||
        read_version(version.json, &version, err) < 0)
        return error_wrap(err, "ask the engine for its version");
    *ret = version;
    version = ENGINE_VERSION_NULL;
    return 0;
}

void engine_version_deinit(struct engine_version *version) {
    json_free(version->json);
    *version = ENGINE_VERSION_NULL;
}
