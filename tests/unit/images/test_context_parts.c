/* A context can be narrowed to what is reached, known again without being read, and has no secrets.
 */

#include "images/context.h"
#include "images/context_memory.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

static void write_in(const struct folder *f, const char *folder, const char *name,
                     const char *content) {
    cleanup_free char *path = text_format("%s/%s", folder, name);
    folder_write(f, path, content);
}

static struct context *opened(const char *root, const char *const *paths) {
    struct error err = ERROR_NULL;
    struct context *c;
    size_t count = 0;
    struct context_options options = {.root = root};
    if (context_open(&options, &c, &err) < 0)
        fail_msg("%s", err.text);
    while (paths && paths[count])
        count++;
    if (paths)
        context_narrow(c, reach_new((char *const *)(uintptr_t)paths, count));
    return c;
}

static struct context_result sent(const char *root, const char *const *paths) {
    struct error err = ERROR_NULL;
    struct context_result result;
    cleanup(context_freep) struct context *c = opened(root, paths);
    if (context_read(c, &result, &err) < 0)
        fail_msg("%s", err.text);
    return result;
}

static void patterns_reach_what_they_match_and_all_below(void **state) {
    (void)state;
    static const char *const paths[] = {"a", "b/c", "*.txt", "d/*/e", NULL};
    static const struct {
        const char *path;
        enum reached reached;
    } cases[] = {
        {"a", REACHED},       {"a/x/y", REACHED},      {"ab", REACHED_NOT},  {"b", REACHED_ABOVE},
        {"b/c", REACHED},     {"b/c/d", REACHED},      {"b/d", REACHED_NOT}, {"x.txt", REACHED},
        {"x.txt/y", REACHED}, {"x.txty", REACHED_NOT}, {"d", REACHED_ABOVE}, {"d/q", REACHED_ABOVE},
        {"d/q/e/z", REACHED}, {"d/q/f", REACHED_NOT},
    };
    cleanup(reach_freep) struct reach *reach = reach_new((char *const *)(uintptr_t)paths, 4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (reach_ask(reach, cases[i].path) != cases[i].reached)
            fail_msg("%s", cases[i].path);
    assert_int_equal(reach_ask(NULL, "x"), REACHED);
}

static void what_is_not_reached_is_not_sent_but_its_dockerfile_is(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    folder_write(&f, "Dockerfile", "FROM scratch");
    folder_write(&f, "src/deep/a.c", "a");
    folder_write(&f, "src/b.c", "b");
    folder_write(&f, "big/x", "x");
    static const char *const one[] = {"src/deep", NULL}, *const none[] = {"gone", NULL};
    struct context_result all = sent(root, NULL), some = sent(root, one),
                          nothing = sent(root, none);
    assert_int_equal(all.files, 4);
    assert_int_equal(some.files, 2);
    assert_int_equal(some.directories, 2);
    assert_int_equal(some.unreached, 2); /* big, src/b.c */
    assert_int_equal(nothing.files, 1);
    assert_string_not_equal(all.digest, some.digest);
    folder_write(&f, "big/y", "y");
    struct context_result again = sent(root, one);
    assert_string_equal(again.digest, some.digest);
}

static void where_a_path_meets_a_link_nothing_is_left_out(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    folder_write(&f, "Dockerfile", "FROM scratch");
    folder_write(&f, "real/a", "a");
    cleanup_free char *link = text_format("%s/link", root);
    assert_int_equal(symlink("real", link), 0);
    static const char *const through[] = {"link/a", NULL}, *const star[] = {"l*", NULL},
                             *const beside[] = {"real", NULL};
    assert_int_equal(sent(root, through).symlinks, 1);
    assert_int_equal(sent(root, through).files, 2);
    assert_int_equal(sent(root, star).files, 2);
    assert_int_equal(sent(root, beside).symlinks, 0);
}

static void the_same_tree_has_the_same_digest_in_another_folder(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    static const char *const names[] = {"one", "two"};
    char digests[2][DIGEST_TEXT_SIZE];
    for (size_t i = 0; i < 2; i++) {
        cleanup_free char *folder = text_format("%s/%s", root, names[i]);
        write_in(&f, names[i], "Dockerfile", "FROM scratch");
        write_in(&f, names[i], i ? "a/b" : "z", "1");
        write_in(&f, names[i], i ? "z" : "a/b", "1");
        cleanup_free char *file = text_format("%s/z", folder);
        assert_int_equal(chmod(file, i ? 0600 : 0644), 0);
        memcpy(digests[i], sent(folder, NULL).digest, DIGEST_TEXT_SIZE);
    }
    assert_string_equal(digests[0], digests[1]);
}

static void a_look_sees_whatever_a_read_would(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    struct error err = ERROR_NULL;
    folder_write(&f, "Dockerfile", "FROM scratch");
    folder_write(&f, "a/b", "1");
    struct context_result look, read, changed;
    cleanup(context_freep) struct context *c = opened(root, NULL);
    assert_int_equal(context_look(c, &look, &err), 0);
    assert_int_equal(context_read(c, &read, &err), 0);
    assert_string_equal(look.fingerprint, read.fingerprint);
    assert_string_equal(look.digest, "");
    assert_int_equal(look.files, read.files);
    assert_int_equal(context_rewind(c, &err), 0);
    struct context_result again;
    assert_int_equal(context_read(c, &again, &err), 0);
    assert_string_equal(again.digest, read.digest);
    folder_write(&f, "a/c", "1");
    assert_int_equal(context_rewind(c, &err), 0);
    assert_int_equal(context_look(c, &changed, &err), 0);
    assert_string_not_equal(changed.fingerprint, look.fingerprint);
}

static void what_is_young_is_not_remembered(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    char digest[DIGEST_TEXT_SIZE];
    cleanup_free char *cache = text_format("%s/cache", root);
    setenv("XDG_CACHE_HOME", cache, 1);
    folder_write(&f, "x/Dockerfile", "FROM scratch");
    cleanup_free char *folder = text_format("%s/x", root);
    struct context_result result = sent(folder, NULL);
    assert_false(result.settled); /* written just now */
    context_remember(folder, "x", &result);
    assert_int_equal(context_remembered(folder, "x", result.fingerprint, digest), CONTEXT_NEW);
    result.settled = true;
    context_remember(folder, "x", &result);
    assert_int_equal(context_remembered(folder, "x", result.fingerprint, digest), CONTEXT_SAME);
    assert_string_equal(digest, result.digest);
    assert_int_equal(context_remembered(folder, "y", result.fingerprint, digest), CONTEXT_NEW);
    assert_int_equal(context_remembered(folder, "x", result.digest, digest), CONTEXT_CHANGED);
}

static void what_was_not_built_for_long_is_forgotten(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    setenv("XDG_CACHE_HOME", f.path, 1);
    folder_write(&f, "seatrial/contexts/old", "x");
    folder_write(&f, "seatrial/contexts/recent", "x");
    folder_write(&f, "x/Dockerfile", "FROM scratch");
    cleanup_free char *old = text_format("%s/seatrial/contexts/old", f.path);
    cleanup_free char *recent = text_format("%s/seatrial/contexts/recent", f.path);
    cleanup_free char *folder = text_format("%s/x", f.path);
    struct utimbuf times = {.actime = time(NULL), .modtime = time(NULL) - 91 * 24 * 3600};
    assert_int_equal(utime(old, &times), 0);
    struct context_result result = sent(folder, NULL);
    result.settled = true;
    context_remember(folder, "x", &result);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(recent, F_OK), 0);
}

