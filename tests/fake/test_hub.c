/* Docker Hub, scripted. */

#include "images/hub.h"
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
#define LOGIN                                                                                      \
    FAKE_EXPECT("POST /v2/users/login HTTP/1.1\r\n"), FAKE_BODY(),                                 \
        FAKE_ANSWER("200 OK", "{\"token\": \"hub.token\"}")

struct fixture {
    struct fake *fake;
    struct hub *hub;
    struct error err;
    struct task task;
};

static int open_fixture(struct fixture *f, const struct fake_step *script) {
    static char user[] = "someone", secret[] = "s3cret";
    struct credentials c = {.username = user, .password = secret};
    *f = (struct fixture){.hub = NULL};
    f->fake = fake_start(script);
    struct task forever = TASK_FOREVER;
    f->task = task_within(&forever, PATIENCE_NS);
    return hub_open(&c, fake_socket(f->fake), &f->task, &f->hub, &f->err);
}

static void close_fixture(struct fixture *f) {
    if (f->hub)
        hub_close(f->hub);
    assert_string_equal(fake_finish(f->fake), "");
}

static void assert_error(const struct fixture *f, enum error_kind kind, const char *part) {
    if (f->err.kind != kind || !strstr(f->err.text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(f->err.kind), f->err.text,
                 error_kind_name(kind), part);
}

static void a_repository_is_made_where_there_is_none(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOGIN,
        FAKE_EXPECT("GET /v2/repositories/someone/app/ HTTP/1.1\r\n"),
        FAKE_ANSWER("404 Not Found", "{\"message\": \"object not found\"}"),
        FAKE_EXPECT("POST /v2/repositories/ HTTP/1.1\r\n"),
        FAKE_BODY(),
        FAKE_ANSWER("201 Created", "{\"name\": \"app\"}"),
        FAKE_EXPECT("GET /v2/repositories/someone/app/ HTTP/1.1\r\n"),
        FAKE_ANSWER("200 OK", "{\"name\": \"app\"}"),
        FAKE_END(),
    };
    struct fixture f;
    assert_int_equal(open_fixture(&f, script), 0);
    assert_int_equal(hub_create(f.hub, "someone/app", true, &f.task, &f.err), 0);
    assert_int_equal(hub_create(f.hub, "someone/app", true, &f.task, &f.err), 1);
    assert_int_equal(hub_create(f.hub, "app", true, &f.task, &f.err), -1);
    assert_int_equal(hub_create(f.hub, "a/../b", true, &f.task, &f.err), -1);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "{\"password\":\"s3cret\",\"username\":\"someone\"}"));
    assert_non_null(strstr(fake_received(), "Authorization: Bearer hub.token\r\n"));
    assert_non_null(strstr(fake_received(),
                           "{\"is_private\":true,\"name\":\"app\",\"namespace\":\"someone\"}"));
}

