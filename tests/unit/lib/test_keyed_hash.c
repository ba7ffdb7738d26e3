/* Keys that were chosen to fall together do not. */

#include "lib/crypto.h"
#include "lib/keyed_hash.h"
#include "lib/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PLACES = 1 << 19, KEYS = 131072 };

/* How many places are looked at until all keys have one, in a table of linear probing. */
static uint64_t steps(const struct keyed_hash *h, uint64_t step) {
    bool *used = mem_new_array(bool, PLACES);
    uint64_t count = 0;
    for (uint64_t k = 1; k <= KEYS; k++) {
        uint64_t key = 1 + k * step;
        uint64_t place = keyed_hash_of(h, &key, sizeof key) & (PLACES - 1);
        for (count++; used[place]; count++)
            place = (place + 1) & (PLACES - 1);
        used[place] = true;
    }
    free(used);
    return count;
}

/* A multiplication by the golden ratio leaves multiples of a Fibonacci number side by side; a mask,
 * those of the table's size. */
static void keys_that_were_chosen_to_fall_together_do_not(void **state) {
    (void)state;
    static const uint64_t chosen[] = {1, UINT64_C(2971215073), PLACES, UINT64_C(1) << 40};
    struct keyed_hash h;
    random_bytes(h.secret, sizeof h.secret);
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        assert_in_range(steps(&h, chosen[i]), KEYS, 2 * KEYS);
}

static void each_secret_has_its_own_places(void **state) {
    (void)state;
    static const char key[] = "a key that is longer than sixteen bytes";
    struct keyed_hash h;
    uint64_t hashes[64];
    for (size_t i = 0; i < 64; i++) {
        random_bytes(h.secret, sizeof h.secret);
        hashes[i] = keyed_hash_of(&h, key, sizeof key);
        for (size_t k = 0; k < i; k++)
            assert_true(hashes[i] != hashes[k]);
    }
}

/* Every length and every bit counts. */
static void different_keys_have_different_hashes(void **state) {
    (void)state;
    const struct keyed_hash h = {{1, 2}};
    uint8_t key[40] = {0};
    for (size_t size = 1; size <= sizeof key; size++) {
        uint64_t hash = keyed_hash_of(&h, key, size);
        assert_true(hash != keyed_hash_of(&h, key, size - 1));
        for (size_t bit = 0; bit < 8 * size; bit++) {
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(hash != keyed_hash_of(&h, key, size));
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_were_chosen_to_fall_together_do_not),
        cmocka_unit_test(each_secret_has_its_own_places),
        cmocka_unit_test(different_keys_have_different_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
