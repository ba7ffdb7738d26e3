/* What provider `ec2` says of itself before anything is made: who we are, what may be done, and
 * whether the machines could be made. Nothing changes by it: calls that would are dry runs. */

#include "lib/text.h"
#include "runner/cloud/ec2_group.h"
#include "runner/cloud/ec2_make.h"
#include "runner/cloud/ec2_regions.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };
#define STS_VERSION "2011-06-15"

static void tell(const struct ec2_region *r, const char *check, enum provider_result result,
                 const char *text, const char *remedy) {
    const struct ec2_provider *p = r->provider;
    struct provider_finding finding = {
        .region = r->name, .check = check, .result = result, .text = text, .remedy = remedy};
    p->found(p->found_arg, &finding);
}

static void tell_error(const struct ec2_region *r, const char *check, const struct error *err) {
    tell(r, check, PROVIDER_FAILED, err->text, *err->hint ? err->hint : NULL);
}

/* ---- who we are ---- */

static int ask_identity(const struct ec2_region *r, char **ret, struct error *err) {
    cleanup(ec2_closep) struct ec2 *sts = NULL;
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    char arn[512];
    struct ec2_options options = ec2_region_options(r->provider, r->name, "sts");
    ec2_request_init_version(&request, "GetCallerIdentity", STS_VERSION);
    if (ec2_open(&options, &sts, err) < 0 ||
        ec2_call(sts, &request, NULL, r->task, &document, err) < 0)
        return -1;
    text_safe(xml_text(xml_root(document), "GetCallerIdentityResult.Arn"), arn, sizeof arn);
    if (!*arn)
        return error_set(err, ERROR_INVALID, "GetCallerIdentity: the answer does not say who");
    *ret = text_format("%s, by %s", arn, aws_chain_source(r->provider->chain));
    return 0;
}

/* Without it nothing else can be asked. */
static int find_identity(const struct ec2_region *r) {
    struct error err = ERROR_NULL;
    cleanup_free char *who = NULL;
    if (ask_identity(r, &who, &err) < 0) {
        tell_error(r, "identity", &err);
        return -1;
    }
    tell(r, "identity", PROVIDER_GOOD, who, NULL);
    return 0;
}

/* ---- what may be done ---- */

struct permissions {
    struct ec2_region *region;
    const char *network, *group, *machine; /* NULL: there is none of ours */
    size_t allowed;
    bool ignored; /* somebody answers who knows no dry runs */
    struct buffer lacking, untried, odd;
};

static void list(struct buffer *names, const char *action) {
    buffer_format(names, "%s%s", names->size ? ", " : "", action);
}

/* An answer that is neither yes nor no is about the request: it was let in. */
static void judge(struct permissions *p, const struct ec2_request *request, int result,
                  const struct error *err) {
    const char *code = ec2_code(p->region->ec2);
    bool looks = text_starts(request->action, "Describe");
    p->ignored = p->ignored || (result == 0 && !looks);
    if (text_equal(code, "DryRunOperation") || (result == 0 && looks))
        p->allowed++;
    else if (text_equal(code, "UnauthorizedOperation") || text_equal(code, "AccessDenied"))
        list(&p->lacking, request->action);
    else {
        list(&p->odd, request->action);
        buffer_format(&p->odd, " (%s)", *code ? code : err->text);
    }
}

/* Releases the request. */
static void try(struct permissions *p, struct ec2_request *request) {
    static const char *const expected[] = {"DryRunOperation", "UnauthorizedOperation",
                                           "AccessDenied", NULL};
    struct error err = ERROR_NULL;
    ec2_add(request, "true", "DryRun");
    if (p->ignored && !text_starts(request->action, "Describe"))
        list(&p->untried, request->action);
    else
        judge(p, request, ec2_call(p->region->ec2, request, expected, p->region->task, NULL, &err),
              &err);
    ec2_request_deinit(request);
}

/* What only looks does no harm if it is no dry run; by the first we know whether others will be. */
static void try_looking(struct permissions *p) {
    static const char *const actions[] = {"DescribeInstances", "DescribeSecurityGroups",
                                          "DescribeVpcs",      "DescribeSubnets",
                                          "DescribeImages",    "DescribeRegions"};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        struct ec2_request request;
        ec2_request_init(&request, actions[i]);
        if (text_equal(actions[i], "DescribeImages"))
            ec2_add(&request, "self", "Owner.1");
        try(p, &request);
        if (i == 0)
            p->ignored = !*ec2_code(p->region->ec2);
    }
}

