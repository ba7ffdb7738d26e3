/* Where clients are, and what is executed ahead for them. */

#include "executor/clients.h"

#include "executor/pbft/pbft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

static void clients_are_where_they_were_named_last(void **state) {
    (void)state;
    cleanup(clients_freep) struct clients *c = clients_new(100);
    assert_true(clients_origin(c, 5) == CLIENTS_NOWHERE);
    clients_enter(c, &(struct wire_clients){.first = 5, .step = 2, .count = 3}, 77);
    assert_int_equal(clients_origin(c, 5), 77);
    assert_true(clients_origin(c, 6) == CLIENTS_NOWHERE);
    assert_int_equal(clients_origin(c, 9), 77);
    assert_true(clients_origin(c, 11) == CLIENTS_NOWHERE);
    clients_asked(c, 7, 78);
    assert_int_equal(clients_origin(c, 7), 78);
    clients_enter(c, &(struct wire_clients){.first = 5, .step = 2, .count = 3}, 79);
    assert_int_equal(clients_origin(c, 7), 79);
}

static void more_clients_than_there_is_room_for_are_not_noted(void **state) {
    (void)state;
    cleanup(clients_freep) struct clients *c = clients_new(10);
    clients_enter(c, &(struct wire_clients){.first = 1, .step = 1, .count = UINT32_MAX}, 7);
    assert_int_equal(clients_origin(c, 10), 7);
    assert_true(clients_origin(c, 11) == CLIENTS_NOWHERE);
    clients_asked(c, 11, 8);
    assert_true(clients_origin(c, 11) == CLIENTS_NOWHERE);
    clients_asked(c, 3, 8); /* those who are there move */
    assert_int_equal(clients_origin(c, 3), 8);
}

/*
 * Ids that a multiplication by the golden ratio, as a hash, leaves side by side: multiples of a
 * Fibonacci number. Each would walk past most of those before it, which took ten seconds.
 */
static void ids_that_were_chosen_to_fall_together_do_not(void **state) {
    (void)state;
    const uint32_t fibonacci = UINT32_C(2971215073);
    const struct wire_clients chosen = {.first = 1, .step = fibonacci, .count = UINT32_MAX};
    cleanup(clients_freep) struct clients *c = clients_new(PBFT_CONFIG_DEFAULT.clients_max);
    clock_t begin = clock(); /* of the processor */
    clients_enter(c, &chosen, 7);
    clients_enter(c, &chosen, 8);
    assert_true(clock() - begin < CLOCKS_PER_SEC);
    assert_int_equal(clients_origin(c, 1 + UINT64_C(1000) * fibonacci), 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_where_they_were_named_last),
        cmocka_unit_test(more_clients_than_there_is_room_for_are_not_noted),
        cmocka_unit_test(ids_that_were_chosen_to_fall_together_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
