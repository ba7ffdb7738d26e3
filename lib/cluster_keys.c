#include "lib/cluster_keys.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char public_title[] = "seatrial cluster keys 1";
static const char private_title[] = "seatrial private key 1";
static const char *const role_names[] = {"replica", "loader"};

const char *principal_role_name(enum principal_role role) {
    return role_names[role];
}

void cluster_keys_deinit(struct cluster_keys *keys) {
    free(keys->list);
    *keys = CLUSTER_KEYS_NULL;
}

void private_key_deinit(struct private_key *key) {
    secret_forget(key, sizeof *key);
}

static size_t count_of(const struct cluster_keys *keys) {
    return (size_t)keys->replicas + keys->loaders;
}

/* The i-th of all. */
static struct principal principal_at(const struct cluster_keys *keys, size_t i) {
    bool replica = i < keys->replicas;
    return (struct principal){.role = replica ? PRINCIPAL_REPLICA : PRINCIPAL_LOADER,
                              .index = (uint16_t)(replica ? i : i - keys->replicas)};
}

const struct principal_keys *cluster_keys_of(const struct cluster_keys *keys, struct principal p) {
    if (p.role == PRINCIPAL_REPLICA)
        return p.index < keys->replicas ? &keys->list[p.index] : NULL;
    return p.index < keys->loaders ? &keys->list[keys->replicas + p.index] : NULL;
}

/* ---- making them ---- */

/* HKDF-Expand (RFC 5869, section 2.3) of one block: a secret is evenly distributed as it is. */
void secret_derive(const uint8_t secret[KEYS_SECRET_SIZE], const char *purpose,
                   uint8_t ret[KEYS_SECRET_SIZE]) {
    struct hmac h;
    hmac_init(&h, secret, KEYS_SECRET_SIZE);
    hmac_add(&h, purpose, strlen(purpose));
    hmac_add(&h, "\1", 1);
    hmac_end(&h, ret);
    hmac_deinit(&h);
}

static void derive_signing(const uint8_t secret[KEYS_SECRET_SIZE], uint8_t ret[ED25519_KEY_SIZE]) {
    struct error err = ERROR_NULL;
    uint8_t seed[KEYS_SECRET_SIZE];
    cleanup(signing_key_freep) struct signing_key *key = NULL;
    cleanup(buffer_deinit) struct buffer public, nothing = BUFFER_NULL;
    secret_derive(secret, "seatrial signing", seed);
    int r = signing_key_from_seed(seed, &key, &err);
    secret_forget(seed, sizeof seed);
    if (r < 0)
        abort(); /* any bytes are a seed */
    buffer_init(&public, ED25519_KEY_SIZE);
    signing_key_public(key, &public, &nothing);
    memcpy(ret, public.data, ED25519_KEY_SIZE);
}

static void derive_agreeing(const uint8_t secret[KEYS_SECRET_SIZE], uint8_t ret[X25519_SIZE]) {
    uint8_t seed[KEYS_SECRET_SIZE];
    secret_derive(secret, "seatrial agreeing", seed);
    cleanup(agreement_key_freep) struct agreement_key *key = agreement_key_from_seed(seed);
    secret_forget(seed, sizeof seed);
    agreement_key_public(key, ret);
}

void principal_keys_of(const uint8_t secret[KEYS_SECRET_SIZE], struct principal_keys *ret) {
    derive_signing(secret, ret->signing);
    derive_agreeing(secret, ret->agreeing);
}

void cluster_keys_generate(uint16_t replicas, uint16_t loaders, struct cluster_keys *ret,
                           struct private_key **ret_private) {
    *ret = (struct cluster_keys){.replicas = replicas, .loaders = loaders};
    random_bytes(ret->cluster, sizeof ret->cluster);
    ret->list = mem_new_array(struct principal_keys, count_of(ret));
    *ret_private = mem_new_array(struct private_key, count_of(ret));
    for (size_t i = 0; i < count_of(ret); i++) {
        struct private_key *key = &(*ret_private)[i];
        key->principal = principal_at(ret, i);
        memcpy(key->cluster, ret->cluster, sizeof key->cluster);
        random_bytes(key->secret, sizeof key->secret);
        principal_keys_of(key->secret, &ret->list[i]);
    }
}

/* ---- texts ---- */

static void write_hex(struct buffer *out, const char *before, const uint8_t *bytes, size_t size) {
    char hex[2 * KEYS_SECRET_SIZE + 1];
    text_hex(bytes, size, hex);
    buffer_format(out, "%s%s", before, hex);
    secret_forget(hex, sizeof hex);
}

