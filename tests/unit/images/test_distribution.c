/* What engines save, kept by layer and served to others: in both forms, in pieces, and when it
 * lies. */

#include "images/distribution.h"
#include "images/registry_manifest.h"
#include "lib/buffer.h"
#include "lib/http.h"
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
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <utime.h>

#include <cmocka.h>

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const char config[] = "{\"config\": true}";
static const char layer_1[] = "the first layer", layer_2[] = "the second layer";

struct fixture {
    struct folder folder;
    struct distribution_store store;
    char digests[3][DIGEST_TEXT_SIZE]; /* configuration, layers */
    const char *layers[2];
    struct distribution_wanted wanted;
    struct error err;
};

static void digest_of(const char *text, char ret[DIGEST_TEXT_SIZE]) {
    unsigned char hash[SHA256_SIZE];
    sha256_of(text, strlen(text), hash);
    digest_text(hash, ret);
}

static int setup(void **state) {
    struct fixture *f = mem_new(struct fixture);
    f->folder = folder_make();
    assert_int_equal(distribution_store_open(f->folder.path, &f->store, &f->err), 0);
    digest_of(config, f->digests[0]);
    digest_of(layer_1, f->digests[1]);
    digest_of(layer_2, f->digests[2]);
    f->layers[0] = f->digests[1];
    f->layers[1] = f->digests[2];
    f->wanted = (struct distribution_wanted){
        .config = f->digests[0], .layers = f->layers, .layer_count = 2};
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    distribution_store_deinit(&f->store);
    folder_remove(&f->folder);
    free(f);
    return 0;
}

static void add_config(const struct fixture *f, struct buffer *tar) {
    cleanup_free char *name = text_format("%s.json", f->digests[0] + 7);
    tar_file(tar, name, 0644, config);
}

static void add_old_form(const struct fixture *f, struct buffer *tar) {
    buffer_init(tar, 1 << 20);
    tar_header(tar, ID_A "/", '5', 0755, 0, NULL);
    tar_file(tar, ID_A "/VERSION", 0644, "1.0");
    tar_file(tar, ID_A "/layer.tar", 0644, layer_1);
    tar_header(tar, ID_B "/", '5', 0755, 0, NULL);
    tar_file(tar, ID_B "/layer.tar", 0644, layer_2);
    add_config(f, tar);
    tar_file(tar, "manifest.json", 0644, "[]");
    static const char zeros[1024];
    buffer_append(tar, zeros, sizeof zeros);
}

/* In pieces of `piece` bytes; what the sink said last. */
static int feed(struct fixture *f, const struct buffer *tar, size_t piece, uint64_t *ret_kept) {
    cleanup(distribution_intake_freep) struct distribution_intake *x =
        distribution_intake_new(&f->store, &f->wanted);
    struct sink sink = distribution_intake_sink(x);
    uint64_t came;
    int r = 0;
    for (size_t at = 0; r == 0 && at < tar->size; at += piece)
        r = sink.push(sink.arg, tar->data + at, tar->size - at < piece ? tar->size - at : piece,
                      &f->err);
    distribution_intake_count(x, &came, ret_kept);
    return r;
}

static bool is_there(const struct fixture *f, size_t i) {
    uint64_t bytes;
    int fd = distribution_store_find(&f->store, f->digests[i], &bytes);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void layers_are_kept_by_digest_whatever_the_pieces(void **state) {
    static const size_t pieces[] = {1, 7, 511, 512, 513, 100000};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        (void)state;
        struct fixture *f;
        setup((void **)&f);
        cleanup(buffer_deinit) struct buffer tar;
        uint64_t kept;
        add_old_form(f, &tar);
        assert_int_equal(feed(f, &tar, pieces[i], &kept), 1); /* nothing more is needed */
        assert_true(is_there(f, 0) && is_there(f, 1) && is_there(f, 2));
        assert_int_equal(kept, strlen(config) + strlen(layer_1) + strlen(layer_2));
        teardown((void **)&f);
    }
}

