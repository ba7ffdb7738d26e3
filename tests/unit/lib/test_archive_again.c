/* An archive that broke off is gone on with, wherever that was; links and holes are what they were.
 */

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"
#include "tests/unit/tar_bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TAR_MAX = 64 << 20, LARGE = 300000 };

/* A target, the folder beside it, and the last mark: what outlives the program. */
struct kept {
    struct folder outer;
    struct folder target, beside;
    bool marked;
    struct archive_mark mark;
    struct archive_stats stats;
    struct error err;
    uint64_t fed; /* by all tries together */
};

static void kept_make(struct kept *k) {
    *k = (struct kept){.outer = folder_make()};
    mkdirat(k->outer.fd, "target", 0755);
    mkdirat(k->outer.fd, "beside", 0755);
    k->target.fd = openat(k->outer.fd, "target", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    k->beside.fd = openat(k->outer.fd, "beside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void kept_remove(const struct kept *k) {
    close(k->target.fd);
    close(k->beside.fd);
    folder_remove(&k->outer);
}

static int set_mark(void *user, const struct archive_mark *mark, struct error *err) {
    (void)err;
    struct kept *k = user;
    k->mark = *mark;
    k->marked = true;
    return 0;
}

/* Feeds the archive up to its byte `end`, from where it wants to go on. */
static int try_until(struct kept *k, const struct buffer *tar, size_t end) {
    struct archive_mark from = k->mark;
    struct archive_keep keep = {
        .folder_fd = k->beside.fd, .from = k->marked ? &from : NULL, .mark = set_mark, .user = k};
    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT, .keep = &keep};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    error_clear(&k->err);
    assert_int_equal(archive_extract_begin(k->target.fd, &options, &x, &k->err), 0);
    const char *bytes = tar->data;
    for (size_t at = archive_extract_offset(x); at < end;) {
        size_t piece = end - at < 10000 ? end - at : 10000;
        if (archive_extract_feed(x, bytes + at, piece, &k->err) < 0)
            break;
        at += piece;
        k->fed += piece;
    }
    error_clear(&k->err);
    return archive_extract_end(x, &k->stats, &k->err);
}

static char *noise(size_t size) {
    char *data = mem_alloc(size);
    uint32_t x = 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        data[i] = (char)(x >> 24);
    }
    return data;
}

static void some_tar(struct buffer *tar) {
    cleanup_free char *large = noise(LARGE);
    buffer_init(tar, TAR_MAX);
    tar_header(tar, "data/", '5', 0755, 0, NULL);
    tar_file(tar, "data/CURRENT", 0644, "MANIFEST-000004\n");
    tar_pax(tar, "19 path=data/1.sst\n", 19);
    tar_header(tar, "data/x", '0', 0600, LARGE, NULL);
    tar_content(tar, large, LARGE);
    tar_header(tar, "data/checkpoint/1.sst", '1', 0600, 0, "data/1.sst");
    tar_header(tar, "data/2.sst", '0', 0600, LARGE - 77, NULL);
    tar_content(tar, large + 77, LARGE - 77);
    tar_header(tar, "data/link", '2', 0777, 0, "CURRENT");
    tar_file(tar, "data/empty", 0644, "");
    tar_end(tar);
}

static void assert_all_there(const struct kept *k) {
    cleanup_free char *large = noise(LARGE);
    cleanup_free char *found = folder_read(&k->target, "data/2.sst");
    struct stat st, linked;
    assert_int_equal(fstatat(k->target.fd, "data/1.sst", &st, 0), 0);
    assert_int_equal(fstatat(k->target.fd, "data/checkpoint/1.sst", &linked, 0), 0);
    assert_int_equal(st.st_size, LARGE);
    assert_int_equal(st.st_ino, linked.st_ino);
    assert_memory_equal(found, large + 77, LARGE - 77);
    free(found);
    found = folder_read(&k->target, "data/checkpoint/1.sst");
    assert_memory_equal(found, large, LARGE);
    assert_true(folder_has(&k->target, "data/empty"));
    assert_int_equal(k->stats.files, 5);
    assert_int_equal(k->stats.skipped, 1);
    assert_int_equal(k->stats.bytes, 16 + LARGE + LARGE - 77);
}

static void a_cut_anywhere_is_gone_on_from_there(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    some_tar(&tar);
    for (size_t cut = 1; cut < tar.size; cut += cut < 4000 ? 511 : 13331) {
        cleanup(kept_remove) struct kept k;
        kept_make(&k);
        assert_int_equal(try_until(&k, &tar, cut), -1);
        assert_int_equal(try_until(&k, &tar, tar.size), 0);
        assert_all_there(&k);
        assert_in_range(k.fed, tar.size, tar.size + ARCHIVE_OVERLAP_MAX + ARCHIVE_HEADER_MAX);
    }
}

static void many_cuts_do_not_begin_anew(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    some_tar(&tar);
    kept_make(&k);
    size_t tries = 0;
    for (size_t cut = 100000; cut < tar.size; cut += 100000, tries++)
        assert_int_equal(try_until(&k, &tar, cut), -1);
    assert_int_equal(try_until(&k, &tar, tar.size), 0);
    assert_all_there(&k);
    assert_in_range(k.fed, tar.size, tar.size + tries * (ARCHIVE_OVERLAP_MAX + ARCHIVE_HEADER_MAX));
}

