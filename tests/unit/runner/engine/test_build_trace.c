/* BuildKit's steps become text as people know it, and bytes that lie are refused. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "runner/engine/build_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a writer of protobuf ---- */

static void number(struct buffer *out, uint64_t value) {
    do {
        uint8_t byte = (uint8_t)(value & 0x7f);
        value >>= 7;
        byte |= value ? 0x80 : 0;
        buffer_append(out, &byte, 1);
    } while (value);
}

static void bytes(struct buffer *out, unsigned field, const void *data, size_t size) {
    number(out, field << 3 | 2);
    number(out, size);
    buffer_append(out, data, size);
}

static void text(struct buffer *out, unsigned field, const char *value) {
    bytes(out, field, value, strlen(value));
}

static void at(struct buffer *out, unsigned field, uint64_t seconds, uint64_t ns) {
    struct buffer time;
    buffer_init(&time, 100);
    number(&time, 1 << 3);
    number(&time, seconds);
    number(&time, 2 << 3);
    number(&time, ns);
    bytes(out, field, time.data, time.size);
    buffer_deinit(&time);
}

struct vertex {
    const char *digest, *name, *error;
    uint64_t started, completed;
    bool cached;
};

static void vertex(struct buffer *out, struct vertex v) {
    struct buffer m;
    buffer_init(&m, 10000);
    text(&m, 1, v.digest);
    text(&m, 2, "sha256:an-input");
    text(&m, 3, v.name);
    if (v.cached) {
        number(&m, 4 << 3);
        number(&m, 1);
    }
    if (v.started)
        at(&m, 5, v.started, 0);
    if (v.completed)
        at(&m, 6, v.completed, 500000000);
    if (v.error)
        text(&m, 7, v.error);
    bytes(out, 1, m.data, m.size);
    buffer_deinit(&m);
}

static void log_of(struct buffer *out, const char *digest, uint64_t seconds, const char *said) {
    struct buffer m;
    buffer_init(&m, 10000);
    text(&m, 1, digest);
    at(&m, 2, seconds, 250000000);
    number(&m, 3 << 3);
    number(&m, 1);
    text(&m, 4, said);
    bytes(out, 3, m.data, m.size);
    buffer_deinit(&m);
}

/* ---- tests ---- */

static int on_text(void *arg, const char *said, struct error *err) {
    (void)err;
    buffer_text(arg, said);
    return 0;
}

static void steps_begin_print_and_end(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer got, in;
    buffer_init(&got, 10000);
    buffer_init(&in, 10000);
    cleanup(build_trace_deinit) struct build_trace trace = {.on_text = on_text, .arg = &got};
    vertex(&in, (struct vertex){.digest = "a", .name = "[1/3] FROM x"});
    vertex(&in, (struct vertex){.digest = "b", .name = "[2/3] RUN make", .started = 100});
    log_of(&in, "b", 101, "one\ntw");
    assert_int_equal(build_trace_read(&trace, in.data, in.size, &err), 0);
    buffer_clear(&in);
    vertex(&in, (struct vertex){.digest = "a", .name = "[1/3] FROM x", .cached = true});
    log_of(&in, "b", 102, "o\nthree");
    vertex(&in, (struct vertex){
                    .digest = "b", .name = "[2/3] RUN make", .started = 100, .completed = 103});
    vertex(&in, (struct vertex){.digest = "c",
                                .name = "[3/3] COPY",
                                .started = 103,
                                .completed = 104,
                                .error = "not found"});
    assert_int_equal(build_trace_read(&trace, in.data, in.size, &err), 0);
    assert_string_equal(buffer_string(&got), "#2 [2/3] RUN make\n"
                                             "#2 1.250 one\n#2 1.250 tw\n"
                                             "#1 [1/3] FROM x\n#1 CACHED\n"
                                             "#2 2.250 o\n#2 2.250 three\n#2 DONE 3.5s\n"
                                             "#3 [3/3] COPY\n#3 ERROR: not found\n");
}

/* Every beginning of a good message, and each of its bytes changed: read or refused, nothing else.
 */
static void bytes_that_lie_are_refused(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer got, in;
    buffer_init(&got, 1 << 20);
    buffer_init(&in, 10000);
    vertex(&in, (struct vertex){.digest = "b", .name = "n", .started = 100, .completed = 103});
    log_of(&in, "b", 101, "one\ntw");
    size_t refused = 0;
    for (size_t i = 0; i < in.size; i++)
        for (unsigned flip = 0; flip <= 0xff; flip += 0x33) {
            struct error err = ERROR_NULL;
            cleanup(build_trace_deinit) struct build_trace trace = {.on_text = on_text,
                                                                    .arg = &got};
            cleanup_free uint8_t *copy = malloc(in.size);
            memcpy(copy, in.data, in.size);
            copy[i] ^= (uint8_t)flip;
            int r = build_trace_read(&trace, copy, flip ? in.size : i, &err);
            refused += r < 0;
            assert_true(r == 0 || err.kind == ERROR_INVALID);
        }
    assert_true(refused > in.size);
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
                                      0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    struct error err = ERROR_NULL;
    cleanup(build_trace_deinit) struct build_trace trace = {.on_text = on_text, .arg = &got};
    assert_int_equal(build_trace_read(&trace, endless, sizeof endless, &err), -1);
}

static void steps_have_their_maximum(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer got;
    buffer_init(&got, 1 << 22);
    cleanup(build_trace_deinit) struct build_trace trace = {.on_text = on_text, .arg = &got};
    int r = 0;
    for (size_t i = 0; i <= BUILD_TRACE_STEPS_MAX && r == 0; i++) {
        char digest[32];
        cleanup(buffer_deinit) struct buffer in;
        buffer_init(&in, 1000);
        snprintf(digest, sizeof digest, "%zu", i);
        vertex(&in, (struct vertex){.digest = digest, .name = "n", .started = 1});
        r = build_trace_read(&trace, in.data, in.size, &err);
    }
    assert_int_equal(r, -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_begin_print_and_end),
        cmocka_unit_test(bytes_that_lie_are_refused),
        cmocka_unit_test(steps_have_their_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
