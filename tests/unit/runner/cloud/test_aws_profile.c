/* Who we are at AWS: files, answers, and the order in which they are asked. */

#include "lib/file.h"
#include "lib/text.h"
#include "runner/cloud/aws_chain.h"
#include "runner/cloud/aws_url.h"
#include "runner/cloud/pace.h"

#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a world of variables ---- */

static const char *variables[16];

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    for (size_t i = 0; variables[i]; i++)
        if (text_starts(variables[i], name) && variables[i][strlen(name)] == '=')
            return variables[i] + strlen(name) + 1;
    return NULL;
}
static const struct environment env = {.lookup = lookup};

static void set_variables(const char *const *list) {
    size_t n = 0;
    variables[n++] = "AWS_EC2_METADATA_DISABLED=true";
    for (; *list; list++)
        variables[n++] = *list;
    variables[n] = NULL;
}

/* What the chain says; "error: ..." else. */
static const char *ask(struct aws_chain *chain, char text[600]) {
    cleanup(aws_credentials_deinit) struct aws_credentials c = AWS_CREDENTIALS_NULL;
    struct task task = TASK_FOREVER;
    struct error err = ERROR_NULL;
    if (aws_chain_get(chain, NULL, &task, &c, &err) < 0)
        snprintf(text, 600, "error: %.500s", err.text);
    else
        snprintf(text, 600, "%s %s %s (%s)", c.access_key_id, c.secret_access_key,
                 c.session_token ? c.session_token : "-", aws_chain_source(chain));
    return text;
}

static void expect(const char *const *list, const char *deployment, const char *wanted) {
    char text[600];
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = NULL;
    set_variables(list);
    if (deployment_parse("d", "/w", 0600, deployment, strlen(deployment), &env, &d, &err) < 0)
        fail_msg("%s", err.text);
    cleanup(aws_chain_freep) struct aws_chain *chain = aws_chain_new(d, &env);
    assert_string_equal(ask(chain, text), wanted);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})
static const char keys[] =
    "credentials: {AWS_ACCESS_KEY_ID: D, AWS_SECRET_ACCESS_KEY: S, AWS_SESSION_TOKEN: T}";

static void the_first_that_knows_something_is_believed(void **state) {
    (void)state;
    cleanup_free char *files =
        text_format("AWS_SHARED_CREDENTIALS_FILE=%s/credentials", folder_shared.path);
    cleanup_free char *config = text_format("AWS_CONFIG_FILE=%s/config", folder_shared.path);
    cleanup_free char *asked = text_format("%s/asked", folder_shared.path);
    cleanup_free char *text = text_format(
        "[default]\nregion = r\ns3 =\n  x = y\n[profile p]\ncredential_process = echo x "
        ">>%s; echo '{\"Version\": 1, \"AccessKeyId\": \"P\", \"SecretAccessKey\": "
        "\"PS\", \"SessionToken\": \"PT\", \"Expiration\": \"2000-01-01T00:00:00Z\"}'\n"
        "[profile role]\nrole_arn = arn\n[profile bad]\ncredential_process = echo '"
        "{\"AccessKeyId\": \"LEAK'\n",
        asked);
    folder_write(&folder_shared, "config", text);
    folder_write(&folder_shared, "credentials",
                 "# mine\n[default]\naws_access_key_id=F\n"
                 "aws_secret_access_key = FS\n\n[q]\naws_access_key_id = Q\n"
                 "aws_secret_access_key = QS\naws_session_token = QT\n");
    expect(LIST("AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=ES"), keys,
           "D S T (the deployment file)");
    expect(LIST("AWS_ACCESS_KEY_ID=E", "AWS_SECRET_ACCESS_KEY=ES", "AWS_SESSION_TOKEN=ET", files),
           "", "E ES ET (the environment)");
    expect(LIST("AWS_ACCESS_KEY_ID=E"), "",
           "error: credentials for AWS from the environment: of AWS_ACCESS_KEY_ID and "
           "AWS_SECRET_ACCESS_KEY only one is set");
    expect(LIST(files, config), "", "F FS - (a profile)");
    expect(LIST(files, config, "AWS_PROFILE=q", "AWS_ACCESS_KEY_ID=E"), "", "Q QS QT (a profile)");
    expect(LIST(files, config, "AWS_PROFILE=p"), "", "P PS PT (a profile)");
    expect(LIST(files, config, "AWS_PROFILE=role"), "",
           "error: credentials for AWS from a profile: profile 'role' says 'role_arn', which is "
           "not supported");
    expect(LIST(files, config, "AWS_PROFILE=none"), "",
           "error: credentials for AWS from a profile: AWS_PROFILE says 'none', and there is no "
           "such profile");
    expect(LIST(files, config, "AWS_PROFILE=bad"), "",
           "error: credentials for AWS from a profile: credential_process of profile 'bad': the "
           "answer is no JSON object with keys");
    expect(LIST("HOME=/nowhere"), "",
           "error: credentials for AWS from the machine's role: nobody says who we are at AWS");
}

