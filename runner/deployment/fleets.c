/* `testbed.fleets`: the machines of provider ec2. */

#include "runner/deployment/read.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORD_MAX = 255, /* what EC2 takes for a name */
    PREFIX_MIN = 8, /* of a network: what is wider is the world */
    DISK_GIB_MAX = 64 * 1024,
    DISK_IOPS_MAX = 256 * 1000,
    DISK_MIB_MAX = 4000, /* per second */
    DEVICE_MAX = 64,
};

void deployment_free_fleets(struct deployment *d) {
    for (size_t i = 0; i < d->testbed.fleet_count; i++) {
        struct deployment_fleet *f = &d->testbed.fleets[i];
        for (size_t k = 0; k < f->region_count; k++) {
            free(f->regions[k].name);
            free(f->regions[k].image);
            free(f->regions[k].subnet);
            texts_free(f->regions[k].zones);
        }
        free(f->regions);
        free(f->name);
        free(f->instance_type);
        free(f->image);
        free(f->placement_group);
        free(f->disk.type);
        free(f->disk.device);
    }
    free(d->testbed.fleets);
}

bool deployment_is_network(const char *text) {
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    size_t size = strcspn(text, "/");
    uint64_t prefix;
    struct error ignored = ERROR_NULL;
    if (text[size] != '/' || size >= sizeof address)
        return false;
    memcpy(address, text, size);
    address[size] = '\0';
    bool v4 = inet_pton(AF_INET, address, bytes) == 1;
    return (v4 || inet_pton(AF_INET6, address, bytes) == 1) &&
           text_to_u64(text + size + 1, PREFIX_MIN, v4 ? 32 : 128, &prefix, &ignored) == 0;
}

bool deployment_disk_given(const struct deployment_disk *disk) {
    return disk->size_gib || disk->type || disk->iops || disk->throughput_mib;
}

/* ---- values ---- */

static bool is_made_of(const char *text, const char *others) {
    size_t size = 0;
    for (; text[size]; size++)
        if (!isalnum((unsigned char)text[size]) && !strchr(others, text[size]))
            return false;
    return size > 0 && size <= WORD_MAX;
}

static int keep_word(const struct yaml_node *value, const char *others, char **slot,
                     struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    if (!is_made_of(text, others) || *text == '-')
        return yaml_error(value, err, "'%s' cannot be %s", value->name, yaml_what(value).text);
    free(*slot);
    *slot = text_dup(text);
    return 0;
}

static int keep_image(const struct yaml_node *value, char **slot, struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = text_starts(text, "ami-")    ? is_made_of(text, "-")
              : text_starts(text, "ssm:/") ? is_made_of(text + 4, "/._-")
                                           : text_starts(text, "name:") && strchr(text, '/') &&
                                                 is_made_of(text + 5, "/._-*?()[] ");
    if (!ok) {
        yaml_error_text(value, err, "'image' must be an image of EC2, not %s",
                        yaml_what(value).text);
        return error_hint(err, "ami-0123..., ssm:/PARAMETER, or name:OWNER/PATTERN for the newest");
    }
    free(*slot);
    *slot = text_dup(text);
    return 0;
}

/* ---- a region of a fleet: a number, or a mapping ---- */

static int read_count(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    return yaml_get_int(value, 1, DEPLOYMENT_HOSTS_MAX,
                        &((struct deployment_region *)target)->count, err);
}

static int read_region_image(const struct yaml_node *value, void *target, void *context,
                             struct error *err) {
    (void)context;
    return keep_image(value, &((struct deployment_region *)target)->image, err);
}

static int read_subnet(const struct yaml_node *value, void *target, void *context,
                       struct error *err) {
    (void)context;
    return keep_word(value, "-", &((struct deployment_region *)target)->subnet, err);
}

static int read_zones(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    struct deployment_region *region = target;
    if (yaml_get_texts(value, &region->zones, err) < 0)
        return -1;
    for (size_t i = 0; region->zones && region->zones[i]; i++)
        if (!text_starts(region->zones[i], region->name) || !is_made_of(region->zones[i], "-"))
            return yaml_error(value, err, "'%.40s' is no zone of '%s'", region->zones[i],
                              region->name);
    return 0;
}

