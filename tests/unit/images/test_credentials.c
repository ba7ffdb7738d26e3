/* How config.json and helpers say who we are, with docker's precedence. */

#include "images/credentials.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_error(const struct error *err, enum error_kind kind, const char *part) {
    if (err->kind != kind || !strstr(err->text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(err->kind), err->text,
                 error_kind_name(kind), part);
}

static int config(const char *json, const char *domain, struct credentials_config *ret,
                  struct json **keep, struct error *err) {
    assert_int_equal(json_parse(json, strlen(json), 0, keep, err), 0);
    return credentials_config_read(*keep, domain, ret, err);
}

static void assert_user(const char *json, const char *domain, const char *user,
                        const char *password) {
    struct error err = ERROR_NULL;
    struct credentials_config c;
    cleanup(json_freep) struct json *v = NULL;
    if (config(json, domain, &c, &v, &err) < 0)
        fail_msg("%s: %s", json, err.text);
    if (user) {
        assert_string_equal(c.plain.username, user);
        assert_string_equal(c.plain.password, password);
    } else {
        assert_false(credentials_known(&c.plain));
    }
    credentials_config_deinit(&c);
}

/* "dTpwOnc=" is u:p:w. */
static void auths_are_found_by_every_spelling(void **state) {
    (void)state;
    assert_user("{\"auths\": {\"r:5000\": {\"auth\": \"dTpwOnc=\"}}}", "r:5000", "u", "p:w");
    assert_user("{\"auths\": {\"https://r:5000/v1/\": {\"auth\": \"dTpwOnc=\"}}}", "r:5000", "u",
                "p:w");
    assert_user("{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"dTpwOnc=\"}}}",
                "docker.io", "u", "p:w");
    assert_user("{\"auths\": {\"docker.io\": {\"auth\": \"dTpwOnc=\"}}}", "docker.io", "u", "p:w");
    assert_user("{\"auths\": {\"r\": {\"username\": \"a\", \"password\": \"b\"}}}", "r", "a", "b");
    assert_user("{\"auths\": {\"r\": {}}}", "r", NULL, NULL);
    assert_user("{\"auths\": {\"r:5001\": {\"auth\": \"dTpwOnc=\"}}}", "r:5000", NULL, NULL);
    assert_user("{}", "r", NULL, NULL);
}

static void an_identity_token_stands_for_both(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct credentials_config c;
    cleanup(json_freep) struct json *v = NULL;
    assert_int_equal(config("{\"auths\": {\"r\": {\"auth\": \"dTpwOnc=\", \"identitytoken\": "
                            "\"t\"}}}",
                            "r", &c, &v, &err),
                     0);
    assert_string_equal(c.plain.identity_token, "t");
    assert_null(c.plain.username);
    credentials_config_deinit(&c);
}

static void helpers_come_before_the_store_and_the_store_before_auths(void **state) {
    (void)state;
    static const char text[] =
        "{\"auths\": {\"r\": {\"auth\": \"dTpwOnc=\"}}, \"credsStore\": \"pass\","
        "\"credHelpers\": {\"h.example\": \"ecr-login\"}}";
    struct error err = ERROR_NULL;
    struct credentials_config c;
    struct json *v = NULL;
    assert_int_equal(config(text, "h.example", &c, &v, &err), 0);
    assert_string_equal(c.helper, "ecr-login");
    assert_false(c.helper_is_store);
    credentials_config_deinit(&c);
    json_free(v);
    assert_int_equal(config(text, "docker.io", &c, &v, &err), 0);
    assert_string_equal(c.helper, "pass");
    assert_string_equal(c.server, "https://index.docker.io/v1/");
    credentials_config_deinit(&c);
    json_free(v);
}

