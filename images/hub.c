#include "images/hub.h"

#include "images/registry_challenge.h"
#include "lib/http.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CALL_NS (60 * NS_PER_SEC)
enum { PAGE_TAGS = 100, ANSWER_MAX = 4 * 1024 * 1024 };

struct hub {
    struct http *http;
    char *authorization; /* a header; NULL: not logged in */
};

static void wipe(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

/* ---- calls ---- */

static void words_of(const struct http_response *response, char *out, size_t size) {
    static const char *const keys[] = {"detail", "message", "errinfo.message"};
    cleanup(json_freep) struct json *v = NULL;
    struct error ignored = ERROR_NULL;
    const char *text = NULL;
    out[0] = '\0';
    if (json_parse(buffer_string(&response->body), response->body.size, 0, &v, &ignored) < 0)
        return;
    for (size_t i = 0; !text && i < sizeof keys / sizeof *keys; i++)
        text = json_text_or_null(json_find(v, keys[i]));
    if (text)
        text_safe(text, out, size);
}

static int refuse(const struct http_response *response, struct error *err) {
    int status = response->status;
    char words[300], after[64];
    words_of(response, words, sizeof words);
    error_set(err, status == 429 || status >= 500 ? ERROR_UNREACHABLE : ERROR_REFUSED,
              "Docker Hub answered with status %d%s%s", status, words[0] ? ": " : "", words);
    if (status == 429)
        return error_hint(err, "too many requests: wait %s",
                          http_response_header(response, "Retry-After", after, sizeof after)[0]
                              ? after
                              : "some minutes");
    if (status == 401 || status == 403)
        return error_hint(err, "docker.username and docker.access_token of deployment.yaml, or "
                               "`docker login`: the token may have expired, or may not do this");
    return -1;
}

/* 404 is an answer. */
static int call(struct hub *hub, const char *method, const char *path, const struct json *body,
                const struct task *task, struct http_response *ret, struct error *err) {
    cleanup_free char *text = body ? json_to_text(body, JSON_LINE) : NULL;
    const char *const headers[] = {hub->authorization, NULL};
    struct http_request request = {.method = method,
                                   .path = path,
                                   .headers = headers,
                                   .content_type = text ? "application/json" : NULL,
                                   .body = text,
                                   .body_size = text ? strlen(text) : 0,
                                   .body_max = ANSWER_MAX};
    struct task limited = task_within(task, CALL_NS);
    int r = http_call(hub->http, &request, &limited, ret, err);
    if (text)
        explicit_bzero(text, strlen(text));
    if (r < 0)
        return error_wrap(err, "Docker Hub");
    return ret->status == 404 || (ret->status >= 200 && ret->status < 300) ? 0 : refuse(ret, err);
}

/* ---- opening ---- */

static int log_in(struct hub *hub, const struct credentials *c, const struct task *task,
                  struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_freep) struct json *body = json_new_object();
    char *token;
    uint64_t seconds;
    json_set_text(body, "username", c->username);
    json_set_text(body, "password", c->password);
    if (call(hub, "POST", "/v2/users/login", body, task, &response, err) < 0)
        return error_wrap(err, "log in as '%s'", c->username);
    int r = registry_token_parse(buffer_string(&response.body), response.body.size, &token,
                                 &seconds, err);
    if (response.body.data)
        explicit_bzero(response.body.data, response.body.size);
    if (r < 0)
        return error_wrap(err, "log in at Docker Hub");
    hub->authorization = text_format("Authorization: Bearer %s", token);
    wipe(token);
    return 0;
}

int hub_open(const struct credentials *credentials, const char *unix_socket,
             const struct task *task, struct hub **ret, struct error *err) {
    cleanup(hub_closep) struct hub *hub = mem_new(struct hub);
    struct http_tls tls = {.ca_file = NULL};
    struct http_address address = {
        .host = "hub.docker.com", .port = 443, .tls = &tls, .proxies = true};
    if (unix_socket)
        address = (struct http_address){.unix_socket = unix_socket};
    if (!credentials->username || !credentials->password) {
        error_set(err, ERROR_REFUSED, "Docker Hub wants a user and an access token");
        return error_hint(err, "docker.username and docker.access_token of deployment.yaml, or "
                               "`docker login`");
    }
    if (http_open(&address, &hub->http, err) < 0 || log_in(hub, credentials, task, err) < 0)
        return -1;
    *ret = take_ptr(hub);
    return 0;
}

void hub_close(struct hub *hub) {
    http_close(hub->http);
    wipe(hub->authorization);
    free(hub);
}

/* ---- repositories ---- */

