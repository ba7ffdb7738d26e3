#pragma once

/*
 * How we are known to a registry, as docker looks it up: `credHelpers` of config.json for that one
 * registry, then `credsStore`, then `auths`. Helpers are programs (`docker-credential-NAME`, found
 * by PATH): they are told the server on their standard input and say user and secret on their
 * output; nothing secret is ever an argument of a program or a part of a message.
 *
 * Owns:   `struct credentials` its texts, which are wiped.
 * Errors: ERROR_CONFIG (config.json is broken, or a helper is missing), ERROR_FAILED (a helper
 * ended with an error: its words), ERROR_INVALID (it says what is no answer), ERROR_TIMEOUT,
 *         ERROR_CANCELLED.
 * Source: docker/cli, cli/config/configfile; docker/docker-credential-helpers, client.
 */

#include "lib/error.h"
#include "lib/json.h"
#include "lib/task.h"

#include <stdbool.h>

enum {
    CREDENTIALS_FILE_MAX = 1024 * 1024,
    CREDENTIALS_ANSWER_MAX = 64 * 1024, /* of a helper */
    CREDENTIALS_TEXT_MAX = 32 * 1024,   /* of a user's name, or a secret */
};

struct credentials {
    char *username, *password; /* both, or */
    char *identity_token;      /* this one, which stands for both; or nothing: nobody knows us */
    char *origin; /* for messages: "credsStore 'pass'", "auths of '/root/.docker/config.json'" */
};
#define CREDENTIALS_NULL ((struct credentials){.username = NULL})

void credentials_deinit(struct credentials *c);
bool credentials_known(const struct credentials *c);

/*
 * `folder`: of config.json; NULL: DOCKER_CONFIG, else ~/.docker. `domain`: as in references
 * ("docker.io", "registry:5000"). Nobody who is known there: CREDENTIALS_NULL, and 0.
 */
int credentials_find(const char *folder, const char *domain, const struct task *task,
                     struct credentials *ret, struct error *err);

/* ---- the pure parts ---- */

/* What config.json says of a registry. */
struct credentials_config {
    const char *helper; /* borrowed from the document; NULL: no program has to be asked */
    bool helper_is_store;
    char *server; /* how the helper, or `auths`, knows the registry; malloc()ed */
    struct credentials plain;
};
void credentials_config_deinit(struct credentials_config *config);
int credentials_config_read(const struct json *config, const char *domain,
                            struct credentials_config *ret, struct error *err);

/* What a helper says to `get`. The user `<token>` means that the secret is an identity token. */
int credentials_answer_read(const char *text, size_t size, struct credentials *ret,
                            struct error *err);

/* ---- between the files of this room ---- */

/* 1: the helper knows nobody there. */
int credentials_ask_helper(const char *helper, const char *server, const struct task *task,
                           struct credentials *ret, struct error *err);
