/* A container's description as JSON, and the checks of names. */

#include "runner/engine/call.h"
#include "runner/engine/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_json(const struct json *v, const char *path, const char *wanted) {
    const struct json *found = json_find(v, path);
    if (!found)
        fail_msg("'%s' is not there", path);
    cleanup_free char *text = json_to_text(found, JSON_LINE);
    assert_string_equal(text, wanted);
}

static void what_is_not_asked_for_is_left_out(void **state) {
    (void)state;
    struct engine_container_spec spec = {.image = "x"};
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    cleanup_free char *text = json_to_text(v, JSON_LINE);
    assert_string_equal(text, "{\"HostConfig\":{},\"Image\":\"x\"}");
}

static void empty_lists_are_not_the_same_as_none(void **state) {
    (void)state;
    static const char *const none[] = {NULL};
    struct engine_container_spec spec = {.image = "x", .entrypoint = none, .cmd = none};
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    assert_json(v, "Entrypoint", "[]");
    assert_json(v, "Cmd", "[]");
}

static void the_process_is_described(void **state) {
    (void)state;
    struct engine_container_spec spec = {
        .image = "x",
        .cmd = (const char *const[]){"a", "b c", NULL},
        .entrypoint = (const char *const[]){"/e", NULL},
        .env = (const struct engine_pair[]){{"A", "1=2"}, {"B", ""}, {"GONE", NULL}, {NULL, NULL}},
        .labels = (const struct engine_pair[]){{"io.seatrial.run", "3f"}, {NULL, NULL}},
        .user = "1:2",
        .working_dir = "/w",
        .hostname = "h",
        .tty = true,
        .stdin_open = true,
        .stop_signal = "SIGINT",
        .stop_grace_s = 3,
        .init = true,
        .restart_policy = "on-failure",
        .restart_retries_max = 4,
        .healthcheck =
            &(struct engine_healthcheck){.test = (const char *const[]){"CMD", "/h", NULL},
                                         .interval_ns = 5,
                                         .timeout_ns = 6,
                                         .start_period_ns = 7,
                                         .retries = 8},
        .log_driver = "json-file",
        .log_options = (const struct engine_pair[]){{"max-size", "1m"}, {NULL, NULL}},
    };
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    assert_json(v, "Cmd", "[\"a\",\"b c\"]");
    assert_json(v, "Entrypoint", "[\"/e\"]");
    assert_json(v, "Env", "[\"A=1=2\",\"B=\",\"GONE\"]");
    assert_json(v, "Labels", "{\"io.seatrial.run\":\"3f\"}");
    assert_json(v, "User", "\"1:2\"");
    assert_json(v, "WorkingDir", "\"/w\"");
    assert_json(v, "Hostname", "\"h\"");
    assert_json(v, "Tty", "true");
    assert_json(v, "OpenStdin", "true");
    assert_json(v, "StopSignal", "\"SIGINT\"");
    assert_json(v, "StopTimeout", "3");
    assert_json(v, "Healthcheck",
                "{\"Interval\":5,\"Retries\":8,\"StartPeriod\":7,\"Test\":[\"CMD\",\"/h\"],"
                "\"Timeout\":6}");
    assert_json(v, "HostConfig.Init", "true");
    assert_json(v, "HostConfig.RestartPolicy", "{\"MaximumRetryCount\":4,\"Name\":\"on-failure\"}");
    assert_json(v, "HostConfig.LogConfig",
                "{\"Config\":{\"max-size\":\"1m\"},\"Type\":\"json-file\"}");
}

