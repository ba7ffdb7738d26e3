#include "runner/cloud/ec2_group.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SSH_PORT = 22, LOOKS_MAX = 20, TRIES_MAX = 4 };
#define LOOK_NS (500 * NS_PER_MS)

/* ---- tags ---- */

static void add_tag(struct ec2_request *request, unsigned n, unsigned *t, const char *key,
                    const char *value) {
    if (!value)
        return;
    ++*t;
    ec2_add(request, key, "TagSpecification.%u.Tag.%u.Key", n, *t);
    ec2_add(request, value, "TagSpecification.%u.Tag.%u.Value", n, *t);
}

void ec2_add_tags(struct ec2_request *request, unsigned n, const char *type,
                  const struct ec2_tags *tags) {
    char expires[24];
    unsigned t = 0;
    snprintf(expires, sizeof expires, "%" PRId64, tags->expires_s);
    ec2_add(request, type, "TagSpecification.%u.ResourceType", n);
    add_tag(request, n, &t, TAG_OWNER, tags->owner);
    add_tag(request, n, &t, TAG_DEPLOYMENT, tags->deployment);
    add_tag(request, n, &t, TAG_FLEET, tags->fleet);
    add_tag(request, n, &t, TAG_EXPIRES, expires);
    add_tag(request, n, &t, TAG_HOST_KEY, tags->host_key);
    add_tag(request, n, &t, "Name", tags->name);
}

/* ---- rules ---- */

static size_t add_rule(struct ec2_rule *rules, size_t count, const char *protocol, int32_t port,
                       const char *source) {
    struct ec2_rule *rule = &rules[count];
    if (count == EC2_RULES_MAX)
        return count;
    *rule = (struct ec2_rule){.from = port, .to = port};
    snprintf(rule->protocol, sizeof rule->protocol, "%s", protocol);
    snprintf(rule->source, sizeof rule->source, "%s", source);
    return count + 1;
}

size_t ec2_rules_wanted(const char *group, char *const *ssh_from, char *const *peers,
                        struct ec2_rule *ret) {
    size_t count = add_rule(ret, 0, "-1", -1, group);
    for (; ssh_from && *ssh_from; ssh_from++)
        count = add_rule(ret, count, "tcp", SSH_PORT, *ssh_from);
    for (; peers && *peers; peers++) {
        cleanup_free char *network = text_format("%s/32", *peers);
        count = add_rule(ret, count, "-1", -1, network);
    }
    return count;
}

/* Networks are compared as they are written: EC2 gives them back so. */
static bool same_rule(const struct ec2_rule *a, const struct ec2_rule *b) {
    bool all = text_equal(a->protocol, "-1");
    return text_equal(a->protocol, b->protocol) && text_equal(a->source, b->source) &&
           (all || (a->from == b->from && a->to == b->to));
}

size_t ec2_rules_without(const struct ec2_rule *a, size_t a_count, const struct ec2_rule *b,
                         size_t b_count, struct ec2_rule *ret) {
    size_t count = 0;
    for (size_t i = 0; i < a_count; i++) {
        bool found = false;
        for (size_t k = 0; k < b_count && !found; k++)
            found = same_rule(&a[i], &b[k]);
        if (!found)
            ret[count++] = a[i];
    }
    return count;
}

static void add_permission(struct ec2_request *request, unsigned n, const struct ec2_rule *rule) {
    bool group = text_starts(rule->source, "sg-"), v6 = strchr(rule->source, ':') != NULL;
    ec2_add(request, rule->protocol, "IpPermissions.%u.IpProtocol", n);
    if (!text_equal(rule->protocol, "-1")) {
        ec2_add_int(request, rule->from, "IpPermissions.%u.FromPort", n);
        ec2_add_int(request, rule->to, "IpPermissions.%u.ToPort", n);
    }
    if (group)
        ec2_add(request, rule->source, "IpPermissions.%u.Groups.1.GroupId", n);
    else if (v6)
        ec2_add(request, rule->source, "IpPermissions.%u.Ipv6Ranges.1.CidrIpv6", n);
    else
        ec2_add(request, rule->source, "IpPermissions.%u.IpRanges.1.CidrIp", n);
}

