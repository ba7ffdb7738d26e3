/* What a Dockerfile is built from and reaches, by the documented rules; in doubt it is all. */

#include "images/dockerfile.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "bases | paths": a '?' behind the bases where others may be, '*all*' for the whole context. */
static char *answer(const char *text, const struct dockerfile_options *options) {
    cleanup(dockerfile_deinit) struct dockerfile d;
    struct buffer out;
    buffer_init(&out, 1 << 16);
    dockerfile_read(text, strlen(text), options, &d);
    for (size_t i = 0; i < d.base_count; i++)
        buffer_format(&out, "%s ", d.bases[i]);
    buffer_text(&out, d.bases_known ? "|" : "? |");
    if (d.whole)
        buffer_text(&out, " *all*");
    for (size_t i = 0; !d.whole && i < d.path_count; i++)
        buffer_format(&out, " %s", d.paths[i]);
    assert_true(d.whole == (d.reason[0] != '\0'));
    return buffer_take(&out);
}

struct dockerfile_case {
    const char *text, *answer;
    const char *target;
    bool every_stage;
    struct dockerfile_arg args[4];
};

static void check(const struct dockerfile_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct dockerfile_options options = {
            .args = cases[i].args, .target = cases[i].target, .every_stage = cases[i].every_stage};
        cleanup_free char *got = answer(cases[i].text, &options);
        if (!text_equal(got, cases[i].answer))
            fail_msg("%s\n--- gives\n%s\n--- not\n%s", cases[i].text, got, cases[i].answer);
    }
}
#define CHECK(cases) check(cases, sizeof(cases) / sizeof *(cases))

static void sources_of_copy_and_add_are_what_is_reached(void **state) {
    (void)state;
    static const struct dockerfile_case cases[] = {
        {.text = "FROM scratch\nCOPY a /\n", .answer = "| a"},
        {.text = "FROM busybox\nCOPY a b/c d/ /x/\n", .answer = "busybox | a b/c d"},
        {.text = "from busybox\ncopy a /\nadd b /", .answer = "busybox | a b"},
        {.text = "FROM x\nCOPY --chown=1:1 --chmod=755 --link a /\n", .answer = "x | a"},
        {.text = "FROM x\nCOPY [\"a b\", \"c\", \"/\"]\n", .answer = "x | a b c"},
        {.text = "FROM x\nCOPY [a, b]\n", .answer = "x | *"},
        {.text = "FROM x\nCOPY . /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY ./ /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY / /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY .. /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY a/.. /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY ./a/../b//c/ /\n", .answer = "x | b/c"},
        {.text = "FROM x\nCOPY ../../a /\n", .answer = "x | a"},
        {.text = "FROM x\nCOPY /a /\n", .answer = "x | a"},
        {.text = "FROM x\nCOPY src/*.c src/a?.h /\n", .answer = "x | src/*.c src/*"},
        {.text = "FROM x\nCOPY [\"a[0-9]\", \"/\"]\n", .answer = "x | *"},
        {.text = "FROM x\nCOPY --parents ./a/**/b /\n", .answer = "x | a"},
        {.text = "FROM x\nCOPY ** /\n", .answer = "x | *all*"},
        {.text = "FROM x\nADD https://a/b http://c git@d:e.git git://f l.tar /\n",
         .answer = "x | l.tar"},
        {.text = "FROM x\nCOPY git@d /\n", .answer = "x | git@d"},
        {.text = "FROM x\nCOPY \"a\" 'b' c\\d /\n", .answer = "x | a b cd"},
        {.text = "FROM x\nCOPY onlyone\n", .answer = "x |"},
        {.text = "FROM x\nRUN cp a b\nWORKDIR /w\nCMD [\"a\"]\n", .answer = "x |"},
        {.text = "FROM x\nONBUILD COPY a /\nONBUILD ADD b /\n", .answer = "x | a b"},
        {.text = "FROM x\nONBUILD ONBUILD COPY a /\n", .answer = "x |"},
    };
    CHECK(cases);
}

