#pragma once

/*
 * From a destination to a connection that is logged in: dial (or go through another host), exchange
 * keys, check the host's key before anything is told, prove who we are.
 *
 * A connection that ends before sshd has said its version was one too many for it: that is tried
 * again, a little later each time, as long as there is time.
 *
 * Errors: as host.h says; each names the phase and hints at the remedy.
 */

#include "lib/error.h"
#include "lib/task.h"
#include "runner/remote/host.h"
#include "runner/remote/ssh.h"
#include "runner/remote/target.h"

struct login {
    const struct target *target;
    const char *host_key; /* the only one accepted; or NULL */
    enum host_unknown_keys unknown_keys;
    uint64_t timeout_ns;
    /* Instead of dialling: a connected stream to `host`. */
    int (*dial)(void *arg, const char *host, uint16_t port, const struct task *task, int *ret_fd,
                struct error *err);
    void *dial_arg;
};

/* `ret_identity_file` malloc()ed: the key's that let us in; NULL: none of a file's. */
int login(const struct login *login, const struct task *task, struct ssh **ret,
          char **ret_identity_file, struct error *err);
