/* One request to a registry: with what it takes to be let in, and again when it has too much to do.
 */

#include "images/registry_impl.h"

#include "lib/crypto.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define CALL_NS (60 * NS_PER_SEC)

/* ---- pauses ---- */

static bool is_busy(int status) {
    return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* RFC 9110, section 10.2.3; of dates, the form that servers send. Returns 1 when it is neither. */
static int read_retry_after(const char *text, struct wall_time now, uint64_t *ret_ns) {
    struct error ignored = ERROR_NULL;
    uint64_t seconds;
    if (text_to_u64(text, 0, UINT32_MAX, &seconds, &ignored) == 0) {
        *ret_ns = seconds * NS_PER_SEC;
        return 0;
    }
    struct tm tm = {.tm_sec = 0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (!end || *end)
        return 1;
    int64_t until = (int64_t)timegm(&tm), at = now.ns / (int64_t)NS_PER_SEC;
    *ret_ns = until > at ? (uint64_t)(until - at) * NS_PER_SEC : 0;
    return 0;
}

uint64_t registry_pause_ns(int status, const char *retry_after, struct wall_time now,
                           unsigned tries, uint64_t first_ns, uint32_t random) {
    uint64_t pause = first_ns, wanted;
    if (!is_busy(status) || tries >= REGISTRY_TRIES_MAX)
        return 0;
    for (unsigned i = 1; i < tries && pause < REGISTRY_PAUSE_NS_MAX; i++)
        pause *= 2;
    if (pause > REGISTRY_PAUSE_NS_MAX)
        pause = REGISTRY_PAUSE_NS_MAX;
    pause += pause / 4 * (random % 1000) / 1000;
    if (!retry_after[0] || read_retry_after(retry_after, now, &wanted) != 0)
        return pause;
    if (wanted > REGISTRY_WAIT_NS_MAX)
        return 0;
    return wanted > pause ? wanted : pause;
}

static int pause_before(const struct registry *r, const char *why, uint64_t ns,
                        const struct task *task, struct error *err) {
    if (r->on_pause)
        r->on_pause(r->arg, why, ns);
    return task_sleep(task, ns, err);
}

static uint32_t any_number(void) {
    uint32_t n;
    random_bytes(&n, sizeof n);
    return n;
}

/* ---- what it says ---- */

void registry_words(const struct http_response *response, char *out, size_t size) {
    cleanup(json_freep) struct json *v = NULL;
    struct error ignored = ERROR_NULL;
    out[0] = '\0';
    if (json_parse(buffer_string(&response->body), response->body.size, 0, &v, &ignored) < 0)
        return;
    const char *code = json_text_or_null(json_find(v, "errors.0.code"));
    const char *message = json_text_or_null(json_find(v, "errors.0.message"));
    if (!message)
        message = json_text_or_null(json_member(v, "details")); /* of servers for tokens */
    if (!message)
        message = json_text_or_null(json_member(v, "message"));
    char safe_code[64] = "", safe_message[300] = "";
    if (code)
        text_safe(code, safe_code, sizeof safe_code);
    if (message)
        text_safe(message, safe_message, sizeof safe_message);
    snprintf(out, size, "%s%s%s", safe_code, code && message ? ": " : "", safe_message);
}

static int refused(const struct registry *r, const struct registry_call *call,
                   const struct http_response *response, struct error *err) {
    char words[500], after[64];
    int status = response->status;
    enum error_kind kind = is_busy(status)                 ? ERROR_UNREACHABLE
                           : status >= 400 && status < 500 ? ERROR_REFUSED
                                                           : ERROR_INVALID;
    registry_words(response, words, sizeof words);
    http_response_header(response, "Retry-After", after, sizeof after);
    error_set(err, kind, "%s answered with status %d%s%s", call->method, status,
              words[0] ? ": " : "", words);
    if (status == 429)
        return error_hint(err, "too many requests%s%s: wait, or log in, which allows more",
                          after[0] ? "; it wants a pause of " : "", after);
    if (status != 401 && status != 403)
        return -1;
    if (!credentials_known(&r->credentials))
        return error_hint(err,
                          "`docker login %s`, or say docker.username and docker.access_token "
                          "in deployment.yaml",
                          r->domain);
    return error_hint(err, "the user is known there (%s) and may not do this",
                      r->credentials.origin ? r->credentials.origin : "by the caller");
}

/* ---- once ---- */

static int send_once(struct registry *r, const struct registry_call *call, const struct task *task,
                     struct http_response *ret, struct error *err) {
    cleanup_free char *authorization = registry_authorization(r, call->scope);
    cleanup_free char *accept = call->accept ? text_format("Accept: %s", call->accept) : NULL;
    const char *headers[3] = {NULL};
    size_t count = 0;
    if (authorization)
        headers[count++] = authorization;
    if (accept)
        headers[count++] = accept;
    struct http_request request = {.method = call->method,
                                   .path = call->path,
                                   .headers = headers,
                                   .body_max = REGISTRY_MANIFEST_MAX};
    struct task limited = task_within(task, CALL_NS);
    int result = http_call(r->http, &request, &limited, ret, err);
    if (authorization)
        explicit_bzero(authorization, strlen(authorization));
    return result;
}

/* A registry of this machine that may know no TLS; engines go on without it, too. */
static bool knows_no_tls(const struct registry *r, const struct error *err) {
    bool strange = err->kind == ERROR_REFUSED || err->kind == ERROR_TIMEOUT ||
                   (err->kind == ERROR_UNREACHABLE && err->os_errno == 0);
    return strange && !r->settled && r->url.tls && registry_url_is_loopback(&r->url);
}

static int without_tls(struct registry *r, struct error *err) {
    r->url.tls = false;
    http_close(take_ptr(r->http));
    error_clear(err);
    return registry_connect(r, &r->url, &r->http, err);
}

static int send_known(struct registry *r, const struct registry_call *call, const struct task *task,
                      struct http_response *ret, struct error *err) {
    struct error ended = ERROR_NULL;
    int result = send_once(r, call, task, ret, err);
    if (result < 0 && knows_no_tls(r, err) && task_check(task, &ended) == 0) {
        if (without_tls(r, err) < 0)
            return -1;
        result = send_once(r, call, task, ret, err);
    }
    r->settled = r->settled || result == 0;
    return result;
}

/* With being asked who we are, once. */
static int send_as_somebody(struct registry *r, const struct registry_call *call,
                            const struct task *task, struct http_response *ret, struct error *err) {
    if (send_known(r, call, task, ret, err) < 0)
        return -1;
    if (ret->status != 401)
        return 0;
    char challenge[REGISTRY_CHALLENGE_MAX + 2];
    http_response_header(ret, "WWW-Authenticate", challenge, sizeof challenge);
    if (!challenge[0])
        return 0;
    if (registry_login(r, challenge, call->scope, task, err) < 0)
        return -1;
    return send_known(r, call, task, ret, err);
}

/* ---- until it is done ---- */

/* A connection that breaks is made again; one that nobody takes is not worth waiting for. */
static bool broke(const struct error *err) {
    return err->kind == ERROR_UNREACHABLE && err->os_errno == 0;
}

static int call_until_done(struct registry *r, const struct registry_call *call,
                           const struct task *task, struct http_response *ret, struct error *err) {
    for (unsigned tries = 1;; tries++) {
        int result = send_as_somebody(r, call, task, ret, err);
        bool again = result < 0 && broke(err);
        if (result < 0 && !again)
            return -1;
        if (!again && !is_busy(ret->status))
            return ret->status == 404 || (ret->status >= 200 && ret->status < 300)
                       ? 0
                       : refused(r, call, ret, err);
        char after[64] = "", why[64];
        if (!again)
            http_response_header(ret, "Retry-After", after, sizeof after);
        uint64_t ns = registry_pause_ns(again ? 503 : ret->status, after, clock_wall(), tries,
                                        r->pause_ns, any_number());
        if (ns == 0)
            return again ? -1 : refused(r, call, ret, err);
        snprintf(why, sizeof why, again ? "the connection broke" : "status %d",
                 again ? 0 : ret->status);
        error_clear(err);
        if (pause_before(r, why, ns, task, err) < 0)
            return -1;
    }
}

int registry_call(struct registry *registry, const struct registry_call *call,
                  const struct task *task, struct http_response *ret, struct error *err) {
    int r = call_until_done(registry, call, task, ret, err);
    return r < 0 ? error_wrap(err, "registry '%s'", registry->domain) : 0;
}
