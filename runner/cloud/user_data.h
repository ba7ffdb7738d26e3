#pragma once

/*
 * What a new machine is told by its user-data, for cloud-init: its host key, who may log in, an
 * engine where the image has none, a file system of its instance store for the engine's data
 * (seatrial-disks.sh), and when it ends itself. Pure.
 *
 * A machine's own programs, and whoever may ask EC2 for it, can read it: the host key is that of
 * the machines of one call, made for them, and it vouches for nothing else.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stdint.h>

enum { USER_DATA_MAX = 16 * 1024 }; /* EC2's limit, before base64 */

struct user_data {
    const char *private_key; /* of the host, as sshd reads it */
    const char *public_key;
    const char *authorized_key; /* NULL: EC2's key pair */
    const char *user;           /* who joins group docker */
    int64_t time_to_live_sec;   /* from each boot */
    bool instance_store;        /* the machine's own disks, if it has any, are for the engine */
};
/* ERROR_LIMIT. */
int user_data_write(const struct user_data *what, struct buffer *out, struct error *err);
