#include "runner/engine/host.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/engine/engine.h"

#include <string.h>

static int bad_address(const char *address, const char *why, struct error *err) {
    char shown[200];
    return error_set(err, ERROR_CONFIG, "'tcp://%s' %s", text_safe(address, shown, sizeof shown),
                     why);
}

static bool good_host(const char *host) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:%";
    return host[strspn(host, allowed)] == '\0';
}

/* Where the host ends and the rest (":port" or nothing) begins; the host without brackets. */
static char *cut_host(const char *address, const char **ret_rest) {
    const char *close = address[0] == '[' ? strchr(address, ']') : NULL;
    const char *colon = strchr(address, ':');
    if (close) {
        *ret_rest = close + 1;
        return text_format("%.*s", (int)(close - address - 1), address + 1);
    }
    if (colon && strchr(colon + 1, ':')) /* an IPv6 address without brackets has no port */
        colon = NULL;
    *ret_rest = colon ? colon : address + strlen(address);
    return text_format("%.*s", (int)(*ret_rest - address), address);
}

int engine_host_split(const char *address, char **ret_host, uint16_t *ret_port, struct error *err) {
    const char *rest;
    uint64_t port = ENGINE_PORT_DEFAULT;
    if (strnlen(address, ENGINE_HOST_SIZE_MAX) == ENGINE_HOST_SIZE_MAX)
        return error_set(err, ERROR_CONFIG, "the address of the engine is longer than %d bytes",
                         ENGINE_HOST_SIZE_MAX - 1);
    if (strchr(address, '/'))
        return bad_address(address, "has a path, which is not supported", err);
    cleanup_free char *host = cut_host(address, &rest);
    if (!good_host(host) || (rest[0] && rest[0] != ':'))
        return bad_address(address, "is not an address: tcp://host:port is expected", err);
    struct error ignored = ERROR_NULL;
    if (rest[0] && rest[1] && text_to_u64(rest + 1, 1, 65535, &port, &ignored) < 0)
        return bad_address(address, "has a port that is none", err);
    *ret_host = host[0] ? take_ptr(host) : text_dup("localhost");
    *ret_port = (uint16_t)port;
    return 0;
}

static int complete_tcp(const char *address, char **ret, struct error *err) {
    cleanup_free char *host = NULL;
    uint16_t port;
    if (engine_host_split(address, &host, &port, err) < 0)
        return -1;
    *ret = text_format(strchr(host, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", host, port);
    return 0;
}

static int complete(const char *text, bool tls, char **ret, struct error *err) {
    const char *scheme_end = strstr(text, "://");
    if (!text[0])
        *ret = text_dup(tls ? "tcp://localhost:2376" : ENGINE_HOST_DEFAULT);
    else if (!scheme_end)
        return complete_tcp(text, ret, err);
    else if (text_starts(text, "tcp://"))
        return complete_tcp(scheme_end + 3, ret, err);
    else if (text_equal(text, "unix://"))
        *ret = text_dup(ENGINE_HOST_DEFAULT);
    else if (text_starts(text, "unix://") || text_starts(text, "ssh://") ||
             text_starts(text, "fd://") || text_starts(text, "npipe://"))
        *ret = text_dup(text);
    else {
        char shown[200];
        return error_set(err, ERROR_CONFIG,
                         "'%s' is not the address of an engine: unix://, tcp:// or ssh:// is "
                         "expected",
                         text_safe(text, shown, sizeof shown));
    }
    return 0;
}

int engine_host_complete(const char *text, bool tls, char **ret, struct error *err) {
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size && strchr(" \t\r\n", text[size - 1]))
        size--;
    cleanup_free char *trimmed = text_format("%.*s", (int)size, text);
    return complete(trimmed, tls, ret, err);
}
