#include "executor/keygen.h"

#include "lib/cluster.h"
#include "lib/cluster_keys.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_CLUSTER = 256, KEY_REPLICAS, KEY_LOADERS, KEY_OUT };

static const struct argp_option table[] = {
    {"cluster", KEY_CLUSTER, "FILE", 0, "who is in the cluster (/seatrial/cluster.yaml)", 1},
    {"replicas", KEY_REPLICAS, "N", 0, "for so many replicas (those in the cluster file)", 1},
    {"loaders", KEY_LOADERS, "N", 0, "and so many loaders (those in the cluster file)", 1},
    {"out", KEY_OUT, "DIR", 0, "the folder that they go to (/keys)", 2},
    {0},
};

struct wishes {
    const char *cluster, *out;
    uint64_t replicas, loaders; /* UINT64_MAX: not given */
    struct error *err;
    int result;
};

static int take(struct wishes *w, int key, const char *argument) {
    switch (key) {
    case KEY_CLUSTER: w->cluster = argument; return 0;
    case KEY_REPLICAS: return text_to_u64(argument, 1, KEYS_REPLICAS_MAX, &w->replicas, w->err);
    case KEY_LOADERS: return text_to_u64(argument, 0, KEYS_LOADERS_MAX, &w->loaders, w->err);
    case KEY_OUT: w->out = argument; return 0;
    default: return 1;
    }
}

static error_t on_key(int key, char *argument, struct argp_state *state) {
    struct wishes *w = state->input;
    if (key == ARGP_KEY_ARG) {
        w->result = error_set(w->err, ERROR_USAGE, "'%s' is not an option of keygen", argument);
        return 0;
    }
    if (w->result < 0)
        return 0;
    int r = take(w, key, argument);
    if (r < 0)
        w->result = r;
    return r > 0 ? ARGP_ERR_UNKNOWN : 0;
}

/* What was not said, the cluster file knows. */
static int count_principals(struct wishes *w, struct error *err) {
    cleanup(cluster_freep) struct cluster *cluster = NULL;
    if (w->replicas != UINT64_MAX && w->loaders != UINT64_MAX)
        return 0;
    if (cluster_load(w->cluster, &cluster, err) < 0)
        return error_hint(err, "give --replicas and --loaders, or the cluster file by --cluster");
    if (w->replicas == UINT64_MAX)
        w->replicas = cluster_count(cluster, "replica");
    if (w->loaders == UINT64_MAX)
        w->loaders = cluster_count(cluster, "loader");
    if (w->replicas < 1 || w->replicas > KEYS_REPLICAS_MAX || w->loaders > KEYS_LOADERS_MAX)
        return error_set(err, ERROR_CONFIG,
                         "'%s' has %llu replicas and %llu loaders; keys are made for 1 to %d, and "
                         "up to %d",
                         w->cluster, (unsigned long long)w->replicas,
                         (unsigned long long)w->loaders, KEYS_REPLICAS_MAX, KEYS_LOADERS_MAX);
    return 0;
}

static void forget(struct private_key *list, size_t count) {
    secret_forget(list, count * sizeof *list);
    free(list);
}

int keygen_main(int argc, char **argv, struct error *err) {
    const struct argp argp = {
        .options = table,
        .parser = on_key,
        .doc = "Makes keys for a cluster: DIR/" KEYS_PUBLIC_FILE " for everybody, and "
               "DIR/for/ROLE-INDEX/" KEYS_PRIVATE_FILE " for each replica and loader alone.",
    };
    struct wishes w = {.cluster = "/seatrial/cluster.yaml",
                       .out = "/keys",
                       .replicas = UINT64_MAX,
                       .loaders = UINT64_MAX,
                       .err = err};
    argp_err_exit_status = 2;
    error_t problem = argp_parse(&argp, argc, argv, 0, NULL, &w);
    if (problem && w.result == 0)
        return error_set_os(err, ERROR_USAGE, problem, "the command line");
    if (w.result < 0) {
        err->kind = ERROR_USAGE;
        return -1;
    }
    if (count_principals(&w, err) < 0)
        return -1;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cluster_keys_generate((uint16_t)w.replicas, (uint16_t)w.loaders, &keys, &list);
    int r = cluster_keys_save(w.out, &keys, list, err);
    forget(list, w.replicas + w.loaders);
    if (r == 0)
        printf("keys of %llu replicas and %llu loaders are in %s\n", (unsigned long long)w.replicas,
               (unsigned long long)w.loaders, w.out);
    return r;
}
