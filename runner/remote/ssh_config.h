#pragma once

/*
 * ssh_config(5) as text: which values a host obtains. Pure; what Include names is read by a
 * callback. The first value obtained wins, but for IdentityFile, which adds up.
 *
 * With `Match final` in it, everything is read twice, as ssh does: the second time Host and
 * `Match host` see the name that HostName gave, and `final` and `canonical` are true.
 *
 * Every keyword of OpenSSH 9.2 stands in one table, in ssh_config.c: what it means here, or that it
 * is passed over, or why it is refused. A value of a refused keyword is an error only where it
 * would take effect.
 *
 * Source: ssh_config(5) and readconf.c's behaviour as `ssh -G` shows it. Errors: ERROR_CONFIG,
 * "FILE:LINE: message".
 */

#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SSH_CONFIG_FILE_SIZE_MAX = 1 << 20,
    SSH_CONFIG_FILES_MAX = 1024,     /* in all, counted as often as they are read */
    SSH_CONFIG_DEPTH_MAX = 16,       /* of Include, as ssh */
    SSH_CONFIG_IDENTITIES_MAX = 100, /* as ssh */
    SSH_CONFIG_KNOWN_HOSTS_MAX = 32, /* files; as ssh */
};

/* What of it is used here. */
enum ssh_config_key {
    SSH_CONFIG_HOST_NAME,
    SSH_CONFIG_USER,
    SSH_CONFIG_PORT,
    SSH_CONFIG_IDENTITIES_ONLY,
    SSH_CONFIG_IDENTITY_AGENT,
    SSH_CONFIG_PROXY_COMMAND, /* only `none` */
    SSH_CONFIG_PROXY_JUMP,
    SSH_CONFIG_STRICT_HOST_KEY_CHECKING,
    SSH_CONFIG_HOST_KEY_ALIAS,
    SSH_CONFIG_HOST_KEY_ALGORITHMS,
    SSH_CONFIG_CIPHERS,
    SSH_CONFIG_MACS,
    SSH_CONFIG_KEX_ALGORITHMS,
    SSH_CONFIG_BIND_ADDRESS,
    SSH_CONFIG_ADDRESS_FAMILY,
    SSH_CONFIG_CONNECT_TIMEOUT,
    SSH_CONFIG_SERVER_ALIVE_INTERVAL,
    SSH_CONFIG_SERVER_ALIVE_COUNT_MAX,
    SSH_CONFIG_COMPRESSION,
    SSH_CONFIG_HASH_KNOWN_HOSTS,
    SSH_CONFIG_BATCH_MODE,
    SSH_CONFIG_IGNORE_UNKNOWN,
    SSH_CONFIG_VALUES, /* how many have one value; then those with several */
    SSH_CONFIG_IDENTITY_FILE = SSH_CONFIG_VALUES,
    SSH_CONFIG_USER_KNOWN_HOSTS,
    SSH_CONFIG_GLOBAL_KNOWN_HOSTS,
    SSH_CONFIG_KEYS,
};

struct ssh_config_value {
    char *text;  /* as written, without quotes; it has been checked */
    char *where; /* "FILE:LINE" */
};
struct ssh_config_list {
    struct ssh_config_value *items;
    size_t count, capacity;
};
struct ssh_config {
    struct ssh_config_value values[SSH_CONFIG_VALUES]; /* .text NULL: not obtained */
    struct ssh_config_list lists[SSH_CONFIG_KEYS - SSH_CONFIG_VALUES];
    char *host; /* HostName with its tokens filled in, or the name asked for; in lower case */
};
void ssh_config_deinit(struct ssh_config *config);
const struct ssh_config_list *ssh_config_list(const struct ssh_config *config,
                                              enum ssh_config_key key);

struct ssh_config_file {
    char *path, *text; /* malloc()ed */
    size_t size;
    bool user; /* `~` is allowed in Include, and relative paths are of ~/.ssh, not /etc/ssh */
};

struct ssh_config_input {
    const char *host;       /* as it was asked for */
    const char *user;       /* asked for, or NULL: wins over the configuration */
    const char *port;       /* likewise */
    const char *local_user; /* who we are */
    const struct ssh_config_file *files;
    size_t file_count;
    /* Appends the files that a pattern of Include names, in their order; none is no error. */
    int (*include)(void *context, const char *pattern, bool user, struct ssh_config_file **ret,
                   size_t *ret_count, struct error *err);
    void *context;
};

int ssh_config_resolve(const struct ssh_config_input *input, struct ssh_config *ret,
                       struct error *err);

/* ---- checked values, read ---- */

bool ssh_config_flag(const char *text); /* yes, no, true, false */
/* "none" is -1; else seconds: "90", "1m30s", "2h". */
int ssh_config_time(const char *text, int64_t *ret_s, struct error *err);
/* Index of the value in its keyword's list of names, in the order of ssh_config(5). */
enum { SSH_CONFIG_CHECK_YES, SSH_CONFIG_CHECK_NO, SSH_CONFIG_CHECK_ASK, SSH_CONFIG_CHECK_NEW };
int ssh_config_checking(const char *text);
int ssh_config_family(const char *text); /* AF_UNSPEC, AF_INET, AF_INET6 */

/*
 * Fills in %tokens. `tokens` pairs each letter with its text: {'h', "host"}, ended by {0, NULL}; %%
 * is a percent sign. `variable`, unless NULL, gives the text of ${NAME}, or NULL. ERROR_CONFIG for
 * unknown ones. malloc()ed.
 */
struct ssh_config_token {
    char letter;
    const char *text;
};
int ssh_config_expand(const char *text, const struct ssh_config_token *tokens,
                      const char *(*variable)(const char *name), char **ret, struct error *err);
