/*
 * A Dockerfile. With any target and either builder there is an answer, its paths are clean, and a
 * build that carries out more stages reaches no less.
 */

#include "images/dockerfile.h"
#include "images/reach.h"
#include "lib/cleanup.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct dockerfile *d) {
    assert(d->whole == (d->reason[0] != '\0'));
    for (size_t i = 0; i < d->base_count; i++)
        assert(*d->bases[i]);
    for (size_t i = 0; i < d->path_count; i++) {
        const char *path = d->paths[i];
        assert(*path && *path != '/' && path[strlen(path) - 1] != '/' && !strstr(path, "//"));
        assert(strcmp(path, "..") != 0 && strncmp(path, "../", 3) != 0 && !strstr(path, "/../"));
    }
    cleanup(reach_freep) struct reach *reach = reach_new(d->paths, d->path_count);
    for (size_t i = 0; i < d->path_count; i++)
        if (!strchr(d->paths[i], '*'))
            assert(reach_ask(reach, d->paths[i]) == REACHED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct dockerfile_arg args[] = {
        {"A", "a"}, {"B", "../b/*"}, {"C", NULL}, {NULL, NULL}};
    struct dockerfile_options options = {.args = args};
    const char *text = size ? (const char *)data : "";
    cleanup(dockerfile_deinit) struct dockerfile few, all;
    dockerfile_read(text, size, &options, &few);
    check(&few);
    options.every_stage = true;
    dockerfile_read(text, size, &options, &all);
    check(&all);
    assert(all.whole || !few.whole);
    assert(all.base_count >= few.base_count && all.path_count >= few.path_count);
    assert(few.bases_known || !all.bases_known);
    options.target = "1";
    cleanup(dockerfile_deinit) struct dockerfile target;
    dockerfile_read(text, size, &options, &target);
    check(&target);
    return 0;
}
