/* A build context holds what Docker sends, and its bytes depend on names and contents alone. */

#include "images/context.h"
#include "lib/archive.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <cmocka.h>

enum { TAR_MAX = 256 << 20, LIST_MAX = 1 << 20 };

static int read_all(const struct context_options *options, struct buffer *tar,
                    struct context_result *result, struct error *err) {
    cleanup(context_freep) struct context *c = NULL;
    if (context_open(options, &c, err) < 0)
        return -1;
    struct source source = context_source(c);
    char data[10000];
    for (;;) {
        ssize_t n = source.pull(source.arg, data, sizeof data, err);
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        buffer_append(tar, data, (size_t)n);
    }
    return context_result(c, result, err);
}

/* The entries of a GNU tar, one per line, in their order: "d name", "f name", "x name" (may be
 * executed), "l name -> target". */
static void list(const struct buffer *tar, struct buffer *out) {
    char long_name[5000] = "", long_link[5000] = "";
    for (size_t at = 0; at + 512 <= tar->size && tar->data[at];) {
        const char *h = tar->data + at;
        char name[5001];
        size_t size = strtoull(h + 124, NULL, 8);
        snprintf(name, sizeof name, "%.100s", long_name[0] ? long_name : h);
        if (long_name[0])
            snprintf(name, sizeof name, "%s", long_name);
        at += 512;
        if (h[156] == 'L')
            snprintf(long_name, sizeof long_name, "%s", tar->data + at);
        else if (h[156] == 'K')
            snprintf(long_link, sizeof long_link, "%s", tar->data + at);
        else if (h[156] == '2')
            buffer_format(out, "l %s -> %.100s\n", name, long_link[0] ? long_link : h + 157);
        else
            buffer_format(out, "%c %s\n",
                          h[156] == '5'                       ? 'd'
                          : strtoul(h + 100, NULL, 8) == 0755 ? 'x'
                                                              : 'f',
                          name);
        if (h[156] != 'L' && h[156] != 'K')
            long_name[0] = long_link[0] = '\0';
        at += (size + 511) / 512 * 512;
    }
}

struct outcome {
    struct buffer tar, names;
    struct context_result result;
    struct error err;
};

static void outcome_deinit(struct outcome *o) {
    buffer_deinit(&o->tar);
    buffer_deinit(&o->names);
}

static int make(struct outcome *o, const char *root, const char *dockerfile) {
    *o = (struct outcome){.err = ERROR_NULL};
    buffer_init(&o->tar, TAR_MAX);
    buffer_init(&o->names, LIST_MAX);
    struct context_options options = {.root = root, .dockerfile = dockerfile};
    if (read_all(&options, &o->tar, &o->result, &o->err) < 0)
        return -1;
    list(&o->tar, &o->names);
    return 0;
}

static void assert_names(const char *root, const char *dockerfile, const char *expected) {
    cleanup(outcome_deinit) struct outcome o;
    if (make(&o, root, dockerfile) < 0)
        fail_msg("%s", o.err.text);
    assert_string_equal(buffer_string(&o.names), expected);
}

static void assert_fails(const char *root, const char *dockerfile, const char *text,
                         enum error_kind kind) {
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, root, dockerfile), -1);
    if (!strstr(o.err.text, text))
        fail_msg("'%s' does not say: %s", o.err.text, text);
    if (o.err.kind != kind)
        fail_msg("'%s' is of kind '%s'", o.err.text, error_kind_name(o.err.kind));
}

static void folders_come_before_their_content_in_bytewise_order(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    folder_write(&f, "b/z", "1");
    folder_write(&f, "b/a", "2");
    folder_write(&f, "b.x", "3");
    folder_write(&f, "\xc3\xa9", "4");
    folder_write(&f, "\xff", "5");
    folder_write(&f, "a\nb", "6");
    folder_write_mode(&f, "run", "7", 1, 0700);
    mkdirat(f.fd, "empty", 0700);
    assert_int_equal(symlinkat("../outside", f.fd, "link"), 0);
    assert_int_equal(symlinkat(".", f.fd, "loop"), 0);
    assert_names(f.path, NULL,
                 "f Dockerfile\nf a\nb\nd b/\nf b/a\nf b/z\nf b.x\nd empty/\n"
                 "l link -> ../outside\nl loop -> .\nx run\nf \xc3\xa9\nf \xff\n");
}

