/* The model that a Compose file becomes, and how files are found. What `config` prints, and the
 * wording of errors, is in tests/golden/compose. */

#include "compose/load.h"
#include "compose/read.h"
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

static struct project *parsed_as(const char *text, const struct project_options *options) {
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_source source = {.file = "c.yaml", .text = text, .size = strlen(text)};
    if (project_parse(&source, 1, options, &project, &err) < 0)
        fail_msg("%s", err.text);
    return project;
}

static struct project *parsed(const char *text) {
    return parsed_as(text, &(struct project_options){.folder = "/w/trial"});
}

static void the_demo_is_what_the_planner_expects(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project = NULL;
    static const char *const files[] = {SOURCE_FOLDER "/examples/demo/compose.yaml", NULL};
    struct project_load_options options = {.files = files};
    if (project_load(&options, &project, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(project->name, "demo");
    const struct project_service *replica = project_service(project, "replica");
    const struct project_service *loader = project_service(project, "loader");
    assert_int_equal(replica->seatrial.role, PROJECT_ROLE_REPLICA);
    assert_int_equal(replica->replicas, 4);
    assert_int_equal(replica->seatrial.per_host, 4);
    assert_string_equal(replica->seatrial.cores, "/cores");
    assert_string_equal(replica->seatrial.data[0], "/data");
    assert_int_equal(texts_count(replica->seatrial.collect), 0);
    assert_string_equal(replica->seatrial.ports[0].name, "replica");
    assert_int_equal(replica->seatrial.ports[0].first, 7100);
    assert_string_equal(replica->network_mode, "host");
    assert_true(replica->stop_grace_ns == INT64_C(20000000000));
    assert_int_equal(loader->seatrial.role, PROJECT_ROLE_LOADER);
    assert_int_equal(loader->replicas, 1);
    assert_true(loader->stop_grace_ns == -1);
    assert_int_equal(project->network_count, 0);
    cleanup_free char *context = project_build_context(project, replica, NULL);
    assert_true(text_ends(context, "/build/stage/replica"));
    cleanup_free char *other = project_build_context(project, replica, "/root/a/b");
    assert_string_equal(other, "/root/build/stage/replica");
    assert_int_equal(texts_count(project->warnings), 0);
}

static void services_start_after_what_they_depend_on(void **state) {
    (void)state;
    cleanup(project_freep) struct project *project =
        parsed("services:\n  a: {image: x, depends_on: [c]}\n  b: {image: x}\n"
               "  c: {image: x, network_mode: 'service:d'}\n  d: {image: x}\n");
    static const char *const order[] = {"d", "c", "a", "b"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(project->services[project->start_order[i]].name, order[i]);
}

static void names_come_from_where_compose_takes_them(void **state) {
    (void)state;
    static const char text[] = "{name: said, services: {a: {build: .}}}";
    static const char unnamed[] = "{services: {a: {build: .}}}";
    cleanup(project_freep) struct project *given =
        parsed_as(text, &(struct project_options){.name = "p", .folder = "/w"});
    assert_string_equal(given->name, "p");
    cleanup(project_freep) struct project *said =
        parsed_as(text, &(struct project_options){.folder = "/w"});
    assert_string_equal(said->name, "said");
    assert_string_equal(said->services[0].image, "said-a");
    assert_false(said->services[0].image_given);
    cleanup(project_freep) struct project *folder = parsed_as(
        unnamed, &(struct project_options){.folder = "../My Trial.2", .working_folder = "/w/x"});
    assert_string_equal(folder->name, "mytrial2");
    assert_string_equal(folder->folder, "/w/My Trial.2");
    struct error err = ERROR_NULL;
    struct project *none = NULL;
    struct project_source source = {.file = "f", .text = unnamed, .size = strlen(unnamed)};
    assert_int_equal(
        project_parse(&source, 1, &(struct project_options){.folder = "/"}, &none, &err), -1);
    assert_string_equal(err.hint, "say 'name: ...' in the file, or -p NAME");
}

static void paths_are_resolved_by_their_text(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"/a/b", "c", "/a/b/c"},
        {"/a/b", "../c", "/a/c"},
        {"/a", "../../..", "/"},
        {"/a", "/x/./y/", "/x/y"},
        {"", "c", "c"},
        {"", "../c", "../c"},
        {"a", "../..", ".."},
        {"a", "../../..", "../.."},
        {"a/b", "./../", "a"},
        {"a", "..", "."},
        {"", "", "."},
        {"/", ".", "/"},
        {"/a//b", "c//d", "/a/b/c/d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *path = project_resolve_path(cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
    }
}

static void words_are_split_as_a_shell_does(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *words[6];
    } cases[] = {
        {"", {NULL}},
        {"  a\tb\n", {"a", "b"}},
        {"a'b c'd", {"ab cd"}},
        {"\"a \\\"b\\\" \\n\" '\\'", {"a \"b\" \\n", "\\"}},
        {"a\\ b '' \"\"", {"a b", "", ""}},
        {"a;b | c > d", {"a;b", "|", "c", ">", "d"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup(texts_freep) char **words = NULL;
        assert_int_equal(split_words(cases[i].text, &words, &err), 0);
        size_t count = texts_count(words);
        for (size_t j = 0; j < count; j++)
            assert_string_equal(words[j], cases[i].words[j]);
        assert_null(cases[i].words[count]);
    }
}

static void numbers_of_replicas_from_elsewhere_are_checked_too(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project =
        parsed("{services: {a: {image: x, container_name: one},\n"
               "            b: {image: x, x-seatrial: {per_host: 9, ports: {p: 65530}}}}}");
    assert_int_equal(project_set_replicas(project, "a", 2, &err), -1);
    assert_int_equal(project_service(project, "a")->replicas, 1);
    assert_int_equal(project_set_replicas(project, "b", 6, &err), 0);
    assert_int_equal(project_set_replicas(project, "b", 7, &err), -1);
    assert_int_equal(project_service(project, "b")->replicas, 6);
}

static void too_much_of_anything_is_refused(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, YAML_SIZE_MAX);
    buffer_text(&text, "services:\n");
    for (int i = 0; i <= PROJECT_SERVICES_MAX; i++)
        buffer_format(&text, "  s%d: {image: x}\n", i);
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_source source = {.file = "f", .text = buffer_string(&text), .size = text.size};
    struct project_options options = {.folder = "/w"};
    assert_int_equal(project_parse(&source, 1, &options, &project, &err), -1);
    assert_string_equal(err.text, "f:2:3: more than 256 services");

    buffer_clear(&text);
    buffer_text(&text, "services:\n  a:\n    image: x\n    environment:\n");
    for (int i = 0; i <= ENV_PAIRS_MAX; i++)
        buffer_format(&text, "    - V%d=\n", i);
    source = (struct project_source){.file = "f", .text = buffer_string(&text), .size = text.size};
    assert_int_equal(project_parse(&source, 1, &options, &project, &err), -1);
    assert_string_equal(err.text, "f:4101:7: more than 4096 names in one list");
}

static const char *lookup_long(void *arg, const char *name) {
    (void)arg;
    static char value[100 * 1000];
    if (!text_equal(name, "LONG"))
        return NULL;
    memset(value, 'v', sizeof value - 1);
    return value;
}

static void variables_cannot_make_a_file_endless(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, YAML_SIZE_MAX);
    buffer_text(&text, "services:\n  a:\n    image: x\n    command:\n");
    for (int i = 0; i < 200; i++)
        buffer_text(&text, "    - $LONG\n");
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_source source = {.file = "f", .text = buffer_string(&text), .size = text.size};
    struct project_options options = {.folder = "/w", .environment = {.lookup = lookup_long}};
    assert_int_equal(project_parse(&source, 1, &options, &project, &err), -1);
    assert_string_equal(err.text,
                        "f:172:7: variables make the file larger than we accept (16 MiB)");
}

/* ---- from the disk ---- */

static const char *lookup_shell(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "BOTH") ? "shell" : NULL;
}

