/* Streams are deterministic and honest; extraction stays inside its folder whatever it is fed. */

#include "lib/archive.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"
#include "tests/unit/tar_bytes.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { TAR_MAX = 64 << 20 };

/* ------------------------------------------------------------------------------------- writing */

static int pull_all(struct archive_stream *s, size_t piece, struct buffer *out, struct error *err) {
    struct source source = archive_stream_source(s);
    cleanup_free char *data = mem_alloc(piece);
    for (;;) {
        ssize_t n = source.pull(source.arg, data, piece, err);
        if (n <= 0)
            return (int)n;
        buffer_append(out, data, (size_t)n);
    }
}

static struct archive_list *some_items(void) {
    struct archive_list *list = archive_list_new();
    char name[300];
    memset(name, 'n', sizeof name);
    name[250] = '/';
    name[299] = '\0';
    archive_list_directory(list, "seatrial/out", 01777);
    archive_list_file(list, "seatrial/cluster.yaml", 0644, "run: 1\n", 7);
    archive_list_file(list, "run.sh", 0755, "#!/bin/sh\n", 10);
    archive_list_file(list, "empty", 0600, NULL, 0);
    archive_list_file(list, name, 0644, "long", 4);
    archive_list_file(list, "line\nbreak", 0644, "x", 1);
    archive_list_file(list, "caf\xc3\xa9", 0644, "utf-8", 5);
    archive_list_file(list, "caf\xe9", 0644, "latin-1", 7);
    archive_list_symlink(list, "link", "../some/where");
    return list;
}

static void the_same_items_give_the_same_bytes_whatever_the_pieces_and_the_locale(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(archive_list_freep) struct archive_list *list = some_items();
    static const struct {
        size_t piece;
        const char *locale;
    } ways[] = {{1 << 20, "C"}, {1, "C"}, {512, "C.UTF-8"}, {777, "C.UTF-8"}};
    cleanup(buffer_deinit) struct buffer first;
    buffer_init(&first, TAR_MAX);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        cleanup(buffer_deinit) struct buffer bytes;
        buffer_init(&bytes, TAR_MAX);
        assert_non_null(setlocale(LC_ALL, ways[i].locale));
        cleanup(archive_stream_freep) struct archive_stream *s =
            archive_stream_new(archive_list_items(list));
        assert_int_equal(pull_all(s, ways[i].piece, i ? &bytes : &first, &err), 0);
        if (i) {
            assert_int_equal(bytes.size, first.size);
            assert_memory_equal(bytes.data, first.data, first.size);
        }
    }
    setlocale(LC_ALL, "C");
    assert_int_equal(first.size % 512, 0);
}

/* Where the header of the entry with this ustar name begins. */
static const char *find_header(const struct buffer *tar, const char *name) {
    for (size_t at = 0; at + 512 <= tar->size; at += 512)
        if (strncmp(tar->data + at, name, 100) == 0 &&
            memcmp(tar->data + at + 257, "ustar", 5) == 0)
            return tar->data + at;
    return NULL;
}

static void headers_have_no_owner_and_one_time(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(archive_list_freep) struct archive_list *list = some_items();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    cleanup(archive_stream_freep) struct archive_stream *s =
        archive_stream_new(archive_list_items(list));
    assert_int_equal(pull_all(s, 1000, &tar, &err), 0);
    const char *out = find_header(&tar, "seatrial/out/");
    assert_non_null(out);
    assert_int_equal(strtoul(out + 100, NULL, 8), 01777);
    assert_int_equal(out[156], '5');
    const char *script = find_header(&tar, "run.sh");
    assert_non_null(script);
    assert_int_equal(strtoul(script + 100, NULL, 8), 0755);
    assert_int_equal(strtoul(script + 108, NULL, 8), 0);
    assert_int_equal(strtoul(script + 116, NULL, 8), 0);
    assert_int_equal(strtol(script + 136, NULL, 8), ARCHIVE_MTIME);
    assert_string_equal(script + 265, "");
    assert_string_equal(script + 297, "");
    const char *link = find_header(&tar, "link");
    assert_non_null(link);
    assert_int_equal(link[156], '2');
    assert_string_equal(link + 157, "../some/where");
}

