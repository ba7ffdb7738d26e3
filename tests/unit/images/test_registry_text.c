/* What registries say: challenges, tokens, manifests, addresses; and how long to wait for them. */

#include "images/registry.h"
#include "images/registry_challenge.h"
#include "images/registry_url.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void assert_error(const struct error *err, enum error_kind kind, const char *part) {
    if (err->kind != kind || !strstr(err->text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(err->kind), err->text,
                 error_kind_name(kind), part);
}

/* ---- challenges ---- */

static void a_bearer_says_where_for_what_and_for_whom(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct registry_challenge c;
    assert_int_equal(registry_challenge_parse("Bearer realm=\"https://auth.docker.io/token\","
                                              "service=\"registry.docker.io\","
                                              "scope=\"repository:library/redis:pull,push\"",
                                              &c, &err),
                     0);
    assert_int_equal(c.scheme, REGISTRY_BEARER);
    assert_string_equal(c.realm, "https://auth.docker.io/token");
    assert_string_equal(c.service, "registry.docker.io");
    assert_string_equal(c.scope, "repository:library/redis:pull,push");
    assert_string_equal(c.error, "");
}

static void challenges_are_read_as_rfc_9110_writes_them(void **state) {
    (void)state;
    static const struct {
        const char *header;
        enum registry_scheme scheme;
        const char *realm, *error;
    } cases[] = {
        {"Basic realm=\"Registry Realm\"", REGISTRY_BASIC, "", ""},
        {"basic", REGISTRY_BASIC, "", ""},
        {"Basic realm=\"a\", Bearer realm=\"https://b/\"", REGISTRY_BEARER, "https://b/", ""},
        {"Negotiate, Basic realm=x", REGISTRY_BASIC, "", ""},
        {"Digest nonce=\"a,b\", qop=\"auth\" , BEARER  realm = \"https://c/\" ,error=invalid_token",
         REGISTRY_BEARER, "https://c/", "invalid_token"},
        {"Bearer realm=\"https://d/\\\"x\"", REGISTRY_BEARER, "https://d/\"x", ""},
        {"Bearer x=\"1\",realm=\"https://e/\"", REGISTRY_BEARER, "https://e/", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct registry_challenge c;
        if (registry_challenge_parse(cases[i].header, &c, &err) < 0)
            fail_msg("'%s': %s", cases[i].header, err.text);
        assert_int_equal(c.scheme, cases[i].scheme);
        assert_string_equal(c.realm, cases[i].realm);
        assert_string_equal(c.error, cases[i].error);
    }
}

static void a_challenge_that_is_none_is_refused(void **state) {
    (void)state;
    static const char *const headers[] = {
        "",
        "Bearer",
        "Bearer realm=\"https://x",
        "Bearer realm=",
        "Digest nonce=\"x\"",
        "\"Bearer\"",
        "Bearer realm=\"x\" \"y\"",
        "=",
        "Bearer =\"x\"",
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct error err = ERROR_NULL;
        struct registry_challenge c;
        if (registry_challenge_parse(headers[i], &c, &err) == 0)
            fail_msg("'%s' was taken", headers[i]);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
    cleanup_free char *long_realm = mem_zero(1, 3000);
    memset(long_realm, 'a', 2999);
    cleanup_free char *header = text_format("Bearer realm=\"%s\"", long_realm);
    struct error err = ERROR_NULL;
    struct registry_challenge c;
    assert_int_equal(registry_challenge_parse(header, &c, &err), -1);
    assert_error(&err, ERROR_LIMIT, "'realm'");
}

static int token(const char *json, char **ret, uint64_t *ret_seconds, struct error *err) {
    return registry_token_parse(json, strlen(json), ret, ret_seconds, err);
}

static void tokens_have_two_names_and_a_time(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint64_t seconds;
    char *text;
    assert_int_equal(token("{\"token\": \"abc.def\", \"expires_in\": 300}", &text, &seconds, &err),
                     0);
    assert_string_equal(text, "abc.def");
    assert_int_equal(seconds, 300);
    free(text);
    assert_int_equal(token("{\"access_token\": \"x\"}", &text, &seconds, &err), 0);
    assert_string_equal(text, "x");
    assert_int_equal(seconds, 60);
    free(text);
    assert_int_equal(token("{\"token\": \"x\\r\\nHost: y\"}", &text, &seconds, &err), -1);
    assert_error(&err, ERROR_INVALID, "none that can be used");
    assert_null(strstr(err.text, "Host"));
    assert_int_equal(token("{}", &text, &seconds, &err), -1);
}

/* ---- manifests ---- */

static int document(const char *json, const char *media, struct registry_document *ret,
                    struct error *err) {
    return registry_document_parse(json, strlen(json), media, ret, err);
}

static void a_manifest_has_a_configuration_and_layers(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct registry_document d;
    static const char text[] =
        "{\"schemaVersion\": 2, \"mediaType\": \"" MEDIA_MANIFEST "\","
        "\"config\": {\"mediaType\": \"" MEDIA_CONFIG "\", \"size\": 7, \"digest\": \"" DIGEST_A
        "\"},\"layers\": [{\"size\": 5000000000, \"digest\": \"" DIGEST_B "\"}]}";
    assert_int_equal(document(text, MEDIA_MANIFEST, &d, &err), 0);
    assert_false(d.index);
    assert_string_equal(d.config.digest, DIGEST_A);
    assert_int_equal(d.count, 1);
    assert_int_equal(d.parts[0].size_bytes, 5000000000);
    registry_document_deinit(&d);
    assert_int_equal(document(text, MEDIA_OCI_INDEX, &d, &err), -1);
    assert_error(&err, ERROR_INVALID, "calls itself");
}

static void an_index_has_a_manifest_for_each_platform(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct registry_document d;
    static const char text[] =
        "{\"schemaVersion\": 2, \"manifests\": ["
        "{\"size\": 1, \"digest\": \"" DIGEST_A
        "\", \"platform\": {\"os\": \"linux\", \"architecture\": \"arm64\", \"variant\": \"v8\"}},"
        "{\"size\": 1, \"digest\": \"" DIGEST_B
        "\", \"platform\": {\"os\": \"linux\", \"architecture\": \"amd64\"}}]}";
    assert_int_equal(document(text, MEDIA_OCI_INDEX, &d, &err), 0);
    assert_true(d.index);
    assert_string_equal(d.media, MEDIA_OCI_INDEX);
    assert_string_equal(registry_index_find(&d, "linux", "amd64", "v3")->digest, DIGEST_B);
    assert_string_equal(registry_index_find(&d, "linux", "arm64", "")->digest, DIGEST_A);
    assert_null(registry_index_find(&d, "linux", "arm64", "v7"));
    assert_null(registry_index_find(&d, "windows", "amd64", ""));
    registry_document_deinit(&d);
}

static void manifests_that_cannot_be_used_are_refused_by_name(void **state) {
    (void)state;
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"[]", "schemaVersion"},
        {"{\"schemaVersion\": 1}", "schema 1"},
        {"{\"schemaVersion\": 2}", "config"},
        {"{\"schemaVersion\": 2, \"layers\": [], \"manifests\": []}", "at once"},
        {"{\"schemaVersion\": 2, \"manifests\": [{\"size\": 1, \"digest\": \"sha512:00\"}]}",
         "no digest by SHA-256"},
        {"{\"schemaVersion\": 2, \"manifests\": [{\"size\": -1, \"digest\": \"" DIGEST_A "\"}]}",
         "size"},
        {"{\"schemaVersion\": 2, \"manifests\": [3]}", "an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct registry_document d;
        assert_int_equal(document(cases[i].text, "", &d, &err), -1);
        assert_error(&err, ERROR_INVALID, cases[i].part);
    }
}

/* ---- addresses ---- */

static void domains_become_addresses(void **state) {
    (void)state;
    static const struct {
        const char *domain, *host;
        unsigned port;
        bool loopback;
    } cases[] = {
        {"docker.io", "registry-1.docker.io", 443, false},
        {"registry.example", "registry.example", 443, false},
        {"registry:5000", "registry", 5000, false},
        {"localhost:5000", "localhost", 5000, true},
        {"127.0.0.5:80", "127.0.0.5", 80, true},
        {"[::1]:5000", "::1", 5000, true},
        {"127.example", "127.example", 443, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct registry_url url;
        assert_int_equal(registry_url_of_domain(cases[i].domain, &url, &err), 0);
        assert_string_equal(url.host, cases[i].host);
        assert_int_equal(url.port, cases[i].port);
        assert_true(url.tls);
        assert_int_equal(registry_url_is_loopback(&url), cases[i].loopback);
    }
}

static void addresses_that_mislead_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "ftp://x/",         "https://",        "https://user:word@x/", "https://x:0/",
        "https://x:99999/", "https://x y/",    "https://x/a b",        "https://x/#f",
        "https://[::1/",    "https://[::1]x/", "https://x:5000:1/",    "x",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_NULL;
        struct registry_url url;
        if (registry_url_parse(texts[i], &url, &err) == 0)
            fail_msg("'%s' was taken", texts[i]);
        assert_null(strstr(err.text, "word"));
    }
}

