/* deployment.yaml: what is read, what is refused, and that secrets stay secret. */

#include "lib/memory.h"
#include "lib/text.h"
#include "runner/deployment/deployment.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "HOME")    ? "/home/user"
           : text_equal(name, "TOKEN") ? "hunter2"
           : text_equal(name, "EMPTY") ? ""
                                       : NULL;
}
static const struct environment env = {.lookup = lookup};

static int parse_mode(const char *text, unsigned mode, struct deployment **ret, struct error *err) {
    return deployment_parse("d.yaml", "/w/trial", mode, text, strlen(text), &env, ret, err);
}

static struct deployment *parsed(const char *text) {
    struct error err = ERROR_NULL;
    struct deployment *d = NULL;
    if (parse_mode(text, 0600, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static const char whole[] =
    "name: concord-perf\n"
    "credentials:\n"
    "  AWS_ACCESS_KEY_ID: {env: AWS_ACCESS_KEY_ID}\n"
    "  AWS_SECRET_ACCESS_KEY: {file: secrets/key}\n"
    "  AWS_SESSION_TOKEN: 'hunter2'\n"
    "  ssh_key_path: ~/.ssh/concord-perf.pem\n"
    "  ssh_key_name: concord-perf\n"
    "docker: {registry: docker.io, username: someone, access_token: {file: ~/.config/hub-token}}\n"
    "local: {concord_root: ~/src/concord, perf_test_root: results}\n"
    "general: {num_of_replicas: 4, loader_cli: \"-b 20000 -c 15\", loader_timeout_sec: 600}\n"
    "runtime: {custom_script_path: scripts/sample.sh, custom_command: \"./sample.sh "
    "CONTAINER_ID\", custom_command_run_interval_sec: 5}\n"
    "testbed: {provider: local, time_to_live: 4h}\n"
    "collect: {cores: false, data: true}\n";

static void every_section_is_read(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = parsed(whole);
    assert_string_equal(d->name, "concord-perf");
    assert_string_equal(d->credentials.ssh_key_path, "/home/user/.ssh/concord-perf.pem");
    assert_string_equal(d->credentials.ssh_key_name, "concord-perf");
    assert_string_equal(d->docker.registry, "docker.io");
    assert_string_equal(d->docker.username, "someone");
    assert_string_equal(d->local.concord_root, "/home/user/src/concord");
    assert_string_equal(d->local.perf_test_root, "/w/trial/results");
    assert_int_equal(d->general.num_of_replicas, 4);
    assert_string_equal(d->general.loader_cli, "-b 20000 -c 15");
    assert_int_equal(d->general.loader_timeout_sec, 600);
    assert_int_equal(d->runtime.command_count, 1);
    const struct deployment_command *custom = &d->runtime.commands[0];
    assert_null(custom->name);
    assert_string_equal(custom->script, "/home/user/src/concord/scripts/sample.sh");
    assert_string_equal(custom->command, "./sample.sh CONTAINER_ID");
    assert_int_equal(custom->interval_sec, 5);
    assert_int_equal(custom->in, DEPLOYMENT_IN_HOST);
    assert_int_equal(custom->when, DEPLOYMENT_AT_INTERVAL);
    assert_true(deployment_command_wants(custom, "any", PROJECT_ROLE_REPLICA));
    assert_false(deployment_command_wants(custom, "any", PROJECT_ROLE_LOADER));
    assert_int_equal(d->testbed.time_to_live_sec, 4 * 3600);
    assert_false(d->collect.cores);
    assert_true(d->collect.data);
}

static void what_is_not_said_has_its_default(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{}", "general:\nruntime: {custom_command: }\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cleanup(deployment_freep) struct deployment *d = parsed(texts[i]);
        assert_null(d->name);
        assert_null(d->local.concord_root);
        assert_string_equal(d->local.perf_test_root, "/w/trial/results");
        assert_int_equal(d->general.num_of_replicas, 0);
        assert_int_equal(d->general.loader_timeout_sec, 0);
        assert_null(d->credentials.access_key_id);
        assert_true(d->collect.cores);
        assert_false(d->collect.data);
    }
    cleanup(deployment_freep) struct deployment *none = deployment_new_default("/x");
    assert_null(none->file);
    assert_string_equal(none->local.perf_test_root, "/x/results");
    assert_true(none->collect.cores);
}

static void mistakes_are_named_with_their_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"generall: {}", "d.yaml:1:1: unknown key 'generall' in a deployment file; did you mean "
                         "'general'?"},
        {"general: {num_replicas: 4}", "d.yaml:1:11: unknown key 'num_replicas' in 'general'; did "
                                       "you mean 'num_of_replicas'?"},
        {"general: {num_of_replicas: 0}", "d.yaml:1:28: 'num_of_replicas' must be a whole number "
                                          "from 1 to 10000, not the number 0"},
        {"general: {loader_timeout_sec: soon}",
         "d.yaml:1:31: 'loader_timeout_sec' must be a whole number from 1 to 2592000, not the text "
         "'soon'"},
        {"general: {loader_cli: \"a\\nb\"}", "d.yaml:1:23: 'loader_cli' must be one line"},
        {"general: [4]", "d.yaml:1:10: 'general' must be a mapping, not a list"},
        {"testbed: {provider: hosts}", "d.yaml:1:10: provider 'hosts' needs a list of 'hosts'"},
        {"testbed: {provider: hosts, hosts: []}",
         "d.yaml:1:10: provider 'hosts' needs a list of 'hosts'"},
        {"testbed: {provider: ec2}", "d.yaml:1:10: provider 'ec2' needs 'fleets'"},
        {"testbed: {provider: moon}",
         "d.yaml:1:21: 'provider' must be 'local', 'hosts' or 'ec2', not the text 'moon'"},
        {"testbed: {provider: ec2, fleets: {f: {regions: {us-east-2: 1}, image: ami-1}}}",
         "d.yaml:1:38: fleet 'f' needs an 'instance_type'"},
        {"testbed: {provider: ec2, fleets: {f: {instance_type: t, image: ami-1}}}",
         "d.yaml:1:38: fleet 'f' needs 'regions': {us-east-2: 4}"},
        {"testbed: {provider: ec2, fleets: {f: {regions: {a-1: 1}, instance_type: t}}}",
         "d.yaml:1:38: fleet 'f' has no 'image' in a-1"},
        {"testbed: {provider: ec2, fleets: {f: {regions: {a-1: {count: 1, zones: [b-1a]}}}}}",
         "d.yaml:1:72: 'b-1a' is no zone of 'a-1'"},
        {"testbed: {provider: ec2, fleets: {f: {regions: {A: 1}}}}",
         "d.yaml:1:49: 'A' is no region of EC2, such as us-east-2"},
        {"testbed: {provider: ec2, fleets: {f: {image: debian}}}",
         "d.yaml:1:46: 'image' must be an image of EC2, not the text 'debian'"},
        {"testbed: {provider: ec2, fleets: {f: {regions: {a-1: 257}}}}",
         "d.yaml:1:54: 'a-1' must be a whole number from 1 to 256, not the number 257"},
        {"testbed: {provider: ec2, fleets: {f: {disk: {size: 100}}}}",
         "d.yaml:1:52: a disk's 'size' must be whole GiB, such as 100g, at most 65536g"},
        {"testbed: {provider: ec2, fleets: {f: {disk: {type: gp3, speed: 1}}}}",
         "d.yaml:1:57: unknown key 'speed' in a fleet's disk"},
        {"testbed: {cost_limit_usd_per_hour: 0}",
         "d.yaml:1:36: 'cost_limit_usd_per_hour' must be a whole number from 1 to 1000000, not the "
         "number 0"},
        {"testbed: {ssh_from: [0.0.0.0/0]}",
         "d.yaml:1:21: 'ssh_from' must be networks, not '0.0.0.0/0'"},
        {"testbed: {fleets: {f: {regions: {us-east-2: 1}, instance_type: t, image: ami-1}}}",
         "d.yaml:1:10: 'fleets' are listed, but no provider is said"},
        {"testbed: {hosts: [{ssh: a}]}",
         "d.yaml:1:10: 'hosts' are listed, but no provider is said"},
        {"testbed: {host_keys: any}",
         "d.yaml:1:22: 'host_keys' must be 'strict' or 'accept-new', not the text 'any'"},
        {"sweep: {}", "d.yaml:1:1: 'sweep' is not supported yet"},
        {"name: a/b", "d.yaml:1:7: 'a/b' cannot be a name (letters, digits, '.', '-' and '_', at "
                      "most 63)"},
        {"name: $NOPE", "d.yaml:1:7: variable 'NOPE' is not set"},
        {"runtime: {custom_command: x}",
         "d.yaml:1:10: 'custom_command' needs a 'custom_command_run_interval_sec'"},
        {"runtime: {custom_script_path: x}",
         "d.yaml:1:10: 'custom_script_path' needs a 'custom_command' that runs it"},
        {"collect: {cores: 1}", "d.yaml:1:18: 'cores' must be true or false, not the number 1"},
        {"- a", "d.yaml:1:1: this must be a mapping, not a list"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct deployment *d = NULL;
        assert_int_equal(parse_mode(cases[i][0], 0600, &d, &err), -1);
        assert_string_equal(err.text, cases[i][1]);
        assert_int_equal(error_exit_status(err.kind), 3);
    }
}

