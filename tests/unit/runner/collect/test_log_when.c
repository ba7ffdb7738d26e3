/* Moments as `docker logs --since` takes them. */

#include "runner/collect/log_when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void moments_are_read_as_docker_reads_them(void **state) {
    (void)state;
    static const struct wall_time now = {1795180920000000000};
    static const struct {
        const char *text;
        int64_t ns; /* 0: an error */
    } cases[] = {
        {"2026-11-20T13:22:00Z", 1795180920000000000},
        {"2026-11-20T13:22:00.25Z", 1795180920250000000},
        {"2026-11-20T15:22:00+02:00", 1795180920000000000},
        {"2026-11-20T13:22:00", 1795177320000000000}, /* in a zone an hour east */
        {"2026-11-20T13:22", 1795177320000000000},
        {"2026-11-20T13", 1795176000000000000},
        {"2026-11-20", 1795129200000000000},
        {"2026-11-20Z", 1795132800000000000},
        {"2026-11-20T13:22Z", 1795180920000000000},
        {"1795180920", 1795180920000000000},
        {"1795180920.000000001", 1795180920000000001},
        {"10m", 1795180320000000000},
        {"1h30m", 1795175520000000000},
        {"0", 0},
        {"", 0},
        {"yesterday", 0},
        {"10x", 0},
        {"12.5.6", 0},
        {"2026-11", 0},
        {"2026-11-20T13:22:00Q", 0},
        {"99999999999999999999", 0},
    };
    setenv("TZ", "EAST-1", 1);
    tzset();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct wall_time t = {0};
        int r = log_when(cases[i].text, now, &t, &err);
        if (t.ns != cases[i].ns)
            fail_msg("'%s' is %lld", cases[i].text, (long long)t.ns);
        if (r < 0)
            assert_int_equal(err.kind, ERROR_INVALID);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_read_as_docker_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
