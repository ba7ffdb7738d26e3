/* The engine client against engines that are old, gone, wrong, silent or hostile. */

#include "tests/fake/engine_fixture.h"

#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/engine/call.h" /* to shorten the timeout of an open engine */
#include "runner/engine/container.h"
#include "runner/engine/exec.h"
#include "runner/engine/image.h"
#include "runner/engine/log.h"
#include "runner/engine/network.h"

#include <sys/resource.h>

/* ---- who is there ---- */

static void the_smaller_api_version_is_used(void **state) {
    (void)state;
    static const struct fake_step older[] = {PING("1.41"),
                                             FAKE_EXPECT("GET /v1.41/_ping HTTP/1.1\r\n"),
                                             FAKE_ANSWER("200 OK", "OK"), FAKE_END()};
    static const struct fake_step newer[] = {PING("1.99"),
                                             FAKE_EXPECT("GET /v1.51/_ping HTTP/1.1\r\n"),
                                             FAKE_ANSWER("200 OK", "OK"), FAKE_END()};
    struct fixture f;
    open_fixture(&f, older);
    assert_int_equal(engine_api_minor(f.engine), 41);
    assert_int_equal(engine_ping(f.engine, &f.task, &f.err), 0);
    close_fixture(&f);
    open_fixture(&f, newer);
    assert_int_equal(engine_api_minor(f.engine), 51);
    assert_int_equal(engine_ping(f.engine, &f.task, &f.err), 0);
    close_fixture(&f);
}

static void an_engine_that_is_too_old_is_refused_by_name(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.40"), FAKE_END()};
    struct fixture f;
    assert_int_equal(try_open(&f, script, (struct engine_options){0}), -1);
    assert_error(&f, ERROR_REFUSED, "it speaks API 1.40, and 1.41 is needed");
    assert_true(text_starts(f.err.text, "engine 'unix:///tmp/fake."));
    close_fixture(&f);
}

static void what_is_no_engine_is_not_taken_for_one(void **state) {
    (void)state;
    static const struct fake_step scripts[][4] = {
        {FAKE_EXPECT("GET /_ping"), FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"),
         FAKE_END()},
        {PING("2.0"), FAKE_END()},
        {PING("1."), FAKE_END()},
        {PING("1.41.\33[1m"), FAKE_END()},
        {PING("1.99999999999999999999"), FAKE_END()},
        {FAKE_EXPECT("GET /_ping"), FAKE_SEND("SSH-2.0-OpenSSH\r\n"), FAKE_CLOSE(), FAKE_END()},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct fixture f;
        assert_int_equal(try_open(&f, scripts[i], (struct engine_options){0}), -1);
        assert_error(&f, ERROR_INVALID, "engine 'unix://");
        close_fixture(&f);
    }
}

static void no_engine_is_an_error_with_a_hint(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct engine *engine = NULL;
    struct engine_options options = {.host = "unix:///nonexistent/docker.sock"};
    assert_int_equal(engine_open(&options, &task, &engine, &err), -1);
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_string_equal(err.text,
                        "engine 'unix:///nonexistent/docker.sock': GET /_ping: cannot connect to "
                        "'unix:///nonexistent/docker.sock': No such file or directory");
    assert_non_null(strstr(err.hint, "systemctl start docker"));
    assert_non_null(strstr(err.hint, "DOCKER_HOST"));
}

static void other_kinds_of_docker_host_are_refused_by_name(void **state) {
    (void)state;
    static const char *const hosts[] = {
        "tcp://h:p",      "fd://3", "ssh://me@there", "npipe:////./pipe/x", "/var/run/docker.sock",
        "unix://relative"};
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct error err = ERROR_NULL;
        struct task task = TASK_FOREVER;
        struct engine *engine = NULL;
        struct engine_options options = {.host = hosts[i]};
        assert_int_equal(engine_open(&options, &task, &engine, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, hosts[i]));
    }
}

/* ---- errors ---- */

