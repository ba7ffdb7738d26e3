/* The engine client and streams that are cut, endless or garbage: builds, logs, archives, execs. */

#include "tests/fake/engine_fixture.h"

#include "runner/engine/archive.h"
#include "runner/engine/container.h"
#include "runner/engine/exec.h"
#include "runner/engine/image.h"
#include "runner/engine/log.h"

/* ---- builds ---- */

#define IMAGE "sha256:" ID

struct flow {
    uint64_t left;
};

static ssize_t flow_pull(void *arg, void *data, size_t size, struct error *err) {
    (void)err;
    struct flow *flow = arg;
    size_t n = size < flow->left ? size : flow->left;
    memset(data, 'u', n);
    flow->left -= n;
    return (ssize_t)n;
}

static int fail_event(void *arg, const struct engine_build_event *event, struct error *err) {
    (void)arg, (void)event;
    return error_set(err, ERROR_IO, "write log: disk full");
}

static int build(struct fixture *f, uint64_t size, char id[ENGINE_IMAGE_ID_SIZE]) {
    struct flow flow = {.left = size};
    struct engine_build spec = {
        .tags = (const char *const[]){"a/b:1", NULL},
        .dockerfile = "sub dir/Dockerfile",
        .args = (const struct engine_pair[]){{"X", "y&z"}, {"NONE", NULL}, {NULL, NULL}},
        .no_cache = true,
        .context = {.pull = flow_pull, .arg = &flow},
    };
    return engine_image_build(f->engine, &spec, &f->task, id, &f->err);
}

static void a_build_sends_its_options_and_gives_the_image(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/build?rm=1&forcerm=1&t=a%2Fb%3A1&dockerfile=sub%20dir%2FDockerfile"
                    "&buildargs=%7B%22NONE%22%3Anull%2C%22X%22%3A%22y%26z%22%7D&nocache=1 HTTP"),
        FAKE_BODY(),
        FAKE_SEND(CHUNKED),
        FAKE_CHUNK("{\"stream\":\"one\"}\n{"),
        FAKE_CHUNK("\"aux\":{\"ID\":\"" IMAGE "\"}}\n{\"stream\":\"\"}\n"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_END()};
    struct fixture f;
    char id[ENGINE_IMAGE_ID_SIZE];
    open_fixture(&f, script);
    if (build(&f, 1000 * 1000, id) < 0)
        fail_msg("%s", f.err.text);
    assert_string_equal(id, IMAGE);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Content-Type: application/x-tar\r\n"));
    assert_non_null(strstr(fake_received(), "Transfer-Encoding: chunked\r\n"));
}

static void a_build_that_goes_wrong_says_how(void **state) {
    (void)state;
#define BUILD(...)                                                                                 \
    { PING("1.41"), FAKE_EXPECT("POST /v1.41/build"), FAKE_BODY(), __VA_ARGS__ }
    static const struct {
        struct fake_step script[12];
        enum error_kind kind;
        const char *text;
    } cases[] = {
        {BUILD(FAKE_ANSWER("200 OK", "{\"stream\":\"Step 3/5\"}\n{\"errorDetail\":{\"code\":7,"
                                     "\"message\":\"returned a non-zero code: 7\"}}\n"),
               FAKE_END()),
         ERROR_FAILED, "build image 'a/b:1': returned a non-zero code: 7"},
        {BUILD(FAKE_SEND(CHUNKED), FAKE_CHUNK("{\"error\":\"failed\"}\n"), FAKE_CLOSE(),
               FAKE_END()),
         ERROR_FAILED, "build image 'a/b:1': failed"},
        {BUILD(FAKE_SEND(CHUNKED), FAKE_CHUNK("{\"stream\":\"Step 1\"}\n"), FAKE_CLOSE(),
               FAKE_END()),
         ERROR_UNREACHABLE, "build image 'a/b:1': POST /v1.41/build: the connection broke"},
        {BUILD(FAKE_ANSWER("200 OK", "{\"stream\":\"Step 1\"}\n"), FAKE_END()), ERROR_INVALID,
         "build image 'a/b:1': the engine ended it without an image"},
        {BUILD(FAKE_ANSWER("200 OK", "{\"stream\":\"Step 1\n"), FAKE_END()), ERROR_INVALID,
         "output of the build: not valid JSON"},
        {BUILD(FAKE_ANSWER("200 OK", "\x1b[31mgarbage\n"), FAKE_END()), ERROR_INVALID,
         "output of the build: not valid JSON"},
        {BUILD(FAKE_ANSWER("400 Bad Request",
                           "{\"message\":\"dockerfile parse error line 2: unknown instruction\"}"),
               FAKE_END()),
         ERROR_REFUSED, "build image 'a/b:1': dockerfile parse error line 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char id[ENGINE_IMAGE_ID_SIZE];
        open_fixture(&f, cases[i].script);
        assert_int_equal(build(&f, 1000, id), -1);
        assert_error(&f, cases[i].kind, cases[i].text);
        close_fixture(&f);
    }
}

static void ten_gigabytes_of_build_output_without_a_newline_are_not_kept(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"),
                                              FAKE_EXPECT("POST /v1.41/build"),
                                              FAKE_BODY(),
                                              FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n{\"stream\":\""),
                                              FAKE_REPEAT("x", TEN_GB),
                                              FAKE_END()};
    struct fixture f;
    char id[ENGINE_IMAGE_ID_SIZE];
    open_fixture(&f, script);
    assert_int_equal(build(&f, 1000, id), -1);
    assert_error(&f, ERROR_LIMIT, "a line of the answer is larger than 1048576 bytes");
    close_fixture(&f);
    assert_true(fake_sent() < 20 * 1000 * 1000);
}

