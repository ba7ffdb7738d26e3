#include "runner/engine/settings.h"

#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/host.h"

#include <stdlib.h>
#include <string.h>

/* ---- variables and the folder ---- */

static const char *of_process(void *arg, const char *name) {
    (void)arg;
    return getenv(name);
}

static const char *variable(const struct engine_environment *env, const char *name) {
    const char *value =
        env ? (env->lookup ? env->lookup(env->arg, name) : NULL) : of_process(NULL, name);
    return value && value[0] ? value : NULL;
}

/* NULL when nobody says where home is: then there is no configuration. */
static char *config_folder(const struct engine_environment *env) {
    const char *folder = variable(env, "DOCKER_CONFIG");
    if (folder)
        return text_dup(folder);
    const char *home = variable(env, "HOME");
    return home ? path_join(home, ".docker") : NULL;
}

/* 1 when there is no such file. */
static int read_json(const char *path, size_t size_max, struct json **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(json_freep) struct json *v = NULL;
    const struct json *whole;
    if (file_read(path, size_max, &text, err) < 0) {
        if (err->kind != ERROR_NOT_FOUND) {
            err->kind = ERROR_CONFIG;
            return -1;
        }
        error_clear(err);
        return 1;
    }
    if (json_parse(buffer_string(&text), text.size, size_max, &v, err) < 0 ||
        json_require_object(v, "", &whole, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "'%s'", path);
    }
    *ret = take_ptr(v);
    return 0;
}

/* ---- which context ---- */

static int current_context(const char *folder, char **ret, struct error *err) {
    cleanup(json_freep) struct json *config = NULL;
    cleanup_free char *path = path_join(folder, "config.json");
    const char *name;
    int r = read_json(path, ENGINE_CONFIG_MAX, &config, err);
    if (r < 0)
        return -1;
    if (r == 0 && json_get_text(config, "currentContext", "", &name, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "'%s'", path);
    }
    *ret = text_dup(r == 0 && name[0] ? name : "default");
    return 0;
}

static int find_context(const struct engine_environment *env, const char *folder, char **ret,
                        struct error *err) {
    const char *named = variable(env, "DOCKER_CONTEXT");
    if (variable(env, "DOCKER_HOST"))
        *ret = text_dup("default");
    else if (named)
        *ret = text_dup(named);
    else if (folder)
        return current_context(folder, ret, err);
    else
        *ret = text_dup("default");
    return 0;
}

/* ---- the default context: the environment ---- */

static char *existing(const char *folder, const char *name) {
    cleanup_free char *path = path_join(folder, name);
    return file_exists(path) ? take_ptr(path) : NULL;
}

static int default_tls(const struct engine_environment *env, const char *folder,
                       struct engine_tls *tls, struct error *err) {
    const char *certificates = variable(env, "DOCKER_CERT_PATH");
    tls->on = true;
    tls->skip_verify = !variable(env, "DOCKER_TLS_VERIFY");
    if (!certificates)
        certificates = folder;
    if (!certificates)
        return error_set(err, ERROR_CONFIG,
                         "TLS is asked for, and neither DOCKER_CERT_PATH nor HOME is set");
    tls->ca_file = path_join(certificates, "ca.pem");
    if (!file_exists(tls->ca_file)) {
        error_set(err, ERROR_CONFIG, "the authority's certificate '%s' does not exist",
                  tls->ca_file);
        return error_hint(err,
                          "%s asks for TLS; DOCKER_CERT_PATH says where ca.pem, cert.pem and "
                          "key.pem are",
                          tls->skip_verify ? "DOCKER_TLS" : "DOCKER_TLS_VERIFY");
    }
    tls->cert_file = existing(certificates, "cert.pem");
    tls->key_file = existing(certificates, "key.pem");
    return 0;
}

static int resolve_default(const struct engine_environment *env, const char *folder,
                           struct engine_endpoint_settings *s, struct error *err) {
    const char *host = variable(env, "DOCKER_HOST");
    bool tls = variable(env, "DOCKER_TLS_VERIFY") || variable(env, "DOCKER_TLS");
    s->origin = text_dup(host ? "DOCKER_HOST" : "the default");
    if (engine_host_complete(host ? host : "", tls, &s->host, err) < 0)
        return error_wrap(err, "DOCKER_HOST");
    return tls && text_starts(s->host, "tcp://") ? default_tls(env, folder, &s->tls, err) : 0;
}

