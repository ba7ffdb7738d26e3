#pragma once

/*
 * Is this the key that this host is known by? Reads known_hosts files as sshd(8), SSH_KNOWN_HOSTS
 * FILE FORMAT, has them: names, patterns, negation, [host]:port, hashed names, @revoked;
 * @cert-authority lines are passed over. A file that does not exist is empty; a line that cannot be
 * read is passed over, as ssh does. Names are compared in lower case.
 *
 * A host on a port other than 22 is looked for as `[host]:port`; where nothing is known of that,
 * the right key under the plain name is a match too, as ssh has it.
 *
 * Errors: ERROR_IO, ERROR_LIMIT (a file of more than 16 MiB).
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum known_hosts_answer {
    KNOWN_HOSTS_MATCH,
    KNOWN_HOSTS_UNKNOWN, /* no line names this host */
    KNOWN_HOSTS_CHANGED, /* it is known by other keys, of this type or others only */
    KNOWN_HOSTS_REVOKED,
};

struct known_hosts_query {
    const char *host; /* HostKeyAlias, or the host's name; `[host]:port` is derived */
    uint16_t port;    /* 0 with a HostKeyAlias: that is looked for as it is */
    const void *key;  /* the public key's blob, as on the wire */
    size_t key_size;
    bool hash_name; /* known_hosts_add: as HashKnownHosts asks */
};

struct known_hosts_result {
    enum known_hosts_answer answer;
    char where[512]; /* "FILE:LINE" of what matched or contradicts; "" */
    bool same_type;  /* CHANGED: a key of this very type is known, and is another */
};

/* `files` NULL-terminated. */
int known_hosts_check(char *const *files, const struct known_hosts_query *query,
                      struct known_hosts_result *ret, struct error *err);

/* The algorithms of the keys by which the host is known, comma-separated, for the key exchange to
 * ask for; "" when it is unknown. An RSA key stands for `rsa-sha2-512,rsa-sha2-256,ssh-rsa`.
 * malloc()ed. Like ssh, ask for these first. */
char *known_hosts_algorithms(char *const *files, const char *host, uint16_t port);

/* Appends a line, its folder (0700) and the file (0600) made if missing; one write, under a lock.
 */
int known_hosts_add(const char *file, const struct known_hosts_query *query, struct error *err);

/* Does this line name the host (in lower case), and by which key? Pure; what the others are made
 * of. */
enum known_hosts_marker { KNOWN_HOSTS_PLAIN, KNOWN_HOSTS_REVOKES, KNOWN_HOSTS_AUTHORITY };
struct known_hosts_line {
    enum known_hosts_marker marker;
    const char *names, *type, *key; /* borrowed from the line; the key in base64 */
    size_t names_size, type_size, key_size;
};
/* false: empty, a comment, or not readable. */
bool known_hosts_parse(const char *line, size_t size, struct known_hosts_line *ret);
bool known_hosts_names(const struct known_hosts_line *line, const char *name);

/* "SHA256:..." as ssh-keygen -l prints it. malloc()ed. */
char *known_hosts_fingerprint(const void *key, size_t key_size);
