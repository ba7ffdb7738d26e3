#pragma once

/*
 * What the files of the registry client share: one request, carried out with whatever it takes
 * (registry_call.c), and how the registry gets to know us (registry_login.c).
 */

#include "images/registry.h"
#include "images/registry_challenge.h"
#include "images/registry_url.h"
#include "lib/http.h"

enum { REGISTRY_TOKENS_MAX = 64 }; /* one for each repository that is asked about */

struct registry_token {
    char *scope; /* for what it was asked */
    char *token;
    struct instant until;
};

struct registry {
    char *domain;
    struct registry_url url;
    char *certificates, *unix_socket;
    struct credentials credentials;
    uint64_t pause_ns;
    void (*on_pause)(void *arg, const char *why, uint64_t ns);
    void *arg;
    struct http *http;
    bool settled; /* it has answered, so that it is known whether with TLS */
    bool basic;   /* it wants user and password with each request */
    struct registry_token tokens[REGISTRY_TOKENS_MAX];
    size_t token_count;
};

struct registry_call {
    const char *method;
    const char *path;   /* complete, with its query */
    const char *scope;  /* what we want to do, as tokens are asked for: "repository:x:pull"; "" */
    const char *accept; /* media types; or NULL */
};

/* 404 is an answer; every other status that is no success is an error. */
int registry_call(struct registry *registry, const struct registry_call *call,
                  const struct task *task, struct http_response *ret, struct error *err);

/* The header Authorization for that scope as we know it so far, malloc()ed and to be wiped; NULL:
 * nothing yet. */
char *registry_authorization(struct registry *registry, const char *scope);
/* The registry has said 401: does what it wants, once. */
int registry_login(struct registry *registry, const char *challenge, const char *scope,
                   const struct task *task, struct error *err);
/* Opens a client to a server as engines would. */
int registry_connect(const struct registry *registry, const struct registry_url *url,
                     struct http **ret, struct error *err);
/* "the registry's words" of an error's body, harmless; "" where it has none. */
void registry_words(const struct http_response *response, char *out, size_t size);
void registry_token_deinit(struct registry_token *token);