struct one_file {
    struct archive_item item;
    bool given;
    void (*meanwhile)(struct folder *f);
    struct folder *folder;
};

static int one_file_next(void *user, struct archive_item *ret_item, struct error *err) {
    (void)err;
    struct one_file *one = user;
    if (one->given)
        return 1;
    one->given = true;
    *ret_item = one->item;
    return 0;
}

static struct one_file one_file(struct folder *f, const char *name) {
    struct stat st;
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    fstat(fd, &st);
    return (struct one_file){.folder = f,
                             .item = {.kind = ARCHIVE_ITEM_FILE,
                                      .path = name,
                                      .mode = 0644,
                                      .size = (uint64_t)st.st_size,
                                      .fd = fd}};
}

static void a_file_of_more_than_8_gib_is_announced_with_its_size(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "large", "");
    int fd = openat(f.fd, "large", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, INT64_C(9) << 30), 0);
    close(fd);
    struct one_file one = one_file(&f, "large");
    cleanup(archive_stream_freep) struct archive_stream *s =
        archive_stream_new((struct archive_items){one_file_next, &one});
    char head[4096];
    assert_int_equal(archive_stream_pull(s, head, sizeof head, &err), sizeof head);
    uint64_t size = 0;
    for (size_t i = 124 + 4; i < 136; i++)
        size = size << 8 | (unsigned char)head[i];
    assert_int_equal((unsigned char)head[124], 0x80); /* base-256 */
    assert_true(size == UINT64_C(9) << 30);
}

static void memory_does_not_grow_with_the_file(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "large", "");
    int fd = openat(f.fd, "large", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 512 << 20), 0);
    close(fd);
    struct one_file one = one_file(&f, "large");
    cleanup(archive_stream_freep) struct archive_stream *s =
        archive_stream_new((struct archive_items){one_file_next, &one});
    struct rusage before, after;
    cleanup_free char *data = mem_zero(1, 1 << 20);
    getrusage(RUSAGE_SELF, &before);
    uint64_t total = 0;
    for (ssize_t n; (n = archive_stream_pull(s, data, 1 << 20, &err)) != 0; total += (uint64_t)n)
        assert_true(n > 0);
    getrusage(RUSAGE_SELF, &after);
    assert_int_equal(total, (512 << 20) + 512 + 1024);
    assert_true(after.ru_maxrss - before.ru_maxrss < 8 * 1024);
}

static void changes_under_way_are_errors(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    static char content[100000];
    memset(content, 'x', sizeof content);
    static const struct {
        off_t size; /* afterwards */
        bool touch;
        const char *says;
    } changes[] = {
        {50, false, "file 'grows' became shorter while it was read"},
        {200000, false, "file 'grows' was modified while it was read"},
        {sizeof content, true, "file 'grows' was modified while it was read"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct error err = ERROR_NULL;
        folder_write_mode(&f, "grows", content, sizeof content, 0644);
        struct one_file one = one_file(&f, "grows");
        cleanup(archive_stream_freep) struct archive_stream *s =
            archive_stream_new((struct archive_items){one_file_next, &one});
        char data[1000];
        assert_int_equal(archive_stream_pull(s, data, sizeof data, &err), sizeof data);
        int fd = openat(f.fd, "grows", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, changes[i].size), 0);
        struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        futimens(fd, times);
        close(fd);
        cleanup(buffer_deinit) struct buffer rest;
        buffer_init(&rest, TAR_MAX);
        assert_int_equal(pull_all(s, sizeof data, &rest, &err), -1);
        assert_string_equal(err.text, changes[i].says);
        assert_int_equal(err.kind, ERROR_CONFLICT);
        assert_int_equal(archive_stream_pull(s, data, sizeof data, &err), -1);
    }
}

static void a_file_that_changed_before_it_was_opened_is_an_error(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "a\nb", "four");
    struct one_file one = one_file(&f, "a\nb");
    one.item.size = 5;
    cleanup(archive_stream_freep) struct archive_stream *s =
        archive_stream_new((struct archive_items){one_file_next, &one});
    char data[1000];
    assert_int_equal(archive_stream_pull(s, data, sizeof data, &err), -1);
    assert_string_equal(err.text, "file 'a\\nb' changed its size while it was read");
}