static void an_engine_that_answers_during_the_upload_of_a_context_is_heard(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/build"),
        FAKE_READ(100000),
        FAKE_SEND("HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 27\r\n\r\n"
                  "{\"message\":\"no space left\"}"),
        FAKE_CLOSE(),
        FAKE_END()};
    struct fixture f;
    char id[ENGINE_IMAGE_ID_SIZE];
    open_fixture(&f, script);
    assert_int_equal(build(&f, TEN_GB, id), -1);
    assert_string_equal(f.err.text, "build image 'a/b:1': no space left");
    close_fixture(&f);
}

static void who_cannot_take_an_event_ends_the_build(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),       FAKE_EXPECT("POST /v1.41/build"),      FAKE_BODY(),
        FAKE_SEND(CHUNKED), FAKE_CHUNK("{\"stream\":\"step\"}\n"), FAKE_STALL(),
        FAKE_END()};
    struct fixture f;
    char id[ENGINE_IMAGE_ID_SIZE];
    struct memory_source memory = {"", 0};
    struct engine_build spec = {.context = memory_source(&memory), .on_event = fail_event};
    open_fixture(&f, script);
    assert_int_equal(engine_image_build(f.engine, &spec, &f.task, id, &f.err), -1);
    assert_error(&f, ERROR_IO, "write log: disk full");
    close_fixture(&f);
}

static void a_silent_build_ends_by_its_idle_limit(void **state) {
    (void)state;
    static const struct fake_step script[] = {PING("1.41"), FAKE_EXPECT("POST /v1.41/build"),
                                              FAKE_BODY(), FAKE_STALL(), FAKE_END()};
    struct fixture f;
    char id[ENGINE_IMAGE_ID_SIZE];
    assert_int_equal(try_open(&f, script, (struct engine_options){.build_idle_ns = 50 * NS_PER_MS}),
                     0);
    assert_int_equal(build(&f, 1000, id), -1);
    assert_error(&f, ERROR_TIMEOUT, "silent for 50 ms");
    close_fixture(&f);
}

/* ---- streams ---- */

static int stop_at_second(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)line, (void)err;
    return ++*(int *)arg == 2;
}