static void mounts_that_must_be_made_are_binds(void **state) {
    (void)state;
    struct engine_container_spec spec = {
        .image = "x",
        .binds = (const char *const[]){"/x:/y:z", NULL},
        .mounts =
            (const struct engine_mount[]){
                {.type = ENGINE_MOUNT_BIND, .source = "/a", .target = "/b", .read_only = true},
                {.type = ENGINE_MOUNT_BIND,
                 .source = "/c",
                 .target = "/d",
                 .create_source = true,
                 .read_only = true},
                {.type = ENGINE_MOUNT_BIND,
                 .source = "/c:1",
                 .target = "/e",
                 .create_source = true},
                {.type = ENGINE_MOUNT_VOLUME, .source = "v", .target = "/v"},
                {.type = ENGINE_MOUNT_VOLUME, .source = "v", .target = "/w", .no_copy = true},
                {.type = ENGINE_MOUNT_TMPFS,
                 .target = "/t",
                 .tmpfs_size_bytes = 4096,
                 .tmpfs_mode = 01777},
                {.target = NULL}},
        .tmpfs = (const struct engine_pair[]){{"/run", "size=1m"}, {NULL, NULL}},
    };
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    assert_json(v, "HostConfig.Binds", "[\"/x:/y:z\",\"/c:/d:ro\"]");
    assert_json(v, "HostConfig.Mounts",
                "[{\"ReadOnly\":true,\"Source\":\"/a\",\"Target\":\"/b\",\"Type\":\"bind\"},"
                "{\"BindOptions\":{\"CreateMountpoint\":true},\"Source\":\"/c:1\",\"Target\":\"/"
                "e\",\"Type\":\"bind\"},"
                "{\"Source\":\"v\",\"Target\":\"/v\",\"Type\":\"volume\"},"
                "{\"Source\":\"v\",\"Target\":\"/"
                "w\",\"Type\":\"volume\",\"VolumeOptions\":{\"NoCopy\":true}},"
                "{\"Target\":\"/t\",\"TmpfsOptions\":{\"Mode\":1023,\"SizeBytes\":4096},\"Type\":"
                "\"tmpfs\"}]");
    assert_json(v, "HostConfig.Tmpfs", "{\"/run\":\"size=1m\"}");
}

static void networks_and_ports_are_described(void **state) {
    (void)state;
    struct engine_container_spec spec = {
        .image = "x",
        .endpoints =
            (const struct engine_endpoint[]){{.network = "front",
                                              .aliases = (const char *const[]){"web", NULL},
                                              .ipv4_address = "10.0.0.2"},
                                             {.network = "back"},
                                             {.network = NULL}},
        .extra_hosts = (const char *const[]){"a:1.2.3.4", NULL},
        .ports =
            (const struct engine_port[]){
                {.container_port = 80, .published = true, .host_port = 8080},
                {.container_port = 80,
                 .published = true,
                 .host_address = "127.0.0.1",
                 .host_port = 8081},
                {.container_port = 53, .protocol = "udp", .published = true},
                {.container_port = 9, .published = false},
                {.container_port = 0}},
    };
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    assert_json(v, "HostConfig.NetworkMode", "\"front\"");
    assert_json(
        v, "NetworkingConfig.EndpointsConfig",
        "{\"front\":{\"Aliases\":[\"web\"],\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.2\"}}}");
    assert_json(v, "HostConfig.ExtraHosts", "[\"a:1.2.3.4\"]");
    assert_json(v, "ExposedPorts", "{\"53/udp\":{},\"80/tcp\":{},\"9/tcp\":{}}");
    assert_json(v, "HostConfig.PortBindings",
                "{\"53/udp\":[{\"HostIp\":\"\",\"HostPort\":\"\"}],"
                "\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"},"
                "{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8081\"}]}");
}