static void equal_contents_have_equal_digests_and_others_do_not(void **state) {
    (void)state;
    static const char *const orders[2][4] = {{"Dockerfile", "a", "dir/b", "run"},
                                             {"run", "dir/b", "a", "Dockerfile"}};
    struct context_result results[2];
    struct error err = ERROR_NULL;
    cleanup(folder_remove) struct folder last = folder_make();
    for (size_t way = 0; way < 2; way++) {
        cleanup(folder_remove) struct folder f = folder_make();
        for (size_t i = 0; i < 4; i++) {
            bool run = text_equal(orders[way][i], "run");
            mode_t mode = way ? 0600 : 0664;
            folder_write_mode(&f, orders[way][i], orders[way][i], strlen(orders[way][i]),
                              run ? mode | 0100 : mode);
            struct timespec times[2] = {{.tv_sec = 1000 + (time_t)way}, {.tv_sec = 5}};
            utimensat(f.fd, orders[way][i], times, 0);
        }
        folder_chmod(&f, "dir", way ? 0700 : 0775);
        assert_int_equal(
            context_digest(&(struct context_options){.root = f.path}, &results[way], &err), 0);
    }
    assert_string_equal(results[0].digest, results[1].digest);
    assert_int_equal(results[0].bytes, results[1].bytes);
    assert_int_equal(results[0].files, 4);
    assert_int_equal(results[0].directories, 1);
    assert_int_equal(results[0].content_bytes, strlen("Dockerfileadir/brun"));

    for (size_t i = 0; i < 4; i++)
        folder_write_mode(&last, orders[0][i], orders[0][i], strlen(orders[0][i]), 0644);
    assert_int_equal(
        context_digest(&(struct context_options){.root = last.path}, &results[1], &err), 0);
    assert_string_not_equal(results[0].digest, results[1].digest); /* nothing can be executed */
}

static void the_digest_of_what_is_sent_is_that_of_its_bytes(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, f.path, NULL), 0);
    unsigned char hash[SHA256_SIZE];
    char text[DIGEST_TEXT_SIZE];
    sha256_of(o.tar.data, o.tar.size, hash);
    assert_string_equal(o.result.digest, digest_text(hash, text));
    assert_int_equal(o.result.bytes, o.tar.size);
    /* The format is a promise: whoever changes it changes all digests in all lock files. */
    assert_string_equal(o.result.digest,
                        "sha256:"
                        "d80285bfa8361b5a1a7e0b74698e587d299f81527f64c87c3b32f11781c226f2");
}

static void half_a_context_has_no_result(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    struct error err = ERROR_NULL;
    cleanup(context_freep) struct context *c = NULL;
    struct context_options options = {.root = f.path};
    struct context_result result;
    char data[2000];
    assert_int_equal(context_open(&options, &c, &err), 0);
    assert_int_equal(context_result(c, &result, &err), -1);
    assert_int_equal(context_pull(c, data, sizeof data, &err), 2000);
    assert_int_equal(context_result(c, &result, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "was not read to its end, but to byte 2000"));
    assert_int_equal(context_pull(c, data, sizeof data, &err), 48); /* less than asked: the end */
    assert_int_equal(context_result(c, &result, &err), 0);
    assert_int_equal(result.bytes, 2048);
    assert_int_equal(context_pull(c, data, sizeof data, &err), 0);
}

static void ignored_is_left_out_but_never_the_dockerfile(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, ".dockerignore", "*\n!src/**/*.c\n!keep\nsrc/gen\n");
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    folder_write(&f, "secret", "x");
    folder_write(&f, "build/out.o", "x");
    folder_write(&f, "keep/this", "x");
    folder_write(&f, "src/a/main.c", "x");
    folder_write(&f, "src/a/main.o", "x");
    folder_write(&f, "src/empty/main.o", "x");
    folder_write(&f, "src/gen/made.c", "x");
    assert_names(f.path, NULL,
                 "f .dockerignore\nf Dockerfile\nd keep/\nf keep/this\n"
                 "d src/\nd src/a/\nf src/a/main.c\n");
}

