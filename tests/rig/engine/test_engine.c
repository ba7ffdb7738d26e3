/*
 * The engine client against a real Docker Engine: everything it can do, at least once.
 *
 * Needs SEATRIAL_TEST_DOCKER_HOST and /bin/busybox (static). The image is FROM scratch.
 */

#include "runner/engine/engine.h"

#include "lib/text.h"
#include "runner/engine/archive.h"
#include "runner/engine/container.h"
#include "runner/engine/exec.h"
#include "runner/engine/image.h"
#include "runner/engine/log.h"
#include "runner/engine/network.h"
#include "tests/rig/engine/tar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TAG "seatrial-test/engine:1"
#define LABEL "io.seatrial.test"
#define SH "/bin/busybox", "sh", "-c"

enum { SKIP = 77, CONTEXT_MAX = 16 * 1024 * 1024 };

static struct engine *engine;
static struct task task;
static struct error err;
static char image_id[ENGINE_IMAGE_ID_SIZE];

#define ok(call)                                                                                   \
    do {                                                                                           \
        if ((call) != 0)                                                                           \
            fail_msg("%s: %s", #call, err.text);                                                   \
    } while (0)

/* ---- a context with a busybox ---- */

static void add_busybox(struct buffer *tar) {
    cleanup_fclose FILE *file = fopen("/bin/busybox", "re");
    assert_non_null(file);
    cleanup(buffer_deinit) struct buffer content;
    buffer_init(&content, CONTEXT_MAX);
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        buffer_append(&content, piece, n);
    tar_add(tar, "busybox", 0755, content.data, content.size);
}

static int log_event(void *arg, const struct engine_build_event *event, struct error *e) {
    (void)e;
    struct buffer *output = arg;
    if (event->kind == ENGINE_BUILD_TEXT)
        buffer_text(output, event->text);
    if (event->kind == ENGINE_BUILD_IMAGE)
        buffer_format(output, "[image %s]\n", event->id);
    return 0;
}

static int build(const char *dockerfile, struct buffer *output, char id[ENGINE_IMAGE_ID_SIZE]) {
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, CONTEXT_MAX);
    tar_add(&tar, "trial/Dockerfile", 0644, dockerfile, strlen(dockerfile));
    add_busybox(&tar);
    tar_end(&tar);
    struct memory_source memory = {tar.data, tar.size};
    struct engine_build spec = {
        .tags = (const char *const[]){TAG, "seatrial-test/engine:also", NULL},
        .dockerfile = "trial/Dockerfile",
        .target = "last",
        .args = (const struct engine_pair[]){{"GREETING", "hello & \"you\""}, {NULL, NULL}},
        .labels = (const struct engine_pair[]){{LABEL, "engine"}, {NULL, NULL}},
        .network_mode = "host",
        .context = memory_source(&memory),
        .on_event = log_event,
        .arg = output,
    };
    return engine_image_build(engine, &spec, &task, id, &err);
}

