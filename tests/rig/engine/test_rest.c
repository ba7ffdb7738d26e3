/*
 * The engine client against a real Docker Engine, second part: events, volumes, images on the move,
 * statistics, and commands with input and a terminal.
 *
 * Needs SEATRIAL_TEST_DOCKER_HOST (and what settings.h knows, for TLS) and /bin/busybox (static).
 * SEATRIAL_TEST_PULL, "registry/name@sha256:...", is pulled if it is set.
 */

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/engine/container.h"
#include "runner/engine/event.h"
#include "runner/engine/exec.h"
#include "runner/engine/image.h"
#include "runner/engine/settings.h"
#include "runner/engine/stats.h"
#include "runner/engine/transfer.h"
#include "runner/engine/volume.h"
#include "tests/rig/engine/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TAG "seatrial-test/rest:1"
#define ALSO "seatrial-test/rest:also"
#define LABEL "io.seatrial.test"
#define SH "/bin/busybox", "sh", "-c"

enum { SKIP = 77, CONTEXT_MAX = 16 * 1024 * 1024 };

static struct engine *engine, *other;
static struct engine_endpoint_settings endpoint;
static struct task task;
static struct error err;
static bool podman;

#define ok(call)                                                                                   \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

static const struct engine_pair labels[] = {{LABEL, "rest"}, {NULL, NULL}};

static int64_t now_ns(void) {
    return clock_wall().ns;
}

static void build_image(void) {
    static const char dockerfile[] =
        "FROM scratch\nCOPY busybox /bin/busybox\nLABEL " LABEL "=rest\nWORKDIR /data\n";
    cleanup(buffer_deinit) struct buffer tar, content;
    cleanup_fclose FILE *file = fopen("/bin/busybox", "re");
    assert_non_null(file);
    buffer_init(&tar, CONTEXT_MAX);
    buffer_init(&content, CONTEXT_MAX);
    char piece[65536], id[ENGINE_IMAGE_ID_SIZE];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        buffer_append(&content, piece, n);
    tar_add(&tar, "Dockerfile", 0644, dockerfile, strlen(dockerfile));
    tar_add(&tar, "busybox", 0755, content.data, content.size);
    tar_end(&tar);
    struct memory_source memory = {tar.data, tar.size};
    struct engine_build build = {.tags = (const char *const[]){TAG, ALSO, NULL},
                                 .context = memory_source(&memory)};
    ok(engine_image_build(engine, &build, &task, id, &err));
}

static void remove_all(void) {
    cleanup(engine_container_list_deinit) struct engine_container_list containers =
        ENGINE_CONTAINER_LIST_NULL;
    ok(engine_container_list(engine, labels, &task, &containers, &err));
    for (size_t i = 0; i < containers.count; i++)
        ok(engine_container_remove(engine, containers.entries[i].id, true, true, &task, &err));
    cleanup(engine_volume_list_deinit) struct engine_volume_list volumes = ENGINE_VOLUME_LIST_NULL;
    ok(engine_volume_list(engine, labels, &task, &volumes, &err));
    for (size_t i = 0; i < volumes.count; i++)
        ok(engine_volume_remove(engine, volumes.entries[i].name, &task, &err));
}

