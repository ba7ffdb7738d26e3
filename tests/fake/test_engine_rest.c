/* Events, transfers, volumes, statistics and streams of engines that stall, cut, flood and lie. */

#include "lib/text.h"
#include "runner/engine/event.h"
#include "runner/engine/exec.h"
#include "runner/engine/stats.h"
#include "runner/engine/transfer.h"
#include "runner/engine/volume.h"
#include "tests/fake/engine_fixture.h"

#include <unistd.h>

#define LINE(text) FAKE_CHUNK(text "\n")
#define DIGEST "sha256:" ID

/* ---- events ---- */

static int note(void *arg, const struct engine_event *event, struct error *err) {
    (void)err;
    struct buffer *text = arg;
    buffer_format(text, "%d:%s:%lld:%d ", event->kind, event->name, (long long)event->exit_code,
                  event->health);
    return 0;
}

static int follow(struct fixture *f, struct engine_event_cursor *cursor, struct buffer *text) {
    struct engine_events_options options = {
        .types = (const char *const[]){"container", NULL}, .since_ns = 5, .cursor = cursor};
    buffer_init(text, 4096);
    return engine_events(f->engine, &options, note, text, &f->task, &f->err);
}

#define EVENT(action, attributes, time)                                                            \
    "{\"Type\":\"container\",\"Action\":\"" action "\",\"Actor\":{\"ID\":\"x\",\"Attributes\":{"   \
    "\"name\":\"a\"" attributes "}},\"time\":1,\"timeNano\":" time "}"

static void a_broken_stream_of_events_goes_on_where_it_was(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("GET /v1.41/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D&since=0."
                    "000000005 "),
        FAKE_SEND(CHUNKED),
        LINE(EVENT("start", "", "1000000007")),
        LINE(EVENT("health_status: unhealthy", "", "1000000009")),
        LINE(EVENT("die", ",\"exitCode\":\"137\"", "1000000009")),
        FAKE_CLOSE(),
        FAKE_EXPECT("GET /v1.41/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D&since=1."
                    "000000009 "),
        FAKE_SEND(CHUNKED),
        LINE(EVENT("health_status: unhealthy", "", "1000000009")),
        LINE(EVENT("die", ",\"exitCode\":\"137\"", "1000000009")),
        LINE(EVENT("oom", "", "1000000009")),
        LINE(EVENT("exec_start: sh -c x", "", "1000000010")),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    struct engine_event_cursor cursor = {0};
    cleanup(buffer_deinit) struct buffer first, second;
    open_fixture(&f, script);
    assert_int_equal(follow(&f, &cursor, &first), -1);
    assert_error(&f, ERROR_UNREACHABLE, "events of the engine: ");
    assert_int_equal(follow(&f, &cursor, &second), -1);
    assert_error(&f, ERROR_UNREACHABLE, "the engine ended the stream");
    cleanup_free char *wanted =
        text_format("%d:a:-1:0 %d:a:-1:%d %d:a:137:0 ", ENGINE_EVENT_START, ENGINE_EVENT_HEALTH,
                    ENGINE_HEALTH_UNHEALTHY, ENGINE_EVENT_DIE);
    assert_string_equal(buffer_string(&first), wanted);
    cleanup_free char *more =
        text_format("%d:a:-1:0 %d:a:-1:0 ", ENGINE_EVENT_OOM, ENGINE_EVENT_EXEC_START);
    assert_string_equal(buffer_string(&second), more);
    close_fixture(&f);
}

static void events_that_are_wrong_end_the_stream(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("GET /v1.41/events"),
        FAKE_SEND(CHUNKED),
        LINE("{\"Type\":\"container\",\"Action\":7,\"timeNano\":1}"),
        FAKE_EXPECT("GET /v1.41/events"),
        FAKE_SEND(CHUNKED),
        LINE("{\"Type\":\"container\",\"Action\":\"start\",\"timeNano\":-5}"),
        FAKE_EXPECT("GET /v1.41/events"),
        FAKE_SEND(CHUNKED),
        LINE(EVENT("die", ",\"exitCode\":\"\\u001b[31m\"", "9")),
        FAKE_EXPECT("GET /v1.41/events"),
        FAKE_SEND("HTTP/1.1 200 OK\r\n\r\n"),
        FAKE_REPEAT("x", TEN_GB),
        FAKE_END(),
    };
    static const struct {
        enum error_kind kind;
        const char *text;
    } wanted[] = {{ERROR_INVALID, "an event of the engine: 'Action' must be a string"},
                  {ERROR_INVALID, "an event of the engine: 'timeNano' is missing or negative"},
                  {ERROR_INVALID, "an event of the engine: the exit code is '\\x1b[31m'"},
                  {ERROR_LIMIT, "events of the engine: "}};
    struct fixture f;
    open_fixture(&f, script);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cleanup(buffer_deinit) struct buffer text;
        assert_int_equal(follow(&f, NULL, &text), -1);
        assert_error(&f, wanted[i].kind, wanted[i].text);
    }
    close_fixture(&f);
    assert_true(fake_sent() < TEN_GB / 100);
}

