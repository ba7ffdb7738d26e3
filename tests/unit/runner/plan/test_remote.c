/* By which name images go to a registry. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/plan/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int name(const char *registry, const char *username, const char *image, char **ret,
                struct error *err) {
    cleanup(deployment_freep) struct deployment *d = deployment_new_default("/");
    d->docker.registry = text_dup(registry);
    d->docker.username = text_dup(username);
    return plan_remote_name(d, image, ret, err);
}

static void images_go_where_their_name_or_the_deployment_says(void **state) {
    (void)state;
    static const struct {
        const char *registry, *username, *image, *name;
    } cases[] = {
        {"docker.io", "someone", "replica", "docker.io/someone/replica:latest"},
        {NULL, "someone", "replica:1", "docker.io/someone/replica:1"},
        {"index.docker.io", "someone", "replica", "docker.io/someone/replica:latest"},
        {"docker.io", "someone", "team/replica:1", "docker.io/team/replica:1"},
        {"docker.io/team", "someone", "replica", "docker.io/team/replica:latest"},
        {"registry:5000", NULL, "replica", "registry:5000/replica:latest"},
        {"registry:5000", "someone", "team/replica", "registry:5000/team/replica:latest"},
        {"ghcr.io/team/perf", "x", "replica:2", "ghcr.io/team/perf/replica:2"},
        {"docker.io", "someone", "registry:5000/a/b:3", "registry:5000/a/b:3"},
        {"registry:5000", NULL, "docker.io/other/x", "docker.io/other/x:latest"},
        {NULL, NULL, "replica", NULL},
        {NULL, NULL, "registry:5000/a", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup_free char *found = NULL;
        if (name(cases[i].registry, cases[i].username, cases[i].image, &found, &err) < 0)
            fail_msg("%s: %s", cases[i].image, err.text);
        if (!text_equal(found, cases[i].name))
            fail_msg("%s: %s, not %s", cases[i].image, found, cases[i].name);
    }
}

static void registries_and_images_that_are_none_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *registry, *username, *image, *part;
    } cases[] = {
        {"docker.io", NULL, "replica", "docker.username"},
        {"https://registry", "x", "replica", "'https://registry' is no registry"},
        {"registry/", "x", "replica", "is no registry"},
        {"registry:5000", "x", "a@sha256:aaaa", "not an image reference"},
        {"bad registry", "x", "replica", "'replica'"},
        {"docker.io", "Some One", "replica", "'replica'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        char *found = NULL;
        assert_int_equal(name(cases[i].registry, cases[i].username, cases[i].image, &found, &err),
                         -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i].part))
            fail_msg("%s: %s", cases[i].part, err.text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_go_where_their_name_or_the_deployment_says),
        cmocka_unit_test(registries_and_images_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
