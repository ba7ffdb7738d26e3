/* The client-pool file of -f, and the retry timeout that follows the answers. */

#include "lib/clock.h"
#include "lib/text.h"
#include "loader/pool.h"
#include "loader/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REPLICA(id, host, port)                                                                    \
    "  - replica:\n      - principal_id: " id "\n        replica_host: " host                      \
    "\n        replica_port: " port "\n"
#define CLIENT(port, id)                                                                           \
    "          - client:\n              - client_port: " port                                      \
    "\n                principal_id: " id "\n"
#define REPLICAS                                                                                   \
    "node:\n" REPLICA("0", "concord1", "3501") REPLICA("1", "concord2", "3501")                    \
        REPLICA("2", "concord3", "3501") REPLICA("3", "10.0.0.4", "3501")
#define CLIENTS                                                                                    \
    "participant_nodes:\n  - participant_node:\n      - participant_node_host: 0.0.0.0\n"          \
    "        external_clients:\n" CLIENT("3507", "9") CLIENT("3508", "10")
#define HEAD "num_replicas: 4\nf_val: 1\nc_val: 0\ncomm_to_use: plain\n"

static int parse(const char *text, struct pool **ret, struct error *err) {
    return pool_parse("pool.yaml", text, strlen(text), ret, err);
}

