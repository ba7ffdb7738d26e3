#include "images/credentials.h"

#include "images/registry_url.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

static void wipe(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void credentials_deinit(struct credentials *c) {
    free(c->username);
    wipe(c->password);
    wipe(c->identity_token);
    free(c->origin);
    *c = CREDENTIALS_NULL;
}

bool credentials_known(const struct credentials *c) {
    return c->identity_token || c->username;
}

/* ---- config.json ---- */

static bool same_server(const char *a, const char *domain) {
    char left[REGISTRY_HOST_MAX + 1], right[REGISTRY_HOST_MAX + 1];
    return text_equal(registry_server_name(a, left), registry_server_name(domain, right));
}

/* The member for that registry, by whatever spelling; `ret_key` is the one that it has. */
static const struct json *member_of(const struct json *object, const char *domain,
                                    const char **ret_key) {
    struct json_cursor cursor = {0};
    const struct json *found = NULL;
    while (object && json_next(object, &cursor)) {
        if (found && !text_equal(cursor.key, domain))
            continue;
        if (same_server(cursor.key, domain)) {
            found = cursor.value;
            *ret_key = cursor.key;
        }
    }
    return found;
}

static bool usable(const char *text, size_t size) {
    return size > 0 && size <= CREDENTIALS_TEXT_MAX && !memchr(text, '\0', size);
}

/* "user:password" in base64. */
static int read_pair(const char *encoded, struct credentials *c, struct error *err) {
    cleanup(buffer_deinit) struct buffer pair;
    buffer_init(&pair, 2 * CREDENTIALS_TEXT_MAX);
    struct error hidden = ERROR_NULL; /* it could quote the secret */
    int r = base64_decode(encoded, strlen(encoded), &pair, &hidden);
    const char *text = buffer_string(&pair);
    const char *colon = r == 0 ? memchr(text, ':', pair.size) : NULL;
    if (colon) {
        size_t user_size = (size_t)(colon - text), size = pair.size - user_size - 1;
        while (size > 0 && colon[size] == '\0') /* docker has padded with them */
            size--;
        if (usable(text, user_size) && usable(colon + 1, size)) {
            c->username = strndup(text, user_size);
            c->password = strndup(colon + 1, size);
        }
    }
    if (pair.data)
        explicit_bzero(pair.data, pair.size);
    if (!c->username)
        return error_set(err, ERROR_CONFIG, "'auth' is not the base64 text of USER:SECRET");
    return 0;
}

static int read_plain(const struct json *entry, struct credentials *c, struct error *err) {
    const char *auth, *token, *username, *password;
    if (json_get_text(entry, "auth", "", &auth, err) < 0 ||
        json_get_text(entry, "identitytoken", "", &token, err) < 0 ||
        json_get_text(entry, "username", "", &username, err) < 0 ||
        json_get_text(entry, "password", "", &password, err) < 0)
        return -1;
    if (token[0] && strlen(token) <= CREDENTIALS_TEXT_MAX)
        c->identity_token = text_dup(token);
    else if (auth[0])
        return read_pair(auth, c, err);
    else if (usable(username, strlen(username)) && usable(password, strlen(password))) {
        c->username = text_dup(username);
        c->password = text_dup(password);
    }
    return 0;
}

/* A part of a program's name. */
static int check_helper(const char *name, struct error *err) {
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    if (name[size] == '\0' && size <= 64)
        return 0;
    char shown[100];
    return error_set(err, ERROR_CONFIG, "'%s' is not the name of a credential helper",
                     text_safe(name, shown, sizeof shown));
}

static int read_config(const struct json *v, const char *domain, struct credentials_config *c,
                       struct error *err) {
    const struct json *helpers, *auths, *entry;
    const char *store, *key = NULL;
    if (json_get_object(v, "credHelpers", &helpers, err) < 0 ||
        json_get_text(v, "credsStore", "", &store, err) < 0 ||
        json_get_object(v, "auths", &auths, err) < 0)
        return -1;
    entry = member_of(auths, domain, &key);
    /* Helpers know Docker Hub by an address of their own, for ever. */
    char name[REGISTRY_HOST_MAX + 1];
    bool hub = text_equal(registry_server_name(domain, name), "index.docker.io");
    c->server = text_dup(hub ? "https://index.docker.io/v1/" : domain);
    const char *helper_key = NULL,
               *helper = json_text_or_null(member_of(helpers, domain, &helper_key));
    if (helper && helper[0])
        c->helper = helper;
    else if (store[0]) {
        c->helper = store;
        c->helper_is_store = true;
    }
    if (c->helper)
        return check_helper(c->helper, err);
    if (entry && read_plain(entry, &c->plain, err) < 0) {
        char shown[200];
        return error_wrap(err, "'auths' for '%s'", text_safe(key, shown, sizeof shown));
    }
    return 0;
}

int credentials_config_read(const struct json *config, const char *domain,
                            struct credentials_config *ret, struct error *err) {
    cleanup(credentials_config_deinit) struct credentials_config c = {.plain = CREDENTIALS_NULL};
    if (read_config(config, domain, &c, err) < 0) {
        err->kind = ERROR_CONFIG;
        return -1;
    }
    *ret = c;
    c = (struct credentials_config){.plain = CREDENTIALS_NULL};
    return 0;
}

void credentials_config_deinit(struct credentials_config *config) {
    free(config->server);
    credentials_deinit(&config->plain);
    *config = (struct credentials_config){.plain = CREDENTIALS_NULL};
}

int credentials_answer_read(const char *text, size_t size, struct credentials *ret,
                            struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    const char *username, *secret;
    struct error hidden = ERROR_NULL; /* it could quote the secret */
    if (json_parse(text, size, CREDENTIALS_ANSWER_MAX, &v, &hidden) < 0 ||
        json_require_text(v, "Username", &username, &hidden) < 0 ||
        json_require_text(v, "Secret", &secret, &hidden) < 0 || !usable(secret, strlen(secret)) ||
        strlen(username) > CREDENTIALS_TEXT_MAX)
        return error_set(err, ERROR_INVALID, "it does not say user and secret");
    bool token = text_equal(username, "<token>");
    *ret = (struct credentials){.username = token ? NULL : text_dup(username),
                                .password = token ? NULL : text_dup(secret),
                                .identity_token = token ? text_dup(secret) : NULL};
    return 0;
}

/* ---- looking it up ---- */

static char *config_path(const char *folder) {
    const char *named = folder ? folder : getenv("DOCKER_CONFIG");
    if (named && named[0])
        return path_join(named, "config.json");
    const char *home = getenv("HOME");
    return home && home[0] ? path_join(home, ".docker/config.json") : NULL;
}

/* 1 when there is none. */
static int read_file(const char *path, struct json **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (!path)
        return 1;
    int r = file_read(path, CREDENTIALS_FILE_MAX, &text, err);
    if (r < 0 && err->kind == ERROR_NOT_FOUND) {
        error_clear(err);
        return 1;
    }
    if (r == 0)
        r = json_parse(buffer_string(&text), text.size, CREDENTIALS_FILE_MAX, ret, err);
    if (text.data)
        explicit_bzero(text.data, text.size);
    if (r == 0 && !json_is_object(*ret))
        r = error_set(err, ERROR_CONFIG, "it must be an object");
    if (r < 0)
        err->kind = ERROR_CONFIG;
    return r < 0 ? error_wrap(err, "'%s'", path) : 0;
}

static int ask(const struct credentials_config *config, const struct task *task,
               struct credentials *ret, struct error *err) {
    int r = credentials_ask_helper(config->helper, config->server, task, ret, err);
    if (r < 0)
        return error_wrap(err, "credential helper '%s'", config->helper);
    if (r == 0)
        ret->origin = text_format("%s '%s'", config->helper_is_store ? "credsStore" : "credHelper",
                                  config->helper);
    return 0;
}

int credentials_find(const char *folder, const char *domain, const struct task *task,
                     struct credentials *ret, struct error *err) {
    cleanup_free char *path = config_path(folder);
    cleanup(json_freep) struct json *v = NULL;
    cleanup(credentials_config_deinit) struct credentials_config config = {.plain =
                                                                               CREDENTIALS_NULL};
    *ret = CREDENTIALS_NULL;
    int r = read_file(path, &v, err);
    if (r != 0)
        return r < 0 ? -1 : 0;
    if (credentials_config_read(v, domain, &config, err) < 0)
        return error_wrap(err, "'%s'", path);
    if (config.helper)
        return ask(&config, task, ret, err);
    *ret = config.plain;
    config.plain = CREDENTIALS_NULL;
    if (credentials_known(ret))
        ret->origin = text_format("auths of '%s'", path);
    return 0;
}
