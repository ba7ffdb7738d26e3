#include "images/context_memory.h"

#include "images/cache.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4096 };
static const char name_of_folder[] = "contexts";
/* Folders come and go, and each leaves a file. */
#define AGE_S_MAX (INT64_C(90) * 24 * 3600)

static char *path_of(const char *in, const char *root, const char *name) {
    cleanup_free char *real = realpath(root, NULL);
    cleanup_free char *key = text_format("%s\n%s", real ? real : root, name);
    unsigned char hash[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    sha256_of(key, strlen(key), hash);
    text_hex(hash, sizeof hash, hex);
    return text_format("%s/%s", in, hex);
}

enum context_memory context_remembered(const char *root, const char *name, const char *fingerprint,
                                       char ret_digest[DIGEST_TEXT_SIZE]) {
    cleanup_free char *in = cache_folder(name_of_folder);
    cleanup_free char *path = in ? path_of(in, root, name) : NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct error unused = ERROR_NULL;
    if (!path || file_read(path, FILE_MAX, &text, &unused) < 0)
        return CONTEXT_NEW;
    char seen[DIGEST_TEXT_SIZE + 1] = "", digest[DIGEST_TEXT_SIZE + 1] = "";
    if (sscanf(buffer_string(&text), "%72s %72s", seen, digest) != 2 || !digest_text_valid(seen) ||
        !digest_text_valid(digest))
        return CONTEXT_NEW;
    if (!text_equal(seen, fingerprint))
        return CONTEXT_CHANGED;
    memcpy(ret_digest, digest, DIGEST_TEXT_SIZE);
    return CONTEXT_SAME;
}

void context_remember(const char *root, const char *name, const struct context_result *result) {
    cleanup_free char *in = cache_folder(name_of_folder);
    struct error unused = ERROR_NULL;
    if (!in || !result->settled || file_make_folders(in, 0700, &unused) < 0)
        return;
    cleanup_free char *path = path_of(in, root, name);
    cleanup_free char *text = text_format("%s %s\n", result->fingerprint, result->digest);
    (void)file_write(path, 0600, text, strlen(text), &unused);
    cache_remove_older(in, "", clock_wall().ns / (int64_t)NS_PER_SEC - AGE_S_MAX);
}