static void what_is_known_is_not_kept_again(void **state) {
    struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer tar;
    uint64_t kept;
    add_old_form(f, &tar);
    assert_int_equal(feed(f, &tar, 1000, &kept), 1);
    /* A new layer on top of the old ones, and so another configuration. */
    distribution_store_drop(&f->store, f->digests[2]);
    assert_int_equal(feed(f, &tar, 1000, &kept), 1);
    assert_int_equal(kept, strlen(layer_2));
    assert_true(is_there(f, 2));
}

static void blobs_by_digest_are_taken_by_their_names(void **state) {
    struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer tar;
    static const char *const texts[] = {config, layer_1, layer_2, "somebody else's"};
    uint64_t kept;
    buffer_init(&tar, 1 << 20);
    for (size_t i = 4; i-- > 0;) {
        char digest[DIGEST_TEXT_SIZE];
        digest_of(texts[i], digest);
        cleanup_free char *name = text_format("blobs/sha256/%s", digest + 7);
        tar_file(&tar, name, 0644, texts[i]);
    }
    assert_int_equal(feed(f, &tar, 100, &kept), 1);
    assert_true(is_there(f, 0) && is_there(f, 1) && is_there(f, 2));
    assert_int_equal(kept, strlen(config) + strlen(layer_1) + strlen(layer_2));
}

static void a_large_entry_says_its_size_in_an_extended_header(void **state) {
    struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer tar;
    static const char pax[] = "10 mtime=1\n12 size=15\n";
    uint64_t kept;
    buffer_init(&tar, 1 << 20);
    tar_header(&tar, "x", 'x', 0644, strlen(pax), NULL);
    tar_content(&tar, pax, strlen(pax));
    tar_header(&tar, ID_A "/layer.tar", '0', 0644, 1, NULL); /* not what it is */
    tar_content(&tar, layer_1, strlen(layer_1));
    assert_int_equal(feed(f, &tar, 1000, &kept), 0);
    assert_true(is_there(f, 1));
}

static void lies_are_refused(void **state) {
    struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer tar;
    uint64_t kept;
    buffer_init(&tar, 1 << 20);
    cleanup_free char *name = text_format("blobs/sha256/%s", f->digests[1] + 7);
    tar_file(&tar, name, 0644, "another layer");
    assert_int_equal(feed(f, &tar, 1000, &kept), -1);
    assert_int_equal(f->err.kind, ERROR_INVALID);
    assert_non_null(strstr(f->err.text, f->digests[1]));
    assert_false(is_there(f, 1));

    buffer_clear(&tar);
    tar_file(&tar, "x", 0644, "y");
    tar.data[3] = 'z';
    assert_int_equal(feed(f, &tar, 1000, &kept), -1);
    assert_non_null(strstr(f->err.text, "checksum"));

    buffer_clear(&tar);
    tar_header(&tar, ID_A "/layer.tar", '0', 0644, 077777777777ULL, NULL);
    assert_int_equal(feed(f, &tar, 1000, &kept), 0); /* 8 GiB are announced, and begun */
}

static void what_was_begun_and_not_ended_leaves_nothing(void **state) {
    struct fixture *f = *state;
    cleanup(buffer_deinit) struct buffer tar;
    uint64_t kept;
    add_old_form(f, &tar);
    tar.size = 512 + 1024 + 512 + 5; /* in the middle of the first layer */
    assert_int_equal(feed(f, &tar, 1000, &kept), 0);
    assert_false(is_there(f, 1));
    cleanup_closedir DIR *dir = opendir(f->folder.path);
    for (const struct dirent *e; (e = readdir(dir));)
        assert_false(text_starts(e->d_name, "part-"));
}

static void others_may_not_write_where_images_are_kept(void **state) {
    struct fixture *f = *state;
    struct distribution_store store = DISTRIBUTION_STORE_NULL;
    chmod(f->folder.path, 0777);
    assert_int_equal(distribution_store_open(f->folder.path, &store, &f->err), -1);
    assert_int_equal(f->err.kind, ERROR_CONFIG);
}