static void lines_are_joined_and_comments_are_none(void **state) {
    (void)state;
    static const struct dockerfile_case cases[] = {
        {.text = "FROM x\nCOPY a \\\n b \\\n /\n", .answer = "x | a b"},
        {.text = "FROM x\nCOPY a \\\n# COPY z\n\n   # y\n b /\n", .answer = "x | a b"},
        {.text = "FROM x\nCOPY a \\  \n b /\nCOPY c /", .answer = "x | a b c"},
        {.text = "FROM x\r\nCOPY a \\\r\n b /\r\n", .answer = "x | a b"},
        {.text = "\xef\xbb\xbf# c\n\n  FROM x\n\t COPY a /\n#COPY b /", .answer = "x | a"},
        {.text = "# escape=`\nFROM x\nCOPY a `\n b /\nCOPY c\\d /\n", .answer = "x | a b *"},
        {.text = "# c\n# escape=`\nFROM x\nCOPY a \\\n b /\n", .answer = "x | a b"},
        {.text = "#syntax = docker/dockerfile:1\nFROM x\nCOPY a /\n", .answer = "x | a"},
        {.text = "# syntax=docker.io/docker/dockerfile@sha256:00\nFROM x\n", .answer = "x |"},
        {.text = "# syntax=me/mine\nFROM x\nCOPY a /\n", .answer = "x ? | *all*"},
        {.text = "# syntax=docker/dockerfile-more\nFROM x\n", .answer = "x ? | *all*"},
        {.text = "FROM x\n# syntax=me/mine\nCOPY a /\n", .answer = "x | a"},
    };
    CHECK(cases);
}

static void here_documents_are_no_instructions(void **state) {
    (void)state;
    static const struct dockerfile_case cases[] = {
        {.text = "FROM x\nRUN <<EOF\nCOPY z /\nEOF\nCOPY a /\n", .answer = "x | a"},
        {.text = "FROM x\nRUN cat <<\"A\" 3<<-B\nCOPY y /\nA\nCOPY z /\n\t\tB\nCOPY a /\n",
         .answer = "x | a"},
        {.text = "FROM x\nCOPY <<EOF b /\nCOPY z\nEOF\nCOPY a /\n", .answer = "x | b a"},
        {.text = "FROM x\nRUN <<EOF\nCOPY z /\n", .answer = "x ? | *all*"},
        {.text = "FROM x\nRUN echo $((1<<2)) <<<z\nCOPY a /\n", .answer = "x | a"},
        {.text = "FROM x\nRUN echo \"<<EOF\"\nCOPY a /\n", .answer = "x | a"},
        {.text = "FROM x\nENV a=<<EOF\nCOPY a /\n", .answer = "x | a"},
        {.text = "FROM x\nONBUILD RUN <<EOF\nCOPY z /\nEOF\nCOPY a /\n", .answer = "x | a"},
    };
    CHECK(cases);
}

static void only_stages_that_the_target_needs_count(void **state) {
    (void)state;
    static const char text[] = "FROM one AS a\nCOPY a /\n"
                               "FROM two AS b\nCOPY b /\n"
                               "FROM a AS c\nCOPY c /\nCOPY --from=B /x /y\n"
                               "FROM three\nCOPY d /\nCOPY --from=four /x /y\n";
    static const struct dockerfile_case cases[] = {
        {.text = text, .answer = "three four | d"},
        {.text = text, .answer = "one two | a b c", .target = "c"},
        {.text = text, .answer = "one two | a b c", .target = "2"},
        {.text = text, .answer = "one | a", .target = "A"},
        {.text = text, .answer = "two | b", .target = "b"},
        {.text = text, .answer = "one two | a b", .target = "b", .every_stage = true},
        {.text = text, .answer = "one two three four ? | *all*", .target = "nothing"},
        {.text = "FROM x\nCOPY a /\nFROM scratch\nCOPY --from=0 /a /\n", .answer = "x | a"},
        {.text = "FROM --platform=$BUILDPLATFORM x AS y\nCOPY a /\nFROM y", .answer = "x | a"},
        {.text = "FROM x AS x\nCOPY a /\nFROM x\n", .answer = "x | a"},
        {.text = "FROM x AS 7z\nCOPY a /\nFROM 7z\n", .answer = "x | a"},
        {.text = "FROM x AS y\nFROM z\nCOPY --from=$S a /\n", .answer = "z ? |"},
        {.text = "COPY a /\n", .answer = "? | *all*"},
        {.text = "", .answer = "? | *all*"},
    };
    CHECK(cases);
}

static void mounts_reach_what_they_name(void **state) {
    (void)state;
    static const struct dockerfile_case cases[] = {
        {.text = "FROM x\nRUN --mount=target=/src make\n", .answer = "x | *all*"},
        {.text = "FROM x\nRUN --mount=type=bind,source=a,target=/b make\n", .answer = "x | a"},
        {.text = "FROM x\nRUN --mount=src=a/b,dst=/b --mount=type=cache,target=/c make\n",
         .answer = "x | a/b"},
        {.text = "FROM x\nRUN --mount=type=secret,id=a --network=none make\n", .answer = "x |"},
        {.text = "FROM x AS y\nCOPY a /\nFROM z\nRUN --mount=from=y,source=/q,target=/b make\n",
         .answer = "x z | a"},
        {.text = "FROM z\nRUN --mount=type=cache,from=w,target=/b make\n", .answer = "z w |"},
        {.text = "FROM z\nRUN --mount=\"type=bind\",target=/b make\n", .answer = "z ? | *all*"},
        {.text = "FROM z\nRUN make --mount=source=a\n", .answer = "z |"},
    };
    CHECK(cases);
}

