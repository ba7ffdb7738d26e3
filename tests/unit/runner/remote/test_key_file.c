/* Key files, in what ssh-keygen does not write; tests/cli/ssh_keys.bats has what it does. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/remote/bcrypt_pbkdf.h"
#include "runner/remote/key_file.h"
#include "runner/remote/ssh_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Of OpenBSD's regression tests. */
static void bcrypt_pbkdf_is_that_of_openbsd(void **state) {
    (void)state;
    static const struct {
        unsigned rounds;
        const char *passphrase, *salt, *hex;
    } vectors[] = {
        {4, "password", "salt", "5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        unsigned char out[32];
        char hex[2 * sizeof out + 1];
        bcrypt_pbkdf(vectors[i].passphrase, strlen(vectors[i].passphrase), vectors[i].salt,
                     strlen(vectors[i].salt), vectors[i].rounds, out, sizeof out);
        text_hex(out, sizeof out, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

/* A container as OpenSSH writes it, around what a test says. */
struct content {
    const char *cipher, *derivation;
    uint32_t rounds, keys;
    struct buffer blob, secret;
};

static void content_init(struct content *c) {
    *c = (struct content){.cipher = "none", .derivation = "none", .keys = 1};
    buffer_init(&c->blob, 4096);
    buffer_init(&c->secret, 4096);
}

static void content_deinit(struct content *c) {
    buffer_deinit(&c->blob);
    buffer_deinit(&c->secret);
}

static int parse(const struct content *c, struct key_file *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer raw, options, text;
    buffer_init(&raw, 16384);
    buffer_init(&options, 1024);
    buffer_init(&text, 32768);
    if (c->rounds) {
        ssh_put_text(&options, "0123456789abcdef");
        ssh_put_u32(&options, c->rounds);
    }
    buffer_append(&raw, "openssh-key-v1", sizeof "openssh-key-v1");
    ssh_put_text(&raw, c->cipher);
    ssh_put_text(&raw, c->derivation);
    ssh_put_string(&raw, options.data, options.size);
    ssh_put_u32(&raw, c->keys);
    ssh_put_string(&raw, c->blob.data, c->blob.size);
    ssh_put_string(&raw, c->secret.data, c->secret.size);
    buffer_text(&text, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    base64_encode(raw.data, raw.size, &text);
    buffer_text(&text, "\n-----END OPENSSH PRIVATE KEY-----\n");
    return key_file_parse(buffer_string(&text), text.size, "passphrase", ret, err);
}

/* The Ed25519 key of the seed 1, 2, 3, ...; `flip` spoils a byte of the public half. */
static void put_ed25519(struct content *c, bool flip, uint32_t check) {
    unsigned char seed[64];
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (unsigned char)(i + 1);
    struct error err = ERROR_NULL;
    cleanup(signing_key_freep) struct signing_key *key = NULL;
    assert_int_equal(signing_key_from_seed(seed, &key, &err), 0);
    cleanup(buffer_deinit) struct buffer point, none;
    buffer_init(&point, 64);
    buffer_init(&none, 64);
    signing_key_public(key, &point, &none);
    point.data[0] = (char)(point.data[0] ^ flip);
    ssh_put_text(&c->blob, "ssh-ed25519");
    ssh_put_string(&c->blob, point.data, point.size);
    ssh_put_u32(&c->secret, 7);
    ssh_put_u32(&c->secret, check);
    ssh_put_text(&c->secret, "ssh-ed25519");
    ssh_put_string(&c->secret, point.data, point.size);
    ssh_put_string(&c->secret, seed, sizeof seed);
    ssh_put_text(&c->secret, "comment");
    for (uint8_t i = 1; c->secret.size % 8; i++)
        buffer_append(&c->secret, &i, 1);
}

static void assert_refused(const struct content *c, const char *text) {
    struct key_file file = KEY_FILE_NULL;
    struct error err = ERROR_NULL;
    assert_int_equal(parse(c, &file, &err), -1);
    if (!strstr(err.text, text))
        fail_msg("'%s' is not in '%s'", text, err.text);
    key_file_deinit(&file);
}

static void a_key_is_read_with_its_comment(void **state) {
    (void)state;
    cleanup(content_deinit) struct content c;
    cleanup(key_file_deinit) struct key_file file = KEY_FILE_NULL;
    struct error err = ERROR_NULL;
    content_init(&c);
    put_ed25519(&c, false, 7);
    assert_int_equal(parse(&c, &file, &err), 0);
    assert_string_equal(file.comment, "comment");
    assert_string_equal(key_blob_type(file.blob.data, file.blob.size), "ssh-ed25519");
}

static void halves_that_do_not_match_are_refused(void **state) {
    (void)state;
    cleanup(content_deinit) struct content c;
    content_init(&c);
    put_ed25519(&c, true, 7);
    assert_refused(&c, "halves do not match");
}

static void damaged_keys_are_refused(void **state) {
    (void)state;
    cleanup(content_deinit) struct content checks, padding, two;
    content_init(&checks);
    put_ed25519(&checks, false, 8);
    assert_refused(&checks, "damaged");
    content_init(&padding);
    put_ed25519(&padding, false, 7);
    padding.secret.data[padding.secret.size - 1] = 9;
    assert_refused(&padding, "halves do not match");
    content_init(&two);
    put_ed25519(&two, false, 7);
    two.keys = 2;
    assert_refused(&two, "2 private keys");
}

static void keys_that_we_cannot_sign_by_are_named(void **state) {
    (void)state;
    static const struct {
        const char *type, *said;
    } cases[] = {
        {"sk-ssh-ed25519@openssh.com", "FIDO keys (sk-ssh-ed25519@openssh.com)"},
        {"sk-ecdsa-sha2-nistp256@openssh.com", "FIDO keys"},
        {"ssh-ed25519-cert-v01@openssh.com", "certificates (ssh-ed25519-cert-v01@openssh.com)"},
        {"ssh-dss", "keys of the type 'ssh-dss'"},
        {"\033[31m", "keys of the type '\\x1b[31m'"},
        {"", "keys of the type ''"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(content_deinit) struct content c;
        content_init(&c);
        ssh_put_text(&c.blob, cases[i].type);
        ssh_put_text(&c.secret, "0123");
        assert_refused(&c, cases[i].said);
    }
}

static void what_would_take_hours_is_refused(void **state) {
    (void)state;
    cleanup(content_deinit) struct content c;
    content_init(&c);
    put_ed25519(&c, false, 7);
    c.cipher = "aes256-ctr";
    c.derivation = "bcrypt";
    c.rounds = KEY_ROUNDS_MAX + 1;
    buffer_append(&c.secret, "01234567", 8);
    assert_refused(&c, "4097 rounds, more than 4096");
}

static void unknown_ciphers_and_derivations_are_named(void **state) {
    (void)state;
    cleanup(content_deinit) struct content c;
    content_init(&c);
    put_ed25519(&c, false, 7);
    c.cipher = "rot13";
    assert_refused(&c, "encrypted by 'rot13'");
    c.cipher = "aes256-ctr";
    c.derivation = "none";
    assert_refused(&c, "key derivation");
    c.cipher = "none";
    c.derivation = "bcrypt";
    assert_refused(&c, "key derivation");
}

static void every_length_of_a_cut_file_is_refused(void **state) {
    (void)state;
    cleanup(content_deinit) struct content c;
    content_init(&c);
    put_ed25519(&c, false, 7);
    size_t size = c.secret.size;
    for (c.secret.size = 0; c.secret.size < size; c.secret.size++)
        assert_refused(&c, "damaged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bcrypt_pbkdf_is_that_of_openbsd),
        cmocka_unit_test(a_key_is_read_with_its_comment),
        cmocka_unit_test(halves_that_do_not_match_are_refused),
        cmocka_unit_test(damaged_keys_are_refused),
        cmocka_unit_test(keys_that_we_cannot_sign_by_are_named),
        cmocka_unit_test(what_would_take_hours_is_refused),
        cmocka_unit_test(unknown_ciphers_and_derivations_are_named),
        cmocka_unit_test(every_length_of_a_cut_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
