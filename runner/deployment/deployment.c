#include "runner/deployment/deployment.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/deployment/read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *deployment_registry(const struct deployment *deployment) {
    if (deployment->docker.registry)
        return deployment->docker.registry;
    return deployment->docker.username ? "docker.io" : NULL;
}

void deployment_free(struct deployment *d) {
    secret_free(d->credentials.access_key_id);
    secret_free(d->credentials.secret_access_key);
    secret_free(d->credentials.session_token);
    secret_free(d->docker.access_token);
    char *texts[] = {d->file,
                     d->folder,
                     d->name,
                     d->credentials.ssh_key_path,
                     d->credentials.ssh_key_name,
                     d->docker.registry,
                     d->docker.username,
                     d->local.concord_root,
                     d->local.perf_test_root,
                     d->general.loader_cli};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    deployment_free_hosts(d);
    deployment_free_fleets(d);
    texts_free(d->testbed.ssh_from);
    free(d->testbed.user);
    free(d->testbed.prices);
    deployment_free_commands(d);
    free(d);
}

struct deployment *deployment_new_default(const char *folder) {
    struct deployment *d = mem_new(struct deployment);
    d->folder = text_dup(folder);
    d->local.perf_test_root = project_resolve_path(folder, "results");
    d->collect.cores = true;
    return d;
}

/* ---- from the disk ---- */

/* A command that runs a script which is not there would fail at every interval of a whole trial. */
static int check_script(const struct deployment_command *c, struct error *err) {
    const char *path = c->script;
    const struct project_place *place = &c->script_place;
    struct stat status;
    if (!path)
        return 0;
    if (stat(path, &status) < 0)
        return error_set_os(err, ERROR_CONFIG, errno, "%s:%u:%u: custom script '%s'", place->file,
                            place->line, place->column, path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_CONFIG, "%s:%u:%u: custom script '%s' is not a file",
                         place->file, place->line, place->column, path);
    return 0;
}

static int check_scripts(const struct deployment *d, struct error *err) {
    for (size_t i = 0; i < d->runtime.command_count; i++)
        if (check_script(&d->runtime.commands[i], err) < 0)
            return -1;
    return 0;
}

static int load_file(const char *file, const struct environment *env, struct deployment **ret,
                     struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup(deployment_freep) struct deployment *deployment = NULL;
    cleanup_free char *relative = path_folder(file);
    cleanup_free char *absolute = path_absolute(relative);
    cleanup_free char *folder = project_resolve_path("", absolute);
    struct stat status;
    if (file_read(file, YAML_SIZE_MAX, &text, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "deployment file");
    }
    if (stat(file, &status) < 0)
        return error_set_os(err, ERROR_CONFIG, errno, "deployment file '%s'", file);
    if (deployment_parse(file, folder, status.st_mode & 07777, buffer_string(&text), text.size, env,
                         &deployment, err) < 0 ||
        check_scripts(deployment, err) < 0)
        return -1;
    *ret = take_ptr(deployment);
    return 0;
}

int deployment_load(const char *file, const char *folder, const struct environment *env,
                    struct deployment **ret, struct error *err) {
    static const char *const usual[] = {"deployment_local.yaml", "deployment.yaml"};
    if (file)
        return load_file(file, env, ret, err);
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        cleanup_free char *path = project_resolve_path(folder, usual[i]);
        if (file_exists(path))
            return load_file(path, env, ret, err);
    }
    cleanup_free char *absolute = path_absolute(folder);
    cleanup_free char *resolved = project_resolve_path("", absolute);
    *ret = deployment_new_default(resolved);
    return 0;
}

/* ---- against the project ---- */

static int check_replicas(const struct deployment *d, struct project *project, struct error *err) {
    const struct project_place *place = &d->general.num_of_replicas_place;
    struct project_service *only = NULL;
    int64_t total = 0, wanted = d->general.num_of_replicas;
    size_t services = 0;
    if (!wanted)
        return 0;
    for (size_t i = 0; i < project->service_count; i++) {
        struct project_service *s = &project->services[i];
        if (s->seatrial.role != PROJECT_ROLE_REPLICA)
            continue;
        only = s;
        total += s->replicas;
        services++;
    }
    if (services == 0)
        return error_set(err, ERROR_CONFIG,
                         "%s:%u:%u: 'num_of_replicas' is %lld, but no service has role replica",
                         place->file, place->line, place->column, (long long)wanted);
    if (services == 1 && !only->replicas_given) {
        if (project_set_replicas(project, only->name, wanted, err) < 0)
            return error_wrap(err, "%s:%u:%u: 'num_of_replicas'", place->file, place->line,
                              place->column);
        return 0;
    }
    if (total == wanted)
        return 0;
    if (services == 1)
        return error_set(err, ERROR_CONFIG,
                         "%s:%u:%u: 'num_of_replicas' is %lld, but deploy.replicas of service '%s' "
                         "is %lld (%s:%u)",
                         place->file, place->line, place->column, (long long)wanted, only->name,
                         (long long)total, only->replicas_place.file, only->replicas_place.line);
    return error_set(err, ERROR_CONFIG,
                     "%s:%u:%u: 'num_of_replicas' is %lld, but the %zu services of role replica "
                     "have %lld",
                     place->file, place->line, place->column, (long long)wanted, services,
                     (long long)total);
}

