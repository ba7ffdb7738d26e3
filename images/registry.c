#include "images/registry.h"

#include "images/registry_impl.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char accepted[] =
    MEDIA_OCI_INDEX ", " MEDIA_INDEX ", " MEDIA_OCI_MANIFEST ", " MEDIA_MANIFEST;

enum { PAGE_TAGS = 1000 };

/* ---- opening ---- */

static struct credentials copy(const struct credentials *c) {
    if (!c)
        return CREDENTIALS_NULL;
    return (struct credentials){.username = text_dup(c->username),
                                .password = text_dup(c->password),
                                .identity_token = text_dup(c->identity_token),
                                .origin = text_dup(c->origin)};
}

int registry_open(const struct registry_options *options, struct registry **ret,
                  struct error *err) {
    cleanup(registry_closep) struct registry *r = mem_new(struct registry);
    r->domain = text_dup(options->domain);
    r->certificates =
        text_dup(options->certificates ? options->certificates : "/etc/docker/certs.d");
    r->unix_socket = text_dup(options->unix_socket);
    r->credentials = copy(options->credentials);
    r->pause_ns = options->pause_ns ? options->pause_ns : REGISTRY_PAUSE_NS_DEFAULT;
    r->on_pause = options->on_pause;
    r->arg = options->arg;
    if (registry_url_of_domain(options->domain, &r->url, err) < 0 ||
        registry_connect(r, &r->url, &r->http, err) < 0)
        return -1;
    *ret = take_ptr(r);
    return 0;
}

void registry_close(struct registry *registry) {
    if (!registry)
        return;
    http_close(registry->http);
    for (size_t i = 0; i < registry->token_count; i++)
        registry_token_deinit(&registry->tokens[i]);
    credentials_deinit(&registry->credentials);
    free(registry->domain);
    free(registry->certificates);
    free(registry->unix_socket);
    free(registry);
}

static char *existing(const char *folder, const char *name) {
    cleanup_free char *path = path_join(folder, name);
    return file_exists(path) ? take_ptr(path) : NULL;
}

int registry_connect(const struct registry *registry, const struct registry_url *url,
                     struct http **ret, struct error *err) {
    bool itself = text_equal(url->host, registry->url.host) && url->port == registry->url.port;
    cleanup_free char *name = itself             ? text_dup(registry->domain)
                              : url->port == 443 ? text_dup(url->host)
                                                 : text_format("%s:%u", url->host, url->port);
    cleanup_free char *folder = path_join(registry->certificates, name);
    cleanup_free char *ca = existing(folder, "ca.crt");
    cleanup_free char *cert = existing(folder, "client.cert");
    cleanup_free char *key = existing(folder, "client.key");
    struct http_tls tls = {.ca_file = ca,
                           .cert_file = key ? cert : NULL,
                           .key_file = cert ? key : NULL,
                           .skip_verify = !ca && registry_url_is_loopback(url)};
    struct http_address address = {.host = url->host,
                                   .port = url->port,
                                   .tls = url->tls ? &tls : NULL,
                                   .proxies = !registry_url_is_loopback(url)};
    if (registry->unix_socket)
        address = (struct http_address){.unix_socket = registry->unix_socket};
    return http_open(&address, ret, err);
}

/* ---- manifests ---- */

void registry_manifest_deinit(struct registry_manifest *manifest) {
    buffer_deinit(&manifest->body);
    *manifest = REGISTRY_MANIFEST_NULL;
}

static int check_path(const char *path, struct error *err) {
    size_t size = strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789._-/");
    if (path[0] && !path[size] && path[0] != '/' && !strstr(path, "..") && size <= 255)
        return 0;
    char shown[300];
    return error_set(err, ERROR_INVALID, "'%s' is no name of a repository",
                     text_safe(path, shown, sizeof shown));
}

static void take_media(const struct http_response *response, char media[REGISTRY_MEDIA_MAX + 1]) {
    http_response_header(response, "Content-Type", media, REGISTRY_MEDIA_MAX + 1);
    media[strcspn(media, "; ")] = '\0';
}