/* ---- pauses ---- */

static const struct wall_time noon = {INT64_C(784111777) * 1000000000};

static void pauses_grow_and_end(void **state) {
    (void)state;
    assert_int_equal(registry_pause_ns(500, "", noon, 1, 8, 0), 8);
    assert_int_equal(registry_pause_ns(503, "", noon, 3, 8, 0), 32);
    assert_in_range(registry_pause_ns(429, "", noon, 1, 8000, 999), 8000, 10000);
    assert_int_equal(registry_pause_ns(500, "", noon, 5, REGISTRY_PAUSE_NS_MAX, 0),
                     REGISTRY_PAUSE_NS_MAX);
    assert_int_equal(registry_pause_ns(500, "", noon, REGISTRY_TRIES_MAX, 8, 0), 0);
    assert_int_equal(registry_pause_ns(403, "", noon, 1, 8, 0), 0);
    assert_int_equal(registry_pause_ns(501, "", noon, 1, 8, 0), 0);
}

static void who_wants_to_be_left_alone_is(void **state) {
    (void)state;
    assert_int_equal(registry_pause_ns(429, "7", noon, 1, 8, 0), 7 * NS_PER_SEC);
    assert_int_equal(registry_pause_ns(429, "0", noon, 1, 8, 0), 8);
    assert_int_equal(registry_pause_ns(503, "Sun, 06 Nov 1994 08:49:47 GMT", noon, 1, 8, 0),
                     10 * NS_PER_SEC);
    assert_int_equal(registry_pause_ns(503, "Sun, 06 Nov 1994 08:49:27 GMT", noon, 1, 8, 0), 8);
    assert_int_equal(registry_pause_ns(429, "soon", noon, 1, 8, 0), 8);
    assert_int_equal(registry_pause_ns(429, "86400", noon, 1, 8, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bearer_says_where_for_what_and_for_whom),
        cmocka_unit_test(challenges_are_read_as_rfc_9110_writes_them),
        cmocka_unit_test(a_challenge_that_is_none_is_refused),
        cmocka_unit_test(tokens_have_two_names_and_a_time),
        cmocka_unit_test(a_manifest_has_a_configuration_and_layers),
        cmocka_unit_test(an_index_has_a_manifest_for_each_platform),
        cmocka_unit_test(manifests_that_cannot_be_used_are_refused_by_name),
        cmocka_unit_test(domains_become_addresses),
        cmocka_unit_test(addresses_that_mislead_are_refused),
        cmocka_unit_test(pauses_grow_and_end),
        cmocka_unit_test(who_wants_to_be_left_alone_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