/* ---- hosts ---- */

static void hosts_are_read_and_their_names_come_from_their_destinations(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d =
        parsed("testbed:\n"
               "  provider: hosts\n"
               "  host_keys: accept-new\n"
               "  hosts:\n"
               "    - {ssh: ubuntu@10.0.0.11}\n"
               "    - {ssh: n2.example.org:2222, address: 192.168.0.2, fleet: replicas}\n"
               "    - {name: v6, ssh: 'a@b@[2001:db8::1]:22', host_key: 'ssh-ed25519 "
               "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me'}\n"
               "    - {ssh: 'ssh://root@n4', name: ,\n"
               "       host_key: 'SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU',\n"
               "       engine: /run/podman/podman.sock}\n");
    assert_int_equal(d->testbed.provider, DEPLOYMENT_HOSTS);
    assert_int_equal(d->testbed.host_keys, DEPLOYMENT_HOST_KEYS_ACCEPT_NEW);
    assert_int_equal(d->testbed.host_count, 4);
    static const char *const names[][3] = {
        /* name, host of ssh, address */
        {"10.0.0.11", "10.0.0.11", NULL},
        {"n2.example.org", "n2.example.org", "192.168.0.2"},
        {"v6", "2001:db8::1", NULL},
        {"n4", "n4", NULL},
    };
    const struct deployment_host *h = d->testbed.hosts;
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(h[i].name, names[i][0]);
        assert_string_equal(h[i].ssh_host, names[i][1]);
        assert_true(text_equal(h[i].address, names[i][2]));
        assert_int_equal(h[i].place.line, i < 3 ? 5 + i : 8);
    }
    assert_null(h[0].fleet);
    assert_null(h[0].engine);
    assert_null(h[0].host_key);
    assert_string_equal(h[1].fleet, "replicas");
    assert_string_equal(h[1].ssh, "n2.example.org:2222");
    assert_string_equal(h[3].engine, "/run/podman/podman.sock");
}

