/*
 * A load for etcd: CLIENTS threads, each of which puts a value, waits for the answer, and puts the
 * next (a closed loop), over etcd's JSON gateway. What it measured it leaves to `loader import`.
 *
 *     etcd-load [-b REQUESTS] [-c CLIENTS] [-v VALUE_BYTES] [-k KEYS] [-f CLUSTER] [-o FOLDER]
 *
 * Without arguments, the words of SEATRIAL_LOADER_ARGS are the arguments. Client i talks to the
 * i-th node, so that followers have to pass requests on as they do for real clients.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/cluster.h"
#include "lib/http.h"
#include "lib/memory.h"
#include "lib/task.h"
#include "lib/text.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1000, WORDS_MAX = 64, VALUE_SIZE_MAX = 1 << 20 /* etcd takes 1.5 MiB */ };

#define REQUESTS_MAX UINT64_C(10000000)
#define KEYS_MAX UINT64_C(100000000) /* eight digits */
#define TIMEOUT_NS (10 * NS_PER_SEC)
#define PAUSE_NS (10 * NS_PER_MS) /* after a failure: what is down is not hammered */

struct options {
    uint64_t requests, clients, value_size, keys;
    const char *cluster, *out;
};

struct load {
    const struct options *options;
    const struct cluster *cluster;
    const struct cancel *cancel;
    atomic_uint_fast64_t next; /* requests begun */
};

struct put {
    uint64_t sent_ns, latency_ns;
    const char *outcome; /* as `loader import` wants it */
};

struct client {
    struct load *load;
    size_t index;
    pthread_t thread;
    struct http *http;
    uint64_t random;
    struct put *puts;
    size_t count, capacity;
    struct error first; /* the first that went wrong */
};

static struct cancel cancel;

static void on_signal(int number) {
    (void)number;
    cancel_raise(&cancel, 1);
}

/* xorshift64*, https://doi.org/10.18637/jss.v008.i14: bytes that do not compress. */
static uint64_t random_next(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* {"key":"00000042","value":"..."}: eight digits are base64 for six bytes, and random letters are
 * base64 for random bytes, as many as asked for. */
static void write_body(struct client *c, struct buffer *body) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const struct options *o = c->load->options;
    buffer_clear(body);
    buffer_format(body, "{\"key\":\"%08" PRIu64 "\",\"value\":\"",
                  random_next(&c->random) % o->keys);
    uint64_t bits = 0, rest = o->value_size % 3;
    for (uint64_t i = 0; i < o->value_size / 3 * 4; i++, bits >>= 6) {
        if (i % 10 == 0)
            bits = random_next(&c->random);
        buffer_append(body, &letters[bits & 63], 1);
    }
    buffer_text(body, rest == 1 ? "AA==" : rest == 2 ? "AAA=" : "");
    buffer_text(body, "\"}");
}

static const char *judge(struct client *c, int r, const struct http_response *response,
                         struct error *err) {
    if (r == 0 && response->status == 200)
        return "acknowledged";
    const char *outcome = r < 0 && err->kind == ERROR_TIMEOUT ? "timed_out" : "failed";
    if (r == 0)
        error_set(err, ERROR_REFUSED, "status %d: %.200s", response->status,
                  buffer_string(&response->body));
    if (c->first.kind == ERROR_NONE)
        c->first = *err;
    return outcome;
}

static const char *put_one(struct client *c, const struct buffer *body) {
    struct error err = ERROR_NULL;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    const struct http_request request = {.method = "POST",
                                         .path = "/v3/kv/put",
                                         .content_type = "application/json",
                                         .body = body->data,
                                         .body_size = body->size};
    const struct task task = task_within(&TASK_FOREVER, TIMEOUT_NS);
    int r = http_call(c->http, &request, &task, &response, &err);
    return judge(c, r, &response, &err);
}

static void *client_run(void *arg) {
    struct client *c = arg;
    const struct options *o = c->load->options;
    const struct task pause = {.cancel = c->load->cancel, .deadline = INSTANT_NEVER};
    cleanup(buffer_deinit) struct buffer body;
    buffer_init(&body, 2 * VALUE_SIZE_MAX);
    while (cancel_level(c->load->cancel) == 0 &&
           atomic_fetch_add(&c->load->next, 1) < o->requests) {
        struct error ended = ERROR_NULL;
        write_body(c, &body);
        struct instant start = clock_instant();
        const char *outcome = put_one(c, &body);
        mem_grow(c->puts, c->count, c->capacity);
        c->puts[c->count++] =
            (struct put){start.ns, instant_ns_between(start, clock_instant()), outcome};
        if (!text_equal(outcome, "acknowledged"))
            task_sleep(&pause, PAUSE_NS, &ended);
    }
    return NULL;
}

/* ---- before and after ---- */

static int client_open(struct client *c, struct error *err) {
    size_t nodes = cluster_count(c->load->cluster, "replica");
    const struct cluster_container *node =
        cluster_find(c->load->cluster, "replica", (uint32_t)(c->index % nodes));
    uint16_t port = node ? cluster_port(node, "client") : 0;
    if (!port)
        return error_set(err, ERROR_CONFIG, "a replica has no port named 'client'");
    c->random = (c->index + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)clock_wall().ns;
    const struct http_address address = {.host = node->address, .port = port};
    return http_open(&address, &c->http, err);
}

