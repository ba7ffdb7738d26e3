/* What the core has said it will remember is there when the log is opened again; a torn end is cut
 * off; what was changed is named; and the log does not grow. */

#include "executor/protocol_log.h"
#include "executor/request.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "lib/wire.h"
#include "tests/unit/folder.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEEN_MAX = 512, PAYLOAD = 3000 };

/* What a reader was given. */
struct seen {
    struct pbft_record records[SEEN_MAX];
    size_t count;
    uint32_t requests, pre_executed, changes;
    uint64_t numbers; /* sum of those of the requests */
};

static struct sha256 hash;
static struct request_checker checker;

static int see(void *context, const struct pbft_record *record,
               const struct protocol_log_request *requests, struct error *err) {
    struct seen *seen = context;
    assert_true(seen->count < SEEN_MAX);
    seen->records[seen->count++] = *record;
    if (record->type == PBFT_RECORD_VIEW) {
        seen->changes += record->count;
        assert_int_equal(record->signature[0], record->count > 0 ? 4 : 0);
    }
    for (uint32_t i = 0; requests && i < record->count; i++) {
        struct wire_request m;
        struct blob *blob = requests[i].blob;
        assert_int_equal(wire_request_decode(blob->data, blob->size, &m, err), 0);
        assert_int_equal(m.payload_size, PAYLOAD);
        seen->requests++;
        seen->numbers += m.number;
        struct endorsed endorsed;
        if (requests[i].ahead_size == 0) {
            blob_unref(blob);
            continue;
        }
        assert_int_equal(endorsed_decode(requests[i].ahead, requests[i].ahead_size, &endorsed, err),
                         0);
        assert_int_equal(endorsed.execution.read_set[3], 8);
        seen->pre_executed++;
        blob_unref(blob);
    }
    return 0;
}

static struct protocol_log *open_as(const struct folder *f, uint16_t replica, uint64_t height,
                                    struct seen *seen, struct error *err) {
    cleanup_free char *path = text_format("%s/protocol", f->path);
    const struct protocol_log_options options = {
        .folder = path, .run = "run", .replica = replica, .n = 4, .sync = true};
    struct protocol_log *log = NULL;
    *seen = (struct seen){.count = 0};
    if (protocol_log_open(&options, height, see, seen, &log, err) < 0)
        return NULL;
    return log;
}

static struct protocol_log *open_log(const struct folder *f, uint64_t height, struct seen *seen) {
    struct error err = ERROR_NULL;
    struct protocol_log *log = open_as(f, 1, height, seen, &err);
    if (!log)
        fail_msg("%s", err.text);
    return log;
}

static struct request *a_request(uint64_t number) {
    static uint8_t payload[PAYLOAD];
    struct error err = ERROR_NULL;
    struct request *request;
    uint8_t head[WIRE_REQUEST_HEAD_SIZE_MAX];
    const struct wire_request m = {
        .client = 7, .number = number, .payload = payload, .payload_size = PAYLOAD};
    size_t size = wire_request_encode_head(&m, head) - WIRE_HEADER_SIZE;
    struct blob *blob = blob_new(size + PAYLOAD);
    memcpy(blob->data, head + WIRE_HEADER_SIZE, size);
    memcpy(blob->data + size, payload, PAYLOAD);
    const struct frame frame = {.body = blob->data, .size = blob->size, .blob = blob};
    assert_int_equal(request_new(&frame, 0, &hash, &checker, &request, &err), 0);
    blob_unref(blob);
    return request;
}

static void append(struct protocol_log *log, const struct pbft_record *record) {
    struct error err = ERROR_NULL;
    if (protocol_log_append(log, record, &err) < 0 || protocol_log_sync(log, &err) < 0)
        fail_msg("%s", err.text);
}