/* ------------------------------------------------------------------------------------- reading */

struct seen {
    char text[2000];
};

static void see(void *user, const char *path, const char *target, enum archive_skip why) {
    (void)target;
    struct seen *seen = user;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof seen->text - n, "%.60s: %s\n", path, archive_skip_text(why));
}

struct extraction {
    struct archive_extract_options options;
    size_t piece;
    struct archive_stats stats;
    struct seen seen;
    struct error err;
};

static int extract_bytes(struct extraction *e, const struct folder *f, const char *data,
                         size_t size) {
    e->options.skipped = see;
    e->options.user = &e->seen;
    if (e->options.limits.bytes_max == 0)
        e->options.limits = ARCHIVE_LIMITS_DEFAULT;
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    assert_int_equal(archive_extract_begin(f->fd, &e->options, &x, &e->err), 0);
    size_t piece = e->piece ? e->piece : 32768;
    struct sink sink = archive_extract_sink(x);
    for (size_t at = 0; at < size; at += piece)
        if (sink.push(sink.arg, data + at, piece < size - at ? piece : size - at, &e->err) < 0)
            break;
    error_clear(&e->err);
    return archive_extract_end(x, &e->stats, &e->err);
}

static int extract_tar(struct extraction *e, const struct folder *f, const struct buffer *tar) {
    return extract_bytes(e, f, buffer_string(tar), tar->size);
}

static void assert_file(const struct folder *f, const char *name, const char *text) {
    cleanup_free char *content = folder_read(f, name);
    assert_non_null(content);
    assert_string_equal(content, text);
}

static void what_was_written_is_read_back(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(archive_list_freep) struct archive_list *list = some_items();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    cleanup(archive_stream_freep) struct archive_stream *s =
        archive_stream_new(archive_list_items(list));
    assert_int_equal(pull_all(s, 1000, &tar, &err), 0);
    for (size_t piece = 1; piece < 100000; piece = piece * 50 + 13) {
        cleanup(folder_remove) struct folder f = folder_make();
        struct extraction e = {.piece = piece};
        assert_int_equal(extract_tar(&e, &f, &tar), 0);
        assert_int_equal(e.stats.files, 7);
        assert_int_equal(e.stats.directories, 3);
        assert_int_equal(e.stats.skipped, 1);
        assert_int_equal(e.stats.bytes, 7 + 10 + 4 + 1 + 5 + 7);
        assert_string_equal(e.seen.text, "link: a symbolic link\n");
        assert_file(&f, "seatrial/cluster.yaml", "run: 1\n");
        assert_file(&f, "run.sh", "#!/bin/sh\n");
        assert_file(&f, "line\nbreak", "x");
        assert_file(&f, "caf\xc3\xa9", "utf-8");
        assert_file(&f, "caf\xe9", "latin-1");
        assert_int_equal(folder_mode(&f, "run.sh"), S_IFREG | 0755);
        assert_int_equal(folder_mode(&f, "empty"), S_IFREG | 0644);
        assert_int_equal(folder_mode(&f, "seatrial/out"), S_IFDIR | 0755);
    }
}

static void utf8_names_of_pax_records_need_no_locale(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_pax(&tar, "14 path=caf\xc3\xa9\n", 14);
    tar_file(&tar, "cafe", 0644, "as Go writes it");
    tar_end(&tar);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    assert_file(&f, "caf\xc3\xa9", "as Go writes it");
}