static void put(struct fixture *f, const char *text, int64_t age_s, char ret[DIGEST_TEXT_SIZE]) {
    cleanup(distribution_writer_deinit) struct distribution_writer w = DISTRIBUTION_WRITER_NULL;
    assert_int_equal(distribution_writer_begin(&f->store, 1, &w, &f->err), 0);
    assert_int_equal(distribution_writer_add(&w, text, strlen(text), &f->err), 0);
    assert_int_equal(distribution_writer_end(&w, ret, &f->err), 0);
    cleanup_free char *path = text_format("%s/sha256/%s", f->folder.path, ret + 7);
    struct utimbuf times = {.actime = time(NULL) - age_s, .modtime = time(NULL) - age_s};
    assert_int_equal(utime(path, &times), 0);
}

static bool has(const struct fixture *f, const char *digest) {
    cleanup_free char *path = text_format("%s/sha256/%s", f->folder.path, digest + 7);
    return access(path, F_OK) == 0;
}

static void tidying_takes_what_is_too_old_and_then_the_oldest(void **state) {
    struct fixture *f = *state;
    char ancient[DIGEST_TEXT_SIZE], old[DIGEST_TEXT_SIZE], young[DIGEST_TEXT_SIZE];
    put(f, "ancient", 1000000, ancient);
    put(f, "old", 2000, old);
    put(f, "young", 1000, young);
    distribution_store_tidy(&f->store, 1000, 100000);
    assert_false(has(f, ancient));
    assert_true(has(f, old) && has(f, young));
    distribution_store_tidy(&f->store, 5, 100000);
    assert_false(has(f, old));
    assert_true(has(f, young));
}

/* ---- serving ---- */

struct served {
    struct distribution *distribution;
    struct http *client;
    struct http_response response;
    char digest[DIGEST_TEXT_SIZE];
};

static void serve(struct fixture *f, struct served *s) {
    cleanup(buffer_deinit) struct buffer tar;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    uint64_t kept;
    *s = (struct served){.response = HTTP_RESPONSE_NULL};
    snprintf(a.sun_path, sizeof a.sun_path, "%.80s/s", f->folder.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 10), 0);
    add_old_form(f, &tar);
    assert_int_equal(feed(f, &tar, 1000, &kept), 1);
    if (distribution_open(fd, &f->store, &s->distribution, &f->err) < 0)
        fail_msg("%s", f->err.text);
    assert_int_equal(distribution_offer(s->distribution, &f->wanted, s->digest, &f->err), 0);
    struct http_address address = {.unix_socket = a.sun_path};
    assert_int_equal(http_open(&address, &s->client, &f->err), 0);
}

static void end(struct served *s) {
    http_response_deinit(&s->response);
    http_close(s->client);
    distribution_close(s->distribution);
}

static int get(struct fixture *f, struct served *s, const char *method, const char *path,
               const char *header) {
    const char *const headers[] = {header, NULL};
    struct http_request request = {.method = method, .path = path, .headers = headers};
    struct task forever = TASK_FOREVER, task = task_within(&forever, 20 * NS_PER_SEC);
    if (http_call(s->client, &request, &task, &s->response, &f->err) < 0)
        fail_msg("%s", f->err.text);
    return s->response.status;
}

static void an_image_is_pulled_as_from_a_registry(void **state) {
    struct fixture *f = *state;
    struct served s;
    struct registry_document d;
    char value[200];
    serve(f, &s);
    assert_int_equal(get(f, &s, "GET", "/v2/", NULL), 200);
    cleanup_free char *manifest = text_format("/v2/" DISTRIBUTION_NAME "/manifests/%s", s.digest);
    assert_int_equal(get(f, &s, "HEAD", manifest, NULL), 200);
    assert_string_equal(http_response_header(&s.response, "Docker-Content-Digest", value, 200),
                        s.digest);
    assert_int_equal(get(f, &s, "GET", manifest, NULL), 200);
    assert_string_equal(http_response_header(&s.response, "Content-Type", value, 200),
                        MEDIA_MANIFEST);
    digest_of(buffer_string(&s.response.body), value);
    assert_string_equal(value, s.digest);
    assert_int_equal(registry_document_parse(s.response.body.data, s.response.body.size,
                                             MEDIA_MANIFEST, &d, &f->err),
                     0);
    assert_string_equal(d.config.digest, f->digests[0]);
    assert_int_equal(d.count, 2);
    cleanup_free char *blob = text_format("/v2/" DISTRIBUTION_NAME "/blobs/%s", d.parts[1].digest);
    registry_document_deinit(&d);
    distribution_store_drop(&f->store, f->digests[2]); /* it is held open */
    assert_int_equal(get(f, &s, "GET", blob, NULL), 200);
    assert_string_equal(buffer_string(&s.response.body), layer_2);
    end(&s);
}

