#include "runner/cloud/ec2_read.h"

#include "lib/text.h"
#include "runner/cloud/aws_profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *ec2_tag(const struct xml_node *item, const char *key) {
    for (const struct xml_node *tag = xml_find(item, "tagSet.item"); tag; tag = xml_another(tag))
        if (text_equal(xml_text(tag, "key"), key))
            return xml_text(tag, "value");
    return "";
}

static enum machine_state state_of(const char *name) {
    static const struct {
        const char *name;
        enum machine_state state;
    } states[] = {{"pending", MACHINE_PENDING},      {"running", MACHINE_RUNNING},
                  {"stopping", MACHINE_STOPPING},    {"stopped", MACHINE_STOPPED},
                  {"shutting-down", MACHINE_ENDING}, {"terminated", MACHINE_GONE}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (text_equal(name, states[i].name))
            return states[i].state;
    return MACHINE_PENDING; /* a state of tomorrow is no reason to make another machine */
}

/* It goes into requests. */
static bool is_id(const char *text, const char *prefix) {
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return text_starts(text, prefix) && text[size] == '\0' && size < 64;
}

/* It goes into addresses of SSH and rules of groups. */
static const char *address(const char *text) {
    return strspn(text, "0123456789.") == strlen(text) && strlen(text) < 16 ? text : "";
}

static const char *fingerprint(const char *text) {
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return text_starts(text, "SHA256:") && strlen(text) == 50 && strspn(text + 7, base64) == 43
               ? text
               : "";
}

static void read_tags(const struct xml_node *item, struct machine *m) {
    uint64_t expires = 0;
    struct error ignored = ERROR_NULL;
    machine_set(&m->owner, ec2_tag(item, TAG_OWNER));
    machine_set(&m->deployment, ec2_tag(item, TAG_DEPLOYMENT));
    machine_set(&m->fleet, ec2_tag(item, TAG_FLEET));
    machine_set(&m->host_key, fingerprint(ec2_tag(item, TAG_HOST_KEY)));
    text_to_u64(ec2_tag(item, TAG_EXPIRES), 0, INT64_MAX / NS_PER_SEC, &expires, &ignored);
    m->expires_s = (int64_t)expires;
}

static int read_instance(const struct xml_node *item, const char *region, struct machines *machines,
                         struct error *err) {
    struct machine *m;
    const char *id = xml_text(item, "instanceId");
    uint64_t index = 0;
    struct error ignored = ERROR_NULL;
    if (!is_id(id, "i-"))
        return error_set(err, ERROR_INVALID, "a machine has no id");
    if (machines_add(machines, &m, err) < 0)
        return -1;
    machine_set(&m->id, id);
    machine_set(&m->region, region);
    machine_set(&m->zone, xml_text(item, "placement.availabilityZone"));
    machine_set(&m->type, xml_text(item, "instanceType"));
    machine_set(&m->address, address(xml_text(item, "ipAddress")));
    machine_set(&m->private_address, address(xml_text(item, "privateIpAddress")));
    machine_set(&m->network, xml_text(item, "vpcId"));
    m->state = state_of(xml_text(item, "instanceState.name"));
    m->spot = text_equal(xml_text(item, "instanceLifecycle"), "spot");
    m->launched_s = aws_time(xml_text(item, "launchTime")).ns / (int64_t)NS_PER_SEC;
    text_to_u64(xml_text(item, "amiLaunchIndex"), 0, UINT32_MAX, &index, &ignored);
    m->launch_index = (unsigned)index;
    const char *code = xml_text(item, "stateReason.code");
    if (!text_starts(code, "Client.UserInitiated") && *code) {
        cleanup_free char *reason =
            text_format("%s: %s", code, xml_text(item, "stateReason.message"));
        machine_set(&m->reason, reason);
    }
    read_tags(item, m);
    return 0;
}

static int read_set(const struct xml_node *set, const char *region, const char *owner,
                    struct machines *machines, struct error *err) {
    for (const struct xml_node *item = xml_find(set, "instancesSet.item"); item;
         item = xml_another(item))
        if (text_equal(ec2_tag(item, TAG_OWNER), owner) &&
            read_instance(item, region, machines, err) < 0)
            return -1;
    return 0;
}

int ec2_read_instances(const struct xml_node *root, const char *region, const char *owner,
                       struct machines *machines, struct error *err) {
    if (xml_find(root, "instancesSet"))
        return read_set(root, region, owner, machines, err);
    if (!xml_find(root, "reservationSet"))
        return error_set(err, ERROR_INVALID, "it lists no machines");
    for (const struct xml_node *r = xml_find(root, "reservationSet.item"); r; r = xml_another(r))
        if (read_set(r, region, owner, machines, err) < 0)
            return -1;
    return 0;
}

int ec2_read_groups(const struct xml_node *root, const char *region, const char *owner,
                    struct machines *machines, struct error *err) {
    if (!xml_find(root, "securityGroupInfo"))
        return error_set(err, ERROR_INVALID, "it lists no security groups");
    for (const struct xml_node *item = xml_find(root, "securityGroupInfo.item"); item;
         item = xml_another(item)) {
        struct machine *m;
        const char *id = xml_text(item, "groupId");
        if (!text_equal(ec2_tag(item, TAG_OWNER), owner))
            continue;
        if (!is_id(id, "sg-"))
            return error_set(err, ERROR_INVALID, "a security group has no id");
        if (machines_add(machines, &m, err) < 0)
            return -1;
        m->kind = MACHINE_IS_GROUP;
        m->state = MACHINE_RUNNING;
        machine_set(&m->id, id);
        machine_set(&m->region, region);
        machine_set(&m->network, xml_text(item, "vpcId"));
        read_tags(item, m);
    }
    return 0;
}

/* ---- rules ---- */

struct rules {
    struct ec2_rule *items;
    size_t count;
};

static int32_t port_of(const char *text) {
    uint64_t port = 0;
    struct error ignored = ERROR_NULL;
    return text_to_u64(text, 0, UINT16_MAX, &port, &ignored) < 0 ? -1 : (int32_t)port;
}

static void add_rule(struct rules *rules, const struct xml_node *permission, const char *source) {
    if (rules->count == EC2_RULES_MAX || strlen(source) >= sizeof rules->items->source)
        return;
    struct ec2_rule *rule = &rules->items[rules->count++];
    *rule = (struct ec2_rule){.from = port_of(xml_text(permission, "fromPort")),
                              .to = port_of(xml_text(permission, "toPort"))};
    snprintf(rule->protocol, sizeof rule->protocol, "%s", xml_text(permission, "ipProtocol"));
    snprintf(rule->source, sizeof rule->source, "%s", source);
}

static void read_sources(const struct xml_node *permission, struct rules *rules) {
    static const char *const places[][2] = {
        {"groups.item", "groupId"}, {"ipRanges.item", "cidrIp"}, {"ipv6Ranges.item", "cidrIpv6"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        for (const struct xml_node *at = xml_find(permission, places[i][0]); at;
             at = xml_another(at))
            add_rule(rules, permission, xml_text(at, places[i][1]));
}

size_t ec2_read_rules(const struct xml_node *root, const char *group, struct ec2_rule *ret) {
    struct rules rules = {.items = ret};
    for (const struct xml_node *item = xml_find(root, "securityGroupInfo.item"); item;
         item = xml_another(item)) {
        if (!text_equal(xml_text(item, "groupId"), group))
            continue;
        for (const struct xml_node *p = xml_find(item, "ipPermissions.item"); p; p = xml_another(p))
            read_sources(p, &rules);
    }
    return rules.count;
}
