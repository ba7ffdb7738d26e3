/* Fetches from engines that send hostile tars, break off, or have nothing: what reaches the
 * results. */

#include "tests/fake/engine_fixture.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "runner/collect/files.h"
#include "runner/collect/kept.h"
#include "tests/unit/folder.h"
#include "tests/unit/tar_bytes.h"

enum { TAR_MAX = 64 << 20, STEPS_MAX = 24, LARGE = 4 << 20 };

#define ASK FAKE_EXPECT("GET /v1.41/containers/" ID "/archive?path=%2Fdata HTTP")

/* An answer of `size` bytes of the tar, of which it is said that there are `told`. */
struct answer {
    struct fake_step script[STEPS_MAX];
    char head[128];
};

static void answer_with(struct answer *a, const struct buffer *tar, size_t size) {
    const struct fake_step script[] = {PING("1.41"),
                                       ASK,
                                       {.kind = FAKE_STEP_SEND, .text = a->head},
                                       {.kind = FAKE_STEP_SEND, .text = tar->data, .size = size},
                                       FAKE_CLOSE(),
                                       FAKE_END()};
    snprintf(a->head, sizeof a->head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", tar->size);
    memcpy(a->script, script, sizeof script);
    a->script[3].size = strlen(a->head);
}

struct home {
    struct folder root;
    char folder[300], work[300];
    char left_out[4000];
    const char *ended;
    enum files_as as;
    struct files_result result;
    struct error err;
};

static void home_make(struct home *h) {
    *h = (struct home){.root = folder_make(), .ended = "2026-01-01T00:00:00Z"};
    snprintf(h->folder, sizeof h->folder, "%s/c1", h->root.path);
    snprintf(h->work, sizeof h->work, "%s/.fetch/c1", h->root.path);
}

static void home_remove(const struct home *h) {
    folder_remove(&h->root);
}

static void note_skip(void *arg, const char *path, const char *target, enum archive_skip why) {
    struct home *h = arg;
    size_t n = strlen(h->left_out);
    snprintf(h->left_out + n, sizeof h->left_out - n, "%.40s: %s %s\n", path,
             archive_skip_text(why), target ? target : "");
}

static int fetch(struct home *h, const struct buffer *tar, size_t size) {
    struct fixture f;
    struct answer answer;
    answer_with(&answer, tar, size);
    open_fixture(&f, answer.script);
    struct files_from from = {.engine = f.engine,
                              .container = ID,
                              .ended = h->ended,
                              .work = h->work,
                              .skipped = note_skip,
                              .arg = h};
    struct files_want want = {.path = "/data", .as = h->as, .folder = h->folder};
    error_clear(&h->err);
    int r = files_fetch(&from, &want, &f.task, &h->result, &h->err);
    engine_close(f.engine);
    fake_finish(f.fake);
    return r;
}

/* One that asks nothing of an engine. */
static int fetch_nothing(struct home *h) {
    struct files_from from = {.container = ID, .ended = h->ended, .work = h->work};
    struct files_want want = {.path = "/data", .as = h->as, .folder = h->folder};
    struct task task = TASK_FOREVER;
    return files_fetch(&from, &want, &task, &h->result, &h->err);
}

static char *noise(size_t size) {
    char *data = mem_alloc(size);
    uint32_t x = 7;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (char)(x >> 24);
    }
    return data;
}

static void database(struct buffer *tar) {
    cleanup_free char *large = noise(LARGE);
    buffer_init(tar, TAR_MAX);
    tar_header(tar, "data/", '5', 0755, 0, NULL);
    tar_file(tar, "data/CURRENT", 0644, "MANIFEST\n");
    tar_header(tar, "data/1.sst", '0', 0644, LARGE, NULL);
    tar_content(tar, large, LARGE);
    tar_header(tar, "data/2.sst", '0', 0644, LARGE, NULL);
    tar_content(tar, large, LARGE);
    tar_end(tar);
}

static void assert_database(const struct home *h) {
    cleanup_free char *large = noise(LARGE), *found = mem_alloc(LARGE);
    static const char *const names[] = {"c1/data/1.sst", "c1/data/2.sst"};
    for (size_t i = 0; i < 2; i++) {
        cleanup_close int fd = openat(h->root.fd, names[i], O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(fd, found, LARGE), LARGE);
        assert_memory_equal(found, large, LARGE);
    }
    assert_true(folder_has(&h->root, "c1/data/CURRENT"));
}

static void a_fetch_that_broke_goes_on_and_half_of_it_is_never_there(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    database(&tar);
    home_make(&h);
    assert_int_equal(fetch(&h, &tar, LARGE / 2), -1);
    assert_false(folder_has(&h.root, "c1/data"));
    assert_int_equal(fetch(&h, &tar, LARGE * 3 / 2), -1);
    assert_false(folder_has(&h.root, "c1/data"));
    assert_true(h.result.before > LARGE / 4);
    if (fetch(&h, &tar, tar.size) != 0)
        fail_msg("%s", h.err.text);
    assert_true(h.result.before > LARGE);
    assert_int_equal(h.result.stats.files, 3);
    assert_database(&h);
    assert_int_equal(fetch_nothing(&h), 0);
    assert_true(h.result.complete);
    assert_int_equal(h.result.stats.files, 3);
}

