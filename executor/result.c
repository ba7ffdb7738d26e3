#include "executor/result.h"

#include "executor/chain/block.h"

#include "lib/file.h"
#include "lib/request_set.h"
#include "lib/text.h"

#include <string.h>

struct scan {
    struct chain chain;
    struct request_set *executed;
};

static int visit(void *context, uint64_t height, const uint8_t *header, size_t size,
                 struct error *err) {
    struct scan *scan = context;
    struct block_header h;
    (void)height;
    if (chain_follow(&scan->chain, header, size, &h, err) < 0)
        return -1;
    return request_set_add(scan->executed, h.client, h.number, err);
}

static int write_state(const struct chain *chain, const char *folder, struct error *err) {
    char digest[2 * SHA256_SIZE + 1];
    text_hex(chain->digest, sizeof chain->digest, digest);
    cleanup_free char *path = path_join(folder, "state.json");
    cleanup_free char *text = text_format("{\"height\": %llu, \"digest\": \"%s\"}\n",
                                          (unsigned long long)chain->height, digest);
    return file_write(path, 0644, text, strlen(text), err);
}

static int write_scan(struct store *store, struct scan *scan, const char *folder,
                      struct error *err) {
    if (store_each_header(store, visit, scan, err) < 0)
        return error_wrap(err, "read the chain back");
    cleanup_free char *path = path_join(folder, "executed.json");
    if (request_set_save(scan->executed, path, err) < 0)
        return -1;
    return write_state(&scan->chain, folder, err);
}

int result_write(struct store *store, const char *folder, struct error *err) {
    struct scan scan = {.executed = request_set_new()};
    chain_init(&scan.chain);
    int r = write_scan(store, &scan, folder, err);
    chain_deinit(&scan.chain);
    request_set_free(scan.executed);
    return r < 0 ? error_wrap(err, "write the results to '%s'", folder) : 0;
}
