#pragma once

/*
 * What a registry says when it wants to know who asks: the header WWW-Authenticate, and the answer
 * of the server that it sends us to for a token. All of it is hostile.
 *
 * Pure. Source: RFC 9110, section 11; RFC 7617; distribution/spec/auth/token.md and oauth.md.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    REGISTRY_CHALLENGE_MAX = 8 * 1024, /* of the header */
    REGISTRY_REALM_MAX = 2048,
    REGISTRY_SCOPE_MAX = 1024,
    REGISTRY_TOKEN_MAX = 32 * 1024, /* some hold all rights of a user */
};

struct registry_challenge {
    enum registry_scheme {
        REGISTRY_BASIC, /* user and password with every request */
        REGISTRY_BEARER,
    } scheme;
    /* Of a bearer; "" where it says none. */
    char realm[REGISTRY_REALM_MAX + 1];
    char service[REGISTRY_SCOPE_MAX + 1];
    char scope[REGISTRY_SCOPE_MAX + 1];
    char error[64]; /* "insufficient_scope", "invalid_token" */
};

/*
 * Of several challenges, the bearer's before the basic one; schemes that nobody knows are passed
 * over. ERROR_INVALID: none that we know, a broken one, a bearer without a realm; ERROR_LIMIT.
 */
int registry_challenge_parse(const char *header, struct registry_challenge *ret, struct error *err);

/*
 * `ret_token`: malloc()ed, only of the characters that a header may hold. `ret_seconds`: for how
 * long it is good, by default 60 as the specification says.
 */
int registry_token_parse(const char *json, size_t size, char **ret_token, uint64_t *ret_seconds,
                         struct error *err);