static void nothing_gets_out_of_the_folder(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder outer = folder_make();
    folder_write(&outer, "victim", "untouched");
    mkdirat(outer.fd, "in", 0755);
    mkdirat(outer.fd, "elsewhere", 0755);
    struct folder f = {.fd = openat(outer.fd, "in", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    assert_int_equal(symlinkat("../elsewhere", f.fd, "planted"), 0);
    assert_int_equal(symlinkat("../victim", f.fd, "planted-file"), 0);
    char absolute[600];
    snprintf(absolute, sizeof absolute, "%s/elsewhere/absolute", outer.path);

    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "../escaped", 0644, "bad");
    tar_file(&tar, "a/../../escaped", 0644, "bad");
    tar_file(&tar, absolute, 0644, "bad");
    tar_header(&tar, "hole", '2', 0777, 0, "../elsewhere");
    tar_file(&tar, "hole/through", 0644, "harmless: a folder of that name");
    tar_file(&tar, "planted/through", 0644, "bad");
    tar_file(&tar, "planted-file", 0644, "bad");
    tar_header(&tar, "planted", '5', 0755, 0, NULL);
    tar_header(&tar, "hard", '1', 0644, 0, "../victim");
    tar_file(&tar, "hard", 06777, "a file of its own");
    tar_header(&tar, "null", '3', 0666, 0, NULL);
    tar_header(&tar, "disk", '4', 0666, 0, NULL);
    tar_header(&tar, "fifo", '6', 0666, 0, NULL);
    tar_file(&tar, "..", 0644, "bad");
    tar_header(&tar, "..", '5', 0755, 0, NULL);
    tar_file(&tar, "ok", 0644, "fine");
    tar_end(&tar);

    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    assert_int_equal(e.stats.skipped, 13);
    assert_non_null(strstr(e.seen.text, "../escaped: an unsafe name\n"));
    assert_non_null(strstr(e.seen.text, "planted/through: a name that leads through"));
    assert_non_null(strstr(e.seen.text, "planted-file: exists already\n"));
    assert_non_null(strstr(e.seen.text, "planted: exists already\n"));
    assert_non_null(strstr(e.seen.text, "hard: a hard link to what is not there\n"));
    assert_file(&outer, "victim", "untouched");
    assert_false(folder_has(&outer, "escaped"));
    assert_int_equal(unlinkat(outer.fd, "elsewhere", AT_REMOVEDIR), 0); /* still empty */
    assert_file(&f, "hole/through", "harmless: a folder of that name");
    assert_file(&f, "hard", "a file of its own");
    assert_int_equal(folder_mode(&f, "hard"), S_IFREG | 0755);
    assert_file(&f, "ok", "fine");
    assert_false(folder_has(&f, "null") || folder_has(&f, "disk") || folder_has(&f, "fifo"));
    close(f.fd);
}

static void what_exists_is_left_as_it_is(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "mine", "first");
    folder_write(&f, "folder/keep", "first");
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "mine", 0644, "second");
    tar_file(&tar, "folder", 0644, "second");
    tar_file(&tar, "folder/new", 0644, "new");
    tar_file(&tar, "mine/below", 0644, "second");
    tar_file(&tar, "twice", 0644, "first");
    tar_file(&tar, "twice", 0644, "second");
    tar_end(&tar);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    assert_int_equal(e.stats.files, 2);
    assert_int_equal(e.stats.skipped, 4);
    assert_file(&f, "mine", "first");
    assert_file(&f, "folder/keep", "first");
    assert_file(&f, "folder/new", "new");
    assert_file(&f, "twice", "first");
}

static void leading_components_are_stripped(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "out/", '5', 0755, 0, NULL);
    tar_file(&tar, "./out//state.json", 0644, "{}");
    tar_file(&tar, "out/logs/./a.log", 0644, "a");
    tar_file(&tar, "stray", 0644, "dropped");
    tar_end(&tar);
    struct extraction e = {.options.strip = 1};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    assert_file(&f, "state.json", "{}");
    assert_file(&f, "logs/a.log", "a");
    assert_false(folder_has(&f, "stray") || folder_has(&f, "out"));
    assert_int_equal(e.stats.skipped, 0);
}

static void names_too_long_or_too_deep_are_skipped(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar, record;
    buffer_init(&tar, TAR_MAX);
    buffer_init(&record, TAR_MAX);
    char name[2001];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    static const size_t lengths[] = {255, 256, 2000};
    for (size_t i = 0; i < 3; i++) {
        buffer_clear(&record);
        size_t size = lengths[i] + strlen(" path=\n") + (lengths[i] > 990 ? 4 : 3);
        buffer_format(&record, "%zu path=%.*s\n", size, (int)lengths[i], name);
        assert_int_equal(record.size, size);
        tar_pax(&tar, record.data, record.size);
        tar_file(&tar, "short", 0644, "x");
    }
    for (size_t i = 0; i < 90; i += 2)
        memcpy(name + i, "d/", 2);
    name[91] = '\0'; /* d/d/.../x */
    tar_file(&tar, name, 0644, "x");
    tar_end(&tar);
    struct extraction e = {.options.limits = ARCHIVE_LIMITS_DEFAULT};
    e.options.limits.depth_max = 40;
    int result = extract_tar(&e, &f, &tar);
    assert_string_equal(e.err.text, "");
    assert_int_equal(result, 0);
    assert_int_equal(e.stats.files, 1);
    assert_int_equal(e.stats.skipped, 3);
    assert_false(folder_has(&f, "d"));
}