static int open_engine(void **state) {
    (void)state;
    struct engine_options options = {.host = getenv("SEATRIAL_TEST_DOCKER_HOST")};
    task = TASK_FOREVER;
    task = task_within(&task, 100 * NS_PER_SEC);
    if (engine_open(&options, &task, &engine, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

/* Also what a run of these tests that died has left. */
static void remove_all(void) {
    const struct engine_pair label[] = {{LABEL, NULL}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list containers =
        ENGINE_CONTAINER_LIST_NULL;
    ok(engine_container_list(engine, label, &task, &containers, &err));
    for (size_t i = 0; i < containers.count; i++)
        ok(engine_container_remove(engine, containers.entries[i].id, true, true, &task, &err));
    cleanup(engine_network_list_deinit) struct engine_network_list networks =
        ENGINE_NETWORK_LIST_NULL;
    ok(engine_network_list(engine, label, &task, &networks, &err));
    for (size_t i = 0; i < networks.count; i++)
        ok(engine_network_remove(engine, networks.entries[i].id, &task, &err));
    cleanup(engine_image_list_deinit) struct engine_image_list images = ENGINE_IMAGE_LIST_NULL;
    ok(engine_image_list(engine, label, &task, &images, &err));
    for (size_t i = 0; i < images.count; i++)
        assert_true(engine_image_remove(engine, images.entries[i].id, true, &task, &err) >= 0);
}

/* ---- the engine and images ---- */

static void the_engine_says_who_it_is(void **state) {
    (void)state;
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    cleanup(engine_version_deinit) struct engine_version version = ENGINE_VERSION_NULL;
    ok(engine_ping(engine, &task, &err));
    ok(engine_info(engine, &task, &info, &err));
    ok(engine_version(engine, &task, &version, &err));
    printf("Docker Engine %s, API 1.%d, %s\n", version.version, engine_api_minor(engine),
           info.operating_system);
    assert_string_equal(info.server_version, version.version);
    assert_true(info.cpus > 0 && info.memory_bytes > 0);
    assert_in_range(engine_api_minor(engine), ENGINE_API_MINOR_MIN, ENGINE_API_MINOR_MAX);
}

static void an_image_is_built_with_its_output(void **state) {
    (void)state;
    remove_all();
    cleanup(buffer_deinit) struct buffer output;
    buffer_init(&output, 1 << 20);
    ok(build(
        "FROM scratch AS first\n"
        "COPY busybox /bin/busybox\n"
        "FROM first AS last\n"
        "ARG GREETING\n"
        "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo $GREETING; /bin/busybox mkdir /data\"]\n"
        "STOPSIGNAL SIGTERM\n"
        "FROM scratch AS never\n"
        "COPY nothing /\n",
        &output, image_id));
    assert_non_null(strstr(buffer_string(&output), "hello & \"you\""));
    assert_non_null(strstr(buffer_string(&output), "[image sha256:"));

    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    ok(engine_image_inspect(engine, TAG, &task, &image, &err));
    assert_string_equal(image.id, image_id);
    assert_string_equal(json_text_or_null(json_member(image.labels, LABEL)), "engine");
    assert_string_equal(image.stop_signal, "SIGTERM");
    assert_true(image.size_bytes > 100000);
    assert_int_equal(json_count(image.tags), 2);
}

static void a_step_that_fails_fails_the_build_with_its_output(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer output;
    buffer_init(&output, 1 << 20);
    char id[ENGINE_IMAGE_ID_SIZE];
    assert_int_equal(build("FROM scratch AS last\n"
                           "COPY busybox /bin/busybox\n"
                           "RUN [\"/bin/busybox\", \"sh\", \"-c\", \"echo oh no >&2; exit 7\"]\n"
                           "LABEL a=b\n"
                           "LABEL c=d\n",
                           &output, id),
                     -1);
    assert_int_equal(err.kind, ERROR_FAILED);
    assert_non_null(strstr(err.text, "build image '" TAG "': "));
    assert_non_null(strstr(err.text, "7"));
    assert_non_null(strstr(buffer_string(&output), "oh no"));
    assert_non_null(strstr(buffer_string(&output), "Step 3/6")); /* 6: our labels are a step */
}

static void a_dockerfile_that_is_none_is_refused_with_the_engines_words(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer output;
    buffer_init(&output, 1 << 20);
    char id[ENGINE_IMAGE_ID_SIZE];
    assert_int_equal(build("FROM scratch AS last\nNONSENSE\n", &output, id), -1);
    assert_non_null(strstr(err.text, "unknown instruction: NONSENSE"));
}

static void images_are_tagged_listed_and_removed(void **state) {
    (void)state;
    const struct engine_pair label[] = {{LABEL, "engine"}, {NULL, NULL}};
    const struct engine_pair other[] = {{LABEL, "another"}, {NULL, NULL}};
    ok(engine_image_tag(engine, TAG, "localhost:5000/seatrial-test/copy:2", &task, &err));
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    ok(engine_image_inspect(engine, "localhost:5000/seatrial-test/copy:2", &task, &image, &err));
    assert_string_equal(image.id, image_id);
    cleanup(engine_image_list_deinit) struct engine_image_list list = ENGINE_IMAGE_LIST_NULL;
    ok(engine_image_list(engine, label, &task, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.entries[0].id, image_id);
    cleanup(engine_image_list_deinit) struct engine_image_list none = ENGINE_IMAGE_LIST_NULL;
    ok(engine_image_list(engine, other, &task, &none, &err));
    assert_int_equal(none.count, 0);
    ok(engine_image_remove(engine, "localhost:5000/seatrial-test/copy:2", false, &task, &err));
    assert_int_equal(
        engine_image_remove(engine, "localhost:5000/seatrial-test/copy:2", false, &task, &err), 1);
    assert_int_equal(engine_image_inspect(engine, "seatrial-test/none", &task, &image, &err), 1);
}

/* ---- containers ---- */

static struct engine_container_spec spec_of(const char *name, const char *const *cmd) {
    static const struct engine_pair labels[] = {{LABEL, "engine"}, {NULL, NULL}};
    return (struct engine_container_spec){.name = name,
                                          .image = TAG,
                                          .cmd = cmd,
                                          .labels = labels,
                                          .network_mode = "none",
                                          .init = false};
}

struct written {
    struct buffer text;
    size_t lines;
    bool stamped;
};

static int write_line(void *arg, const struct engine_log_line *line, struct error *e) {
    (void)e;
    struct written *w = arg;
    buffer_format(&w->text, "%d:%s%s\n", (int)line->stream, line->data, line->partial ? "+" : "");
    w->lines++;
    w->stamped = strlen(line->timestamp) >= 20 && strchr(line->timestamp, 'T');
    return 0;
}

static int buffer_push(void *arg, const void *data, size_t size, struct error *e) {
    buffer_append(arg, data, size);
    return buffer_check(arg, "it", e);
}

static int stop_push(void *arg, const void *data, size_t size, struct error *e) {
    (void)arg, (void)data, (void)size, (void)e;
    return 1;
}

static void check_logs(const char *id) {
    struct engine_log_options options = {.timestamps = true};
    struct written w = {0};
    buffer_init(&w.text, 1 << 20);
    options.only_stdout = true;
    ok(engine_container_logs(engine, id, &options, write_line, &w, &task, &err));
    assert_string_equal(buffer_string(&w.text), "1:one\n1:two\n1:from outside ahoy\n1:rest\n");
    assert_true(w.stamped);
    buffer_clear(&w.text);
    options = (struct engine_log_options){.only_stderr = true, .follow = true};
    ok(engine_container_logs(engine, id, &options, write_line, &w, &task, &err));
    assert_string_equal(buffer_string(&w.text), "2:bad\n");
    buffer_clear(&w.text);
    options = (struct engine_log_options){.tail = 2};
    w.lines = 0;
    ok(engine_container_logs(engine, id, &options, write_line, &w, &task, &err));
    assert_int_equal(w.lines, 2);
    buffer_clear(&w.text);
    options = (struct engine_log_options){.since_ns = clock_wall().ns};
    ok(engine_container_logs(engine, id, &options, write_line, &w, &task, &err));
    assert_string_equal(buffer_string(&w.text), "");
    buffer_deinit(&w.text);
}

static void check_archives(const char *id) {
    cleanup(buffer_deinit) struct buffer got;
    buffer_init(&got, 1 << 20);
    struct sink sink = {.push = buffer_push, .arg = &got};
    ok(engine_archive_get(engine, id, "/data/in", &sink, &task, &err));
    cleanup_free char *content = tar_find(&got, "in/put.txt");
    assert_non_null(content);
    assert_string_equal(content, "from outside\n");
    assert_int_equal(engine_archive_get(engine, id, "/none", &sink, &task, &err), 1);
    assert_int_equal(engine_archive_get(engine, "none", "/data", &sink, &task, &err), 1);
    struct sink stop = {.push = stop_push};
    assert_int_equal(engine_archive_get(engine, id, "/bin/busybox", &stop, &task, &err), 2);
}

static void check_paths(const char *id) {
    cleanup(engine_path_deinit) struct engine_path path = ENGINE_PATH_NULL;
    ok(engine_archive_stat(engine, id, "/data/in/put.txt", &task, &path, &err));
    assert_false(path.directory || path.symlink);
    assert_int_equal(path.size_bytes, 13);
    assert_int_equal(path.mode, 0644);
    engine_path_deinit(&path);
    ok(engine_archive_stat(engine, id, "/data/in", &task, &path, &err));
    assert_true(path.directory);
    assert_int_equal(engine_archive_stat(engine, id, "/none", &task, &path, &err), 1);
    assert_int_equal(engine_archive_stat(engine, "none", "/data", &task, &path, &err), 1);
}

static void a_container_lives_from_create_to_remove(void **state) {
    (void)state;
    const char *const cmd[] = {SH,
                               "echo one; echo two; echo bad >&2; read line < /in/put.txt; "
                               "echo $line $GREETING; echo -n rest; exit 3",
                               NULL};
    struct engine_container_spec spec = spec_of("seatrial-test-life", cmd);
    spec.env = (const struct engine_pair[]){{"GREETING", "ahoy"}, {NULL, NULL}};
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &spec, &task, id, &err));
    assert_int_equal(engine_container_create(engine, &spec, &task, id, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);

    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, 1 << 20);
    tar_add_folder(&tar, "in", 0755);
    tar_add(&tar, "in/put.txt", 0644, "from outside\n", 13);
    tar_end(&tar);
    ok(engine_archive_put_memory(engine, id, "/", tar.data, tar.size, &task, &err));
    struct memory_source memory = {tar.data, tar.size};
    struct source source = memory_source(&memory);
    ok(engine_archive_put(engine, id, "/data", &source, &task, &err));
    assert_int_equal(
        engine_archive_put_memory(engine, id, "/nowhere", tar.data, tar.size, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);

    ok(engine_container_start(engine, id, &task, &err));
    int64_t code = -1;
    ok(engine_container_wait(engine, id, &task, &code, &err));
    assert_int_equal(code, 3);

    cleanup(engine_container_deinit) struct engine_container c = ENGINE_CONTAINER_NULL;
    ok(engine_container_inspect(engine, "seatrial-test-life", &task, &c, &err));
    assert_string_equal(c.id, id);
    assert_string_equal(c.name, "seatrial-test-life");
    assert_string_equal(c.image_id, image_id);
    assert_string_equal(c.image, TAG);
    assert_string_equal(c.status, "exited");
    assert_false(c.running);
    assert_false(c.oom_killed);
    assert_int_equal(c.exit_code, 3);
    assert_int_equal(c.health, ENGINE_HEALTH_NONE);
    assert_true(strlen(c.started) > 20 && strcmp(c.started, "0001-01-01T00:00:00Z") != 0);

    check_logs(id);
    check_archives(id);
    check_paths(id);
    ok(engine_container_remove(engine, id, false, true, &task, &err));
    assert_int_equal(engine_container_remove(engine, id, true, true, &task, &err), 1);
    cleanup(engine_container_deinit) struct engine_container none = ENGINE_CONTAINER_NULL;
    assert_int_equal(engine_container_inspect(engine, id, &task, &none, &err), 1);
}

static void check_exec(const char *id) {
    struct engine_exec_spec exec = {
        .cmd = (const char *const[]){SH, "echo out; echo $X >&2; pwd; exit 9", NULL},
        .env = (const struct engine_pair[]){{"X", "an error"}, {NULL, NULL}},
        .working_dir = "/data",
        .user = "0:0"};
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    ok(engine_exec(engine, id, &exec, 1000, 0, &task, &result, &err));
    assert_int_equal(result.exit_code, 9);
    assert_string_equal(buffer_string(&result.out), "out\n/data\n");
    assert_string_equal(buffer_string(&result.err), "an error\n");
    assert_false(result.truncated);
    engine_exec_result_deinit(&result);

    exec = (struct engine_exec_spec){
        .cmd = (const char *const[]){SH,
                                     "while :; do echo 0123456789; done | /bin/busybox head -n "
                                     "100000",
                                     NULL}};
    ok(engine_exec(engine, id, &exec, 1000, 0, &task, &result, &err));
    assert_true(result.truncated);
    assert_int_equal(result.out.size, 1000);
    engine_exec_result_deinit(&result);

    exec = (struct engine_exec_spec){.cmd = (const char *const[]){"/no/such/program", NULL}};
    if (engine_exec(engine, id, &exec, 1000, 0, &task, &result, &err) == 0)
        assert_true(result.exit_code == 126 || result.exit_code == 127);
    engine_exec_result_deinit(&result);

    exec = (struct engine_exec_spec){
        .cmd = (const char *const[]){"/bin/busybox", "sleep", "1000", NULL}};
    assert_int_equal(engine_exec(engine, id, &exec, 1000, 100 * NS_PER_MS, &task, &result, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_TIMEOUT);
}

static void a_running_container_is_followed_asked_and_stopped(void **state) {
    (void)state;
    const char *const cmd[] = {
        SH, "trap 'echo bye; exit 5' TERM; echo up; while :; do /bin/busybox sleep 0.05; done",
        NULL};
    struct engine_container_spec spec = spec_of("seatrial-test-runs", cmd);
    spec.healthcheck = &(struct engine_healthcheck){
        .test = (const char *const[]){"CMD", "/bin/busybox", "true", NULL},
        .interval_ns = 50 * NS_PER_MS,
        .timeout_ns = 5 * NS_PER_SEC,
        .retries = 3};
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &spec, &task, id, &err));
    ok(engine_container_start(engine, id, &task, &err));
    assert_int_equal(engine_container_start(engine, id, &task, &err), 1);

    check_exec(id);

    cleanup(engine_container_deinit) struct engine_container c = ENGINE_CONTAINER_NULL;
    do {
        engine_container_deinit(&c);
        ok(engine_container_inspect(engine, id, &task, &c, &err));
    } while (c.health == ENGINE_HEALTH_STARTING);
    assert_int_equal(c.health, ENGINE_HEALTH_HEALTHY);
    assert_true(c.running && c.pid > 0);

    ok(engine_container_stop(engine, id, 20, &task, &err));
    assert_int_equal(engine_container_stop(engine, id, 20, &task, &err), 1);
    assert_int_equal(engine_container_kill(engine, id, "SIGKILL", &task, &err), 1);
    struct engine_log_options options = {.follow = true};
    struct written w = {0};
    buffer_init(&w.text, 1 << 20);
    ok(engine_container_logs(engine, id, &options, write_line, &w, &task, &err));
    assert_string_equal(buffer_string(&w.text), "1:up\n1:bye\n");
    buffer_deinit(&w.text);
    int64_t code;
    ok(engine_container_wait(engine, id, &task, &code, &err));
    assert_int_equal(code, 5);
    const struct engine_exec_spec exec = {.cmd =
                                              (const char *const[]){"/bin/busybox", "true", NULL}};
    assert_int_equal(engine_exec_create(engine, id, &exec, &task, (char[ENGINE_ID_SIZE]){""}, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    ok(engine_container_remove(engine, id, false, true, &task, &err));
}

static void everything_in_a_description_is_accepted(void **state) {
    (void)state;
    struct engine_container_spec spec = spec_of(
        "seatrial-test-full",
        (const char *const[]){"sh", "-c",
                              "id -u; hostname; ulimit -c; cat /proc/sys/net/ipv4/ip_default_ttl; "
                              "pwd; ls -d /tmp/made/here /scratch; sleep 1000",
                              NULL});
    spec.entrypoint = (const char *const[]){"/bin/busybox", NULL};
    spec.user = "0:0";
    spec.working_dir = "/data";
    spec.hostname = "trial";
    spec.mounts = (const struct engine_mount[]){
        {.type = ENGINE_MOUNT_BIND, .source = "/tmp", .target = "/tmp/from", .read_only = true},
        {.type = ENGINE_MOUNT_TMPFS, .target = "/scratch", .tmpfs_size_bytes = 1 << 20},
        {.type = ENGINE_MOUNT_VOLUME, .target = "/volume"},
        {.target = NULL}};
    spec.tmpfs = (const struct engine_pair[]){{"/tmp/made/here", "size=64k"}, {NULL, NULL}};
    spec.shm_size_bytes = 8 << 20;
    spec.extra_hosts = (const char *const[]){"peer:127.0.0.1", NULL};
    spec.ports = (const struct engine_port[]){{.container_port = 7100}, {.container_port = 0}};
    spec.stop_signal = "SIGUSR1";
    spec.stop_grace_s = 7;
    spec.restart_policy = "on-failure";
    spec.restart_retries_max = 2;
    spec.cap_add = (const char *const[]){"SYS_NICE", NULL};
    spec.cap_drop = (const char *const[]){"NET_RAW", NULL};
    spec.security_opt = (const char *const[]){"no-new-privileges", NULL};
    spec.ulimits = (const struct engine_ulimit[]){{"core", -1, -1}, {NULL, 0, 0}};
    spec.sysctls = (const struct engine_pair[]){{"net.ipv4.ip_default_ttl", "99"}, {NULL, NULL}};
    spec.memory_bytes = 64 << 20;
    spec.cpuset = "0";
    spec.pids_max = 100;
    spec.log_driver = "json-file";
    spec.log_options = (const struct engine_pair[]){{"max-size", "1m"}, {NULL, NULL}};
    spec.devices = (const char *const[]){"/dev/null:/dev/empty:r", NULL};
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &spec, &task, id, &err));
    cleanup(engine_container_deinit) struct engine_container c = ENGINE_CONTAINER_NULL;
    ok(engine_container_inspect(engine, id, &task, &c, &err));
    const struct json *host = json_member(c.json, "HostConfig");
    int64_t number;
    ok(json_require_int(host, "Memory", 64 << 20, 64 << 20, &number, &err));
    ok(json_require_int(host, "PidsLimit", 100, 100, &number, &err));
    ok(json_require_int(host, "ShmSize", 8 << 20, 8 << 20, &number, &err));
    ok(json_require_int(host, "RestartPolicy.MaximumRetryCount", 2, 2, &number, &err));
    ok(json_require_int(c.json, "Config.StopTimeout", 7, 7, &number, &err));
    assert_string_equal(json_text_or_null(json_find(host, "Devices.0.CgroupPermissions")), "r");
    assert_string_equal(json_text_or_null(json_find(host, "Ulimits.0.Name")), "core");
    assert_string_equal(c.log_driver, "json-file");
    ok(engine_container_remove(engine, id, true, true, &task, &err));
}

static void what_cannot_start_says_why(void **state) {
    (void)state;
    struct engine_container_spec spec =
        spec_of("seatrial-test-bad", (const char *const[]){"/no/such/program", NULL});
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &spec, &task, id, &err));
    assert_int_equal(engine_container_start(engine, id, &task, &err), -1);
    assert_non_null(strstr(err.text, "start container '"));
    assert_non_null(strstr(err.text, "/no/such/program"));
    ok(engine_container_remove(engine, id, true, true, &task, &err));

    spec.image = "seatrial-test/never-built:1";
    assert_int_equal(engine_container_create(engine, &spec, &task, id, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
    assert_non_null(strstr(err.text, "create container 'seatrial-test-bad': No such image"));
    assert_int_equal(engine_container_start(engine, "seatrial-test-none", &task, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void containers_are_listed_by_label(void **state) {
    (void)state;
    struct engine_container_spec spec =
        spec_of("seatrial-test-list", (const char *const[]){"x", NULL});
    char id[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &spec, &task, id, &err));
    const struct engine_pair label[] = {{LABEL, "engine"}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    ok(engine_container_list(engine, label, &task, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.entries[0].id, id);
    assert_string_equal(list.entries[0].name, "seatrial-test-list");
    assert_string_equal(list.entries[0].state, "created");
    ok(engine_container_remove(engine, id, false, false, &task, &err));
}

static void a_network_is_made_found_and_removed(void **state) {
    (void)state;
    struct engine_network_spec spec = {
        .name = "seatrial-test-net",
        .labels = (const struct engine_pair[]){{LABEL, "engine"}, {NULL, NULL}},
        .subnet = "10.231.77.0/24",
        .internal = true};
    char id[ENGINE_ID_SIZE];
    if (engine_network_create(engine, &spec, &task, id, &err) < 0) {
        /* An engine without bridges (no rights for them, or none in its kernel) says so. */
        assert_true(err.kind == ERROR_REFUSED || err.kind == ERROR_NOT_FOUND);
        print_message("no networks on this engine: %s\n", err.text);
        skip();
    }
    assert_int_equal(engine_network_create(engine, &spec, &task, id, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    cleanup(engine_network_deinit) struct engine_network n = ENGINE_NETWORK_NULL;
    ok(engine_network_inspect(engine, "seatrial-test-net", &task, &n, &err));
    assert_string_equal(n.id, id);
    assert_string_equal(n.subnet, "10.231.77.0/24");

    struct engine_container_spec c =
        spec_of("seatrial-test-peer", (const char *const[]){"/bin/busybox", "sleep", "1000", NULL});
    c.network_mode = NULL;
    c.endpoints = (const struct engine_endpoint[]){{.network = "seatrial-test-net",
                                                    .aliases = (const char *const[]){"peer", NULL},
                                                    .ipv4_address = "10.231.77.50"},
                                                   {.network = NULL}};
    char container[ENGINE_ID_SIZE];
    ok(engine_container_create(engine, &c, &task, container, &err));
    ok(engine_container_start(engine, container, &task, &err));
    cleanup(engine_container_deinit) struct engine_container inspected = ENGINE_CONTAINER_NULL;
    ok(engine_container_inspect(engine, container, &task, &inspected, &err));
    assert_string_equal(
        json_text_or_null(json_find(inspected.networks, "seatrial-test-net.IPAddress")),
        "10.231.77.50");
    assert_int_equal(engine_network_remove(engine, id, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    ok(engine_container_remove(engine, container, true, true, &task, &err));

    ok(engine_network_remove(engine, id, &task, &err));
    assert_int_equal(engine_network_remove(engine, id, &task, &err), 1);
}

static void nothing_of_ours_is_left(void **state) {
    (void)state;
    remove_all();
    const struct engine_pair label[] = {{LABEL, NULL}, {NULL, NULL}};
    cleanup(engine_image_list_deinit) struct engine_image_list images = ENGINE_IMAGE_LIST_NULL;
    ok(engine_image_list(engine, label, &task, &images, &err));
    assert_int_equal(images.count, 0);
}

static int close_engine(void **state) {
    (void)state;
    engine_close(engine);
    return 0;
}

int main(void) {
    const char *host = getenv("SEATRIAL_TEST_DOCKER_HOST");
    if (!host || !host[0]) {
        bool strict = text_equal(getenv("TEST_STRICT"), "1");
        fprintf(stderr, "SEATRIAL_TEST_DOCKER_HOST is not set\n");
        return strict ? EXIT_FAILURE : SKIP;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_says_who_it_is),
        cmocka_unit_test(an_image_is_built_with_its_output),
        cmocka_unit_test(a_step_that_fails_fails_the_build_with_its_output),
        cmocka_unit_test(a_dockerfile_that_is_none_is_refused_with_the_engines_words),
        cmocka_unit_test(images_are_tagged_listed_and_removed),
        cmocka_unit_test(a_container_lives_from_create_to_remove),
        cmocka_unit_test(a_running_container_is_followed_asked_and_stopped),
        cmocka_unit_test(everything_in_a_description_is_accepted),
        cmocka_unit_test(what_cannot_start_says_why),
        cmocka_unit_test(containers_are_listed_by_label),
        cmocka_unit_test(a_network_is_made_found_and_removed),
        cmocka_unit_test(nothing_of_ours_is_left),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
