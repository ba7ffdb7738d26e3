/* The `runtime` section: what of custom commands can be said, and what is refused. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/deployment/deployment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *nothing(void *arg, const char *name) {
    (void)arg;
    (void)name;
    return NULL;
}

static const struct environment env = {.lookup = nothing};

static int parse(const char *text, struct deployment **ret, struct error *err) {
    return deployment_parse("d.yaml", "/w/trial", 0600, text, strlen(text), &env, ret, err);
}

static struct deployment *parsed(const char *text) {
    struct error err = ERROR_NULL;
    struct deployment *d = NULL;
    if (parse(text, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static const char several[] =
    "local: {concord_root: /src}\n"
    "runtime:\n"
    "  custom_command: ./one CONTAINER_ID\n"
    "  custom_command_run_interval_sec: 2\n"
    "  commands:\n"
    "    - {name: flame, script: scripts/flame.sh, command: ./flame.sh, when: demand, timeout_sec: "
    "90}\n"
    "    - {name: stats, command: \"a\\nb\", in: container, interval_sec: 5, services: [db, web]}\n"
    "    - {name: last, command: x, when: end, roles: [sidecar, replica]}\n";

static void several_commands_are_read_and_the_nameless_one_is_first(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = parsed(several);
    const struct deployment_command *c = d->runtime.commands;
    assert_int_equal(d->runtime.command_count, 4);
    assert_null(c[0].name);
    assert_string_equal(deployment_command_name(&c[0]), "custom_command");
    assert_int_equal(c[0].interval_sec, 2);
    assert_string_equal(c[1].name, "flame");
    assert_string_equal(c[1].script, "/src/scripts/flame.sh");
    assert_int_equal(c[1].when, DEPLOYMENT_ON_DEMAND);
    assert_int_equal(c[1].timeout_sec, 90);
    assert_true(deployment_command_wants(&c[1], "db", PROJECT_ROLE_REPLICA));
    assert_false(deployment_command_wants(&c[1], "db", PROJECT_ROLE_SIDECAR));
    assert_int_equal(c[2].in, DEPLOYMENT_IN_CONTAINER);
    assert_int_equal(c[2].when, DEPLOYMENT_AT_INTERVAL);
    assert_string_equal(c[2].command, "a\nb");
    assert_true(deployment_command_wants(&c[2], "web", PROJECT_ROLE_SIDECAR));
    assert_false(deployment_command_wants(&c[2], "other", PROJECT_ROLE_REPLICA));
    assert_true(deployment_command_wants(&c[3], "any", PROJECT_ROLE_SIDECAR));
    assert_false(deployment_command_wants(&c[3], "any", PROJECT_ROLE_LOADER));
}

static void what_is_written_reads_again(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = parsed(several);
    cleanup(buffer_deinit) struct buffer first, second;
    buffer_init(&first, 1 << 16);
    buffer_init(&second, 1 << 16);
    deployment_write(d, &first);
    assert_non_null(strstr(buffer_string(&first), "    - name: flame\n"
                                                  "      script: /src/scripts/flame.sh\n"
                                                  "      command: ./flame.sh\n"
                                                  "      in: host\n"
                                                  "      when: demand\n"
                                                  "      timeout_sec: 90\n"
                                                  "      roles: [replica]\n"));
    cleanup(deployment_freep) struct deployment *again = parsed(buffer_string(&first));
    deployment_write(again, &second);
    assert_string_equal(buffer_string(&first), buffer_string(&second));
}

static void mistakes_are_named_with_their_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{command: x}", "1:22: a command needs a 'name'"},
        {"{name: a}", "1:22: command 'a' needs a 'command' that is run"},
        {"{name: a, command: x}", "1:22: command 'a' needs an 'interval_sec'"},
        {"{name: a, command: x, when: end, interval_sec: 1}",
         "1:22: command 'a' has an 'interval_sec', and runs `when: end`"},
        {"{name: a, command: x, when: sometimes}",
         "1:50: 'when' must be 'interval', 'start', 'end' or 'demand', not the text 'sometimes'"},
        {"{name: a, command: x, in: engine}",
         "1:48: 'in' must be 'host' or 'container', not the text 'engine'"},
        {"{name: a, comand: x}",
         "1:32: unknown key 'comand' in a command; did you mean 'command'?"},
        {"{name: a/b, command: x}", "1:29: 'a/b' cannot be a command's name (letters, digits, "
                                    "'.', '-' and '_', at most 63)"},
        {"{name: .., command: x}", "1:29: '..' cannot be a command's name (letters, digits, '.', "
                                   "'-' and '_', at most 63)"},
        {"{name: custom_command, command: x}",
         "1:29: 'custom_command' is what the command without a name is called"},
        {"{name: a, command: x, when: end, services: [s], roles: [replica]}",
         "1:22: command 'a' is for 'services' or for 'roles', not for both"},
        {"{name: a, command: x, when: end, services: []}", "1:65: 'services' names none"},
        {"{name: a, command: x, when: end, roles: [prepare]}",
         "1:63: 'roles' must be 'replica', 'sidecar' or 'loader', not the text 'prepare'"},
        {"{name: a, command: x, when: end, timeout_sec: 0}",
         "1:68: 'timeout_sec' must be a whole number from 1 to 86400, not the number 0"},
        {"{name: a, command: x, when: end}, {name: a, command: y, when: end}",
         "1:56: there are two commands 'a' (the other in line 1)"},
        {"five", "1:22: 'commands' must be a mapping, not the text 'five'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct deployment *d = NULL;
        cleanup_free char *text = text_format("runtime: {commands: [%s]}", cases[i][0]);
        cleanup_free char *expected = text_format("d.yaml:%s", cases[i][1]);
        assert_int_equal(parse(text, &d, &err), -1);
        assert_string_equal(err.text, expected);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static void there_is_a_limit_to_their_number(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 1 << 16);
    buffer_text(&text, "runtime: {commands: [");
    for (int i = 0; i <= DEPLOYMENT_COMMANDS_MAX; i++)
        buffer_format(&text, "{name: c%d, command: x, when: end}, ", i);
    buffer_text(&text, "]}");
    struct error err = ERROR_NULL;
    struct deployment *d = NULL;
    assert_int_equal(parse(buffer_string(&text), &d, &err), -1);
    assert_string_equal(err.text, "d.yaml:1:21: more than 64 commands");
}

static struct project *project_of(const char *text) {
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_source source = {.file = "c.yaml", .text = text, .size = strlen(text)};
    if (project_parse(&source, 1, &(struct project_options){.folder = "/w/t"}, &project, &err) < 0)
        fail_msg("%s", err.text);
    return project;
}

static void services_must_exist_and_be_there_at_the_time(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"services: [db], when: end", ""},
        {"services: [dbb], when: end",
         "d.yaml:1:22: command 'a': there is no service 'dbb'; did you mean 'db'?"},
        {"services: [something], when: end",
         "d.yaml:1:22: command 'a': there is no service 'something'"},
        {"services: [keys], interval_sec: 1",
         "d.yaml:1:22: command 'a' is for service 'keys', which has ended before any command runs"},
        {"services: [bench], when: start",
         "d.yaml:1:22: command 'a' runs `when: start`: then loader 'bench' does not run"},
        {"roles: [replica, loader], when: end",
         "d.yaml:1:22: command 'a' runs `when: end`: then loader 'bench' does not run"},
        {"roles: [replica, loader], interval_sec: 1", ""},
    };
    cleanup(project_freep) struct project *project =
        project_of("{services: {db: {image: x, x-seatrial: {role: replica}},\n"
                   "            keys: {image: x, x-seatrial: {role: prepare, output: /k}},\n"
                   "            bench: {image: x, x-seatrial: {role: loader}}}}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup_free char *text =
            text_format("runtime: {commands: [{name: a, command: x, %s}]}", cases[i][0]);
        cleanup(deployment_freep) struct deployment *d = parsed(text);
        int result = deployment_check_project(d, project, &err);
        assert_string_equal(err.text, cases[i][1]);
        assert_int_equal(result, *cases[i][1] ? -1 : 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_commands_are_read_and_the_nameless_one_is_first),
        cmocka_unit_test(what_is_written_reads_again),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(there_is_a_limit_to_their_number),
        cmocka_unit_test(services_must_exist_and_be_there_at_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