static void try_group(struct permissions *p) {
    struct ec2_group_wish wish = ec2_region_group_wish(p->region, p->network);
    struct ec2_request request;
    if (!p->network) {
        list(&p->untried, "CreateSecurityGroup");
        return;
    }
    ec2_group_create_request(&request, &wish);
    try(p, &request);
}

/* By the rights to what is ours already: without any of it, nobody can say. */
static void try_changing(struct permissions *p) {
    static const struct {
        const char *action, *parameter;
        bool of_group;
    } calls[] = {{"StartInstances", "InstanceId.1", false},
                 {"StopInstances", "InstanceId.1", false},
                 {"TerminateInstances", "InstanceId.1", false},
                 {"CreateTags", "ResourceId.1", false},
                 {"AuthorizeSecurityGroupIngress", "GroupId", true},
                 {"RevokeSecurityGroupIngress", "GroupId", true},
                 {"DeleteSecurityGroup", "GroupId", true}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        struct ec2_request request;
        const char *id = calls[i].of_group ? p->group : p->machine;
        if (!id) {
            list(&p->untried, calls[i].action);
            continue;
        }
        ec2_request_init(&request, calls[i].action);
        ec2_add(&request, id, "%s", calls[i].parameter);
        if (text_equal(calls[i].action, "CreateTags")) {
            ec2_add(&request, TAG_EXPIRES, "Tag.1.Key");
            ec2_add(&request, "0", "Tag.1.Value");
        } else if (text_ends(calls[i].action, "Ingress")) {
            ec2_add(&request, "-1", "IpPermissions.1.IpProtocol");
            ec2_add(&request, id, "IpPermissions.1.Groups.1.GroupId");
        }
        try(p, &request);
    }
}

static void tell_permissions(const struct permissions *p) {
    const struct ec2_region *r = p->region;
    cleanup_free char *lacking = text_format("the policy lacks %s", buffer_string(&p->lacking));
    cleanup_free char *odd = text_format("not clear: %s", buffer_string(&p->odd));
    cleanup_free char *good = text_format("%zu actions are allowed", p->allowed);
    cleanup_free char *untried = text_format(
        "%s: %s", p->ignored ? "who answers knows no dry runs" : "nothing of ours is there yet",
        buffer_string(&p->untried));
    if (p->lacking.size)
        tell(r, "permissions", PROVIDER_FAILED, lacking, "docs/EC2.md has the policy");
    else if (p->allowed)
        tell(r, "permissions", PROVIDER_GOOD, good, NULL);
    if (p->odd.size)
        tell(r, "permissions", PROVIDER_WARNING, odd, NULL);
    if (p->untried.size)
        tell(r, "permissions", PROVIDER_NOT_CHECKED, untried, NULL);
}

static const char *find(const struct ec2_region *r, enum machine_kind kind) {
    for (size_t i = 0; i < r->found.count; i++) {
        const struct machine *m = &r->found.items[i];
        if (m->kind == kind && (kind == MACHINE_IS_GROUP || machine_lives(m)))
            return m->id;
    }
    return NULL;
}

/* 1: it is not known whether a dry run would be dry. */
static int find_permissions(struct ec2_region *r, const char *network) {
    struct permissions p = {.region = r, .network = network};
    struct error ignored = ERROR_NULL;
    if (ec2_region_look(r, &ignored) == 0) { /* else the policy lacks that, which is told */
        p.group = find(r, MACHINE_IS_GROUP);
        p.machine = find(r, MACHINE_IS_MACHINE);
    }
    buffer_init(&p.lacking, TEXT_MAX);
    buffer_init(&p.untried, TEXT_MAX);
    buffer_init(&p.odd, TEXT_MAX);
    try_looking(&p);
    try_group(&p);
    try_changing(&p);
    tell_permissions(&p);
    buffer_deinit(&p.lacking);
    buffer_deinit(&p.untried);
    buffer_deinit(&p.odd);
    return p.ignored;
}

/* ---- what machines need ---- */

/* The fleet's network, malloc()ed; NULL: there is none, and told. */
static char *find_network(const struct ec2_region *r, const struct deployment_region *region) {
    struct error err = ERROR_NULL;
    char *network = NULL;
    if (ec2_network_of(r->ec2, region->subnet, r->task, &network, &err) < 0) {
        tell_error(r, "network", &err);
        return NULL;
    }
    cleanup_free char *text =
        text_format("%s%s%s", network, region->subnet ? ", subnet " : ", the default VPC",
                    region->subnet ? region->subnet : "");
    tell(r, "network", PROVIDER_GOOD, text, NULL);
    return network;
}

