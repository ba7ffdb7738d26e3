#pragma once

/*
 * What is in a private key file: OpenSSH's own format or PEM. Pure.
 *
 * OpenSSH's format has the public key in the clear, so that a key can be offered to a host before
 * anybody is asked for a passphrase; encrypted PEM tells nothing.
 *
 * Source: openssh PROTOCOL.key; RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 for the
 * public keys' blobs.
 */

#include "lib/buffer.h"
#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    KEY_FILE_SIZE_MAX = 1 << 20, /* as ssh */
    KEY_BLOB_SIZE_MAX = 16 << 10,
    KEY_ROUNDS_MAX = 4096, /* of bcrypt: a minute; ssh-keygen's default is 16 */
};

struct key_file {
    struct signing_key *key; /* NULL while it is locked */
    struct buffer blob;      /* the public key; empty while unknown */
    char *comment;           /* or NULL */
};

#define KEY_FILE_NULL ((struct key_file){.key = NULL})

void key_file_deinit(struct key_file *file);

/*
 * 0: the key is there. 1: it is encrypted, and the passphrase is NULL or wrong; the blob is set
 * where the format tells it. ERROR_INVALID: not a private key, or of a kind that is not supported,
 * by name.
 */
int key_file_parse(const char *text, size_t size, const char *passphrase, struct key_file *ret,
                   struct error *err);

/* The blob of a line "type base64 [comment]", as .pub files have. ERROR_INVALID. */
int key_file_public(const char *text, size_t size, struct buffer *ret_blob, char **ret_comment,
                    struct error *err);

/* "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", ...: the blob's type; NULL when we can't sign by
 * such a key. A constant. */
const char *key_blob_type(const void *blob, size_t size);

/* Signs as SSH has it (RFC 8332 for RSA: by SHA-512): string algorithm, string signature. */
int key_sign(const struct signing_key *key, const void *data, size_t size, struct buffer *ret,
             struct error *err);
