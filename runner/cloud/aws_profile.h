#pragma once

/*
 * What AWS's own programs keep and print about who one is: the shared credentials and config files,
 * and the JSON of a `credential_process` or of a machine's metadata service. Pure.
 *
 * Owns:   all texts; secrets are wiped.
 * Errors: ERROR_CONFIG, ERROR_INVALID, ERROR_LIMIT; never with a value of a file or an answer.
 * Source: AWS SDKs and Tools Reference Guide, "Shared config and credentials files", "Process
 *         credential provider", "IMDS credential provider".
 */

#include "lib/clock.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    AWS_FILE_MAX = 1024 * 1024,
    AWS_ANSWER_MAX = 64 * 1024, /* a session token has up to 16 KiB */
    AWS_KEY_MAX = 16 * 1024,
};

struct aws_credentials {
    char *access_key_id, *secret_access_key;
    char *session_token;      /* NULL: none */
    struct wall_time expires; /* 0: nobody said */
};
#define AWS_CREDENTIALS_NULL ((struct aws_credentials){.access_key_id = NULL})
void aws_credentials_deinit(struct aws_credentials *credentials);
struct aws_credentials aws_credentials_copy(const struct aws_credentials *credentials);
/* ERROR_CONFIG for what cannot be part of a request: line breaks, blanks, too long. */
int aws_credentials_check(const struct aws_credentials *credentials, struct error *err);

struct aws_profile {
    bool found;
    struct aws_credentials keys; /* as far as they are said */
    char *process;               /* credential_process; or NULL */
    char *unsupported; /* a key that says where they come from in a way that we do not know */
};
void aws_profile_deinit(struct aws_profile *profile);

/*
 * Adds what a file says of the profile `name`; what is there already stays. In a config file its
 * section is `[profile NAME]`, but for `default`. ERROR_CONFIG with file and line.
 */
int aws_profile_read(const char *file, const char *text, size_t size, const char *name,
                     bool is_config, struct aws_profile *profile, struct error *err);

/* The JSON of both kinds of answers: `SessionToken` or `Token`, `Expiration`. */
int aws_answer_read(const char *text, size_t size, struct aws_credentials *ret, struct error *err);

/* "2026-11-28T21:00:00Z", fractions of seconds allowed; 0 for anything else. */
struct wall_time aws_time(const char *text);
