#include "runner/run/inventory.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"

#include <ctype.h>
#include <string.h>

enum { INVENTORY_MAX_BYTES = 4 << 20 };

/* No quoting of ours survives these in every reader. */
static bool writable(const char *value) {
    for (const char *p = value; p && *p; p++)
        if (iscntrl((unsigned char)*p) || strchr("\"\\", *p))
            return false;
    return value && *value;
}

/* ---- ssh_config(5) ---- */

/* '%' begins a token in some values, and doubled it is itself in all of them. */
static void percent(struct buffer *out, const char *value) {
    for (const char *p = value; *p; p++) {
        if (*p == '%')
            buffer_text(out, "%");
        buffer_append(out, p, 1);
    }
}

static void option(struct buffer *out, const char *name, const char *value) {
    if (writable(value))
        buffer_format(out, "    %s \"%s\"\n", name, value);
}

static void option_percent(struct buffer *out, const char *name, const char *value) {
    if (!writable(value))
        return;
    buffer_format(out, "    %s \"", name);
    percent(out, value);
    buffer_text(out, "\"\n");
}

static void known_hosts_option(const struct inventory *inventory, const struct inventory_host *h,
                               struct buffer *out) {
    if (!h->host_key && !(h->known_hosts_files && *h->known_hosts_files))
        return;
    buffer_text(out, "    UserKnownHostsFile");
    if (h->host_key) {
        buffer_text(out, " \"");
        percent(out, inventory->folder);
        buffer_text(out, "/known_hosts\"");
    }
    for (char *const *file = h->known_hosts_files; file && *file && !h->host_key; file++)
        if (writable(*file)) {
            buffer_text(out, " \"");
            percent(out, *file);
            buffer_text(out, "\"");
        }
    buffer_text(out, "\n");
}

void inventory_ssh_config(const struct inventory *inventory, struct buffer *out) {
    buffer_text(out, "# The machines of this trial by name: ssh -F THIS_FILE NAME\n");
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_host *h = &inventory->hosts[i];
        buffer_format(out, "\nHost %s\n", h->name);
        option(out, "HostName", h->address);
        buffer_format(out, "    Port %u\n", h->port);
        option(out, "User", h->user);
        option_percent(out, "IdentityFile", h->identity_file);
        option(out, "ProxyJump", h->proxy_jump);
        option(out, "HostKeyAlias", h->host_key_alias);
        known_hosts_option(inventory, h, out);
    }
    buffer_text(out, "\nHost *\n");
    const char *rest = inventory->ssh_config ? inventory->ssh_config : "~/.ssh/config";
    if (writable(rest))
        buffer_format(out, "    Include \"%s\"\n", rest);
}

void inventory_known_hosts(const struct inventory *inventory, struct buffer *out) {
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_host *h = &inventory->hosts[i];
        const char *name = h->host_key_alias ? h->host_key_alias : h->address;
        if (!writable(h->host_key))
            continue;
        if (h->port == 22 || h->host_key_alias)
            buffer_format(out, "%s %s\n", name, h->host_key);
        else
            buffer_format(out, "[%s]:%u %s\n", name, h->port, h->host_key);
    }
}

/* ---- Ansible ---- */

/* Groups are identifiers there. */
static void group_name(struct buffer *out, const char *prefix, const char *name) {
    buffer_text(out, prefix);
    for (const char *p = name; *p; p++)
        buffer_format(out, "%c", isalnum((unsigned char)*p) ? *p : '_');
}

static bool has_role(const struct inventory_host *h, const char *role) {
    for (const char *const *r = h->roles; r && *r; r++)
        if (text_equal(*r, role))
            return true;
    return false;
}

/* The n-th group: of roles and then of fleets, each once; NULL behind the last. */
struct group {
    const char *prefix, *name;
};

static bool known_before(const struct inventory *inventory, size_t host, const char *role,
                         const char *fleet) {
    for (size_t i = 0; i < host; i++)
        if (role ? has_role(&inventory->hosts[i], role)
                 : text_equal(inventory->hosts[i].fleet, fleet))
            return true;
    return false;
}

