#pragma once

/* Inside runner/deployment: what parse.c's tables take from other files. Pure. */

#include "lib/yaml.h"
#include "runner/deployment/deployment.h"

/* `testbed.hosts`, all of it. */
int deployment_read_hosts(const struct yaml_node *value, struct deployment *deployment,
                          struct error *err);
void deployment_free_hosts(struct deployment *deployment);

/* `testbed.fleets`. */
int deployment_read_fleets(const struct yaml_node *value, struct deployment *deployment,
                           struct error *err);
/* Their machines in the place of the file's hosts. */
void deployment_fleets_to_hosts(struct deployment *deployment);
void deployment_free_fleets(struct deployment *deployment);
/* An IPv4 or IPv6 network that is not wide open. */
bool deployment_is_network(const char *text);
void deployment_write_fleets(struct yaml_writer *w, const struct deployment *deployment);