/* What the registry says its digest is; "" where it says nothing. */
static int take_digest(const struct http_response *response, char digest[DIGEST_TEXT_SIZE],
                       struct error *err) {
    char text[DIGEST_TEXT_SIZE + 64];
    http_response_header(response, "Docker-Content-Digest", text, sizeof text);
    if (text[0] && !digest_text_valid(text)) {
        char shown[200];
        return error_set(err, ERROR_INVALID, "it says '%s' where a digest belongs",
                         text_safe(text, shown, sizeof shown));
    }
    snprintf(digest, DIGEST_TEXT_SIZE, "%s", text);
    return 0;
}

static int other_digest(const char *wanted, const char *found, struct error *err) {
    return error_set(err, ERROR_INVALID, "it was asked for %s and answers with %s", wanted, found);
}

static int ask(struct registry *r, const char *method, const char *path, const char *reference,
               const struct task *task, struct http_response *ret, struct error *err) {
    if (check_path(path, err) < 0)
        return -1;
    cleanup_free char *scope = text_format("repository:%s:pull", path);
    cleanup(buffer_deinit) struct buffer url;
    buffer_init(&url, HTTP_PATH_MAX);
    buffer_format(&url, "/v2/%s/manifests", path);
    http_path_segment(&url, reference);
    struct registry_call call = {
        .method = method, .path = buffer_string(&url), .scope = scope, .accept = accepted};
    if (registry_call(r, &call, task, ret, err) < 0)
        return -1;
    return ret->status == 404;
}

static int read_body(struct http_response *response, const char *reference,
                     struct registry_manifest *m, struct error *err) {
    unsigned char hash[SHA256_SIZE];
    char digest[DIGEST_TEXT_SIZE];
    sha256_of(buffer_string(&response->body), response->body.size, hash);
    digest_text(hash, digest);
    if (m->digest[0] && !text_equal(m->digest, digest))
        return other_digest(m->digest, digest, err);
    if (digest_text_valid(reference) && !text_equal(reference, digest))
        return other_digest(reference, digest, err);
    memcpy(m->digest, digest, sizeof digest);
    m->body = response->body;
    response->body = BUFFER_NULL;
    return 0;
}

static int name_it(int r, const struct registry *registry, const char *path, const char *reference,
                   struct error *err) {
    if (r >= 0)
        return r;
    char shown_path[300], shown[200];
    return error_wrap(
        err, "'%s/%s%s%s'", registry->domain, text_safe(path, shown_path, sizeof shown_path),
        strchr(reference, ':') ? "@" : ":", text_safe(reference, shown, sizeof shown));
}

int registry_get(struct registry *registry, const char *path, const char *reference,
                 const struct task *task, struct registry_manifest *ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(registry_manifest_deinit) struct registry_manifest m = REGISTRY_MANIFEST_NULL;
    int r = ask(registry, "GET", path, reference, task, &response, err);
    if (r == 0)
        r = take_digest(&response, m.digest, err);
    if (r == 0)
        r = read_body(&response, reference, &m, err);
    if (r != 0)
        return name_it(r, registry, path, reference, err);
    take_media(&response, m.media);
    *ret = m;
    m = REGISTRY_MANIFEST_NULL;
    return 0;
}

int registry_head(struct registry *registry, const char *path, const char *reference,
                  const struct task *task, struct registry_manifest *ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct registry_manifest m = REGISTRY_MANIFEST_NULL;
    int r = ask(registry, "HEAD", path, reference, task, &response, err);
    if (r == 0)
        r = take_digest(&response, m.digest, err);
    if (r == 0 && !m.digest[0]) /* it must be computed, then */
        return registry_get(registry, path, reference, task, ret, err);
    if (r == 0 && digest_text_valid(reference) && !text_equal(reference, m.digest))
        r = other_digest(reference, m.digest, err);
    if (r != 0)
        return name_it(r, registry, path, reference, err);
    take_media(&response, m.media);
    *ret = m;
    return 0;
}

int registry_check(struct registry *registry, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    struct registry_call call = {.method = "GET", .path = "/v2/", .scope = ""};
    if (registry_call(registry, &call, task, &response, err) < 0)
        return -1;
    if (response.status == 404)
        return error_set(err, ERROR_INVALID, "'%s' is no registry: it has no /v2/",
                         registry->domain);
    return 0;
}

