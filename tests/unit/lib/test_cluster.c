/* /seatrial/cluster.yaml. */

#include "lib/cluster.h"

#include "lib/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "run: 3f9c2a1b\nproject: demo\ncontainers:\n"
#define REPLICA_1                                                                                  \
    "  - {name: demo-replica-1, service: replica, role: replica, index: 0, host: local, "          \
    "address: 127.0.0.1, ports: {replica: 7100, metrics: 9100}}\n"
#define REPLICA_2                                                                                  \
    "  - {name: demo-replica-2, service: replica, role: replica, index: 1, host: h2, "             \
    "address: 10.0.0.2, ports: {replica: 7101}}\n"
#define LOADER                                                                                     \
    "  - {name: demo-loader-1, service: loader, role: loader, index: 0, host: local, "             \
    "address: 127.0.0.1, ports: {}}\n"

static int parse(const char *text, struct cluster **ret, struct error *err) {
    *err = ERROR_NULL;
    return cluster_parse("cluster.yaml", text, strlen(text), ret, err);
}

static void the_runners_file_is_read(void **state) {
    (void)state;
    struct error err;
    cleanup(cluster_freep) struct cluster *c = NULL;
    assert_int_equal(parse(HEAD REPLICA_2 REPLICA_1 LOADER, &c, &err), 0);
    assert_string_equal(c->run, "3f9c2a1b");
    assert_string_equal(c->project, "demo");
    assert_int_equal(c->containers_count, 3);
    assert_int_equal(cluster_count(c, "replica"), 2);
    assert_int_equal(cluster_count(c, "loader"), 1);
    assert_int_equal(cluster_count(c, "prepare"), 0);
    const struct cluster_container *second = cluster_find(c, "replica", 1);
    assert_string_equal(second->name, "demo-replica-2");
    assert_string_equal(second->service, "replica");
    assert_string_equal(second->host, "h2");
    assert_string_equal(second->address, "10.0.0.2");
    assert_int_equal(cluster_port(second, "replica"), 7101);
    assert_int_equal(cluster_port(second, "metrics"), 0);
    assert_int_equal(cluster_port(cluster_find(c, "replica", 0), "metrics"), 9100);
    assert_null(cluster_find(c, "replica", 2));
    assert_null(cluster_find(c, "loader", 1));
}

static void a_run_that_looks_like_a_number_is_a_text(void **state) {
    (void)state;
    struct error err;
    cleanup(cluster_freep) struct cluster *c = NULL;
    assert_int_equal(parse("run: 12345678\nproject: demo\ncontainers: []\n", &c, &err), 0);
    assert_string_equal(c->run, "12345678");
}

static void keys_of_newer_runners_are_ignored(void **state) {
    (void)state;
    struct error err;
    cleanup(cluster_freep) struct cluster *c = NULL;
    assert_int_equal(parse("start: 1\n" HEAD
                           "  - {name: a, service: b, role: c, index: 0, host: d, "
                           "address: e, zone: z}\n",
                           &c, &err),
                     0);
    assert_int_equal(c->containers[0].ports_count, 0);
}

static void mistakes_are_told_with_their_line(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "cluster.yaml:1:"},
        {"project: demo\ncontainers: []\n", "'run' is missing"},
        {"run: ''\nproject: demo\ncontainers: []\n", "'run' is empty"},
        {"run: a\nproject: demo\n", "'containers' is missing"},
        {"run: a\nproject: demo\ncontainers: {}\n", "cluster.yaml:3:"},
        {HEAD "  - nonsense\n", "cluster.yaml:4:"},
        {HEAD "  - {name: a, service: b, role: c, host: d, address: e}\n", "'index' is missing"},
        {HEAD "  - {name: a, service: b, role: c, index: -1, host: d, address: e}\n",
         "cluster.yaml:4:"},
        {HEAD "  - {name: a, service: b, role: c, index: 0, host: d, address: e, ports: {x: 0}}\n",
         "cluster.yaml:4:"},
        {HEAD REPLICA_1 REPLICA_1, "cluster.yaml:5:"},
        {HEAD REPLICA_2, "has index 1, where the next of role 'replica' is 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err;
        struct cluster *c = NULL;
        assert_int_equal(parse(cases[i][0], &c, &err), -1);
        assert_null(c);
        assert_int_equal(err.kind, ERROR_CONFIG);
        if (!strstr(err.text, cases[i][1]))
            fail_msg("'%s' is not in '%s'", cases[i][1], err.text);
    }
}

static void a_file_that_is_not_there_is_not_found(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct cluster *c = NULL;
    assert_int_equal(cluster_load("/nowhere/cluster.yaml", &c, &err), -1);
    assert_int_equal(err.kind, ERROR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_runners_file_is_read),
        cmocka_unit_test(a_run_that_looks_like_a_number_is_a_text),
        cmocka_unit_test(keys_of_newer_runners_are_ignored),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(a_file_that_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
