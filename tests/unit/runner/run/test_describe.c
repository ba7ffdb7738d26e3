/* What the engine is asked to create for a service: the words of Compose, our environment, our
 * labels. */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/text.h"
#include "runner/run/describe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char compose[] = "services:\n"
                              "  a:\n"
                              "    image: x:1\n"
                              "    command: [serve, '--fast']\n"
                              "    environment: {USER_WORD: yes, SEATRIAL_INDEX: '99'}\n"
                              "    deploy: {replicas: 3}\n"
                              "    network_mode: host\n"
                              "    stop_grace_period: 1500ms\n"
                              "    mem_limit: 64m\n"
                              "    tmpfs: [/scratch]\n"
                              "    volumes: [data:/data, seen:/seen:ro]\n"
                              "    labels: {team: blue}\n"
                              "    healthcheck: {test: [CMD, ok], interval: 5s}\n"
                              "    x-seatrial: {role: replica, per_host: 3, cores: /cores,\n"
                              "                 ports: {p: 7000}}\n"
                              "  b: {image: y, x-seatrial: {role: loader}}\n"
                              "  c: {image: z, network_mode: 'service:b'}\n"
                              "volumes: {data: , seen: {external: true}}\n";

struct fixture {
    struct project *project;
    struct deployment *deployment;
    struct plan *plan;
};

static const char *nothing(void *arg, const char *name) {
    (void)arg;
    (void)name;
    return NULL;
}

static int set_up(void **state) {
    struct error err = ERROR_NULL;
    struct fixture *f = calloc(1, sizeof *f);
    struct project_source source = {"compose.yaml", compose, sizeof compose - 1};
    struct project_options options = {
        .name = "p", .folder = "/t", .environment = {.lookup = nothing}};
    f->deployment = deployment_new_default("/t");
    struct plan_options wishes = {.run = "0badcafe", .in_memory = true, .loader_args = "-b 5"};
    if (project_parse(&source, 1, &options, &f->project, &err) < 0 ||
        plan_make(f->project, f->deployment, &wishes, &f->plan, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    plan_free(f->plan);
    project_free(f->project);
    deployment_free(f->deployment);
    free(f);
    return 0;
}

/* The whole request, as text in which we look. */
static char *described(const struct fixture *f, size_t container) {
    struct description d;
    describe_container(f->plan, &f->plan->containers[container], "me@here", "/volume", &d);
    cleanup(json_freep) struct json *json = engine_container_json(&d.spec);
    char *text = json_to_text(json, JSON_LINE);
    description_deinit(&d);
    return text;
}

static void has(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static void a_container_is_told_who_it_is_whatever_the_file_says(void **state) {
    cleanup_free char *text = described(*state, 1);
    has(text, "\"SEATRIAL_INDEX=1\"");
    has(text, "\"SEATRIAL_ROLE=replica\"");
    has(text, "\"SEATRIAL_RUN=0badcafe\"");
    has(text, "\"SEATRIAL_IN_MEMORY=1\"");
    has(text, "\"USER_WORD=yes\"");
    assert_null(strstr(text, "SEATRIAL_INDEX=99"));
    assert_null(strstr(text, "SEATRIAL_LOADERS")); /* one needs no start in common */
    assert_null(strstr(text, "SEATRIAL_LOADER_ARGS"));
    cleanup_free char *loader = described(*state, 3);
    has(loader, "\"SEATRIAL_LOADER_ARGS=-b 5\"");
}

static void it_carries_our_labels_and_those_of_docker_compose(void **state) {
    cleanup_free char *text = described(*state, 2);
    has(text, "\"io.seatrial.run\":\"0badcafe\"");
    has(text, "\"io.seatrial.owner\":\"me@here\"");
    has(text, "\"com.docker.compose.project\":\"p\"");
    has(text, "\"com.docker.compose.service\":\"a\"");
    has(text, "\"com.docker.compose.container-number\":\"3\"");
    has(text, "\"com.docker.compose.oneoff\":\"False\"");
    has(text, "\"team\":\"blue\"");
}

static void the_words_of_compose_reach_the_engine(void **state) {
    cleanup_free char *text = described(*state, 0);
    has(text, "\"Image\":\"x:1\"");
    has(text, "\"Cmd\":[\"serve\",\"--fast\"]");
    has(text, "\"NetworkMode\":\"host\"");
    has(text, "\"Memory\":67108864");
    has(text, "\"/scratch\"");
    has(text, "{\"Source\":\"p_data\",\"Target\":\"/data\",\"Type\":\"volume\"}");
    has(text, "{\"ReadOnly\":true,\"Source\":\"seen\",\"Target\":\"/seen\",\"Type\":\"volume\"}");
    has(text, "{\"Source\":\"/volume/p-a-1\",\"Target\":\"/seatrial\",\"Type\":\"bind\"}");
    has(text, "{\"Source\":\"/volume/p-a-1/cores\",\"Target\":\"/cores\",\"Type\":\"bind\"}");
    has(text, "\"Test\":[\"CMD\",\"ok\"]");
    has(text, "\"StopTimeout\":2"); /* the engine counts whole seconds */
    has(text, "{\"Hard\":-1,\"Name\":\"core\",\"Soft\":-1}");
    cleanup_free char *loader = described(*state, 3);
    assert_null(strstr(loader, "\"core\""));
}

static void a_shared_network_is_that_of_a_container(void **state) {
    cleanup_free char *text = described(*state, 4);
    has(text, "\"NetworkMode\":\"container:p-b-1\"");
}

static void the_cluster_file_says_who_is_where(void **state) {
    const struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 10000);
    plan_write_cluster(f->plan, &text);
    has(buffer_string(&text),
        "  - {name: \"p-a-3\", service: \"a\", role: replica, index: 2, host: \"local\", "
        "address: \"127.0.0.1\", ports: {\"p\": 7002}}\n");
    has(buffer_string(&text), "address: \"p-b-1\", ports: {}}\n"); /* a network of ours: its name */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_told_who_it_is_whatever_the_file_says),
        cmocka_unit_test(it_carries_our_labels_and_those_of_docker_compose),
        cmocka_unit_test(the_words_of_compose_reach_the_engine),
        cmocka_unit_test(a_shared_network_is_that_of_a_container),
        cmocka_unit_test(the_cluster_file_says_who_is_where),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
