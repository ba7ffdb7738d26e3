/* What is sent, by whom, and in which order; and the ring that it is sent from. */

#include "loader/limits.h"
#include "loader/queue.h"
#include "loader/schedule.h"
#include "loader/workload.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct mix shape = {.count = 1,
                                 .shapes = {{.weight = 1,
                                             .key_count = 31,
                                             .key_size = 118,
                                             .value_size = 2841,
                                             .payload_size = 15100,
                                             .execution_ms = 3,
                                             .pre_execute = true,
                                             .busy_wait = true}}};

static struct schedule_entry entry(uint32_t client, uint64_t number) {
    return (struct schedule_entry){.client = client, .number = number};
}

static void each_client_counts_from_one_until_all_is_given_out(void **state) {
    (void)state;
    cleanup(schedule_deinit) struct schedule s;
    struct schedule_entry e;
    schedule_init(&s, 5, 3);
    static const uint32_t free_clients[] = {2, 0, 2, 2, 1};
    static const uint64_t numbers[] = {1, 1, 2, 3, 1};
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(schedule_next(&s, free_clients[i], &e));
        assert_int_equal(e.position, i);
        assert_int_equal(e.client, free_clients[i]);
        assert_int_equal(e.number, numbers[i]);
    }
    assert_false(schedule_next(&s, 0, &e));
    assert_false(schedule_next(&s, 1, &e));
}

static void slices_of_all_threads_are_the_whole_load(void **state) {
    (void)state;
    static const struct {
        uint64_t requests;
        uint32_t clients, threads;
    } cases[] = {{2000, 15, 2},   {1, 15, 7},       {0, 3, 3},
                 {7, 100000, 64}, {4000000, 15, 4}, {LOADER_REQUESTS_MAX, 100000, 256}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t requests = 0, clients = 0;
        for (uint32_t t = 0; t < cases[i].threads; t++) {
            clients += slice_clients(cases[i].clients, t, cases[i].threads);
            requests += slice_requests(cases[i].requests, cases[i].clients, t, cases[i].threads);
        }
        assert_int_equal(clients, cases[i].clients);
        assert_int_equal(requests, cases[i].requests);
    }
    assert_int_equal(slice_requests(1500, 15, 0, 2), 800); /* 8 of 15 clients */
}

static void one_seed_makes_the_same_requests(void **state) {
    (void)state;
    struct workload a, b;
    struct wire_request x, y;
    workload_init(&a, &shape, 42, 0, 15);
    workload_init(&b, &shape, 42, 0, 15);
    for (uint32_t i = 0; i < 100; i++) {
        struct schedule_entry e = entry(i % 15, 1 + i / 15);
        workload_request(&a, &e, &x);
        workload_request(&b, &e, &y);
        assert_int_equal(x.client, y.client);
        assert_int_equal(x.number, e.number);
        assert_int_equal(x.payload_size, 15100);
        assert_memory_equal(x.payload, y.payload, x.payload_size);
    }
    assert_int_equal(x.key_count, 31);
    assert_int_equal(x.key_size, 118);
    assert_int_equal(x.value_size, 2841);
    assert_int_equal(x.execution_ms, 3);
    assert_int_equal(x.key_space, 0); /* keys of its own */
    assert_int_equal(x.first_key, 0);
    assert_int_equal(x.flags, WIRE_REQUEST_PRE_EXECUTE | WIRE_REQUEST_BUSY_WAIT);
    workload_deinit(&a);
    workload_deinit(&b);
}

static void requests_of_one_load_differ(void **state) {
    (void)state;
    cleanup(workload_deinit) struct workload w;
    workload_init(&w, &shape, 42, 0, 15);
    struct wire_request x, y;
    int same = 0;
    workload_request(&w, &(struct schedule_entry){.client = 0, .number = 1}, &x);
    for (uint64_t i = 2; i < 1000; i++) {
        workload_request(&w, &(struct schedule_entry){.client = 0, .number = i}, &y);
        same += memcmp(x.payload, y.payload, x.payload_size) == 0;
    }
    assert_in_range(same, 0, 5); /* of 1,024 places */
}