static void what_has_its_name_is_whole(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    some_tar(&tar);
    kept_make(&k);
    assert_int_equal(try_until(&k, &tar, 200000), -1);
    assert_true(folder_has(&k.target, "data/CURRENT"));
    assert_false(folder_has(&k.target, "data/1.sst"));
    assert_true(folder_has(&k.beside, "part"));
    assert_int_equal(try_until(&k, &tar, tar.size), 0);
    assert_false(folder_has(&k.beside, "part"));
}

static void an_archive_that_has_changed_is_not_gone_on_with(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    some_tar(&tar);
    kept_make(&k);
    assert_int_equal(try_until(&k, &tar, 200000), -1);
    ((char *)tar.data)[190000] ^= 1;
    assert_int_equal(try_until(&k, &tar, tar.size), -1);
    assert_int_equal(k.err.kind, ERROR_CONFLICT);
    assert_false(folder_has(&k.target, "data/1.sst"));
}

/* What ends in zeros looks like an archive's end. */
static void a_cut_behind_zeros_is_a_cut(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    static const char zeros[4096];
    kept_make(&k);
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "zeros", '0', 0644, sizeof zeros, NULL);
    tar_content(&tar, zeros, sizeof zeros);
    assert_int_equal(try_until(&k, &tar, tar.size), -1);
    assert_int_equal(k.err.kind, ERROR_INVALID);
}

static void zeros_become_holes(void **state) {
    (void)state;
    enum { SIZE = 16 << 20 };
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    cleanup_free char *content = mem_zero(1, SIZE);
    kept_make(&k);
    buffer_init(&tar, TAR_MAX);
    content[5000000] = 'x';
    tar_header(&tar, "core", '0', 0644, SIZE, NULL);
    tar_content(&tar, content, SIZE);
    tar_end(&tar);
    assert_int_equal(try_until(&k, &tar, 9000000), -1);
    assert_int_equal(try_until(&k, &tar, tar.size), 0);
    struct stat st;
    assert_int_equal(fstatat(k.target.fd, "core", &st, 0), 0);
    assert_int_equal(st.st_size, SIZE);
    assert_true(st.st_blocks * 512 < 1 << 20);
    cleanup_close int fd = openat(k.target.fd, "core", O_RDONLY | O_CLOEXEC);
    cleanup_free char *found = mem_alloc(SIZE);
    assert_int_equal(read(fd, found, SIZE), SIZE);
    assert_memory_equal(found, content, SIZE);
}

static void headers_without_end_are_refused(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    kept_make(&k);
    buffer_init(&tar, TAR_MAX);
    /* GNU's sparse format 1.0: the map is in front of the content, and libarchive keeps it. */
    tar_pax(&tar, "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n31 GNU.sparse.realsize=99999999\n",
            75);
    enum { SIZE = 8 << 20 };
    cleanup_free char *map = mem_alloc(SIZE);
    size_t n = (size_t)sprintf(map, "2000000\n");
    while (n + 4 <= SIZE)
        n += (size_t)snprintf(map + n, SIZE - n, "1\n0\n");
    tar_header(&tar, "bomb", '0', 0644, n, NULL);
    tar_content(&tar, map, n);
    tar_end(&tar);
    assert_int_equal(try_until(&k, &tar, tar.size), -1);
    assert_non_null(strstr(k.err.text, "headers of an entry"));
}

static void hard_links_stay_inside(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    cleanup(kept_remove) struct kept k;
    kept_make(&k);
    folder_write(&k.outer, "victim", "untouched");
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "a", '1', 0644, 0, "../victim");
    tar_header(&tar, "b", '1', 0644, 0, "/etc/passwd");
    tar_header(&tar, "c", '1', 0644, 0, "later");
    tar_header(&tar, "folder", '5', 0755, 0, NULL);
    tar_header(&tar, "d", '1', 0644, 0, "folder");
    tar_header(&tar, "e", '1', 0644, 0, "e");
    tar_file(&tar, "later", 0644, "x");
    tar_header(&tar, "../f", '1', 0644, 0, "later");
    tar_header(&tar, "later", '1', 0644, 0, "later");
    tar_end(&tar);
    assert_int_equal(try_until(&k, &tar, tar.size), 0);
    assert_int_equal(k.stats.files, 1);
    assert_int_equal(k.stats.skipped, 7);
    assert_false(folder_has(&k.outer, "f"));
}

static void a_disk_is_not_filled_to_its_end(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    struct error err = ERROR_NULL;
    struct archive_stats stats;
    enum { SIZE = 40 << 20 };
    cleanup_free char *content = noise(SIZE);
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "large", '0', 0644, SIZE, NULL);
    tar_content(&tar, content, SIZE);
    tar_end(&tar);
    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT};
    options.limits.free_min = UINT64_MAX; /* more than any disk has */
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    assert_int_equal(archive_extract_begin(f.fd, &options, &x, &err), 0);
    assert_int_equal(archive_extract_feed(x, tar.data, tar.size, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
    assert_non_null(strstr(err.text, "extract 'large': the disk is full but for"));
    error_clear(&err);
    assert_int_equal(archive_extract_end(x, &stats, &err), -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_anywhere_is_gone_on_from_there),
        cmocka_unit_test(many_cuts_do_not_begin_anew),
        cmocka_unit_test(what_has_its_name_is_whole),
        cmocka_unit_test(an_archive_that_has_changed_is_not_gone_on_with),
        cmocka_unit_test(a_cut_behind_zeros_is_a_cut),
        cmocka_unit_test(zeros_become_holes),
        cmocka_unit_test(headers_without_end_are_refused),
        cmocka_unit_test(hard_links_stay_inside),
        cmocka_unit_test(a_disk_is_not_filled_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
