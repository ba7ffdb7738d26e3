/* `.dockerignore` is read as Docker reads it, at a cost that does not show. */

#include "images/ignore.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct example {
    const char *rules, *path;
    bool excluded;
};

static void check(const struct example *examples, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct error err = ERROR_NULL;
        cleanup(ignore_freep) struct ignore *rules = NULL;
        const struct example *e = &examples[i];
        if (ignore_parse(e->rules, strlen(e->rules), &rules, &err) < 0)
            fail_msg("'%s': %s", e->rules, err.text);
        if (ignore_matches(rules, e->path) != e->excluded)
            fail_msg("rules '%s', path '%s': expected %s", e->rules, e->path,
                     e->excluded ? "excluded" : "kept");
    }
}

#define CHECK(examples) check(examples, sizeof(examples) / sizeof *(examples))

static void lines_are_cleaned_before_they_are_patterns(void **state) {
    (void)state;
    static const struct example examples[] = {
        {"", "a", false},
        {"# a\n", "a", false},
        {"#a", "#a", false},
        {" #a", "#a", true}, /* only in the first column */
        {"\\#a", "#a", true},
        {"  a  \n", "a", true},
        {"\t a b \r\n", "a b", true},
        {"\xc2\xa0"
         "a\xe3\x80\x80",
         "a", true},
        {"\n\na\n", "a", true},
        {"a", "b", false},
        {"\xef\xbb\xbf"
         "a",
         "a", true},
        {"\xef\xbb\xbf# a\nb", "b", true},
        {"b\n\xef\xbb\xbf"
         "a",
         "a", false}, /* a mark is one at the front only */
        {"/a", "a", true},
        {"/a/b", "a/b", true},
        {"a/", "a", true},
        {"a//b/./c/", "a/b/c", true},
        {"a/../b", "b", true},
        {"../../a", "a", false},
        {"/../a", "a", true},
        {"./a", "a", true},
        {".", "a", false},
        {"/", "a", false},
        {"a /", "a", true},
        {"!a\nb\n", "a", false},
        {"*\n! a", "a", false},
        {"*\n!/a/", "a", false},
        {"*\n./!a", "a", false}, /* an exception after cleaning */
        {"*\n!!a", "!a", false},
        {"*\n!!a", "a", true},
        {"\\!a", "!a", true},
    };
    CHECK(examples);
}

static void wildcards_match_as_documented(void **state) {
    (void)state;
    static const struct example examples[] = {
        {"*", "a", true},
        {"*", "a/b", true}, /* its folder is matched */
        {"*/temp*", "somedir/temporary.txt", true},
        {"*/temp*", "somedir/temp", true},
        {"*/temp*", "temp", false},
        {"*/temp*", "a/b/temp", false},
        {"*/*/temp*", "somedir/subdir/temporary.txt", true},
        {"temp?", "tempa", true},
        {"temp?", "temp", false},
        {"temp?", "tempab", false},
        {"a?b", "a/b", false},
        {"a*b", "a/b", false},
        {"*.md", "README.md", true},
        {"*.md", "docs/README.md", false},
        {"*.md", "README.md.txt", false},
        {"a.c", "abc", false}, /* a point is a point */
        {"a+b(c){1}|$", "a+b(c){1}|$", true},
        {"*+b(c){1}|$", "a+b(c){1}|$", true},
        {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false},
        {"[^a-c]x", "dx", true},
        {"[^a-c]x", "ax", false},
        {"[^a]b", "/b", true},
        {"a[^x]b", "a/b", true}, /* as a Go expression does */
        {"[!a]", "!", true},     /* '!' does not negate */
        {"[!a]", "b", false},
        {"[\\]]", "]", true},
        {"[\\-a]", "-", true},
        {"[a^]", "^", true},
        {"a]", "a]", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"a\\?", "a?", true},
        {"a\\?", "ab", false},
        {"?", "\xc3\xa9", true}, /* one character, two bytes */
        {"[\xc3\xa0-\xc3\xaa]", "\xc3\xa9", true},
        {"caf\xc3\xa9*", "caf\xc3\xa9s", true},
        {"?", "\xff", true},
        {"\xff", "\xff", true},
        {"\xff*", "\xfe", true}, /* both are U+FFFD to Go */
        {"a*", "a\nb", true},
        {"a?b", "a\nb", true},
    };
    CHECK(examples);
}