static void errors_carry_the_engines_words_and_a_kind(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/containers/x/start HTTP/1.1\r\n"),
        FAKE_ANSWER("404 Not Found", "{\"message\":\"No such container: x\"}"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("409 Conflict", "{\"message\":\"in use\"}"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("500 Internal Server Error", "{\"message\":\"port \\u001b[31mtaken\\n\"}"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("500 Internal Server Error", ""),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("502 Bad Gateway", "<html>a proxy</html>"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("403 Forbidden", "{\"message\":[]}"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_ANSWER("302 Found", "{\"message\":\"elsewhere\"}"),
        FAKE_EXPECT("POST /v1.41/containers/x/start"),
        FAKE_SEND("HTTP/1.1 304 Not Modified\r\n\r\n"),
        FAKE_END(),
    };
    static const struct {
        enum error_kind kind;
        const char *text;
    } wanted[] = {
        {ERROR_NOT_FOUND, "start container 'x': No such container: x"},
        {ERROR_CONFLICT, "start container 'x': in use"},
        {ERROR_REFUSED, "start container 'x': port \\x1b[31mtaken"},
        {ERROR_REFUSED,
         "start container 'x': the engine answered POST with status 500 and no message"},
        {ERROR_REFUSED, "start container 'x': the engine answered POST with status 502: "
                        "<html>a proxy</html>"},
        {ERROR_REFUSED, "start container 'x': the engine answered POST with status 403: "
                        "{\"message\":[]}"},
        {ERROR_INVALID, "start container 'x': the engine answered POST with status 302: elsewhere"},
    };
    struct fixture f;
    open_fixture(&f, script);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        assert_int_equal(engine_container_start(f.engine, "x", &f.task, &f.err), -1);
        assert_string_equal(f.err.text, wanted[i].text);
        assert_int_equal(f.err.kind, wanted[i].kind);
    }
    assert_int_equal(engine_container_start(f.engine, "x", &f.task, &f.err), 1);
    close_fixture(&f);
}

static void an_endless_message_is_cut(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"),
                                              FAKE_EXPECT("POST"),
                                              FAKE_SEND("HTTP/1.1 500 Oh\r\n\r\n{\"message\":\""),
                                              FAKE_REPEAT("x", 20000),
                                              FAKE_SEND("\"}"),
                                              FAKE_CLOSE(),
                                              FAKE_EXPECT("POST"),
                                              FAKE_SEND("HTTP/1.1 500 Oh\r\n\r\n{\"message\":\""),
                                              FAKE_REPEAT("x", TEN_GB),
                                              FAKE_END()};
    struct fixture f;
    open_fixture(&f, script);
    assert_int_equal(engine_container_start(f.engine, "x", &f.task, &f.err), -1);
    assert_error(&f, ERROR_REFUSED, "start container 'x': xxxx");
    assert_true(strlen(f.err.text) < 2100);
    assert_int_equal(engine_container_start(f.engine, "x", &f.task, &f.err), -1);
    assert_error(&f, ERROR_LIMIT, "the body of the answer is larger than");
    close_fixture(&f);
    assert_true(fake_sent() < 200 * 1000 * 1000);
}

static void hostile_names_never_reach_the_engine(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"), FAKE_END()};
    static const char bad[] = "../../images/prune?x=\33[1m";
    struct fixture f;
    open_fixture(&f, script);
    struct engine_container container = ENGINE_CONTAINER_NULL;
    struct engine_image image = ENGINE_IMAGE_NULL;
    struct engine_network network = ENGINE_NETWORK_NULL;
    struct engine_exec_state exec;
    struct engine_exec_spec exec_spec = {.cmd = (const char *const[]){"x", NULL}};
    struct engine_log_options log_options = {0};
    struct engine_container_spec spec = {.name = bad, .image = "x"};
    struct engine_network_spec network_spec = {.name = bad};
    struct memory_source memory = {"", 0};
    struct engine_build build = {.tags = (const char *const[]){bad, NULL},
                                 .context = memory_source(&memory)};
    char id[ENGINE_ID_SIZE], image_id[ENGINE_IMAGE_ID_SIZE];
    int64_t code;
#define refused(call)                                                                              \
    do {                                                                                           \
        error_clear(&f.err);                                                                       \
        assert_int_equal(call, -1);                                                                \
        assert_error(&f, ERROR_INVALID, "is not the name or id of");                               \
    } while (0)
    refused(engine_container_create(f.engine, &spec, &f.task, id, &f.err));
    refused(engine_container_start(f.engine, bad, &f.task, &f.err));
    refused(engine_container_stop(f.engine, bad, 1, &f.task, &f.err));
    refused(engine_container_kill(f.engine, bad, NULL, &f.task, &f.err));
    refused(engine_container_wait(f.engine, bad, &f.task, &code, &f.err));
    refused(engine_container_remove(f.engine, bad, true, true, &f.task, &f.err));
    refused(engine_container_inspect(f.engine, bad, &f.task, &container, &f.err));
    refused(engine_container_logs(f.engine, bad, &log_options, NULL, NULL, &f.task, &f.err));
    refused(engine_archive_get(f.engine, bad, "/", NULL, &f.task, &f.err));
    refused(engine_archive_put_memory(f.engine, bad, "/", "", 0, &f.task, &f.err));
    refused(engine_exec_create(f.engine, bad, &exec_spec, &f.task, id, &f.err));
    refused(engine_exec_inspect(f.engine, bad, &f.task, &exec, &f.err));
    refused(engine_image_inspect(f.engine, bad, &f.task, &image, &f.err));
    refused(engine_image_remove(f.engine, bad, true, &f.task, &f.err));
    refused(engine_image_tag(f.engine, bad, "x", &f.task, &f.err));
    refused(engine_image_tag(f.engine, "x", bad, &f.task, &f.err));
    refused(engine_image_build(f.engine, &build, &f.task, image_id, &f.err));
    refused(engine_network_create(f.engine, &network_spec, &f.task, id, &f.err));
    refused(engine_network_inspect(f.engine, bad, &f.task, &network, &f.err));
    refused(engine_network_remove(f.engine, bad, &f.task, &f.err));
    close_fixture(&f);
}

static void hostile_ids_from_the_engine_are_not_taken(void **state) {
    (void)state;
    static const char *const answers[] = {
        "{\"Id\":\"../../x\"}", "{\"Id\":\"\"}", "{\"Id\":7}", "{}", "[]", "{\"Id\":\"" ID "00\"}"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct fake_step script[] = {
            PING("1.41"), FAKE_EXPECT("POST /v1.41/containers/create?name=x HTTP/1.1\r\n"),
            FAKE_BODY(), FAKE_ANSWER("201 Created", answers[i]), FAKE_END()};
        struct fixture f;
        struct engine_container_spec spec = {.name = "x", .image = "y"};
        char id[ENGINE_ID_SIZE] = "unchanged";
        open_fixture(&f, script);
        assert_int_equal(engine_container_create(f.engine, &spec, &f.task, id, &f.err), -1);
        assert_error(&f, ERROR_INVALID, "create container 'x': ");
        assert_string_equal(id, "unchanged");
        close_fixture(&f);
    }
}

/* ---- time ---- */

static void a_call_takes_no_longer_than_the_engines_timeout(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"),
                                              FAKE_EXPECT("GET /v1.41/info"),
                                              FAKE_STALL(),
                                              FAKE_EXPECT("GET /v1.41/containers/x/logs"),
                                              FAKE_SEND(CHUNKED),
                                              FAKE_STALL(),
                                              FAKE_EXPECT("GET /v1.41/containers/x/archive"),
                                              FAKE_SEND(CHUNKED "1\r\nx\r\n"),
                                              FAKE_STALL(),
                                              FAKE_EXPECT("PUT /v1.41/containers/x/archive"),
                                              FAKE_STALL(),
                                              FAKE_END()};
    struct fixture f;
    struct engine_info info = ENGINE_INFO_NULL;
    struct engine_log_options log_options = {0};
    uint64_t size = 0;
    struct sink sink = {.push = count_push, .arg = &size};
    assert_int_equal(
        try_open(&f, script, (struct engine_options){.call_timeout_ns = 100 * NS_PER_MS}), 0);
    assert_int_equal(engine_info(f.engine, &f.task, &info, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT,
                 "ask the engine about itself: the engine took too long: GET /v1.41/info");
    assert_int_equal(
        engine_container_logs(f.engine, "x", &log_options, NULL, NULL, &f.task, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT, "the server was silent for 100 ms");
    assert_int_equal(engine_archive_get(f.engine, "x", "/out", &sink, &f.task, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT, "fetch '/out' of container 'x': ");
    assert_int_equal(size, 1);
    assert_int_equal(engine_archive_put_memory(f.engine, "x", "/", "tar", 3, &f.task, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT, "put files into '/' of container 'x': ");
    close_fixture(&f);
}

static void the_grace_of_a_stop_is_added_to_the_timeout(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"), FAKE_EXPECT("POST /v1.41/containers/x/stop?t=1 HTTP/1.1\r\n"), FAKE_STALL(),
        FAKE_END()};
    struct fixture f;
    open_fixture(&f, script);
    f.engine->call_timeout_ns = 1;
    struct instant before = clock_instant();
    assert_int_equal(engine_container_stop(f.engine, "x", 1, &f.task, &f.err), -1);
    assert_error(&f, ERROR_TIMEOUT, "stop container 'x': ");
    assert_true(instant_ns_between(before, clock_instant()) >= NS_PER_SEC);
    close_fixture(&f);
}

static void waiting_and_following_know_no_timeout_of_the_engine(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/containers/x/wait?condition=not-running HTTP"),
        FAKE_ANSWER("200 OK", "{\"StatusCode\":137,\"Error\":null}"),
        FAKE_EXPECT("GET /v1.41/containers/x/logs?stdout=1&stderr=1&follow=1 HTTP"),
        FAKE_SEND(CHUNKED),
        FAKE_CALL(raise_cancel),
        FAKE_STALL(),
        FAKE_END()};
    struct fixture f;
    int64_t code = 0;
    struct engine_log_options log_options = {.follow = true};
    open_fixture(&f, script);
    f.engine->call_timeout_ns = 1;
    assert_int_equal(engine_container_wait(f.engine, "x", &f.task, &code, &f.err), 0);
    assert_int_equal(code, 137);
    assert_int_equal(
        engine_container_logs(f.engine, "x", &log_options, NULL, NULL, &f.task, &f.err), -1);
    assert_error(&f, ERROR_CANCELLED, "logs of container 'x': ");
    close_fixture(&f);
}

static void cancellation_ends_a_wait_at_once(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"),
                                              FAKE_EXPECT("POST /v1.41/containers/x/wait"),
                                              FAKE_CALL(raise_cancel), FAKE_STALL(), FAKE_END()};
    struct fixture f;
    int64_t code = 0;
    open_fixture(&f, script);
    struct instant before = clock_instant();
    assert_int_equal(engine_container_wait(f.engine, "x", &f.task, &code, &f.err), -1);
    assert_true(instant_ns_between(before, clock_instant()) < PATIENCE_NS / 4);
    assert_error(&f, ERROR_CANCELLED, "wait for container 'x': ");
    close_fixture(&f);
}

/* ---- answers ---- */

static void an_answer_without_end_is_not_kept(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"), FAKE_EXPECT("GET /v1.41/containers/json"),
        FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n[\""), FAKE_REPEAT("x", TEN_GB), FAKE_END()};
    struct fixture f;
    struct engine_container_list list = ENGINE_CONTAINER_LIST_NULL;
    open_fixture(&f, script);
    assert_int_equal(engine_container_list(f.engine, NULL, &f.task, &list, &f.err), -1);
    assert_error(&f, ERROR_LIMIT,
                 "list containers: GET /v1.41/containers/json: the body of the answer is larger");
    close_fixture(&f);
    assert_true(fake_sent() < 100 * 1000 * 1000);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    assert_true(usage.ru_maxrss < 400 * 1024);
}

static void answers_that_are_wrong_are_errors(void **state) {
    (void)state;
    static const char *const answers[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"Id\":\"x\"}",
        "{\"Id\":\"../x\",\"State\":{\"Status\":\"running\",\"Running\":true}}",
        "{\"Id\":\"x\",\"State\":{\"Status\":\"running\",\"Running\":\"yes\"}}",
        "{\"Id\":\"x\",\"State\":{\"Status\":\"running\",\"Running\":true,\"ExitCode\":1.5}}",
        "{\"Id\":\"x\",\"State\":[]}",
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct fake_step script[] = {PING("1.41"),
                                           FAKE_EXPECT("GET /v1.41/containers/x/json HTTP"),
                                           FAKE_ANSWER("200 OK", answers[i]), FAKE_END()};
        struct fixture f;
        struct engine_container c = ENGINE_CONTAINER_NULL;
        open_fixture(&f, script);
        assert_int_equal(engine_container_inspect(f.engine, "x", &f.task, &c, &f.err), -1);
        assert_error(&f, ERROR_INVALID, "inspect container 'x': ");
        assert_null(c.json);
        close_fixture(&f);
    }
}

static void what_is_not_there_is_an_outcome(void **state) {
    (void)state;
#define NONE(request) FAKE_EXPECT(request " HTTP/1.1\r\n"), FAKE_ANSWER("404 Not Found", "{}")
    static const struct fake_step script[] = {
        PING("1.41"),
        NONE("GET /v1.41/containers/x/json"),
        NONE("DELETE /v1.41/containers/x?force=1&v=1"),
        NONE("GET /v1.41/images/a/b:1/json"),
        NONE("DELETE /v1.41/images/a/b:1?force=1"),
        NONE("GET /v1.41/networks/n"),
        NONE("DELETE /v1.41/networks/n"),
        NONE("GET /v1.41/containers/x/archive?path=%2Fa%20b"),
        FAKE_EXPECT("POST /v1.41/containers/x/kill?signal=SIGTERM HTTP"),
        FAKE_ANSWER("409 Conflict", "{\"message\":\"not running\"}"),
        FAKE_EXPECT("DELETE /v1.41/networks/n HTTP"),
        FAKE_ANSWER("403 Forbidden", "{\"message\":\"network n has active endpoints\"}"),
        FAKE_END(),
    };
    struct fixture f;
    uint64_t size = 0;
    struct sink sink = {.push = count_push, .arg = &size};
    struct engine_container c = ENGINE_CONTAINER_NULL;
    struct engine_image image = ENGINE_IMAGE_NULL;
    struct engine_network n = ENGINE_NETWORK_NULL;
    open_fixture(&f, script);
    assert_int_equal(engine_container_inspect(f.engine, "x", &f.task, &c, &f.err), 1);
    assert_int_equal(engine_container_remove(f.engine, "x", true, true, &f.task, &f.err), 1);
    assert_int_equal(engine_image_inspect(f.engine, "a/b:1", &f.task, &image, &f.err), 1);
    assert_int_equal(engine_image_remove(f.engine, "a/b:1", true, &f.task, &f.err), 1);
    assert_int_equal(engine_network_inspect(f.engine, "n", &f.task, &n, &f.err), 1);
    assert_int_equal(engine_network_remove(f.engine, "n", &f.task, &f.err), 1);
    assert_int_equal(engine_archive_get(f.engine, "x", "/a b", &sink, &f.task, &f.err), 1);
    assert_int_equal(engine_container_kill(f.engine, "x", "SIGTERM", &f.task, &f.err), 1);
    assert_int_equal(f.err.kind, ERROR_NONE);
    assert_int_equal(size, 0);
    assert_int_equal(engine_network_remove(f.engine, "n", &f.task, &f.err), -1);
    assert_error(&f, ERROR_CONFLICT, "remove network 'n': network n has active endpoints");
    close_fixture(&f);
}

static void a_container_that_cannot_be_connected_is_removed_again(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/containers/create?name=x HTTP"),
        FAKE_BODY(),
        FAKE_ANSWER("201 Created", "{\"Id\":\"" ID "\",\"Warnings\":[]}"),
        FAKE_EXPECT("POST /v1.41/networks/back/connect HTTP"),
        FAKE_BODY(),
        FAKE_CALL(raise_cancel),
        FAKE_STALL(),
        FAKE_EXPECT("DELETE /v1.41/containers/" ID "?force=1&v=1 HTTP"),
        FAKE_SEND("HTTP/1.1 204 No Content\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    struct engine_container_spec spec = {
        .name = "x",
        .image = "y",
        .endpoints = (const struct engine_endpoint[]){
            {.network = "front"}, {.network = "back"}, {.network = NULL}}};
    char id[ENGINE_ID_SIZE] = "unchanged";
    open_fixture(&f, script);
    assert_int_equal(engine_container_create(f.engine, &spec, &f.task, id, &f.err), -1);
    assert_error(&f, ERROR_CANCELLED, "create container 'x': connect to network 'back': ");
    assert_string_equal(id, "unchanged");
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "{\"Container\":\"" ID "\",\"EndpointConfig\":{}}"));
}

