/* What an engine saves. The first byte says in which pieces it comes; two blobs of it are wanted,
 * and only what has their digests is ever found under them. */

#include "images/distribution_intake.h"
#include "lib/cleanup.h"
#include "tests/unit/folder.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct distribution_store *store, const char *digest, const char *text) {
    uint64_t bytes;
    char found[64];
    cleanup_close int fd = distribution_store_find(store, digest, &bytes);
    if (fd < 0)
        return;
    ssize_t n = read(fd, found, sizeof found);
    assert(n == (ssize_t)strlen(text) && memcmp(found, text, strlen(text)) == 0);
}

static void feed(const struct distribution_store *store, const struct distribution_wanted *wanted,
                 const uint8_t *data, size_t size) {
    cleanup(distribution_intake_freep) struct distribution_intake *x =
        distribution_intake_new(store, wanted);
    struct sink sink = distribution_intake_sink(x);
    struct error err = ERROR_NULL;
    size_t piece = (size_t)data[0] * 8 + 1;
    int r = 0;
    for (size_t at = 1; r == 0 && at < size; at += piece)
        r = sink.push(sink.arg, data + at, size - at < piece ? size - at : piece, &err);
    assert(r <= 0 || !distribution_intake_missing(x));
    assert(r >= 0 || err.kind != ERROR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char config[DIGEST_TEXT_SIZE], layer[DIGEST_TEXT_SIZE];
    unsigned char hash[SHA256_SIZE];
    struct error err = ERROR_NULL;
    if (size < 2)
        return 0;
    sha256_of("{}", 2, hash);
    digest_text(hash, config);
    sha256_of("layer", 5, hash);
    digest_text(hash, layer);
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(distribution_store_deinit) struct distribution_store store = DISTRIBUTION_STORE_NULL;
    int opened = distribution_store_open(f.path, &store, &err);
    assert(opened == 0);
    const char *layers[] = {layer};
    struct distribution_wanted wanted = {.config = config, .layers = layers, .layer_count = 1};
    feed(&store, &wanted, data, size);
    check(&store, config, "{}");
    check(&store, layer, "layer");
    return 0;
}
