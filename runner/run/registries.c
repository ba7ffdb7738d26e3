#include "runner/run/registries.h"

#include "compose/environment.h"
#include "images/registry_url.h"
#include "lib/text.h"

#include <stdlib.h>

void registries_init(struct registries *r, const struct deployment *deployment) {
    *r = (struct registries){.deployment = deployment};
    pthread_mutex_init(&r->lock, NULL);
}

void registries_deinit(struct registries *r) {
    for (size_t i = 0; i < r->count; i++) {
        free(r->entries[i].domain);
        credentials_deinit(&r->entries[i].credentials);
    }
    r->count = 0;
    pthread_mutex_destroy(&r->lock);
}

/* ---- who we are ---- */

/* The deployment speaks of one registry: "docker.io", "registry:5000/team". */
static bool is_deployments(const struct deployment *d, const char *domain) {
    char ours[REGISTRY_HOST_MAX + 1], asked[REGISTRY_HOST_MAX + 1];
    const char *registry = deployment_registry(d);
    return registry &&
           text_equal(registry_server_name(registry, ours), registry_server_name(domain, asked));
}

static int find(const struct deployment *d, const char *domain, const struct task *task,
                struct credentials *ret, struct error *err) {
    if (!d->docker.access_token || !is_deployments(d, domain))
        return credentials_find(NULL, domain, task, ret, err);
    struct credentials c = CREDENTIALS_NULL;
    if (secret_reveal(d->docker.access_token, &environment_of_process, &c.password, err) < 0)
        return error_wrap(err, "docker.access_token");
    c.username = text_dup(d->docker.username);
    c.origin = text_format("'%s'", d->file);
    *ret = c;
    return 0;
}

/* With the lock held, since a helper must not be asked twice. */
static int find_once(struct registries *r, const char *domain, const struct task *task,
                     const struct credentials **ret, struct error *err) {
    for (size_t i = 0; i < r->count; i++)
        if (text_equal(r->entries[i].domain, domain)) {
            *ret = &r->entries[i].credentials;
            return 0;
        }
    if (r->count == REGISTRIES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d registries", REGISTRIES_MAX);
    struct registries_entry *entry = &r->entries[r->count];
    if (find(r->deployment, domain, task, &entry->credentials, err) < 0)
        return error_wrap(err, "credentials for registry '%s'", domain);
    entry->domain = text_dup(domain);
    r->count++;
    *ret = &entry->credentials;
    return 0;
}

static int known_as(struct registries *r, const char *domain, const struct task *task,
                    const struct credentials **ret, struct error *err) {
    pthread_mutex_lock(&r->lock);
    int result = find_once(r, domain, task, ret, err);
    pthread_mutex_unlock(&r->lock);
    return result;
}

int registries_auth(struct registries *r, const char *domain, const struct task *task,
                    struct engine_registry_auth *ret, struct error *err) {
    const struct credentials *c;
    if (known_as(r, domain, task, &c, err) < 0)
        return -1;
    *ret = (struct engine_registry_auth){.username = c->username,
                                         .password = c->password,
                                         .identity_token = c->identity_token,
                                         .server = NULL};
    return 0;
}

int registries_open(struct registries *r, const char *domain,
                    const struct registry_options *options, const struct task *task,
                    struct registry **ret, struct error *err) {
    const struct credentials *c;
    if (known_as(r, domain, task, &c, err) < 0)
        return -1;
    struct registry_options wanted = options ? *options : (struct registry_options){.arg = NULL};
    if (!wanted.certificates)
        wanted.certificates = getenv("SEATRIAL_CERTIFICATES");
    wanted.domain = domain;
    wanted.credentials = c;
    return registry_open(&wanted, ret, err);
}