static int write_puts(const char *path, const struct client *clients, size_t count,
                      struct error *err) {
    /* The CSV's times are of this machine's clock, taken once: a clock that is set must not matter.
     */
    const uint64_t zero_ns = (uint64_t)clock_wall().ns - clock_instant().ns;
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    fputs("client,number,intended_ns,sent_ns,latency_ns,outcome\n", file);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < clients[i].count; k++) {
            const struct put *p = &clients[i].puts[k];
            uint64_t at_ns = zero_ns + p->sent_ns;
            fprintf(file, "%zu,%zu,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s\n", i + 1, k + 1, at_ns,
                    at_ns, p->latency_ns, p->outcome);
        }
    bool bad = ferror(file);
    if (fclose(file) != 0 || bad)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", path);
    return 0;
}

static void clients_free(struct client *clients, size_t count) {
    for (size_t i = 0; i < count; i++) {
        http_close(clients[i].http);
        free(clients[i].puts);
    }
    free(clients);
}

static int run(struct load *load, const char *path, struct error *err) {
    size_t count = load->options->clients, running = 0;
    struct client *clients = mem_new_array(struct client, count);
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        clients[i].load = load;
        clients[i].index = i;
        r = client_open(&clients[i], err);
    }
    for (; running < count && r == 0; running++)
        if (pthread_create(&clients[running].thread, NULL, client_run, &clients[running]) != 0) {
            r = error_set(err, ERROR_IO, "cannot start %zu threads", count);
            cancel_raise(&cancel, 1);
            break;
        }
    for (size_t i = 0; i < running; i++) {
        pthread_join(clients[i].thread, NULL);
        if (clients[i].first.kind != ERROR_NONE)
            fprintf(stderr, "etcd-load: client %zu: %s\n", i + 1, clients[i].first.text);
    }
    if (r == 0)
        r = write_puts(path, clients, count, err);
    clients_free(clients, count);
    return r;
}

/* ---- the command line ---- */

/* Words of the environment, split at blanks, where there are no arguments. */
static void take_environment(int *argc, char ***argv, char **words, char **ret_text) {
    const char *text = getenv("SEATRIAL_LOADER_ARGS");
    if (*argc > 1 || !text)
        return;
    *ret_text = text_dup(text);
    char *rest = *ret_text;
    words[0] = (*argv)[0];
    *argc = 1;
    for (char *word; *argc < WORDS_MAX && (word = strsep(&rest, " \t\n"));)
        if (*word)
            words[(*argc)++] = word;
    *argv = words;
}

static int take_option(int option, struct options *o, struct error *err) {
    switch (option) {
    case 'b': return text_to_u64(optarg, 1, REQUESTS_MAX, &o->requests, err);
    case 'c': return text_to_u64(optarg, 1, CLIENTS_MAX, &o->clients, err);
    case 'v': return text_to_u64(optarg, 0, VALUE_SIZE_MAX, &o->value_size, err);
    case 'k': return text_to_u64(optarg, 1, KEYS_MAX, &o->keys, err);
    case 'f': o->cluster = optarg; return 0;
    case 'o': o->out = optarg; return 0;
    default:
        return error_set(err, ERROR_USAGE,
                         "usage: etcd-load [-b REQUESTS] [-c CLIENTS] "
                         "[-v VALUE_BYTES] [-k KEYS] [-f CLUSTER] [-o FOLDER]");
    }
}

static int parse(int argc, char **argv, struct options *o, struct error *err) {
    opterr = 0;
    for (int option; (option = getopt(argc, argv, "b:c:v:k:f:o:")) != -1;)
        if (take_option(option, o, err) < 0) {
            err->kind = ERROR_USAGE;
            return -1;
        }
    return optind == argc ? 0 : take_option('?', o, err);
}

static int measure(const struct options *o, const char *path, struct error *err) {
    cleanup(cluster_freep) struct cluster *cluster = NULL;
    struct load load = {.options = o, .cancel = &cancel};
    if (cancel_init(&cancel, err) < 0 || cluster_load(o->cluster, &cluster, err) < 0)
        return -1;
    if (cluster_count(cluster, "replica") == 0)
        return error_set(err, ERROR_CONFIG, "'%s' names no replica", o->cluster);
    load.cluster = cluster;
    const struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    return run(&load, path, err);
}

int main(int argc, char **argv) {
    struct options o = {.requests = 2000,
                        .clients = 15,
                        .value_size = 15100,
                        .keys = 1000,
                        .cluster = "/seatrial/cluster.yaml",
                        .out = "/seatrial/out"};
    struct error err = ERROR_NULL;
    char *words[WORDS_MAX + 1] = {NULL};
    cleanup_free char *text = NULL;
    take_environment(&argc, &argv, words, &text);
    int r = parse(argc, argv, &o, &err);
    cleanup_free char *path = text_format("%s/requests.csv", o.out);
    if (r < 0 || measure(&o, path, &err) < 0) {
        fprintf(stderr, "etcd-load: %s\n", err.text);
        return error_exit_status(err.kind);
    }
    cleanup_free char *asked = text_format("%" PRIu64, o.requests);
    execlp("loader", "loader", "import", path, "-b", asked, "--out", o.out, NULL);
    fprintf(stderr, "etcd-load: run 'loader import': %s\n", strerror(errno));
    return EXIT_FAILURE;
}
