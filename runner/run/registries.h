#pragma once

/*
 * The registries that a trial or a command deals with, and who we are at each: what deployment.yaml
 * says of its own registry, for every other what docker knows (images/credentials.h). Each is asked
 * for once; helpers may ask a person.
 *
 * Owns:    the credentials, until registries_deinit wipes them.
 * Errors:  those of credentials_find and secret_reveal.
 * Threads: any, several at once. What registries_auth gives is good until registries_deinit.
 */

#include "images/registry.h"
#include "runner/deployment/deployment.h"
#include "runner/engine/transfer.h"

#include <pthread.h>

enum { REGISTRIES_MAX = 64 };

struct registries {
    const struct deployment *deployment; /* borrowed */
    pthread_mutex_t lock;
    struct registries_entry {
        char *domain;
        struct credentials credentials;
    } entries[REGISTRIES_MAX];
    size_t count;
};

void registries_init(struct registries *r, const struct deployment *deployment);
void registries_deinit(struct registries *r);

/* For engines: `domain` as in references. Its strings belong to `r`. */
int registries_auth(struct registries *r, const char *domain, const struct task *task,
                    struct engine_registry_auth *ret, struct error *err);

/* A client of one; `options` says what else it shall be opened with (domain and credentials are
 * filled in); or NULL. */
int registries_open(struct registries *r, const char *domain,
                    const struct registry_options *options, const struct task *task,
                    struct registry **ret, struct error *err);
