/* The core needs nothing from outside: no I/O, no clock, no allocation. Its undefined symbols say
 * so. */

#include "lib/cleanup.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SYMBOLS_MAX = 4096, SYMBOL_SIZE = 128 };

struct symbols {
    char names[SYMBOLS_MAX][SYMBOL_SIZE];
    size_t count;
};

static const char *const allowed[] = {
    "memcpy", "memset", "memcmp", "memmove", "__assert_fail", "__stack_chk_fail",
};

/* What sanitizers, coverage and fuzzers put in. */
static const char *const instrumentation[] = {
    "__asan_",
    "__ubsan_",
    "__tsan_",
    "__sanitizer_",
    "__sancov_",
    "__gcov_",
    "_GLOBAL_OFFSET_TABLE_",
};

static bool in(const struct symbols *symbols, const char *name) {
    for (size_t i = 0; i < symbols->count; i++)
        if (strcmp(symbols->names[i], name) == 0)
            return true;
    return false;
}

static void read_symbols(const char *library, const char *option, struct symbols *ret) {
    cleanup_free char *command = text_format("nm -P %s '%s'", option, library);
    char line[512];
    FILE *f = popen(command, "r");
    assert_non_null(f);
    ret->count = 0;
    while (fgets(line, sizeof line, f)) {
        if (!strchr(line, ' '))
            continue; /* the name of a member */
        line[strcspn(line, " ")] = '\0';
        assert_true(ret->count < SYMBOLS_MAX && strlen(line) < SYMBOL_SIZE);
        strcpy(ret->names[ret->count++], line);
    }
    assert_int_equal(pclose(f), 0);
}

static bool may_be_undefined(const char *name) {
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        if (strcmp(name, allowed[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof instrumentation / sizeof *instrumentation; i++)
        if (text_starts(name, instrumentation[i]))
            return true;
    return false;
}

/* The first symbol that the library needs and may not, or NULL. */
static const char *first_impurity(const char *library, struct symbols *needed) {
    cleanup_free struct symbols *defined = malloc(sizeof *defined);
    read_symbols(library, "-g --defined-only", defined);
    read_symbols(library, "-u", needed);
    assert_true(defined->count > 0);
    for (size_t i = 0; i < needed->count; i++)
        if (!may_be_undefined(needed->names[i]) && !in(defined, needed->names[i]))
            return needed->names[i];
    return NULL;
}

static void the_core_needs_nothing_from_outside(void **state) {
    (void)state;
    cleanup_free struct symbols *needed = malloc(sizeof *needed);
    const char *impurity = first_impurity(CORE_LIBRARY, needed);
    if (impurity)
        fail_msg("executor/pbft uses '%s'", impurity);
}

/* Data that can change would be state outside of the core. */
static void the_core_keeps_nothing_outside_of_its_memory(void **state) {
    (void)state;
    char line[512];
    FILE *f = popen("nm '" CORE_LIBRARY "'", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        const char *type = strlen(line) > 18 ? strchr("bBdDcC", line[17]) : NULL;
        if (type && !strstr(line, "__asan") && !strstr(line, "__odr_asan") &&
            !strstr(line, ".Lubsan"))
            fail_msg("executor/pbft has changeable data: %s", line);
    }
    pclose(f);
}

static void a_library_that_needs_more_is_found(void **state) {
    (void)state;
    cleanup_free struct symbols *needed = malloc(sizeof *needed);
    assert_non_null(first_impurity(OTHER_LIBRARY, needed));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_core_needs_nothing_from_outside),
        cmocka_unit_test(the_core_keeps_nothing_outside_of_its_memory),
        cmocka_unit_test(a_library_that_needs_more_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