static void logs_that_are_cut_or_garbage_are_errors(void **state) {
    (void)state;
#define LOGS(...)                                                                                  \
    { PING("1.41"), FAKE_EXPECT("GET /v1.41/containers/x/logs"), __VA_ARGS__ }
    static const struct {
        struct fake_step script[10];
        int result;
        enum error_kind kind;
    } cases[] = {
        /* the frame is cut, the answer is not */
        {LOGS(FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n\1\0\0\0\0\0\0\5on"),
              FAKE_END()),
         -1, ERROR_INVALID},
        {LOGS(FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nplain text"), FAKE_END()), -1,
         ERROR_INVALID},
        {LOGS(FAKE_SEND(CHUNKED "a\r\n\1\0\0\0\0\0\0\2a\n\r\n"), FAKE_CLOSE(), FAKE_END()), -1,
         ERROR_UNREACHABLE},
        {LOGS(FAKE_SEND(CHUNKED "c\r\n\1\0\0\0\0\0\0\4a\nb\n\r\n"), FAKE_STALL(), FAKE_END()), 1,
         ERROR_NONE},
        {LOGS(FAKE_ANSWER("501 Not Implemented",
                          "{\"message\":\"logging driver does not support reading\"}"),
              FAKE_END()),
         -1, ERROR_REFUSED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        int lines = 0;
        struct engine_log_options options = {0};
        open_fixture(&f, cases[i].script);
        assert_int_equal(
            engine_container_logs(f.engine, "x", &options, stop_at_second, &lines, &f.task, &f.err),
            cases[i].result);
        assert_int_equal(f.err.kind, cases[i].kind);
        close_fixture(&f);
    }
}

static void an_archive_cut_in_the_middle_is_not_taken_for_whole(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"), FAKE_EXPECT("GET /v1.41/containers/x/archive?path=%2Fout HTTP"),
        FAKE_SEND(CHUNKED "5\r\nhello\r\n"), FAKE_CLOSE(), FAKE_END()};
    struct fixture f;
    uint64_t size = 0;
    struct sink sink = {.push = count_push, .arg = &size};
    open_fixture(&f, script);
    assert_int_equal(engine_archive_get(f.engine, "x", "/out", &sink, &f.task, &f.err), -1);
    assert_error(&f, ERROR_UNREACHABLE, "fetch '/out' of container 'x': ");
    close_fixture(&f);
}

static void an_exec_waits_until_the_exit_code_is_known(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/containers/x/exec HTTP"),
        FAKE_BODY(),
        FAKE_ANSWER("201 Created", "{\"Id\":\"" ID "\"}"),
        FAKE_EXPECT("POST /v1.41/exec/" ID "/start HTTP"),
        FAKE_BODY(),
        FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
                  "\1\0\0\0\0\0\0\6output\2\0\0\0\0\0\0\3bad"),
        FAKE_CLOSE(),
        FAKE_EXPECT("GET /v1.41/exec/" ID "/json HTTP"),
        FAKE_ANSWER("200 OK", "{\"Running\":true,\"ExitCode\":null,\"Pid\":7}"),
        FAKE_EXPECT("GET /v1.41/exec/" ID "/json HTTP"),
        FAKE_ANSWER("200 OK", "{\"Running\":false,\"ExitCode\":3,\"Pid\":7}"),
        FAKE_END(),
    };
    struct fixture f;
    struct engine_exec_spec spec = {.cmd = (const char *const[]){"a", "b", NULL}};
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    open_fixture(&f, script);
    if (engine_exec(f.engine, "x", &spec, 4, 0, &f.task, &result, &f.err) < 0)
        fail_msg("%s", f.err.text);
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(buffer_string(&result.out), "outp");
    assert_string_equal(buffer_string(&result.err), "bad");
    assert_true(result.truncated);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "{\"AttachStderr\":true,\"AttachStdout\":true,"
                                            "\"Cmd\":[\"a\",\"b\"]}"));
}

static int ignore_output(void *arg, enum engine_stream stream, const void *data, size_t size,
                         struct error *err) {
    (void)arg, (void)stream, (void)data, (void)size, (void)err;
    return 0;
}

static void an_exec_cut_in_a_frame_is_an_error(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"), FAKE_EXPECT("POST /v1.41/exec/" ID "/start HTTP"),
        FAKE_BODY(),  FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n\1\0\0\0\0\0\0\6out"),
        FAKE_CLOSE(), FAKE_END(),
    };
    struct fixture f;
    struct engine_output output = {.push = ignore_output};
    open_fixture(&f, script);
    assert_int_equal(engine_exec_start(f.engine, ID, &output, &f.task, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "run the command: the multiplexed stream ended");
    close_fixture(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_sends_its_options_and_gives_the_image),
        cmocka_unit_test(a_build_that_goes_wrong_says_how),
        cmocka_unit_test(ten_gigabytes_of_build_output_without_a_newline_are_not_kept),
        cmocka_unit_test(an_engine_that_answers_during_the_upload_of_a_context_is_heard),
        cmocka_unit_test(who_cannot_take_an_event_ends_the_build),
        cmocka_unit_test(a_silent_build_ends_by_its_idle_limit),
        cmocka_unit_test(logs_that_are_cut_or_garbage_are_errors),
        cmocka_unit_test(an_archive_cut_in_the_middle_is_not_taken_for_whole),
        cmocka_unit_test(an_exec_waits_until_the_exit_code_is_known),
        cmocka_unit_test(an_exec_cut_in_a_frame_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
