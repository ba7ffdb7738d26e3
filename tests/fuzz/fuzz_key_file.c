/*
 * Hostile key files. Behind a first byte `B` stands the content of OpenSSH's format, which is put
 * into its armour here; behind `P` a public key's line; everything else is a private key's file as
 * it is. A key that is accepted can sign, or says why not.
 */

#include "runner/remote/key_file.h"

#include "lib/cleanup.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 8192 };

static void parse_private(const char *text, size_t size) {
    cleanup(key_file_deinit) struct key_file file = KEY_FILE_NULL;
    struct error err = ERROR_NULL;
    int r = key_file_parse(text, size, NULL, &file, &err);
    assert(r >= 0 || err.kind != ERROR_NONE);
    assert((r == 0) == (file.key != NULL));
    if (r != 0)
        return;
    assert(key_blob_type(file.blob.data, file.blob.size));
    cleanup(buffer_deinit) struct buffer signature;
    buffer_init(&signature, KEY_BLOB_SIZE_MAX);
    if (key_sign(file.key, "data", 4, &signature, &err) == 0)
        assert(signature.size > 8);
}

static void parse_armoured(const uint8_t *data, size_t size) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4 * INPUT_SIZE_MAX);
    buffer_text(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    base64_encode(data, size, &text);
    buffer_text(&text, "\n-----END OPENSSH PRIVATE KEY-----\n");
    parse_private(buffer_string(&text), text.size);
}

static void parse_public(const char *text, size_t size) {
    cleanup(buffer_deinit) struct buffer blob = BUFFER_NULL;
    cleanup_free char *comment = NULL;
    struct error err = ERROR_NULL;
    if (key_file_public(text, size, &blob, &comment, &err) == 0)
        assert(key_blob_type(blob.data, blob.size) && comment);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > INPUT_SIZE_MAX)
        return 0;
    if (data[0] == 'B')
        parse_armoured(data + 1, size - 1);
    else if (data[0] == 'P')
        parse_public((const char *)data + 1, size - 1);
    else
        parse_private((const char *)data, size);
    return 0;
}
