#include "loader/pool.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "loader/limits.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ID_MAX = UINT16_MAX, TIMEOUT_MS_MAX = 3600 * 1000, SAMPLES_MAX = 1000 * 1000 };

static const char *const transports[] = {"tls", "plain", "tcp", "udp", NULL};

const char *pool_transport_name(enum pool_transport transport) {
    return transports[transport];
}

void pool_free(struct pool *pool) {
    for (size_t i = 0; i < pool->replica_count; i++)
        free(pool->replicas[i].host);
    for (size_t i = 0; i < pool->node_count; i++) {
        free(pool->nodes[i].host);
        free(pool->nodes[i].clients);
    }
    free(pool->replicas);
    free(pool->nodes);
    free(pool);
}

/* ---- entries ---- */

/* Concord wraps each entry: `- replica:` and below it a list of one. */
static int unwrap(const struct yaml_node *item, const char *key, const struct yaml_node **ret,
                  struct error *err) {
    if (yaml_want(item, YAML_MAPPING, err) < 0)
        return -1;
    const struct yaml_node *list = yaml_find(item, key);
    if (!list || item->count != 1)
        return yaml_error(item, err, "an entry of this list has the key '%s', and only that", key);
    if (yaml_want(list, YAML_SEQUENCE, err) < 0)
        return -1;
    if (list->count != 1)
        return yaml_error(list, err, "'%s' must be a list of one entry, not of %zu", key,
                          list->count);
    *ret = list->items[0];
    return 0;
}

static int read_entry(const struct yaml_node *item, const char *key, const struct yaml_table *table,
                      void *entry, struct error *err) {
    const struct yaml_node *mapping = NULL;
    if (unwrap(item, key, &mapping, err) < 0)
        return -1;
    return yaml_read(mapping, table, entry, NULL, err);
}

static int want_count(const struct yaml_node *list, size_t max, struct error *err) {
    if (yaml_want(list, YAML_SEQUENCE, err) < 0)
        return -1;
    if (list->count > max)
        return yaml_error(list, err, "at most %zu entries are allowed, not %zu", max, list->count);
    return 0;
}

static const struct yaml_field replica_fields[] = {
    YAML_INT_VALUE("principal_id", offsetof(struct pool_replica, id), 0, ID_MAX),
    YAML_VALUE("replica_host", SCALAR, offsetof(struct pool_replica, host)),
    YAML_INT_VALUE("replica_port", offsetof(struct pool_replica, port), 1, UINT16_MAX),
    YAML_IGNORED("event_port"),
};
static const struct yaml_table replica_table = YAML_TABLE("a replica", replica_fields);

static int read_replicas(const struct yaml_node *list, void *target, void *context,
                         struct error *err) {
    (void)context;
    struct pool *pool = target;
    if (want_count(list, LOADER_REPLICAS_MAX, err) < 0)
        return -1;
    pool->replicas = mem_new_array(struct pool_replica, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        struct pool_replica *r = &pool->replicas[pool->replica_count++];
        *r = (struct pool_replica){.id = -1};
        if (read_entry(list->items[i], "replica", &replica_table, r, err) < 0)
            return -1;
        if (r->id < 0 || !r->host || !*r->host || !r->port)
            return yaml_error(list->items[i], err,
                              "a replica needs principal_id, replica_host and replica_port");
    }
    return 0;
}

static const struct yaml_field client_fields[] = {
    YAML_INT_VALUE("client_port", offsetof(struct pool_client, port), 1, UINT16_MAX),
    YAML_INT_VALUE("principal_id", offsetof(struct pool_client, id), 0, ID_MAX),
};
static const struct yaml_table client_table = YAML_TABLE("a client", client_fields);

static int read_clients(const struct yaml_node *list, void *target, void *context,
                        struct error *err) {
    (void)context;
    struct pool_node *node = target;
    if (want_count(list, POOL_CLIENTS_MAX, err) < 0)
        return -1;
    node->clients = mem_new_array(struct pool_client, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        struct pool_client *c = &node->clients[node->client_count++];
        *c = (struct pool_client){.id = -1};
        if (read_entry(list->items[i], "client", &client_table, c, err) < 0)
            return -1;
        if (c->id < 0 || !c->port)
            return yaml_error(list->items[i], err, "a client needs client_port and principal_id");
    }
    return 0;
}

static const struct yaml_field node_fields[] = {
    YAML_VALUE("participant_node_host", SCALAR, offsetof(struct pool_node, host)),
    YAML_INT_VALUE("principal_id", offsetof(struct pool_node, id), 0, ID_MAX),
    YAML_READ_VALUE("external_clients", read_clients),
};
static const struct yaml_table node_table = YAML_TABLE("a participant node", node_fields);

