/* Hashes are SHA-256, whatever the pieces; digests are read strictly. */

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/text.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char digest_of_abc[] =
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

static void hashes_are_those_of_fips_180(void **state) {
    (void)state;
    static const struct {
        const char *text, *hex;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        unsigned char hash[SHA256_SIZE];
        char hex[2 * SHA256_SIZE + 1];
        sha256_of(vectors[i].text, strlen(vectors[i].text), hash);
        text_hex(hash, sizeof hash, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
}

static void pieces_hash_as_the_whole(void **state) {
    (void)state;
    unsigned char data[1000], whole[SHA256_SIZE], pieces[SHA256_SIZE];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (unsigned char)(i * 7);
    sha256_of(data, sizeof data, whole);
    cleanup(sha256_deinit) struct sha256 h;
    sha256_init(&h);
    for (int round = 0; round < 2; round++) {
        for (size_t at = 0, step = 1; at < sizeof data; at += step, step = step % 97 + 1) {
            size_t left = sizeof data - at;
            sha256_add(&h, data + at, step < left ? step : left);
        }
        sha256_end(&h, pieces);
        assert_memory_equal(whole, pieces, SHA256_SIZE);
        sha256_begin(&h);
    }
}

static void *hash_often(void *arg) {
    unsigned char hash[SHA256_SIZE];
    char text[DIGEST_TEXT_SIZE];
    for (int i = 0; i < 1000; i++) {
        sha256_of("abc", 3, hash);
        if (!text_equal(digest_text(hash, text), digest_of_abc))
            return NULL;
    }
    return arg;
}

static void threads_do_not_disturb_each_other(void **state) {
    (void)state;
    pthread_t threads[4];
    char good;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, &good), 0);
    for (size_t i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, &good);
    }
}

static void digests_are_read_as_they_are_written_and_no_other_way(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    unsigned char hash[SHA256_SIZE];
    char text[DIGEST_TEXT_SIZE];
    assert_int_equal(digest_parse(digest_of_abc, hash, &err), 0);
    assert_string_equal(digest_text(hash, text), digest_of_abc);
    static const char *const bad[] = {
        "",
        "sha256:",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a",
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad0",
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "sha256:ga7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(digest_text_valid(bad[i]));
        assert_int_equal(digest_parse(bad[i], hash, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void random_bytes_differ(void **state) {
    (void)state;
    unsigned char a[32], b[32];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

static void base64_is_that_of_rfc_4648(void **state) {
    (void)state;
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfd", "//79"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct error err = ERROR_NULL;
        struct buffer text, data;
        buffer_init(&text, 100);
        buffer_init(&data, 100);
        buffer_text(&text, ":");
        base64_encode(vectors[i][0], strlen(vectors[i][0]), &text);
        assert_string_equal(buffer_string(&text) + 1, vectors[i][1]);
        assert_int_equal(base64_decode(vectors[i][1], strlen(vectors[i][1]), &data, &err), 0);
        assert_string_equal(buffer_string(&data), vectors[i][0]);
        buffer_deinit(&text);
        buffer_deinit(&data);
    }
}

static void what_is_not_base64_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"Z",        "Zg",    "Zg=",          "Zm9vYg",
                                      "Zg==Zg==", "Z===",  "====",         "Zm 9",
                                      " Zm9v  ",  "Zm9\n", "Zm9v\n\n\n\n", "Zm-_",
                                      "Zm9\xff",  "=m9v"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct buffer data;
        buffer_init(&data, 100);
        buffer_text(&data, "kept");
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), &data, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_string_equal(buffer_string(&data), "kept");
        buffer_deinit(&data);
    }
    struct error err = ERROR_NULL;
    struct buffer small;
    buffer_init(&small, 2);
    assert_int_equal(base64_decode("Zm9v", 4, &small, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    base64_encode("f", 1, &small);
    assert_true(small.overflowed);
}

static void macs_are_those_of_rfc_4231(void **state) {
    (void)state;
    unsigned char key[20], mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    memset(key, 0x0b, sizeof key);
    hmac_sha256(key, sizeof key, "Hi There", 8, mac);
    text_hex(mac, sizeof mac, hex);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    cleanup(hmac_deinit) struct hmac h;
    hmac_init(&h, "Jefe", 4);
    for (int round = 0; round < 3; round++) {
        hmac_add(&h, "what do ya want ", 16);
        hmac_add(&h, "for nothing?", 12);
        hmac_end(&h, mac);
        text_hex(mac, sizeof mac, hex);
        assert_string_equal(hex,
                            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        hmac_begin(&h);
    }
}

static void from_hex(const char *hex, unsigned char *out, size_t size) {
    assert_int_equal(text_unhex(hex, out, size), 0);
}

static void signatures_are_checked_as_rfc_8032_says(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    unsigned char public[ED25519_KEY_SIZE], signature[ED25519_SIGNATURE_SIZE];
    from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", public, 32);
    from_hex("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
             "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
             signature, 64);
    cleanup(verifying_key_freep) struct verifying_key *key = NULL;
    assert_int_equal(verifying_key_from_bytes(public, &key, &err), 0);
    assert_true(verifying_key_check(key, "\x72", 1, signature));
    assert_false(verifying_key_check(key, "\x73", 1, signature));
    signature[63] ^= 0x80;
    assert_false(verifying_key_check(key, "\x72", 1, signature));
}

static void secrets_are_agreed_on_as_rfc_7748_says(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    unsigned char seed[X25519_SIZE], other[X25519_SIZE], secret[X25519_SIZE];
    char hex[2 * X25519_SIZE + 1];
    from_hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", seed, 32);
    from_hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", other, 32);
    cleanup(agreement_key_freep) struct agreement_key *a = agreement_key_from_seed(seed);
    assert_int_equal(agreement_key_agree(a, other, secret, &err), 0);
    text_hex(secret, sizeof secret, hex);
    assert_string_equal(hex, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

static void both_sides_agree_and_on_nothing_that_all_know(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    unsigned char one[X25519_SIZE], two[X25519_SIZE], a_public[X25519_SIZE], b_public[X25519_SIZE];
    const unsigned char zero[X25519_SIZE] = {0};
    random_bytes(one, sizeof one);
    random_bytes(two, sizeof two);
    cleanup(agreement_key_freep) struct agreement_key *a = agreement_key_from_seed(one);
    cleanup(agreement_key_freep) struct agreement_key *b = agreement_key_from_seed(two);
    agreement_key_public(a, a_public);
    agreement_key_public(b, b_public);
    assert_int_equal(agreement_key_agree(a, b_public, one, &err), 0);
    assert_int_equal(agreement_key_agree(b, a_public, two, &err), 0);
    assert_memory_equal(one, two, sizeof one);
    assert_int_equal(agreement_key_agree(a, zero, one, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_fips_180),
        cmocka_unit_test(pieces_hash_as_the_whole),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(digests_are_read_as_they_are_written_and_no_other_way),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(what_is_not_base64_is_refused),
        cmocka_unit_test(macs_are_those_of_rfc_4231),
        cmocka_unit_test(signatures_are_checked_as_rfc_8032_says),
        cmocka_unit_test(secrets_are_agreed_on_as_rfc_7748_says),
        cmocka_unit_test(both_sides_agree_and_on_nothing_that_all_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
