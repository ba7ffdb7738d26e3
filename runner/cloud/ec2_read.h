#pragma once

/* What EC2's answers say, as far as we need it. Hostile: bounded, texts made harmless. Pure. */

#include "lib/xml.h"
#include "runner/cloud/machine.h"

/* The tags that all we make has from its birth. */
#define TAG_OWNER "io.seatrial.owner"
#define TAG_DEPLOYMENT "io.seatrial.deployment"
#define TAG_FLEET "io.seatrial.fleet"
#define TAG_EXPIRES "io.seatrial.expires"
#define TAG_HOST_KEY "io.seatrial.host-key"

/*
 * A page of DescribeInstances, or the answer of RunInstances: appends the machines that carry
 * our owner's tag; what else is there is nobody we know. ERROR_INVALID for one without an id.
 */
int ec2_read_instances(const struct xml_node *root, const char *region, const char *owner,
                       struct machines *machines, struct error *err);

/* A page of DescribeSecurityGroups, likewise, as machines of kind group. */
int ec2_read_groups(const struct xml_node *root, const char *region, const char *owner,
                    struct machines *machines, struct error *err);

/* What a group lets in. */
struct ec2_rule {
    char protocol[8]; /* "tcp", "-1" for all */
    int32_t from, to; /* ports; -1 with "-1" */
    char source[64];  /* a network, or a group's id */
};
enum { EC2_RULES_MAX = 1000 };
/* The rules of the group of that id, inwards. Returns how many, at most EC2_RULES_MAX. */
size_t ec2_read_rules(const struct xml_node *root, const char *group, struct ec2_rule *ret);

/* A value of a tagSet; "" for none. */
const char *ec2_tag(const struct xml_node *item, const char *key);