static void following_events_ends_when_the_task_is_cancelled(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),       FAKE_EXPECT("GET /v1.41/events"),
        FAKE_SEND(CHUNKED), FAKE_CALL(raise_cancel),
        FAKE_STALL(),       FAKE_END(),
    };
    struct fixture f;
    cleanup(buffer_deinit) struct buffer text;
    open_fixture(&f, script);
    assert_int_equal(follow(&f, NULL, &text), -1);
    assert_error(&f, ERROR_CANCELLED, "");
    close_fixture(&f);
}

/* ---- transfers ---- */

static int pull(struct fixture *f, const char *reference, char digest[ENGINE_DIGEST_SIZE]) {
    return engine_image_pull(f->engine, reference, NULL, NULL, &f->task, digest, &f->err);
}

static void a_pull_always_says_who_we_are_and_checks_what_came(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/images/create?fromImage=r%3A5000%2Fx&tag=latest "),
        FAKE_SEND(CHUNKED),
        LINE("{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":1,"
             "\"total\":-1}}"),
        LINE("{\"status\":\"Digest: " DIGEST "\"}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/create?fromImage=x&tag=sha256%3A"),
        FAKE_SEND(CHUNKED),
        LINE("{\"status\":\"Digest: " DIGEST "\"}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/create"),
        FAKE_SEND(CHUNKED),
        LINE("{\"errorDetail\":{\"message\":\"denied \\u001b[31m\"},\"error\":\"denied\"}"),
        FAKE_CLOSE(),
        FAKE_EXPECT("POST /v1.41/images/create"),
        FAKE_SEND(CHUNKED),
        LINE("{\"status\":\"Digest: sha256:../../x\"}"),
        FAKE_EXPECT("POST /v1.41/images/create"),
        FAKE_SEND(CHUNKED),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    char digest[ENGINE_DIGEST_SIZE] = "";
    open_fixture(&f, script);
    assert_int_equal(pull(&f, "r:5000/x", digest), 0);
    assert_string_equal(digest, DIGEST);
    assert_int_equal(pull(&f, "x@sha256:" ID "0", digest), -1);
    assert_error(&f, ERROR_INVALID, "the engine pulled " DIGEST " instead");
    assert_int_equal(pull(&f, "x:1", digest), -1);
    assert_error(&f, ERROR_FAILED, "pull image 'x:1': denied \\x1b[31m");
    assert_int_equal(pull(&f, "x:1", digest), -1);
    assert_error(&f, ERROR_INVALID, "progress of the engine: digest: ");
    assert_int_equal(pull(&f, "x:1", digest), -1);
    assert_error(&f, ERROR_INVALID, "the engine does not say the digest");
    assert_int_equal(pull(&f, "../x", digest), -1);
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "X-Registry-Auth: e30=\r\n"));
}

static int load(struct fixture *f, struct engine_loaded *loaded) {
    struct memory_source memory = {"tar", 3};
    struct source source = memory_source(&memory);
    return engine_image_load(f->engine, &source, NULL, &f->task, loaded, &f->err);
}