void cluster_keys_write(const struct cluster_keys *keys, struct buffer *out) {
    buffer_format(out, "%s\n", public_title);
    write_hex(out, "cluster ", keys->cluster, sizeof keys->cluster);
    buffer_format(out, "\nreplicas %u\nloaders %u\n", keys->replicas, keys->loaders);
    for (size_t i = 0; i < count_of(keys); i++) {
        struct principal p = principal_at(keys, i);
        buffer_format(out, "%s %u", role_names[p.role], p.index);
        write_hex(out, " ", keys->list[i].signing, sizeof keys->list[i].signing);
        write_hex(out, " ", keys->list[i].agreeing, sizeof keys->list[i].agreeing);
        buffer_text(out, "\n");
    }
}

void private_key_write(const struct private_key *key, struct buffer *out) {
    buffer_format(out, "%s\n", private_title);
    write_hex(out, "cluster ", key->cluster, sizeof key->cluster);
    buffer_format(out, "\n%s %u", role_names[key->principal.role], key->principal.index);
    write_hex(out, "\nsecret ", key->secret, sizeof key->secret);
    buffer_text(out, "\n");
}

/* A cursor over the text; nothing is copied, so nothing of a secret is left behind. */
struct lines {
    const char *path, *at, *end;
    unsigned line;
};

static int fault(const struct lines *in, struct error *err, const char *wanted) {
    return error_set(err, ERROR_CONFIG, "%s:%u: here belongs %s", in->path, in->line, wanted);
}

static bool take_text(struct lines *in, const char *text) {
    size_t size = strlen(text);
    if ((size_t)(in->end - in->at) < size || memcmp(in->at, text, size) != 0)
        return false;
    in->at += size;
    return true;
}

static bool take_end(struct lines *in) {
    if (!take_text(in, "\n"))
        return false;
    in->line++;
    return true;
}

