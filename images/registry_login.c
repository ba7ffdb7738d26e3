/* How a registry gets to know us: user and password, or a token of the server that it names. */

#include "images/registry_impl.h"

#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

/* Said good-bye to before it ends, so that it does not end on its way. */
#define TOKEN_MARGIN_NS (5 * NS_PER_SEC)
enum { TOKEN_ANSWER_MAX = 256 * 1024, AUTHORIZATION_MAX = 96 * 1024 };

static void wipe(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void registry_token_deinit(struct registry_token *token) {
    free(token->scope);
    wipe(token->token);
}

static char *basic_header(const struct credentials *c) {
    cleanup_free char *pair = text_format("%s:%s", c->username, c->password ? c->password : "");
    cleanup(buffer_deinit) struct buffer header;
    buffer_init(&header, AUTHORIZATION_MAX);
    buffer_text(&header, "Authorization: Basic ");
    base64_encode(pair, strlen(pair), &header);
    explicit_bzero(pair, strlen(pair));
    return buffer_take(&header);
}

static struct registry_token *find_token(struct registry *r, const char *scope) {
    for (size_t i = 0; i < r->token_count; i++)
        if (text_equal(r->tokens[i].scope, scope))
            return &r->tokens[i];
    return NULL;
}

char *registry_authorization(struct registry *registry, const char *scope) {
    const struct registry_token *token = find_token(registry, scope);
    if (token && !instant_passed(token->until, clock_instant()))
        return text_format("Authorization: Bearer %s", token->token);
    if (registry->basic)
        return basic_header(&registry->credentials);
    return NULL;
}

static void keep_token(struct registry *r, const char *scope, char *token, uint64_t seconds) {
    struct registry_token *slot = find_token(r, scope);
    if (!slot && r->token_count < REGISTRY_TOKENS_MAX)
        slot = &r->tokens[r->token_count++];
    if (!slot)
        slot = &r->tokens[0];
    registry_token_deinit(slot);
    *slot = (struct registry_token){
        .scope = text_dup(scope),
        .token = token,
        .until = instant_after(clock_instant(), seconds * NS_PER_SEC - TOKEN_MARGIN_NS)};
}

/* ---- the server that gives tokens ---- */

static bool same_server(const struct registry_url *a, const struct registry_url *b) {
    return text_equal(a->host, b->host) && a->port == b->port;
}

/* Whoever names a server without TLS would have our password in the open. */
static int check_realm(const struct registry *r, const struct registry_url *realm,
                       struct error *err) {
    if (realm->tls || registry_url_is_loopback(realm) || r->unix_socket)
        return 0;
    return error_set(err, ERROR_REFUSED,
                     "it wants our password to be sent to 'http://%s:%u', without TLS", realm->host,
                     realm->port);
}

/* The parameters of the question, behind a '?' or in a body. */
static void add_parameters(const struct registry *r, const struct registry_challenge *c,
                           const char *scope, bool refresh, struct buffer *out) {
    if (c->service[0])
        http_path_query(out, "service", c->service);
    if (c->scope[0] || scope[0])
        http_path_query(out, "scope", c->scope[0] ? c->scope : scope);
    http_path_query(out, "client_id", "seatrial");
    if (refresh) {
        http_path_query(out, "grant_type", "refresh_token");
        http_path_query(out, "refresh_token", r->credentials.identity_token);
    } else if (r->credentials.username) {
        http_path_query(out, "account", r->credentials.username);
    }
}

static int send_question(const struct registry *r, struct http *http, const char *realm_path,
                         const struct buffer *parameters, const struct task *task,
                         struct http_response *ret, struct error *err) {
    bool refresh = r->credentials.identity_token != NULL;
    cleanup_free char *basic =
        !refresh && r->credentials.username ? basic_header(&r->credentials) : NULL;
    const char *const headers[] = {basic, NULL};
    /* The realm may have a query of its own. */
    const char *query = buffer_string(parameters);
    cleanup_free char *path =
        refresh ? text_dup(realm_path)
                : text_format("%s%c%s", realm_path, strchr(realm_path, '?') ? '&' : '?', query + 1);
    struct http_request request = {.method = refresh ? "POST" : "GET",
                                   .path = path,
                                   .headers = headers,
                                   .body_max = TOKEN_ANSWER_MAX};
    if (refresh) {
        request.content_type = "application/x-www-form-urlencoded";
        request.body = query + 1;
        request.body_size = parameters->size - 1;
    }
    int result = http_call(http, &request, task, ret, err);
    if (basic)
        explicit_bzero(basic, strlen(basic));
    return result;
}

static int refused_there(const struct registry *r, const struct registry_url *realm,
                         const struct http_response *response, struct error *err) {
    char words[500], who[200];
    registry_words(response, words, sizeof words);
    if (response->status != 401 && response->status != 403)
        return error_set(err,
                         response->status == 429 || response->status >= 500 ? ERROR_UNREACHABLE
                                                                            : ERROR_REFUSED,
                         "'%s', which gives tokens, answered with status %d%s%s", realm->host,
                         response->status, words[0] ? ": " : "", words);
    if (!credentials_known(&r->credentials))
        error_set(err, ERROR_REFUSED, "'%s' gives no token to somebody unknown%s%s", realm->host,
                  words[0] ? ": " : "", words);
    else
        error_set(err, ERROR_REFUSED, "'%s' does not accept user '%s' (known by %s)%s%s",
                  realm->host,
                  r->credentials.username ? text_safe(r->credentials.username, who, sizeof who)
                                          : "<token>",
                  r->credentials.origin ? r->credentials.origin : "the caller",
                  words[0] ? ": " : "", words);
    return error_hint(err,
                      "`docker login %s`, or say docker.username and docker.access_token in "
                      "deployment.yaml; the token may have expired",
                      r->domain);
}

static int ask_for_token(struct registry *r, const struct registry_challenge *challenge,
                         const char *scope, const struct task *task, struct error *err) {
    struct registry_url realm;
    cleanup(http_closep) struct http *elsewhere = NULL;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer parameters;
    if (registry_url_parse(challenge->realm, &realm, err) < 0 || check_realm(r, &realm, err) < 0)
        return -1;
    if (!same_server(&realm, &r->url) && registry_connect(r, &realm, &elsewhere, err) < 0)
        return -1;
    buffer_init(&parameters, HTTP_PATH_MAX);
    add_parameters(r, challenge, scope, r->credentials.identity_token != NULL, &parameters);
    int sent = buffer_check(&parameters, "the question for a token", err);
    if (sent == 0)
        sent = send_question(r, elsewhere ? elsewhere : r->http, realm.path, &parameters, task,
                             &response, err);
    if (parameters.data)
        explicit_bzero(parameters.data, parameters.size);
    if (sent < 0)
        return -1;
    if (response.status != 200)
        return refused_there(r, &realm, &response, err);
    char *token;
    uint64_t seconds;
    int parsed = registry_token_parse(buffer_string(&response.body), response.body.size, &token,
                                      &seconds, err);
    if (response.body.data)
        explicit_bzero(response.body.data, response.body.size);
    if (parsed == 0)
        keep_token(r, scope, token, seconds);
    return parsed;
}

int registry_login(struct registry *registry, const char *challenge, const char *scope,
                   const struct task *task, struct error *err) {
    struct registry_challenge c;
    if (registry_challenge_parse(challenge, &c, err) < 0)
        return -1;
    if (c.scheme == REGISTRY_BEARER)
        return ask_for_token(registry, &c, scope, task, err);
    if (!registry->credentials.username) {
        error_set(err, ERROR_REFUSED, "it wants to know who asks, and we have no password for it");
        return error_hint(err,
                          "`docker login %s`, or say docker.username and "
                          "docker.access_token in deployment.yaml",
                          registry->domain);
    }
    registry->basic = true;
    return 0;
}
