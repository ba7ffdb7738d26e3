/* `testbed.hosts`: the machines of provider hosts. */

#include "runner/deployment/read.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_MAX = 1024,      /* what somebody still writes as a destination or a path */
    HOST_KEY_MAX = 8192,  /* RSA keys of 16384 bits are below 3 KiB */
    SOCKET_PATH_MAX = 107 /* struct sockaddr_un */
};

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

void deployment_free_hosts(struct deployment *d) {
    for (size_t i = 0; i < d->testbed.host_count; i++) {
        struct deployment_host *h = &d->testbed.hosts[i];
        char *texts[] = {h->name,  h->ssh,      h->ssh_host, h->address,
                         h->fleet, h->host_key, h->engine,   h->absent};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            free(texts[k]);
    }
    free(d->testbed.hosts);
}

/* ---- values ---- */

/* A text of printable characters without blanks, as everything here but a key is. */
static int get_word(const struct yaml_node *value, size_t size_max, const char **ret,
                    struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = *text && *text != '-' && strlen(text) <= size_max;
    for (const char *p = text; ok && *p; p++)
        ok = isgraph((unsigned char)*p);
    if (!ok)
        return yaml_error(value, err,
                          "'%s' must be a word of 1 to %zu characters that does not begin with "
                          "'-', not %s",
                          value->name, size_max, yaml_what(value).text);
    *ret = text;
    return 0;
}

static bool is_name(const char *text) {
    bool ok = isalnum((unsigned char)*text) && strlen(text) <= PROJECT_NAME_MAX;
    for (const char *p = text; ok && *p; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    return ok;
}

static int check_name(const struct yaml_node *value, const char *name, struct error *err) {
    if (!is_name(name))
        return yaml_error(value, err,
                          "'%.64s' cannot be a host's name (letters, digits, '.', '-' and '_', a "
                          "letter or digit first, at most %d)",
                          name, PROJECT_NAME_MAX);
    if (text_equal(name, "builder") || text_equal(name, "local"))
        return yaml_error(value, err, "no host can be called '%s': this machine is", name);
    return 0;
}

static int read_name(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0 || check_name(value, text, err) < 0)
        return -1;
    ((struct deployment_host *)target)->name = text_dup(text);
    return 0;
}

/* The host of "[ssh://][user@]host[:port]"; NULL when there is something wrong with it. */
static char *host_of(const char *destination) {
    static const char scheme[] = "ssh://";
    if (text_starts(destination, scheme))
        destination += strlen(scheme);
    const char *at = strrchr(destination, '@');
    const char *host = at ? at + 1 : destination;
    if (at == destination || *destination == '-')
        return NULL;
    bool brackets = *host == '[';
    host += brackets;
    size_t size = strcspn(host, brackets ? "]" : ":");
    const char *port = host + size;
    if (brackets && *port++ != ']')
        return NULL;
    uint64_t number;
    struct error ignored = ERROR_NULL;
    if (*port && (*port != ':' || text_to_u64(port + 1, 1, UINT16_MAX, &number, &ignored) < 0))
        return NULL;
    if (size == 0 || *host == '-' || memchr(host, '/', size))
        return NULL;
    return text_format("%.*s", (int)size, host);
}

static int read_ssh(const struct yaml_node *value, void *target, void *context, struct error *err) {
    (void)context;
    struct deployment_host *host = target;
    const char *text;
    if (get_word(value, TEXT_MAX, &text, err) < 0)
        return -1;
    cleanup_free char *only_host = host_of(text);
    if (!only_host) {
        yaml_error_text(value, err, "'ssh' must be [user@]host[:port], not %s",
                        yaml_what(value).text);
        return error_hint(err, "an IPv6 address stands in brackets: user@[2001:db8::1]:22");
    }
    host->ssh = text_dup(text);
    host->ssh_host = take_ptr(only_host);
    return 0;
}

/* It is written into cluster.yaml, and from there into anybody's configuration. */
bool deployment_is_address(const char *text) {
    return *text && strlen(text) <= 253 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") ==
               strlen(text);
}

static int read_address(const struct yaml_node *value, void *target, void *context,
                        struct error *err) {
    (void)context;
    const char *text;
    if (get_word(value, TEXT_MAX, &text, err) < 0)
        return -1;
    if (!deployment_is_address(text))
        return yaml_error(value, err, "'address' must be a host's name or an IP address, not %s",
                          yaml_what(value).text);
    ((struct deployment_host *)target)->address = text_dup(text);
    return 0;
}

static int read_fleet(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    const char *text;
    if (get_word(value, PROJECT_NAME_MAX, &text, err) < 0)
        return -1;
    ((struct deployment_host *)target)->fleet = text_dup(text);
    return 0;
}

static bool is_fingerprint(const char *text) {
    static const char prefix[] = "SHA256:";
    const char *hash = text + strlen(prefix);
    return text_starts(text, prefix) && strlen(hash) == 43 && strspn(hash, base64) == 43;
}