static void rights_and_limits_are_described(void **state) {
    (void)state;
    struct engine_container_spec spec = {
        .image = "x",
        .network_mode = "host",
        .cap_add = (const char *const[]){"NET_ADMIN", NULL},
        .cap_drop = (const char *const[]){"ALL", NULL},
        .security_opt = (const char *const[]){"no-new-privileges", NULL},
        .privileged = true,
        .read_only = true,
        .devices = (const char *const[]){"/dev/a", "/dev/b:/dev/c", "/dev/d:/dev/e:r", NULL},
        .ulimits = (const struct engine_ulimit[]){{"core", -1, -1}, {NULL, 0, 0}},
        .sysctls = (const struct engine_pair[]){{"net.x", "1"}, {NULL, NULL}},
        .shm_size_bytes = 1,
        .memory_bytes = 2,
        .memory_swap_bytes = -1,
        .nano_cpus = 1500000000,
        .cpuset = "0-1",
        .pids_max = 5,
    };
    cleanup(json_freep) struct json *v = engine_container_json(&spec);
    cleanup_free char *text = json_to_text(json_member(v, "HostConfig"), JSON_LINE);
    assert_string_equal(
        text,
        "{\"CapAdd\":[\"NET_ADMIN\"],\"CapDrop\":[\"ALL\"],\"CpusetCpus\":\"0-1\",\"Devices\":["
        "{\"CgroupPermissions\":\"rwm\",\"PathInContainer\":\"/dev/a\",\"PathOnHost\":\"/dev/a\"},"
        "{\"CgroupPermissions\":\"rwm\",\"PathInContainer\":\"/dev/c\",\"PathOnHost\":\"/dev/b\"},"
        "{\"CgroupPermissions\":\"r\",\"PathInContainer\":\"/dev/e\",\"PathOnHost\":\"/dev/d\"}],"
        "\"Memory\":2,\"MemorySwap\":-1,\"NanoCpus\":1500000000,\"NetworkMode\":\"host\","
        "\"PidsLimit\":5,\"Privileged\":true,\"ReadonlyRootfs\":true,"
        "\"SecurityOpt\":[\"no-new-privileges\"],\"ShmSize\":1,\"Sysctls\":{\"net.x\":\"1\"},"
        "\"Ulimits\":[{\"Hard\":-1,\"Name\":\"core\",\"Soft\":-1}]}");
}

static void names_that_could_leave_their_place_in_a_path_are_refused(void **state) {
    (void)state;
    static const char *const good[] = {"a", "demo-replica-1", "0123456789ab", "a.b_c-d"};
    static const char *const bad[] = {"",     ".",   "..",       "a/b",  "-a",      "a b", "a?b",
                                      "a%2f", "a#b", "\xc3\xa9", "a\nb", "../../x", "a&b", "a:b"};
    struct error err = ERROR_NULL;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(engine_check_name("a container", good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(engine_check_name("a container", bad[i], &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, "is not the name or id of a container"));
    }
    char longer[ENGINE_NAME_MAX + 2];
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(engine_check_name("a container", longer, &err), -1);
    longer[ENGINE_NAME_MAX] = '\0';
    assert_int_equal(engine_check_name("a container", longer, &err), 0);
}

static void references_that_could_leave_their_place_in_a_path_are_refused(void **state) {
    (void)state;
    static const char *const good[] = {"a", "localhost:5000/a/b:1.2", "a@sha256:00", "a.b/c_d-e"};
    static const char *const bad[] = {"",      "/a", "a/",  "a//b",    "a/../b",
                                      "a/./b", "a?", "a b", "a%2e%2e", "a#b",
                                      ".",     "-a", "a\r", "a/..",    "\xff"};
    struct error err = ERROR_NULL;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(engine_check_reference(good[i], &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(engine_check_reference(bad[i], &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_asked_for_is_left_out),
        cmocka_unit_test(empty_lists_are_not_the_same_as_none),
        cmocka_unit_test(the_process_is_described),
        cmocka_unit_test(mounts_that_must_be_made_are_binds),
        cmocka_unit_test(networks_and_ports_are_described),
        cmocka_unit_test(rights_and_limits_are_described),
        cmocka_unit_test(names_that_could_leave_their_place_in_a_path_are_refused),
        cmocka_unit_test(references_that_could_leave_their_place_in_a_path_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
