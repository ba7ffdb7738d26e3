/* Variables: interpolation, and files of NAME=value lines. */

#include "compose/environment.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "A")       ? "a"
           : text_equal(name, "EMPTY") ? ""
           : text_equal(name, "RAW")   ? "${A}"
                                       : NULL;
}
static const struct environment env = {.lookup = lookup};

static void expressions_become_what_compose_says(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"$A", "a"},
        {"x${A}y", "xay"},
        {"$A$A", "aa"},
        {"$A-b", "a-b"},
        {"$A_b", ""},
        {"$$A", "$A"},
        {"$$$A", "$a"},
        {"$${A}", "${A}"},
        {"${NO}", ""},
        {"${NO:-d}", "d"},
        {"${NO-d}", "d"},
        {"${EMPTY:-d}", "d"},
        {"${EMPTY-d}", ""},
        {"${A:-d}", "a"},
        {"${A:+there}", "there"},
        {"${EMPTY:+there}", ""},
        {"${EMPTY+there}", "there"},
        {"${NO+there}", ""},
        {"${A:?m}", "a"},
        {"${EMPTY?m}", ""},
        {"${NO:-${A}}", "a"},
        {"${NO:-x${NO2:-y$A}z}!", "xyaz!"},
        {"${NO:-}", ""},
        {"${NO:-:-?}", ":-?"},
        {"${NO:-a$$}", "a$"},
        {"$RAW", "${A}"}, /* values are not looked into */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup_free char *text = NULL;
        if (environment_interpolate(&env, cases[i][0], &text, NULL, &err) < 0)
            fail_msg("%s: %s", cases[i][0], err.text);
        assert_string_equal(text, cases[i][1]);
    }
}

static void bad_expressions_are_errors(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"$", "'$' without a variable's name in '$'"},
        {"5$ ", "'$' without a variable's name in '5$ '"},
        {"$1", "'$' without a variable's name in '$1'"},
        {"${", "'${' without '}' in '${'"},
        {"${A", "'${' without '}' in '${A'"},
        {"${}", "'${}' is not ${NAME} or ${NAME:-default}"},
        {"${A B}", "'${A B}' is not ${NAME} or ${NAME:-default}"},
        {"${A:}", "'${A:}' is not ${NAME} or ${NAME:-default}"},
        {"${A:=x}", "'${A:=x}' is not ${NAME} or ${NAME:-default}"},
        {"${NO:?why $A}", "variable 'NO' must be set: why a"},
        {"${EMPTY:?}", "variable 'EMPTY' must be set"},
        {"${NO:-${A}", "'${' without '}' in '${NO:-${A}'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        char *text = NULL;
        assert_int_equal(environment_interpolate(&env, cases[i][0], &text, NULL, &err), -1);
        assert_string_equal(err.text, cases[i][1]);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_null(text);
    }
}

static void names_that_are_not_set_are_told_once(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *text = NULL;
    cleanup(texts_freep) char **unset = NULL;
    assert_int_equal(
        environment_interpolate(&env, "$NO ${NO} $TOO ${OK:-x} $A $EMPTY", &text, &unset, &err), 0);
    assert_int_equal(texts_count(unset), 2);
    assert_string_equal(unset[0], "NO");
    assert_string_equal(unset[1], "TOO");
}

static const char *lookup_long(void *arg, const char *name) {
    (void)name;
    return arg;
}

static void values_cannot_grow_without_end(void **state) {
    (void)state;
    cleanup_free char *value = mem_zero(1, 64 * 1024 + 1);
    memset(value, 'v', 64 * 1024);
    struct environment long_env = {.lookup = lookup_long, .arg = value};
    struct error err = ERROR_NULL;
    char *text = NULL;
    assert_int_equal(environment_interpolate(&long_env, "$A$A$A$A$A", &text, NULL, &err), -1);
    assert_non_null(strstr(err.text, "becomes larger than 262144 bytes"));
}

/* ---- files ---- */

static struct env_pair *pairs_of(const char *text) {
    struct error err = ERROR_NULL;
    struct env_pair *pairs = NULL;
    if (env_file_parse("f", text, strlen(text), &env, &pairs, &err) < 0)
        fail_msg("%s", err.text);
    return pairs;
}

static void lines_of_env_files_are_read_as_compose_reads_them(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"X=1", "X", "1"},
        {"X=", "X", ""},
        {"X = 1 ", "X", "1"},
        {"export X=1", "X", "1"},
        {"  # comment\n\nX=1 # one", "X", "1"},
        {"X=a#b", "X", "a#b"},
        {"X='a # $A \\n'", "X", "a # $A \\n"},
        {"X=\"a\\n$A\\t\\\"q\\\" \\$A\" # c", "X", "a\na\t\"q\" $A"},
        {"X=\"two\nlines\"\nY=1", "X", "two\nlines"},
        {"X=${A}b", "X", "ab"},
        {"Y=1\nX=$Y", "X", "1"},
        {"A=9\nX=$A", "X", "a"}, /* the environment stands above the file */
        {"X: 1", "X", "1"},
        {"X=1\nX=2", "X", "2"},
        {"X=1\r\nY=2\r\n", "X", "1"},
        {"\xef\xbb\xbfX=1", "X", "1"},
        {"A", "A", "a"},
        {"X", "X", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct env_pair *pairs = pairs_of(cases[i][0]);
        const struct env_pair *pair = env_pairs_find(pairs, cases[i][1]);
        if (!pair || !text_equal(pair->value, cases[i][2]))
            fail_msg("%s: '%s'", cases[i][0], pair ? pair->value : "no such name");
        env_pairs_free(pairs);
    }
}

static void bad_lines_of_env_files_are_named(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"X=1\n=2", "f:2: not NAME=value"},
        {"a b=1", "f:1: not NAME=value"},
        {"X=\"1\n\n", "f:1: a quote that is not closed"},
        {"X='1' 2", "f:1: something behind the closing quote"},
        {"\nX=${", "f:2: '${' without '}' in '${'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct env_pair *pairs = NULL;
        assert_int_equal(env_file_parse("f", cases[i][0], strlen(cases[i][0]), &env, &pairs, &err),
                         -1);
        assert_string_equal(err.text, cases[i][1]);
    }
    struct error err = ERROR_NULL;
    struct env_pair *pairs = NULL;
    assert_int_equal(env_file_parse("f", "X=\0y", 4, &env, &pairs, &err), -1);
}

static void lists_of_pairs_are_bounded_and_keep_one_of_each(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct env_pair *pairs = NULL;
    for (int i = 0; i < ENV_PAIRS_MAX; i++) {
        cleanup_free char *name = text_format("N%d", i);
        assert_int_equal(env_pairs_set(&pairs, name, "1", &err), 0);
    }
    assert_int_equal(env_pairs_set(&pairs, "N7", "2", &err), 0);
    assert_string_equal(env_pairs_find(pairs, "N7")->value, "2");
    assert_int_equal(env_pairs_set(&pairs, "one more", "1", &err), -1);
    assert_int_equal(env_pairs_count(pairs), ENV_PAIRS_MAX);
    env_pairs_free(pairs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_become_what_compose_says),
        cmocka_unit_test(bad_expressions_are_errors),
        cmocka_unit_test(names_that_are_not_set_are_told_once),
        cmocka_unit_test(values_cannot_grow_without_end),
        cmocka_unit_test(lines_of_env_files_are_read_as_compose_reads_them),
        cmocka_unit_test(bad_lines_of_env_files_are_named),
        cmocka_unit_test(lists_of_pairs_are_bounded_and_keep_one_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