static void wrong_hosts_are_named_with_their_place_and_those_of_others(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{ssh: }", "d.yaml:2:3: a host needs 'ssh': [user@]host[:port]"},
        {"{shh: a}", "d.yaml:2:4: unknown key 'shh' in a host; did you mean 'ssh'?"},
        {"a",
         "d.yaml:2:3: a host must be a mapping such as {name: r1, ssh: user@address}, not the text "
         "'a'"},
        {"{ssh: a:b}", "d.yaml:2:9: 'ssh' must be [user@]host[:port], not the text 'a:b'"},
        {"{ssh: a:65536}", "d.yaml:2:9: 'ssh' must be [user@]host[:port], not the text 'a:65536'"},
        {"{ssh: '@a'}", "d.yaml:2:9: 'ssh' must be [user@]host[:port], not the text '@a'"},
        {"{ssh: 'a@-x'}", "d.yaml:2:9: 'ssh' must be [user@]host[:port], not the text 'a@-x'"},
        {"{ssh: '[::1'}", "d.yaml:2:9: 'ssh' must be [user@]host[:port], not the text '[::1'"},
        {"{ssh: '-oProxyCommand=x'}",
         "d.yaml:2:9: 'ssh' must be a word of 1 to 1024 characters that does not begin with '-', "
         "not the text '-oProxyCommand=x'"},
        {"{ssh: 'a b'}",
         "d.yaml:2:9: 'ssh' must be a word of 1 to 1024 characters that does not begin with '-', "
         "not the text 'a b'"},
        {"{ssh: 'a@[::1]'}",
         "d.yaml:2:3: '::1' cannot be a host's name (letters, digits, '.', '-' and '_', a letter "
         "or digit first, at most 63)"},
        {"{ssh: a, name: ../x}",
         "d.yaml:2:18: '../x' cannot be a host's name (letters, digits, '.', '-' and '_', a letter "
         "or digit first, at most 63)"},
        {"{ssh: a, name: builder}",
         "d.yaml:2:18: no host can be called 'builder': this machine is"},
        {"{ssh: a, address: 'x\"y'}",
         "d.yaml:2:21: 'address' must be a host's name or an IP address, not the text 'x\"y'"},
        {"{ssh: a, engine: docker.sock}",
         "d.yaml:2:20: 'engine' must be the path of a socket on the host (absolute, at most 107 "
         "bytes), not the text 'docker.sock'"},
        {"{ssh: a, host_key: 'a ssh-ed25519 AAAA'}",
         "d.yaml:2:22: 'host_key' must be a line such as 'ssh-ed25519 AAAA...' or a fingerprint "
         "'SHA256:...', not the text 'a ssh-ed25519 AAAA'"},
        {"{ssh: a, host_key: 'SHA256:short'}",
         "d.yaml:2:22: 'host_key' must be a line such as 'ssh-ed25519 AAAA...' or a fingerprint "
         "'SHA256:...', not the text 'SHA256:short'"},
        {"{ssh: u@a},\n  {ssh: a}", "d.yaml:3:3: host 'a' is there twice: also in line 2"},
        {"{ssh: a, name: b},\n  {ssh: a, name: c, address: d}",
         "d.yaml:3:3: host 'c' is the same machine ('a') as 'b' in line 2"},
        {"{ssh: a},\n  {ssh: b, address: a}",
         "d.yaml:3:3: hosts 'b' and 'a' (line 2) have the same address 'a'"},
        {"{ssh: 'a:1', name: x},\n  {ssh: 'a:2', name: y}",
         "d.yaml:3:3: hosts 'y' and 'x' (line 2) have the same address 'a'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct deployment *d = NULL;
        cleanup_free char *text =
            text_format("testbed: {provider: hosts, hosts: [\n  %s]}", cases[i][0]);
        assert_int_equal(parse_mode(text, 0600, &d, &err), -1);
        assert_string_equal(err.text, cases[i][1]);
        assert_int_equal(error_exit_status(err.kind), 3);
    }
}

