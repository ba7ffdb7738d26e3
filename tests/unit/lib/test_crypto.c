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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_fips_180),
        cmocka_unit_test(pieces_hash_as_the_whole),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(digests_are_read_as_they_are_written_and_no_other_way),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        cmocka_unit_test(what_is_not_base64_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