static void what_the_engine_cannot_wait_for_is_an_error(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/containers/x/wait"),
        FAKE_ANSWER("200 OK", "{\"StatusCode\":-1,\"Error\":{\"Message\":\"shim died\"}}"),
        FAKE_EXPECT("POST /v1.41/containers/x/wait"),
        FAKE_SEND(CHUNKED),
        FAKE_CLOSE(),
        FAKE_END()};
    struct fixture f;
    int64_t code = 42;
    open_fixture(&f, script);
    assert_int_equal(engine_container_wait(f.engine, "x", &f.task, &code, &f.err), -1);
    assert_error(&f, ERROR_REFUSED, "wait for container 'x': shim died");
    assert_int_equal(engine_container_wait(f.engine, "x", &f.task, &code, &f.err), -1);
    assert_error(&f, ERROR_UNREACHABLE, "wait for container 'x': ");
    assert_int_equal(code, 42);
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smaller_api_version_is_used),
        cmocka_unit_test(an_engine_that_is_too_old_is_refused_by_name),
        cmocka_unit_test(what_is_no_engine_is_not_taken_for_one),
        cmocka_unit_test(no_engine_is_an_error_with_a_hint),
        cmocka_unit_test(other_kinds_of_docker_host_are_refused_by_name),
        cmocka_unit_test(errors_carry_the_engines_words_and_a_kind),
        cmocka_unit_test(an_endless_message_is_cut),
        cmocka_unit_test(hostile_names_never_reach_the_engine),
        cmocka_unit_test(hostile_ids_from_the_engine_are_not_taken),
        cmocka_unit_test(a_call_takes_no_longer_than_the_engines_timeout),
        cmocka_unit_test(the_grace_of_a_stop_is_added_to_the_timeout),
        cmocka_unit_test(waiting_and_following_know_no_timeout_of_the_engine),
        cmocka_unit_test(cancellation_ends_a_wait_at_once),
        cmocka_unit_test(an_answer_without_end_is_not_kept),
        cmocka_unit_test(answers_that_are_wrong_are_errors),
        cmocka_unit_test(what_is_not_there_is_an_outcome),
        cmocka_unit_test(a_container_that_cannot_be_connected_is_removed_again),
        cmocka_unit_test(what_the_engine_cannot_wait_for_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