/* Every byte value about as often as any other, and no runs: nothing for a compressor. */
static void payloads_cannot_be_compressed(void **state) {
    (void)state;
    cleanup(workload_deinit) struct workload w;
    workload_init(&w, &shape, 7, 0, 15);
    struct wire_request r;
    workload_request(&w, &(struct schedule_entry){.client = 3, .number = 9}, &r);
    size_t counts[256] = {0}, repeats = 0;
    for (size_t i = 0; i < r.payload_size; i++) {
        counts[r.payload[i]]++;
        repeats += i > 0 && r.payload[i] == r.payload[i - 1];
    }
    for (int i = 0; i < 256; i++)
        assert_in_range(counts[i], 20, 110); /* 59 expected */
    assert_in_range(repeats, 20, 110);
}

static void no_two_loaders_share_a_client(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct workload a, b, c;
        workload_init(&a, &shape, seed, 0, LOADER_CLIENTS_MAX);
        workload_init(&b, &shape, seed, 1, LOADER_CLIENTS_MAX);
        workload_init(&c, &shape, seed + 1, 0, LOADER_CLIENTS_MAX);
        assert_true(a.client_base > 0 && a.client_base + LOADER_CLIENTS_MAX < UINT64_C(1) << 53);
        assert_int_equal(workload_client_index(&a, a.client_base), 0);
        assert_int_equal(workload_client_index(&a, a.client_base + LOADER_CLIENTS_MAX - 1),
                         LOADER_CLIENTS_MAX - 1);
        assert_int_equal(workload_client_index(&a, a.client_base + LOADER_CLIENTS_MAX), -1);
        assert_int_equal(workload_client_index(&a, a.client_base - 1), -1);
        assert_int_equal(workload_client_index(&a, b.client_base), -1);
        assert_int_equal(workload_client_index(&a, c.client_base), -1);
        workload_deinit(&a);
        workload_deinit(&b);
        workload_deinit(&c);
    }
}

/* ---- the ring ---- */

enum { SIZE = WIRE_REQUEST_HEAD_SIZE + 100 };

static uint8_t payload[100];

/* Without keys. */
static struct request_prover plain;
static struct seal unsealed;

static struct wire_request request(uint64_t number) {
    return (struct wire_request){
        .client = 1, .number = number, .payload = payload, .payload_size = sizeof payload};
}

static uint32_t push(struct queue *q, uint64_t number) {
    struct wire_request r = request(number);
    return queue_push(q, &r, NULL, (uint32_t)number);
}

struct seen {
    uint32_t tags[16];
    size_t count;
};

static void note_begun(void *context, uint32_t tag) {
    struct seen *s = context;
    s->tags[s->count++] = tag;
}

static size_t bytes_waiting(struct queue *q) {
    struct iovec vectors[64];
    size_t bytes = 0;
    for (int i = queue_vectors(q, &unsealed, vectors, 64); i-- > 0;)
        bytes += vectors[i].iov_len;
    return bytes;
}

static void bytes_leave_in_order_wherever_they_are_cut(void **state) {
    (void)state;
    for (size_t cut = 1; cut <= 3 * SIZE; cut++) {
        cleanup(queue_deinit) struct queue q;
        struct seen seen = {.count = 0};
        queue_init(&q, &plain, 4);
        for (uint64_t i = 1; i <= 3; i++)
            push(&q, i);
        assert_int_equal(bytes_waiting(&q), 3 * SIZE);
        queue_written(&q, &unsealed, cut, note_begun, &seen);
        assert_int_equal(seen.count, (cut + SIZE - 1) / SIZE); /* the first byte counts */
        assert_int_equal(bytes_waiting(&q), 3 * SIZE - cut);
        queue_written(&q, &unsealed, 3 * SIZE - cut, note_begun, &seen);
        assert_int_equal(seen.count, 3);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(seen.tags[i], i + 1);
        assert_true(queue_empty(&q));
    }
}

