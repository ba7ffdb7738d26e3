#pragma once

/*
 * The key derivation of OpenSSH's private key files: bcrypt_pbkdf of OpenBSD, which is PBKDF2's
 * frame around bcrypt, with the output's bytes dealt out over the blocks. OpenSSL has none of it.
 *
 * Source: openssh PROTOCOL.key; Provos and Mazieres, "A Future-Adaptable Password Scheme" (1999);
 * Schneier, "Description of a New Variable-Length Key, 64-Bit Block Cipher (Blowfish)" (1993).
 * Threads: any. Why it is written here: docs/decisions/0006-bcrypt.md.
 */

#include <stddef.h>

enum { BCRYPT_PBKDF_OUT_MAX = 1024 };

/* `rounds` at least 1, sizes at least 1, `out_size` at most BCRYPT_PBKDF_OUT_MAX. 6 ms per round.
 */
void bcrypt_pbkdf(const void *passphrase, size_t passphrase_size, const void *salt,
                  size_t salt_size, unsigned rounds, unsigned char *out, size_t out_size);