/* "100;w=21600". Returns 1 for anything else. */
static int read_limit(const char *text, uint64_t *ret, uint64_t *ret_window_s) {
    struct error ignored = ERROR_NULL;
    const char *window = strstr(text, ";w=");
    if (!window)
        return 1;
    cleanup_free char *count = text_format("%.*s", (int)(window - text), text);
    if (text_to_u64(count, 0, UINT32_MAX, ret, &ignored) < 0 ||
        text_to_u64(window + strlen(";w="), 1, UINT32_MAX, ret_window_s, &ignored) < 0)
        return 1;
    return 0;
}

int registry_pull_limits(struct registry *registry, const char *path, const char *tag,
                         const struct task *task, struct registry_limits *ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    char all[64], left[64];
    struct registry_limits limits;
    if (ask(registry, "HEAD", path, tag, task, &response, err) < 0)
        return -1;
    http_response_header(&response, "ratelimit-limit", all, sizeof all);
    http_response_header(&response, "ratelimit-remaining", left, sizeof left);
    if (read_limit(all, &limits.pulls, &limits.window_s) != 0 ||
        read_limit(left, &limits.left, &limits.window_s) != 0)
        return 1;
    *ret = limits;
    return 0;
}

/* ---- tags ---- */

void registry_tags_deinit(struct registry_tags *tags) {
    for (size_t i = 0; i < tags->count; i++)
        free(tags->names[i]);
    free(tags->names);
    *tags = REGISTRY_TAGS_NULL;
}

static int read_tags(const struct http_response *response, struct registry_tags *tags,
                     struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    const struct json *list;
    if (json_parse(buffer_string(&response->body), response->body.size, 0, &v, err) < 0 ||
        json_get_array(v, "tags", &list, err) < 0)
        return error_wrap(err, "the list of tags");
    for (size_t i = 0; i < json_count(list); i++) {
        const char *name = json_text_or_null(json_at(list, i));
        if (!name)
            return error_set(err, ERROR_INVALID, "the list of tags holds what is no tag");
        if (tags->count >= REGISTRY_TAGS_MAX)
            return error_set(err, ERROR_LIMIT, "it has more than %d tags", REGISTRY_TAGS_MAX);
        mem_grow(tags->names, tags->count, tags->capacity);
        tags->names[tags->count++] = text_dup(name);
    }
    return 0;
}

/* Whether there is a further page: it begins behind the last tag of this one, wherever the header
 * Link says that it is. */
static bool has_more(const struct http_response *response, const struct registry_tags *tags,
                     size_t before) {
    char link[HTTP_HEADERS_MAX / 8];
    http_response_header(response, "Link", link, sizeof link);
    return strstr(link, "rel=\"next\"") && tags->count > before;
}

static int list_page(struct registry *r, const char *path, struct registry_tags *tags,
                     const struct task *task, bool *ret_more, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup_free char *scope = text_format("repository:%s:pull", path);
    cleanup(buffer_deinit) struct buffer url;
    size_t before = tags->count;
    buffer_init(&url, HTTP_PATH_MAX);
    buffer_format(&url, "/v2/%s/tags/list?n=%d", path, PAGE_TAGS);
    if (before)
        http_path_query(&url, "last", tags->names[before - 1]);
    struct registry_call call = {.method = "GET", .path = buffer_string(&url), .scope = scope};
    if (buffer_check(&url, "the name of a tag", err) < 0 ||
        registry_call(r, &call, task, &response, err) < 0)
        return -1;
    if (response.status == 404)
        return 1;
    if (read_tags(&response, tags, err) < 0)
        return error_wrap(err, "registry '%s'", r->domain);
    *ret_more = has_more(&response, tags, before);
    return 0;
}

int registry_list_tags(struct registry *registry, const char *path, const struct task *task,
                       struct registry_tags *ret, struct error *err) {
    cleanup(registry_tags_deinit) struct registry_tags tags = REGISTRY_TAGS_NULL;
    if (check_path(path, err) < 0)
        return -1;
    for (bool more = true; more;) {
        int r = list_page(registry, path, &tags, task, &more, err);
        if (r < 0)
            return error_wrap(err, "tags of '%s/%s'", registry->domain, path);
        if (r > 0)
            return 1;
    }
    *ret = tags;
    tags = REGISTRY_TAGS_NULL;
    return 0;
}
