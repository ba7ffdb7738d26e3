/* deployment.yaml's tables. */

#include "runner/deployment/read.h"

#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    SECRETS_MAX = 64, /* values that hold variables and are secrets; there are four keys for them */
    LOADER_TIMEOUT_MAX_SEC = 30 * 24 * 3600,
    TEXT_MAX = 64 * 1024, /* of a command line */
    COST_LIMIT_MAX_USD = 1000 * 1000,
};

struct parsing {
    struct deployment *deployment;
    const struct environment *environment;
    unsigned mode;
    struct yaml_tree *tree;
    /* Secrets that came from variables, and so do not stand in the file. */
    const struct yaml_node *from_variables[SECRETS_MAX];
    size_t from_variables_count;
};

/* ---- variables ---- */

/* Tells whether all of a text's variables were there. */
struct recorder {
    const struct environment *environment;
    bool asked;
    bool missed;
};

static const char *record(void *arg, const char *name) {
    struct recorder *r = arg;
    const char *value = environment_get(r->environment, name);
    r->asked = true;
    r->missed = r->missed || !value || !*value;
    return value;
}

static bool is_secret_key(const char *name) {
    static const char *const keys[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                       "AWS_SESSION_TOKEN", "access_token"};
    for (size_t i = 0; name && i < sizeof keys / sizeof *keys; i++)
        if (text_equal(name, keys[i]))
            return true;
    return false;
}

static int interpolate_scalar(struct parsing *p, struct yaml_node *node, struct error *err) {
    cleanup(texts_freep) char **unset = NULL;
    struct recorder recorder = {.environment = p->environment};
    struct environment env = {.lookup = record, .arg = &recorder};
    bool secret = is_secret_key(node->name);
    char *text;
    if (environment_interpolate(&env, node->text, &text, &unset, err) < 0) {
        /* The inner message may quote the value. */
        if (secret)
            return yaml_error(node, err, "'%s': write '$$' for a dollar", node->name);
        return yaml_error_at(node, err);
    }
    yaml_set_text(p->tree, node, text);
    if (unset) {
        yaml_error_text(node, err, "variable '%.64s' is not set", *unset);
        return error_hint(err, "set it, or write ${%.64s:-} for nothing", *unset);
    }
    if (secret && recorder.asked && !recorder.missed && p->from_variables_count < SECRETS_MAX)
        p->from_variables[p->from_variables_count++] = node;
    return 0;
}

