#include "runner/run/delivery.h"

#include "images/distribution.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/transfer.h"
#include "runner/remote/private_socket.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 256, LAYERS_MAX = 1024 };

struct served {
    char digest[DIGEST_TEXT_SIZE]; /* "": not yet */
    bool given_up;
    struct error why;
};

struct reached {
    pthread_mutex_t lock;
    struct host_forward *forward;
    size_t users;
    bool given_up;
    struct error why;
};

struct delivery {
    pthread_mutex_t lock; /* of all but the hosts */
    struct distribution_store store;
    struct private_socket socket;
    struct distribution *distribution; /* NULL: not yet */
    struct served *images;
    struct reached *hosts;
    size_t host_count;
};

struct delivery *delivery_new(size_t host_count, size_t image_count) {
    struct delivery *d = mem_new(struct delivery);
    *d = (struct delivery){.store = DISTRIBUTION_STORE_NULL,
                           .socket = PRIVATE_SOCKET_NULL,
                           .images = mem_new_array(struct served, image_count + 1),
                           .hosts = mem_new_array(struct reached, host_count + 1),
                           .host_count = host_count};
    pthread_mutex_init(&d->lock, NULL);
    for (size_t i = 0; i < host_count; i++)
        pthread_mutex_init(&d->hosts[i].lock, NULL);
    return d;
}

void delivery_free(struct delivery *d) {
    for (size_t i = 0; i < d->host_count; i++) {
        host_forward_close(d->hosts[i].forward);
        pthread_mutex_destroy(&d->hosts[i].lock);
    }
    if (d->distribution) {
        distribution_close(d->distribution);
        distribution_store_tidy(&d->store, DISTRIBUTION_BYTES_MAX, DISTRIBUTION_AGE_S_MAX);
    }
    private_socket_deinit(&d->socket);
    distribution_store_deinit(&d->store);
    pthread_mutex_destroy(&d->lock);
    free(d->images);
    free(d->hosts);
    free(d);
}

/* ---- serving ---- */

static int open_it(struct delivery *d, struct error *err) {
    if (d->distribution)
        return 0;
    if (!d->store.folder && distribution_store_open(NULL, &d->store, err) < 0)
        return -1;
    if (!d->socket.path && private_socket_open("images", BACKLOG, &d->socket, err) < 0)
        return -1;
    int fd = d->socket.listen_fd;
    d->socket.listen_fd = -1; /* the server takes it */
    if (distribution_open(fd, &d->store, &d->distribution, err) == 0)
        return 0;
    private_socket_deinit(&d->socket); /* the next one listens anew */
    return -1;
}

/* Counts what comes on its way into the intake. */
struct counted {
    struct sink sink;
    const struct delivery_watch *watch;
    uint64_t came, expected;
};

static int push_counted(void *arg, const void *data, size_t size, struct error *err) {
    struct counted *c = arg;
    c->came += size;
    c->watch->on_bytes(c->watch->arg, c->came, c->expected);
    return c->sink.push(c->sink.arg, data, size, err);
}

static int save(struct delivery *d, struct engine *from, const struct engine_image *image,
                const struct distribution_wanted *wanted, const struct delivery_watch *watch,
                const struct task *task, struct error *err) {
    cleanup(distribution_intake_freep) struct distribution_intake *intake =
        distribution_intake_new(&d->store, wanted);
    if (!distribution_intake_missing(intake))
        return 0;
    const char *references[] = {image->id, NULL};
    struct counted counted = {.sink = distribution_intake_sink(intake),
                              .watch = watch,
                              .expected = (uint64_t)image->size_bytes};
    struct sink sink = {.push = push_counted, .arg = &counted};
    if (engine_image_save(from, references, &sink, task, err) < 0)
        return -1;
    const char *missing = distribution_intake_missing(intake);
    if (missing)
        return error_set(err, ERROR_FAILED, "its engine saves it without %.19s", missing);
    return 0;
}