static void a_load_tells_what_was_loaded(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/images/load?quiet=0 "),
        FAKE_BODY(),
        FAKE_SEND(CHUNKED),
        LINE("{\"status\":\"Loading layer\",\"progressDetail\":{\"current\":5,\"total\":"
             "18446744073709551615},\"id\":\"a\"}"),
        LINE("{\"stream\":\"Loaded image: x:1\\n\"}"),
        LINE("{\"stream\":\"Loaded image ID: " DIGEST "\\n\"}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/load"),
        FAKE_BODY(),
        FAKE_SEND(CHUNKED),
        LINE("{\"stream\":\"Loaded image: ../../etc\\n\"}"),
        FAKE_EXPECT("POST /v1.41/images/load"),
        FAKE_BODY(),
        FAKE_SEND(CHUNKED),
        LINE("{\"errorDetail\":{\"message\":\"no space left on device\"}}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/load"),
        FAKE_BODY(),
        FAKE_SEND(CHUNKED),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    cleanup(engine_loaded_deinit) struct engine_loaded loaded = ENGINE_LOADED_NULL;
    open_fixture(&f, script);
    assert_int_equal(load(&f, &loaded), 0);
    assert_int_equal(loaded.count, 2);
    assert_string_equal(loaded.references[0], "x:1");
    assert_string_equal(loaded.references[1], DIGEST);
    assert_null(loaded.references[2]);
    engine_loaded_deinit(&loaded);
    assert_int_equal(load(&f, &loaded), -1);
    assert_error(&f, ERROR_INVALID, "progress of the engine: '../../etc' is not the name");
    assert_int_equal(load(&f, &loaded), -1);
    assert_error(&f, ERROR_FAILED, "load images: no space left on device");
    assert_int_equal(load(&f, &loaded), -1);
    assert_error(&f, ERROR_INVALID, "the engine found no image in it");
    close_fixture(&f);
}

static void what_an_engine_does_not_have_cannot_be_saved(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("GET /v1.41/images/get?names=x%3A1&names=y%3A1 "),
        FAKE_ANSWER("500 Internal Server Error", "{\"message\":\"No such image: y:1\"}"),
        FAKE_EXPECT("GET /v1.41/images/get"),
        FAKE_SEND(CHUNKED),
        FAKE_CHUNK("some of the tar"),
        FAKE_CLOSE(),
        FAKE_END(),
    };
    struct fixture f;
    uint64_t size = 0;
    struct sink sink = {.push = count_push, .arg = &size};
    static const char *const references[] = {"x:1", "y:1", NULL};
    open_fixture(&f, script);
    assert_int_equal(engine_image_save(f.engine, references, &sink, &f.task, &f.err), -1);
    assert_error(&f, ERROR_NOT_FOUND, "save image 'x:1': No such image: y:1");
    assert_int_equal(engine_image_save(f.engine, references, &sink, &f.task, &f.err), -1);
    assert_error(&f, ERROR_UNREACHABLE, "the connection broke");
    close_fixture(&f);
}

/* ---- volumes and statistics ---- */

static void answers_about_volumes_are_checked(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("GET /v1.41/volumes "),
        FAKE_ANSWER("200 OK", "{\"Volumes\":null,\"Warnings\":null}"),
        FAKE_EXPECT("GET /v1.41/volumes "),
        FAKE_ANSWER("200 OK", "{\"Volumes\":[{\"Name\":\"../../etc\"}]}"),
        FAKE_EXPECT("POST /v1.41/volumes/create "),
        FAKE_BODY(),
        FAKE_ANSWER("201 Created", "{\"Driver\":\"local\"}"),
        FAKE_EXPECT("DELETE /v1.41/volumes/v "),
        FAKE_ANSWER("409 Conflict", "{\"message\":\"volume is in use\"}"),
        FAKE_END(),
    };
    struct fixture f;
    struct engine_volume_list list = ENGINE_VOLUME_LIST_NULL;
    struct engine_volume volume = ENGINE_VOLUME_NULL;
    struct engine_volume_spec spec = {.name = "v"};
    open_fixture(&f, script);
    assert_int_equal(engine_volume_list(f.engine, NULL, &f.task, &list, &f.err), 0);
    assert_int_equal(list.count, 0);
    engine_volume_list_deinit(&list);
    assert_int_equal(engine_volume_list(f.engine, NULL, &f.task, &list, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "list volumes: the engine's answer: ");
    assert_int_equal(engine_volume_create(f.engine, &spec, &f.task, &volume, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "create volume 'v': the engine's answer: 'Name' is missing");
    assert_int_equal(engine_volume_remove(f.engine, "v", &f.task, &f.err), -1);
    assert_error(&f, ERROR_CONFLICT, "remove volume 'v': volume is in use");
    assert_int_equal(engine_volume_remove(f.engine, "../v", &f.task, &f.err), -1);
    close_fixture(&f);
}

static void counters_beyond_int64_are_read(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("GET /v1.41/containers/x/stats?stream=false&one-shot=true "),
        FAKE_ANSWER("200 OK",
                    "{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":7}},\"memory_stats\":{"
                    "\"limit\":18446744073709551615,\"usage\":5},\"networks\":{\"a\":{\"rx_bytes\":"
                    "1},\"b\":{\"rx_bytes\":2,\"tx_bytes\":4}},\"blkio_stats\":{"
                    "\"io_service_bytes_recursive\":[{\"op\":\"Read\",\"value\":9},{\"op\":"
                    "\"write\",\"value\":8}]}}"),
        FAKE_EXPECT("GET /v1.41/containers/x/stats"),
        FAKE_ANSWER("200 OK", "{\"networks\":{\"a\":{\"rx_bytes\":-1}}}"),
        FAKE_END(),
    };
    struct fixture f;
    cleanup(engine_stats_deinit) struct engine_stats stats = ENGINE_STATS_NULL, none = stats;
    open_fixture(&f, script);
    assert_int_equal(engine_container_stats(f.engine, "x", &f.task, &stats, &f.err), 0);
    assert_true(stats.memory_limit_bytes == UINT64_MAX && stats.memory_bytes == 5);
    assert_true(stats.cpu_ns == 7 && stats.received_bytes == 3 && stats.sent_bytes == 4);
    assert_true(stats.read_bytes == 9 && stats.written_bytes == 8);
    assert_int_equal(engine_container_stats(f.engine, "x", &f.task, &none, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "networks: 'rx_bytes' must be a whole number");
    close_fixture(&f);
}