static const struct yaml_field region_fields[] = {
    YAML_READ_VALUE("count", read_count),
    YAML_READ_VALUE("image", read_region_image),
    YAML_READ_VALUE("subnet", read_subnet),
    YAML_READ_VALUE("zones", read_zones),
};
static const struct yaml_table region_table = {.what = "a fleet's region",
                                               .fields = region_fields,
                                               .count =
                                                   sizeof region_fields / sizeof *region_fields,
                                               .nulls = true};

static int read_region(const struct yaml_node *key, const struct yaml_node *value,
                       struct deployment_region *region, struct error *err) {
    const char *name = key->text;
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (size == 0 || size > 32 || name[size] || *name == '-')
        return yaml_error(key, err, "'%.40s' is no region of EC2, such as us-east-2", name);
    region->name = text_dup(name);
    if (value->type == YAML_SCALAR)
        return read_count(value, region, NULL, err);
    if (yaml_read(value, &region_table, region, NULL, err) < 0)
        return -1;
    if (region->count == 0)
        return yaml_error(value, err, "region '%s' needs a 'count'", name);
    if (region->zones && region->subnet)
        return yaml_error(value, err, "a subnet is in one zone: 'zones' mean nothing beside it");
    return 0;
}

static int read_regions(const struct yaml_node *value, void *target, void *context,
                        struct error *err) {
    (void)context;
    struct deployment_fleet *fleet = target;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > DEPLOYMENT_REGIONS_MAX)
        return yaml_error(value, err, "more than %d regions", DEPLOYMENT_REGIONS_MAX);
    fleet->regions = mem_new_array(struct deployment_region, value->count);
    for (size_t i = 0; i < value->count; i++)
        if (read_region(value->keys[i], value->items[i], &fleet->regions[fleet->region_count++],
                        err) < 0)
            return -1;
    return 0;
}

/* ---- a fleet's disk ---- */

static int read_disk_size(const struct yaml_node *value, void *target, void *context,
                          struct error *err) {
    (void)context;
    const int64_t gib = INT64_C(1) << 30;
    int64_t bytes;
    if (yaml_get_size(value, &bytes, err) < 0)
        return -1;
    if (bytes < gib || bytes % gib || bytes / gib > DISK_GIB_MAX)
        return yaml_error(value, err,
                          "a disk's 'size' must be whole GiB, such as 100g, at most %dg",
                          DISK_GIB_MAX);
    ((struct deployment_disk *)target)->size_gib = bytes / gib;
    return 0;
}

static int read_disk_type(const struct yaml_node *value, void *target, void *context,
                          struct error *err) {
    (void)context;
    return keep_word(value, "", &((struct deployment_disk *)target)->type, err);
}

static int read_disk_device(const struct yaml_node *value, void *target, void *context,
                            struct error *err) {
    (void)context;
    struct deployment_disk *disk = target;
    if (keep_word(value, "/", &disk->device, err) < 0)
        return -1;
    return text_starts(disk->device, "/dev/") && strlen(disk->device) < DEVICE_MAX
               ? 0
               : yaml_error(value, err, "'device' must be one such as /dev/sda1");
}

#define AT(member) offsetof(struct deployment_disk, member)
static const struct yaml_field disk_fields[] = {
    YAML_READ_VALUE("size", read_disk_size),
    YAML_READ_VALUE("type", read_disk_type),
    YAML_READ_VALUE("device", read_disk_device),
    YAML_INT_VALUE("iops", AT(iops), 1, DISK_IOPS_MAX),
    YAML_INT_VALUE("throughput_mib", AT(throughput_mib), 1, DISK_MIB_MAX),
};
#undef AT
static const struct yaml_table disk_table = {.what = "a fleet's disk",
                                             .fields = disk_fields,
                                             .count = sizeof disk_fields / sizeof *disk_fields,
                                             .nulls = true};

static int read_disk(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    return yaml_read(value, &disk_table, &((struct deployment_fleet *)target)->disk, NULL, err);
}

