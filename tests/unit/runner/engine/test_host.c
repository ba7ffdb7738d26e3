/* Addresses of engines, in full. docker's own answers are the oracle of tests/cli/endpoint.bats. */

#include "runner/engine/host.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void addresses_are_completed(void **state) {
    (void)state;
    static const struct {
        const char *text, *wanted;
        bool tls;
    } cases[] = {
        {"", "unix:///var/run/docker.sock", false},
        {"", "tcp://localhost:2376", true},
        {" \t", "unix:///var/run/docker.sock", false},
        {"unix://", "unix:///var/run/docker.sock", false},
        {"tcp://", "tcp://localhost:2375", false},
        {"tcp://h", "tcp://h:2375", true},
        {"h:65535", "tcp://h:65535", false},
        {"tcp://fe80::1%eth0", "tcp://[fe80::1%eth0]:2375", false},
        {"tcp://[::1]:5", "tcp://[::1]:5", false},
        {"ssh://me@h:22/x", "ssh://me@h:22/x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup_free char *host = NULL;
        assert_int_equal(engine_host_complete(cases[i].text, cases[i].tls, &host, &err), 0);
        assert_string_equal(host, cases[i].wanted);
    }
}

static void what_is_no_address_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "tcp://h:0",    "tcp://h:65536", "tcp://h:x",   "tcp://a@h:1", "tcp://h/p",    "tcp://[::1",
        "tcp://[::1]x", "http://h:1",    "tcp://h\x1b", "a b",         "tcp://h:1\n:", "://"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_NULL;
        char *host = NULL;
        if (engine_host_complete(texts[i], false, &host, &err) == 0)
            fail_msg("'%s' became '%s'", texts[i], host);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_null(strchr(err.text, '\x1b'));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_completed),
        cmocka_unit_test(what_is_no_address_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
