#pragma once

/*
 * Image references, as the distribution project defines them:
 *
 *     reference = name [":" tag] ["@" digest],  name = [domain "/"] path
 *
 * and with the rules by which Docker completes what users write: `redis` is
 * `docker.io/library/redis`. A first component is a domain only if it has a '.', a ':' or an upper
 * case letter, or is `localhost`.
 *
 * Pure. Owns nothing. Source: github.com/distribution/reference (reference.go, normalize.go).
 */

#include "lib/error.h"

#include <stdbool.h>

enum {
    REFERENCE_NAME_MAX = 255, /* domain, '/' and path together */
    REFERENCE_TAG_MAX = 128,
    REFERENCE_DIGEST_MAX = 7 + 128, /* sha512: */
    REFERENCE_TEXT_SIZE = REFERENCE_NAME_MAX + 1 + REFERENCE_TAG_MAX + 1 + REFERENCE_DIGEST_MAX + 1,
};

/* All are strings; tag and digest are "" when the reference has none. */
struct reference {
    char domain[REFERENCE_NAME_MAX + 1]; /* docker.io, localhost:5000, ... */
    char path[REFERENCE_NAME_MAX + 1];   /* library/redis, team/app, ... */
    char tag[REFERENCE_TAG_MAX + 1];
    char digest[REFERENCE_DIGEST_MAX + 1];
};

/* Errors: ERROR_INVALID, which quotes the text and says which part is wrong. */
int reference_parse(const char *text, struct reference *ret, struct error *err);

/* Gives it the tag `latest` if it has neither tag nor digest. */
void reference_default_tag(struct reference *r);

/* Complete: docker.io/library/redis:7@sha256:... Returns `text`. */
const char *reference_text(const struct reference *r, char text[REFERENCE_TEXT_SIZE]);
/* As people write it: redis:7. Returns `text`. */
const char *reference_familiar(const struct reference *r, char text[REFERENCE_TEXT_SIZE]);
/* Domain and path without tag and digest, in the familiar form. Returns `text`. */
const char *reference_familiar_name(const struct reference *r, char text[REFERENCE_TEXT_SIZE]);