static void hosts_may_be_listed_for_another_day(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d =
        parsed("testbed: {provider: local, hosts: [{ssh: a}]}");
    assert_int_equal(d->testbed.provider, DEPLOYMENT_LOCAL);
    assert_int_equal(d->testbed.host_count, 1);
}

/* ---- secrets ---- */

static void literal_secrets_need_a_file_that_only_the_owner_reads(void **state) {
    (void)state;
    static const char *const literal[] = {
        "docker: {access_token: hunter2}",
        "docker: {access_token: 'a$$b'}",
        "docker: {access_token: \"${NOPE:-hunter2}\"}",
        "docker: {access_token: \"${EMPTY:-hunter2}\"}",
        "credentials: {AWS_SESSION_TOKEN: hunter2}",
    };
    static const char *const elsewhere[] = {
        "docker: {access_token: $TOKEN}",    "docker: {access_token: {env: TOKEN}}",
        "docker: {access_token: {file: x}}", "docker: {access_token: }",
        "docker: {access_token: ''}",
    };
    for (size_t i = 0; i < sizeof literal / sizeof *literal; i++) {
        struct error err = ERROR_NULL;
        cleanup(deployment_freep) struct deployment *d = NULL;
        assert_int_equal(parse_mode(literal[i], 0640, &d, &err), -1);
        assert_non_null(strstr(err.text, "is a secret in a file that others can read (mode 640)"));
        assert_null(strstr(err.text, "hunter2"));
        assert_int_equal(parse_mode(literal[i], 0600, &d, &err), 0);
    }
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
        struct error err = ERROR_NULL;
        cleanup(deployment_freep) struct deployment *d = NULL;
        assert_int_equal(parse_mode(elsewhere[i], 0644, &d, &err), 0);
    }
}

