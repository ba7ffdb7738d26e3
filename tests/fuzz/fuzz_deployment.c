/* Any bytes as a deployment file: settings or an error. Settings can be planned with or not; of
 * every plan there is a text, and a cluster file that containers can read. */

#include "lib/cleanup.h"
#include "lib/cluster.h"
#include "lib/text.h"
#include "runner/plan/plan.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 16 << 20 };

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "HOME") ? "/h" : *name == 'S' ? "some thing" : NULL;
}
static const struct environment env = {.lookup = lookup};

static const char *const projects[] = {
    "services:\n"
    "  k: {image: k, build: ., network_mode: none, x-seatrial: {role: prepare, output: /k}}\n"
    "  r: {image: r, build: ., network_mode: host, volumes: ['v:/v'],\n"
    "      x-seatrial: {role: replica, per_host: 2, ports: {p: 65535}}}\n"
    "  l: {image: l, network_mode: host, x-seatrial: {role: loader, fleet: f}}\n"
    "  s: {image: s, deploy: {replicas: 2}}\n"
    "volumes: {v: }\n",
    "services:\n"
    "  r: {image: r, deploy: {replicas: 2}, x-seatrial: {role: replica}}\n"
    "  l: {image: l, x-seatrial: {role: loader}}\n",
};

static void plan(const struct deployment *deployment, const char *text) {
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project = NULL;
    cleanup(plan_freep) struct plan *made = NULL;
    struct project_source source = {"c", text, strlen(text)};
    struct project_options options = {.name = "p", .folder = "/w", .environment = env};
    struct plan_options wishes = {.run = "0badcafe"};
    int r = project_parse(&source, 1, &options, &project, &err);
    assert(r == 0);
    if (deployment_check_project(deployment, project, &err) < 0 ||
        plan_make(project, deployment, &wishes, &made, &err) < 0) {
        assert(err.kind == ERROR_CONFIG && *err.text);
        return;
    }
    cleanup(buffer_deinit) struct buffer steps, cluster;
    cleanup(cluster_freep) struct cluster *read = NULL;
    buffer_init(&steps, TEXT_MAX);
    buffer_init(&cluster, CLUSTER_SIZE_MAX);
    plan_write_text(made, &steps);
    plan_write_cluster(made, &cluster);
    if (cluster.overflowed || made->container_count > CLUSTER_CONTAINERS_MAX)
        return;
    r = cluster_parse("cluster.yaml", cluster.data, cluster.size, &read, &err);
    assert(r == 0 && read->containers_count == made->container_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *deployment = NULL;
    if (deployment_parse("f", "/w", 0600, (const char *)data, size, &env, &deployment, &err) < 0) {
        assert(err.kind == ERROR_CONFIG && *err.text);
        return 0;
    }
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    deployment_write(deployment, &text);
    /* Thousands of replicas are plans of megabytes: nothing for a fuzzer. */
    for (size_t i = 0; deployment->general.num_of_replicas < 50 && i < 2; i++)
        plan(deployment, projects[i]);
    return 0;
}
