#include "runner/remote/key_file.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/bcrypt_pbkdf.h"
#include "runner/remote/ssh_bytes.h"

#include <ctype.h>
#include <string.h>

void key_file_deinit(struct key_file *file) {
    signing_key_free(file->key);
    buffer_deinit(&file->blob);
    free(file->comment);
    *file = KEY_FILE_NULL;
}

/* Bytes that were secret. */
/* ---- types ---- */

static const struct {
    const char *name;  /* of the public key, and of the signature unless that is RSA */
    const char *curve; /* ECDSA */
    size_t size;       /* of r and s */
    enum signing_key_type type;
    enum signing_hash hash;
} types[] = {
    {"ssh-ed25519", NULL, 0, SIGNING_ED25519, SIGNING_SHA512},
    {"ssh-rsa", NULL, 0, SIGNING_RSA, SIGNING_SHA512},
    {"ecdsa-sha2-nistp256", "nistp256", 32, SIGNING_P256, SIGNING_SHA256},
    {"ecdsa-sha2-nistp384", "nistp384", 48, SIGNING_P384, SIGNING_SHA384},
    {"ecdsa-sha2-nistp521", "nistp521", 66, SIGNING_P521, SIGNING_SHA512},
};
enum { TYPES = sizeof types / sizeof *types };

static size_t index_of(enum signing_key_type type) {
    size_t i = 0;
    while (types[i].type != type)
        i++;
    return i;
}

const char *key_blob_type(const void *blob, size_t size) {
    struct byte_reader r = byte_reader(blob, size);
    struct ssh_string type = ssh_get_string(&r);
    for (size_t i = 0; i < TYPES; i++)
        if (!r.failed && ssh_string_is(type, types[i].name))
            return types[i].name;
    return NULL;
}

/* Why a key of this type is of no use here. */
static int unsupported(const void *type, size_t size, struct error *err) {
    cleanup_free char *name =
        text_format("%.*s", (int)(size < 100 ? size : 100), (const char *)type);
    char safe[128];
    text_safe(name, safe, sizeof safe);
    if (text_starts(name, "sk-"))
        return error_set(err, ERROR_INVALID, "FIDO keys (%s) are not supported", safe);
    if (strstr(name, "-cert-"))
        return error_set(err, ERROR_INVALID, "certificates (%s) are not supported", safe);
    return error_set(err, ERROR_INVALID, "keys of the type '%s' are not supported", safe);
}

static void make_blob(const struct signing_key *key, struct buffer *out) {
    size_t i = index_of(signing_key_type(key));
    cleanup(buffer_deinit) struct buffer first, second;
    buffer_init(&first, KEY_BLOB_SIZE_MAX);
    buffer_init(&second, KEY_BLOB_SIZE_MAX);
    signing_key_public(key, &first, &second);
    ssh_put_text(out, types[i].name);
    if (types[i].type == SIGNING_RSA) {
        ssh_put_number(out, second.data, second.size);
        ssh_put_number(out, first.data, first.size);
        return;
    }
    if (types[i].curve)
        ssh_put_text(out, types[i].curve);
    ssh_put_string(out, first.data, first.size);
}

/* ---- OpenSSH's own format ---- */