static int list_layers(const struct engine_image *image, struct distribution_wanted *ret,
                       const char *layers[LAYERS_MAX], struct error *err) {
    const struct json *list = json_find(image->json, "RootFS.Layers");
    size_t count = json_count(list);
    if (count == 0 || count > LAYERS_MAX)
        return error_set(err, ERROR_LIMIT, "it has %zu layers (1 to %d can be served)", count,
                         LAYERS_MAX);
    for (size_t i = 0; i < count; i++) {
        layers[i] = json_text_or_null(json_at(list, i));
        if (!layers[i] || !digest_text_valid(layers[i]))
            return error_set(err, ERROR_INVALID, "its layers have no digests");
    }
    *ret =
        (struct distribution_wanted){.config = image->id, .layers = layers, .layer_count = count};
    return 0;
}

static int serve(struct delivery *d, struct served *served, struct engine *from,
                 const struct engine_image *image, const struct delivery_watch *watch,
                 const struct task *task, struct error *err) {
    const char *layers[LAYERS_MAX];
    struct distribution_wanted wanted;
    if (open_it(d, err) < 0 || list_layers(image, &wanted, layers, err) < 0 ||
        save(d, from, image, &wanted, watch, task, err) < 0)
        return -1;
    int r = distribution_offer(d->distribution, &wanted, served->digest, err);
    if (r == 1)
        return error_set(err, ERROR_FAILED, "a layer that was kept is gone");
    return r;
}

static bool is_end(const struct error *err) {
    return err->kind == ERROR_CANCELLED || err->kind == ERROR_TIMEOUT;
}

int delivery_serve(struct delivery *d, size_t image, struct engine *from,
                   const struct engine_image *wanted, const struct delivery_watch *watch,
                   const struct task *task, char ret_digest[DIGEST_TEXT_SIZE], struct error *err) {
    struct served *served = &d->images[image];
    int r = 0;
    pthread_mutex_lock(&d->lock);
    if (!served->digest[0] && !served->given_up) {
        r = serve(d, served, from, wanted, watch, task, &served->why);
        served->given_up = r < 0 && !is_end(&served->why);
    }
    if (r < 0 || served->given_up)
        *err = served->why;
    r = served->given_up ? 1 : r;
    memcpy(ret_digest, served->digest, DIGEST_TEXT_SIZE);
    pthread_mutex_unlock(&d->lock);
    return r;
}

void delivery_forget(struct delivery *d, const struct engine_image *image) {
    const char *layers[LAYERS_MAX];
    struct distribution_wanted wanted;
    struct error ignored = ERROR_NULL;
    if (list_layers(image, &wanted, layers, &ignored) < 0)
        return;
    distribution_store_drop(&d->store, wanted.config);
    for (size_t i = 0; i < wanted.layer_count; i++)
        distribution_store_drop(&d->store, layers[i]);
}

/* ---- reaching ---- */

static int open_forward(struct delivery *d, struct reached *h, struct host *host,
                        const struct task *task, struct error *err) {
    if (h->forward)
        return 0;
    struct host_endpoint there = {.address = "127.0.0.1", .port = 0};
    struct host_endpoint here = {.unix_socket = d->socket.path};
    return host_forward_remote(host, &there, &here, task, &h->forward, err);
}

int delivery_reach(struct delivery *d, size_t index, struct host *host, const char *digest,
                   const struct task *task, char **ret_name, struct error *err) {
    struct reached *h = &d->hosts[index];
    pthread_mutex_lock(&h->lock);
    int r = h->given_up ? 1 : open_forward(d, h, host, task, &h->why);
    if (r < 0 && h->why.kind != ERROR_UNREACHABLE && !is_end(&h->why)) {
        h->given_up = true;
        r = 1;
    }
    if (r != 0)
        *err = h->why;
    if (r == 0) {
        h->users++;
        *ret_name = text_format("127.0.0.1:%u/" DISTRIBUTION_NAME "@%s",
                                host_forward_port(h->forward), digest);
    }
    pthread_mutex_unlock(&h->lock);
    return r;
}

void delivery_leave(struct delivery *d, size_t index) {
    struct reached *h = &d->hosts[index];
    pthread_mutex_lock(&h->lock);
    if (--h->users == 0) {
        host_forward_close(h->forward);
        h->forward = NULL;
    }
    pthread_mutex_unlock(&h->lock);
}

void delivery_give_up(struct delivery *d, size_t index) {
    struct reached *h = &d->hosts[index];
    pthread_mutex_lock(&h->lock);
    h->given_up = true;
    error_set(&h->why, ERROR_FAILED, "it did not work there before");
    pthread_mutex_unlock(&h->lock);
}
