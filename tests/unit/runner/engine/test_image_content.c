/* An image's content digest is of what it holds, not of how an engine writes it down. */

#include "lib/text.h"
#include "runner/engine/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *content(const char *text) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *json = NULL;
    char digest[ENGINE_IMAGE_ID_SIZE];
    if (json_parse(text, strlen(text), 0, &json, &err) < 0)
        fail_msg("%s", err.text);
    struct engine_image image = {.json = json};
    engine_image_content(&image, digest);
    return text_dup(digest);
}

static void engines_that_write_differently_agree(void **state) {
    (void)state;
    static const char *const same[] = {
        "{\"Id\":\"sha256:1\",\"Os\":\"linux\",\"Architecture\":\"amd64\",\"RootFS\":{\"Layers\":["
        "\"a\",\"b\"]},"
        "\"Config\":{\"Env\":[\"A=1\"],\"Cmd\":[\"x\"]}}",
        "{\"Id\":\"sha256:2\",\"Created\":\"now\",\"Architecture\":\"amd64\",\"Os\":\"linux\","
        "\"Parent\":\"p\","
        "\"RootFS\":{\"Type\":\"layers\",\"Layers\":[\"a\",\"b\"]},\"Config\":{\"Hostname\":\"h\","
        "\"User\":\"\","
        "\"Cmd\":[\"x\"],\"Env\":[\"A=1\"],\"Labels\":null,\"Volumes\":{},\"OnBuild\":[],"
        "\"AttachStdin\":false}}",
    };
    cleanup_free char *first = content(same[0]), *second = content(same[1]);
    assert_string_equal(first, second);
}

static void what_a_container_would_see_differs(void **state) {
    (void)state;
    static const char *const others[] = {
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"a\"]},\"Config\":{\"Env\":[\"A=1\"]}}",
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"a\",\"b\"]},\"Config\":{\"Env\":[\"A=1\"]}}",
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"b\",\"a\"]},\"Config\":{\"Env\":[\"A=1\"]}}",
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"a\"]},\"Config\":{\"Env\":[\"A=2\"]}}",
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"a\"]},\"Config\":{\"User\":\"1\"}}",
        "{\"Os\":\"linux\",\"RootFS\":{\"Layers\":[\"a\"]},\"Config\":{\"Labels\":{\"a\":\"b\"}}}",
        "{\"RootFS\":{\"Layers\":[\"a\"]},\"Config\":{\"Env\":[\"A=1\"]}}",
        "{}",
    };
    enum { COUNT = sizeof others / sizeof *others };
    char *digests[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        digests[i] = content(others[i]);
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(digests[i], digests[k]);
    for (size_t i = 0; i < COUNT; i++)
        free(digests[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(engines_that_write_differently_agree),
        cmocka_unit_test(what_a_container_would_see_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