static void dot_env_and_env_files_are_read_below_the_environment(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, ".env", "BOTH=file\nONLY=file\nTAG=1\n");
    folder_write(&f, "one.env", "A=one\nB=one\nC=one\n");
    folder_write(&f, "sub/two.env", "B=two\nC=two\nD=$TAG\n");
    folder_write(&f, "compose.yaml",
                 "services:\n  a:\n    image: x:${TAG}\n"
                 "    env_file: [one.env, {path: ./sub/two.env}, {path: no.env, required: false}]\n"
                 "    environment: {C: said, BOTH: , ONLY: }\n");
    cleanup_free char *file = text_format("%s/compose.yaml", f.path);
    const char *const files[] = {file, NULL};
    struct project_load_options options = {
        .files = files, .name = "p", .environment = {.lookup = lookup_shell}};
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project = NULL;
    if (project_load(&options, &project, &err) < 0)
        fail_msg("%s", err.text);
    const struct env_pair *environment = project->services[0].environment;
    assert_string_equal(project->services[0].image, "x:1");
    assert_string_equal(env_pairs_find(environment, "A")->value, "one");
    assert_string_equal(env_pairs_find(environment, "B")->value, "two");
    assert_string_equal(env_pairs_find(environment, "C")->value, "said");
    assert_string_equal(env_pairs_find(environment, "D")->value, "1");
    assert_string_equal(env_pairs_find(environment, "BOTH")->value, "shell");
    assert_string_equal(env_pairs_find(environment, "ONLY")->value, "file");
}

