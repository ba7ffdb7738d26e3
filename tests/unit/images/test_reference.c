/* Image references are read by the distribution project's grammar and Docker's short forms. */

#include "images/reference.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void what_users_write_is_completed_and_shortened_again(void **state) {
    (void)state;
    static const struct {
        const char *text, *full, *familiar;
    } good[] = {
        {"redis", "docker.io/library/redis", "redis"},
        {"redis:7", "docker.io/library/redis:7", "redis:7"},
        {"team/app", "docker.io/team/app", "team/app"},
        {"docker.io/redis", "docker.io/library/redis", "redis"},
        {"docker.io/library/redis:7", "docker.io/library/redis:7", "redis:7"},
        {"index.docker.io/redis", "docker.io/library/redis", "redis"},
        {"docker.io/a.b/c", "docker.io/a.b/c", "docker.io/a.b/c"},
        {"docker.io/localhost/c", "docker.io/localhost/c", "docker.io/localhost/c"},
        {"library/a/b", "docker.io/library/a/b", "library/a/b"},
        {"localhost/app", "localhost/app", "localhost/app"},
        {"localhost:5000/app:x", "localhost:5000/app:x", "localhost:5000/app:x"},
        {"host:5000", "docker.io/library/host:5000", "host:5000"},
        {"127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c"},
        {"[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"},
        {"Host/app", "Host/app", "Host/app"},
        {"ghcr.io/Org-less/app", NULL, NULL},
        {"a__b/c-d--e/f.g_h", "docker.io/a__b/c-d--e/f.g_h", "a__b/c-d--e/f.g_h"},
        {"app:_A.b-9", "docker.io/library/app:_A.b-9", "app:_A.b-9"},
        {"app@sha256:" HEX64, "docker.io/library/app@sha256:" HEX64, "app@sha256:" HEX64},
        {"r.io/app:1@sha256:" HEX64, "r.io/app:1@sha256:" HEX64, "r.io/app:1@sha256:" HEX64},
        {"app@sha512:" HEX64 HEX64, "docker.io/library/app@sha512:" HEX64 HEX64,
         "app@sha512:" HEX64 HEX64},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error err = ERROR_NULL;
        struct reference r;
        char text[REFERENCE_TEXT_SIZE];
        int result = reference_parse(good[i].text, &r, &err);
        if (!good[i].full) {
            assert_int_equal(result, -1);
            continue;
        }
        if (result < 0)
            fail_msg("%s", err.text);
        assert_string_equal(reference_text(&r, text), good[i].full);
        assert_string_equal(reference_familiar(&r, text), good[i].familiar);
        struct reference again;
        assert_int_equal(reference_parse(text, &again, &err), 0);
        assert_string_equal(again.path, r.path);
        assert_string_equal(again.domain, r.domain);
    }
}

static void what_is_no_reference_is_refused_with_its_reason(void **state) {
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "it is empty"},
        {HEX64, "are an id"},
        {"App", "lower case"},
        {"team/App", "lower case"},
        {"-app", "letters and digits"},
        {"app-", "letters and digits"},
        {"a..b", "letters and digits"},
        {"a___b", "letters and digits"},
        {"a//b", "letters and digits"},
        {"/a", "letters and digits"},
        {"a/", "letters and digits"},
        {"a b", "letters and digits"},
        {"a\n", "letters and digits"},
        {"caf\xc3\xa9", "letters and digits"},
        {"${IMAGE}", "lower case"},
        {"app:", "the tag"},
        {"app:a/b", "no host name"},
        {"app:-x", "the tag"},
        {"app:x:y", "the tag"},
        {"app@", "the digest"},
        {"app@sha256:abc", "the digest"},
        {"app@sha256:" HEX64 "0", "the digest"},
        {"app@md5:" HEX64, "the digest"},
        {"app@SHA256:" HEX64, "the digest"},
        {"r.io:/app", "no host name"},
        {"r.io:x/app", "no host name"},
        {"-r.io/app", "no host name"},
        {"r-.io/app", "no host name"},
        {"r..io/app", "no host name"},
        {"[::1/app", "no host name"},
        {"https://r.io/app", "no host name"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_NULL;
        struct reference r = {.tag = "untouched"};
        if (reference_parse(bad[i].text, &r, &err) != -1)
            fail_msg("'%s' was accepted", bad[i].text);
        assert_int_equal(err.kind, ERROR_INVALID);
        if (!strstr(err.text, bad[i].why))
            fail_msg("'%s' says: %s", bad[i].text, err.text);
        assert_string_equal(r.tag, "untouched");
    }
}

static void names_and_tags_have_their_maximum(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct reference r;
    char text[2000];
    char long_name[301], long_tag[130];
    memset(long_name, 'a', sizeof long_name);
    memset(long_tag, 't', sizeof long_tag);
    snprintf(text, sizeof text, "r.io/%.250s:%.128s", long_name, long_tag);
    assert_int_equal(reference_parse(text, &r, &err), 0);
    snprintf(text, sizeof text, "r.io/%.251s", long_name);
    assert_int_equal(reference_parse(text, &r, &err), -1);
    snprintf(text, sizeof text, "%.250s.io/%.251s", long_name, long_name);
    assert_int_equal(reference_parse(text, &r, &err), -1);
    snprintf(text, sizeof text, "%.300s.io/a", long_name);
    assert_int_equal(reference_parse(text, &r, &err), -1);
    snprintf(text, sizeof text, "a:%.129s", long_tag);
    assert_int_equal(reference_parse(text, &r, &err), -1);
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(reference_parse(text, &r, &err), -1);
}

static void latest_is_the_tag_of_those_that_have_none(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct reference r;
    char text[REFERENCE_TEXT_SIZE];
    assert_int_equal(reference_parse("app", &r, &err), 0);
    reference_default_tag(&r);
    assert_string_equal(reference_familiar(&r, text), "app:latest");
    assert_string_equal(reference_familiar_name(&r, text), "app");
    assert_int_equal(reference_parse("app:1", &r, &err), 0);
    reference_default_tag(&r);
    assert_string_equal(reference_familiar(&r, text), "app:1");
    assert_int_equal(reference_parse("app@sha256:" HEX64, &r, &err), 0);
    reference_default_tag(&r);
    assert_string_equal(r.tag, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_users_write_is_completed_and_shortened_again),
        cmocka_unit_test(what_is_no_reference_is_refused_with_its_reason),
        cmocka_unit_test(names_and_tags_have_their_maximum),
        cmocka_unit_test(latest_is_the_tag_of_those_that_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