/* Of two requests, numbered 2 seq and 2 seq + 1; the second was executed before. */
static void propose(struct protocol_log *log, uint64_t seq) {
    struct request *requests[] = {a_request(2 * seq), a_request(2 * seq + 1)};
    const struct endorsed endorsed = {
        .execution.read_set[3] = 8, .count = 2, .by = {{.replica = 1}, {.replica = 3}}};
    request_endorse(requests[1], &endorsed);
    struct pbft_request of_core[] = {request_for_core(requests[0]), request_for_core(requests[1])};
    append(log, &(struct pbft_record){.type = PBFT_RECORD_PROPOSAL,
                                      .seq = seq,
                                      .digest = {(uint8_t)seq},
                                      .count = 2,
                                      .requests = of_core});
    request_unref(requests[0]);
    request_unref(requests[1]);
}

static void stabilise(struct protocol_log *log, uint64_t seq, uint64_t height) {
    append(log, &(struct pbft_record){.type = PBFT_RECORD_STABLE, .seq = seq, .height = height});
}

static void enter_view(struct protocol_log *log, uint64_t view) {
    static const struct pbft_checkpoint checkpoint = {.seq = 0};
    const struct pbft_view_change changes[] = {
        {.replica = 0, .view = view, .checkpoint_count = 1, .checkpoints = &checkpoint},
        {.replica = 2, .view = view, .checkpoint_count = 1, .checkpoints = &checkpoint}};
    append(log, &(struct pbft_record){.type = PBFT_RECORD_VIEW,
                                      .view = view,
                                      .active = true,
                                      .count = 2,
                                      .changes = changes,
                                      .signature = {4}});
}

static size_t segments(const struct folder *f) {
    cleanup_free char *path = text_format("%s/protocol", f->path);
    DIR *dir = opendir(path);
    size_t count = 0;
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void what_was_written_is_read_in_the_order_that_the_core_wants(void **state) {
    (void)state;
    struct seen seen;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    assert_int_equal(seen.count, 0);
    propose(log, 1);
    enter_view(log, 1);
    stabilise(log, 1, 10);
    propose(log, 2);
    append(log, &(struct pbft_record){.type = PBFT_RECORD_PREPARED, .seq = 2, .view = 1});
    protocol_log_free(log);
    log = open_log(&f, 10, &seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.records[0].type, PBFT_RECORD_STABLE);
    assert_int_equal(seen.records[0].height, 10);
    assert_int_equal(seen.records[1].type, PBFT_RECORD_VIEW);
    assert_int_equal(seen.records[1].view, 1);
    assert_true(seen.records[1].active);
    assert_int_equal(seen.changes, 2);
    assert_int_equal(seen.records[2].type, PBFT_RECORD_PROPOSAL);
    assert_int_equal(seen.records[2].seq, 2);
    assert_int_equal(seen.records[2].digest[0], 2);
    assert_int_equal(seen.requests, 2);
    assert_int_equal(seen.numbers, 4 + 5);
    assert_int_equal(seen.pre_executed, 1);
    assert_int_equal(seen.records[3].type, PBFT_RECORD_PREPARED);
    protocol_log_free(log);
    /* Opening it has changed nothing of that. */
    log = open_log(&f, 10, &seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.requests, 2);
    protocol_log_free(log);
}

static void a_stable_checkpoint_beyond_the_store_does_not_count(void **state) {
    (void)state;
    struct seen seen;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    propose(log, 64);
    stabilise(log, 64, 10);
    propose(log, 65);
    protocol_log_free(log);
    log = open_log(&f, 9, &seen);
    assert_int_equal(seen.count, 1); /* what is before it is gone; the others have it */
    assert_int_equal(seen.records[0].seq, 65);
    protocol_log_free(log);
}

static void it_does_not_grow(void **state) {
    (void)state;
    struct seen seen;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    uint64_t bytes_max = 0;
    for (uint64_t seq = 1; seq <= 200; seq++) {
        propose(log, seq);
        if (seq % 10 == 0)
            stabilise(log, seq - 5, seq);
        if (protocol_log_bytes(log) > bytes_max)
            bytes_max = protocol_log_bytes(log);
        assert_true(segments(&f) <= 4);
    }
    assert_true(bytes_max < 30 * 2 * (PAYLOAD + 1000));
    protocol_log_free(log);
    log = open_log(&f, 200, &seen);
    assert_int_equal(seen.records[0].seq, 195);
    assert_int_equal(seen.requests, 2 * 5);
    protocol_log_free(log);
}

/* The file of the highest number. */
static char *last_segment(const struct folder *f) {
    char *found = NULL;
    for (int i = 1; i < 100; i++) {
        char *path = text_format("%s/protocol/%d.log", f->path, i);
        if (access(path, F_OK) == 0) {
            free(found);
            found = path;
        } else {
            free(path);
        }
    }
    assert_non_null(found);
    return found;
}

static off_t size_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void a_torn_end_is_cut_off_wherever_it_was_torn(void **state) {
    (void)state;
    struct seen seen;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    propose(log, 1);
    cleanup_free char *path = last_segment(&f);
    off_t whole = size_of(path);
    propose(log, 2);
    off_t all = size_of(path);
    protocol_log_free(log);
    for (off_t size = all - 1; size >= whole;
         size -= size > all - 3 || size < whole + 14 ? 1 : 479) {
        cleanup_free char *copy = text_format("rm -rf '%s/copy' && cp -r '%s/protocol' '%s/copy'",
                                              f.path, f.path, f.path);
        cleanup_free char *back = text_format("rm -rf '%s/protocol' && mv '%s/copy' '%s/protocol'",
                                              f.path, f.path, f.path);
        assert_int_equal(system(copy), 0);
        assert_int_equal(truncate(path, size), 0);
        log = open_log(&f, 0, &seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.requests, 2);
        propose(log, 3); /* and it goes on */
        protocol_log_free(log);
        log = open_log(&f, 0, &seen);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.records[1].seq, 3);
        protocol_log_free(log);
        assert_int_equal(system(back), 0);
    }
}

