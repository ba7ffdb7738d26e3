#pragma once

/*
 * Where and how to log in: what a destination means under the user's ssh_config(5). Pure but for
 * the files it reads.
 *
 * Understood: Host (patterns, negation), Match (all, host, originalhost, user, localuser, final;
 * `exec` is refused by name), Include (globs, relative to ~/.ssh), HostName, User, Port,
 * IdentityFile, IdentitiesOnly, IdentityAgent, CertificateFile (refused by name), ProxyJump,
 * UserKnownHostsFile, GlobalKnownHostsFile, StrictHostKeyChecking, HostKeyAlias, HostKeyAlgorithms,
 * ConnectTimeout, ServerAliveInterval, ServerAliveCountMax, AddressFamily, BindAddress, Ciphers,
 * MACs, KexAlgorithms, Compression, HashKnownHosts, BatchMode, and the tokens %% %h %k %n %p %r %u
 * %d %i %l %L, ${VARIABLE} and ~ where they apply. The first value obtained wins. ProxyCommand
 * other than `none`, RevokedHostKeys, BindInterface and CanonicalizeHostname are refused by name
 * where they would take effect. All other keywords that ssh(1) knows are passed over, since they do
 * not change how we connect; unknown ones are errors with file and line, unless IgnoreUnknown
 * covers them. As for ssh, the home is that of the user database, not $HOME, and the user's
 * configuration must not be writable by others.
 *
 * Source: ssh_config(5) of OpenSSH 9.2. The oracle of its tests is `ssh -G`.
 */

#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum target_host_key_checking {
    TARGET_CHECK_ASK,
    TARGET_CHECK_YES,
    TARGET_CHECK_ACCEPT_NEW,
    TARGET_CHECK_NO
};

struct target {
    char *name; /* as it was asked for, without user and port */
    char *host_name;
    char *user;
    uint16_t port;
    char **identity_files; /* expanded, NULL-terminated; may not exist */
    bool identities_only;
    bool batch_mode;      /* nobody is to be asked anything */
    char *identity_agent; /* socket's path; NULL: none */
    char *proxy_jump;     /* "[user@]host[:port],..."; NULL: none */
    char **user_known_hosts_files, **global_known_hosts_files; /* expanded, NULL-terminated */
    enum target_host_key_checking host_key_checking;
    char *host_key_alias;      /* or NULL; without a port, unlike a name (known_hosts.h) */
    bool hash_known_hosts;     /* when a key is remembered */
    char *host_key_algorithms; /* or NULL, as the next three: as written, + - ^ not yet applied */
    char *ciphers, *macs, *kex_algorithms;
    char *bind_address;              /* or NULL */
    int address_family;              /* AF_UNSPEC, AF_INET, AF_INET6 */
    int64_t connect_timeout_s;       /* 0: not given */
    int64_t server_alive_interval_s; /* 0: not given */
    int64_t server_alive_count_max;  /* 3 unless given */
    bool compression;
};

/* `destination`: "[user@]host[:port]", "[user@][v6]:port" or "ssh://[user@]host[:port]".
 * `config_file`: instead of the user's and the system's ("none": neither); NULL: those. Errors:
 * ERROR_CONFIG, "FILE:LINE: message". */
int target_resolve(const char *destination, const char *config_file, struct target **ret,
                   struct error *err);
void target_free(struct target *target);
DEFINE_CLEANUP_FREE(target);
