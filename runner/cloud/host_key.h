#pragma once

/*
 * A host key of Ed25519 as sshd reads it, made of a seed: so that the first connection to a machine
 * is to that machine. Pure.
 *
 * Source: OpenSSH, PROTOCOL.key; RFC 8709.
 */

#include "lib/buffer.h"

enum { HOST_KEY_SEED_SIZE = 32, HOST_KEY_PRINT_SIZE = 7 + 43 + 1 };

/* Appends the private key's file, the public key's line without a newline ("ssh-ed25519 AAAA..."),
 * and writes the fingerprint, "SHA256:...". */
void host_key_make(const unsigned char seed[HOST_KEY_SEED_SIZE], struct buffer *private_key,
                   struct buffer *public_key, char fingerprint[HOST_KEY_PRINT_SIZE]);

/* Of a public key's line; false if it is none. */
bool host_key_fingerprint(const char *line, char fingerprint[HOST_KEY_PRINT_SIZE]);