static void a_dockerfile_in_an_ignored_folder_is_sent_with_its_folders(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, ".dockerignore", "docker\n");
    folder_write(&f, "docker/one/Dockerfile", "FROM scratch\n");
    folder_write(&f, "docker/one/other", "x");
    folder_write(&f, "docker/two/other", "x");
    folder_write(&f, "docker/zero", "x");
    folder_write(&f, "z", "x");
    assert_names(f.path, "docker/one/../one/Dockerfile",
                 "f .dockerignore\nd docker/\nd docker/one/\nf docker/one/Dockerfile\nf z\n");
    cleanup(context_freep) struct context *c = NULL;
    struct error err = ERROR_NULL;
    struct context_options options = {.root = f.path, .dockerfile = "docker/one/Dockerfile"};
    assert_int_equal(context_open(&options, &c, &err), 0);
    assert_string_equal(context_dockerfile(c), "docker/one/Dockerfile");
}

static void ignored_folders_are_not_opened(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, ".dockerignore", "deep\n*.fifo\n!**/x*/keep\n");
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    mkdirat(f.fd, "deep", 0755);
    mkfifoat(f.fd, "a.fifo", 0644);
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, f.path, NULL), 0);
    assert_string_equal(buffer_string(&o.names), "f .dockerignore\nf Dockerfile\n");
    folder_write(&f, ".dockerignore", "deep\n*.fifo\n");
    folder_chmod(&f, "deep", 0);
    outcome_deinit(&o);
    assert_int_equal(make(&o, f.path, NULL), 0);
    assert_int_equal(o.result.ignored, 2);
}

static void the_dockerfiles_own_ignore_file_has_precedence(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, ".dockerignore", "a\n");
    folder_write(&f, "d/Dockerfile", "FROM scratch\n");
    folder_write(&f, "d/Dockerfile.dockerignore", "b\n");
    folder_write(&f, "a", "x");
    folder_write(&f, "b", "x");
    assert_names(f.path, "d/Dockerfile",
                 "f .dockerignore\nf a\nd d/\nf d/Dockerfile\nf d/Dockerfile.dockerignore\n");
}

static void a_dockerfile_from_elsewhere_is_injected(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "elsewhere/Dockerfile", "FROM elsewhere\n");
    folder_write(&f, "root/Dockerfile", "FROM root\n");
    folder_write(&f, "root/a", "x");
    cleanup_free char *root = text_format("%s/root", f.path);
    cleanup_free char *absolute = text_format("%s/elsewhere/Dockerfile", f.path);
    assert_names(root, "../elsewhere/Dockerfile",
                 "f .dockerfile.seatrial\nf .dockerignore\nf Dockerfile\nf a\n");
    folder_write(&f, "root/.dockerignore", "a");
    assert_int_equal(symlinkat(absolute, f.fd, "root/linked"), 0);
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, root, "linked"), 0);
    cleanup_free char *expected = text_format(
        "f .dockerfile.seatrial\nf .dockerignore\nf Dockerfile\nl linked -> %s\n", absolute);
    assert_string_equal(buffer_string(&o.names), expected);
    assert_non_null(memmem(o.tar.data, o.tar.size, "a\n.dockerfile.seatrial\n\0", 25));
    assert_non_null(memmem(o.tar.data, o.tar.size, "FROM elsewhere\n\0", 16));
}

static void a_name_that_the_injected_dockerfile_needs_is_refused(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM elsewhere\n");
    folder_write(&f, "root/" CONTEXT_DOCKERFILE_INJECTED, "mine");
    cleanup_free char *root = text_format("%s/root", f.path);
    assert_fails(root, "../Dockerfile", "has the name that the Dockerfile", ERROR_CONFIG);
}

