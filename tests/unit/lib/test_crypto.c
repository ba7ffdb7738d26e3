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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_fips_180),
        cmocka_unit_test(pieces_hash_as_the_whole),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(digests_are_read_as_they_are_written_and_no_other_way),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
