#pragma once

/*
 * Who we are to a host: keys from files and from the agent, as a public blob and a way to sign. RSA
 * keys sign by rsa-sha2-512 or rsa-sha2-256 (RFC 8332), never by SHA-1; Ed25519 (RFC 8709) and
 * ECDSA (RFC 5656) as they are.
 *
 * Files: PEM (PKCS#1, PKCS#8, SEC1; encrypted or not) and OpenSSH's own format, whatever
 * ssh-keygen encrypts it by; or a public key, to say which of the agent's is meant. A passphrase is
 * asked for once (passphrase.h), when a host wants a signature. A private key of ours that others
 * can read is refused, as ssh does. FIDO keys and certificates are passed over, as problems.
 *
 * Source: RFC 4253 section 6.6, RFC 8332; openssh PROTOCOL.key and draft-miller-ssh-agent.
 * Threads: a set belongs to one thread; the passphrases are shared under a lock.
 */

#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity;

/* "file '~/.ssh/id_ed25519'" or "agent key 'me@there'". */
const char *identity_describe(const struct identity *identity);
const char *identity_file(const struct identity *identity); /* NULL: the agent's */
/*
 * Before a key is offered. 0 at once for nearly all; encrypted PEM without a .pub file beside it
 * does not tell its public key, so that its passphrase has to be asked for here. Errors: as
 * identity_sign; then this identity is of no use, and the next may be tried.
 */
int identity_prepare(struct identity *identity, const struct task *task, struct error *err);
/* The public key's blob. Borrowed. NULL before identity_prepare has succeeded. */
const void *identity_blob(const struct identity *identity, size_t *ret_size);
/* The signature algorithm to name in the request: "rsa-sha2-512" for an RSA key, else its type. */
const char *identity_algorithm(const struct identity *identity);

/*
 * Signs; gives the whole signature blob (string algorithm, string signature), malloc()ed. May
 * prompt: give people time. ERROR_REFUSED: the passphrase is not known, or the agent says no.
 * ERROR_TIMEOUT, ERROR_CANCELLED, ERROR_UNREACHABLE (the agent), ERROR_INVALID, ERROR_IO. An agent
 * has a minute at most, whatever the task allows: somebody may have to confirm, but one that hangs
 * is not waited for.
 */
int identity_sign(struct identity *identity, const void *data, size_t size, const struct task *task,
                  unsigned char **ret, size_t *ret_size, struct error *err);

struct identity_set {
    struct identity **identities;
    size_t count;
};

/*
 * In ssh's order: files that the agent holds too, through the agent; the agent's others unless
 * `only_files`; files. A file that does not exist is passed over. `files` NULL-terminated; `agent`
 * a socket's path or NULL. Problems with single files (unreadable, too open, unknown format) and
 * with the agent go to `ret_problems` (malloc()ed text, "; " between them, NULL when none): they
 * are to be said if nobody lets us in. Never prompts. An agent that does not tell its keys within
 * five seconds is such a problem. Errors: ERROR_TIMEOUT, ERROR_CANCELLED.
 */
int identity_collect(char *const *files, const char *agent, bool only_files,
                     const struct task *task, struct identity_set *ret, char **ret_problems,
                     struct error *err);
/* Nobody is to be asked for a passphrase (BatchMode): what is encrypted, and not unlocked already,
 * fails with ERROR_REFUSED. */
void identity_set_silent(struct identity_set *set);
#define IDENTITY_SET_NULL ((struct identity_set){.identities = NULL})
void identity_set_deinit(struct identity_set *set);
