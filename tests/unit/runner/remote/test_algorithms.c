/* Lists of algorithms, as ssh_config(5) has them. */

#include "lib/cleanup.h"
#include "runner/remote/algorithms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_sign_says_what_a_list_does_to_ours(void **state) {
    (void)state;
    static const struct {
        const char *wanted, *expected;
    } cases[] = {
        {NULL, "a1,a2,b1"},      {"", "a1,a2,b1"}, {"x,y", "x,y"},
        {"+x,a1", "a1,a2,b1,x"}, {"-a*", "b1"},    {"-b1,a1", "a2"},
        {"^b1,x", "b1,x,a1,a2"}, {"-*", ""},       {"x,,x,y", "x,y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *list = algorithms_apply("a1,a2,b1", cases[i].wanted);
        assert_string_equal(list, cases[i].expected);
    }
}

static void those_by_which_a_host_is_known_come_first_if_we_have_them(void **state) {
    (void)state;
    cleanup_free char *known = algorithms_prefer("a,b,c", "x,c,b");
    assert_string_equal(known, "c,b,a");
    cleanup_free char *unknown = algorithms_prefer("a,b,c", "");
    assert_string_equal(unknown, "a,b,c");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sign_says_what_a_list_does_to_ours),
        cmocka_unit_test(those_by_which_a_host_is_known_come_first_if_we_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