static void two_stars_match_any_number_of_folders(void **state) {
    (void)state;
    static const struct example examples[] = {
        {"**", "a", true},
        {"**", "a/b/c", true},
        {"**/foo", "foo", true},
        {"**/foo", "a/b/foo", true},
        {"**/foo", "a/xfoo", false},
        {"**/foo", "foo/below", true},
        {"**foo", "xfoo", true},
        {"**foo", "a/xfoo", true},
        {"**/*.go", "a/b/c.go", true},
        {"**/*.go", "c.go", true},
        {"**/*.go", "c.gox", false},
        {"foo/**", "foo/a/b", true},
        {"foo/**", "foo", false},
        {"foo/**", "foobar", false},
        {"foo**", "foobar", true},
        {"foo**", "foo/bar", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/xb", false},
        {"a**b", "axb", false}, /* Docker's `**` ends at a '/' */
        {"a**b", "ax/b", true},
        {"a**b", "ab", true},
        {"**/a/**/b/**", "x/a/y/b/z", true},
        {"**/a/**/b/**", "x/a/y/b", false},
        {"**/**", "a/b", true},
        {"**/a*/b?", "x/y/ab/bc", true},
        {"dir/**/*.txt", "dir/a/b.txt", true},
        {"dir/**/*.txt", "dir/b.txt", true},
        {"**/[a-b]c", "x/y/bc", true},
        {"*/**", "a", false},
        {"*/**", "a/b", true},
        {"x*/**/b", "x/\n/b", false}, /* Go's '.' is no newline */
        {"**/b", "x/\n/b", true},     /* but that one is no expression */
    };
    CHECK(examples);
}

static void the_last_pattern_that_matches_decides(void **state) {
    (void)state;
    static const struct example examples[] = {
        {"*.md\n!README.md", "README.md", false},
        {"*.md\n!README.md", "other.md", true},
        {"*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true},
        {"*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false},
        {"a\n!a/b", "a/b", false},
        {"a\n!a/b", "a/c", true},
        {"a\n!a/b", "a/b/c", false},
        {"a\n!a/b\na/b/c", "a/b/c", true},
        {"a\n!a/b\na", "a/b", true},
        {"a/b\n!a", "a/b", false},
        {"!a\na", "a", true},
        {"*\n!src", "src/main.c", false},
        {"*\n!**/*.c", "src/main.c", false},
        {"*\n!**/*.c", "src/main.h", true},
        {"docs\n!docs/**/*.md", "docs/a/b.md", false},
    };
    CHECK(examples);
}

static void what_docker_refuses_or_twists_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *rules, *says;
    } bad[] = {
        {"a\n!\n", "line 2: there is no pattern after '!'"},
        {"!/", "line 1: there is no pattern after '!'"},
        {"[", "line 1: pattern '[': a '[' has no ']', or nothing is between them"},
        {"[]", "line 1: pattern '[]': a '[' has no ']', or nothing is between them"},
        {"[^]", "line 1: pattern '[^]': a '[' has no ']', or nothing is between them"},
        {"[a", "line 1: pattern '[a': a '[' has no ']', or nothing is between them"},
        {"[a-]", "line 1: pattern '[a-]': a '[' has no ']', or nothing is between them"},
        {"[-a]", "line 1: pattern '[-a]': a '-' in '[...]' that is no range must be '\\-'"},
        {"[b-a]", "line 1: pattern '[b-a]': a range in '[...]' ends before it begins"},
        {"a\\", "line 1: pattern 'a\\': there is nothing after the last '\\'"},
        {"\\d", "line 1: pattern '\\d': '\\' before a letter or digit has a meaning of its own in "
                "Docker; leave it out"},
        {"[*]",
         "line 1: pattern '[*]': '*' inside of '[...]' has a meaning of its own in Docker; use "
         "'\\*' outside of brackets"},
        {"[[:alpha:]]",
         "line 1: pattern '[[:alpha:]]': '[' inside of '[...]' has a meaning of its own in "
         "Docker; use '\\[' outside of brackets"},
        {"a^*", "line 1: pattern 'a^*': '^' beside wildcards has a meaning of its own in Docker"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct ignore *rules = NULL;
        assert_int_equal(ignore_parse(bad[i].rules, strlen(bad[i].rules), &rules, &err), -1);
        assert_string_equal(err.text, bad[i].says);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_null(rules);
    }
    struct error err = ERROR_NULL;
    struct ignore *rules = NULL;
    assert_int_equal(ignore_parse("a\0b", 3, &rules, &err), -1);
    assert_string_equal(err.text, "line 1 has a NUL byte");
    cleanup_free char *large = mem_zero(1, IGNORE_BYTES_MAX + 1);
    memset(large, 'x', IGNORE_BYTES_MAX + 1);
    assert_int_equal(ignore_parse(large, IGNORE_BYTES_MAX + 1, &rules, &err), -1);
    assert_int_equal(ignore_parse(large, IGNORE_LINE_MAX + 1, &rules, &err), -1);
    assert_string_equal(err.text, "line 1 is longer than 4096 bytes");
    for (size_t i = 1; i <= IGNORE_BYTES_MAX; i += 2)
        large[i] = '\n';
    assert_int_equal(ignore_parse(large, IGNORE_BYTES_MAX, &rules, &err), -1);
    assert_string_equal(err.text, "line 10001: more than 10000 patterns");
}

static void a_walk_sees_what_single_questions_see(void **state) {
    (void)state;
    static const char text[] = "a\n!a/b\na/b/c\n**/x*\n!**/xy\n*/q/**\n";
    struct error err = ERROR_NULL;
    cleanup(ignore_freep) struct ignore *rules = NULL;
    assert_int_equal(ignore_parse(text, strlen(text), &rules, &err), 0);
    static const char *const names[] = {"a", "b", "c", "xy", "xz", "q"};
    uint64_t top[1], middle[1], leaf[1];
    assert_int_equal(ignore_words(rules), 1);
    for (int i = 0; i < 6 * 6 * 6; i++) {
        char path[20];
        snprintf(path, sizeof path, "%s", names[i % 6]);
        assert_int_equal(ignore_matches_below(rules, path, NULL, top), ignore_matches(rules, path));
        snprintf(path, sizeof path, "%s/%s", names[i % 6], names[i / 6 % 6]);
        assert_int_equal(ignore_matches_below(rules, path, top, middle),
                         ignore_matches(rules, path));
        snprintf(path, sizeof path, "%s/%s/%s", names[i % 6], names[i / 6 % 6], names[i / 36]);
        assert_int_equal(ignore_matches_below(rules, path, middle, leaf),
                         ignore_matches(rules, path));
    }
}

static void folders_are_entered_only_if_an_exception_can_reach_them(void **state) {
    (void)state;
    static const struct {
        const char *rules, *folder;
        bool reaches;
    } cases[] = {
        {"a", "a", false},
        {"a\n!b", "a", false},
        {"a\n!a", "a", false},
        {"a\n!a/b", "a", true},
        {"a\n!a/b/c", "a/b", true},
        {"a\n!a/b/c", "a/x", false},
        {"a\n!ab/c", "a", false},
        {"*\n!**/*.c", "a/b", true},
        {"*\n!src/**", "src", true},
        {"*\n!src/**", "src/a/b", true},
        {"*\n!src/**", "doc", false},
        {"*\n!src/*.c", "srcs", false},
        {"*\n!s*/a", "src", true},
        {"*\n!s*/a", "doc", false},
        {"*\n!\\*/a", "doc", true}, /* certain is only the no */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup(ignore_freep) struct ignore *rules = NULL;
        assert_int_equal(ignore_parse(cases[i].rules, strlen(cases[i].rules), &rules, &err), 0);
        if (ignore_reaches_into(rules, cases[i].folder) != cases[i].reaches)
            fail_msg("rules '%s', folder '%s'", cases[i].rules, cases[i].folder);
    }
}

static void no_pattern_takes_more_than_its_length_times_the_paths(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text, path;
    buffer_init(&text, 1 << 16);
    buffer_init(&path, 1 << 16);
    for (int i = 0; i < 500; i++)
        buffer_text(&text, "*a**/?*");
    for (int i = 0; i < 4000; i++)
        buffer_text(&path, "a");
    buffer_text(&text, "b?");
    cleanup(ignore_freep) struct ignore *rules = NULL;
    assert_int_equal(ignore_parse(text.data, text.size, &rules, &err), 0);
    assert_false(ignore_matches(rules, path.data)); /* or it does not return in this century */
}

static void twenty_thousand_files_and_fifty_patterns_are_cheap(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "**/*.pyc",    "build/*", "**/node_modules", ".git",      "*.o",          "docs/**/*.md",
        "**/*.[oa]",   "tmp?",    "!docs/index.md",  "out/**",    "**/.cache/**", "a/b/c",
        "**/test_*.c", "*.log",   "src/**/gen_*",    "*/*/*.tmp",
    };
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 1 << 16);
    for (size_t i = 0; i < 50; i++)
        buffer_format(&text, "%s\n", patterns[i % 16]);
    cleanup(ignore_freep) struct ignore *rules = NULL;
    assert_int_equal(ignore_parse(text.data, text.size, &rules, &err), 0);
    struct instant start = clock_instant();
    size_t excluded = 0;
    uint64_t none[1] = {0}, own[1];
    for (int i = 0; i < 20000; i++) {
        char path[64];
        snprintf(path, sizeof path, "src/module%d/include/file%d.h", i / 200, i);
        excluded += ignore_matches_below(rules, path, none, own);
    }
    uint64_t ns = instant_ns_between(start, clock_instant());
    print_message("%.0f ns for one path and 50 patterns\n", (double)ns / 20000);
    assert_int_equal(excluded, 0);
    assert_true(ns < 20 * NS_PER_SEC); /* a wall for exponential time, not a measurement */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_cleaned_before_they_are_patterns),
        cmocka_unit_test(wildcards_match_as_documented),
        cmocka_unit_test(two_stars_match_any_number_of_folders),
        cmocka_unit_test(the_last_pattern_that_matches_decides),
        cmocka_unit_test(what_docker_refuses_or_twists_is_refused_with_its_line),
        cmocka_unit_test(a_walk_sees_what_single_questions_see),
        cmocka_unit_test(folders_are_entered_only_if_an_exception_can_reach_them),
        cmocka_unit_test(no_pattern_takes_more_than_its_length_times_the_paths),
        cmocka_unit_test(twenty_thousand_files_and_fifty_patterns_are_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
