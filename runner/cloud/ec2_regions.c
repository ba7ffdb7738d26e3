#include "runner/cloud/ec2_regions.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/cloud/aws_url.h"

#include <stdlib.h>

enum { REGIONS_MAX = 100, LONGER_MAX = 8 };
#define FIRST_NS (500 * NS_PER_MS)

int ec2_pause(const struct ec2_provider *p, unsigned n, const struct task *task,
              struct error *err) {
    uint64_t first = p->settings->pause_ns ? p->settings->pause_ns : FIRST_NS;
    return task_sleep(task, n < LONGER_MAX ? n * first : LONGER_MAX * first, err);
}

/* ---- regions ---- */

static const char *endpoint_of(const struct ec2_provider *p, const char *service) {
    bool sts = text_equal(service, "sts");
    const char *const names[] = {sts ? "AWS_ENDPOINT_URL_STS" : "AWS_ENDPOINT_URL_EC2",
                                 "AWS_ENDPOINT_URL"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = environment_get(p->settings->environment, names[i]);
        if (value && *value)
            return value;
    }
    return NULL;
}

static bool is_there(const struct ec2_provider *p, const char *name) {
    for (size_t i = 0; i < p->region_count; i++)
        if (text_equal(p->regions[i].name, name))
            return true;
    return false;
}

struct ec2_options ec2_region_options(const struct ec2_provider *p, const char *region,
                                      const char *service) {
    return (struct ec2_options){.region = region,
                                .service = service,
                                .endpoint = endpoint_of(p, service),
                                .unix_socket = p->settings->unix_socket,
                                .chain = p->chain,
                                .pause_ns = p->settings->pause_ns};
}

int ec2_region_add(struct ec2_provider *p, const char *name, struct error *err) {
    struct ec2_options options = ec2_region_options(p, name, "ec2");
    struct ec2 *ec2;
    if (is_there(p, name))
        return 0;
    if (ec2_open(&options, &ec2, err) < 0)
        return -1;
    p->regions = mem_resize(p->regions, p->region_count + 1, sizeof *p->regions);
    p->regions[p->region_count++] =
        (struct ec2_region){.provider = p, .name = text_dup(name), .ec2 = ec2};
    return 0;
}

static void free_peers(struct ec2_region *r) {
    if (r->peers)
        texts_free(r->peers);
    r->peers = NULL;
}

void ec2_regions_free(struct ec2_provider *p) {
    for (size_t i = 0; i < p->region_count; i++) {
        machines_deinit(&p->regions[i].found);
        free_peers(&p->regions[i]);
        ec2_close(p->regions[i].ec2);
        free(p->regions[i].name);
    }
    free(p->regions);
}

/* Accounts are of one partition of AWS, and so are their keys. */
static bool same_partition(const char *a, const char *b) {
    static const char *const prefixes[] = {"cn-", "us-gov-", "us-iso", "eu-isoe"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (text_starts(a, prefixes[i]) != text_starts(b, prefixes[i]))
            return false;
    return true;
}

int ec2_regions_discover(struct ec2_provider *p, const struct task *task, struct error *err) {
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    ec2_request_init(&request, "DescribeRegions");
    if (ec2_call(p->regions[0].ec2, &request, NULL, task, &document, err) < 0)
        return -1;
    const struct xml_node *item = xml_find(xml_root(document), "regionInfo.item");
    for (; item; item = xml_another(item)) {
        const char *name = xml_text(item, "regionName");
        if (aws_is_region(name) && same_partition(name, p->regions[0].name) &&
            p->region_count < REGIONS_MAX && ec2_region_add(p, name, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- side by side ---- */

static void *region_main(void *arg) {
    struct ec2_region *r = arg;
    r->result = r->act(r, &r->err);
    return NULL;
}

int ec2_regions_each(struct ec2_provider *p, size_t count, const struct task *task,
                     int act(struct ec2_region *region, struct error *err), struct error *err) {
    cleanup_free pthread_t *threads = mem_new_array(pthread_t, count);
    cleanup_free bool *started = mem_new_array(bool, count);
    for (size_t i = 0; i < count; i++) {
        struct ec2_region *r = &p->regions[i];
        r->act = act;
        r->task = task;
        error_clear(&r->err);
        started[i] = pthread_create(&threads[i], NULL, region_main, r) == 0;
        if (!started[i])
            region_main(r); /* then one after the other */
    }
    int result = 0;
    for (size_t i = 0; i < count; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        if (p->regions[i].result < 0 && result == 0) {
            *err = p->regions[i].err;
            result = -1;
        } else if (p->regions[i].result < 0) {
            p->events.note(p->events.arg, p->regions[i].err.text);
        }
    }
    return result;
}