/* "TYPE BASE64[ COMMENT]", as in a .pub file. */
static bool is_key_line(const char *text) {
    size_t type = strcspn(text, " ");
    bool known = text_starts(text, "ssh-") || text_starts(text, "ecdsa-sha2-") ||
                 text_starts(text, "sk-ssh-") || text_starts(text, "sk-ecdsa-");
    if (!known || text[type] != ' ')
        return false;
    const char *key = text + type + 1;
    size_t size = strspn(key, base64);
    return size >= 32 && size % 4 == 0 && (key[size] == '\0' || key[size] == ' ');
}

static int read_host_key(const struct yaml_node *value, void *target, void *context,
                         struct error *err) {
    (void)context;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool printable = strlen(text) <= HOST_KEY_MAX;
    for (const char *p = text; printable && *p; p++)
        printable = isprint((unsigned char)*p);
    if (!printable || !(is_fingerprint(text) || is_key_line(text))) {
        yaml_error_text(value, err,
                        "'host_key' must be a line such as 'ssh-ed25519 AAAA...' or a fingerprint "
                        "'SHA256:...', not %s",
                        yaml_what(value).text);
        return error_hint(err, "`ssh-keyscan HOST` prints such lines, behind the host's name; "
                               "compare them with the host's own before you trust them");
    }
    ((struct deployment_host *)target)->host_key = text_dup(text);
    return 0;
}

static int read_engine(const struct yaml_node *value, void *target, void *context,
                       struct error *err) {
    (void)context;
    const char *text;
    if (get_word(value, TEXT_MAX, &text, err) < 0)
        return -1;
    if (*text != '/' || strlen(text) > SOCKET_PATH_MAX)
        return yaml_error(value, err,
                          "'engine' must be the path of a socket on the host (absolute, at most %d "
                          "bytes), not %s",
                          SOCKET_PATH_MAX, yaml_what(value).text);
    ((struct deployment_host *)target)->engine = text_dup(text);
    return 0;
}

static const struct yaml_field fields[] = {
    YAML_READ_VALUE("name", read_name),         YAML_READ_VALUE("ssh", read_ssh),
    YAML_READ_VALUE("address", read_address),   YAML_READ_VALUE("fleet", read_fleet),
    YAML_READ_VALUE("host_key", read_host_key), YAML_READ_VALUE("engine", read_engine),
};
static const struct yaml_table table = {
    .what = "a host", .fields = fields, .count = sizeof fields / sizeof *fields, .nulls = true};

/* ---- hosts among each other ---- */

static const char *address_of(const struct deployment_host *host) {
    return host->address ? host->address : host->ssh_host;
}

static int check_pair(const struct yaml_node *value, const struct deployment_host *earlier,
                      const struct deployment_host *host, struct error *err) {
    unsigned line = earlier->place.line;
    if (text_equal(host->name, earlier->name)) {
        yaml_error_text(value, err, "host '%s' is there twice: also in line %u", host->name, line);
        return error_hint(err, "give one of them another 'name'");
    }
    if (text_equal(host->ssh, earlier->ssh))
        return yaml_error(value, err, "host '%s' is the same machine ('%s') as '%s' in line %u",
                          host->name, host->ssh, earlier->name, line);
    if (!text_equal(address_of(host), address_of(earlier)))
        return 0;
    yaml_error_text(value, err, "hosts '%s' and '%s' (line %u) have the same address '%s'",
                    host->name, earlier->name, line, address_of(host));
    return error_hint(err, "say with 'address' where containers of other hosts reach each");
}

static int read_host(const struct yaml_node *value, struct deployment *d, struct error *err) {
    if (value->type != YAML_MAPPING)
        return yaml_error(value, err,
                          "a host must be a mapping such as {name: r1, ssh: user@address}, not %s",
                          yaml_what(value).text);
    struct deployment_host *host = &d->testbed.hosts[d->testbed.host_count++];
    host->place = (struct project_place){d->file, value->line, value->column};
    if (yaml_read(value, &table, host, NULL, err) < 0)
        return -1;
    if (!host->ssh)
        return yaml_error(value, err, "a host needs 'ssh': [user@]host[:port]");
    if (!host->name) {
        if (check_name(value, host->ssh_host, err) < 0)
            return error_hint(err, "give the host a 'name'");
        host->name = text_dup(host->ssh_host);
    }
    for (const struct deployment_host *earlier = d->testbed.hosts; earlier < host; earlier++)
        if (check_pair(value, earlier, host, err) < 0)
            return -1;
    return 0;
}

int deployment_read_hosts(const struct yaml_node *value, struct deployment *d, struct error *err) {
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count > DEPLOYMENT_HOSTS_MAX)
        return yaml_error(value, err, "more than %d hosts", DEPLOYMENT_HOSTS_MAX);
    d->testbed.hosts = mem_new_array(struct deployment_host, value->count);
    for (size_t i = 0; i < value->count; i++)
        if (read_host(value->items[i], d, err) < 0)
            return -1;
    return 0;
}
