#pragma once

/*
 * How to work on a trial's machines by name, written beside its results: `ssh_config` (for
 * `ssh -F results/latest/ssh_config r1`, and whatever takes such a file), and `inventory.ini` and
 * `inventory.yaml`, which Ansible reads as they are. Names are the deployment's; keys are named by
 * their files, and nothing secret is in them.
 *
 * Hosts that are not known by a file of known hosts but pinned in the deployment are pinned in
 * `known_hosts` beside.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>
#include <stdint.h>

struct inventory_host {
    const char *name;
    const char *user, *address;
    uint16_t port;
    const char *identity_file;        /* NULL: the agent's */
    const char *proxy_jump;           /* or NULL */
    const char *host_key;             /* "TYPE BASE64", pinned; or NULL */
    const char *host_key_alias;       /* or NULL */
    char *const *known_hosts_files;   /* NULL-terminated; or NULL */
    const char *const *roles, *fleet; /* of what runs there: NULL-terminated; or NULL */
};

struct inventory {
    const struct inventory_host *hosts;
    size_t count;
    const char *folder;     /* where the files will lie, absolute */
    const char *ssh_config; /* where everything else is taken from, absolute; NULL: the user's */
};

/* Pure. A value that cannot be written is left out. */
void inventory_ssh_config(const struct inventory *inventory, struct buffer *out);
void inventory_known_hosts(const struct inventory *inventory, struct buffer *out);
void inventory_ini(const struct inventory *inventory, struct buffer *out);
void inventory_yaml(const struct inventory *inventory, struct buffer *out);

/* All of them into the folder. */
int inventory_write(const struct inventory *inventory, struct error *err);