static int read_instance_store(const struct yaml_node *value, void *target, void *context,
                               struct error *err) {
    (void)context;
    bool wanted;
    if (yaml_get_bool(value, &wanted, err) < 0)
        return -1;
    ((struct deployment_fleet *)target)->no_instance_store = !wanted;
    return 0;
}

/* ---- a fleet ---- */

#define KEEPER(name, member, others)                                                               \
    static int name(const struct yaml_node *value, void *target, void *context,                    \
                    struct error *err) {                                                           \
        (void)context;                                                                             \
        return keep_word(value, others, &((struct deployment_fleet *)target)->member, err);        \
    }
KEEPER(read_instance_type, instance_type, ".-")
KEEPER(read_placement_group, placement_group, "._-")

static int read_image(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    return keep_image(value, &((struct deployment_fleet *)target)->image, err);
}

static const char *const markets[] = {
    [DEPLOYMENT_MARKET_ON_DEMAND] = "on_demand", [DEPLOYMENT_MARKET_SPOT] = "spot", NULL};

#define AT(member) offsetof(struct deployment_fleet, member)
static const struct yaml_field fields[] = {
    YAML_READ_VALUE("regions", read_regions),
    YAML_READ_VALUE("instance_type", read_instance_type),
    YAML_READ_VALUE("image", read_image),
    YAML_READ_VALUE("placement_group", read_placement_group),
    YAML_READ_VALUE("disk", read_disk),
    YAML_READ_VALUE("instance_store", read_instance_store),
    YAML_CHOICE_VALUE("market", AT(market), markets),
    YAML_VALUE("spot_fallback", BOOL, AT(spot_fallback)),
};
#undef AT
static const struct yaml_table table = {
    .what = "a fleet", .fields = fields, .count = sizeof fields / sizeof *fields, .nulls = true};

static int check_fleet(const struct yaml_node *value, const struct deployment_fleet *fleet,
                       struct error *err) {
    if (fleet->region_count == 0)
        return yaml_error(value, err, "fleet '%s' needs 'regions': {us-east-2: 4}", fleet->name);
    if (!fleet->instance_type)
        return yaml_error(value, err, "fleet '%s' needs an 'instance_type'", fleet->name);
    if (fleet->spot_fallback && fleet->market != DEPLOYMENT_MARKET_SPOT)
        return yaml_error(value, err, "'spot_fallback' belongs to `market: spot`");
    for (size_t i = 0; !fleet->image && i < fleet->region_count; i++)
        if (!fleet->regions[i].image) {
            yaml_error_text(value, err, "fleet '%s' has no 'image' in %s", fleet->name,
                            fleet->regions[i].name);
            return error_hint(err, "images have another id in each region: {us-east-2: {count: 4, "
                                   "image: ami-...}}, or one ssm:/... for all");
        }
    return 0;
}

static int read_fleet(const struct yaml_node *key, const struct yaml_node *value,
                      struct deployment *d, struct error *err) {
    struct deployment_fleet *fleet = &d->testbed.fleets[d->testbed.fleet_count++];
    const char *name = key->text;
    fleet->place = (struct project_place){d->file, key->line, key->column};
    if (!is_made_of(name, "_.-") || !isalnum((unsigned char)*name) || strlen(name) > 32)
        return yaml_error(key, err,
                          "'%.40s' cannot be a fleet's name (letters, digits, '.', '-' and '_', a "
                          "letter or digit first, at most 32)",
                          name);
    fleet->name = text_dup(name);
    if (yaml_want(value, YAML_MAPPING, err) < 0 || yaml_read(value, &table, fleet, NULL, err) < 0)
        return -1;
    return check_fleet(value, fleet, err);
}

/* ---- all of them ---- */

static int64_t machines_of(const struct deployment *d) {
    int64_t count = 0;
    for (size_t i = 0; i < d->testbed.fleet_count; i++)
        for (size_t k = 0; k < d->testbed.fleets[i].region_count; k++)
            count += d->testbed.fleets[i].regions[k].count;
    return count;
}

