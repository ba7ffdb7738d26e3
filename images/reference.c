#include "images/reference.h"

#include "lib/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char default_domain[] = "docker.io";
static const char official[] = "library/";

static bool lower_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c) {
    return lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

/* The separators of a path component: one of ". _ __", or dashes. Its size, or 0. */
static size_t separator(const char *text) {
    if (text[0] == '.')
        return 1;
    if (text[0] == '_')
        return text[1] == '_' ? 2 : 1;
    return strspn(text, "-");
}

/* One or more components of alphanumerics and separators between them, joined by '/'. */
static bool path_valid(const char *path) {
    for (const char *at = path;;) {
        if (!lower_or_digit(*at))
            return false;
        while (lower_or_digit(*at))
            at++;
        if (*at == '\0')
            return true;
        size_t size = *at == '/' ? 1 : separator(at);
        if (size == 0)
            return false;
        at += size;
    }
}

static bool port_valid(const char *text) {
    if (*text == '\0')
        return true;
    return text[0] == ':' && text[1] && text[1 + strspn(text + 1, "0123456789")] == '\0';
}

static bool domain_valid(const char *domain) {
    if (domain[0] == '[') {
        size_t size = strspn(domain + 1, "0123456789abcdefABCDEF:");
        return size > 0 && domain[1 + size] == ']' && port_valid(domain + size + 2);
    }
    for (const char *at = domain;; at++) {
        if (!alnum(*at))
            return false;
        while (alnum(*at) || *at == '-')
            at++;
        if (at[-1] == '-')
            return false;
        if (*at != '.')
            return port_valid(at);
    }
}

static bool tag_valid(const char *tag) {
    size_t size = 0;
    if (!alnum(tag[0]) && tag[0] != '_')
        return false;
    while (alnum(tag[size]) || strchr("_.-", tag[size] ? tag[size] : ' '))
        size++;
    return tag[size] == '\0' && size <= REFERENCE_TAG_MAX;
}

static bool digest_valid(const char *digest) {
    static const struct {
        const char *prefix;
        size_t digits;
    } algorithms[] = {{"sha256:", 64}, {"sha384:", 96}, {"sha512:", 128}};
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const char *hex = digest + strlen(algorithms[i].prefix);
        if (text_starts(digest, algorithms[i].prefix))
            return strlen(hex) == algorithms[i].digits &&
                   strspn(hex, "0123456789abcdef") == algorithms[i].digits;
    }
    return false;
}

static bool has_upper(const char *text) {
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            return true;
    return false;
}

/* Whether the first component names a registry (splitDockerDomain of normalize.go). */
static bool is_domain(const char *first) {
    return text_equal(first, "localhost") || strpbrk(first, ".:") || has_upper(first);
}

static int refuse(const char *text, const char *why, struct error *err) {
    char shown[512];
    return error_set(err, ERROR_INVALID, "'%s' is not an image reference: %s",
                     text_safe(text, shown, sizeof shown), why);
}

/* `name` is what stands before tag and digest. */
static int split_name(const char *text, char *name, struct reference *r, struct error *err) {
    char *path = name;
    char *slash = strchr(name, '/');
    const char *domain = default_domain;
    if (slash) {
        *slash = '\0';
        bool named = is_domain(name);
        if (named) {
            domain = text_equal(name, "index.docker.io") ? default_domain : name;
            path = slash + 1;
        } else {
            *slash = '/';
        }
    }
    bool bare = text_equal(domain, default_domain) && !strchr(path, '/');
    if (!domain_valid(domain))
        return refuse(text, "the registry is no host name with an optional port", err);
    if (has_upper(path))
        return refuse(text, "the name must be lower case", err);
    if (!path_valid(path))
        return refuse(text,
                      "the name must be lower-case letters and digits, separated by one of "
                      ". _ __ - or /",
                      err);
    int domain_size = snprintf(r->domain, sizeof r->domain, "%s", domain);
    int path_size = snprintf(r->path, sizeof r->path, "%s%s", bare ? official : "", path);
    if (domain_size + 1 + path_size > REFERENCE_NAME_MAX)
        return refuse(text, "the name is longer than 255 characters", err);
    return 0;
}

int reference_parse(const char *text, struct reference *ret, struct error *err) {
    struct reference r = {.tag = ""};
    char rest[REFERENCE_TEXT_SIZE];
    if (*text == '\0')
        return refuse(text, "it is empty", err);
    if ((size_t)snprintf(rest, sizeof rest, "%s", text) >= sizeof rest)
        return refuse(text, "it is too long", err);
    if (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64)
        return refuse(text, "64 hexadecimal digits are an id, not a name", err);
    char *at = strchr(rest, '@');
    if (at) {
        *at++ = '\0';
        if (!digest_valid(at))
            return refuse(text, "the digest must be sha256: and 64 lower-case digits", err);
        snprintf(r.digest, sizeof r.digest, "%s", at);
    }
    char *slash = strrchr(rest, '/');
    char *colon = strchr(slash ? slash : rest, ':');
    if (colon) {
        *colon++ = '\0';
        if (!tag_valid(colon))
            return refuse(text, "the tag must be up to 128 letters, digits, _ . or -", err);
        snprintf(r.tag, sizeof r.tag, "%s", colon);
    }
    if (split_name(text, rest, &r, err) < 0)
        return -1;
    *ret = r;
    return 0;
}

void reference_default_tag(struct reference *r) {
    if (!r->tag[0] && !r->digest[0])
        snprintf(r->tag, sizeof r->tag, "latest");
}

static const char *join(const struct reference *r, const char *name, char *text) {
    snprintf(text, REFERENCE_TEXT_SIZE, "%s%s%s%s%s", name, r->tag[0] ? ":" : "", r->tag,
             r->digest[0] ? "@" : "", r->digest);
    return text;
}

const char *reference_text(const struct reference *r, char text[REFERENCE_TEXT_SIZE]) {
    char name[REFERENCE_TEXT_SIZE];
    snprintf(name, sizeof name, "%s/%s", r->domain, r->path);
    return join(r, name, text);
}

const char *reference_familiar_name(const struct reference *r, char text[REFERENCE_TEXT_SIZE]) {
    const char *path = r->path;
    char first[REFERENCE_NAME_MAX + 1];
    snprintf(first, sizeof first, "%.*s", (int)strcspn(path, "/"), path);
    /* docker.io/a.b/c must not become a.b/c, which is somewhere else. */
    bool hub = text_equal(r->domain, default_domain) && !is_domain(first);
    if (hub && text_starts(path, official) && !strchr(path + strlen(official), '/'))
        path += strlen(official);
    snprintf(text, REFERENCE_TEXT_SIZE, "%s%s%s", hub ? "" : r->domain, hub ? "" : "/", path);
    return text;
}

const char *reference_familiar(const struct reference *r, char text[REFERENCE_TEXT_SIZE]) {
    char name[REFERENCE_TEXT_SIZE];
    return join(r, reference_familiar_name(r, name), text);
}