static void what_is_missing_is_the_users_to_mend(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup_free char *nowhere = text_format("%s/nowhere", f.path);
    cleanup_free char *file = text_format("%s/file", f.path);
    assert_fails(nowhere, NULL, "nowhere': find the folder: No such file", ERROR_CONFIG);
    assert_fails(f.path, NULL, "/Dockerfile': No such file", ERROR_CONFIG);
    folder_write(&f, "file", "x");
    folder_write(&f, "dockerfile", "FROM lower\n");
    assert_names(f.path, NULL, "f dockerfile\nf file\n");
    assert_fails(file, NULL, "Not a directory", ERROR_CONFIG);
    assert_fails(f.path, "other", "/other': No such file", ERROR_CONFIG);
    assert_fails(f.path, ".", "is not a regular file", ERROR_CONFIG);
    folder_write(&f, ".dockerignore", "ok\n[\n");
    assert_fails(f.path, NULL, "/.dockerignore': line 2: pattern '['", ERROR_CONFIG);
    unlinkat(f.fd, ".dockerignore", 0);
    mkdirat(f.fd, ".dockerignore", 0755);
    assert_fails(f.path, NULL, "/.dockerignore' is not a regular file", ERROR_CONFIG);
}

static void sockets_are_left_out_and_fifos_and_devices_refused(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.80s/socket", f.path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, f.path, NULL), 0);
    assert_string_equal(buffer_string(&o.names), "f Dockerfile\n");
    assert_int_equal(o.result.sockets, 1);
    mkfifoat(f.fd, "pipe\x1b[31m", 0644);
    assert_fails(f.path, NULL, "'pipe\\x1b[31m' is a fifo", ERROR_CONFIG);
}

static void hard_links_are_files_of_their_own(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    folder_write(&f, "a", "same");
    assert_int_equal(linkat(f.fd, "a", f.fd, "b", 0), 0);
    assert_names(f.path, NULL, "f Dockerfile\nf a\nf b\n");
}

static void long_paths_are_kept_whole(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    char name[310], expected[700], target[200];
    memset(name, 'n', sizeof name);
    name[200] = '/';
    name[300] = '\0';
    folder_write(&f, name, "x");
    memset(target, 't', sizeof target);
    target[150] = '\0';
    assert_int_equal(symlinkat(target, f.fd, "z"), 0);
    snprintf(expected, sizeof expected, "f Dockerfile\nd %.201s\nf %s\nl z -> %.100s\n", name, name,
             target);
    assert_names(f.path, NULL, expected);
}

/* Makes nested folders named `name`, of which only the first can be seen at once. */
static void nest(const struct folder *f, const char *name, int depth) {
    int fd = dup(f->fd);
    for (int i = 0; i < depth; i++) {
        mkdirat(fd, name, 0755);
        int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below >= 0);
        close(fd);
        fd = below;
    }
    close(fd);
}

static void unnest(const struct folder *f, const char *name, int depth) {
    for (; depth > 0; depth--) {
        int fd = dup(f->fd);
        for (int i = 1; i < depth; i++) {
            int below = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            close(fd);
            fd = below;
        }
        unlinkat(fd, name, AT_REMOVEDIR);
        close(fd);
    }
}

static void paths_too_deep_or_too_long_are_errors(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    nest(&f, "d", CONTEXT_DEPTH_MAX);
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, f.path, NULL), 0);
    assert_int_equal(o.result.directories, CONTEXT_DEPTH_MAX);
    unnest(&f, "d", CONTEXT_DEPTH_MAX);
    nest(&f, "d", CONTEXT_DEPTH_MAX + 1);
    assert_fails(f.path, NULL, "is more than 128 folders deep", ERROR_LIMIT);
    unnest(&f, "d", CONTEXT_DEPTH_MAX + 1);
    char name[256];
    memset(name, 'l', sizeof name);
    name[255] = '\0';
    nest(&f, name, 17);
    assert_fails(f.path, NULL, "a path is longer than 4096 bytes", ERROR_LIMIT);
    unnest(&f, name, 17);
}