/* Where EC2 lets us in, and not user-data. */
static void find_key_pair(const struct ec2_region *r) {
    const struct provider_settings *s = r->provider->settings;
    const char *name = s->deployment->credentials.ssh_key_name;
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    struct error err = ERROR_NULL;
    if (s->authorized_key || !name)
        return;
    ec2_request_init(&request, "DescribeKeyPairs");
    ec2_add(&request, name, "KeyName.1");
    if (ec2_call(r->ec2, &request, NULL, r->task, &document, &err) < 0) {
        if (err.kind == ERROR_NOT_FOUND)
            error_hint(&err, "key pairs are of a region: import it there, or put the public key "
                             "beside credentials.ssh_key_path as .pub");
        tell_error(r, "ssh key", &err);
        return;
    }
    cleanup_free char *text = text_format("key pair '%s' is there", name);
    tell(r, "ssh key", PROVIDER_GOOD, text, NULL);
}

static void find_image(const struct ec2_region *r, const struct machine_wish *wish,
                       struct ec2_image *ret, bool *ret_found) {
    const char *said = wish->region->image ? wish->region->image : wish->fleet->image;
    struct error err = ERROR_NULL;
    *ret_found = ec2_image_find(r->ec2, wish, r->task, ret, &err) == 0;
    if (!*ret_found) {
        error_wrap(&err, "fleet '%s'", wish->fleet->name);
        tell_error(r, "image", &err);
    } else if (text_starts(said, "name:")) {
        cleanup_free char *text =
            text_format("fleet '%s': '%s' is %s", wish->fleet->name, said, ret->id);
        tell(r, "image", PROVIDER_GOOD, text, NULL);
    }
}

/* Image, type, market, subnet, key and the rights to them, all at once, as RunInstances sees it. */
static void find_machines(struct ec2_region *r, const struct machine_wish *wish) {
    struct error err = ERROR_NULL;
    struct ec2_image image;
    bool found;
    find_image(r, wish, &image, &found);
    if (!found)
        return;
    struct ec2_make make = {.wish = wish,
                            .settings = &r->provider->locked,
                            .image = &image,
                            .expires_s = r->expires_s,
                            .dry_run = true};
    if (ec2_make_machines(r->ec2, &make, r->task, &err) < 0) {
        tell_error(r, "machines", &err);
        return;
    }
    cleanup_free char *text = text_format("fleet '%s': %zu of %s could be made", wish->fleet->name,
                                          wish->count, wish->fleet->instance_type);
    tell(r, "machines", PROVIDER_GOOD, text, NULL);
}

static int examine_region(struct ec2_region *r, struct error *err) {
    const struct deployment *d = r->provider->settings->deployment;
    bool dry = false, first = true;
    (void)err;
    find_key_pair(r);
    for (size_t f = 0; f < d->testbed.fleet_count; f++)
        for (size_t k = 0; k < d->testbed.fleets[f].region_count; k++) {
            struct machine_wish wish = {&d->testbed.fleets[f], &d->testbed.fleets[f].regions[k],
                                        (size_t)d->testbed.fleets[f].regions[k].count};
            if (!text_equal(wish.region->name, r->name))
                continue;
            cleanup_free char *network = find_network(r, wish.region);
            if (first)
                dry = find_permissions(r, network) == 0;
            first = false;
            if (dry)
                find_machines(r, &wish);
        }
    return 0;
}

int ec2_examine(struct provider *provider, const struct task *task, provider_found *found,
                void *arg, struct error *err) {
    struct ec2_provider *p = (struct ec2_provider *)provider;
    p->found = found;
    p->found_arg = arg;
    for (size_t i = 0; i < p->deployment_region_count; i++) {
        p->regions[i].task = task;
        p->regions[i].scope = PROVIDER_DEPLOYMENT;
        p->regions[i].expires_s = provider_expires_s(p->settings->deployment);
    }
    if (p->deployment_region_count == 0 || find_identity(&p->regions[0]) < 0)
        return 0;
    /* One after the other, for people to read. */
    for (size_t i = 0; i < p->deployment_region_count; i++)
        if (task_check(task, err) < 0 || examine_region(&p->regions[i], err) < 0)
            return -1;
    tell(&p->regions[0], "limits", PROVIDER_NOT_CHECKED,
         "EC2 tells how many machines the account may have, and what capacity there is, when they "
         "are made",
         NULL);
    return 0;
}
