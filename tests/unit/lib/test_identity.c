/* Keys of a cluster: a file says one thing in one way; who has the wrong key is told why. */

#include "lib/file.h"
#include "lib/identity.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/folder.h"

enum { REPLICAS = 4, LOADERS = 2 };

static const struct principal replica_1 = {.role = PRINCIPAL_REPLICA, .index = 1};
static const struct principal replica_2 = {.role = PRINCIPAL_REPLICA, .index = 2};
static const struct principal loader_1 = {.role = PRINCIPAL_LOADER, .index = 1};

static struct folder folder;

static void make_keys(const char *name) {
    struct error err = ERROR_NULL;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cleanup_free char *path = path_join(folder.path, name);
    cluster_keys_generate(REPLICAS, LOADERS, &keys, &list);
    int r = cluster_keys_save(path, &keys, list, &err);
    free(list);
    if (r < 0)
        fail_msg("%s", err.text);
}

static int set_up(void **state) {
    (void)state;
    folder = folder_make();
    make_keys("a");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    folder_remove(&folder);
    return 0;
}

static struct identity *open_as(struct principal self) {
    struct error err = ERROR_NULL;
    struct identity *id;
    cleanup_free char *path = path_join(folder.path, "a");
    if (identity_open(path, self, REPLICAS, &id, &err) < 0)
        fail_msg("%s", err.text);
    return id;
}

