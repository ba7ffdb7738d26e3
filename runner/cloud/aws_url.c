#include "runner/cloud/aws_url.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static int refuse(const char *text, struct error *err) {
    char shown[200];
    error_set(err, ERROR_CONFIG, "'%s' is no address of a service",
              text_safe(text, shown, sizeof shown));
    return error_hint(err, "write it as https://HOST or http://HOST:PORT");
}

static bool is_host(const char *text) {
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr(".-_:", *c))
            return false;
    return *text != '\0';
}

int aws_url_parse(const char *text, struct aws_url *ret, struct error *err) {
    struct aws_url url = {.tls = text_starts(text, "https://")};
    char host[AWS_HOST_MAX + 16];
    if (!url.tls && !text_starts(text, "http://"))
        return refuse(text, err);
    const char *at = strstr(text, "://") + 3;
    size_t size = strcspn(at, "/");
    if (size >= sizeof host || (at[size] && !text_equal(at + size, "/")))
        return refuse(text, err);
    memcpy(host, at, size);
    host[size] = '\0';
    char *name = host, *end = host + strcspn(host, ":");
    if (host[0] == '[') {
        name++;
        end = strchr(host, ']');
        if (!end)
            return refuse(text, err);
        *end++ = '\0';
    }
    uint64_t port = url.tls ? PORT_HTTPS : PORT_HTTP;
    struct error ignored = ERROR_NULL;
    if (*end && (*end != ':' || text_to_u64(end + 1, 1, UINT16_MAX, &port, &ignored) < 0))
        return refuse(text, err);
    *end = '\0';
    if (!is_host(name) || strlen(name) > AWS_HOST_MAX)
        return refuse(text, err);
    snprintf(url.host, sizeof url.host, "%s", name);
    url.port = (uint16_t)port;
    *ret = url;
    return 0;
}

bool aws_is_region(const char *text) {
    size_t size = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return size > 0 && size <= 32 && text[size] == '\0' && text[0] != '-';
}

int aws_url_of(const char *service, const char *region, const char *override, struct aws_url *ret,
               struct error *err) {
    if (!aws_is_region(region))
        return error_set(err, ERROR_CONFIG, "'%.40s' is no region", region);
    if (override)
        return aws_url_parse(override, ret, err) < 0 ? error_wrap(err, "AWS_ENDPOINT_URL") : 0;
    cleanup_free char *text = text_format("https://%s.%s.amazonaws.com%s", service, region,
                                          text_starts(region, "cn-") ? ".cn" : "");
    return aws_url_parse(text, ret, err);
}