static void only_what_is_not_begun_can_be_replaced_or_dropped(void **state) {
    (void)state;
    cleanup(queue_deinit) struct queue q;
    struct seen seen = {.count = 0};
    queue_init(&q, &plain, 4);
    uint32_t first = push(&q, 1), second = push(&q, 2), third = push(&q, 3);
    assert_true(queue_waits(&q, first));
    queue_written(&q, &unsealed, 1, note_begun, &seen);
    assert_false(queue_waits(&q, first));
    assert_true(queue_waits(&q, second));
    struct wire_request other = request(77);
    queue_replace(&q, third, &other, NULL);
    queue_drop(&q, second);
    assert_int_equal(bytes_waiting(&q), 2 * SIZE - 1);
    queue_written(&q, &unsealed, SIZE - 1, note_begun, &seen);
    assert_false(queue_waits(&q, first));

    struct iovec vectors[QUEUE_VECTORS_MIN];
    uint8_t expected[WIRE_REQUEST_HEAD_SIZE_MAX];
    wire_request_encode_head(&other, expected);
    assert_int_equal(queue_vectors(&q, &unsealed, vectors, QUEUE_VECTORS_MIN), 2);
    assert_memory_equal(vectors[0].iov_base, expected, WIRE_REQUEST_HEAD_SIZE);
    assert_ptr_equal(vectors[1].iov_base, payload);
    queue_written(&q, &unsealed, SIZE, note_begun, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.tags[1], 3);
    assert_true(queue_empty(&q));
}

static void a_lost_connection_takes_only_the_begun_request(void **state) {
    (void)state;
    cleanup(queue_deinit) struct queue q;
    struct seen seen = {.count = 0};
    queue_init(&q, &plain, 4);
    push(&q, 1);
    uint32_t second = push(&q, 2);
    push(&q, 3);
    queue_written(&q, &unsealed, 5, note_begun, &seen);
    queue_drop(&q, second);
    queue_restart(&q);
    assert_int_equal(bytes_waiting(&q), SIZE);
    queue_restart(&q); /* nothing is begun now */
    queue_written(&q, &unsealed, SIZE, note_begun, &seen);
    assert_int_equal(seen.tags[1], 3);
    assert_true(queue_empty(&q));
}

static void the_ring_goes_round_for_ever(void **state) {
    (void)state;
    cleanup(queue_deinit) struct queue q;
    queue_init(&q, &plain, 3);
    q.first = q.end = UINT32_MAX - 5; /* the counters wrap, too */
    for (uint64_t i = 0; i < 100; i++) {
        struct seen seen = {.count = 0};
        uint32_t a = push(&q, 1), b = push(&q, 2);
        assert_true(queue_waits(&q, a) && queue_waits(&q, b));
        queue_written(&q, &unsealed, 2 * SIZE, note_begun, &seen);
        assert_int_equal(seen.count, 2);
        assert_false(queue_waits(&q, a) || queue_waits(&q, b));
    }
}

static void vectors_are_no_more_than_there_is_room_for(void **state) {
    (void)state;
    cleanup(queue_deinit) struct queue q;
    struct iovec vectors[5];
    queue_init(&q, &plain, 8);
    for (uint64_t i = 1; i <= 8; i++)
        push(&q, i);
    assert_int_equal(queue_vectors(&q, &unsealed, vectors, 5), 4); /* whole requests */
    struct wire_request empty = {.client = 1, .number = 1};
    cleanup(queue_deinit) struct queue heads;
    queue_init(&heads, &plain, 2);
    queue_push(&heads, &empty, NULL, 1);
    assert_int_equal(queue_vectors(&heads, &unsealed, vectors, 5), 1); /* no payload */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_client_counts_from_one_until_all_is_given_out),
        cmocka_unit_test(slices_of_all_threads_are_the_whole_load),
        cmocka_unit_test(one_seed_makes_the_same_requests),
        cmocka_unit_test(requests_of_one_load_differ),
        cmocka_unit_test(payloads_cannot_be_compressed),
        cmocka_unit_test(no_two_loaders_share_a_client),
        cmocka_unit_test(bytes_leave_in_order_wherever_they_are_cut),
        cmocka_unit_test(only_what_is_not_begun_can_be_replaced_or_dropped),
        cmocka_unit_test(a_lost_connection_takes_only_the_begun_request),
        cmocka_unit_test(the_ring_goes_round_for_ever),
        cmocka_unit_test(vectors_are_no_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
