#include "lib/cluster.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <stdlib.h>
#include <string.h>

static void container_deinit(struct cluster_container *c) {
    for (size_t i = 0; i < c->ports_count; i++)
        free(c->ports[i].name);
    free(c->ports);
    free(c->name);
    free(c->service);
    free(c->role);
    free(c->host);
    free(c->address);
}

void cluster_free(struct cluster *c) {
    for (size_t i = 0; i < c->containers_count; i++)
        container_deinit(&c->containers[i]);
    free(c->containers);
    free(c->run);
    free(c->project);
    free(c);
}

static int find(const struct yaml_node *mapping, const char *key, struct yaml_node **ret,
                struct error *err) {
    struct yaml_node *value = yaml_find(mapping, key);
    if (!value)
        return yaml_error(mapping, err, "'%s' is missing", key);
    *ret = value;
    return 0;
}

/* A text that must be there and say something. Numbers count as texts: a run id may look like one.
 */
static int read_text(const struct yaml_node *mapping, const char *key, char **ret,
                     struct error *err) {
    struct yaml_node *value;
    cleanup_free char *text = NULL;
    if (find(mapping, key, &value, err) < 0 || yaml_get_scalar(value, &text, err) < 0)
        return -1;
    if (!*text)
        return yaml_error(value, err, "'%s' is empty", key);
    *ret = take_ptr(text);
    return 0;
}

static int read_ports(const struct yaml_node *mapping, struct cluster_container *c,
                      struct error *err) {
    struct yaml_node *ports = yaml_find(mapping, "ports");
    if (!ports)
        return 0;
    if (yaml_want(ports, YAML_MAPPING, err) < 0)
        return -1;
    if (ports->count > CLUSTER_PORTS_MAX)
        return yaml_error(ports, err, "a container has more than %d ports", CLUSTER_PORTS_MAX);
    c->ports = mem_new_array(struct cluster_port, ports->count + 1);
    for (size_t i = 0; i < ports->count; i++) {
        int64_t port;
        if (yaml_get_int(ports->items[i], 1, UINT16_MAX, &port, err) < 0)
            return -1;
        c->ports[c->ports_count++] =
            (struct cluster_port){.name = text_dup(ports->keys[i]->text), .port = (uint16_t)port};
    }
    return 0;
}

static int read_container(const struct yaml_node *node, struct cluster_container *c,
                          struct error *err) {
    struct yaml_node *index_node;
    int64_t index;
    if (yaml_want(node, YAML_MAPPING, err) < 0 || read_text(node, "name", &c->name, err) < 0 ||
        read_text(node, "service", &c->service, err) < 0 ||
        read_text(node, "role", &c->role, err) < 0 || read_text(node, "host", &c->host, err) < 0 ||
        read_text(node, "address", &c->address, err) < 0 ||
        find(node, "index", &index_node, err) < 0 ||
        yaml_get_int(index_node, 0, CLUSTER_CONTAINERS_MAX - 1, &index, err) < 0)
        return -1;
    c->index = (uint32_t)index;
    return read_ports(node, c, err);
}

static int by_role_and_index(const void *a, const void *b) {
    const struct cluster_container *const *x = a, *const *y = b;
    int roles = strcmp((*x)->role, (*y)->role);
    return roles ? roles : ((*x)->index > (*y)->index) - ((*x)->index < (*y)->index);
}

/* Each index once, from 0 on: whoever counts replicas relies on it. */
static int check_indexes(const struct yaml_node *list, const struct cluster *c, struct error *err) {
    cleanup_free struct cluster_container **sorted =
        mem_new_array(struct cluster_container *, c->containers_count + 1);
    for (size_t i = 0; i < c->containers_count; i++)
        sorted[i] = &c->containers[i];
    qsort(sorted, c->containers_count, sizeof *sorted, by_role_and_index);
    uint32_t next = 0;
    for (size_t i = 0; i < c->containers_count; i++, next++) {
        if (i > 0 && !text_equal(sorted[i]->role, sorted[i - 1]->role))
            next = 0;
        if (sorted[i]->index != next)
            return yaml_error(list->items[sorted[i] - c->containers], err,
                              "'%s' has index %u, where the next of role '%s' is %u",
                              sorted[i]->name, sorted[i]->index, sorted[i]->role, next);
    }
    return 0;
}

static int read_containers(const struct yaml_node *root, struct cluster *c, struct error *err) {
    struct yaml_node *list;
    if (find(root, "containers", &list, err) < 0 || yaml_want(list, YAML_SEQUENCE, err) < 0)
        return -1;
    if (list->count > CLUSTER_CONTAINERS_MAX)
        return yaml_error(list, err, "there are more than %d containers", CLUSTER_CONTAINERS_MAX);
    c->containers = mem_new_array(struct cluster_container, list->count + 1);
    for (size_t i = 0; i < list->count; i++) {
        c->containers_count++;
        if (read_container(list->items[i], &c->containers[i], err) < 0)
            return -1;
    }
    return check_indexes(list, c, err);
}

int cluster_parse(const char *path, const char *text, size_t size, struct cluster **ret,
                  struct error *err) {
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    cleanup(cluster_freep) struct cluster *c = mem_new(struct cluster);
    if (yaml_parse(path, text, size, &tree, err) < 0)
        return -1;
    const struct yaml_node *root = yaml_root(tree);
    if (yaml_want(root, YAML_MAPPING, err) < 0 || read_text(root, "run", &c->run, err) < 0 ||
        read_text(root, "project", &c->project, err) < 0 || read_containers(root, c, err) < 0)
        return -1;
    *ret = take_ptr(c);
    return 0;
}

int cluster_load(const char *path, struct cluster **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, CLUSTER_SIZE_MAX, &text, err) < 0)
        return -1;
    return cluster_parse(path, buffer_string(&text), text.size, ret, err);
}

size_t cluster_count(const struct cluster *c, const char *role) {
    size_t count = 0;
    for (size_t i = 0; i < c->containers_count; i++)
        count += text_equal(c->containers[i].role, role);
    return count;
}

const struct cluster_container *cluster_find(const struct cluster *c, const char *role,
                                             uint32_t index) {
    for (size_t i = 0; i < c->containers_count; i++)
        if (c->containers[i].index == index && text_equal(c->containers[i].role, role))
            return &c->containers[i];
    return NULL;
}

uint16_t cluster_port(const struct cluster_container *container, const char *name) {
    for (size_t i = 0; i < container->ports_count; i++)
        if (text_equal(container->ports[i].name, name))
            return container->ports[i].port;
    return 0;
}