static void keys_that_expire_are_asked_for_again(void **state) {
    (void)state;
    char text[600];
    cleanup_free char *config = text_format("AWS_CONFIG_FILE=%s/config", folder_shared.path);
    cleanup_free char *asked = path_join(folder_shared.path, "asked");
    cleanup(buffer_deinit) struct buffer lines = BUFFER_NULL;
    struct error err = ERROR_NULL;
    set_variables(LIST(config, "AWS_PROFILE=p"));
    cleanup(deployment_freep) struct deployment *d = deployment_new_default("/w");
    cleanup(aws_chain_freep) struct aws_chain *chain = aws_chain_new(d, &env);
    remove(asked);
    ask(chain, text);
    ask(chain, text);
    assert_int_equal(file_read(asked, 100, &lines, &err), 0);
    assert_string_equal(buffer_string(&lines), "x\nx\n");
}

static void answers_and_files_that_are_wrong_are_refused_without_their_words(void **state) {
    (void)state;
    static const char *const answers[] = {
        "",
        "[]",
        "{}",
        "{\"AccessKeyId\": \"SECRET\"}",
        "{\"AccessKeyId\": 7}",
        "{\"AccessKeyId\": \"SECRET x\", \"SecretAccessKey\": \"SECRET\"}",
        "{\"SECRET"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct error err = ERROR_NULL;
        struct aws_credentials c;
        assert_int_equal(aws_answer_read(answers[i], strlen(answers[i]), &c, &err), -1);
        assert_null(strstr(err.text, "SECRET"));
    }
    struct error err = ERROR_NULL;
    struct aws_profile p = {.found = false};
    static const char file[] = "[a]\nSECRET\n";
    assert_int_equal(aws_profile_read("f", file, strlen(file), "a", false, &p, &err), -1);
    assert_string_equal(err.text, "f:2: neither a section nor 'key = value'");
    aws_profile_deinit(&p);
}

static void addresses_of_services_are_read(void **state) {
    (void)state;
    static const struct {
        const char *region, *endpoint, *wanted;
    } cases[] = {
        {"us-east-2", NULL, "1 ec2.us-east-2.amazonaws.com 443"},
        {"cn-north-1", NULL, "1 ec2.cn-north-1.amazonaws.com.cn 443"},
        {"r", "http://127.0.0.1:5000/", "0 127.0.0.1 5000"},
        {"r", "https://[::1]:1", "1 ::1 1"},
        {"r", "http://user@host", NULL},
        {"r", "http://h/path", NULL},
        {"r", "ftp://h", NULL},
        {"r.evil.com/", NULL, NULL},
        {"R", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct aws_url url;
        char text[400] = "";
        int r = aws_url_of("ec2", cases[i].region, cases[i].endpoint, &url, &err);
        if (r == 0)
            snprintf(text, sizeof text, "%d %s %u", url.tls, url.host, url.port);
        assert_string_equal(text, cases[i].wanted ? cases[i].wanted : "");
    }
    assert_int_equal(aws_time("2026-11-28T21:00:00.000Z").ns / (int64_t)NS_PER_SEC, 1795899600);
    assert_int_equal(aws_time("yesterday").ns, 0);
}

static void whoever_says_that_it_is_too_fast_is_asked_more_slowly(void **state) {
    (void)state;
    struct pace pace = {.gap_ns = 0};
    struct instant t = {1000 * NS_PER_SEC};
    assert_int_equal(pace_before_ns(&pace, t), 0);
    pace_begun(&pace, t);
    pace_throttled(&pace);
    uint64_t first = pace_before_ns(&pace, t);
    pace_throttled(&pace);
    assert_true(first > 0 && pace_before_ns(&pace, t) == 2 * first);
    for (int i = 0; i < 30; i++)
        pace_throttled(&pace);
    assert_true(pace_before_ns(&pace, t) <= 10 * NS_PER_SEC);
    for (int i = 0; i < 30; i++)
        pace_went_well(&pace);
    assert_int_equal(pace_before_ns(&pace, t), 0);
    assert_int_equal(pace_again_ns(1, 100, 0), 50);
    assert_int_equal(pace_again_ns(1, 100, 50), 100);
    assert_int_equal(pace_again_ns(3, 100, 0), 200);
    assert_true(pace_again_ns(60, NS_PER_SEC, UINT64_MAX) <= 20 * NS_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_knows_something_is_believed),
        cmocka_unit_test(keys_that_expire_are_asked_for_again),
        cmocka_unit_test(answers_and_files_that_are_wrong_are_refused_without_their_words),
        cmocka_unit_test(addresses_of_services_are_read),
        cmocka_unit_test(whoever_says_that_it_is_too_fast_is_asked_more_slowly),
    };
    return cmocka_run_group_tests(tests, folder_make_shared, folder_remove_shared);
}