static void no_message_quotes_a_secret(void **state) {
    (void)state;
    static const char *const cases[] = {
        "docker: {access_token: 4711}",         "docker: {access_token: [hunter2]}",
        "docker: {access_token: hunter2$}",     "docker: {access_token: 'hunter2${'}",
        "docker: {access_token: '4711${x y}'}", "docker: {access_token: {file: 4711}}",
        "docker: {access_token: true}",         "docker: {access_token: {file: a, env: b}}",
        "docker: {access_token: {}}",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct deployment *d = NULL;
        assert_int_equal(parse_mode(cases[i], 0600, &d, &err), -1);
        assert_null(strstr(err.text, "hunter2"));
        assert_null(strstr(err.hint, "hunter2"));
        if (!strstr(cases[i], "file: 4711"))
            assert_null(strstr(err.text, "4711"));
    }
}

static void what_is_written_has_no_secret_in_it(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = parsed(whole);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 64 * 1024);
    deployment_write(d, &out);
    assert_null(strstr(buffer_string(&out), "hunter2"));
    assert_string_equal(buffer_string(&out),
                        "name: concord-perf\n"
                        "credentials:\n"
                        "  AWS_ACCESS_KEY_ID: \"{env: AWS_ACCESS_KEY_ID}\"\n"
                        "  AWS_SECRET_ACCESS_KEY: \"{file: /w/trial/secrets/key}\"\n"
                        "  AWS_SESSION_TOKEN: \"<redacted>\"\n"
                        "  ssh_key_path: /home/user/.ssh/concord-perf.pem\n"
                        "  ssh_key_name: concord-perf\n"
                        "docker:\n"
                        "  registry: docker.io\n"
                        "  username: someone\n"
                        "  access_token: \"{file: /home/user/.config/hub-token}\"\n"
                        "local:\n"
                        "  concord_root: /home/user/src/concord\n"
                        "  perf_test_root: /w/trial/results\n"
                        "general:\n"
                        "  num_of_replicas: 4\n"
                        "  loader_cli: \"-b 20000 -c 15\"\n"
                        "  loader_timeout_sec: 600\n"
                        "runtime:\n"
                        "  custom_script_path: /home/user/src/concord/scripts/sample.sh\n"
                        "  custom_command: ./sample.sh CONTAINER_ID\n"
                        "  custom_command_run_interval_sec: 5\n"
                        "testbed:\n"
                        "  provider: local\n"
                        "  time_to_live_sec: 14400\n"
                        "collect:\n"
                        "  cores: false\n"
                        "  data: true\n");
}

static void what_is_written_of_hosts_reads_again(void **state) {
    (void)state;
    static const char text[] =
        "credentials: {}\n"
        "docker: {}\n"
        "local:\n"
        "  perf_test_root: /w/trial/results\n"
        "general: {}\n"
        "runtime: {}\n"
        "testbed:\n"
        "  provider: hosts\n"
        "  host_keys: strict\n"
        "  hosts:\n"
        "    - name: a\n"
        "      ssh: root@a:2222\n"
        "      address: 10.0.0.1\n"
        "      fleet: replicas\n"
        "      host_key: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n"
        "      engine: /run/docker.sock\n"
        "    - name: b\n"
        "      ssh: b\n"
        "collect:\n"
        "  cores: true\n"
        "  data: false\n";
    cleanup(deployment_freep) struct deployment *d = parsed(text);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 64 * 1024);
    deployment_write(d, &out);
    assert_string_equal(buffer_string(&out), text);
}