static const char begin_line[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char end_line[] = "-----END OPENSSH PRIVATE KEY-----";
static const char magic[] = "openssh-key-v1"; /* and its NUL */

struct cipher {
    const char *name, *openssl;
    size_t key_size, vector_size, block_size, tag_size;
};
static const struct cipher ciphers[] = {
    {"none", NULL, 0, 0, 8, 0},
    {"aes256-ctr", "AES-256-CTR", 32, 16, 16, 0},
    {"aes192-ctr", "AES-192-CTR", 24, 16, 16, 0},
    {"aes128-ctr", "AES-128-CTR", 16, 16, 16, 0},
    {"aes256-cbc", "AES-256-CBC", 32, 16, 16, 0},
    {"aes192-cbc", "AES-192-CBC", 24, 16, 16, 0},
    {"aes128-cbc", "AES-128-CBC", 16, 16, 16, 0},
    {"3des-cbc", "DES-EDE3-CBC", 24, 8, 8, 0},
    {"aes256-gcm@openssh.com", "AES-256-GCM", 32, 12, 16, 16},
    {"aes128-gcm@openssh.com", "AES-128-GCM", 16, 12, 16, 16},
    {"chacha20-poly1305@openssh.com", "ChaCha20", 64, 0, 8, 16},
};
enum { CIPHERS = sizeof ciphers / sizeof *ciphers, DERIVED_SIZE_MAX = 64 };

struct container {
    const struct cipher *cipher;
    struct ssh_string salt;
    uint32_t rounds;
    struct ssh_string blob, secret;
    const uint8_t *tag;
};

static int find_cipher(struct ssh_string name, const struct cipher **ret, struct error *err) {
    for (size_t i = 0; i < CIPHERS; i++)
        if (ssh_string_is(name, ciphers[i].name)) {
            *ret = &ciphers[i];
            return 0;
        }
    cleanup_free char *text =
        text_format("%.*s", (int)(name.size < 100 ? name.size : 100), (const char *)name.data);
    char safe[128];
    return error_set(err, ERROR_INVALID, "encrypted by '%s', which is not supported",
                     text_safe(text, safe, sizeof safe));
}

static int read_derivation(struct byte_reader *r, struct container *c, struct error *err) {
    struct ssh_string name = ssh_get_string(r), options = ssh_get_string(r);
    bool encrypted = c->cipher->openssl != NULL;
    if (r->failed || !ssh_string_is(name, encrypted ? "bcrypt" : "none"))
        return error_set(err, ERROR_INVALID, "a key derivation that is not supported");
    if (!encrypted)
        return 0;
    struct byte_reader o = byte_reader(options.data, options.size);
    c->salt = ssh_get_string(&o);
    c->rounds = ssh_get_u32(&o);
    if (!bytes_complete(&o) || c->salt.size == 0 || c->salt.size > 1024 || c->rounds == 0)
        return error_set(err, ERROR_INVALID, "damaged options of the key derivation");
    if (c->rounds > KEY_ROUNDS_MAX)
        return error_set(err, ERROR_LIMIT, "a key derivation of %u rounds, more than %d", c->rounds,
                         KEY_ROUNDS_MAX);
    return 0;
}

static int read_container(const void *data, size_t size, struct container *ret, struct error *err) {
    struct byte_reader r = byte_reader(data, size);
    const uint8_t *head = bytes_take(&r, sizeof magic);
    if (!head || memcmp(head, magic, sizeof magic) != 0)
        return error_set(err, ERROR_INVALID, "not a private key of OpenSSH");
    struct container c = {.cipher = NULL};
    if (find_cipher(ssh_get_string(&r), &c.cipher, err) < 0 || read_derivation(&r, &c, err) < 0)
        return -1;
    uint32_t keys = ssh_get_u32(&r);
    c.blob = ssh_get_string(&r);
    c.secret = ssh_get_string(&r);
    if (c.cipher->tag_size)
        c.tag = bytes_take(&r, c.cipher->tag_size);
    if (!r.failed && keys != 1)
        return error_set(err, ERROR_INVALID, "a file of %u private keys", keys);
    if (!bytes_complete(&r) || c.secret.size == 0 || c.secret.size % c.cipher->block_size != 0 ||
        c.blob.size > KEY_BLOB_SIZE_MAX)
        return error_set(err, ERROR_INVALID, "a damaged private key");
    *ret = c;
    return 0;
}

/* openssh PROTOCOL.chacha20poly1305, with the sequence number 0: the first block of the key stream
 * is the authenticator's key, the text follows from the second on. */
static int open_chacha(const struct container *c, const unsigned char derived[64],
                       unsigned char *text, struct error *err) {
    unsigned char one_time[32] = {0}, tag[16];
    unsigned char vector[16] = {0};
    struct decryption how = {.cipher = "ChaCha20",
                             .key = derived,
                             .key_size = 32,
                             .vector = vector,
                             .vector_size = sizeof vector};
    if (decrypt(&how, one_time, sizeof one_time, err) < 0)
        return -1;
    poly1305(one_time, c->secret.data, c->secret.size, tag);
    explicit_bzero(one_time, sizeof one_time);
    if (!secret_equal(tag, c->tag, sizeof tag))
        return error_set(err, ERROR_INVALID, "what was encrypted cannot be decrypted");
    vector[0] = 1;
    return decrypt(&how, text, c->secret.size, err);
}

static int open_container(const struct container *c, const char *passphrase, unsigned char *text,
                          struct error *err) {
    unsigned char derived[DERIVED_SIZE_MAX];
    const struct cipher *cipher = c->cipher;
    bcrypt_pbkdf(passphrase, strlen(passphrase), c->salt.data, c->salt.size, c->rounds, derived,
                 cipher->key_size + cipher->vector_size);
    int r;
    if (cipher->vector_size == 0)
        r = open_chacha(c, derived, text, err);
    else
        r = decrypt(&(struct decryption){.cipher = cipher->openssl,
                                         .key = derived,
                                         .key_size = cipher->key_size,
                                         .vector = derived + cipher->key_size,
                                         .vector_size = cipher->vector_size,
                                         .tag = c->tag},
                    text, c->secret.size, err);
    explicit_bzero(derived, sizeof derived);
    return r;
}

static struct signing_number as_number(struct ssh_string s) {
    return (struct signing_number){.bytes = s.data, .size = s.size};
}

static int read_rsa(struct byte_reader *r, struct signing_key **ret, struct error *err) {
    struct signing_rsa rsa = {0};
    rsa.n = as_number(ssh_get_string(r));
    rsa.e = as_number(ssh_get_string(r));
    rsa.d = as_number(ssh_get_string(r));
    rsa.q_inverse = as_number(ssh_get_string(r));
    rsa.p = as_number(ssh_get_string(r));
    rsa.q = as_number(ssh_get_string(r));
    return r->failed ? error_set(err, ERROR_INVALID, "a damaged RSA key")
                     : signing_key_from_rsa(&rsa, ret, err);
}

static int read_ed25519(struct byte_reader *r, struct signing_key **ret, struct error *err) {
    (void)ssh_get_string(r); /* the public half, which the blob is compared with as a whole */
    struct ssh_string secret = ssh_get_string(r);
    return r->failed || secret.size != 64 ? error_set(err, ERROR_INVALID, "a damaged Ed25519 key")
                                          : signing_key_from_seed(secret.data, ret, err);
}

static int read_ecdsa(struct byte_reader *r, size_t type, struct signing_key **ret,
                      struct error *err) {
    struct ssh_string curve = ssh_get_string(r), point = ssh_get_string(r);
    struct ssh_string scalar = ssh_get_string(r);
    if (r->failed || !ssh_string_is(curve, types[type].curve))
        return error_set(err, ERROR_INVALID, "a damaged ECDSA key");
    return signing_key_from_scalar(types[type].type, as_number(scalar), as_number(point), ret, err);
}

static int read_key(struct byte_reader *r, struct signing_key **ret, struct error *err) {
    struct ssh_string name = ssh_get_string(r);
    if (r->failed)
        return error_set(err, ERROR_INVALID, "a damaged private key");
    for (size_t i = 0; i < TYPES; i++)
        if (ssh_string_is(name, types[i].name))
            return types[i].type == SIGNING_RSA       ? read_rsa(r, ret, err)
                   : types[i].type == SIGNING_ED25519 ? read_ed25519(r, ret, err)
                                                      : read_ecdsa(r, i, ret, err);
    return unsupported(name.data, name.size, err);
}

/* What stands behind the comment fills the block: 1, 2, 3, ... */
static bool padding_good(const struct byte_reader *r) {
    for (size_t i = 0; i < bytes_left(r); i++)
        if (r->at[i] != (uint8_t)(i + 1))
            return false;
    return !r->failed && bytes_left(r) < 256;
}

static int read_secret(const uint8_t *text, size_t size, struct key_file *ret, struct error *err) {
    struct byte_reader r = byte_reader(text, size);
    uint32_t check = ssh_get_u32(&r), again = ssh_get_u32(&r);
    if (r.failed || check != again)
        return 1; /* the passphrase was another */
    if (read_key(&r, &ret->key, err) < 0)
        return -1;
    struct ssh_string comment = ssh_get_string(&r);
    cleanup(buffer_deinit) struct buffer blob;
    buffer_init(&blob, KEY_BLOB_SIZE_MAX);
    make_blob(ret->key, &blob);
    if (!padding_good(&r) || blob.overflowed || blob.size != ret->blob.size ||
        memcmp(blob.data, ret->blob.data, blob.size) != 0)
        return error_set(err, ERROR_INVALID, "a damaged private key: its halves do not match");
    ret->comment = text_format("%.*s", (int)(comment.size < 1024 ? comment.size : 1024),
                               (const char *)comment.data);
    return 0;
}

static int parse_openssh(const void *data, size_t size, const char *passphrase,
                         struct key_file *ret, struct error *err) {
    struct container c;
    if (read_container(data, size, &c, err) < 0)
        return -1;
    if (!key_blob_type(c.blob.data, c.blob.size)) {
        struct byte_reader r = byte_reader(c.blob.data, c.blob.size);
        struct ssh_string type = ssh_get_string(&r);
        return unsupported(type.data, type.size, err);
    }
    buffer_append(&ret->blob, c.blob.data, c.blob.size);
    bool encrypted = c.cipher->openssl != NULL;
    if (encrypted && (!passphrase || !passphrase[0]))
        return 1;
    cleanup(buffer_wipe) struct buffer text;
    buffer_init(&text, KEY_FILE_SIZE_MAX);
    buffer_append(&text, c.secret.data, c.secret.size);
    struct error locked = ERROR_NULL;
    if (encrypted && open_container(&c, passphrase, (unsigned char *)text.data, &locked) < 0)
        return 1;
    int r = read_secret((const uint8_t *)text.data, text.size, ret, err);
    return r == 1 && !encrypted ? error_set(err, ERROR_INVALID, "a damaged private key") : r;
}

/* Without white space, which base64_decode refuses. */
static int decode_lines(const char *text, size_t size, struct buffer *ret, struct error *err) {
    cleanup(buffer_wipe) struct buffer compact;
    buffer_init(&compact, KEY_FILE_SIZE_MAX);
    for (size_t i = 0; i < size; i++)
        if (!isspace((unsigned char)text[i]))
            buffer_append(&compact, text + i, 1);
    return base64_decode(buffer_string(&compact), compact.size, ret, err);
}

/* ---- all formats ---- */

static int parse(const char *text, size_t size, const char *passphrase, struct key_file *ret,
                 struct error *err) {
    const char *begin = memmem(text, size, begin_line, sizeof begin_line - 1);
    if (!begin) {
        int r = signing_key_from_pem(text, size, passphrase, &ret->key, err);
        if (r == 0)
            make_blob(ret->key, &ret->blob);
        return r;
    }
    begin += sizeof begin_line - 1;
    size_t rest = size - (size_t)(begin - text);
    const char *end = memmem(begin, rest, end_line, sizeof end_line - 1);
    if (!end)
        return error_set(err, ERROR_INVALID, "a private key of OpenSSH without its end");
    cleanup(buffer_wipe) struct buffer data;
    buffer_init(&data, KEY_FILE_SIZE_MAX);
    if (decode_lines(begin, (size_t)(end - begin), &data, err) < 0)
        return -1;
    return parse_openssh(buffer_string(&data), data.size, passphrase, ret, err);
}

int key_file_parse(const char *text, size_t size, const char *passphrase, struct key_file *ret,
                   struct error *err) {
    cleanup(key_file_deinit) struct key_file file = KEY_FILE_NULL;
    buffer_init(&file.blob, KEY_BLOB_SIZE_MAX);
    int r = parse(text, size, passphrase, &file, err);
    if (r == 0 && buffer_check(&file.blob, "a public key", err) < 0)
        return -1;
    if (r < 0)
        return -1;
    if (r == 1) {
        signing_key_free(file.key);
        file.key = NULL;
    }
    *ret = file;
    file = KEY_FILE_NULL;
    return r;
}

int key_file_public(const char *text, size_t size, struct buffer *ret_blob, char **ret_comment,
                    struct error *err) {
    const char *end = memchr(text, '\n', size);
    cleanup_free char *line = text_format("%.*s", (int)(end ? end - text : (ssize_t)size), text);
    line[strcspn(line, "\r")] = '\0';
    char *rest = NULL;
    char *type = strtok_r(line, " \t", &rest), *key = strtok_r(NULL, " \t", &rest);
    cleanup(buffer_deinit) struct buffer blob;
    buffer_init(&blob, KEY_BLOB_SIZE_MAX);
    if (!type || !key || base64_decode(key, strlen(key), &blob, err) < 0)
        return error_set(err, ERROR_INVALID, "no public key");
    if (!text_equal(key_blob_type(blob.data, blob.size), type))
        return unsupported(type, strlen(type), err);
    *ret_comment = text_dup(rest ? rest + strspn(rest, " \t") : "");
    *ret_blob = blob;
    blob = BUFFER_NULL;
    return 0;
}

int key_sign(const struct signing_key *key, const void *data, size_t size, struct buffer *ret,
             struct error *err) {
    size_t i = index_of(signing_key_type(key));
    cleanup(buffer_deinit) struct buffer raw, pair;
    buffer_init(&raw, KEY_BLOB_SIZE_MAX);
    buffer_init(&pair, KEY_BLOB_SIZE_MAX);
    if (signing_key_sign(key, types[i].hash, data, size, &raw, err) < 0)
        return -1;
    ssh_put_text(ret, types[i].type == SIGNING_RSA ? "rsa-sha2-512" : types[i].name);
    if (!types[i].curve) {
        ssh_put_string(ret, raw.data, raw.size);
        return 0;
    }
    ssh_put_number(&pair, raw.data, types[i].size); /* RFC 5656, section 3.1.2 */
    ssh_put_number(&pair, raw.data + types[i].size, types[i].size);
    ssh_put_string(ret, pair.data, pair.size);
    return 0;
}