static void variables_are_filled_in_where_they_are_known(void **state) {
    (void)state;
    static const struct dockerfile_case cases[] = {
        {.text = "ARG V=12\nFROM debian:$V\n", .answer = "debian:12 |"},
        {.text = "ARG V=12\nFROM debian:${V}-slim\n",
         .answer = "debian:11-slim |",
         .args = {{"V", "11"}}},
        {.text = "ARG V=12\nFROM debian:$V\n", .answer = "debian:12 |", .args = {{"V", NULL}}},
        {.text = "FROM debian:$V\n", .answer = "? |", .args = {{"V", "11"}}},
        {.text = "ARG V\nFROM debian:${V}\n", .answer = "? |"},
        {.text = "ARG D=a\nFROM x\nCOPY $D /\n", .answer = "x | *all*"},
        {.text = "ARG D=a\nFROM x\nARG D\nCOPY $D /\n", .answer = "x | a"},
        {.text = "FROM x\nARG D=a E=$D/b\nCOPY $E \"${D}c\" '$D' /\n", .answer = "x | a/b ac $D"},
        {.text = "FROM x\nARG D=a\nENV D b\nCOPY $D /\n", .answer = "x | b", .args = {{"D", "c"}}},
        {.text = "FROM x\nENV D=a E=$D\nCOPY $D /\n", .answer = "x | a"},
        {.text = "FROM x\nENV D=a\nENV D=b E=$D\nCOPY $E /\n", .answer = "x | a"},
        {.text = "FROM x AS y\nENV D=a\nARG E=b\nFROM y\nCOPY $D /\n", .answer = "x | a"},
        {.text = "FROM x AS y\nARG E=b\nFROM y\nCOPY $E /\n", .answer = "x | *all*"},
        {.text = "FROM x\nARG D=a\nCOPY ${D:-z} ${D:+y} ${D-z}1 ${D+y}1 /\n",
         .answer = "x | a y a1 y1"},
        {.text = "FROM x\nARG D=\nCOPY ${D:-z} /\n", .answer = "x | z"},
        {.text = "FROM x\nARG D=a\nCOPY ${D#b} /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY ${HOME:-a} /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY \\$a $1 /\n", .answer = "x | *all*"},
        {.text = "FROM x\nCOPY ${a /\n", .answer = "x | *all*"},
        {.text = "FROM x\nADD $URL /\n", .answer = "x | *all*"},
    };
    CHECK(cases);
}

static void what_is_too_much_is_all_of_it(void **state) {
    (void)state;
    static const struct dockerfile_options options = {.target = NULL};
    struct buffer text;
    buffer_init(&text, 1 << 20);
    buffer_text(&text, "FROM x\nENV A=aaaaaaaaaaaaaaaa\n");
    for (int i = 0; i < 40; i++)
        buffer_text(&text, "ENV A=$A$A\n");
    buffer_text(&text, "COPY $A /\n");
    cleanup_free char *grown = answer(buffer_string(&text), &options);
    assert_string_equal(grown, "x | *all*");
    buffer_clear(&text);
    buffer_text(&text, "FROM x\n");
    for (int i = 0; i <= DOCKERFILE_INSTRUCTIONS_MAX; i++)
        buffer_text(&text, "CMD a\n");
    cleanup_free char *many = answer(buffer_string(&text), &options);
    assert_string_equal(many, "x ? | *all*");
    buffer_deinit(&text);
    struct dockerfile d;
    dockerfile_read("FROM x\0\nCOPY a /", 16, &options, &d);
    assert_true(d.whole && !d.bases_known);
    dockerfile_deinit(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sources_of_copy_and_add_are_what_is_reached),
        cmocka_unit_test(lines_are_joined_and_comments_are_none),
        cmocka_unit_test(here_documents_are_no_instructions),
        cmocka_unit_test(only_stages_that_the_target_needs_count),
        cmocka_unit_test(mounts_reach_what_they_name),
        cmocka_unit_test(variables_are_filled_in_where_they_are_known),
        cmocka_unit_test(what_is_too_much_is_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
