#include "runner/cloud/aws_profile.h"

#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void wipe(char *text) {
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void aws_credentials_deinit(struct aws_credentials *c) {
    wipe(c->access_key_id);
    wipe(c->secret_access_key);
    wipe(c->session_token);
    *c = AWS_CREDENTIALS_NULL;
}

struct aws_credentials aws_credentials_copy(const struct aws_credentials *c) {
    return (struct aws_credentials){.access_key_id = text_dup(c->access_key_id),
                                    .secret_access_key = text_dup(c->secret_access_key),
                                    .session_token = text_dup(c->session_token),
                                    .expires = c->expires};
}

static bool is_word(const char *text) {
    size_t size = 0;
    for (; text[size]; size++)
        if (text[size] <= ' ' || text[size] > '~')
            return false;
    return size > 0 && size <= AWS_KEY_MAX;
}

int aws_credentials_check(const struct aws_credentials *c, struct error *err) {
    if (!c->access_key_id || !c->secret_access_key)
        return error_set(err, ERROR_CONFIG, "%s is missing",
                         c->access_key_id ? "the secret access key" : "the access key id");
    if (!is_word(c->access_key_id) || strchr(c->access_key_id, ':'))
        return error_set(err, ERROR_CONFIG, "the access key id is no word");
    if (!is_word(c->secret_access_key))
        return error_set(err, ERROR_CONFIG, "the secret access key is no word");
    if (c->session_token && !is_word(c->session_token))
        return error_set(err, ERROR_CONFIG, "the session token is no word");
    return 0;
}

/* ---- files ---- */

void aws_profile_deinit(struct aws_profile *p) {
    aws_credentials_deinit(&p->keys);
    free(p->process);
    free(p->unsupported);
    *p = (struct aws_profile){.found = false};
}

/* The text without the blanks around it, in place. */
static char *trim(char *text) {
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    *end = '\0';
    return text;
}

/* "[NAME]", "[profile NAME]", which may be quoted: is it ours? -1: not a section at all. */
static int is_section(char *line, const char *name, bool is_config) {
    char *end = strchr(line, ']');
    if (!end)
        return -1;
    *end = '\0';
    char *inside = trim(line + 1);
    bool is_default = text_equal(name, "default");
    if (is_config && text_starts(inside, "profile") && isspace((unsigned char)inside[7]))
        inside = trim(inside + 7);
    else if (is_config && !is_default)
        return 0;
    size_t size = strlen(inside);
    if (size >= 2 && strchr("\"'", inside[0]) && inside[size - 1] == inside[0]) {
        inside[size - 1] = '\0';
        inside++;
    }
    return text_equal(inside, name);
}

static void keep(char **slot, const char *value) {
    if (!*slot && *value)
        *slot = text_dup(value);
}

static void take(struct aws_profile *p, const char *key, const char *value) {
    static const char *const others[] = {"role_arn", "sso_session", "sso_start_url",
                                         "web_identity_token_file"};
    if (text_equal(key, "aws_access_key_id"))
        keep(&p->keys.access_key_id, value);
    else if (text_equal(key, "aws_secret_access_key"))
        keep(&p->keys.secret_access_key, value);
    else if (text_equal(key, "aws_session_token"))
        keep(&p->keys.session_token, value);
    else if (text_equal(key, "credential_process"))
        keep(&p->process, value);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (text_equal(key, others[i]))
            keep(&p->unsupported, key);
}

static int read_line(char *line, const char *name, bool is_config, bool *ours,
                     struct aws_profile *profile) {
    bool nested = isspace((unsigned char)line[0]);
    char *text = trim(line);
    if (!*text || *text == '#' || *text == ';' || nested)
        return 0; /* `s3 =` and the like have lines of their own below them, set off */
    if (*text == '[') {
        int r = is_section(text, name, is_config);
        *ours = r > 0;
        profile->found = profile->found || r > 0;
        return r < 0 ? -1 : 0;
    }
    char *equals = strchr(text, '=');
    if (!equals)
        return -1;
    *equals = '\0';
    if (*ours)
        take(profile, trim(text), trim(equals + 1));
    return 0;
}

int aws_profile_read(const char *file, const char *text, size_t size, const char *name,
                     bool is_config, struct aws_profile *profile, struct error *err) {
    const char *end = text + size;
    bool ours = false;
    if (size > AWS_FILE_MAX)
        return error_set(err, ERROR_LIMIT, "'%s' has more than %d bytes", file, AWS_FILE_MAX);
    if (memchr(text, '\0', size))
        return error_set(err, ERROR_CONFIG, "'%s' is no text", file);
    for (unsigned number = 1; text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = stop ? (size_t)(stop - text) : (size_t)(end - text);
        char *line = strndup(text, length);
        int r = read_line(line, name, is_config, &ours, profile);
        wipe(line);
        if (r < 0)
            return error_set(err, ERROR_CONFIG, "%s:%u: neither a section nor 'key = value'", file,
                             number);
        text += length + 1;
    }
    return 0;
}

/* ---- answers ---- */

static int get_key(const struct json *v, const char *key, char **ret, struct error *err) {
    const char *text;
    if (json_get_text(v, key, NULL, &text, err) < 0)
        return -1;
    *ret = text && *text ? text_dup(text) : NULL;
    return 0;
}

static int read_keys(const struct json *v, struct aws_credentials *c, struct error *err) {
    const char *token = json_member(v, "SessionToken") ? "SessionToken" : "Token";
    const char *expires;
    if (get_key(v, "AccessKeyId", &c->access_key_id, err) < 0 ||
        get_key(v, "SecretAccessKey", &c->secret_access_key, err) < 0 ||
        get_key(v, token, &c->session_token, err) < 0 ||
        json_get_text(v, "Expiration", "", &expires, err) < 0)
        return -1;
    c->expires = aws_time(expires);
    return aws_credentials_check(c, err);
}

int aws_answer_read(const char *text, size_t size, struct aws_credentials *ret, struct error *err) {
    cleanup(aws_credentials_deinit) struct aws_credentials c = AWS_CREDENTIALS_NULL;
    cleanup(json_freep) struct json *v = NULL;
    struct error quotes = ERROR_NULL; /* what is wrong may quote a part of it */
    if (json_parse(text, size, AWS_ANSWER_MAX, &v, &quotes) < 0 || !json_is_object(v))
        return error_set(err, ERROR_INVALID, "the answer is no JSON object with keys");
    if (read_keys(v, &c, err) < 0)
        return error_wrap(err, "the answer");
    *ret = c;
    c = AWS_CREDENTIALS_NULL;
    return 0;
}

struct wall_time aws_time(const char *text) {
    struct tm tm = {.tm_year = 0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest || tm.tm_year < 70 || tm.tm_year > 300)
        return (struct wall_time){0};
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    if (!text_equal(rest, "Z") && !text_equal(rest, "+00:00"))
        return (struct wall_time){0};
    return (struct wall_time){(int64_t)timegm(&tm) * (int64_t)NS_PER_SEC};
}