/* 1: somebody else was there first, or we ourselves, by a call whose answer was lost. */
static int change_rules(struct ec2 *ec2, const char *action, const char *group,
                        const struct ec2_rule *rules, size_t count,
                        const struct provider_events *events, const struct task *task,
                        struct error *err) {
    static const char *const expected[] = {"InvalidPermission.Duplicate",
                                           "InvalidPermission.NotFound", NULL};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    if (count == 0)
        return 0;
    struct json *fields = json_new_object();
    json_set_text(fields, "action", action);
    json_set_text(fields, "region", ec2_region(ec2));
    json_set_text(fields, "group", group);
    if (events->journal(events->arg, "call", fields, err) < 0)
        return -1;
    ec2_request_init(&request, action);
    ec2_add(&request, group, "GroupId");
    for (size_t i = 0; i < count; i++)
        add_permission(&request, (unsigned)i + 1, &rules[i]);
    return ec2_call(ec2, &request, expected, task, NULL, err);
}

/* ---- the group ---- */

static void find_request(struct ec2_request *request, const struct ec2_group_wish *wish) {
    ec2_request_init(request, "DescribeSecurityGroups");
    ec2_filter(request, "tag:" TAG_OWNER, wish->owner);
    ec2_filter(request, "tag:" TAG_DEPLOYMENT, wish->deployment);
    ec2_filter(request, "vpc-id", wish->network);
}

/* 1: there is none. */
static int find(struct ec2 *ec2, const struct ec2_group_wish *wish, const struct task *task,
                char **ret_id, struct xml **ret_document, struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    cleanup(machines_deinit) struct machines groups = MACHINES_NULL;
    find_request(&request, wish);
    if (ec2_call(ec2, &request, NULL, task, &document, err) < 0 ||
        ec2_read_groups(xml_root(document), ec2_region(ec2), wish->owner, &groups, err) < 0)
        return -1;
    if (groups.count == 0)
        return 1;
    *ret_id = text_dup(groups.items[0].id);
    *ret_document = take_ptr(document);
    return 0;
}

void ec2_group_create_request(struct ec2_request *request, const struct ec2_group_wish *wish) {
    cleanup_free char *name = text_format("seatrial %s %s", wish->owner, wish->deployment);
    for (char *c = name; *c; c++) /* what EC2 takes in a group's name */
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-@", *c))
            *c = '_';
    struct ec2_tags tags = {.owner = wish->owner,
                            .deployment = wish->deployment,
                            .name = name,
                            .expires_s = wish->expires_s};
    ec2_request_init(request, "CreateSecurityGroup");
    ec2_add(request, name, "GroupName");
    ec2_add(request, "machines of a seatrial deployment", "GroupDescription");
    ec2_add(request, wish->network, "VpcId");
    ec2_add_tags(request, 1, "security-group", &tags);
}

static int create(struct ec2 *ec2, const struct ec2_group_wish *wish, const struct task *task,
                  struct error *err) {
    static const char *const expected[] = {"InvalidGroup.Duplicate", NULL};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    struct json *fields = json_new_object();
    json_set_text(fields, "action", "CreateSecurityGroup");
    json_set_text(fields, "region", ec2_region(ec2));
    if (wish->events->journal(wish->events->arg, "call", fields, err) < 0)
        return -1;
    ec2_group_create_request(&request, wish);
    return ec2_call(ec2, &request, expected, task, NULL, err) < 0 ? -1 : 0;
}

/* What was made just now may not be seen at once. */
static int find_made(struct ec2 *ec2, const struct ec2_group_wish *wish, const struct task *task,
                     char **ret_id, struct xml **ret_document, struct error *err) {
    for (unsigned looks = 0; looks < LOOKS_MAX; looks++) {
        int r = find(ec2, wish, task, ret_id, ret_document, err);
        if (r <= 0)
            return r;
        if (task_sleep(task, LOOK_NS, err) < 0)
            return -1;
    }
    error_set(err, ERROR_CONFLICT, "the security group of deployment '%s' in %s cannot be found",
              wish->deployment, wish->network);
    return error_hint(err, "a group of that name without our tags may stand in its place: delete "
                           "it, or choose another 'name' for the deployment");
}

