#include "images/registry_url.h"

#include "lib/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static const char hub[] = "index.docker.io";

static int refuse(const char *text, const char *why, struct error *err) {
    char shown[300];
    return error_set(err, ERROR_INVALID, "'%s' is no address of a registry: %s",
                     text_safe(text, shown, sizeof shown), why);
}

static bool host_valid(const char *host) {
    if (!host[0] || strlen(host) > REGISTRY_HOST_MAX)
        return false;
    for (const char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".-_:", *c))
            return false;
    return true;
}

static bool path_valid(const char *path) {
    if (strlen(path) > REGISTRY_PATH_MAX)
        return false;
    for (const char *c = path; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '#')
            return false;
    return true;
}

/* "host", "host:port", "[v6]:port" of `size` bytes. */
static int split_host(const char *text, size_t size, struct registry_url *url, struct error *err) {
    char host[REGISTRY_HOST_MAX + 16];
    if (size >= sizeof host)
        return refuse(text, "its host is too long", err);
    memcpy(host, text, size);
    host[size] = '\0';
    char *name = host, *port = NULL;
    if (host[0] == '[') {
        char *end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return refuse(text, "its brackets are wrong", err);
        *end = '\0';
        name = host + 1;
        port = end[1] ? end + 2 : NULL;
    } else if ((port = strchr(host, ':'))) {
        *port++ = '\0';
    }
    if (!host_valid(name))
        return refuse(text, "its host is wrong", err);
    snprintf(url->host, sizeof url->host, "%s", name);
    uint64_t number = url->tls ? PORT_HTTPS : PORT_HTTP;
    struct error ignored = ERROR_NULL;
    if (port && text_to_u64(port, 1, UINT16_MAX, &number, &ignored) < 0)
        return refuse(text, "its port is wrong", err);
    url->port = (uint16_t)number;
    return 0;
}

int registry_url_parse(const char *text, struct registry_url *ret, struct error *err) {
    struct registry_url url = {.tls = text_starts(text, "https://")};
    if (!url.tls && !text_starts(text, "http://"))
        return refuse(text, "it begins with neither https:// nor http://", err);
    const char *host = strstr(text, "://") + 3;
    size_t size = strcspn(host, "/?");
    const char *path = host + size;
    if (memchr(host, '@', size))
        return error_set(err, ERROR_INVALID, "an address of a registry holds a user's name");
    if (split_host(host, size, &url, err) < 0)
        return -1;
    if (!path_valid(path))
        return refuse(text, "its path is wrong", err);
    snprintf(url.path, sizeof url.path, "%s%s", path[0] == '/' ? "" : "/", path);
    *ret = url;
    return 0;
}

int registry_url_of_domain(const char *domain, struct registry_url *ret, struct error *err) {
    struct registry_url url = {.tls = true, .path = "/"};
    if (text_equal(domain, "docker.io") || text_equal(domain, hub))
        domain = "registry-1.docker.io";
    if (split_host(domain, strlen(domain), &url, err) < 0)
        return -1;
    *ret = url;
    return 0;
}

bool registry_url_is_loopback(const struct registry_url *url) {
    return text_equal(url->host, "localhost") || text_equal(url->host, "::1") ||
           (text_starts(url->host, "127.") && url->host[strspn(url->host, "0123456789.")] == '\0');
}

const char *registry_server_name(const char *text, char ret[REGISTRY_HOST_MAX + 1]) {
    const char *scheme = strstr(text, "://");
    const char *host = scheme ? scheme + 3 : text;
    size_t size = strcspn(host, "/");
    if (size > REGISTRY_HOST_MAX)
        size = REGISTRY_HOST_MAX;
    memcpy(ret, host, size);
    ret[size] = '\0';
    if (text_equal(ret, "docker.io") || text_equal(ret, "registry-1.docker.io"))
        memcpy(ret, hub, sizeof hub);
    return ret;
}