static void secrets_are_refused_unless_they_are_allowed_or_ignored(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    static const struct {
        const char *name, *content;
        bool refused;
    } cases[] = {
        {"id_rsa", "", true},
        {"id_rsa.pub", "", false},
        {"deploy/id_ed25519", "", true},
        {"a.p12", "", true},
        {"ca.pem", "-----BEGIN CERTIFICATE-----", false},
        {"server.pem", "-----BEGIN RSA PRIVATE KEY-----", true},
        {"tls.key", "-----BEGIN PRIVATE KEY-----", true},
        {"sort.key", "name", false},
        {".aws/credentials", "", true},
        {"credentials", "", false},
        {"x.docker/config.json", "", false},
    };
    static const char allow[] = "**/id_*\n*.p12\n*.pem\n*.key\n.aws\n";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        struct context_result result;
        cleanup_free char *number = text_format("%zu", i);
        cleanup_free char *folder = text_format("%s/%s", root, number);
        cleanup(ignore_freep) struct ignore *allowed = NULL;
        write_in(&f, number, "Dockerfile", "FROM scratch");
        write_in(&f, number, cases[i].name, cases[i].content);
        struct context_options options = {.root = folder};
        int r = context_digest(&options, &result, &err);
        if ((r < 0) != cases[i].refused)
            fail_msg("%s: %s", cases[i].name, err.text);
        if (r < 0) {
            assert_int_equal(err.kind, ERROR_REFUSED);
            assert_non_null(strstr(err.text, cases[i].name));
            assert_non_null(strstr(err.hint, "context_allow"));
        }
        assert_int_equal(ignore_parse(allow, strlen(allow), &allowed, &err), 0);
        options.allowed = allowed;
        assert_int_equal(context_digest(&options, &result, &err), 0);
        options.allowed = NULL;
        write_in(&f, number, ".dockerignore", allow);
        assert_int_equal(context_digest(&options, &result, &err), 0);
    }
}