/* 1: look again. */
static int set_rules(struct ec2 *ec2, const struct ec2_group_wish *wish, const char *id,
                     const struct xml_node *found, const struct task *task, struct error *err) {
    cleanup_free struct ec2_rule *rules = mem_new_array(struct ec2_rule, 3L * EC2_RULES_MAX);
    struct ec2_rule *have = rules, *want = have + EC2_RULES_MAX, *change = want + EC2_RULES_MAX;
    size_t have_count = ec2_read_rules(found, id, have);
    size_t want_count = ec2_rules_wanted(id, wish->ssh_from, wish->peers, want);
    size_t missing = ec2_rules_without(want, want_count, have, have_count, change);
    int r = change_rules(ec2, "AuthorizeSecurityGroupIngress", id, change, missing, wish->events,
                         task, err);
    if (r != 0)
        return r;
    size_t surplus = ec2_rules_without(have, have_count, want, want_count, change);
    return change_rules(ec2, "RevokeSecurityGroupIngress", id, change, surplus, wish->events, task,
                        err);
}

int ec2_group_ensure(struct ec2 *ec2, const struct ec2_group_wish *wish, const struct task *task,
                     char **ret_id, struct error *err) {
    for (unsigned tries = 0; tries < TRIES_MAX; tries++) {
        cleanup_free char *id = NULL;
        cleanup(xml_freep) struct xml *document = NULL;
        int r = find(ec2, wish, task, &id, &document, err);
        if (r > 0)
            r = create(ec2, wish, task, err) < 0 ? -1
                                                 : find_made(ec2, wish, task, &id, &document, err);
        if (r == 0)
            r = set_rules(ec2, wish, id, xml_root(document), task, err);
        if (r < 0)
            return -1;
        if (r == 0) {
            *ret_id = take_ptr(id);
            return 0;
        }
    }
    return error_set(err, ERROR_CONFLICT,
                     "the rules of our security group in %s change all the "
                     "time",
                     wish->network);
}

int ec2_group_delete(struct ec2 *ec2, const char *id, const struct task *task, struct error *err) {
    static const char *const expected[] = {"DependencyViolation", "InvalidGroup.InUse",
                                           "InvalidGroup.NotFound", "InvalidGroupId.NotFound",
                                           NULL};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    ec2_request_init(&request, "DeleteSecurityGroup");
    ec2_add(&request, id, "GroupId");
    int r = ec2_call(ec2, &request, expected, task, NULL, err);
    return r > 0 ? !text_ends(ec2_code(ec2), ".NotFound") : r;
}

/* ---- networks ---- */

int ec2_network_of(struct ec2 *ec2, const char *subnet, const struct task *task, char **ret,
                   struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    ec2_request_init(&request, subnet ? "DescribeSubnets" : "DescribeVpcs");
    if (subnet)
        ec2_add(&request, subnet, "SubnetId.1");
    else
        ec2_filter(&request, "is-default", "true");
    if (ec2_call(ec2, &request, NULL, task, &document, err) < 0)
        return -1;
    const char *network =
        xml_text(xml_root(document), subnet ? "subnetSet.item.vpcId" : "vpcSet.item.vpcId");
    if (!text_starts(network, "vpc-") || strlen(network) > 64) {
        error_set(err, ERROR_NOT_FOUND, "%s has no %s%s", ec2_region(ec2),
                  subnet ? "subnet " : "default VPC", subnet ? subnet : "");
        return error_hint(err, "say a 'subnet' in the fleet's region: {us-east-2: {count: 4, "
                               "subnet: subnet-...}}");
    }
    *ret = text_dup(network);
    return 0;
}