/* Without leading zeros, so that a number is written in one way. */
static bool take_number(struct lines *in, uint32_t max, uint16_t *ret) {
    uint32_t value = 0;
    const char *begin = in->at;
    while (in->at < in->end && *in->at >= '0' && *in->at <= '9' && in->at - begin < 5)
        value = 10 * value + (uint32_t)(*in->at++ - '0');
    if (in->at == begin || (*begin == '0' && in->at - begin > 1) || value > max)
        return false;
    *ret = (uint16_t)value;
    return true;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool take_hex(struct lines *in, uint8_t *ret, size_t size) {
    if ((size_t)(in->end - in->at) < 2 * size)
        return false;
    for (size_t i = 0; i < size; i++, in->at += 2) {
        int high = hex_digit(in->at[0]), low = hex_digit(in->at[1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool take_title(struct lines *in, const char *title, uint8_t cluster[KEYS_CLUSTER_SIZE]) {
    return take_text(in, title) && take_end(in) && take_text(in, "cluster ") &&
           take_hex(in, cluster, KEYS_CLUSTER_SIZE) && take_end(in);
}

static int parse_principal(struct lines *in, struct cluster_keys *keys, size_t i,
                           struct error *err) {
    struct principal p = principal_at(keys, i);
    uint16_t index;
    bool good = take_text(in, role_names[p.role]) && take_text(in, " ") &&
                take_number(in, UINT16_MAX, &index) && index == p.index && take_text(in, " ") &&
                take_hex(in, keys->list[i].signing, sizeof keys->list[i].signing) &&
                take_text(in, " ") &&
                take_hex(in, keys->list[i].agreeing, sizeof keys->list[i].agreeing) && take_end(in);
    if (good)
        return 0;
    char wanted[64];
    snprintf(wanted, sizeof wanted, "'%s %u' and its two public keys", role_names[p.role], p.index);
    return fault(in, err, wanted);
}

int cluster_keys_parse(const char *path, const char *text, size_t size, struct cluster_keys *ret,
                       struct error *err) {
    struct lines in = {.path = path, .at = text, .end = text + size, .line = 1};
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    if (!take_title(&in, public_title, keys.cluster))
        return fault(&in, err, "the title and the id of cluster keys");
    if (!take_text(&in, "replicas ") || !take_number(&in, KEYS_REPLICAS_MAX, &keys.replicas) ||
        keys.replicas == 0 || !take_end(&in))
        return fault(&in, err, "how many replicas there are");
    if (!take_text(&in, "loaders ") || !take_number(&in, KEYS_LOADERS_MAX, &keys.loaders) ||
        !take_end(&in))
        return fault(&in, err, "how many loaders there are");
    keys.list = mem_new_array(struct principal_keys, count_of(&keys));
    for (size_t i = 0; i < count_of(&keys); i++)
        if (parse_principal(&in, &keys, i, err) < 0)
            return -1;
    if (in.at != in.end)
        return fault(&in, err, "nothing more");
    *ret = keys;
    keys = CLUSTER_KEYS_NULL;
    return 0;
}

static bool take_principal(struct lines *in, struct principal *ret) {
    ret->role = take_text(in, "replica ") ? PRINCIPAL_REPLICA : PRINCIPAL_LOADER;
    if (ret->role == PRINCIPAL_LOADER && !take_text(in, "loader "))
        return false;
    uint32_t count = ret->role == PRINCIPAL_REPLICA ? KEYS_REPLICAS_MAX : KEYS_LOADERS_MAX;
    return take_number(in, count - 1, &ret->index) && take_end(in);
}

int private_key_parse(const char *path, const char *text, size_t size, struct private_key *ret,
                      struct error *err) {
    struct lines in = {.path = path, .at = text, .end = text + size, .line = 1};
    cleanup(private_key_deinit) struct private_key key = {0};
    if (!take_title(&in, private_title, key.cluster))
        return fault(&in, err, "the title of a private key and the id of its cluster");
    if (!take_principal(&in, &key.principal))
        return fault(&in, err, "whose it is: 'replica' or 'loader', and a number");
    if (!take_text(&in, "secret ") || !take_hex(&in, key.secret, sizeof key.secret) ||
        !take_end(&in) || in.at != in.end)
        return fault(&in, err, "'secret', 32 bytes, and nothing more");
    *ret = key;
    return 0;
}

/* ---- files ---- */

int cluster_keys_load(const char *path, struct cluster_keys *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(path, KEYS_FILE_SIZE_MAX, &text, err) < 0)
        return -1;
    return cluster_keys_parse(path, buffer_string(&text), text.size, ret, err);
}

static int check_privacy(const char *path, struct error *err) {
    struct stat st;
    if (stat(path, &st) < 0)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "stat '%s'",
                            path);
    if ((st.st_mode & 077) == 0)
        return 0;
    error_set(err, ERROR_CONFIG, "the private key '%s' can be read by others (mode %04o)", path,
              st.st_mode & 07777);
    return error_hint(err, "chmod 600 it; if others have seen it, make new keys");
}

int private_key_load(const char *path, struct private_key *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (check_privacy(path, err) < 0 || file_read(path, KEYS_FILE_SIZE_MAX, &text, err) < 0)
        return -1;
    int r = private_key_parse(path, buffer_string(&text), text.size, ret, err);
    if (text.data)
        secret_forget(text.data, text.capacity);
    return r;
}

const char *principal_folder(struct principal p, char out[KEYS_FOLDER_SIZE]) {
    snprintf(out, KEYS_FOLDER_SIZE, "for/%s-%u", role_names[p.role], p.index);
    return out;
}

static int save_private(const char *folder, const struct private_key *key, struct error *err) {
    char name[KEYS_FOLDER_SIZE];
    cleanup_free char *own = path_join(folder, principal_folder(key->principal, name));
    cleanup_free char *path = path_join(own, KEYS_PRIVATE_FILE);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, KEYS_FILE_SIZE_MAX);
    private_key_write(key, &text);
    int r = file_make_folders(own, 0700, err);
    if (r == 0)
        r = file_write(path, 0600, text.data, text.size, err);
    secret_forget(text.data, text.capacity);
    return r;
}

int cluster_keys_save(const char *folder, const struct cluster_keys *keys,
                      const struct private_key *list, struct error *err) {
    cleanup_free char *path = path_join(folder, KEYS_PUBLIC_FILE);
    cleanup_free char *each = path_join(folder, "for");
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_exists(path) || file_exists(each)) {
        error_set(err, ERROR_CONFLICT, "there are keys in '%s' already", folder);
        return error_hint(err, "whoever has them would not be understood any more: choose another "
                               "folder, or remove them first");
    }
    /* Everybody may look for what is theirs. */
    if (file_make_folders(each, 0755, err) < 0)
        return -1;
    for (size_t i = 0; i < count_of(keys); i++)
        if (save_private(folder, &list[i], err) < 0)
            return -1;
    buffer_init(&text, KEYS_FILE_SIZE_MAX);
    cluster_keys_write(keys, &text);
    return file_write(path, 0644, text.data, text.size, err);
}
