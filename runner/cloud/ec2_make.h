#pragma once

/* New machines: one RunInstances for all that a fleet lacks in a region, and again in other zones.
 */

#include "runner/cloud/ec2.h"
#include "runner/cloud/provider.h"

struct ec2_image {
    char id[256];         /* what RunInstances takes: "ami-...", "resolve:ssm:/..." */
    char root_device[64]; /* "/dev/sda1"; "" where EC2 was not asked */
};

struct ec2_make {
    const struct machine_wish *wish;
    const struct provider_settings *settings;
    const char *group; /* the security group's id */
    const struct ec2_image *image;
    int64_t expires_s;
    bool dry_run;
};

/* The wish's image. EC2 is asked for the newest of a name, and for what a disk of a chosen size
 * needs; ERROR_CONFIG where it cannot tell that. */
int ec2_image_find(struct ec2 *ec2, const struct machine_wish *wish, const struct task *task,
                   struct ec2_image *ret, struct error *err);

/*
 * All machines of the wish or none. Where capacity lacks, the fleet's other zones are tried, then
 * machines on demand if the fleet says so; the error names what each zone said. With `dry_run`: 0
 * it would be allowed.
 */
int ec2_make_machines(struct ec2 *ec2, const struct ec2_make *make, const struct task *task,
                      struct error *err);
