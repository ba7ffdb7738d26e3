#pragma once

/* New machines: one RunInstances for all that a fleet lacks in a region, and again in other zones.
 */

#include "runner/cloud/ec2.h"
#include "runner/cloud/provider.h"

struct ec2_make {
    const struct machine_wish *wish;
    const struct provider_settings *settings;
    const char *group; /* the security group's id */
    const char *image; /* of ec2_image */
    int64_t expires_s;
    bool dry_run;
};

/* What RunInstances takes for an image: "ami-...", "resolve:ssm:/..."; a name is looked up. */
int ec2_image(struct ec2 *ec2, const struct machine_wish *wish, const struct task *task, char **ret,
              struct error *err);

/*
 * All machines of the wish or none. Where capacity lacks, the fleet's other zones are tried, then
 * machines on demand if the fleet says so; the error names what each zone said. With `dry_run`: 0
 * it would be allowed.
 */
int ec2_make_machines(struct ec2 *ec2, const struct ec2_make *make, const struct task *task,
                      struct error *err);
