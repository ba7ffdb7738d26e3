/* Any bytes as a Compose file (and as one merged into another), as an env file and as a
 * deployment file: a project or an error; and what `config` prints of a project reads again. */

#include "compose/project.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/deployment/deployment.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *arg, const char *name) {
    (void)arg;
    return text_equal(name, "HOME") ? "/h" : *name == 'S' ? "some thing" : NULL;
}
static const struct environment env = {.lookup = lookup};

static struct project *parse(const struct project_source *sources, size_t count) {
    struct error err = ERROR_NULL;
    struct project *project = NULL;
    struct project_options options = {.folder = "/w/trial", .environment = env};
    if (project_parse(sources, count, &options, &project, &err) < 0)
        assert(err.kind == ERROR_CONFIG && *err.text);
    return project;
}

static void check_config(const struct project *project) {
    cleanup(buffer_deinit) struct buffer first, second;
    buffer_init(&first, YAML_SIZE_MAX);
    buffer_init(&second, YAML_SIZE_MAX);
    project_write_config(project, &first);
    if (first.overflowed)
        return;
    struct project_source source = {
        .file = "again", .text = buffer_string(&first), .size = first.size};
    cleanup(project_freep) struct project *again = parse(&source, 1);
    assert(again);
    project_write_config(again, &second);
    assert(text_equal(buffer_string(&first), buffer_string(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char base[] = "services: {a: {image: x, environment: [A=1], ports: ['80'],\n"
                               "  volumes: ['./a:/b'], networks: [n], depends_on: [b]},\n"
                               "  b: {build: .}}\nnetworks: {n: }\n";
    struct project_source sources[] = {
        {.file = "base", .text = base, .size = strlen(base)},
        {.file = "f", .text = (const char *)data, .size = size},
    };
    cleanup(project_freep) struct project *alone = parse(sources + 1, 1);
    cleanup(project_freep) struct project *merged = parse(sources, 2);
    if (alone)
        check_config(alone);
    if (merged)
        check_config(merged);

    struct error err = ERROR_NULL;
    struct env_pair *pairs = NULL;
    if (env_file_parse("f", (const char *)data, size, &env, &pairs, &err) == 0)
        env_pairs_free(pairs);
    cleanup(deployment_freep) struct deployment *deployment = NULL;
    if (deployment_parse("f", "/w", 0600, (const char *)data, size, &env, &deployment, &err) < 0)
        assert(err.kind == ERROR_CONFIG);
    return 0;
}
