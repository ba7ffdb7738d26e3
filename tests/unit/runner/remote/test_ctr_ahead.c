/* Counter mode by 16 bytes at a time is the same as in one go, whatever else goes on. */

#include "runner/remote/ctr_ahead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include <cmocka.h>

enum { BYTES = 20000 / 16 * 16, MANY = 9 };

static unsigned char plain[BYTES];

static EVP_CIPHER_CTX *context_new(const EVP_CIPHER *cipher, unsigned char key_byte) {
    unsigned char key[32], iv[16];
    memset(key, key_byte, sizeof key);
    memset(iv, 0xfe, sizeof iv); /* so that the counter carries */
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert_int_equal(EVP_CipherInit(context, cipher, key, iv, 1), 1);
    return context;
}

static void in_one_go(const EVP_CIPHER *cipher, unsigned char key_byte, unsigned char *out) {
    int size;
    EVP_CIPHER_CTX *context = context_new(cipher, key_byte);
    assert_int_equal(EVP_EncryptUpdate(context, out, &size, plain, BYTES), 1);
    EVP_CIPHER_CTX_free(context);
}

static void step(EVP_CIPHER_CTX *context, unsigned char *out, size_t at) {
    assert_true(EVP_Cipher(context, out + at, plain + at, 16) >= 0);
}

static void each_key_size_gives_the_same_bytes(void **state) {
    (void)state;
    ctr_ahead_link();
    const EVP_CIPHER *const ciphers[] = {EVP_aes_128_ctr(), EVP_aes_192_ctr(), EVP_aes_256_ctr(),
                                         EVP_aes_128_cbc()};
    for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
        static unsigned char expected[BYTES], got[BYTES];
        in_one_go(ciphers[i], 1, expected);
        EVP_CIPHER_CTX *context = context_new(ciphers[i], 1);
        for (size_t at = 0; at < BYTES; at += 16)
            step(context, got, at);
        EVP_CIPHER_CTX_free(context);
        assert_memory_equal(got, expected, BYTES);
    }
}

static void many_contexts_in_turn_do_not_mix(void **state) {
    (void)state;
    static unsigned char expected[MANY][BYTES], got[MANY][BYTES];
    EVP_CIPHER_CTX *contexts[MANY];
    for (size_t i = 0; i < MANY; i++) {
        in_one_go(EVP_aes_128_ctr(), (unsigned char)i, expected[i]);
        contexts[i] = context_new(EVP_aes_128_ctr(), (unsigned char)i);
    }
    for (size_t at = 0; at < BYTES; at += 16)
        for (size_t i = 0; i < MANY; i++)
            step(contexts[i], got[i], at);
    for (size_t i = 0; i < MANY; i++) {
        EVP_CIPHER_CTX_free(contexts[i]);
        assert_memory_equal(got[i], expected[i], BYTES);
    }
}

static void a_new_context_at_an_old_address_has_a_stream_of_its_own(void **state) {
    (void)state;
    static unsigned char expected[BYTES], got[BYTES];
    for (unsigned char i = 0; i < 50; i++) {
        in_one_go(EVP_aes_128_ctr(), i, expected);
        EVP_CIPHER_CTX *context = context_new(EVP_aes_128_ctr(), i);
        for (size_t at = 0; at < 64; at += 16)
            step(context, got, at);
        assert_memory_equal(got, expected, 64);
        EVP_CIPHER_CTX_free(context); /* with much of its stream unused */
    }
}

static void a_context_that_begins_anew_does_not_go_on(void **state) {
    (void)state;
    static unsigned char expected[BYTES], got[BYTES];
    unsigned char key[16], iv[16];
    memset(key, 7, sizeof key);
    memset(iv, 0xfe, sizeof iv);
    in_one_go(EVP_aes_128_ctr(), 7, expected);
    EVP_CIPHER_CTX *context = context_new(EVP_aes_128_ctr(), 1);
    step(context, got, 0);
    EVP_CIPHER_CTX_reset(context);
    assert_int_equal(EVP_CipherInit(context, EVP_aes_128_ctr(), key, iv, 1), 1);
    for (size_t at = 0; at < BYTES; at += 16)
        step(context, got, at);
    EVP_CIPHER_CTX_free(context);
    assert_memory_equal(got, expected, BYTES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_size_gives_the_same_bytes),
        cmocka_unit_test(many_contexts_in_turn_do_not_mix),
        cmocka_unit_test(a_new_context_at_an_old_address_has_a_stream_of_its_own),
        cmocka_unit_test(a_context_that_begins_anew_does_not_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