/* ---- the others: files ---- */

int engine_context_read(const struct json *meta, struct engine_context *ret, struct error *err) {
    struct engine_context c;
    const struct json *endpoint;
    if (json_get_text(meta, "Name", "", &c.name, err) < 0 ||
        json_get_object(meta, "Endpoints.docker", &endpoint, err) < 0)
        return -1;
    if (!endpoint)
        return error_set(err, ERROR_INVALID, "it has no endpoint of a Docker Engine");
    if (json_get_text(endpoint, "Host", "", &c.host, err) < 0 ||
        json_get_bool(endpoint, "SkipTLSVerify", false, &c.skip_verify, err) < 0)
        return -1;
    *ret = c;
    return 0;
}

static int no_such_context(const char *name, const char *folder, struct error *err) {
    char shown[200];
    error_set(err, ERROR_CONFIG, "context '%s' is not found in '%s/contexts'",
              text_safe(name, shown, sizeof shown), folder ? folder : "~/.docker");
    return error_hint(err, "`docker context ls` lists them; DOCKER_CONTEXT or `currentContext` of "
                           "config.json names it");
}

static void take_tls(const char *folder, const char *hash, bool skip_verify,
                     struct engine_tls *tls) {
    cleanup_free char *certificates = text_format("%s/contexts/tls/%s/docker", folder, hash);
    tls->ca_file = existing(certificates, "ca.pem");
    tls->cert_file = existing(certificates, "cert.pem");
    tls->key_file = existing(certificates, "key.pem");
    tls->skip_verify = skip_verify;
    tls->on = skip_verify || tls->ca_file || tls->cert_file || tls->key_file;
}

static int resolve_context(const char *folder, struct engine_endpoint_settings *s,
                           struct error *err) {
    unsigned char hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1], shown[200];
    cleanup(json_freep) struct json *meta = NULL;
    struct engine_context context;
    sha256_of(s->context, strlen(s->context), hash);
    text_hex(hash, sizeof hash, hex);
    if (!folder)
        return no_such_context(s->context, folder, err);
    cleanup_free char *path = text_format("%s/contexts/meta/%s/meta.json", folder, hex);
    int r = read_json(path, ENGINE_CONTEXT_MAX, &meta, err);
    if (r > 0)
        return no_such_context(s->context, folder, err);
    text_safe(s->context, shown, sizeof shown);
    s->origin = text_format("context '%s'", shown);
    if (r < 0 || engine_context_read(meta, &context, err) < 0 ||
        engine_host_complete(context.host, false, &s->host, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "context '%s'", shown);
    }
    if (text_starts(s->host, "tcp://"))
        take_tls(folder, hex, context.skip_verify, &s->tls);
    return 0;
}

/* ---- all together ---- */

/* docker, too, uses them only together. */
static void pair_certificates(struct engine_tls *tls) {
    if (!tls->cert_file || !tls->key_file) {
        free(take_ptr(tls->cert_file));
        free(take_ptr(tls->key_file));
    }
}

int engine_endpoint_resolve(const struct engine_environment *environment,
                            struct engine_endpoint_settings *ret, struct error *err) {
    cleanup(engine_endpoint_settings_deinit) struct engine_endpoint_settings s =
        ENGINE_ENDPOINT_SETTINGS_NULL;
    cleanup_free char *folder = config_folder(environment);
    if (find_context(environment, folder, &s.context, err) < 0)
        return -1;
    int r = text_equal(s.context, "default") ? resolve_default(environment, folder, &s, err)
                                             : resolve_context(folder, &s, err);
    if (r < 0)
        return -1;
    pair_certificates(&s.tls);
    *ret = s;
    s = ENGINE_ENDPOINT_SETTINGS_NULL;
    return 0;
}

void engine_endpoint_settings_deinit(struct engine_endpoint_settings *settings) {
    free(settings->context);
    free(settings->host);
    free(settings->origin);
    free(settings->tls.ca_file);
    free(settings->tls.cert_file);
    free(settings->tls.key_file);
    free(settings->tls.server_name);
    *settings = ENGINE_ENDPOINT_SETTINGS_NULL;
}
