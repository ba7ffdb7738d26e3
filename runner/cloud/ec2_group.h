#pragma once

/*
 * The deployment's own security group in a network: SSH from the runner alone, everything among the
 * machines. Which rules are missing and which are too many is pure.
 */

#include "runner/cloud/ec2.h"
#include "runner/cloud/ec2_read.h"
#include "runner/cloud/provider.h"

/* The rules of a group of that id: SSH from `ssh_from`, all from the group itself, and all from
 * `peers` (addresses of machines elsewhere; NULL-terminated both). Returns how many, at most
 * EC2_RULES_MAX. */
size_t ec2_rules_wanted(const char *group, char *const *ssh_from, char *const *peers,
                        struct ec2_rule *ret);
/* Those of `a` that `b` has not; `ret` has room for them. */
size_t ec2_rules_without(const struct ec2_rule *a, size_t a_count, const struct ec2_rule *b,
                         size_t b_count, struct ec2_rule *ret);

struct ec2_group_wish {
    const char *owner, *deployment;
    const char *network; /* "vpc-..." */
    int64_t expires_s;
    char *const *ssh_from, *const *peers;
    const struct provider_events *events;
};

/* What makes it; to be deinitialised. */
void ec2_group_create_request(struct ec2_request *request, const struct ec2_group_wish *wish);

/* Finds it or makes it, and gives it exactly these rules. Returns its id. */
int ec2_group_ensure(struct ec2 *ec2, const struct ec2_group_wish *wish, const struct task *task,
                     char **ret_id, struct error *err);

/* 1: it is still in use. 0 also when it is not there any more. */
int ec2_group_delete(struct ec2 *ec2, const char *id, const struct task *task, struct error *err);

/* The network of a subnet, or the region's default one for NULL. */
int ec2_network_of(struct ec2 *ec2, const char *subnet, const struct task *task, char **ret,
                   struct error *err);

/* The tags of something new, as TagSpecification.`n`; `fleet`, `name` and the key may be NULL. */
struct ec2_tags {
    const char *owner, *deployment, *fleet, *name, *host_key;
    int64_t expires_s;
};
void ec2_add_tags(struct ec2_request *request, unsigned n, const char *type,
                  const struct ec2_tags *tags);
