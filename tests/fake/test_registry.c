/* The registry's client against registries that want to know who asks, are busy, and lie. */

#include "images/registry.h"
#include "lib/text.h"

#include "tests/fake/fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * NS_PER_SEC) /* a test that needs it has failed */

/* Of the text "{}". */
#define DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define OTHER "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BEARER                                                                                     \
    "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer "                                       \
    "realm=\"http://registry.test:443/token?a=1\",service=\"s\",scope=\"repository:a/b:pull\"\r\n" \
    "Content-Length: 0\r\n\r\n"
#define HEAD_ANSWER                                                                                \
    "HTTP/1.1 200 OK\r\nDocker-Content-Digest: " DIGEST "\r\nContent-Type: " MEDIA_MANIFEST        \
    "\r\nContent-Length: 2\r\n\r\n"

struct fixture {
    struct fake *fake;
    struct registry *registry;
    struct error err;
    struct task task;
    unsigned pauses;
    uint64_t paused_ns;
    char why[64];
};

static void on_pause(void *arg, const char *why, uint64_t ns) {
    struct fixture *f = arg;
    f->pauses++;
    f->paused_ns = ns;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static void open_fixture(struct fixture *f, const struct fake_step *script,
                         const struct credentials *credentials) {
    *f = (struct fixture){.pauses = 0};
    f->fake = fake_start(script);
    struct task forever = TASK_FOREVER;
    f->task = task_within(&forever, PATIENCE_NS);
    struct registry_options options = {.domain = "registry.test",
                                       .credentials = credentials,
                                       .unix_socket = fake_socket(f->fake),
                                       .pause_ns = 1,
                                       .on_pause = on_pause,
                                       .arg = f};
    assert_int_equal(registry_open(&options, &f->registry, &f->err), 0);
}

static void close_fixture(struct fixture *f) {
    registry_close(f->registry);
    assert_string_equal(fake_finish(f->fake), "");
}

static int head(struct fixture *f, const char *reference, struct registry_manifest *ret) {
    return registry_head(f->registry, "a/b", reference, &f->task, ret, &f->err);
}

static void assert_error(const struct fixture *f, enum error_kind kind, const char *part) {
    if (f->err.kind != kind || !strstr(f->err.text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(f->err.kind), f->err.text,
                 error_kind_name(kind), part);
}

static struct credentials somebody(void) {
    static char user[] = "u", password[] = "s3cret", origin[] = "the test";
    return (struct credentials){.username = user, .password = password, .origin = origin};
}

static void a_manifest_is_there_or_not(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1 HTTP/1.1\r\n"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/2 HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    assert_int_equal(head(&f, "1", &m), 0);
    assert_string_equal(m.digest, DIGEST);
    assert_string_equal(m.media, MEDIA_MANIFEST);
    assert_int_equal(head(&f, "2", &m), 1);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Accept: " MEDIA_OCI_INDEX ", "));
    assert_null(strstr(fake_received(), "Authorization"));
}

static void a_password_is_sent_when_it_is_asked_for_and_from_then_on(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n"
                  "Content-Length: 0\r\n\r\n"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    struct credentials c = somebody();
    open_fixture(&f, script, &c);
    assert_int_equal(head(&f, "1", &m), 0);
    assert_int_equal(head(&f, "1", &m), 0);
    close_fixture(&f);
    const char *first = strstr(fake_received(), "Authorization: Basic dTpzM2NyZXQ=");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "Authorization: Basic dTpzM2NyZXQ="));
}