static void a_packed_one_goes_on_with_its_next_frame(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    cleanup_free char *content = noise(20 << 20);
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "data/1.sst", '0', 0644, 20 << 20, NULL);
    tar_content(&tar, content, 20 << 20);
    tar_header(&tar, "data/2.sst", '0', 0644, 20 << 20, NULL);
    tar_content(&tar, content, 20 << 20);
    tar_end(&tar);
    home_make(&h);
    h.as = FILES_PACKED;
    assert_int_equal(fetch(&h, &tar, 18 << 20), -1);
    assert_int_equal(fetch(&h, &tar, 39 << 20), -1);
    assert_int_equal(h.result.before, (16 << 20) - ARCHIVE_HEADER_MAX);
    if (fetch(&h, &tar, tar.size) != 0)
        fail_msg("%s", h.err.text);
    assert_int_equal(h.result.before, (32 << 20) - ARCHIVE_HEADER_MAX);
    char command[1000];
    snprintf(command, sizeof command, "zstd -d -q -c '%s/data.tar.zst' >'%s/tar'", h.folder,
             h.folder);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
    cleanup_free char *found = mem_alloc(tar.size);
    cleanup_close int fd = openat(h.root.fd, "c1/tar", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, found, tar.size), tar.size);
    assert_memory_equal(found, tar.data, tar.size);
}

static void what_has_changed_is_begun_anew(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    database(&tar);
    home_make(&h);
    ((char *)tar.data)[500000] ^= 1; /* of 1.sst: changed back before it is asked for again */
    assert_int_equal(fetch(&h, &tar, 600000), -1);
    ((char *)tar.data)[500000] ^= 1;
    /* The second request of one fetch cannot be answered by this script: it breaks there. */
    assert_int_equal(fetch(&h, &tar, tar.size), -1);
    assert_true(h.result.begun_anew);
    if (fetch(&h, &tar, tar.size) != 0)
        fail_msg("%s", h.err.text);
    assert_database(&h);
}

static void what_was_kept_is_of_one_end_of_one_container(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    database(&tar);
    home_make(&h);
    assert_int_equal(fetch(&h, &tar, LARGE), -1);
    h.ended = "2026-01-01T00:00:01Z"; /* it has run again */
    assert_int_equal(fetch(&h, &tar, LARGE), -1);
    assert_int_equal(h.result.before, 0);
    h.ended = NULL; /* it runs */
    assert_int_equal(fetch(&h, &tar, LARGE), -1);
    assert_int_equal(fetch(&h, &tar, tar.size), 0);
    assert_int_equal(h.result.before, 0);
    assert_database(&h);
}

static void a_state_that_is_damaged_is_as_good_as_none(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    database(&tar);
    home_make(&h);
    assert_int_equal(fetch(&h, &tar, LARGE), -1);
    char command[500];
    snprintf(command, sizeof command,
             "printf x | dd of=\"$(echo %s/*/state)\" bs=1 seek=300 conv=notrunc 2>/dev/null",
             h.work);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c): a test
    assert_int_equal(fetch(&h, &tar, tar.size), 0);
    assert_int_equal(h.result.before, 0);
    assert_database(&h);
}

static void a_hostile_tar_does_no_harm(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    home_make(&h);
    folder_write(&h.root, "victim", "untouched");
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "../../victim", 0644, "bad");
    tar_file(&tar, "/tmp/seatrial-escaped", 0644, "bad");
    tar_header(&tar, "data", '2', 0777, 0, "..");
    tar_file(&tar, "data/../../victim", 0644, "bad");
    tar_header(&tar, "data/passwd", '1', 0644, 0, "../../victim");
    tar_header(&tar, "data/sda", '4', 0666, 0, NULL);
    tar_file(&tar, "data/\033]0;pwned\a", 04777, "harmless");
    tar_file(&tar, "data/\xff\xfe", 0, "no UTF-8");
    tar_end(&tar);
    if (fetch(&h, &tar, tar.size) != 0)
        fail_msg("%s", h.err.text);
    assert_int_equal(h.result.stats.skipped, 6);
    assert_int_equal(h.result.stats.files, 2);
    assert_non_null(strstr(h.left_out, "data: a symbolic link ..\n"));
    cleanup_free char *victim = folder_read(&h.root, "victim");
    assert_string_equal(victim, "untouched");
    assert_int_equal(folder_mode(&h.root, "c1/data/\033]0;pwned\a"), S_IFREG | 0755);
}

static void a_file_of_a_terabyte_is_refused_by_name_and_the_rest_is_kept(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(home_remove) struct home h;
    home_make(&h);
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "data/first", 0644, "kept");
    tar_pax(&tar, "22 size=1099511627776\n", 22);
    tar_header(&tar, "data/sparse", '0', 0644, 0, NULL);
    tar_file(&tar, "zeros", 0644, "");
    assert_int_equal(fetch(&h, &tar, tar.size), -1);
    assert_int_equal(h.err.kind, ERROR_LIMIT);
    assert_non_null(strstr(h.err.text, "fetch '/data': "));
    assert_non_null(strstr(h.err.text, "extract 'data/sparse': it has 1099511627776 bytes"));
    assert_non_null(strstr(h.err.hint, "what came before it is in"));
    assert_true(folder_has(&h.root, "c1/data/first"));
    assert_false(folder_has(&h.root, "c1/data/sparse"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_that_broke_goes_on_and_half_of_it_is_never_there),
        cmocka_unit_test(a_packed_one_goes_on_with_its_next_frame),
        cmocka_unit_test(what_has_changed_is_begun_anew),
        cmocka_unit_test(what_was_kept_is_of_one_end_of_one_container),
        cmocka_unit_test(a_state_that_is_damaged_is_as_good_as_none),
        cmocka_unit_test(a_hostile_tar_does_no_harm),
        cmocka_unit_test(a_file_of_a_terabyte_is_refused_by_name_and_the_rest_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
