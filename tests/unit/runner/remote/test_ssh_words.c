/* Patterns and words of ssh_config(5). */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_config.h"
#include "runner/remote/ssh_pattern.h"
#include "runner/remote/ssh_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void patterns_match_as_ssh_config_says(void **state) {
    (void)state;
    static const struct {
        const char *text, *pattern;
        bool match;
    } cases[] = {
        {"", "", true},           {"", "*", true},       {"a", "", false},
        {"abc", "a*c", true},     {"abc", "a?c", true},  {"ac", "a?c", false},
        {"abc", "*b*", true},     {"abc", "**c", true},  {"abc", "abc*", true},
        {"aXbXc", "a*b*c", true}, {"aab", "a*ab", true}, {"aaab", "*aab", true},
        {"abab", "*ab?", false},  {"a.b", "a.b", true},  {"axb", "a.b", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ssh_pattern_match(cases[i].text, cases[i].pattern, strlen(cases[i].pattern)) !=
            cases[i].match)
            fail_msg("'%s' and '%s'", cases[i].text, cases[i].pattern);
}

static void lists_are_forbidden_by_one_negation(void **state) {
    (void)state;
    static const struct {
        const char *text, *list;
        bool fold;
        int result;
    } cases[] = {
        {"a", "a,b", false, 1},   {"c", "a,b", false, 0},   {"a", "*,!a", false, -1},
        {"b", "*,!a", false, 1},  {"a", "!b", false, 0},    {"a", "", false, 0},
        {"a", ",,", false, 0},    {"a", "!", false, 0},     {"abc", "ABC", true, 1},
        {"abc", "ABC", false, 0}, {"a", "x,!*", false, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ssh_pattern_list(cases[i].text, cases[i].list, strlen(cases[i].list), cases[i].fold) !=
            cases[i].result)
            fail_msg("'%s' and '%s'", cases[i].text, cases[i].list);
}

/* Naive matching would take longer than the age of the universe; this test would not end. */
static void many_stars_are_matched_in_no_time(void **state) {
    (void)state;
    enum { STARS = 2000 };
    cleanup_free char *text = mem_alloc(STARS + 1), *pattern = mem_alloc(2 * STARS + 2);
    memset(text, 'a', STARS);
    text[STARS] = '\0';
    for (size_t i = 0; i < STARS; i++)
        memcpy(pattern + 2 * i, "a*", 2);
    strcpy(pattern + 2 * STARS, "b");
    assert_false(ssh_pattern_match(text, pattern, strlen(pattern)));
}

static void words_are_split_with_quotes_escapes_and_comments(void **state) {
    (void)state;
    static const struct {
        const char *text, *joined; /* with | between */
    } cases[] = {
        {"a b", "a|b|"},     {"  a\tb  ", "a|b|"},      {"\"a b\" c", "a b|c|"},
        {"a\\ b", "a b|"},   {"'a \"b\"'", "a \"b\"|"}, {"a # b", "a|"},
        {"a#b", "a#b|"},     {"\"\" x", "|x|"},         {"\"a\\\"b\"", "a\"b|"},
        {"a\\nb", "a\\nb|"}, {"x\"y z\"w", "xy zw|"},   {"", ""},
        {"#", ""},           {"\\\\a", "\\a|"},         {"'a\\'b'", "a'b|"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(ssh_words_deinit) struct ssh_words words = SSH_WORDS_NULL;
        struct error err = ERROR_NULL;
        assert_int_equal(ssh_words_split(cases[i].text, &words, &err), 0);
        char joined[128] = "";
        for (size_t j = 0; j < words.count; j++) {
            strcat(joined, words.words[j]);
            strcat(joined, "|");
        }
        assert_string_equal(joined, cases[i].joined);
    }
}

static void a_quote_that_is_not_closed_is_an_error(void **state) {
    (void)state;
    static const char *const texts[] = {"\"a", "'", "a 'b", "\"a\\\""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ssh_words words = SSH_WORDS_NULL;
        struct error err = ERROR_NULL;
        assert_int_equal(ssh_words_split(texts[i], &words, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static const char *variable(const char *name) {
    return strcmp(name, "V") == 0 ? "%h" : NULL;
}

static void tokens_are_filled_in_once(void **state) {
    (void)state;
    const struct ssh_config_token tokens[] = {{'h', "host"}, {'r', "%h${V}"}, {0, NULL}};
    static const struct {
        const char *text, *filled; /* NULL: refused */
    } cases[] = {
        {"a%hb%%", "ahostb%"}, {"%r", "%h${V}"}, {"${V}", "%h"}, {"%", NULL}, {"%x", NULL},
        {"${W}", NULL},        {"${V", NULL},    {"$V", "$V"},   {"$", "$"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *filled = NULL;
        struct error err = ERROR_NULL;
        int r = ssh_config_expand(cases[i].text, tokens, variable, &filled, &err);
        assert_int_equal(r, cases[i].filled ? 0 : -1);
        if (cases[i].filled)
            assert_string_equal(filled, cases[i].filled);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_as_ssh_config_says),
        cmocka_unit_test(lists_are_forbidden_by_one_negation),
        cmocka_unit_test(many_stars_are_matched_in_no_time),
        cmocka_unit_test(words_are_split_with_quotes_escapes_and_comments),
        cmocka_unit_test(a_quote_that_is_not_closed_is_an_error),
        cmocka_unit_test(tokens_are_filled_in_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
