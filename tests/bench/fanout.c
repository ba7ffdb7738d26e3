/*
 * Bare parallel Engine API calls, for tests/bench/fanout: COUNT containers are created and started
 * by CONCURRENCY threads, each with a connection of its own and nothing but the two calls. Prints
 * the seconds. The containers carry the label that they are removed by.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/http.h"
#include "lib/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONCURRENCY_MAX = 64 };

struct bench {
    const char *socket, *image, *label;
    int count;
    bool put;
    atomic_int next;
    atomic_bool failed;
};

static int put(struct http *client, const char *path, struct error *err) {
    static const char tar[1024]; /* an empty archive: two blocks of zeros */
    struct task task = TASK_FOREVER;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct http_request request = {.method = "PUT",
                                   .path = path,
                                   .content_type = "application/x-tar",
                                   .body = tar,
                                   .body_size = sizeof tar};
    if (http_call(client, &request, &task, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return error_set(err, ERROR_REFUSED, "%s: status %d: %s", path, response.status,
                         buffer_string(&response.body));
    return 0;
}

static int post(struct http *client, const char *path, const char *body, int wanted,
                struct error *err) {
    struct task task = TASK_FOREVER;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct http_request request = {.method = "POST",
                                   .path = path,
                                   .content_type = body ? "application/json" : NULL,
                                   .body = body,
                                   .body_size = body ? strlen(body) : 0};
    if (http_call(client, &request, &task, &response, err) < 0)
        return -1;
    if (response.status != wanted)
        return error_set(err, ERROR_REFUSED, "%s: status %d: %s", path, response.status,
                         buffer_string(&response.body));
    return 0;
}

static int start_one(struct bench *bench, struct http *client, int n, struct error *err) {
    cleanup_free char *create = text_format("/v1.41/containers/create?name=%s-%d", bench->label, n);
    cleanup_free char *start = text_format("/v1.41/containers/%s-%d/start", bench->label, n);
    cleanup_free char *body = text_format(
        "{\"Image\":\"%s\",\"Cmd\":[\"/busybox\",\"sleep\",\"1000\"],\"Labels\":{\"%s\":\"1\"},"
        "\"HostConfig\":{\"NetworkMode\":\"host\"}}",
        bench->image, bench->label);
    if (post(client, create, body, 201, err) < 0)
        return -1;
    cleanup_free char *archive =
        text_format("/v1.41/containers/%s-%d/archive?path=/", bench->label, n);
    if (bench->put && put(client, archive, err) < 0)
        return -1;
    return post(client, start, NULL, 204, err);
}

static void *work(void *arg) {
    struct bench *bench = arg;
    struct error err = ERROR_NULL;
    cleanup(http_closep) struct http *client = NULL;
    struct http_address address = {.unix_socket = bench->socket};
    int r = http_open(&address, &client, &err);
    for (int n; r == 0 && (n = atomic_fetch_add(&bench->next, 1)) < bench->count;)
        r = start_one(bench, client, n, &err);
    if (r < 0) {
        fprintf(stderr, "%s\n", err.text);
        atomic_store(&bench->failed, true);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fputs("Usage: bench_fanout SOCKET IMAGE LABEL COUNT CONCURRENCY [put]\n", stderr);
        return 2;
    }
    struct bench bench = {.socket = argv[1],
                          .image = argv[2],
                          .label = argv[3],
                          .count = atoi(argv[4]),
                          .put = argc > 6};
    int threads = atoi(argv[5]);
    pthread_t thread[CONCURRENCY_MAX];
    if (threads < 1 || threads > CONCURRENCY_MAX || bench.count < 1)
        return 2;
    struct instant begin = clock_instant();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, work, &bench) != 0)
            abort();
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    printf("%.3f\n", (double)instant_ns_between(begin, clock_instant()) / 1e9);
    return bench.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
