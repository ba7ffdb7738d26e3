#include "runner/cloud/ec2_make.h"

#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/cloud/ec2_group.h"
#include "runner/cloud/host_key.h"
#include "runner/cloud/user_data.h"

#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES = 12 };

/* ---- images ---- */

struct newest {
    char created[40];
    struct ec2_image image;
};

static int look_at_images(void *arg, const struct xml_node *root, struct error *err) {
    (void)err;
    struct newest *newest = arg;
    for (const struct xml_node *item = xml_find(root, "imagesSet.item"); item;
         item = xml_another(item)) {
        const char *created = xml_text(item, "creationDate"), *id = xml_text(item, "imageId");
        const char *device = xml_text(item, "rootDeviceName");
        struct ec2_image *image = &newest->image;
        if (!text_starts(id, "ami-") || strlen(id) >= sizeof image->id ||
            strcmp(created, newest->created) < 0)
            continue;
        bool fits = text_starts(device, "/") && strlen(device) < sizeof image->root_device;
        snprintf(newest->created, sizeof newest->created, "%s", created);
        snprintf(image->id, sizeof image->id, "%s", id);
        snprintf(image->root_device, sizeof image->root_device, "%s", fits ? device : "");
    }
    return 0;
}

/* "OWNER/PATTERN": the newest that is available. */
static int find_newest(struct ec2 *ec2, const char *name, const struct task *task,
                       struct ec2_image *ret, struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    struct newest newest = {.created = ""};
    const char *slash = strchr(name, '/');
    cleanup_free char *owner = text_format("%.*s", (int)(slash - name), name);
    ec2_request_init(&request, "DescribeImages");
    ec2_add(&request, owner, "Owner.1");
    ec2_filter(&request, "name", slash + 1);
    ec2_filter(&request, "state", "available");
    if (ec2_sweep(ec2, &request, task, look_at_images, &newest, err) < 0)
        return -1;
    if (!newest.image.id[0]) {
        error_set(err, ERROR_NOT_FOUND, "%s has no image '%s' of owner '%s'", ec2_region(ec2),
                  slash + 1, owner);
        return error_hint(err,
                          "images are of a region: say an 'image' in the fleet's region that "
                          "has another; `aws ec2 describe-images --owners %s` lists them",
                          owner);
    }
    *ret = newest.image;
    return 0;
}

static int look_up(struct ec2 *ec2, const char *id, const struct task *task, struct ec2_image *ret,
                   struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    struct newest newest = {.created = ""};
    ec2_request_init(&request, "DescribeImages");
    ec2_add(&request, id, "ImageId.1");
    if (ec2_sweep(ec2, &request, task, look_at_images, &newest, err) < 0)
        return -1;
    if (!newest.image.id[0]) {
        error_set(err, ERROR_NOT_FOUND, "%s has no image '%s'", ec2_region(ec2), id);
        return error_hint(err, "images are of a region: say an 'image' in the fleet's region");
    }
    *ret = newest.image;
    return 0;
}

/* By which name the image has its root disk: a mapping of that name changes it. */
static int find_root_device(struct ec2 *ec2, const struct machine_wish *wish, const char *image,
                            const struct task *task, struct ec2_image *ret, struct error *err) {
    if (!ret->root_device[0] && text_starts(image, "ami-") && look_up(ec2, image, task, ret, err))
        return -1;
    if (ret->root_device[0])
        return 0;
    error_set(err, ERROR_CONFIG, "by which device '%s' has its root disk is not known", image);
    return error_hint(err,
                      "say it in fleets.%s.disk.device: /dev/sda1 (Ubuntu), /dev/xvda (Amazon "
                      "Linux, Debian)",
                      wish->fleet->name);
}

int ec2_image_find(struct ec2 *ec2, const struct machine_wish *wish, const struct task *task,
                   struct ec2_image *ret, struct error *err) {
    const char *said = wish->region->image ? wish->region->image : wish->fleet->image;
    const struct deployment_disk *disk = &wish->fleet->disk;
    struct ec2_image image = {.root_device = ""};
    if (text_starts(said, "name:")) {
        if (find_newest(ec2, said + strlen("name:"), task, &image, err) < 0)
            return -1;
    } else {
        snprintf(image.id, sizeof image.id, "%s%s", text_starts(said, "ssm:") ? "resolve:" : "",
                 said);
    }
    if (disk->device)
        snprintf(image.root_device, sizeof image.root_device, "%s", disk->device);
    else if (deployment_disk_given(disk) &&
             find_root_device(ec2, wish, said, task, &image, err) < 0)
        return -1;
    *ret = image;
    return 0;
}

/* ---- one request ---- */

struct newborn {
    char token[2 * TOKEN_BYTES + 1];
    struct buffer user_data; /* base64 */
    char host_key[HOST_KEY_PRINT_SIZE];
};

static void newborn_deinit(struct newborn *n) {
    buffer_wipe(&n->user_data);
}

