#pragma once

/*
 * A unix socket that only this user reaches: in a folder of its own (0700) below $XDG_RUNTIME_DIR,
 * /run or /tmp, whichever is there and short enough (a socket's path has 107 bytes). The folder is
 * locked while it is in use; what a process that died left behind is removed by the next.
 */

#include "lib/error.h"

struct private_socket {
    char *folder, *path;
    int folder_fd; /* holds the lock */
    int listen_fd; /* non-blocking */
};

#define PRIVATE_SOCKET_NULL ((struct private_socket){.folder_fd = -1, .listen_fd = -1})

/* `name` may have any characters and length; the path tells it as far as it can. */
int private_socket_open(const char *name, int backlog, struct private_socket *ret,
                        struct error *err);
/* Removes both. */
void private_socket_deinit(struct private_socket *s);