int deployment_read_fleets(const struct yaml_node *value, struct deployment *d, struct error *err) {
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > DEPLOYMENT_FLEETS_MAX)
        return yaml_error(value, err, "more than %d fleets", DEPLOYMENT_FLEETS_MAX);
    d->testbed.fleets = mem_new_array(struct deployment_fleet, value->count);
    for (size_t i = 0; i < value->count; i++)
        if (read_fleet(value->keys[i], value->items[i], d, err) < 0)
            return -1;
    if (machines_of(d) > DEPLOYMENT_HOSTS_MAX)
        return yaml_error(value, err, "more than %d machines in all", DEPLOYMENT_HOSTS_MAX);
    return 0;
}

static void add_host(struct deployment *d, const struct deployment_fleet *fleet, int64_t number) {
    struct deployment_host *host = &d->testbed.hosts[d->testbed.host_count++];
    *host = (struct deployment_host){.name = text_format("%s-%lld", fleet->name, (long long)number),
                                     .fleet = text_dup(fleet->name),
                                     .place = fleet->place};
    host->ssh = text_dup(host->name);
    host->ssh_host = text_dup(host->name);
}

void deployment_fleets_to_hosts(struct deployment *d) {
    deployment_free_hosts(d);
    d->testbed.hosts = mem_new_array(struct deployment_host, (size_t)machines_of(d));
    d->testbed.host_count = 0;
    for (size_t i = 0; i < d->testbed.fleet_count; i++) {
        struct deployment_fleet *fleet = &d->testbed.fleets[i];
        int64_t number = 0;
        for (size_t k = 0; k < fleet->region_count; k++) {
            fleet->regions[k].first_host = d->testbed.host_count;
            for (int64_t n = 0; n < fleet->regions[k].count; n++)
                add_host(d, fleet, ++number);
        }
    }
}

/* ---- written ---- */

static void write_text(struct yaml_writer *w, const char *key, const char *text) {
    if (text)
        yaml_pair_text(w, key, text);
}

static void write_region(struct yaml_writer *w, const struct deployment_region *region) {
    yaml_key(w, region->name);
    yaml_begin(w, YAML_MAPPING, YAML_FLOW);
    yaml_pair_int(w, "count", region->count);
    write_text(w, "image", region->image);
    write_text(w, "subnet", region->subnet);
    yaml_pair_texts(w, "zones", region->zones, YAML_FLOW);
    yaml_end(w);
}

static void write_disk(struct yaml_writer *w, const struct deployment_disk *disk) {
    const struct {
        const char *key;
        int64_t value;
    } numbers[] = {{"size_gib", disk->size_gib},
                   {"iops", disk->iops},
                   {"throughput_mib", disk->throughput_mib}};
    yaml_key(w, "disk");
    yaml_begin(w, YAML_MAPPING, YAML_FLOW);
    write_text(w, "type", disk->type);
    write_text(w, "device", disk->device);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value)
            yaml_pair_int(w, numbers[i].key, numbers[i].value);
    yaml_end(w);
}

static void write_fleet(struct yaml_writer *w, const struct deployment_fleet *fleet) {
    yaml_key(w, fleet->name);
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    yaml_key(w, "regions");
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    for (size_t i = 0; i < fleet->region_count; i++)
        write_region(w, &fleet->regions[i]);
    yaml_end(w);
    yaml_pair_text(w, "instance_type", fleet->instance_type);
    write_text(w, "image", fleet->image);
    write_text(w, "placement_group", fleet->placement_group);
    if (deployment_disk_given(&fleet->disk))
        write_disk(w, &fleet->disk);
    if (fleet->no_instance_store)
        yaml_pair_bool(w, "instance_store", false);
    yaml_pair_text(w, "market", markets[fleet->market]);
    if (fleet->spot_fallback)
        yaml_pair_bool(w, "spot_fallback", true);
    yaml_end(w);
}

void deployment_write_fleets(struct yaml_writer *w, const struct deployment *d) {
    yaml_pair_text(w, "addresses",
                   d->testbed.addresses == DEPLOYMENT_PRIVATE ? "private" : "public");
    write_text(w, "user", d->testbed.user);
    yaml_pair_texts(w, "ssh_from", d->testbed.ssh_from, YAML_FLOW);
    yaml_key(w, "fleets");
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    for (size_t i = 0; i < d->testbed.fleet_count; i++)
        write_fleet(w, &d->testbed.fleets[i]);
    yaml_end(w);
}