static void what_changes_while_it_is_sent_is_an_error(void **state) {
    (void)state;
    static const struct {
        const char *change, *says;
    } cases[] = {
        {"unlink", "'sub/later' vanished while the folder was read"},
        {"to a link", "'sub/later' vanished while the folder was read"},
        {"to a folder", "'sub/later' vanished while the folder was read"},
        {"to a fifo", "'sub/later' vanished while the folder was read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup(folder_remove) struct folder f = folder_make();
        folder_write(&f, "Dockerfile", "FROM scratch\n");
        static char large[100000];
        folder_write_mode(&f, "sub/a", large, sizeof large, 0644);
        folder_write(&f, "sub/later", "x");
        struct error err = ERROR_NULL;
        cleanup(context_freep) struct context *c = NULL;
        struct context_options options = {.root = f.path};
        assert_int_equal(context_open(&options, &c, &err), 0);
        char data[10000];
        assert_int_equal(context_pull(c, data, sizeof data, &err), sizeof data); /* in sub/a */
        unlinkat(f.fd, "sub/later", 0);
        if (i == 1)
            assert_int_equal(symlinkat("/etc/passwd", f.fd, "sub/later"), 0);
        else if (i == 2)
            mkdirat(f.fd, "sub/later", 0755);
        else if (i == 3)
            mkfifoat(f.fd, "sub/later", 0644);
        ssize_t n;
        do
            n = context_pull(c, data, sizeof data, &err);
        while (n > 0);
        assert_int_equal(n, -1);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].change, err.text);
        assert_int_equal(err.kind, ERROR_CONFLICT);
        assert_true(strlen(err.hint) > 0);
    }
}

static void an_unreadable_folder_or_file_is_an_error_unless_ignored(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    fchmod(f.fd, 0755);
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    folder_write(&f, "closed/file", "x");
    folder_chmod(&f, "closed", 0);
    /* Root reads everything: be somebody else for a moment. */
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0);
    cleanup(outcome_deinit) struct outcome o;
    int result = make(&o, f.path, NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, -1);
    assert_non_null(strstr(o.err.text, ": read 'closed': Permission denied"));
    assert_non_null(strstr(o.err.hint, ".dockerignore"));
    outcome_deinit(&o);
    folder_write(&f, ".dockerignore", "closed\n");
    folder_write_mode(&f, "secret", "x", 1, 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    result = make(&o, f.path, NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(result, -1);
    assert_non_null(strstr(o.err.text, ": read 'secret': Permission denied"));
    folder_chmod(&f, "closed", 0755);
}

static void what_was_sent_can_be_extracted(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make(), to = folder_make();
    folder_write(&f, "Dockerfile", "FROM scratch\n");
    folder_write(&f, "a/b/c", "deep");
    cleanup(outcome_deinit) struct outcome o;
    assert_int_equal(make(&o, f.path, NULL), 0);
    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    struct archive_stats stats;
    assert_int_equal(archive_extract_begin(to.fd, &options, &x, &o.err), 0);
    assert_int_equal(archive_extract_feed(x, o.tar.data, o.tar.size, &o.err), 0);
    assert_int_equal(archive_extract_end(x, &stats, &o.err), 0);
    cleanup_free char *content = folder_read(&to, "a/b/c");
    assert_string_equal(content, "deep");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_come_before_their_content_in_bytewise_order),
        cmocka_unit_test(equal_contents_have_equal_digests_and_others_do_not),
        cmocka_unit_test(the_digest_of_what_is_sent_is_that_of_its_bytes),
        cmocka_unit_test(half_a_context_has_no_result),
        cmocka_unit_test(ignored_is_left_out_but_never_the_dockerfile),
        cmocka_unit_test(a_dockerfile_in_an_ignored_folder_is_sent_with_its_folders),
        cmocka_unit_test(ignored_folders_are_not_opened),
        cmocka_unit_test(the_dockerfiles_own_ignore_file_has_precedence),
        cmocka_unit_test(a_dockerfile_from_elsewhere_is_injected),
        cmocka_unit_test(a_name_that_the_injected_dockerfile_needs_is_refused),
        cmocka_unit_test(what_is_missing_is_the_users_to_mend),
        cmocka_unit_test(sockets_are_left_out_and_fifos_and_devices_refused),
        cmocka_unit_test(hard_links_are_files_of_their_own),
        cmocka_unit_test(long_paths_are_kept_whole),
        cmocka_unit_test(paths_too_deep_or_too_long_are_errors),
        cmocka_unit_test(what_changes_while_it_is_sent_is_an_error),
        cmocka_unit_test(an_unreadable_folder_or_file_is_an_error_unless_ignored),
        cmocka_unit_test(what_was_sent_can_be_extracted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
