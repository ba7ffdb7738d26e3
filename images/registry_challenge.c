#include "images/registry_challenge.h"

#include "lib/json.h"
#include "lib/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TOKEN_SECONDS_DEFAULT = 60, TOKEN_SECONDS_MAX = 24 * 3600 };

/* ---- the header ---- */

/* RFC 9110, section 5.6.2. */
static bool is_token(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_size(const char *at) {
    size_t size = 0;
    while (is_token(at[size]))
        size++;
    return size;
}

static const char *skip_space(const char *at) {
    return at + strspn(at, " \t");
}

/* A quoted string or a token into `ret`, cut at `size` with `ret_cut`. NULL: neither. */
static const char *read_value(const char *at, char *ret, size_t size, bool *ret_cut) {
    size_t n = 0;
    bool quoted = *at == '"';
    at += quoted;
    for (; quoted ? *at != '"' : is_token(*at); at++) {
        if (quoted && *at == '\\' && at[1])
            at++;
        if (*at == '\0')
            return NULL;
        if (n + 1 < size)
            ret[n++] = *at;
        else
            *ret_cut = true;
    }
    ret[n] = '\0';
    return quoted ? at + 1 : at;
}

/* Where a parameter of this name belongs; NULL: nowhere. */
static char *slot(struct registry_challenge *c, const char *name, size_t name_size,
                  size_t *ret_size) {
    const struct {
        const char *name;
        char *text;
        size_t size;
    } slots[] = {{"realm", c->realm, sizeof c->realm},
                 {"service", c->service, sizeof c->service},
                 {"scope", c->scope, sizeof c->scope},
                 {"error", c->error, sizeof c->error}};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++)
        if (strlen(slots[i].name) == name_size &&
            strncasecmp(slots[i].name, name, name_size) == 0) {
            *ret_size = slots[i].size;
            return slots[i].text;
        }
    return NULL;
}

static int broken(struct error *err) {
    return error_set(err, ERROR_INVALID, "the registry's WWW-Authenticate cannot be read");
}

/* The parameters behind a scheme: `at` moves to the next scheme, or to the end. */
static int read_parameters(const char **at, struct registry_challenge *c, struct error *err) {
    for (;;) {
        const char *name = *at + strspn(*at, " \t,");
        size_t size = token_size(name);
        const char *equals = skip_space(name + size);
        if (size == 0 || *equals != '=') { /* another scheme, or the end */
            *at = name;
            return size == 0 && *name ? broken(err) : 0;
        }
        char unused[64];
        size_t room = sizeof unused;
        bool cut = false, ignored = false;
        char *text = slot(c, name, size, &room);
        *at =
            read_value(skip_space(equals + 1), text ? text : unused, room, text ? &cut : &ignored);
        if (!*at)
            return broken(err);
        if (cut)
            return error_set(err, ERROR_LIMIT,
                             "'%.*s' of the registry's WWW-Authenticate is longer "
                             "than %zu bytes",
                             (int)size, name, room - 1);
    }
}

int registry_challenge_parse(const char *header, struct registry_challenge *ret,
                             struct error *err) {
    bool basic = false;
    if (strnlen(header, REGISTRY_CHALLENGE_MAX + 1) > REGISTRY_CHALLENGE_MAX)
        return error_set(err, ERROR_LIMIT,
                         "the registry's WWW-Authenticate is longer than %d bytes",
                         REGISTRY_CHALLENGE_MAX);
    for (const char *at = header + strspn(header, " \t,"); *at;) {
        size_t size = token_size(at);
        if (size == 0)
            return broken(err);
        const char *scheme = at;
        struct registry_challenge c = {.scheme = REGISTRY_BEARER};
        at += size;
        if (read_parameters(&at, &c, err) < 0)
            return -1;
        basic = basic || (size == 5 && strncasecmp(scheme, "basic", size) == 0);
        if (size != 6 || strncasecmp(scheme, "bearer", size) != 0)
            continue;
        if (!c.realm[0])
            return error_set(err, ERROR_INVALID, "the registry does not say where to get a token");
        *ret = c;
        return 0;
    }
    if (!basic)
        return error_set(err, ERROR_INVALID,
                         "the registry wants a way of authentication that is not supported (Basic "
                         "and Bearer are)");
    *ret = (struct registry_challenge){.scheme = REGISTRY_BASIC};
    return 0;
}

/* ---- the token ---- */

static bool token_valid(const char *token) {
    for (const char *c = token; *c; c++)
        if (*c <= ' ' || *c > '~')
            return false;
    return token[0] && strlen(token) <= REGISTRY_TOKEN_MAX;
}

int registry_token_parse(const char *json, size_t size, char **ret_token, uint64_t *ret_seconds,
                         struct error *err) {
    cleanup(json_freep) struct json *v = NULL;
    const char *token, *access;
    int64_t seconds;
    if (json_parse(json, size, 0, &v, err) < 0 || json_get_text(v, "token", "", &token, err) < 0 ||
        json_get_text(v, "access_token", "", &access, err) < 0 ||
        json_get_int(v, "expires_in", TOKEN_SECONDS_DEFAULT, &seconds, err) < 0)
        return error_wrap(err, "the answer with the token");
    if (!token[0])
        token = access;
    if (!token_valid(token))
        return error_set(err, ERROR_INVALID,
                         "the answer with the token holds none that can be used");
    if (seconds < TOKEN_SECONDS_DEFAULT) /* as the specification wants it of clients */
        seconds = TOKEN_SECONDS_DEFAULT;
    *ret_seconds = (uint64_t)(seconds > TOKEN_SECONDS_MAX ? TOKEN_SECONDS_MAX : seconds);
    *ret_token = text_dup(token);
    return 0;
}
