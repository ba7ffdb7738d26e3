#pragma once

/*
 * "[user@]host[:port]", "[user@][v6]:port" and "ssh://[user@]host[:port]", in pieces. A host with
 * several colons and no brackets is an IPv6 address without a port. Nothing in it is white space, a
 * control character or a leading dash. Pure. Errors: ERROR_CONFIG.
 */

#include "lib/error.h"

#include <stdbool.h>

struct ssh_destination {
    char *user, *host, *port; /* malloc()ed; user and port NULL when not given; port from 1 on */
};
#define SSH_DESTINATION_NULL ((struct ssh_destination){.user = NULL})
void ssh_destination_deinit(struct ssh_destination *d);

int ssh_destination_parse(const char *text, struct ssh_destination *ret, struct error *err);

/* What comes from elsewhere, as HostName and User. */
bool ssh_destination_host_clean(const char *host);
bool ssh_destination_user_clean(const char *user);
