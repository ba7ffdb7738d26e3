/* The core's messages as frames: what one side writes the other reads, and nothing else is read. */

#include "executor/core/codec.h"

#include "lib/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void every_message_arrives_as_it_was_sent(void **state) {
    (void)state;
    for (int type = CORE_JOIN; type < CORE_MESSAGE_END; type++) {
        struct error err = ERROR_NULL;
        struct core_message m = {.type = (enum core_message_type)type, .height = 77}, got;
        uint8_t frame[CODEC_HEAD_SIZE_MAX + 3] = {0};
        struct wire_header header;
        size_t offset, extra = 0;
        if (type == CORE_JOIN || type == CORE_ACK)
            memset(m.digest, 9, sizeof m.digest);
        if (type == CORE_APPEND) {
            m.request.pre_executed = true;
            m.request.size_bytes = 3;
            extra = 3;
        }
        size_t size = codec_encode(&m, frame) + extra;
        assert_int_equal(wire_header_decode(frame, &header, &err), 0);
        assert_int_equal(header.type, type);
        assert_int_equal(header.body_size, size - WIRE_HEADER_SIZE);
        assert_int_equal(codec_decode(header.type, frame + WIRE_HEADER_SIZE, header.body_size, &got,
                                      &offset, &err),
                         0);
        assert_int_equal(got.type, type);
        assert_int_equal(got.height, 77);
        assert_memory_equal(got.digest, m.digest, sizeof m.digest);
        assert_int_equal(got.request.pre_executed, m.request.pre_executed);
        assert_int_equal(offset, header.body_size - extra);
    }
}

static void truncated_overlong_and_unknown_messages_are_refused(void **state) {
    (void)state;
    struct core_message got;
    struct error err = ERROR_NULL;
    size_t offset;
    for (int type = CORE_JOIN; type < CORE_MESSAGE_END; type++) {
        struct core_message m = {.type = (enum core_message_type)type, .height = 1};
        uint8_t frame[CODEC_HEAD_SIZE_MAX];
        size_t full = codec_encode(&m, frame) - WIRE_HEADER_SIZE;
        for (size_t size = 0; size <= full + 1; size++) {
            uint8_t *exact = calloc(1, size ? size : 1);
            memcpy(exact, frame + WIRE_HEADER_SIZE, size < full ? size : full);
            bool good = type == CORE_APPEND ? size > full : size == full;
            assert_int_equal(codec_decode((uint8_t)type, exact, size, &got, &offset, &err),
                             good ? 0 : -1);
            free(exact);
        }
    }
    uint8_t body[8] = {0};
    assert_int_equal(codec_decode(CORE_MESSAGE_END, body, 8, &got, &offset, &err), -1);
    assert_int_equal(codec_decode(WIRE_REQUEST, body, 8, &got, &offset, &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_arrives_as_it_was_sent),
        cmocka_unit_test(truncated_overlong_and_unknown_messages_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