static void what_we_write_ourselves_is_never_sent(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    struct error err = ERROR_NULL;
    struct context_result result;
    folder_write(&f, "Dockerfile", "FROM scratch");
    folder_write(&f, "seatrial.lock", "{}");
    folder_write(&f, "results/1/run.json", "{}");
    folder_write(&f, "other/seatrial.lock", "{}");
    cleanup_free char *lock = text_format("%s/seatrial.lock", root);
    cleanup_free char *results = text_format("%s/results", root);
    const char *left_out[] = {lock, results, "/nowhere", NULL};
    struct context_options options = {.root = root, .left_out = left_out};
    assert_int_equal(context_digest(&options, &result, &err), 0);
    assert_int_equal(result.files, 2);
    assert_int_equal(result.directories, 1);
}

static void a_dockerfile_can_be_given_as_text(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    const char *root = f.path;
    struct error err = ERROR_NULL;
    struct context_result result;
    folder_write(&f, "a", "1");
    struct context_options options = {.root = root, .dockerfile_text = "FROM scratch\n"};
    cleanup(context_freep) struct context *c = NULL;
    assert_int_equal(context_open(&options, &c, &err), 0);
    assert_string_equal(context_dockerfile(c), CONTEXT_DOCKERFILE_INJECTED);
    assert_string_equal(buffer_string(context_dockerfile_text(c)), "FROM scratch\n");
    assert_int_equal(context_read(c, &result, &err), 0);
    assert_int_equal(result.files, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_reach_what_they_match_and_all_below),
        cmocka_unit_test(what_is_not_reached_is_not_sent_but_its_dockerfile_is),
        cmocka_unit_test(where_a_path_meets_a_link_nothing_is_left_out),
        cmocka_unit_test(the_same_tree_has_the_same_digest_in_another_folder),
        cmocka_unit_test(a_look_sees_whatever_a_read_would),
        cmocka_unit_test(what_is_young_is_not_remembered),
        cmocka_unit_test(what_was_not_built_for_long_is_forgotten),
        cmocka_unit_test(secrets_are_refused_unless_they_are_allowed_or_ignored),
        cmocka_unit_test(what_we_write_ourselves_is_never_sent),
        cmocka_unit_test(a_dockerfile_can_be_given_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
