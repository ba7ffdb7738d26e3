#pragma once

/*
 * Files that should not get into an image, by their names: private keys, and what programs keep
 * passwords and tokens in. Names with which certificates are as common as keys (.pem, .key) count
 * only if there is a private key in them.
 */

#include "lib/error.h"

/* ERROR_REFUSED for a file that looks like a secret; reads from `fd` at an offset, for those that
 * are decided by what is in them. `path` is relative, for its name and for the error. */
int secrets_check(const char *path, int fd, struct error *err);
