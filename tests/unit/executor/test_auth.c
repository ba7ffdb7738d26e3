/* What a replica has signed can be shown to all others, and stands for nothing else. */

#include "executor/auth.h"

#include "tests/unit/executor/signers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void everybody_accepts_what_a_replica_signed(void **state) {
    uint8_t signature[AUTH_SIGNATURE_SIZE];
    (void)state;
    auth_sign(&signers[2], "view-change", "body", 4, signature);
    for (size_t i = 0; i < SIGNERS; i++)
        assert_true(auth_verify(&signers[i], 2, "view-change", "body", 4, signature));
}

static void a_signature_is_good_for_its_bytes_purpose_run_and_signer_only(void **state) {
    uint8_t signature[AUTH_SIGNATURE_SIZE], raw[AUTH_SIGNATURE_SIZE];
    struct auth other_run = {.identity = signers[1].identity, .run = "run2"};
    (void)state;
    auth_sign(&signers[2], "view-change", "body", 4, signature);
    assert_false(auth_verify(&signers[1], 2, "view-change", "bodx", 4, signature));
    assert_false(auth_verify(&signers[1], 2, "view-change", "body", 3, signature));
    assert_false(auth_verify(&signers[1], 2, "view-changf", "body", 4, signature));
    assert_false(auth_verify(&signers[1], 2, "view-chang", "body", 4, signature));
    assert_false(auth_verify(&signers[1], 1, "view-change", "body", 4, signature));
    assert_false(auth_verify(&signers[1], 3, "view-change", "body", 4, signature));
    assert_false(auth_verify(&signers[1], SIGNERS, "view-change", "body", 4, signature));
    assert_false(auth_verify(&other_run, 2, "view-change", "body", 4, signature));
    identity_sign(signers[2].identity, "body", 4, raw);
    assert_false(auth_verify(&signers[1], 2, "view-change", "body", 4, raw));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 0x40;
        assert_false(auth_verify(&signers[1], 2, "view-change", "body", 4, signature));
        signature[i] ^= 0x40;
    }
}

static void without_keys_anything_goes(void **state) {
    uint8_t signature[AUTH_SIGNATURE_SIZE];
    const struct auth insecure = {.run = "run"};
    (void)state;
    auth_sign(&insecure, "view-change", "body", 4, signature);
    assert_true(auth_verify(&insecure, 2, "view-change", "body", 4, signature));
    assert_false(auth_verify(&signers[0], 2, "view-change", "body", 4, signature));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_accepts_what_a_replica_signed),
        cmocka_unit_test(a_signature_is_good_for_its_bytes_purpose_run_and_signer_only),
        cmocka_unit_test(without_keys_anything_goes),
    };
    return cmocka_run_group_tests(tests, signers_make, signers_forget);
}