static void refused(const char *text, const char *message) {
    struct error err = ERROR_NULL;
    struct pool *pool = NULL;
    assert_int_equal(parse(text, &pool, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
    if (!strstr(err.text, message))
        fail_msg("'%s' is not in '%s'", message, err.text);
}

static void a_file_as_concord_writes_it_is_read_whole(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(pool_freep) struct pool *pool = NULL;
    assert_int_equal(parse(HEAD "clients_per_participant_node: 2\n"
                                "prometheus_port: 9873\n"
                                "tls_certificates_folder_path: resources/tls_certs\n"
                                "tls_cipher_suite_list: ECDHE-ECDSA-AES256-GCM-SHA384\n"
                                "concord-bft_communication_buffer_length: 64000\n"
                                "client_initial_retry_timeout_milli: 151\n"
                                "client_min_retry_timeout_milli: 51\n"
                                "client_max_retry_timeout_milli: 1001\n"
                                "client_number_of_standard_deviations_to_tolerate: 3\n"
                                "client_samples_per_evaluation: 31\n"
                                "client_samples_until_reset: 999\n"
                                "client_sends_request_to_all_replicas_first_thresh: 2\n"
                                "client_sends_request_to_all_replicas_period_thresh: 2\n"
                                "client_periodic_reset_thresh: 30\n" REPLICAS CLIENTS,
                           &pool, &err),
                     0);
    assert_int_equal(pool->replica_count, 4);
    assert_string_equal(pool->replicas[3].host, "10.0.0.4");
    assert_int_equal(pool->replicas[0].port, 3501);
    assert_int_equal(pool->node_count, 1);
    assert_int_equal(pool->nodes[0].client_count, 2);
    assert_int_equal(pool->nodes[0].clients[1].id, 10);
    assert_int_equal(pool->retry.initial_ns, 151 * NS_PER_MS);
    assert_int_equal(pool->retry.min_ns, 51 * NS_PER_MS);
    assert_int_equal(pool->retry.max_ns, 1001 * NS_PER_MS);
    assert_int_equal(pool->retry.standard_deviations, 3);
    assert_int_equal(pool->retry.samples_per_evaluation, 31);
    assert_int_equal(pool->retry.samples_until_reset, 999);
    assert_string_equal(pool_transport_name(pool->transport), "plain");
}

static void what_a_file_does_not_say_is_as_concord_has_it(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(pool_freep) struct pool *pool = NULL;
    assert_int_equal(parse(REPLICAS, &pool, &err), 0);
    assert_int_equal(pool->n, 4);
    assert_int_equal(pool->f, 1);
    assert_string_equal(pool_transport_name(pool->transport), "tls");
    assert_int_equal(pool->retry.initial_ns, 150 * NS_PER_MS);
}

static void what_does_not_fit_together_is_named(void **state) {
    (void)state;
    refused(HEAD REPLICAS "client_min_retry_timeout_mili: 50\n",
            "did you mean 'client_min_retry_timeout_milli'");
    refused("num_replicas: 5\n" REPLICAS, "need 3 f + 2 c + 1 = 4");
    refused("num_replicas: 7\nf_val: 2\n" REPLICAS, "there are 4 replicas, but num_replicas is 7");
    refused(HEAD "node:\n" REPLICA("0", "a", "1") REPLICA("1", "b", "1") REPLICA("1", "c", "1")
                REPLICA("3", "d", "1"),
            "replica 1 is there twice, first in line 10");
    refused(HEAD "node:\n" REPLICA("0", "a", "1") REPLICA("1", "b", "1") REPLICA("2", "a", "1")
                REPLICA("3", "d", "1"),
            "replicas 0 and 2 have the same address");
    refused(HEAD "node:\n" REPLICA("0", "a", "1") REPLICA("1", "b", "1") REPLICA("2", "c", "1")
                REPLICA("4", "d", "1"),
            "must be 0 to 3");
    refused(HEAD "clients_per_participant_node: 3\n" REPLICAS CLIENTS,
            "but this node has 2 external_clients");
    refused(HEAD REPLICAS
            "participant_nodes:\n  - participant_node:\n      - external_clients:\n" CLIENT(
                "1", "9") CLIENT("2", "9"),
            "principal_id 9 of a client is taken");
    refused(
        HEAD REPLICAS
        "participant_nodes:\n  - participant_node:\n      - external_clients:\n" CLIENT("1", "3"),
        "principal_id 3 of a client is taken");
    refused(HEAD "client_initial_retry_timeout_milli: 20\n" REPLICAS,
            "must be between the smallest, 50 ms");
    refused(HEAD "comm_to_use: carrier-pigeon\n", "comm_to_use");
    refused(HEAD, "'node', the list of replicas, is missing");
    refused(HEAD "node:\n  - repica: []\n", "has the key 'replica', and only that");
    refused(HEAD "node:\n  - replica: []\n", "must be a list of one entry");
    refused(HEAD "node:\n  - replica: [{principal_id: 0, replica_port: 1}]\n",
            "needs principal_id, replica_host and replica_port");
}

static const struct retry_config config = {.initial_ns = 150,
                                           .min_ns = 50,
                                           .max_ns = 1000,
                                           .standard_deviations = 2,
                                           .samples_per_evaluation = 4,
                                           .samples_until_reset = 8};

static void the_retry_timeout_is_mean_and_deviations_of_what_was_answered(void **state) {
    (void)state;
    static const uint64_t samples[] = {80, 120, 80, 120};
    struct retry r;
    retry_init(&r, &config);
    for (size_t i = 0; i < 3; i++)
        retry_sample(&r, samples[i]);
    assert_int_equal(retry_limit_ns(&r), 150);
    retry_sample(&r, samples[3]);
    assert_int_equal(retry_limit_ns(&r), 146); /* 100 + 2 * 23.09 */
}

static void a_retry_timeout_that_passes_in_vain_doubles(void **state) {
    (void)state;
    struct retry r;
    retry_init(&r, &config);
    retry_expired(&r, 10150);
    assert_int_equal(retry_limit_ns(&r), 300);
    retry_expired(&r, 10151); /* another one, of the same time */
    retry_expired(&r, 10449);
    assert_int_equal(retry_limit_ns(&r), 300);
    retry_expired(&r, 10450);
    assert_int_equal(retry_limit_ns(&r), 600);
    retry_expired(&r, 11050);
    retry_expired(&r, 12050);
    assert_int_equal(retry_limit_ns(&r), 1000);
    for (int i = 0; i < 4; i++)
        retry_sample(&r, 100);
    assert_int_equal(retry_limit_ns(&r), 100);
}

static void the_retry_timeout_stays_within_its_bounds(void **state) {
    (void)state;
    struct retry r;
    retry_init(&r, &config);
    for (int i = 0; i < 4; i++)
        retry_sample(&r, 1);
    assert_int_equal(retry_limit_ns(&r), 50);
    for (int i = 0; i < 4; i++)
        retry_sample(&r, 1000 * 1000);
    assert_int_equal(retry_limit_ns(&r), 1000);
}

static void after_the_reset_only_new_answers_count(void **state) {
    (void)state;
    struct retry r;
    retry_init(&r, &config);
    for (int i = 0; i < 8; i++)
        retry_sample(&r, 1000 * 1000);
    for (int i = 0; i < 4; i++)
        retry_sample(&r, 200);
    assert_int_equal(retry_limit_ns(&r), 200);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_as_concord_writes_it_is_read_whole),
        cmocka_unit_test(what_a_file_does_not_say_is_as_concord_has_it),
        cmocka_unit_test(what_does_not_fit_together_is_named),
        cmocka_unit_test(the_retry_timeout_is_mean_and_deviations_of_what_was_answered),
        cmocka_unit_test(a_retry_timeout_that_passes_in_vain_doubles),
        cmocka_unit_test(the_retry_timeout_stays_within_its_bounds),
        cmocka_unit_test(after_the_reset_only_new_answers_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