static void a_token_is_fetched_kept_and_fetched_again_when_it_is_not_taken(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_EXPECT("GET /token?a=1&service=s&scope=repository%3Aa%2Fb%3Apull&client_id=seatrial&"
                    "account=u HTTP/1.1\r\n"),
        FAKE_ANSWER("200 OK", "{\"token\": \"first\", \"expires_in\": 300}"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_EXPECT("GET /token"),
        FAKE_ANSWER("200 OK", "{\"token\": \"second\"}"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    struct credentials c = somebody();
    open_fixture(&f, script, &c);
    assert_int_equal(head(&f, "1", &m), 0);
    assert_int_equal(head(&f, "1", &m), 0);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Authorization: Bearer second"));
}

static void an_identity_token_is_sent_in_a_body(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_EXPECT("POST /token?a=1 HTTP/1.1\r\n"),
        FAKE_BODY(),
        FAKE_ANSWER("200 OK", "{\"access_token\": \"x\"}"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    static char token[] = "i/d+";
    struct credentials c = {.identity_token = token};
    open_fixture(&f, script, &c);
    assert_int_equal(head(&f, "1", &m), 0);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "grant_type=refresh_token&refresh_token=i%2Fd%2B"));
}

static void who_is_not_accepted_is_told_so_without_the_password(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_EXPECT("GET /token"),
        FAKE_ANSWER("401 Unauthorized", "{\"details\": \"incorrect username or password\"}"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    struct credentials c = somebody();
    open_fixture(&f, script, &c);
    assert_int_equal(head(&f, "1", &m), -1);
    assert_error(&f, ERROR_REFUSED, "does not accept user 'u' (known by the test): incorrect");
    assert_null(strstr(f.err.text, "s3cret"));
    assert_non_null(strstr(f.err.hint, "docker login registry.test"));
    close_fixture(&f);
}

static void a_token_that_is_never_enough_ends_it(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_EXPECT("GET /token"),
        FAKE_ANSWER("200 OK", "{\"token\": \"x\"}"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(BEARER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    assert_int_equal(head(&f, "1", &m), -1);
    assert_error(&f, ERROR_REFUSED, "status 401");
    close_fixture(&f);
}

static void a_busy_registry_is_asked_again(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 429 Too Many\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_CLOSE(),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    if (head(&f, "1", &m) < 0)
        fail_msg("%s", f.err.text);
    assert_int_equal(f.pauses, 3); /* a kept connection that was dead is libcurl's business */
    close_fixture(&f);
}

static void one_that_stays_busy_or_wants_an_hour_is_given_up(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 429 Too Many\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    assert_int_equal(head(&f, "1", &m), -1);
    assert_error(&f, ERROR_UNREACHABLE, "status 429");
    assert_non_null(strstr(f.err.hint, "3600"));
    assert_int_equal(f.pauses, 0);
    close_fixture(&f);
}

static int get(struct fixture *f, const char *reference, struct registry_manifest *ret) {
    return registry_get(f->registry, "a/b", reference, &f->task, ret, &f->err);
}

static void a_manifest_is_what_its_digest_says(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET /v2/a/b/manifests/sha256%3A44136fa3"),
        FAKE_ANSWER("200 OK", "{}"),
        FAKE_EXPECT("GET /v2/a/b/manifests/sha256%3A44136fa3"),
        FAKE_ANSWER("200 OK", "[]"),
        FAKE_EXPECT("GET /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nDocker-Content-Digest: " OTHER
                  "\r\nContent-Length: 2\r\n\r\n{}"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/sha256%3Abbbb"),
        FAKE_SEND(HEAD_ANSWER),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    assert_int_equal(get(&f, DIGEST, &m), 0);
    assert_string_equal(m.digest, DIGEST);
    registry_manifest_deinit(&m);
    assert_int_equal(get(&f, DIGEST, &m), -1);
    assert_error(&f, ERROR_INVALID, "it was asked for " DIGEST);
    assert_int_equal(get(&f, "1", &m), -1);
    assert_error(&f, ERROR_INVALID, "it was asked for " OTHER);
    assert_int_equal(head(&f, OTHER, &m), -1);
    assert_error(&f, ERROR_INVALID, "answers with " DIGEST);
    close_fixture(&f);
}

static void tags_come_page_by_page(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET /v2/a/b/tags/list?n=1000 HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nLink: </v2/a/b/tags/list?last=y&n=1000>; rel=\"next\"\r\n"
                  "Content-Length: 22\r\n\r\n{\"tags\": [\"x\", \"y\"]}  "),
        FAKE_EXPECT("GET /v2/a/b/tags/list?n=1000&last=y HTTP/1.1\r\n"),
        FAKE_ANSWER("200 OK", "{\"tags\": [\"z\"]}"),
        FAKE_EXPECT("GET /v2/a/c/tags/list"),
        FAKE_ANSWER("404 Not Found", "{\"errors\": [{\"code\": \"NAME_UNKNOWN\"}]}"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_tags tags;
    open_fixture(&f, script, NULL);
    assert_int_equal(registry_list_tags(f.registry, "a/b", &f.task, &tags, &f.err), 0);
    assert_int_equal(tags.count, 3);
    assert_string_equal(tags.names[2], "z");
    registry_tags_deinit(&tags);
    assert_int_equal(registry_list_tags(f.registry, "a/c", &f.task, &tags, &f.err), 1);
    close_fixture(&f);
}

static void pull_limits_are_told_by_headers(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nRateLimit-Limit: 100;w=21600\r\n"
                  "RateLimit-Remaining: 76;w=21600\r\nContent-Length: 2\r\n\r\n"),
        FAKE_EXPECT("HEAD /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nRateLimit-Limit: many\r\nContent-Length: 2\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_limits limits;
    open_fixture(&f, script, NULL);
    assert_int_equal(registry_pull_limits(f.registry, "a/b", "1", &f.task, &limits, &f.err), 0);
    assert_int_equal(limits.pulls, 100);
    assert_int_equal(limits.left, 76);
    assert_int_equal(limits.window_s, 21600);
    assert_int_equal(registry_pull_limits(f.registry, "a/b", "1", &f.task, &limits, &f.err), 1);
    close_fixture(&f);
}

static void a_flood_is_a_limit_and_a_refusal_is_heard(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("GET /v2/a/b/manifests/1"),
        FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"),
        FAKE_REPEAT("x", 1000000000),
        FAKE_EXPECT("GET /v2/a/b/manifests/1"),
        FAKE_ANSWER(
            "403 Forbidden",
            "{\"errors\": [{\"code\": \"DENIED\", \"message\": \"not\\u001b[31m yours\"}]}"),
        FAKE_END(),
    };
    struct fixture f;
    struct registry_manifest m;
    open_fixture(&f, script, NULL);
    assert_int_equal(get(&f, "1", &m), -1);
    assert_error(&f, ERROR_LIMIT, "registry 'registry.test'");
    assert_int_equal(get(&f, "1", &m), -1);
    assert_error(&f, ERROR_REFUSED, "DENIED: not\\x1b[31m yours");
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_there_or_not),
        cmocka_unit_test(a_password_is_sent_when_it_is_asked_for_and_from_then_on),
        cmocka_unit_test(a_token_is_fetched_kept_and_fetched_again_when_it_is_not_taken),
        cmocka_unit_test(an_identity_token_is_sent_in_a_body),
        cmocka_unit_test(who_is_not_accepted_is_told_so_without_the_password),
        cmocka_unit_test(a_token_that_is_never_enough_ends_it),
        cmocka_unit_test(a_busy_registry_is_asked_again),
        cmocka_unit_test(one_that_stays_busy_or_wants_an_hour_is_given_up),
        cmocka_unit_test(a_manifest_is_what_its_digest_says),
        cmocka_unit_test(tags_come_page_by_page),
        cmocka_unit_test(pull_limits_are_told_by_headers),
        cmocka_unit_test(a_flood_is_a_limit_and_a_refusal_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