static int interpolate(struct parsing *p, struct yaml_node *node, struct error *err) {
    if (node->type == YAML_SCALAR)
        return strchr(node->text, '$') ? interpolate_scalar(p, node, err) : 0;
    for (size_t i = 0; i < node->count; i++)
        if (interpolate(p, node->items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- secrets ---- */

struct reference {
    char *file;
    char *env;
};

static void reference_deinit(struct reference *r) {
    free(r->file);
    free(r->env);
}

static const struct yaml_field reference_fields[] = {
    YAML_VALUE("file", TEXT, offsetof(struct reference, file)),
    YAML_VALUE("env", TEXT, offsetof(struct reference, env)),
};
static const struct yaml_table reference_table = YAML_TABLE("a secret", reference_fields);

static char *resolve(const struct parsing *p, const char *base, const char *path) {
    const char *home = environment_get(p->environment, "HOME");
    if (home && text_equal(path, "~"))
        return text_dup(home);
    if (home && text_starts(path, "~/"))
        return project_resolve_path(home, path + 2);
    return project_resolve_path(base, path);
}

static int read_reference(const struct yaml_node *value, struct parsing *p, struct secret **ret,
                          struct error *err) {
    cleanup(reference_deinit) struct reference r = {.file = NULL};
    if (yaml_read(value, &reference_table, &r, NULL, err) < 0)
        return -1;
    if (!r.file == !r.env)
        return yaml_error(value, err, "'%s' must be one of {file: PATH} and {env: NAME}",
                          value->name);
    if (r.env) {
        *ret = secret_new_env(r.env);
        return 0;
    }
    cleanup_free char *path = resolve(p, p->deployment->folder, r.file);
    *ret = secret_new_file(path);
    return 0;
}

static bool from_variable(const struct parsing *p, const struct yaml_node *value) {
    for (size_t i = 0; i < p->from_variables_count; i++)
        if (p->from_variables[i] == value)
            return true;
    return false;
}

/* Messages must not quote the value, right or wrong. */
static int read_secret(const struct yaml_node *value, struct parsing *p, struct secret **slot,
                       struct error *err) {
    if (value->type == YAML_MAPPING)
        return read_reference(value, p, slot, err);
    if (value->type != YAML_SCALAR || yaml_resolve(value, NULL) != YAML_IS_TEXT)
        return yaml_error(value, err,
                          "'%s' must be a text (in quotes if it is a number), {file: PATH} or "
                          "{env: NAME}",
                          value->name);
    if (!*value->text)
        return 0;
    if (!from_variable(p, value) && (p->mode & 077)) {
        yaml_error(value, err, "'%s' is a secret in a file that others can read (mode %03o)",
                   value->name, p->mode & 0777);
        return error_hint(err, "chmod 600 '%s', or write {file: PATH} or {env: NAME}", value->file);
    }
    *slot = secret_new_literal(value->text);
    return 0;
}

#define SECRET_READER(name, member)                                                                \
    static int name(const struct yaml_node *value, void *target, void *context,                    \
                    struct error *err) {                                                           \
        struct deployment *deployment = target;                                                    \
        return read_secret(value, context, &deployment->member, err);                              \
    }
SECRET_READER(read_access_key_id, credentials.access_key_id)
SECRET_READER(read_secret_access_key, credentials.secret_access_key)
SECRET_READER(read_session_token, credentials.session_token)
SECRET_READER(read_access_token, docker.access_token)

/* ---- sections ---- */

#define AT(member) offsetof(struct deployment, member)
#define NULLS(what_, fields_)                                                                      \
    {                                                                                              \
        .what = (what_), .fields = (fields_), .count = sizeof(fields_) / sizeof *(fields_),        \
        .nulls = true                                                                              \
    }
#define SECTION(name, table)                                                                       \
    static int name(const struct yaml_node *value, void *target, void *context,                    \
                    struct error *err) {                                                           \
        return yaml_read(value, &(table), target, context, err);                                   \
    }

static const struct yaml_field credentials_fields[] = {
    YAML_READ_VALUE("AWS_ACCESS_KEY_ID", read_access_key_id),
    YAML_READ_VALUE("AWS_SECRET_ACCESS_KEY", read_secret_access_key),
    YAML_READ_VALUE("AWS_SESSION_TOKEN", read_session_token),
    YAML_VALUE("ssh_key_path", TEXT, AT(credentials.ssh_key_path)),
    YAML_VALUE("ssh_key_name", TEXT, AT(credentials.ssh_key_name)),
};
static const struct yaml_table credentials_table = NULLS("'credentials'", credentials_fields);
SECTION(read_credentials, credentials_table)

static const struct yaml_field docker_fields[] = {
    YAML_VALUE("registry", TEXT, AT(docker.registry)),
    YAML_VALUE("username", TEXT, AT(docker.username)),
    YAML_READ_VALUE("access_token", read_access_token),
};
static const struct yaml_table docker_table = NULLS("'docker'", docker_fields);
SECTION(read_docker, docker_table)

static const struct yaml_field local_fields[] = {
    YAML_VALUE("concord_root", TEXT, AT(local.concord_root)),
    YAML_VALUE("perf_test_root", TEXT, AT(local.perf_test_root)),
};
static const struct yaml_table local_table = NULLS("'local'", local_fields);
SECTION(read_local, local_table)

static int read_num_of_replicas(const struct yaml_node *value, void *target, void *context,
                                struct error *err) {
    (void)context;
    struct deployment *deployment = target;
    deployment->general.num_of_replicas_place = (struct project_place){
        .file = deployment->file, .line = value->line, .column = value->column};
    return yaml_get_int(value, 1, PROJECT_REPLICAS_MAX, &deployment->general.num_of_replicas, err);
}

/* Becomes an environment variable, and an argument list there. */
static int read_one_line(const struct yaml_node *value, char **slot, struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    if (strpbrk(text, "\r\n"))
        return yaml_error(value, err, "'%s' must be one line", value->name);
    if (strlen(text) > TEXT_MAX)
        return yaml_error(value, err, "'%s' is longer than %d bytes", value->name, TEXT_MAX);
    *slot = *text ? text_dup(text) : NULL;
    return 0;
}

static int read_loader_cli(const struct yaml_node *value, void *target, void *context,
                           struct error *err) {
    (void)context;
    return read_one_line(value, &((struct deployment *)target)->general.loader_cli, err);
}

static const struct yaml_field general_fields[] = {
    YAML_READ_VALUE("num_of_replicas", read_num_of_replicas),
    YAML_READ_VALUE("loader_cli", read_loader_cli),
    YAML_INT_VALUE("loader_timeout_sec", AT(general.loader_timeout_sec), 1, LOADER_TIMEOUT_MAX_SEC),
};
static const struct yaml_table general_table = NULLS("'general'", general_fields);
SECTION(read_general, general_table)

static int read_runtime(const struct yaml_node *value, void *target, void *context,
                        struct error *err) {
    (void)context;
    return deployment_read_commands(value, target, err);
}

static int read_provider(const struct yaml_node *value, void *target, void *context,
                         struct error *err) {
    (void)context;
    static const char *const providers[] = {
        [DEPLOYMENT_LOCAL] = "local", [DEPLOYMENT_HOSTS] = "hosts", [DEPLOYMENT_EC2] = "ec2", NULL};
    struct deployment *deployment = target;
    int provider;
    if (yaml_get_choice(value, providers, &provider, err) < 0)
        return -1;
    deployment->testbed.provider = (enum deployment_provider)provider;
    return 0;
}

static int read_time_to_live(const struct yaml_node *value, void *target, void *context,
                             struct error *err) {
    (void)context;
    struct deployment *deployment = target;
    uint64_t ns;
    if (yaml_get_duration_ns(value, &ns, err) < 0)
        return -1;
    if (ns < NS_PER_SEC)
        return yaml_error(value, err, "'time_to_live' must be at least a second");
    deployment->testbed.time_to_live_sec = (int64_t)(ns / NS_PER_SEC);
    return 0;
}

static int read_hosts(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    return deployment_read_hosts(value, target, err);
}

static int read_fleets(const struct yaml_node *value, void *target, void *context,
                       struct error *err) {
    (void)context;
    return deployment_read_fleets(value, target, err);
}

/* "203.0.113.0/24", "2001:db8::/32": looked at by EC2, but it must be one word. */
static int read_ssh_from(const struct yaml_node *value, void *target, void *context,
                         struct error *err) {
    (void)context;
    struct deployment *deployment = target;
    if (yaml_get_texts(value, &deployment->testbed.ssh_from, err) < 0)
        return -1;
    for (size_t i = 0; deployment->testbed.ssh_from && deployment->testbed.ssh_from[i]; i++) {
        const char *text = deployment->testbed.ssh_from[i];
        if (deployment_is_network(text))
            continue;
        yaml_error_text(value, err, "'ssh_from' must be networks, not '%.64s'", text);
        return error_hint(err, "write ssh_from: [203.0.113.7/32]; networks wider than /8 are the "
                               "world");
    }
    return 0;
}

static int read_user(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    if (size == 0 || size > 32 || text[size] || *text == '-')
        return yaml_error(value, err, "'user' must be a user's name, not %s",
                          yaml_what(value).text);
    ((struct deployment *)target)->testbed.user = text_dup(text);
    return 0;
}

static const char *const addresses[] = {
    [DEPLOYMENT_PUBLIC] = "public", [DEPLOYMENT_PRIVATE] = "private", NULL};

static const char *const host_keys[] = {[DEPLOYMENT_HOST_KEYS_STRICT] = "strict",
                                        [DEPLOYMENT_HOST_KEYS_ACCEPT_NEW] = "accept-new",
                                        NULL};

static const struct yaml_field testbed_fields[] = {
    YAML_READ_VALUE("provider", read_provider),
    YAML_READ_VALUE("hosts", read_hosts),
    YAML_CHOICE_VALUE("host_keys", AT(testbed.host_keys), host_keys),
    YAML_READ_VALUE("fleets", read_fleets),
    YAML_CHOICE_VALUE("addresses", AT(testbed.addresses), addresses),
    YAML_READ_VALUE("ssh_from", read_ssh_from),
    YAML_READ_VALUE("user", read_user),
    YAML_READ_VALUE("time_to_live", read_time_to_live),
    YAML_VALUE("prices", TEXT, AT(testbed.prices)),
    YAML_INT_VALUE("cost_limit_usd_per_hour", AT(testbed.cost_limit_usd_per_hour), 1,
                   COST_LIMIT_MAX_USD),
};
static const struct yaml_table testbed_table = NULLS("'testbed'", testbed_fields);

/* Whoever lists machines and runs on this one all the same should have said so. */
static int check_lists(const struct yaml_node *value, const struct deployment *deployment,
                       bool has_hosts, struct error *err) {
    const struct yaml_node *said = yaml_find(value, "provider");
    enum deployment_provider provider = deployment->testbed.provider;
    bool fleets = deployment->testbed.fleet_count > 0;
    if ((has_hosts || fleets) && (!said || yaml_is_null(said))) {
        const char *what = has_hosts ? "hosts" : "fleets";
        yaml_error_text(value, err, "'%s' are listed, but no provider is said", what);
        return error_hint(err, "write `provider: %s`, or `provider: local` for this machine",
                          has_hosts ? "hosts" : "ec2");
    }
    if (!has_hosts && provider == DEPLOYMENT_HOSTS) {
        yaml_error_text(value, err, "provider 'hosts' needs a list of 'hosts'");
        return error_hint(err, "hosts: [{name: r1, ssh: user@address}, ...]");
    }
    if (!fleets && provider == DEPLOYMENT_EC2) {
        yaml_error_text(value, err, "provider 'ec2' needs 'fleets'");
        return error_hint(err, "fleets: {replicas: {regions: {us-east-2: 4}, instance_type: "
                               "i3.2xlarge, image: ami-...}}");
    }
    return 0;
}

/* Both lists may be there, for a word to be changed; one of them counts. */
static int read_testbed(const struct yaml_node *value, void *target, void *context,
                        struct error *err) {
    struct deployment *deployment = target;
    if (yaml_read(value, &testbed_table, target, context, err) < 0)
        return -1;
    bool has_hosts = deployment->testbed.host_count > 0;
    if (check_lists(value, deployment, has_hosts, err) < 0)
        return -1;
    if (deployment->testbed.provider == DEPLOYMENT_EC2)
        deployment_fleets_to_hosts(deployment);
    return 0;
}

static const char *const compress[] = {
    [DEPLOYMENT_COMPRESS_NONE] = "none", [DEPLOYMENT_COMPRESS_ZSTD] = "zstd", NULL};

static const struct yaml_field collect_fields[] = {
    YAML_VALUE("cores", BOOL, AT(collect.cores)),
    YAML_VALUE("data", BOOL, AT(collect.data)),
    YAML_CHOICE_VALUE("compress", AT(collect.compress), compress),
};
static const struct yaml_table collect_table = NULLS("'collect'", collect_fields);
SECTION(read_collect, collect_table)

/* It becomes part of names of folders and labels. */
static int read_name(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    struct deployment *deployment = target;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = isalnum((unsigned char)*text) && strlen(text) <= PROJECT_NAME_MAX;
    for (const char *p = text; ok && *p; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    if (!ok)
        return yaml_error(value, err,
                          "'%.64s' cannot be a name (letters, digits, '.', '-' and '_', at most "
                          "%d)",
                          text, PROJECT_NAME_MAX);
    deployment->name = text_dup(text);
    return 0;
}

static const struct yaml_field fields[] = {
    YAML_READ_VALUE("name", read_name),
    YAML_READ_VALUE("credentials", read_credentials),
    YAML_READ_VALUE("docker", read_docker),
    YAML_READ_VALUE("local", read_local),
    YAML_READ_VALUE("general", read_general),
    YAML_READ_VALUE("runtime", read_runtime),
    YAML_READ_VALUE("testbed", read_testbed),
    YAML_READ_VALUE("collect", read_collect),
    YAML_UNSUPPORTED("sweep"),
};
#undef AT
static const struct yaml_table table = NULLS("a deployment file", fields);

/* ---- the whole ---- */

static void replace(char **slot, char *text) {
    free(*slot);
    *slot = text;
}

static void resolve_paths(struct parsing *p) {
    struct deployment *d = p->deployment;
    if (d->local.concord_root)
        replace(&d->local.concord_root, resolve(p, d->folder, d->local.concord_root));
    replace(&d->local.perf_test_root, resolve(p, d->folder, d->local.perf_test_root));
    if (d->credentials.ssh_key_path)
        replace(&d->credentials.ssh_key_path, resolve(p, d->folder, d->credentials.ssh_key_path));
    if (d->testbed.prices)
        replace(&d->testbed.prices, resolve(p, d->folder, d->testbed.prices));
    const char *scripts = d->local.concord_root ? d->local.concord_root : d->folder;
    for (size_t i = 0; i < d->runtime.command_count; i++) {
        char **script = &d->runtime.commands[i].script;
        if (*script)
            replace(script, resolve(p, scripts, *script));
    }
}

static void parsing_deinit(struct parsing *p) {
    if (p->deployment)
        deployment_free(p->deployment);
    if (p->tree)
        yaml_tree_free(p->tree);
}

int deployment_parse(const char *file, const char *folder, unsigned mode, const char *text,
                     size_t size, const struct environment *env, struct deployment **ret,
                     struct error *err) {
    cleanup(parsing_deinit) struct parsing p = {
        .deployment = mem_new(struct deployment), .environment = env, .mode = mode};
    p.deployment->file = text_dup(file);
    p.deployment->folder = text_dup(folder);
    p.deployment->local.perf_test_root = text_dup("results");
    p.deployment->collect.cores = true;
    if (yaml_parse(file, text, size, &p.tree, err) < 0 ||
        interpolate(&p, yaml_root(p.tree), err) < 0)
        return -1;
    const struct yaml_node *root = yaml_root(p.tree);
    if (!yaml_is_null(root) && yaml_read(root, &table, p.deployment, &p, err) < 0)
        return -1;
    resolve_paths(&p);
    *ret = take_ptr(p.deployment);
    return 0;
}