static void secrets_are_revealed_when_asked_for(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    char *value = NULL;
    cleanup(secret_freep) struct secret *literal = secret_new_literal("abc");
    assert_int_equal(secret_reveal(literal, &env, &value, &err), 0);
    assert_string_equal(value, "abc");
    secret_wipe(value);
    cleanup(secret_freep) struct secret *variable = secret_new_env("TOKEN");
    assert_int_equal(secret_reveal(variable, &env, &value, &err), 0);
    assert_string_equal(value, "hunter2");
    secret_wipe(value);
    cleanup(secret_freep) struct secret *empty = secret_new_env("EMPTY");
    assert_int_equal(secret_reveal(empty, &env, &value, &err), -1);
    assert_string_equal(err.text, "variable 'EMPTY', which holds a secret, is not set");
    assert_int_equal(err.kind, ERROR_CONFIG);
}

static void secret_files_are_read_without_their_newline_and_only_if_private(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup_free char *path = text_format("%s/token", f.path);
    cleanup(secret_freep) struct secret *secret = secret_new_file(path);
    struct error err = ERROR_NULL;
    char *value = NULL;
    assert_int_equal(secret_reveal(secret, &env, &value, &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
    folder_write_mode(&f, "token", "hunter2\r\n", 9, 0600);
    assert_int_equal(secret_reveal(secret, &env, &value, &err), 0);
    assert_string_equal(value, "hunter2");
    secret_wipe(value);
    value = NULL;
    folder_chmod(&f, "token", 0644);
    assert_int_equal(secret_reveal(secret, &env, &value, &err), -1);
    assert_non_null(strstr(err.text, "can be read by others (mode 644)"));
    folder_write_mode(&f, "token", "\n", 1, 0600);
    assert_int_equal(secret_reveal(secret, &env, &value, &err), -1);
    assert_non_null(strstr(err.text, "is empty"));
    folder_write_mode(&f, "token", "a\0b", 3, 0600);
    assert_int_equal(secret_reveal(secret, &env, &value, &err), -1);
    assert_non_null(strstr(err.text, "NUL"));
    assert_null(value);
}

/* ---- from the disk ---- */

static void the_local_file_is_preferred_and_none_is_fine(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *none = NULL;
    assert_int_equal(deployment_load(NULL, f.path, &env, &none, &err), 0);
    assert_null(none->file);
    assert_string_equal(none->folder, f.path);
    folder_write(&f, "deployment.yaml", "name: shared\n");
    cleanup(deployment_freep) struct deployment *shared = NULL;
    assert_int_equal(deployment_load(NULL, f.path, &env, &shared, &err), 0);
    assert_string_equal(shared->name, "shared");
    folder_write(&f, "deployment_local.yaml", "name: mine\n");
    cleanup(deployment_freep) struct deployment *mine = NULL;
    assert_int_equal(deployment_load(NULL, f.path, &env, &mine, &err), 0);
    assert_string_equal(mine->name, "mine");
    assert_string_equal(mine->folder, f.path);
    cleanup_free char *missing = text_format("%s/other.yaml", f.path);
    struct deployment *other = NULL;
    assert_int_equal(deployment_load(missing, f.path, &env, &other, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
}

static void a_script_that_is_not_there_is_found_before_the_trial(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "deployment.yaml",
                 "runtime: {custom_script_path: s.sh, custom_command: ./s.sh, "
                 "custom_command_run_interval_sec: 1}\n");
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = NULL;
    assert_int_equal(deployment_load(NULL, f.path, &env, &d, &err), -1);
    assert_non_null(strstr(err.text, "deployment.yaml:1:31: custom script '"));
    assert_non_null(strstr(err.text, "s.sh': No such file"));
    folder_write(&f, "s.sh", "#!/bin/sh\n");
    assert_int_equal(deployment_load(NULL, f.path, &env, &d, &err), 0);
    cleanup_free char *expected = text_format("%s/s.sh", f.path);
    assert_string_equal(d->runtime.commands[0].script, expected);
}

static void a_readable_file_with_a_literal_secret_is_refused(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    static const char text[] = "docker: {access_token: hunter2}\n";
    folder_write_mode(&f, "deployment.yaml", text, strlen(text), 0604);
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = NULL;
    assert_int_equal(deployment_load(NULL, f.path, &env, &d, &err), -1);
    assert_non_null(strstr(err.hint, "chmod 600"));
    folder_chmod(&f, "deployment.yaml", 0600);
    assert_int_equal(deployment_load(NULL, f.path, &env, &d, &err), 0);
}

static void the_demo_loads(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = NULL;
    if (deployment_load(NULL, SOURCE_FOLDER "/examples/demo", &env, &d, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(d->name, "demo");
    assert_string_equal(d->local.perf_test_root, SOURCE_FOLDER "/results");
    assert_string_equal(d->runtime.commands[0].script, SOURCE_FOLDER "/examples/demo/sample.sh");
    assert_int_equal(d->general.loader_timeout_sec, 300);
}

/* ---- against the project ---- */

static struct project *project_of(const char *text) {
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_source source = {.file = "c.yaml", .text = text, .size = strlen(text)};
    if (project_parse(&source, 1, &(struct project_options){.folder = "/w/t"}, &project, &err) < 0)
        fail_msg("%s", err.text);
    return project;
}

static void numbers_of_replicas_must_agree_where_both_are_given(void **state) {
    (void)state;
    static const struct {
        const char *project;
        const char *message; /* NULL: fine */
    } cases[] = {
        {"{services: {r: {image: x, scale: 4, x-seatrial: {role: replica}}}}", NULL},
        {"{services: {r: {image: x, x-seatrial: {role: replica}}}}", NULL},
        {"{services: {r: {image: x, scale: 1, x-seatrial: {role: replica}},\n"
         "            s: {image: x, scale: 3, x-seatrial: {role: replica}}}}",
         NULL},
        {"{services: {r: {image: x, scale: 3, x-seatrial: {role: replica}}}}",
         "d.yaml:1:28: 'num_of_replicas' is 4, but deploy.replicas of service 'r' is 3 "
         "(c.yaml:1)"},
        {"{services: {r: {image: x}}}",
         "d.yaml:1:28: 'num_of_replicas' is 4, but no service has role replica"},
        {"{services: {r: {image: x, x-seatrial: {role: replica}},\n"
         "            s: {image: x, x-seatrial: {role: replica}}}}",
         "d.yaml:1:28: 'num_of_replicas' is 4, but the 2 services of role replica have 2"},
        {"{services: {r: {image: x, container_name: only, x-seatrial: {role: replica}}}}",
         "d.yaml:1:28: 'num_of_replicas': c.yaml:1:13: service 'r' has container_name, which only "
         "one container can have, and 4 replicas"},
    };
    cleanup(deployment_freep) struct deployment *d = parsed("general: {num_of_replicas: 4}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup(project_freep) struct project *project = project_of(cases[i].project);
        int result = deployment_check_project(d, project, &err);
        assert_string_equal(err.text, cases[i].message ? cases[i].message : "");
        assert_int_equal(result, cases[i].message ? -1 : 0);
        if (i < 2)
            assert_int_equal(project->services[0].replicas, 4);
    }
}

static void without_a_number_the_project_stays_as_it_is(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = parsed("");
    cleanup(project_freep) struct project *project = project_of("{services: {r: {image: x}}}");
    assert_int_equal(deployment_check_project(d, project, &err), 0);
    assert_int_equal(project->services[0].replicas, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_is_read),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(hosts_are_read_and_their_names_come_from_their_destinations),
        cmocka_unit_test(wrong_hosts_are_named_with_their_place_and_those_of_others),
        cmocka_unit_test(what_is_written_of_hosts_reads_again),
        cmocka_unit_test(hosts_may_be_listed_for_another_day),
        cmocka_unit_test(literal_secrets_need_a_file_that_only_the_owner_reads),
        cmocka_unit_test(no_message_quotes_a_secret),
        cmocka_unit_test(what_is_written_has_no_secret_in_it),
        cmocka_unit_test(secrets_are_revealed_when_asked_for),
        cmocka_unit_test(secret_files_are_read_without_their_newline_and_only_if_private),
        cmocka_unit_test(the_local_file_is_preferred_and_none_is_fine),
        cmocka_unit_test(a_script_that_is_not_there_is_found_before_the_trial),
        cmocka_unit_test(a_readable_file_with_a_literal_secret_is_refused),
        cmocka_unit_test(the_demo_loads),
        cmocka_unit_test(numbers_of_replicas_must_agree_where_both_are_given),
        cmocka_unit_test(without_a_number_the_project_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