static int read_nodes(const struct yaml_node *list, void *target, void *context,
                      struct error *err) {
    (void)context;
    struct pool *pool = target;
    if (want_count(list, POOL_NODES_MAX, err) < 0)
        return -1;
    pool->nodes = mem_new_array(struct pool_node, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        struct pool_node *node = &pool->nodes[pool->node_count++];
        *node = (struct pool_node){.id = -1};
        if (read_entry(list->items[i], "participant_node", &node_table, node, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the file ---- */

/* As the file has it; a timeout is in ms there. The pool is first: whoever frees it frees all. */
struct settings {
    struct pool pool;
    int64_t initial_ms, min_ms, max_ms;
    int64_t deviations, per_evaluation, until_reset;
};

#define SETTING(key, member, min, max)                                                             \
    YAML_INT_VALUE(key, offsetof(struct settings, member), min, max)
static const struct yaml_field pool_fields[] = {
    SETTING("num_replicas", pool.n, 1, LOADER_REPLICAS_MAX),
    SETTING("f_val", pool.f, 0, LOADER_REPLICAS_MAX),
    SETTING("c_val", pool.c, 0, LOADER_REPLICAS_MAX),
    YAML_CHOICE_VALUE("comm_to_use", offsetof(struct settings, pool.transport), transports),
    SETTING("clients_per_participant_node", pool.clients_per_node, 1, POOL_CLIENTS_MAX),
    SETTING("concord-bft_communication_buffer_length", pool.buffer_bytes, 1, 64 << 20),
    SETTING("prometheus_port", pool.prometheus_port, 1, UINT16_MAX),
    SETTING("client_initial_retry_timeout_milli", initial_ms, 1, TIMEOUT_MS_MAX),
    SETTING("client_min_retry_timeout_milli", min_ms, 1, TIMEOUT_MS_MAX),
    SETTING("client_max_retry_timeout_milli", max_ms, 1, TIMEOUT_MS_MAX),
    SETTING("client_number_of_standard_deviations_to_tolerate", deviations, 0, 100),
    SETTING("client_samples_per_evaluation", per_evaluation, 1, SAMPLES_MAX),
    SETTING("client_samples_until_reset", until_reset, 1, SAMPLES_MAX),
    YAML_READ_VALUE("node", read_replicas),
    YAML_READ_VALUE("participant_nodes", read_nodes),
    /* What steers other parts of Concord's clients: their own retransmission, batching, TLS,
       signatures, traces. */
    YAML_IGNORED("client_sends_request_to_all_replicas_first_thresh"),
    YAML_IGNORED("client_sends_request_to_all_replicas_period_thresh"),
    YAML_IGNORED("client_periodic_reset_thresh"),
    YAML_IGNORED("client_proxies_per_replica"),
    YAML_IGNORED("client_batching_enabled"),
    YAML_IGNORED("client_batching_max_messages_nbr"),
    YAML_IGNORED("client_batching_flush_timeout_ms"),
    YAML_IGNORED("num_of_participant_nodes"),
    YAML_IGNORED("active_clients_in_pool"),
    YAML_IGNORED("external_requests_queue_size"),
    YAML_IGNORED("enable_mock_comm"),
    YAML_IGNORED("encrypted_config_enabled"),
    YAML_IGNORED("secrets_url"),
    YAML_IGNORED("tls_certificates_folder_path"),
    YAML_IGNORED("tls_cipher_suite_list"),
    YAML_IGNORED("transaction_signing_enabled"),
    YAML_IGNORED("signing_key_path"),
    YAML_IGNORED("trace_sampling_rate"),
    YAML_IGNORED("file_logging_wait_time"),
};
static const struct yaml_table pool_table = YAML_TABLE("the client pool", pool_fields);

static int by_id(const void *a, const void *b) {
    const struct pool_replica *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static int check_replicas(const struct yaml_node *root, struct pool *pool, struct error *err) {
    const struct yaml_node *nodes = yaml_find(root, "node");
    if (!nodes)
        return yaml_error(root, err, "'node', the list of replicas, is missing");
    if (pool->n != 3 * pool->f + 2 * pool->c + 1)
        return yaml_error(yaml_find(root, "num_replicas") ? yaml_find(root, "num_replicas") : root,
                          err,
                          "num_replicas is %" PRId64 ", but f_val %" PRId64 " and c_val %" PRId64
                          " need 3 f + 2 c + 1 = %" PRId64,
                          pool->n, pool->f, pool->c, 3 * pool->f + 2 * pool->c + 1);
    if ((int64_t)pool->replica_count != pool->n)
        return yaml_error(nodes, err, "there are %zu replicas, but num_replicas is %" PRId64,
                          pool->replica_count, pool->n);
    for (size_t i = 0; i < pool->replica_count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct pool_replica *a = &pool->replicas[i], *b = &pool->replicas[k];
            if (a->id == b->id)
                return yaml_error(nodes->items[i], err,
                                  "replica %" PRId64 " is there twice, first in line %u", a->id,
                                  nodes->items[k]->line);
            if (a->port == b->port && text_equal(a->host, b->host))
                return yaml_error(nodes->items[i], err,
                                  "replicas %" PRId64 " and %" PRId64 " have the same address",
                                  b->id, a->id);
        }
    qsort(pool->replicas, pool->replica_count, sizeof *pool->replicas, by_id);
    if (pool->replicas[pool->replica_count - 1].id != pool->n - 1)
        return yaml_error(nodes, err, "the ids of %" PRId64 " replicas must be 0 to %" PRId64,
                          pool->n, pool->n - 1);
    return 0;
}

static int check_clients(const struct yaml_node *root, const struct pool *pool, struct error *err) {
    const struct yaml_node *at = yaml_find(root, "participant_nodes");
    cleanup_free bool *seen = mem_new_array(bool, ID_MAX + 1);
    for (int64_t id = 0; id < pool->n; id++)
        seen[id] = true;
    for (size_t i = 0; i < pool->node_count; i++) {
        const struct pool_node *node = &pool->nodes[i];
        if ((int64_t)node->client_count < pool->clients_per_node)
            return yaml_error(at->items[i], err,
                              "clients_per_participant_node is %" PRId64
                              ", but this node has %zu external_clients",
                              pool->clients_per_node, node->client_count);
        for (size_t k = 0; k < node->client_count; k++) {
            int64_t id = node->clients[k].id;
            if (seen[id])
                return yaml_error(at->items[i], err,
                                  "principal_id %" PRId64
                                  " of a client is taken: by another client, or by a replica",
                                  id);
            seen[id] = true;
        }
    }
    return 0;
}

static int check_retry(const struct yaml_node *root, struct settings *s, struct error *err) {
    if (s->initial_ms < s->min_ms || s->initial_ms > s->max_ms) {
        const struct yaml_node *at = yaml_find(root, "client_initial_retry_timeout_milli");
        return yaml_error(at ? at : root, err,
                          "the initial retry timeout, %" PRId64
                          " ms, must be between the smallest, %" PRId64
                          " ms, and the largest, %" PRId64 " ms",
                          s->initial_ms, s->min_ms, s->max_ms);
    }
    s->pool.retry = (struct retry_config){
        .initial_ns = (uint64_t)s->initial_ms * NS_PER_MS,
        .min_ns = (uint64_t)s->min_ms * NS_PER_MS,
        .max_ns = (uint64_t)s->max_ms * NS_PER_MS,
        .standard_deviations = (uint32_t)s->deviations,
        .samples_per_evaluation = (uint32_t)s->per_evaluation,
        .samples_until_reset = (uint32_t)s->until_reset,
    };
    return 0;
}

static void settings_freep(struct settings **s) {
    if (*s)
        pool_free(&(*s)->pool);
}

int pool_parse(const char *path, const char *text, size_t size, struct pool **ret,
               struct error *err) {
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    cleanup(settings_freep) struct settings *s = mem_new(struct settings);
    *s = (struct settings){
        .pool =
            {.n = 4, .f = 1, .transport = POOL_TLS, .clients_per_node = 1, .buffer_bytes = 64000},
        .initial_ms = 150,
        .min_ms = 50,
        .max_ms = 1000,
        .deviations = 2,
        .per_evaluation = 32,
        .until_reset = 1000,
    };
    if (yaml_parse(path, text, size, &tree, err) < 0)
        return -1;
    const struct yaml_node *root = yaml_root(tree);
    if (yaml_read(root, &pool_table, s, NULL, err) < 0 || check_replicas(root, &s->pool, err) < 0 ||
        check_clients(root, &s->pool, err) < 0 || check_retry(root, s, err) < 0)
        return -1;
    *ret = &s->pool;
    s = NULL;
    return 0;
}

int pool_load(const char *path, struct pool **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, YAML_SIZE_MAX, &text, err) < 0)
        return -1;
    return pool_parse(path, buffer_string(&text), text.size, ret, err);
}