static void tags_are_listed_page_by_page_and_deleted(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOGIN,
        FAKE_EXPECT("GET /v2/repositories/someone/app/tags?page_size=100&page=1 "),
        FAKE_ANSWER("200 OK", "{\"next\": \"https://elsewhere/?page=2\", \"results\": ["
                              "{\"name\": \"1\", \"digest\": \"sha256:x\", \"full_size\": 7,"
                              "\"last_updated\": \"2026-01-02T03:04:05Z\"}]}"),
        FAKE_EXPECT("GET /v2/repositories/someone/app/tags?page_size=100&page=2 "),
        FAKE_ANSWER("200 OK", "{\"next\": null, \"results\": [{\"name\": \"2\"}]}"),
        FAKE_EXPECT("DELETE /v2/repositories/someone/app/tags/a%2Fb/ HTTP/1.1\r\n"),
        FAKE_SEND("HTTP/1.1 204 No Content\r\n\r\n"),
        FAKE_EXPECT("DELETE /v2/repositories/someone/app/tags/1/ "),
        FAKE_ANSWER("404 Not Found", "{}"),
        FAKE_EXPECT("GET /v2/repositories/someone/none/tags"),
        FAKE_ANSWER("404 Not Found", "{}"),
        FAKE_END(),
    };
    struct fixture f;
    struct hub_tags tags;
    assert_int_equal(open_fixture(&f, script), 0);
    if (hub_list_tags(f.hub, "someone/app", &f.task, &tags, &f.err) < 0)
        fail_msg("%s", f.err.text);
    assert_int_equal(tags.count, 2);
    assert_string_equal(tags.tags[0].digest, "sha256:x");
    assert_int_equal(tags.tags[0].size_bytes, 7);
    assert_string_equal(tags.tags[1].name, "2");
    assert_string_equal(tags.tags[1].digest, "");
    hub_tags_deinit(&tags);
    assert_int_equal(hub_delete_tag(f.hub, "someone/app", "a/b", &f.task, &f.err), 0);
    assert_int_equal(hub_delete_tag(f.hub, "someone/app", "1", &f.task, &f.err), 1);
    assert_int_equal(hub_list_tags(f.hub, "someone/none", &f.task, &tags, &f.err), 1);
    close_fixture(&f);
}

static void who_is_not_accepted_is_told_so(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        FAKE_EXPECT("POST /v2/users/login"),
        FAKE_BODY(),
        FAKE_ANSWER("401 Unauthorized", "{\"detail\": \"Incorrect authentication credentials\"}"),
        FAKE_END(),
    };
    struct fixture f;
    assert_int_equal(open_fixture(&f, script), -1);
    assert_error(&f, ERROR_REFUSED,
                 "log in as 'someone': Docker Hub answered with status 401: Inc");
    assert_null(strstr(f.err.text, "s3cret"));
    assert_non_null(strstr(f.err.hint, "access_token"));
    close_fixture(&f);
}

static void answers_that_are_wrong_or_refuse_are_errors(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        LOGIN,
        FAKE_EXPECT("GET /v2/repositories/a/b/tags"),
        FAKE_ANSWER("200 OK", "{\"results\": [{\"digest\": \"no name\"}]}"),
        FAKE_EXPECT("GET /v2/repositories/a/b/tags"),
        FAKE_ANSWER("429 Too Many Requests", "{\"message\": \"slow \\u001b down\"}"),
        FAKE_EXPECT("GET /v2/repositories/a/b/tags"),
        FAKE_ANSWER("200 OK", "{\"next\": \"x\", \"results\": []}"),
        FAKE_END(),
    };
    struct fixture f;
    struct hub_tags tags;
    assert_int_equal(open_fixture(&f, script), 0);
    assert_int_equal(hub_list_tags(f.hub, "a/b", &f.task, &tags, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "'name'");
    assert_int_equal(hub_list_tags(f.hub, "a/b", &f.task, &tags, &f.err), -1);
    assert_error(&f, ERROR_UNREACHABLE, "status 429: slow \\x1b down");
    assert_int_equal(hub_list_tags(f.hub, "a/b", &f.task, &tags, &f.err), 0); /* and ends */
    hub_tags_deinit(&tags);
    close_fixture(&f);
}

static void without_a_token_nobody_is_asked(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct credentials c = CREDENTIALS_NULL;
    struct task task = TASK_FOREVER;
    struct hub *hub = NULL;
    assert_int_equal(hub_open(&c, "/nowhere", &task, &hub, &err), -1);
    assert_int_equal(err.kind, ERROR_REFUSED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repository_is_made_where_there_is_none),
        cmocka_unit_test(tags_are_listed_page_by_page_and_deleted),
        cmocka_unit_test(who_is_not_accepted_is_told_so),
        cmocka_unit_test(answers_that_are_wrong_or_refuse_are_errors),
        cmocka_unit_test(without_a_token_nobody_is_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