static bool nth_group(const struct inventory *inventory, size_t n, struct group *ret) {
    for (size_t i = 0; i < inventory->count; i++)
        for (const char *const *role = inventory->hosts[i].roles; role && *role; role++)
            if (!known_before(inventory, i, *role, NULL) && n-- == 0) {
                *ret = (struct group){"", *role};
                return true;
            }
    for (size_t i = 0; i < inventory->count; i++) {
        const char *fleet = inventory->hosts[i].fleet;
        if (fleet && !known_before(inventory, i, NULL, fleet) && n-- == 0) {
            *ret = (struct group){"fleet_", fleet};
            return true;
        }
    }
    return false;
}

static bool in_group(const struct inventory_host *h, const struct group *group) {
    return *group->prefix ? text_equal(h->fleet, group->name) : has_role(h, group->name);
}

void inventory_ini(const struct inventory *inventory, struct buffer *out) {
    struct group group;
    buffer_text(out, "# ansible -i THIS_FILE all -m ping\n[hosts]\n");
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_host *h = &inventory->hosts[i];
        buffer_format(out, "%s ansible_host=%s ansible_port=%u", h->name, h->address, h->port);
        if (writable(h->user))
            buffer_format(out, " ansible_user=%s", h->user);
        buffer_text(out, "\n");
    }
    for (size_t n = 0; nth_group(inventory, n, &group); n++) {
        buffer_text(out, "\n[");
        group_name(out, group.prefix, group.name);
        buffer_text(out, "]\n");
        for (size_t i = 0; i < inventory->count; i++)
            if (in_group(&inventory->hosts[i], &group))
                buffer_format(out, "%s\n", inventory->hosts[i].name);
    }
    buffer_text(out,
                "\n[all:vars]\nansible_ssh_common_args=-F \"{{ inventory_dir }}/ssh_config\"\n");
}

void inventory_yaml(const struct inventory *inventory, struct buffer *out) {
    struct group group;
    buffer_text(out,
                "# ansible -i THIS_FILE all -m ping\nall:\n  vars:\n    "
                "ansible_ssh_common_args: '-F \"{{ inventory_dir }}/ssh_config\"'\n  hosts:\n");
    for (size_t i = 0; i < inventory->count; i++) {
        const struct inventory_host *h = &inventory->hosts[i];
        buffer_format(out, "    \"%s\": {ansible_host: \"%s\", ansible_port: %u", h->name,
                      h->address, h->port);
        if (writable(h->user))
            buffer_format(out, ", ansible_user: \"%s\"", h->user);
        buffer_text(out, "}\n");
    }
    for (size_t n = 0; nth_group(inventory, n, &group); n++) {
        buffer_text(out, n == 0 ? "  children:\n    " : "    ");
        group_name(out, group.prefix, group.name);
        buffer_text(out, ":\n      hosts:\n");
        for (size_t i = 0; i < inventory->count; i++)
            if (in_group(&inventory->hosts[i], &group))
                buffer_format(out, "        \"%s\": {}\n", inventory->hosts[i].name);
    }
}

/* ---- files ---- */

static int write_one(const struct inventory *inventory, const char *name,
                     void (*fill)(const struct inventory *inventory, struct buffer *out),
                     struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, INVENTORY_MAX_BYTES);
    fill(inventory, &text);
    if (buffer_check(&text, name, err) < 0)
        return -1;
    cleanup_free char *path = path_join(inventory->folder, name);
    return text.size ? file_write(path, 0600, text.data, text.size, err) : 0;
}

int inventory_write(const struct inventory *inventory, struct error *err) {
    if (write_one(inventory, "ssh_config", inventory_ssh_config, err) < 0 ||
        write_one(inventory, "known_hosts", inventory_known_hosts, err) < 0 ||
        write_one(inventory, "inventory.ini", inventory_ini, err) < 0)
        return -1;
    return write_one(inventory, "inventory.yaml", inventory_yaml, err);
}