static void files_that_cannot_be_read_are_mistakes_of_the_configuration(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "compose.yaml", "services: {a: {image: x, env_file: gone.env}}\n");
    cleanup_free char *file = text_format("%s/compose.yaml", f.path);
    cleanup_free char *missing = text_format("%s/missing.yaml", f.path);
    const char *files[] = {file, NULL};
    struct project_load_options options = {.files = files, .name = "p"};
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    assert_int_equal(project_load(&options, &project, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "compose.yaml:1:36: env_file of service 'a': open"));
    files[0] = missing;
    assert_int_equal(project_load(&options, &project, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    assert_non_null(strstr(err.text, "missing.yaml': No such file or directory"));
    files[0] = f.path;
    assert_int_equal(project_load(&options, &project, &err), -1);
    assert_non_null(strstr(err.text, "is not a regular file"));
}

static const char *lookup_files(void *arg, const char *name) {
    return text_equal(name, "COMPOSE_FILE") ? arg : NULL;
}

static void compose_file_lists_files_and_the_first_gives_the_folder(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "base/a.yaml", "{name: n, services: {a: {build: ./here, command: one}}}\n");
    folder_write(&f, "over/b.yaml", "services: {a: {command: two}, b: {image: y}}\n");
    cleanup_free char *list = text_format("%s/base/a.yaml:%s/over/b.yaml", f.path, f.path);
    struct project_load_options options = {.environment = {.lookup = lookup_files, .arg = list}};
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project = NULL;
    if (project_load(&options, &project, &err) < 0)
        fail_msg("%s", err.text);
    cleanup_free char *expected = text_format("%s/base/here", f.path);
    cleanup_free char *context =
        project_build_context(project, project_service(project, "a"), NULL);
    assert_string_equal(context, expected);
    assert_string_equal(project_service(project, "a")->command[0], "two");
    assert_string_equal(project_service(project, "b")->place.file, project->files[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_demo_is_what_the_planner_expects),
        cmocka_unit_test(services_start_after_what_they_depend_on),
        cmocka_unit_test(names_come_from_where_compose_takes_them),
        cmocka_unit_test(paths_are_resolved_by_their_text),
        cmocka_unit_test(words_are_split_as_a_shell_does),
        cmocka_unit_test(numbers_of_replicas_from_elsewhere_are_checked_too),
        cmocka_unit_test(too_much_of_anything_is_refused),
        cmocka_unit_test(variables_cannot_make_a_file_endless),
        cmocka_unit_test(dot_env_and_env_files_are_read_below_the_environment),
        cmocka_unit_test(files_that_cannot_be_read_are_mistakes_of_the_configuration),
        cmocka_unit_test(compose_file_lists_files_and_the_first_gives_the_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