static void limits_end_the_extraction(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    for (int i = 0; i < 5; i++) {
        char name[20];
        snprintf(name, sizeof name, "file%d", i);
        tar_file(&tar, name, 0644, "0123456789");
    }
    tar_end(&tar);
    static const struct {
        uint64_t bytes_max, entries_max;
        const char *says;
        uint64_t files;
    } cases[] = {
        {1 << 20, 5, NULL, 5},
        {1 << 20, 4, "the archive has more than 4 entries", 4},
        {5 * 1024, 5, "the archive has more than 5120 bytes", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(folder_remove) struct folder f = folder_make();
        struct extraction e = {.options.limits = ARCHIVE_LIMITS_DEFAULT};
        e.options.limits.bytes_max = cases[i].bytes_max;
        e.options.limits.entries_max = cases[i].entries_max;
        assert_int_equal(extract_tar(&e, &f, &tar), cases[i].says ? -1 : 0);
        assert_int_equal(e.stats.files, cases[i].files);
        if (cases[i].says) {
            assert_string_equal(e.err.text, cases[i].says);
            assert_int_equal(e.err.kind, ERROR_LIMIT);
        }
    }
}

/* An old GNU sparse file (type 'S') of 1 TB with one piece of content at its end. */
static void sparse_bomb(struct buffer *tar, unsigned long long real_size) {
    size_t at = tar->size;
    tar_header(tar, "bomb", 'S', 0644, 512, NULL);
    char *h = tar->data + at;
    memcpy(h + 257, "ustar  ", 8);
    memset(h + 345, 0, 155);
    snprintf(h + 386, 12, "%011llo", real_size > 0777777777777 ? 0 : real_size - 512);
    snprintf(h + 398, 12, "%011o", 512);
    snprintf(h + 483, 12, "%011llo", real_size > 0777777777777 ? 0 : real_size);
    for (int field = 0; real_size > 0777777777777 && field < 2; field++) {
        unsigned char *number = (unsigned char *)h + (field ? 483 : 386);
        unsigned long long value = field ? real_size : real_size - 512;
        memset(number, 0, 12);
        number[0] = 0x80; /* base-256 */
        for (int i = 11; i > 3; i--, value >>= 8)
            number[i] = (unsigned char)value;
    }
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    char content[512];
    memset(content, 'c', sizeof content);
    tar_content(tar, content, sizeof content);
    tar_end(tar);
}

static void a_sparse_bomb_counts_with_its_holes(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    sparse_bomb(&tar, 1ULL << 40);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), -1);
    assert_int_equal(e.err.kind, ERROR_LIMIT);
    assert_false(folder_has(&f, "bomb"));
}

static void holes_stay_holes(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    sparse_bomb(&tar, 1ULL << 30);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    struct stat st;
    assert_int_equal(fstatat(f.fd, "bomb", &st, 0), 0);
    assert_int_equal(st.st_size, 1 << 30);
    assert_true(st.st_blocks < 1024);
    assert_int_equal(e.stats.bytes, 1 << 30);
}

static void cut_archives_are_errors_wherever_they_are_cut(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "a", 0644, "content");
    tar_file(&tar, "b", 0644, "more content");
    tar_end(&tar);
    /* Of the end, one zero block of the two is enough: all content is there. */
    for (size_t size = 0; size < tar.size - 512; size += size < 1100 ? 37 : 1) {
        cleanup(folder_remove) struct folder f = folder_make();
        struct extraction e = {.piece = 0};
        assert_int_equal(extract_bytes(&e, &f, tar.data, size), -1);
        assert_int_equal(e.err.kind, ERROR_INVALID);
        assert_true(text_starts(e.err.text, "not a whole tar archive: ") ||
                    text_starts(e.err.text, "extract '"));
    }
}

