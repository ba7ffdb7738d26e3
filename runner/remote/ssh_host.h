#pragma once

/*
 * What host.h promises, over SSH: on top of a tunnel.
 */

#include "runner/remote/host.h"
#include "runner/remote/tunnel.h"

/* Resolves the destination and opens the tunnel, and those of the hosts that it goes through. */
int ssh_host_open(const struct host_options *options, const struct task *task, struct tunnel **ret,
                  struct error *err);
int ssh_host_exec(struct tunnel *tunnel, const struct host_exec *exec, const struct task *task,
                  struct host_exec_result *ret, struct error *err);
int ssh_host_clock_offset(struct tunnel *tunnel, const struct task *task, struct host_clock *ret,
                          struct error *err);