static void a_pull_that_broke_goes_on_where_it_was(void **state) {
    struct fixture *f = *state;
    struct served s;
    char value[200];
    serve(f, &s);
    cleanup_free char *blob = text_format("/v2/" DISTRIBUTION_NAME "/blobs/%s", f->digests[1]);
    assert_int_equal(get(f, &s, "GET", blob, "Range: bytes=4-"), 206);
    assert_string_equal(buffer_string(&s.response.body), "first layer");
    assert_string_equal(http_response_header(&s.response, "Content-Range", value, 200),
                        "bytes 4-14/15");
    assert_int_equal(get(f, &s, "GET", blob, "Range: bytes=4-8"), 206);
    assert_string_equal(buffer_string(&s.response.body), "first");
    assert_int_equal(get(f, &s, "GET", blob, "Range: bytes=15-"), 416);
    assert_int_equal(get(f, &s, "GET", blob, "Range: bytes=8-4"), 200);
    assert_int_equal(get(f, &s, "GET", blob, "Range: lines=1"), 200);
    end(&s);
}

static void nothing_else_is_served(void **state) {
    struct fixture *f = *state;
    struct served s;
    char other[DIGEST_TEXT_SIZE];
    serve(f, &s);
    put(f, "not offered", 0, other);
    cleanup_free char *blob = text_format("/v2/" DISTRIBUTION_NAME "/blobs/%s", other);
    assert_int_equal(get(f, &s, "GET", blob, NULL), 404);
    cleanup_free char *mixed = text_format("/v2/" DISTRIBUTION_NAME "/blobs/%s", s.digest);
    assert_int_equal(get(f, &s, "GET", mixed, NULL), 404);
    static const char *const paths[] = {
        "/",
        "/v2/x/blobs/sha256:" ID_A,
        "/v2/" DISTRIBUTION_NAME "/blobs/../../../etc/passwd",
        "/v2/" DISTRIBUTION_NAME "/tags/list",
        "/v2/_catalog",
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(get(f, &s, "GET", paths[i], NULL), 404);
    assert_int_equal(get(f, &s, "DELETE", mixed, NULL), 405);
    end(&s);
}

static void what_is_not_there_is_not_offered(void **state) {
    struct fixture *f = *state;
    struct served s;
    char digest[DIGEST_TEXT_SIZE];
    serve(f, &s);
    f->layers[0] = "sha256:" ID_A;
    assert_int_equal(distribution_offer(s.distribution, &f->wanted, digest, &f->err), 1);
    end(&s);
}

int main(void) {
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_kept_by_digest_whatever_the_pieces),
        WITH_STORE(what_is_known_is_not_kept_again),
        WITH_STORE(blobs_by_digest_are_taken_by_their_names),
        WITH_STORE(a_large_entry_says_its_size_in_an_extended_header),
        WITH_STORE(lies_are_refused),
        WITH_STORE(what_was_begun_and_not_ended_leaves_nothing),
        WITH_STORE(others_may_not_write_where_images_are_kept),
        WITH_STORE(tidying_takes_what_is_too_old_and_then_the_oldest),
        WITH_STORE(an_image_is_pulled_as_from_a_registry),
        WITH_STORE(a_pull_that_broke_goes_on_where_it_was),
        WITH_STORE(nothing_else_is_served),
        WITH_STORE(what_is_not_there_is_not_offered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
