#pragma once

/* Inside runner/deployment: what parse.c's tables take from other files. Pure. */

#include "lib/yaml.h"
#include "runner/deployment/deployment.h"

/* `testbed.hosts`, all of it. */
int deployment_read_hosts(const struct yaml_node *value, struct deployment *deployment,
                          struct error *err);
void deployment_free_hosts(struct deployment *deployment);