int deployment_check_project(const struct deployment *d, struct project *project,
                             struct error *err) {
    if (deployment_check_commands(d, project, err) < 0)
        return -1;
    return check_replicas(d, project, err);
}

/* ---- for people and reports ---- */

static void write_text(struct yaml_writer *w, const char *key, const char *text) {
    if (text)
        yaml_pair_text(w, key, text);
}

static void write_number(struct yaml_writer *w, const char *key, int64_t number) {
    if (number)
        yaml_pair_int(w, key, number);
}

static void write_secret(struct yaml_writer *w, const char *key, const struct secret *secret) {
    if (!secret)
        return;
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, ERROR_TEXT_MAX);
    secret_describe(secret, &shown);
    yaml_pair_text(w, key, buffer_string(&shown));
}

static void begin_section(struct yaml_writer *w, const char *key) {
    yaml_key(w, key);
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
}

static void write_remote(struct yaml_writer *w, const struct deployment *d) {
    begin_section(w, "credentials");
    write_secret(w, "AWS_ACCESS_KEY_ID", d->credentials.access_key_id);
    write_secret(w, "AWS_SECRET_ACCESS_KEY", d->credentials.secret_access_key);
    write_secret(w, "AWS_SESSION_TOKEN", d->credentials.session_token);
    write_text(w, "ssh_key_path", d->credentials.ssh_key_path);
    write_text(w, "ssh_key_name", d->credentials.ssh_key_name);
    yaml_end(w);
    begin_section(w, "docker");
    write_text(w, "registry", d->docker.registry);
    write_text(w, "username", d->docker.username);
    write_secret(w, "access_token", d->docker.access_token);
    yaml_end(w);
}

static void write_host(struct yaml_writer *w, const struct deployment_host *host) {
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    write_text(w, "name", host->name);
    write_text(w, "ssh", host->ssh);
    write_text(w, "address", host->address);
    write_text(w, "fleet", host->fleet);
    write_text(w, "host_key", host->host_key);
    write_text(w, "engine", host->engine);
    yaml_end(w);
}

static void write_testbed(struct yaml_writer *w, const struct deployment *d) {
    bool hosts = d->testbed.provider == DEPLOYMENT_HOSTS;
    bool ec2 = d->testbed.provider == DEPLOYMENT_EC2;
    begin_section(w, "testbed");
    yaml_pair_text(w, "provider", ec2 ? "ec2" : hosts ? "hosts" : "local");
    if (ec2)
        deployment_write_fleets(w, d);
    if (hosts) {
        yaml_pair_text(w, "host_keys",
                       d->testbed.host_keys == DEPLOYMENT_HOST_KEYS_STRICT ? "strict"
                                                                           : "accept-new");
        yaml_key(w, "hosts");
        yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
        for (size_t i = 0; i < d->testbed.host_count; i++)
            write_host(w, &d->testbed.hosts[i]);
        yaml_end(w);
    }
    write_number(w, "time_to_live_sec", d->testbed.time_to_live_sec);
    write_text(w, "prices", d->testbed.prices);
    write_number(w, "cost_limit_usd_per_hour", d->testbed.cost_limit_usd_per_hour);
    yaml_end(w);
}

void deployment_write(const struct deployment *d, struct buffer *out) {
    struct yaml_writer writer = yaml_writer(out), *w = &writer;
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    write_text(w, "name", d->name);
    write_remote(w, d);
    begin_section(w, "local");
    write_text(w, "concord_root", d->local.concord_root);
    write_text(w, "perf_test_root", d->local.perf_test_root);
    yaml_end(w);
    begin_section(w, "general");
    write_number(w, "num_of_replicas", d->general.num_of_replicas);
    write_text(w, "loader_cli", d->general.loader_cli);
    write_number(w, "loader_timeout_sec", d->general.loader_timeout_sec);
    yaml_end(w);
    begin_section(w, "runtime");
    deployment_write_commands(w, d);
    yaml_end(w);
    write_testbed(w, d);
    begin_section(w, "collect");
    yaml_pair_bool(w, "cores", d->collect.cores);
    yaml_pair_bool(w, "data", d->collect.data);
    if (d->collect.compress == DEPLOYMENT_COMPRESS_ZSTD)
        yaml_pair_text(w, "compress", "zstd");
    yaml_end(w);
    yaml_end(w);
}
