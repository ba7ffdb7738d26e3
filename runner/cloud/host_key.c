#include "runner/cloud/host_key.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/text.h"

#include <assert.h>
#include <string.h>

#define TYPE "ssh-ed25519"
enum { BLOB_MAX = 1024, LINE = 70, BLOCK = 8 };

static void add_u32(struct buffer *b, uint32_t n) {
    unsigned char bytes[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                              (unsigned char)(n >> 8), (unsigned char)n};
    buffer_append(b, bytes, sizeof bytes);
}

static void add_string(struct buffer *b, const void *data, size_t size) {
    add_u32(b, (uint32_t)size);
    buffer_append(b, data, size);
}

static void print(const struct buffer *blob, char fingerprint[HOST_KEY_PRINT_SIZE]) {
    unsigned char hash[SHA256_SIZE];
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64);
    sha256_of(blob->data, blob->size, hash);
    base64_encode(hash, sizeof hash, &text);
    snprintf(fingerprint, HOST_KEY_PRINT_SIZE, "SHA256:%.43s", buffer_string(&text));
}

/* The part that could be encrypted: the key between two equal numbers and padding 1, 2, 3, ... */
static void add_secret(struct buffer *out, const unsigned char *seed, const struct buffer *point) {
    cleanup(buffer_wipe) struct buffer secret;
    buffer_init(&secret, BLOB_MAX);
    uint32_t check;
    memcpy(&check, point->data, sizeof check);
    add_u32(&secret, check);
    add_u32(&secret, check);
    add_string(&secret, TYPE, strlen(TYPE));
    add_string(&secret, point->data, point->size);
    add_u32(&secret, (uint32_t)(HOST_KEY_SEED_SIZE + point->size));
    buffer_append(&secret, seed, HOST_KEY_SEED_SIZE);
    buffer_append(&secret, point->data, point->size);
    add_string(&secret, "", 0);
    for (unsigned char n = 1; secret.size % BLOCK; n++)
        buffer_append(&secret, &n, 1);
    add_string(out, secret.data, secret.size);
}

static void write_file(const struct buffer *blob, struct buffer *out) {
    cleanup(buffer_wipe) struct buffer text;
    buffer_init(&text, 4L * BLOB_MAX);
    base64_encode(blob->data, blob->size, &text);
    buffer_text(out, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for (size_t i = 0; i < text.size; i += LINE)
        buffer_format(out, "%.*s\n", LINE, text.data + i);
    buffer_text(out, "-----END OPENSSH PRIVATE KEY-----\n");
}

void host_key_make(const unsigned char seed[HOST_KEY_SEED_SIZE], struct buffer *private_key,
                   struct buffer *public_key, char fingerprint[HOST_KEY_PRINT_SIZE]) {
    static const char magic[] = "openssh-key-v1"; /* with its NUL */
    cleanup(signing_key_freep) struct signing_key *key = NULL;
    cleanup(buffer_deinit) struct buffer point, nothing, public;
    cleanup(buffer_wipe) struct buffer file;
    struct error err = ERROR_NULL;
    buffer_init(&point, 64);
    buffer_init(&nothing, 64);
    buffer_init(&public, BLOB_MAX);
    buffer_init(&file, BLOB_MAX);
    int r = signing_key_from_seed(seed, &key, &err);
    assert(r == 0); /* any 32 bytes are a seed */
    signing_key_public(key, &point, &nothing);
    add_string(&public, TYPE, strlen(TYPE));
    add_string(&public, point.data, point.size);
    buffer_append(&file, magic, sizeof magic);
    add_string(&file, "none", 4);
    add_string(&file, "none", 4);
    add_string(&file, "", 0);
    add_u32(&file, 1);
    add_string(&file, public.data, public.size);
    add_secret(&file, seed, &point);
    write_file(&file, private_key);
    buffer_text(public_key, TYPE " ");
    base64_encode(public.data, public.size, public_key);
    print(&public, fingerprint);
}

bool host_key_fingerprint(const char *line, char fingerprint[HOST_KEY_PRINT_SIZE]) {
    cleanup(buffer_deinit) struct buffer blob;
    struct error ignored = ERROR_NULL;
    buffer_init(&blob, BLOB_MAX);
    if (!text_starts(line, TYPE " "))
        return false;
    line += strlen(TYPE " ");
    if (base64_decode(line, strcspn(line, " \r\n"), &blob, &ignored) < 0 || blob.size != 51)
        return false;
    print(&blob, fingerprint);
    return true;
}