static int prepare(const struct ec2_make *make, struct newborn *n, struct error *err) {
    const struct provider_settings *settings = make->settings;
    const struct deployment *d = settings->deployment;
    unsigned char seed[HOST_KEY_SEED_SIZE];
    cleanup(buffer_wipe) struct buffer key, text;
    cleanup(buffer_deinit) struct buffer public;
    buffer_init(&key, USER_DATA_MAX);
    buffer_init(&public, USER_DATA_MAX);
    buffer_init(&text, USER_DATA_MAX);
    random_bytes(seed, sizeof seed);
    host_key_make(seed, &key, &public, n->host_key);
    secret_forget(seed, sizeof seed);
    int64_t live = d->testbed.time_to_live_sec;
    struct user_data what = {.private_key = buffer_string(&key),
                             .public_key = buffer_string(&public),
                             .authorized_key = settings->authorized_key,
                             .user = d->testbed.user ? d->testbed.user : "ubuntu",
                             .time_to_live_sec = live ? live : PROVIDER_TIME_TO_LIVE_SEC,
                             .instance_store = !make->wish->fleet->no_instance_store};
    if (user_data_write(&what, &text, err) < 0)
        return -1;
    base64_encode(text.data, text.size, &n->user_data);
    return 0;
}

static void add_network(struct ec2_request *request, const struct ec2_make *make) {
    const struct deployment *d = make->settings->deployment;
    const char *subnet = make->wish->region->subnet;
    bool public = d->testbed.addresses == DEPLOYMENT_PUBLIC;
    ec2_add(request, "0", "NetworkInterface.1.DeviceIndex");
    if (make->group)
        ec2_add(request, make->group, "NetworkInterface.1.SecurityGroupId.1");
    if (subnet)
        ec2_add(request, subnet, "NetworkInterface.1.SubnetId");
    ec2_add(request, public ? "true" : "false", "NetworkInterface.1.AssociatePublicIpAddress");
    ec2_add(request, "true", "NetworkInterface.1.DeleteOnTermination");
}

static void add_disk(struct ec2_request *request, const struct ec2_make *make) {
    const struct deployment_disk *disk = &make->wish->fleet->disk;
    if (!deployment_disk_given(disk))
        return;
    ec2_add(request, make->image->root_device, "BlockDeviceMapping.1.DeviceName");
    ec2_add(request, "true", "BlockDeviceMapping.1.Ebs.DeleteOnTermination");
    if (disk->size_gib)
        ec2_add_int(request, disk->size_gib, "BlockDeviceMapping.1.Ebs.VolumeSize");
    if (disk->type)
        ec2_add(request, disk->type, "BlockDeviceMapping.1.Ebs.VolumeType");
    if (disk->iops)
        ec2_add_int(request, disk->iops, "BlockDeviceMapping.1.Ebs.Iops");
    if (disk->throughput_mib)
        ec2_add_int(request, disk->throughput_mib, "BlockDeviceMapping.1.Ebs.Throughput");
}

static void add_all_tags(struct ec2_request *request, const struct ec2_make *make,
                         const char *host_key) {
    static const char *const types[] = {"instance", "volume", "network-interface"};
    const struct provider_settings *s = make->settings;
    cleanup_free char *name = text_format("%s %s", s->name, make->wish->fleet->name);
    struct ec2_tags tags = {.owner = s->owner,
                            .deployment = s->name,
                            .fleet = make->wish->fleet->name,
                            .name = name,
                            .expires_s = make->expires_s};
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        tags.host_key = i == 0 ? host_key : NULL;
        ec2_add_tags(request, i + 1, types[i], &tags);
    }
}

static void write_request(const struct ec2_make *make, const struct newborn *n, const char *token,
                          const char *zone, bool spot, struct ec2_request *request) {
    const struct deployment_fleet *fleet = make->wish->fleet;
    const char *key_name = make->settings->deployment->credentials.ssh_key_name;
    ec2_request_init(request, "RunInstances");
    ec2_add(request, make->image->id, "ImageId");
    ec2_add(request, fleet->instance_type, "InstanceType");
    ec2_add_int(request, (int64_t)make->wish->count, "MinCount");
    ec2_add_int(request, (int64_t)make->wish->count, "MaxCount");
    ec2_add(request, token, "ClientToken");
    ec2_add(request, buffer_string(&n->user_data), "UserData");
    ec2_add(request, "terminate", "InstanceInitiatedShutdownBehavior");
    ec2_add(request, "required", "MetadataOptions.HttpTokens");
    ec2_add(request, "1", "MetadataOptions.HttpPutResponseHopLimit");
    if (!make->settings->authorized_key && key_name)
        ec2_add(request, key_name, "KeyName");
    if (zone)
        ec2_add(request, zone, "Placement.AvailabilityZone");
    if (fleet->placement_group)
        ec2_add(request, fleet->placement_group, "Placement.GroupName");
    if (spot) {
        ec2_add(request, "spot", "InstanceMarketOptions.MarketType");
        ec2_add(request, "one-time", "InstanceMarketOptions.SpotOptions.SpotInstanceType");
        ec2_add(request, "terminate",
                "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior");
    }
    if (make->dry_run)
        ec2_add(request, "true", "DryRun");
    add_disk(request, make);
    add_network(request, make);
    add_all_tags(request, make, n->host_key);
}