static int open_engines(void **state) {
    (void)state;
    struct engine_options options = {.host = endpoint.host, .tls = endpoint.tls};
    cleanup(engine_version_deinit) struct engine_version version = ENGINE_VERSION_NULL;
    task = TASK_FOREVER;
    task = task_within(&task, 100 * NS_PER_SEC);
    if (engine_open(&options, &task, &engine, &err) < 0 ||
        engine_open(&options, &task, &other, &err) < 0 ||
        engine_version(engine, &task, &version, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    podman = json_find(version.json, "Components.0.Name") &&
             strstr(json_text_or_null(json_find(version.json, "Components.0.Name")), "Podman");
    printf("%s %s, API 1.%d, %s\n", podman ? "Podman" : "Docker Engine", version.version,
           engine_api_minor(engine), endpoint.host);
    remove_all();
    build_image();
    return 0;
}

static int close_engines(void **state) {
    (void)state;
    if (!engine || !other)
        return -1;
    remove_all();
    engine_image_remove(engine, ALSO, true, &task, &err);
    engine_image_remove(engine, TAG, true, &task, &err);
    engine_close(engine);
    engine_close(other);
    engine_endpoint_settings_deinit(&endpoint);
    return 0;
}

static void create(const char *name, const char *const *cmd, char id[ENGINE_ID_SIZE]) {
    struct engine_container_spec spec = {
        .name = name, .image = TAG, .cmd = cmd, .labels = labels, .network_mode = "none"};
    ok(engine_container_create(engine, &spec, &task, id, &err));
}

static void create_sleeper(const char *name, char id[ENGINE_ID_SIZE]) {
    create(name, (const char *const[]){"/bin/busybox", "sleep", "1000", NULL}, id);
    ok(engine_container_start(engine, id, &task, &err));
}

/* ---- events ---- */

struct seen {
    const char *id;
    struct buffer text;
};

/* Starts the container once it hears of its creation: what follows comes live. */
static int see(void *arg, const struct engine_event *event, struct error *e) {
    struct seen *seen = arg;
    if (!text_equal(event->id, seen->id))
        return 0;
    assert_string_equal(event->type, "container");
    assert_true(event->time_ns > 0);
    switch (event->kind) {
    case ENGINE_EVENT_CREATE:
        buffer_text(&seen->text, "create ");
        return engine_container_start(other, seen->id, &task, e);
    case ENGINE_EVENT_START: buffer_text(&seen->text, "start "); return 0;
    case ENGINE_EVENT_DIE:
        buffer_format(&seen->text, "die %lld", (long long)event->exit_code);
        return 1;
    default: return 0;
    }
}

static void events_come_as_they_happen_and_are_not_repeated(void **state) {
    (void)state;
    struct engine_event_cursor cursor = {0};
    struct engine_events_options options = {.labels = labels,
                                            .types = (const char *const[]){"container", NULL},
                                            .since_ns = now_ns(),
                                            .cursor = &cursor};
    char id[ENGINE_ID_SIZE];
    create("seatrial-test-events", (const char *const[]){SH, "exit 3", NULL}, id);
    struct seen seen = {.id = id};
    buffer_init(&seen.text, 1000);
    int r = engine_events(engine, &options, see, &seen, &task, &err);
    if (r != 1)
        fail_msg("%d: %s", r, err.text);
    assert_string_equal(buffer_string(&seen.text), "create start die 3");

    buffer_clear(&seen.text);
    options.until_ns = now_ns();
    ok(engine_events(engine, &options, see, &seen, &task, &err));
    assert_string_equal(buffer_string(&seen.text), "");
    buffer_deinit(&seen.text);
    ok(engine_container_remove(engine, id, true, true, &task, &err));
}

/* ---- volumes ---- */

static void a_volume_is_made_found_used_and_removed(void **state) {
    (void)state;
    struct engine_volume_spec spec = {.name = "seatrial-test-volume", .labels = labels};
    cleanup(engine_volume_deinit) struct engine_volume v = ENGINE_VOLUME_NULL;
    ok(engine_volume_create(engine, &spec, &task, &v, &err));
    assert_string_equal(v.name, "seatrial-test-volume");
    assert_string_equal(v.driver, "local");
    assert_true(v.mountpoint[0] == '/');
    engine_volume_deinit(&v);
    ok(engine_volume_inspect(engine, "seatrial-test-volume", &task, &v, &err));
    assert_string_equal(json_text_or_null(json_member(v.labels, LABEL)), "rest");

    struct engine_container_spec c = {
        .name = "seatrial-test-user",
        .image = TAG,
        .labels = labels,
        .cmd = (const char *const[]){"/bin/busybox", "true", NULL},
        .network_mode = "none",
        .mounts = (const struct engine_mount[]){
            {.type = ENGINE_MOUNT_VOLUME, .source = "seatrial-test-volume", .target = "/v"},
            {.target = NULL}}};
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &c, &task, id, &err));
    assert_int_equal(engine_volume_remove(engine, "seatrial-test-volume", &task, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    ok(engine_container_remove(engine, id, true, false, &task, &err));

    cleanup(engine_volume_list_deinit) struct engine_volume_list list = ENGINE_VOLUME_LIST_NULL;
    ok(engine_volume_list(engine, labels, &task, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.entries[0].name, "seatrial-test-volume");
    ok(engine_volume_remove(engine, "seatrial-test-volume", &task, &err));
    assert_int_equal(engine_volume_remove(engine, "seatrial-test-volume", &task, &err), 1);
    cleanup(engine_volume_deinit) struct engine_volume none = ENGINE_VOLUME_NULL;
    assert_int_equal(engine_volume_inspect(engine, "seatrial-test-volume", &task, &none, &err), 1);
}

/* ---- images on the move ---- */

static int append(void *arg, const void *data, size_t size, struct error *e) {
    buffer_append(arg, data, size);
    return buffer_check(arg, "the tar", e);
}

static int count_events(void *arg, const struct engine_transfer_event *event, struct error *e) {
    (void)e;
    assert_true(event->status && event->id && event->text);
    ++*(size_t *)arg;
    return 0;
}

static void images_are_saved_in_one_tar_and_loaded_again(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(engine_image_deinit) struct engine_image before = ENGINE_IMAGE_NULL;
    cleanup(engine_image_deinit) struct engine_image after = ENGINE_IMAGE_NULL;
    buffer_init(&tar, 64 << 20);
    struct sink sink = {.push = append, .arg = &tar};
    ok(engine_image_inspect(engine, TAG, &task, &before, &err));
    ok(engine_image_save(engine, (const char *const[]){TAG, ALSO, NULL}, &sink, &task, &err));
    assert_true(tar.size > 100000);
    ok(engine_image_remove(engine, ALSO, true, &task, &err));
    ok(engine_image_remove(engine, TAG, true, &task, &err));

    size_t events = 0;
    struct memory_source memory = {tar.data, tar.size};
    struct source source = memory_source(&memory);
    struct engine_transfer transfer = {.on_event = count_events, .arg = &events};
    cleanup(engine_loaded_deinit) struct engine_loaded loaded = ENGINE_LOADED_NULL;
    ok(engine_image_load(engine, &source, &transfer, &task, &loaded, &err));
    assert_int_equal(loaded.count, 2);
    assert_true(events > 0);
    ok(engine_image_inspect(engine, TAG, &task, &after, &err));
    assert_string_equal(after.id, before.id);
    engine_image_deinit(&after);
    ok(engine_image_inspect(engine, ALSO, &task, &after, &err));
    assert_string_equal(after.id, before.id);
}

static void what_cannot_be_moved_says_why(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, 64 << 20);
    struct sink sink = {.push = append, .arg = &tar};
    assert_int_equal(engine_image_save(engine, (const char *const[]){"seatrial-test/none:1", NULL},
                                       &sink, &task, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_non_null(strstr(err.text, "save image 'seatrial-test/none:1': "));

    cleanup(engine_loaded_deinit) struct engine_loaded loaded = ENGINE_LOADED_NULL;
    struct memory_source memory = {"no tar", 6};
    struct source source = memory_source(&memory);
    assert_int_equal(engine_image_load(engine, &source, NULL, &task, &loaded, &err), -1);
    assert_non_null(strstr(err.text, "load images: "));

    char digest[ENGINE_DIGEST_SIZE];
    assert_int_equal(
        engine_image_pull(engine, "127.0.0.1:1/nobody:1", NULL, NULL, &task, digest, &err), -1);
    assert_non_null(strstr(err.text, "pull image '127.0.0.1:1/nobody:1': "));
    assert_true(err.kind == ERROR_REFUSED || err.kind == ERROR_FAILED ||
                err.kind == ERROR_NOT_FOUND);
}

static void an_image_is_pulled_by_its_digest(void **state) {
    (void)state;
    const char *reference = getenv("SEATRIAL_TEST_PULL");
    if (!reference)
        skip();
    char digest[ENGINE_DIGEST_SIZE];
    size_t events = 0;
    struct engine_transfer transfer = {.on_event = count_events, .arg = &events};
    ok(engine_image_pull(engine, reference, NULL, &transfer, &task, digest, &err));
    assert_string_equal(digest, strchr(reference, '@') + 1);
    assert_true(events > 0);
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    ok(engine_image_inspect(engine, reference, &task, &image, &err));
    const struct engine_registry_auth auth = {.username = "u", .password = "p?>~"};
    ok(engine_image_pull(engine, reference, &auth, NULL, &task, digest, &err));
    cleanup_free char *wrong =
        text_format("%.*s%064d", (int)(strlen(reference) - 64), reference, 0);
    assert_int_equal(engine_image_pull(engine, wrong, NULL, NULL, &task, digest, &err), -1);
    ok(engine_image_remove(engine, reference, true, &task, &err));
}

/* ---- containers ---- */

/* Of a container that has just begun, an engine may not have seen any memory yet. */
static int take_first(void *arg, const struct engine_stats *sample, struct error *e) {
    (void)e;
    struct engine_stats *first = arg;
    if (!sample->running || sample->memory_bytes == 0)
        return 0;
    *first = *sample;
    first->read = NULL; /* borrowed */
    return 1;
}

static void a_container_is_paused_measured_and_renamed(void **state) {
    (void)state;
    char id[ENGINE_ID_SIZE];
    create_sleeper("seatrial-test-paused", id);
    struct engine_stats streamed = ENGINE_STATS_NULL;
    assert_int_equal(engine_container_stats_follow(engine, id, take_first, &streamed, &task, &err),
                     1);
    assert_true(streamed.running && streamed.memory_bytes > 0);
    cleanup(engine_stats_deinit) struct engine_stats stats = ENGINE_STATS_NULL;
    ok(engine_container_stats(engine, id, &task, &stats, &err));
    assert_true(stats.memory_bytes > 0 && stats.memory_limit_bytes > 0);
    assert_true(stats.cpu_ns > 0 && stats.processes > 0);
    assert_true(stats.running && stats.has_cpu && stats.has_memory && stats.has_processes);

    ok(engine_container_pause(engine, id, &task, &err));
    assert_int_equal(engine_container_pause(engine, id, &task, &err), 1);
    cleanup(engine_container_deinit) struct engine_container c = ENGINE_CONTAINER_NULL;
    ok(engine_container_inspect(engine, id, &task, &c, &err));
    assert_string_equal(c.status, "paused");
    ok(engine_container_unpause(engine, id, &task, &err));
    assert_int_equal(engine_container_unpause(engine, id, &task, &err), 1);

    ok(engine_container_rename(engine, id, "seatrial-test-renamed", &task, &err));
    engine_container_deinit(&c);
    ok(engine_container_inspect(engine, "seatrial-test-renamed", &task, &c, &err));
    assert_string_equal(c.id, id);
    ok(engine_container_remove(engine, id, true, true, &task, &err));
    cleanup(engine_stats_deinit) struct engine_stats none = ENGINE_STATS_NULL;
    assert_int_equal(engine_container_stats(engine, id, &task, &none, &err), 1);
    assert_int_equal(engine_container_stats_follow(engine, id, take_first, &streamed, &task, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    error_clear(&err);
    assert_int_equal(engine_container_pause(engine, id, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

/* ---- commands with input ---- */

struct output {
    struct buffer text, errors;
};

static void output_deinit(struct output *output) {
    buffer_deinit(&output->text);
    buffer_deinit(&output->errors);
}

static int take_output(void *arg, enum engine_stream stream, const void *data, size_t size,
                       struct error *e) {
    struct output *output = arg;
    (void)e;
    buffer_append(stream == ENGINE_STDERR ? &output->errors : &output->text, data, size);
    return 0;
}

/* Runs it with that input and gives its exit code. */
static int64_t attach(const char *id, const struct engine_exec_spec *spec, struct engine_exec_io io,
                      struct output *output) {
    char exec[ENGINE_ID_SIZE];
    struct engine_exec_state state;
    buffer_init(&output->text, 16 << 20);
    buffer_init(&output->errors, 1000);
    io.output = (struct engine_output){.push = take_output, .arg = output};
    ok(engine_exec_create(engine, id, spec, &task, exec, &err));
    ok(engine_exec_attach(engine, exec, &io, &task, &err));
    do {
        ok(engine_exec_inspect(engine, exec, &task, &state, &err));
    } while (state.running);
    return state.exit_code;
}

static void a_command_reads_its_input_to_the_end(void **state) {
    (void)state;
    char id[ENGINE_ID_SIZE];
    create_sleeper("seatrial-test-input", id);
    enum { SIZE = 3 << 20 };
    cleanup_free char *much = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        much[i] = (char)(i * 7 + i / 251);
    struct memory_source memory = {much, SIZE};
    struct source source = memory_source(&memory);
    struct engine_exec_spec spec = {
        .cmd = (const char *const[]){SH, "/bin/busybox cat && echo end >&2 && exit 4", NULL},
        .input = true};
    struct engine_exec_io io = {.input_fd = -1, .input = &source, .resize_fd = -1};
    cleanup(output_deinit) struct output output;
    assert_int_equal(attach(id, &spec, io, &output), 4);
    assert_int_equal(output.text.size, SIZE);
    assert_memory_equal(output.text.data, much, SIZE);
    assert_string_equal(buffer_string(&output.errors), "end\n");

    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "typed", 5), 5);
    close(fds[1]);
    io = (struct engine_exec_io){.input_fd = fds[0], .resize_fd = -1};
    cleanup(output_deinit) struct output typed;
    assert_int_equal(attach(id, &spec, io, &typed), 4);
    close(fds[0]);
    assert_string_equal(buffer_string(&typed.text), "typed");
    assert_string_equal(buffer_string(&typed.errors), "end\n");
    ok(engine_container_remove(engine, id, true, true, &task, &err));
}

static void get_size(void *arg, unsigned *ret_rows, unsigned *ret_columns) {
    (void)arg;
    *ret_rows = 33;
    *ret_columns = 77;
}

static void a_terminal_there_has_the_size_of_the_one_here(void **state) {
    (void)state;
    char id[ENGINE_ID_SIZE];
    create_sleeper("seatrial-test-terminal", id);
    struct engine_exec_spec spec = {
        .cmd = (const char *const[]){SH,
                                     "until [ \"$(/bin/busybox stty size)\" = '33 77' ]; do "
                                     "/bin/busybox usleep 10000; done; [ -t 1 ] && echo sized; "
                                     "read -r line; echo got $line; exit 6",
                                     NULL},
        .input = true,
        .terminal = true};
    int fds[2]; /* stays open, as the terminal of somebody who has typed a line */
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "hello\r", 6), 6);
    struct engine_exec_io io = {
        .input_fd = fds[0], .terminal = true, .resize_fd = -1, .get_size = get_size};
    cleanup(output_deinit) struct output output;
    assert_int_equal(attach(id, &spec, io, &output), 6);
    close(fds[0]);
    close(fds[1]);
    assert_non_null(strstr(buffer_string(&output.text), "sized\r\n"));
    assert_non_null(strstr(buffer_string(&output.text), "got hello\r\n"));
    ok(engine_container_remove(engine, id, true, true, &task, &err));
}

static void what_cannot_be_attached_to_says_why(void **state) {
    (void)state;
    struct engine_exec_io io = {.input_fd = -1, .resize_fd = -1};
    assert_int_equal(engine_exec_attach(engine, "0123456789ab", &io, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_non_null(strstr(err.text, "run the command: "));
}

static void a_read_only_container_takes_files_where_it_has_a_volume(void **state) {
    (void)state;
    struct engine_container_spec spec = {
        .name = "seatrial-test-read-only",
        .image = TAG,
        .labels = labels,
        .cmd = (const char *const[]){"/bin/busybox", "cat", "/seatrial/x", NULL},
        .network_mode = "none",
        .read_only = true,
        .mounts = (const struct engine_mount[]){
            {.type = ENGINE_MOUNT_VOLUME, .target = "/seatrial"}, {.target = NULL}}};
    char id[ENGINE_ID_SIZE];
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, 1 << 20);
    tar_add(&tar, "x", 0644, "content", 7);
    tar_end(&tar);
    ok(engine_container_create(engine, &spec, &task, id, &err));
    ok(engine_archive_put_memory(engine, id, "/seatrial", tar.data, tar.size, &task, &err));
    int r = engine_archive_put_memory(engine, id, "/data", tar.data, tar.size, &task, &err);
    assert_true(podman || r < 0);
    ok(engine_container_remove(engine, id, true, true, &task, &err));
}

int main(void) {
    const char *host = getenv("SEATRIAL_TEST_DOCKER_HOST");
    if (!host || !host[0]) {
        bool strict = text_equal(getenv("TEST_STRICT"), "1");
        fprintf(stderr, "SEATRIAL_TEST_DOCKER_HOST is not set\n");
        return strict ? EXIT_FAILURE : SKIP;
    }
    setenv("DOCKER_HOST", host, 1);
    if (engine_endpoint_resolve(NULL, &endpoint, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_as_they_happen_and_are_not_repeated),
        cmocka_unit_test(a_volume_is_made_found_used_and_removed),
        cmocka_unit_test(images_are_saved_in_one_tar_and_loaded_again),
        cmocka_unit_test(what_cannot_be_moved_says_why),
        cmocka_unit_test(an_image_is_pulled_by_its_digest),
        cmocka_unit_test(a_container_is_paused_measured_and_renamed),
        cmocka_unit_test(a_command_reads_its_input_to_the_end),
        cmocka_unit_test(a_terminal_there_has_the_size_of_the_one_here),
        cmocka_unit_test(what_cannot_be_attached_to_says_why),
        cmocka_unit_test(a_read_only_container_takes_files_where_it_has_a_volume),
    };
    return cmocka_run_group_tests(tests, open_engines, close_engines);
}