static void what_is_wrong_is_said_without_the_secret(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"auths\": {\"r\": {\"auth\": \"c2VjcmV0\"}}}", /* no colon */
        "{\"auths\": {\"r\": {\"auth\": \"c2VjcmV0!\"}}}",
        "{\"auths\": {\"r\": {\"auth\": 3}}}",
        "{\"auths\": []}",
        "{\"credsStore\": \"../evil\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_NULL;
        struct credentials_config c;
        cleanup(json_freep) struct json *v = NULL;
        assert_int_equal(config(texts[i], "r", &c, &v, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_null(strstr(err.text, "c2VjcmV0"));
        assert_null(strstr(err.text, "secret"));
    }
}

/* ---- helpers, as programs ---- */

struct fixture {
    struct folder folder;
    char *path;
};

/* A helper that knows one server, writes down what it was asked, and how. */
static const char helper[] =
    "#!/bin/sh\n"
    "read -r server || [ \"$server\" ]\n"
    "echo \"$*|$server\" >\"${0%/*}/asked\"\n"
    "case $server in\n"
    "good) echo '{\"ServerURL\": \"good\", \"Username\": \"u\", \"Secret\": \"s3cret\"}' ;;\n"
    "token) echo '{\"Username\": \"<token>\", \"Secret\": \"s3cret\"}' ;;\n"
    "lies) echo 's3cret' ;;\n"
    "fails) echo 'the keychain is locked'; exit 3 ;;\n"
    "floods) yes ;;\n"
    "*) echo 'credentials not found in native keychain'; exit 1 ;;\n"
    "esac\n";

static int setup(void **state) {
    struct fixture *f = mem_new(struct fixture);
    struct error err = ERROR_NULL;
    f->folder = folder_make();
    f->path = text_dup(getenv("PATH"));
    cleanup_free char *program = path_join(f->folder.path, "docker-credential-test");
    cleanup_free char *config_file = path_join(f->folder.path, "config.json");
    static const char text[] = "{\"credsStore\": \"test\"}";
    assert_int_equal(file_write(program, 0755, helper, strlen(helper), &err), 0);
    assert_int_equal(file_write(config_file, 0600, text, strlen(text), &err), 0);
    cleanup_free char *path = text_format("%s:%s", f->folder.path, f->path);
    setenv("PATH", path, 1);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    setenv("PATH", f->path, 1);
    folder_remove(&f->folder);
    free(f->path);
    free(f);
    return 0;
}

static int find(const struct fixture *f, const char *domain, struct credentials *ret,
                struct error *err) {
    struct task forever = TASK_FOREVER;
    struct task task = task_within(&forever, 20 * NS_PER_SEC);
    return credentials_find(f->folder.path, domain, &task, ret, err);
}

static void a_helper_is_asked_by_its_input_and_never_by_its_arguments(void **state) {
    const struct fixture *f = *state;
    struct error err = ERROR_NULL;
    struct credentials c;
    if (find(f, "good", &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(c.username, "u");
    assert_string_equal(c.password, "s3cret");
    assert_string_equal(c.origin, "credsStore 'test'");
    credentials_deinit(&c);
    cleanup_free char *asked = path_join(f->folder.path, "asked");
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    assert_int_equal(file_read(asked, 1000, &text, &err), 0);
    assert_string_equal(buffer_string(&text), "get|good\n");
    assert_int_equal(find(f, "token", &c, &err), 0);
    assert_string_equal(c.identity_token, "s3cret");
    credentials_deinit(&c);
}

static void a_helper_that_knows_nobody_is_no_fault(void **state) {
    const struct fixture *f = *state;
    struct error err = ERROR_NULL;
    struct credentials c;
    assert_int_equal(find(f, "elsewhere", &c, &err), 0);
    assert_false(credentials_known(&c));
}

static void a_helper_that_fails_lies_or_floods_is_said(void **state) {
    const struct fixture *f = *state;
    struct error err = ERROR_NULL;
    struct credentials c;
    assert_int_equal(find(f, "fails", &c, &err), -1);
    assert_error(&err, ERROR_FAILED,
                 "credential helper 'test': it ended with status 3: the keychain");
    assert_int_equal(find(f, "lies", &c, &err), -1);
    assert_error(&err, ERROR_INVALID, "does not say user and secret");
    assert_null(strstr(err.text, "s3cret"));
    assert_int_equal(find(f, "floods", &c, &err), -1);
    assert_error(&err, ERROR_LIMIT, "its answer");
}

static void a_helper_that_is_missing_is_named(void **state) {
    const struct fixture *f = *state;
    struct error err = ERROR_NULL;
    struct credentials c;
    cleanup_free char *program = path_join(f->folder.path, "docker-credential-test");
    unlink(program);
    assert_int_equal(find(f, "good", &c, &err), -1);
    assert_error(&err, ERROR_CONFIG, "docker-credential-test");
    assert_true(err.hint[0]);
}

static void without_a_file_nobody_is_known(void **state) {
    const struct fixture *f = *state;
    struct error err = ERROR_NULL;
    struct credentials c;
    cleanup_free char *config_file = path_join(f->folder.path, "config.json");
    unlink(config_file);
    assert_int_equal(find(f, "good", &c, &err), 0);
    assert_false(credentials_known(&c));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auths_are_found_by_every_spelling),
        cmocka_unit_test(an_identity_token_stands_for_both),
        cmocka_unit_test(helpers_come_before_the_store_and_the_store_before_auths),
        cmocka_unit_test(what_is_wrong_is_said_without_the_secret),
        cmocka_unit_test_setup_teardown(a_helper_is_asked_by_its_input_and_never_by_its_arguments,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_helper_that_knows_nobody_is_no_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_helper_that_fails_lies_or_floods_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_helper_that_is_missing_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_file_nobody_is_known, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
