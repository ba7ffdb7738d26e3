#include "runner/remote/ssh_destination.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

void ssh_destination_deinit(struct ssh_destination *d) {
    free(d->user);
    free(d->host);
    free(d->port);
    *d = SSH_DESTINATION_NULL;
}

/* Nothing that a shell, a terminal or a file of known hosts would take for something else; ssh
 * refuses these too. */
static bool clean(const char *text, const char *forbidden) {
    if (text[0] == '\0' || text[0] == '-')
        return false;
    for (const char *c = text; *c; c++)
        if (iscntrl((unsigned char)*c) || strchr(forbidden, *c))
            return false;
    return true;
}

bool ssh_destination_host_clean(const char *host) {
    return clean(host, " '`\"$\\;&<>|(){},");
}

bool ssh_destination_user_clean(const char *user) {
    return clean(user, "'`\";&<>|(){}");
}

/* Cuts `host` at its port, which stays behind the colon; NULL when there is none. */
static char *cut_port(char **host) {
    char *colon;
    if (**host == '[') {
        char *end = strchr(*host, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return NULL;
        colon = end[1] ? end + 1 : NULL;
        *end = '\0';
        (*host)++;
    } else {
        colon = strchr(*host, ':');
        if (colon && strchr(colon + 1, ':'))
            return NULL;
    }
    if (!colon)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

int ssh_destination_parse(const char *text, struct ssh_destination *ret, struct error *err) {
    static const char scheme[] = "ssh://";
    bool uri = text_starts(text, scheme);
    cleanup_free char *copy = text_dup(uri ? text + sizeof scheme - 1 : text);
    size_t size = strlen(copy);
    if (uri && size > 0 && copy[size - 1] == '/')
        copy[size - 1] = '\0';
    char *at = strrchr(copy, '@'), *host = copy;
    const char *user = NULL;
    if (at) {
        *at = '\0';
        user = copy;
        host = at + 1;
    }
    const char *port = cut_port(&host);
    uint64_t number;
    struct error ignored = ERROR_NULL;
    if (!ssh_destination_host_clean(host) || (user && !ssh_destination_user_clean(user)) ||
        strchr(host, '/') || strchr(host, '[') ||
        (port && text_to_u64(port, 1, UINT16_MAX, &number, &ignored) < 0)) {
        char safe[256];
        return error_set(err, ERROR_CONFIG, "'%s' is not [user@]host[:port]",
                         text_safe(text, safe, sizeof safe));
    }
    *ret = (struct ssh_destination){
        .user = text_dup(user), .host = text_dup(host), .port = text_dup(port)};
    return 0;
}