/* ---- streams ---- */

static int take(void *arg, enum engine_stream stream, const void *data, size_t size,
                struct error *err) {
    (void)err;
    buffer_format(arg, "%d:%.*s", stream, (int)size, (const char *)data);
    return 0;
}

static int attach(struct fixture *f, const char *input, bool terminal, struct buffer *output) {
    struct memory_source memory = {input, input ? strlen(input) : 0};
    struct source source = memory_source(&memory);
    buffer_init(output, 1 << 20);
    struct engine_exec_io io = {.input_fd = -1,
                                .input = input ? &source : NULL,
                                .terminal = terminal,
                                .resize_fd = -1,
                                .output = {.push = take, .arg = output}};
    return engine_exec_attach(f->engine, "abc", &io, &f->task, &f->err);
}

#define UPGRADED                                                                                   \
    "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"                 \
    "Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

static void a_stream_carries_input_and_output_at_once(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"), FAKE_EXPECT("POST /v1.41/exec/abc/start HTTP/1.1\r\n"),
        FAKE_BODY(),  FAKE_SEND(UPGRADED "\1\0\0\0\0\0\0\3out"),
        FAKE_READ(7), FAKE_SEND("\2\0\0\0\0\0\0\3err"),
        FAKE_CLOSE(), FAKE_EXPECT("POST /v1.41/exec/abc/start HTTP/1.1\r\n"),
        FAKE_BODY(),  FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\nraw"),
        FAKE_CLOSE(), FAKE_END(),
    };
    struct fixture f;
    cleanup(buffer_deinit) struct buffer first, second;
    open_fixture(&f, script);
    if (attach(&f, "typed\r\n", false, &first) != 0)
        fail_msg("%s", f.err.text);
    assert_string_equal(buffer_string(&first), "1:out2:err");
    assert_int_equal(attach(&f, NULL, true, &second), 0);
    assert_string_equal(buffer_string(&second), "1:raw");
    close_fixture(&f);
    assert_non_null(strstr(fake_received(), "Upgrade: tcp\r\n"));
}