static void flip(const char *path, off_t at) {
    char byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void what_was_changed_is_named(void **state) {
    (void)state;
    struct seen seen;
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    cleanup_free char *path = last_segment(&f);
    off_t begin = size_of(path);
    propose(log, 1);
    off_t middle = size_of(path);
    propose(log, 2);
    protocol_log_free(log);
    /* In the head, and in the requests behind it. */
    const off_t places[] = {begin + 20, middle - 1, begin + 500};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        flip(path, places[i]);
        assert_null(open_as(&f, 1, 0, &seen, &err));
        assert_int_equal(err.kind, ERROR_INVALID);
        assert_non_null(strstr(err.text, "1.log' is damaged at byte 76"));
        assert_non_null(strstr(err.hint, "data folder"));
        err = ERROR_NULL;
        flip(path, places[i]);
    }
    log = open_log(&f, 0, &seen);
    assert_int_equal(seen.requests, 4);
    protocol_log_free(log);
}

static void the_log_of_another_replica_is_refused(void **state) {
    (void)state;
    struct seen seen;
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    struct protocol_log *log = open_log(&f, 0, &seen);
    propose(log, 1);
    protocol_log_free(log);
    assert_null(open_as(&f, 2, 0, &seen, &err));
    assert_int_equal(err.kind, ERROR_CONFLICT);
}

static int set_up(void **state) {
    struct error err = ERROR_NULL;
    (void)state;
    sha256_init(&hash);
    return request_checker_init(&checker, NULL, "run", WIRE_AUTHENTICATOR_MACS, &err);
}

static int tear_down(void **state) {
    (void)state;
    request_checker_deinit(&checker);
    sha256_deinit(&hash);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read_in_the_order_that_the_core_wants),
        cmocka_unit_test(a_stable_checkpoint_beyond_the_store_does_not_count),
        cmocka_unit_test(it_does_not_grow),
        cmocka_unit_test(a_torn_end_is_cut_off_wherever_it_was_torn),
        cmocka_unit_test(what_was_changed_is_named),
        cmocka_unit_test(the_log_of_another_replica_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