/* "/v2/repositories/someone/app/" and `rest`. */
static int path_of(const char *path, const char *rest, struct buffer *ret, struct error *err) {
    const char *slash = strchr(path, '/');
    if (!slash || slash == path || !slash[1] || strchr(slash + 1, '/')) {
        char shown[200];
        return error_set(err, ERROR_INVALID, "'%s' is no repository of Docker Hub (OWNER/NAME)",
                         text_safe(path, shown, sizeof shown));
    }
    cleanup_free char *owner = text_format("%.*s", (int)(slash - path), path);
    buffer_init(ret, HTTP_PATH_MAX);
    buffer_text(ret, "/v2/repositories");
    http_path_segment(ret, owner);
    http_path_segment(ret, slash + 1);
    buffer_text(ret, rest);
    return 0;
}

int hub_create(struct hub *hub, const char *path, bool is_private, const struct task *task,
               struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer url = BUFFER_NULL;
    cleanup(json_freep) struct json *body = json_new_object();
    if (path_of(path, "/", &url, err) < 0 ||
        call(hub, "GET", buffer_string(&url), NULL, task, &response, err) < 0)
        return error_wrap(err, "look for repository '%s'", path);
    if (response.status != 404)
        return 1;
    cleanup_free char *owner = text_format("%.*s", (int)strcspn(path, "/"), path);
    json_set_text(body, "namespace", owner);
    json_set_text(body, "name", strchr(path, '/') + 1);
    json_set_bool(body, "is_private", is_private);
    if (call(hub, "POST", "/v2/repositories/", body, task, &response, err) < 0)
        return error_wrap(err, "create repository '%s'", path);
    if (response.status == 404)
        return error_set(err, ERROR_NOT_FOUND, "create repository '%s': Docker Hub has no '%s'",
                         path, owner);
    return 0;
}

/* ---- tags ---- */

void hub_tags_deinit(struct hub_tags *tags) {
    for (size_t i = 0; i < tags->count; i++) {
        free(tags->tags[i].name);
        free(tags->tags[i].digest);
        free(tags->tags[i].updated);
    }
    free(tags->tags);
    *tags = HUB_TAGS_NULL;
}

static int read_tag(const struct json *v, struct hub_tags *tags, struct error *err) {
    const char *name, *digest, *updated;
    uint64_t bytes;
    if (json_require_text(v, "name", &name, err) < 0 ||
        json_get_text(v, "digest", "", &digest, err) < 0 ||
        json_get_text(v, "last_updated", "", &updated, err) < 0 ||
        json_get_u64(v, "full_size", 0, &bytes, err) < 0)
        return -1;
    if (tags->count == HUB_TAGS_MAX)
        return error_set(err, ERROR_LIMIT, "it has more than %d tags", HUB_TAGS_MAX);
    mem_grow(tags->tags, tags->count, tags->capacity);
    tags->tags[tags->count++] = (struct hub_tag){.name = text_dup(name),
                                                 .digest = text_dup(digest),
                                                 .updated = text_dup(updated),
                                                 .size_bytes = bytes};
    return 0;
}

/* `ret_more`: there is a further page, wherever it says that it is. */
static int read_page(const struct http_response *response, struct hub_tags *tags, bool *ret_more,
                     struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    const struct json *list;
    const char *next;
    size_t before = tags->count;
    if (json_parse(buffer_string(&response->body), response->body.size, 0, &v, err) < 0 ||
        json_require_array(v, "results", &list, err) < 0 ||
        json_get_text(v, "next", "", &next, err) < 0)
        return error_wrap(err, "Docker Hub's list of tags");
    for (size_t i = 0; i < json_count(list); i++)
        if (read_tag(json_at(list, i), tags, err) < 0)
            return error_wrap(err, "Docker Hub's list of tags");
    *ret_more = next[0] && tags->count > before;
    return 0;
}

int hub_list_tags(struct hub *hub, const char *path, const struct task *task, struct hub_tags *ret,
                  struct error *err) {
    cleanup(hub_tags_deinit) struct hub_tags tags = HUB_TAGS_NULL;
    bool more = true;
    for (unsigned page = 1; more; page++) {
        cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
        cleanup(buffer_deinit) struct buffer url = BUFFER_NULL;
        if (path_of(path, "/tags", &url, err) < 0)
            return -1;
        buffer_format(&url, "?page_size=%d&page=%u", PAGE_TAGS, page);
        if (call(hub, "GET", buffer_string(&url), NULL, task, &response, err) < 0)
            return error_wrap(err, "tags of '%s'", path);
        if (response.status == 404)
            return 1;
        if (read_page(&response, &tags, &more, err) < 0)
            return error_wrap(err, "tags of '%s'", path);
    }
    *ret = tags;
    tags = HUB_TAGS_NULL;
    return 0;
}

int hub_delete_tag(struct hub *hub, const char *path, const char *tag, const struct task *task,
                   struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer url = BUFFER_NULL;
    if (path_of(path, "/tags", &url, err) < 0)
        return -1;
    http_path_segment(&url, tag);
    buffer_text(&url, "/");
    if (call(hub, "DELETE", buffer_string(&url), NULL, task, &response, err) < 0)
        return error_wrap(err, "delete tag '%s' of '%s'", tag, path);
    return response.status == 404;
}