static void streams_that_do_not_open_are_errors(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND("HTTP/1.1 409 Conflict\r\nContent-Length: 28\r\n\r\n{\"message\":\"\\u001b is "
                  "over\"}\nx"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"message\r\n"
                  "a\r\n\":\"is not\"\r\n1\r\n}\r\n0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND("SSH-2.0-x\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_CLOSE(),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND("HTTP/1.1 500 X\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND(UPGRADED "\1\0\0\0\0\0\0\3ou"),
        FAKE_CLOSE(),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND("HTTP/1.1 101 X\r\nA: "),
        FAKE_REPEAT("x", TEN_GB),
        FAKE_END(),
    };
    static const struct {
        enum error_kind kind;
        const char *text;
    } wanted[] = {
        {ERROR_CONFLICT, "run the command: \\x1b is over"},
        {ERROR_NOT_FOUND, "run the command: is not"},
        {ERROR_INVALID, "the answer is not HTTP as we know it"},
        {ERROR_UNREACHABLE, "the server hung up without an answer"},
        {ERROR_INVALID, "the answer's length is '99999999999999999999'"},
        {ERROR_INVALID, "run the command: "},
        {ERROR_LIMIT, "all headers of the answer"},
    };
    struct fixture f;
    open_fixture(&f, script);
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cleanup(buffer_deinit) struct buffer output;
        assert_int_equal(attach(&f, NULL, false, &output), -1);
        assert_error(&f, wanted[i].kind, wanted[i].text);
    }
    close_fixture(&f);
    assert_true(fake_sent() < TEN_GB / 100);
}

static void a_stream_ends_when_the_task_is_cancelled(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/exec/abc/start"),
        FAKE_BODY(),
        FAKE_SEND(UPGRADED),
        FAKE_CALL(raise_cancel),
        FAKE_STALL(),
        FAKE_END(),
    };
    struct fixture f;
    cleanup(buffer_deinit) struct buffer output;
    open_fixture(&f, script);
    assert_int_equal(attach(&f, NULL, false, &output), -1);
    assert_error(&f, ERROR_CANCELLED, "run the command: ");
    close_fixture(&f);
}

static void a_push_tells_the_digest_that_the_registry_has(void **state) {
    (void)state;
    static const struct fake_step script[] = {
        PING("1.41"),
        FAKE_EXPECT("POST /v1.41/images/r:5000/team/x/push?tag=1 "),
        FAKE_SEND(CHUNKED),
        LINE(
            "{\"status\":\"Pushing\",\"id\":\"a\",\"progressDetail\":{\"current\":1,\"total\":2}}"),
        LINE("{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\",\"Digest\":\"" DIGEST
             "\",\"Size\":528}}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/x/push?tag=1 "),
        FAKE_SEND(CHUNKED),
        LINE("{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"denied\"}"),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_EXPECT("POST /v1.41/images/x/push?tag=1 "),
        FAKE_SEND(CHUNKED),
        FAKE_SEND("0\r\n\r\n"),
        FAKE_END(),
    };
    struct fixture f;
    char digest[ENGINE_DIGEST_SIZE] = "";
    struct engine_registry_auth auth = {.username = "u", .password = "p?"};
    open_fixture(&f, script);
    assert_int_equal(
        engine_image_push(f.engine, "r:5000/team/x:1", &auth, NULL, &f.task, digest, &f.err), 0);
    assert_string_equal(digest, DIGEST);
    assert_int_equal(engine_image_push(f.engine, "x:1", NULL, NULL, &f.task, digest, &f.err), -1);
    assert_error(&f, ERROR_FAILED, "push image 'x:1': denied");
    assert_int_equal(engine_image_push(f.engine, "x:1", NULL, NULL, &f.task, digest, &f.err), -1);
    assert_error(&f, ERROR_INVALID, "does not say the digest");
    assert_int_equal(engine_image_push(f.engine, "r:5000/x", NULL, NULL, &f.task, digest, &f.err),
                     -1);
    close_fixture(&f);
    assert_non_null(
        strstr(fake_received(), "X-Registry-Auth: eyJwYXNzd29yZCI6InA_IiwidXNlcm5hbWUiOiJ1In0="));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_stream_of_events_goes_on_where_it_was),
        cmocka_unit_test(events_that_are_wrong_end_the_stream),
        cmocka_unit_test(following_events_ends_when_the_task_is_cancelled),
        cmocka_unit_test(a_pull_always_says_who_we_are_and_checks_what_came),
        cmocka_unit_test(a_push_tells_the_digest_that_the_registry_has),
        cmocka_unit_test(a_load_tells_what_was_loaded),
        cmocka_unit_test(what_an_engine_does_not_have_cannot_be_saved),
        cmocka_unit_test(answers_about_volumes_are_checked),
        cmocka_unit_test(counters_beyond_int64_are_read),
        cmocka_unit_test(a_stream_carries_input_and_output_at_once),
        cmocka_unit_test(streams_that_do_not_open_are_errors),
        cmocka_unit_test(a_stream_ends_when_the_task_is_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
