#include "tests/unit/executor/signers.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "tests/unit/folder.h"

#include <stdio.h>
#include <stdlib.h>

struct auth signers[SIGNERS];

static struct identity *ids[SIGNERS];

int signers_make(void **state) {
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder folder = folder_make();
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    (void)state;
    cleanup_free char *path = path_join(folder.path, "keys");
    cluster_keys_generate(SIGNERS, 0, &keys, &list);
    int r = cluster_keys_save(path, &keys, list, &err);
    free(list);
    for (uint16_t i = 0; r == 0 && i < (uint16_t)SIGNERS; i++) {
        const struct principal self = {.role = PRINCIPAL_REPLICA, .index = i};
        r = identity_open(path, self, SIGNERS, &ids[i], &err);
        signers[i] = (struct auth){.identity = ids[i], .run = "run"};
    }
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    return r;
}

int signers_forget(void **state) {
    (void)state;
    for (size_t i = 0; i < SIGNERS; i++)
        identity_free(ids[i]);
    return 0;
}
