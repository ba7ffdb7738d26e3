#include "images/distribution.h"

#include "images/registry_manifest.h"
#include "lib/http_server.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool distribution_is_name(const char *text) {
    return text_starts(text, "127.0.0.1:") && strstr(text, "/" DISTRIBUTION_NAME "@");
}

struct blob {
    char digest[DIGEST_TEXT_SIZE];
    uint64_t bytes;
    int fd; /* -1: a manifest, in memory */
    char *text;
};

struct distribution {
    const struct distribution_store *store;
    struct http_server *server;
    pthread_mutex_t lock;
    struct blob *blobs;
    size_t count, capacity, offers;
    char *answer; /* of the manifest that is being sent; the server has one thread */
    char digest[DIGEST_TEXT_SIZE];
};

static const struct blob *find(const struct distribution *d, const char *digest) {
    for (size_t i = 0; i < d->count; i++)
        if (text_equal(d->blobs[i].digest, digest))
            return &d->blobs[i];
    return NULL;
}

/* ---- answering ---- */

static void not_found(struct http_answer *ret) {
    static const char text[] =
        "{\"errors\":[{\"code\":\"NOT_FOUND\",\"message\":\"not offered\"}]}";
    ret->status = 404;
    ret->type = "application/json";
    ret->data = text;
    ret->size = strlen(text);
}

static void answer_blob(struct distribution *d, const struct blob *blob, struct http_answer *ret) {
    ret->digest = memcpy(d->digest, blob->digest, sizeof d->digest);
    ret->type = blob->fd < 0 ? MEDIA_MANIFEST : "application/octet-stream";
    if (blob->fd >= 0) {
        ret->fd = fcntl(blob->fd, F_DUPFD_CLOEXEC, 0); /* the server takes it */
        if (ret->fd < 0)
            ret->status = 503;
        return;
    }
    free(d->answer);
    d->answer = text_dup(blob->text);
    ret->data = d->answer;
    ret->size = strlen(d->answer);
}

/* The digest behind "/v2/NAME/manifests/" or "/v2/NAME/blobs/"; NULL: another path. */
static const char *digest_of(const char *path, bool *ret_manifest) {
    static const char manifests[] = "/v2/" DISTRIBUTION_NAME "/manifests/";
    static const char blobs[] = "/v2/" DISTRIBUTION_NAME "/blobs/";
    *ret_manifest = text_starts(path, manifests);
    if (*ret_manifest)
        return path + strlen(manifests);
    return text_starts(path, blobs) ? path + strlen(blobs) : NULL;
}

static void serve(void *context, const char *path, struct http_answer *ret) {
    struct distribution *d = context;
    bool manifest;
    if (text_equal(path, "/v2/") || text_equal(path, "/v2")) {
        ret->type = "application/json";
        ret->data = "{}";
        ret->size = 2;
        return;
    }
    const char *digest = digest_of(path, &manifest);
    pthread_mutex_lock(&d->lock);
    const struct blob *blob = digest ? find(d, digest) : NULL;
    if (blob && manifest == (blob->fd < 0))
        answer_blob(d, blob, ret);
    else
        not_found(ret);
    pthread_mutex_unlock(&d->lock);
}

/* ---- opening ---- */

int distribution_open(int listen_fd, const struct distribution_store *store,
                      struct distribution **ret, struct error *err) {
    struct distribution *d = mem_new(struct distribution);
    *d = (struct distribution){.store = store};
    pthread_mutex_init(&d->lock, NULL);
    struct http_server_options options = {.listen_fd = listen_fd,
                                          .connections_max = DISTRIBUTION_CONNECTIONS_MAX,
                                          .timeout_s = DISTRIBUTION_TIMEOUT_S,
                                          .serve = serve,
                                          .context = d};
    if (http_server_open(&options, &d->server, err) < 0) {
        pthread_mutex_destroy(&d->lock);
        free(d);
        return -1;
    }
    *ret = d;
    return 0;
}

void distribution_close(struct distribution *d) {
    http_server_close(d->server);
    for (size_t i = 0; i < d->count; i++) {
        if (d->blobs[i].fd >= 0)
            close(d->blobs[i].fd);
        free(d->blobs[i].text);
    }
    free(d->blobs);
    free(d->answer);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

/* ---- offering ---- */

static void add(struct distribution *d, struct blob blob) {
    mem_grow(d->blobs, d->count, d->capacity);
    d->blobs[d->count++] = blob;
}

/* 1: it is not in the store. */
static int hold(struct distribution *d, const char *digest, uint64_t *ret_bytes) {
    const struct blob *known = find(d, digest);
    if (known) {
        *ret_bytes = known->bytes;
        return 0;
    }
    struct blob blob = {.fd = distribution_store_find(d->store, digest, ret_bytes)};
    if (blob.fd < 0)
        return 1;
    blob.bytes = *ret_bytes;
    memcpy(blob.digest, digest, sizeof blob.digest); /* it was found, so it is a digest */
    add(d, blob);
    return 0;
}

static struct json *descriptor(const char *media, const char *digest, uint64_t bytes) {
    struct json *v = json_new_object();
    json_set_text(v, "mediaType", media);
    json_set_text(v, "digest", digest);
    json_set_int(v, "size", (int64_t)bytes);
    return v;
}

static int make_manifest(struct distribution *d, const struct distribution_wanted *image,
                         char **ret) {
    cleanup(json_freep) struct json *manifest = json_new_object();
    uint64_t bytes;
    json_set_int(manifest, "schemaVersion", 2);
    json_set_text(manifest, "mediaType", MEDIA_MANIFEST);
    if (hold(d, image->config, &bytes) != 0)
        return 1;
    json_set(manifest, "config", descriptor(MEDIA_CONFIG, image->config, bytes));
    struct json *layers = json_set_array(manifest, "layers");
    for (size_t i = 0; i < image->layer_count; i++) {
        if (hold(d, image->layers[i], &bytes) != 0)
            return 1;
        json_append(layers, descriptor(MEDIA_LAYER_TAR, image->layers[i], bytes));
    }
    *ret = json_to_text(manifest, JSON_LINE);
    return 0;
}

static int offer(struct distribution *d, const struct distribution_wanted *image,
                 char ret_digest[DIGEST_TEXT_SIZE], struct error *err) {
    unsigned char hash[SHA256_SIZE];
    char *text;
    if (d->offers == DISTRIBUTION_OFFERS_MAX || image->layer_count > REGISTRY_LAYERS_MAX)
        return error_set(err, ERROR_LIMIT,
                         "more than %d images, or an image of more than %d layers",
                         DISTRIBUTION_OFFERS_MAX, REGISTRY_LAYERS_MAX);
    if (make_manifest(d, image, &text) != 0)
        return 1;
    struct blob blob = {.fd = -1, .bytes = strlen(text), .text = text};
    sha256_of(text, strlen(text), hash);
    digest_text(hash, blob.digest);
    memcpy(ret_digest, blob.digest, sizeof blob.digest);
    if (find(d, blob.digest)) {
        free(text);
        return 0;
    }
    add(d, blob);
    d->offers++;
    return 0;
}

int distribution_offer(struct distribution *d, const struct distribution_wanted *image,
                       char ret_digest[DIGEST_TEXT_SIZE], struct error *err) {
    pthread_mutex_lock(&d->lock);
    int r = offer(d, image, ret_digest, err);
    pthread_mutex_unlock(&d->lock);
    return r;
}