/* ---- zone after zone ---- */

static const char *const expected[] = {"InsufficientInstanceCapacity",
                                       "InsufficientHostCapacity",
                                       "InsufficientReservedInstanceCapacity",
                                       "Unsupported",
                                       "SpotMaxPriceTooLow",
                                       "MaxSpotInstanceCountExceeded",
                                       "IdempotentParameterMismatch",
                                       "DryRunOperation",
                                       NULL};

static int tell(const struct ec2_make *make, const char *event, const char *region,
                const char *token, struct error *err) {
    const struct provider_events *events = &make->settings->events;
    struct json *fields = json_new_object();
    json_set_text(fields, "action", "RunInstances");
    json_set_text(fields, "region", region);
    json_set_text(fields, "fleet", make->wish->fleet->name);
    json_set_int(fields, "count", (int64_t)make->wish->count);
    json_set_text(fields, "token", token);
    return events->journal(events->arg, event, fields, err);
}

/* 0 made; 1 not there. */
static int try_zone(struct ec2 *ec2, const struct ec2_make *make, const struct newborn *n,
                    unsigned attempt, const char *zone, bool spot, const struct task *task,
                    struct buffer *said, struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup_free char *token = text_format("%s-%u", n->token, attempt);
    write_request(make, n, token, zone, spot, &request);
    int r = ec2_call(ec2, &request, expected, task, NULL, err);
    const char *code = ec2_code(ec2);
    /* Accepted before, by a runner that did not live to hear it. */
    if (r <= 0 || text_equal(code, "IdempotentParameterMismatch") ||
        text_equal(code, "DryRunOperation"))
        return r < 0 ? -1 : 0;
    buffer_format(said, "%s%s%s: %s", said->size ? "; " : "", zone ? zone : ec2_region(ec2),
                  spot ? " (spot)" : "", code);
    return 1;
}

static int try_zones(struct ec2 *ec2, const struct ec2_make *make, const struct newborn *n,
                     bool spot, const struct task *task, struct buffer *said, struct error *err) {
    char *const *zones = make->wish->region->zones;
    bool chosen = zones && zones[0];
    unsigned attempt = make->wish->fleet->market == DEPLOYMENT_MARKET_SPOT && !spot ? 100 : 0;
    if (!chosen)
        return try_zone(ec2, make, n, attempt, NULL, spot, task, said, err);
    for (size_t i = 0; zones[i]; i++) {
        int r = try_zone(ec2, make, n, attempt + (unsigned)i, zones[i], spot, task, said, err);
        if (r <= 0)
            return r;
    }
    return 1;
}

static int try_markets(struct ec2 *ec2, const struct ec2_make *make, const struct newborn *n,
                       const struct task *task, struct error *err) {
    const struct deployment_fleet *fleet = make->wish->fleet;
    const struct provider_events *events = &make->settings->events;
    cleanup(buffer_deinit) struct buffer said;
    buffer_init(&said, 2048);
    int r = try_zones(ec2, make, n, fleet->market == DEPLOYMENT_MARKET_SPOT, task, &said, err);
    if (r > 0 && fleet->spot_fallback) {
        cleanup_free char *text = text_format("fleet %s: no spot machines (%s): taken on demand",
                                              fleet->name, buffer_string(&said));
        events->note(events->arg, text);
        r = try_zones(ec2, make, n, false, task, &said, err);
    }
    if (r <= 0)
        return r;
    error_set(err, ERROR_REFUSED, "%zu of %s are not to be had (%s)", make->wish->count,
              fleet->instance_type, buffer_string(&said));
    return error_hint(err, "AWS has no more of them there now: say other 'zones', another "
                           "'instance_type', or try later");
}

int ec2_make_machines(struct ec2 *ec2, const struct ec2_make *make, const struct task *task,
                      struct error *err) {
    const struct provider_events *events = &make->settings->events;
    const char *fleet = make->wish->fleet->name, *region = ec2_region(ec2);
    cleanup(newborn_deinit) struct newborn n = {.token = ""};
    unsigned char random[TOKEN_BYTES];
    buffer_init(&n.user_data, 2L * USER_DATA_MAX);
    random_bytes(random, sizeof random);
    text_hex(random, sizeof random, n.token);
    cleanup_free char *pending = events->pending(events->arg, fleet, region);
    if (pending)
        snprintf(n.token, sizeof n.token, "%s", pending);
    if (prepare(make, &n, err) < 0)
        return -1;
    if (!make->dry_run && tell(make, "make", region, n.token, err) < 0)
        return -1;
    int r = try_markets(ec2, make, &n, task, err);
    /* An answer that was a no has made nothing; of anything else nobody knows. */
    bool answered = r == 0 || err->kind == ERROR_REFUSED || err->kind == ERROR_NOT_FOUND;
    struct error ignored = ERROR_NULL;
    if (answered && !make->dry_run)
        tell(make, r == 0 ? "made" : "refused", region, n.token, &ignored); /* tags say it too */
    return r < 0 ? error_wrap(err, "fleet '%s'", fleet) : 0;
}