static void assert_refused(struct principal self, uint16_t replicas, const char *why) {
    struct error err = ERROR_NULL;
    struct identity *id;
    cleanup_free char *path = path_join(folder.path, "a");
    assert_int_equal(identity_open(path, self, replicas, &id, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("'%s' is not in: %s", why, err.text);
}

static char *own_path(const char *cluster, struct principal p) {
    char name[KEYS_FOLDER_SIZE];
    return text_format("%s/%s/%s/private.key", folder.path, cluster, principal_folder(p, name));
}

static void a_principal_signs_and_all_others_can_check(void **state) {
    (void)state;
    cleanup(identity_freep) struct identity *one = open_as(replica_1);
    cleanup(identity_freep) struct identity *two = open_as(loader_1);
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    identity_sign(one, "text", 4, signature);
    assert_true(identity_check(two, replica_1, "text", 4, signature));
    assert_false(identity_check(two, replica_1, "tex", 3, signature));
    assert_false(identity_check(two, replica_2, "text", 4, signature));
    assert_false(identity_check(two, loader_1, "text", 4, signature));
    for (size_t i = 0; i < sizeof signature; i++) {
        signature[i] ^= 1;
        assert_false(identity_check(two, replica_1, "text", 4, signature));
        signature[i] ^= 1;
    }
    struct principal nobody = {.role = PRINCIPAL_LOADER, .index = LOADERS};
    assert_false(identity_check(two, nobody, "text", 4, signature));
}

static void two_share_a_key_that_depends_on_purpose_and_run(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    uint8_t a[KEYS_SECRET_SIZE], b[KEYS_SECRET_SIZE];
    cleanup(identity_freep) struct identity *one = open_as(replica_1);
    cleanup(identity_freep) struct identity *two = open_as(loader_1);
    assert_int_equal(identity_shared_key(one, loader_1, "p", "run", a, &err), 0);
    assert_int_equal(identity_shared_key(two, replica_1, "p", "run", b, &err), 0);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(identity_shared_key(two, replica_1, "q", "run", b, &err), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(identity_shared_key(two, replica_1, "p", "other", b, &err), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(identity_shared_key(two, replica_2, "p", "run", b, &err), 0);
    assert_memory_not_equal(a, b, sizeof a);
    struct principal nobody = {.role = PRINCIPAL_REPLICA, .index = REPLICAS};
    assert_int_equal(identity_shared_key(two, nobody, "p", "run", b, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

static void only_its_owner_can_read_a_private_key(void **state) {
    (void)state;
    struct stat st;
    cleanup_free char *path = own_path("a", replica_1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(replica_1, REPLICAS, "can be read by others (mode 0640)");
}

static void keys_that_are_not_ours_are_refused_by_name(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup_free char *mine = own_path("a", replica_1), *other = own_path("a", replica_2);
    cleanup_free char *foreign = own_path("b", replica_1);
    assert_refused(replica_1, 7, "has keys of 4 replicas, but the cluster file names 7");
    assert_refused((struct principal){PRINCIPAL_LOADER, LOADERS}, REPLICAS,
                   "has no key of loader 2");
    assert_int_equal(file_copy(other, mine, 0600, 4096, &err), 0);
    assert_refused(replica_1, REPLICAS, "is the key of replica 2, and this is replica 1");
    make_keys("b");
    assert_int_equal(file_copy(foreign, mine, 0600, 4096, &err), 0);
    assert_refused(replica_1, REPLICAS, "is a key of another cluster");
    assert_int_equal(unlink(mine), 0);
    assert_refused(replica_1, REPLICAS, "private.key");
}

static void a_secret_that_does_not_fit_the_public_key_is_refused(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *mine = own_path("a", replica_1);
    assert_int_equal(file_read(mine, 4096, &text, &err), 0);
    char *digit = text.data + text.size - 2;
    *digit = *digit == '0' ? '1' : '0';
    assert_int_equal(file_write(mine, 0600, text.data, text.size, &err), 0);
    assert_refused(replica_1, REPLICAS, "does not fit what cluster.keys says of replica 1");
}

static void keys_are_not_made_where_some_are(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cleanup_free char *path = path_join(folder.path, "a");
    cluster_keys_generate(1, 0, &keys, &list);
    assert_int_equal(cluster_keys_save(path, &keys, list, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFLICT);
    free(list);
}

/* Every byte changed, and every end cut off. */
static void a_text_is_read_in_one_way_only(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    cleanup(buffer_deinit) struct buffer text, again;
    struct private_key *list, read;
    cluster_keys_generate(3, 1, &keys, &list);
    buffer_init(&text, 4096);
    private_key_write(&list[3], &text);
    assert_int_equal(private_key_parse("f", text.data, text.size, &read, &err), 0);
    assert_memory_equal(read.secret, list[3].secret, sizeof read.secret);
    assert_int_equal(read.principal.role, PRINCIPAL_LOADER);
    assert_int_equal(read.principal.index, 0);
    for (size_t size = 0; size < text.size; size++)
        assert_int_equal(private_key_parse("f", text.data, size, &read, &err), -1);
    buffer_clear(&text);
    cluster_keys_write(&keys, &text);
    buffer_init(&again, 4096);
    for (size_t i = 0; i < text.size; i++) {
        struct cluster_keys other;
        assert_int_equal(cluster_keys_parse("f", text.data, i, &other, &err), -1);
        text.data[i] ^= 1;
        if (cluster_keys_parse("f", text.data, text.size, &other, &err) == 0) {
            buffer_clear(&again);
            cluster_keys_write(&other, &again);
            assert_string_equal(buffer_string(&again), buffer_string(&text));
            cluster_keys_deinit(&other);
        }
        text.data[i] ^= 1;
    }
    free(list);
}

static void a_malformed_line_is_named(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct cluster_keys keys;
    static const char text[] = "seatrial cluster keys 1\ncluster 00112233445566778899aabbccddeeff\n"
                               "replicas 1\nloaders 0\nreplica 1 00\n";
    assert_int_equal(cluster_keys_parse("f", text, sizeof text - 1, &keys, &err), -1);
    assert_string_equal(err.text, "f:5: here belongs 'replica 0' and its two public keys");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_principal_signs_and_all_others_can_check, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_share_a_key_that_depends_on_purpose_and_run, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_its_owner_can_read_a_private_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_are_not_ours_are_refused_by_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_secret_that_does_not_fit_the_public_key_is_refused,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_are_not_made_where_some_are, set_up, tear_down),
        cmocka_unit_test(a_text_is_read_in_one_way_only),
        cmocka_unit_test(a_malformed_line_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