static void garbage_is_an_error(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    char garbage[10000];
    for (size_t i = 0; i < sizeof garbage; i++)
        garbage[i] = (char)(i * 31 + 7);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_bytes(&e, &f, garbage, sizeof garbage), -1);
    assert_int_equal(e.err.kind, ERROR_INVALID);
    const char json[] = "{\"message\": \"No such container\"}";
    assert_int_equal(extract_bytes(&e, &f, json, strlen(json)), -1);
    assert_int_equal(extract_bytes(&e, &f, "", 0), -1);
}

static void an_error_is_told_again_and_the_rest_is_not_read(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    assert_int_equal(archive_extract_begin(f.fd, &options, &x, &err), 0);
    cleanup_free char *garbage = mem_alloc(1 << 20);
    memset(garbage, 'g', 1 << 20);
    assert_int_equal(archive_extract_feed(x, garbage, 1 << 20, &err), -1);
    error_clear(&err);
    assert_int_equal(archive_extract_feed(x, garbage, 1 << 20, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    struct archive_stats stats;
    error_clear(&err);
    assert_int_equal(archive_extract_end(x, &stats, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void an_extraction_can_be_abandoned(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "a", '0', 0644, 1 << 20, NULL);
    memset(buffer_reserve(&tar, 600000), 7, 600000);
    buffer_commit(&tar, 600000);
    for (size_t size = 0; size < tar.size; size += 100000) {
        struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT};
        cleanup(archive_extract_freep) struct archive_extract *x = NULL;
        assert_int_equal(archive_extract_begin(f.fd, &options, &x, &err), 0);
        assert_int_equal(archive_extract_feed(x, tar.data, size, &err), 0);
    }
}

static void trailing_padding_is_read_over(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_file(&tar, "a", 0644, "content");
    for (int i = 0; i < 1000; i++)
        tar_end(&tar);
    struct extraction e = {.piece = 0};
    assert_int_equal(extract_tar(&e, &f, &tar), 0);
    assert_file(&f, "a", "content");
}

static void a_full_disk_is_an_error(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer tar;
    buffer_init(&tar, TAR_MAX);
    tar_header(&tar, "large", '0', 0644, 4 << 20, NULL);
    cleanup_free char *content = mem_zero(1, 4 << 20);
    memset(content, 'x', 4 << 20);
    tar_content(&tar, content, 4 << 20);
    tar_end(&tar);
    struct rlimit before, small = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); /* EFBIG stands for ENOSPC: both come from pwrite() */
    struct extraction e = {.piece = 0};
    int result = extract_tar(&e, &f, &tar);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_int_equal(result, -1);
    assert_int_equal(e.err.kind, ERROR_IO);
    assert_int_equal(e.err.os_errno, EFBIG);
    assert_true(text_starts(e.err.text, "extract 'large': write: "));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_items_give_the_same_bytes_whatever_the_pieces_and_the_locale),
        cmocka_unit_test(headers_have_no_owner_and_one_time),
        cmocka_unit_test(a_file_of_more_than_8_gib_is_announced_with_its_size),
        cmocka_unit_test(memory_does_not_grow_with_the_file),
        cmocka_unit_test(changes_under_way_are_errors),
        cmocka_unit_test(a_file_that_changed_before_it_was_opened_is_an_error),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(utf8_names_of_pax_records_need_no_locale),
        cmocka_unit_test(nothing_gets_out_of_the_folder),
        cmocka_unit_test(what_exists_is_left_as_it_is),
        cmocka_unit_test(leading_components_are_stripped),
        cmocka_unit_test(names_too_long_or_too_deep_are_skipped),
        cmocka_unit_test(limits_end_the_extraction),
        cmocka_unit_test(a_sparse_bomb_counts_with_its_holes),
        cmocka_unit_test(holes_stay_holes),
        cmocka_unit_test(cut_archives_are_errors_wherever_they_are_cut),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(an_error_is_told_again_and_the_rest_is_not_read),
        cmocka_unit_test(an_extraction_can_be_abandoned),
        cmocka_unit_test(trailing_padding_is_read_over),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
