/* What the commands of `seatrial machines` share. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/cloud/host_key.h"
#include "runner/command/columns.h"
#include "runner/command/machines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { JOURNAL_MAX = 64 * 1024 * 1024, PUBLIC_KEY_MAX = 16 * 1024 };

/* By then a look shows whatever a call has made, and its token has served: machines that have ended
 * since are not made again by it. */
#define PENDING_NS ((int64_t)(600 * NS_PER_SEC))

/* ---- the journal ---- */

static char *state_folder(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/')
        return path_join(state, "seatrial/machines");
    return path_join(home && *home ? home : "/root", ".local/state/seatrial/machines");
}

static void forget(char **list, const char *token) {
    char **kept = list;
    size_t size = strlen(token);
    for (; list && *list; list++)
        if (strncmp(*list, token, size) == 0 && (*list)[size] == ' ')
            free(*list);
        else
            *kept++ = *list;
    if (list)
        *kept = NULL;
}

/* Only what can be a key's line: it is compared with what a machine says. */
static void read_key(struct machines_session *s, const struct json *v) {
    struct error ignored = ERROR_NULL;
    const char *id, *key, *state;
    char print[HOST_KEY_PRINT_SIZE];
    if (json_require_text(v, "id", &id, &ignored) == 0 &&
        json_require_text(v, "key", &key, &ignored) == 0 &&
        json_require_text(v, "state", &state, &ignored) == 0 && host_key_fingerprint(key, print))
        machines_set_key(s, id, key, text_equal(state, "pinned"));
}

static void read_event(struct machines_session *s, const char *line, size_t size) {
    cleanup(json_freep) struct json *v = NULL;
    struct error ignored = ERROR_NULL;
    const char *event, *token, *fleet, *region;
    int64_t ns;
    if (json_parse(line, size, 0, &v, &ignored) < 0 ||
        json_require_text(v, "event", &event, &ignored) < 0)
        return;
    if (text_equal(event, "host key"))
        read_key(s, v);
    if (json_require_text(v, "token", &token, &ignored) < 0 ||
        json_require_text(v, "fleet", &fleet, &ignored) < 0 ||
        json_require_text(v, "region", &region, &ignored) < 0 ||
        json_get_int(v, "ns", 0, &ns, &ignored) < 0)
        return;
    forget(s->pending, token);
    cleanup_free char *entry = text_format("%s %s %s", token, fleet, region);
    if (text_equal(event, "make") && clock_wall().ns - PENDING_NS < ns)
        texts_append(&s->pending, entry);
}

static int read_journal(struct machines_session *s, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct error missing = ERROR_NULL;
    if (file_read(s->journal_path, JOURNAL_MAX, &text, &missing) < 0) {
        if (missing.kind == ERROR_NOT_FOUND)
            return 0;
        *err = missing;
        return -1;
    }
    const char *all = buffer_string(&text);
    size_t at = 0;
    for (const char *end; (end = memchr(all + at, '\n', text.size - at));
         at = (size_t)(end - all) + 1)
        read_event(s, all + at, (size_t)(end - all) - at);
    /* A line that was being written when its runner died says nothing that has happened, and would
     * spoil the next. */
    return at < text.size && s->journal.fd >= 0 ? journal_cut(&s->journal, at, err) : 0;
}

static void find_journal(struct machines_session *s) {
    cleanup_free char *folder = state_folder();
    cleanup_free char *name = text_format("%s.jsonl", s->settings.name);
    free(s->journal_path);
    s->journal_path = path_join(folder, name);
    texts_free(s->pending);
    s->pending = NULL;
}

int machines_take_journal(struct machines_session *s, struct error *err) {
    cleanup_free char *folder = state_folder();
    find_journal(s);
    if (file_make_folders(folder, 0700, err) < 0 ||
        journal_open(&s->journal, s->journal_path, err) < 0 || read_journal(s, err) < 0)
        return error_wrap(err, "the journal of the machines");
    return 0;
}

void machines_give_journal(struct machines_session *s) {
    journal_close(&s->journal);
}

/* ---- events: on threads of the provider's, one at a time, while the main thread waits ---- */

static int on_journal(void *arg, const char *event, struct json *fields, struct error *err) {
    struct machines_session *s = arg;
    return journal_write(&s->journal, event, fields, err);
}

static char *on_pending(void *arg, const char *fleet, const char *region) {
    struct machines_session *s = arg;
    cleanup_free char *end = text_format(" %s %s", fleet, region);
    for (size_t i = 0; s->pending && s->pending[i]; i++)
        if (text_ends(s->pending[i], end))
            return text_format("%.*s", (int)strcspn(s->pending[i], " "), s->pending[i]);
    return NULL;
}

static void on_note(void *arg, const char *text) {
    struct machines_session *s = arg;
    if (s->trial)
        trial_warn(s->trial, "%s", text);
    else
        progress_note(s->context->progress, "%s", text);
}

/* ---- who may log in ---- */

/* The line beside the private key; without one, EC2 knows the key by its name. */
static int find_key(struct machines_session *s, struct error *err) {
    const struct deployment *d = s->files.deployment;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *path =
        d->credentials.ssh_key_path ? text_format("%s.pub", d->credentials.ssh_key_path) : NULL;
    if (path && file_exists(path)) {
        if (file_read(path, PUBLIC_KEY_MAX, &text, err) < 0)
            return -1;
        const char *line = buffer_string(&text);
        s->authorized_key = text_format("%.*s", (int)strcspn(line, "\r\n"), line);
        return 0;
    }
    if (d->credentials.ssh_key_name)
        return 0;
    error_set(err, ERROR_CONFIG, "nobody could log in to the machines: no SSH key is said");
    return error_hint(err, "credentials.ssh_key_path with its .pub beside it, or "
                           "credentials.ssh_key_name of a key pair of EC2");
}

/* ---- the whole ---- */

int machines_open_with(const struct command_context *context, const struct command_files *files,
                       enum machines_use use, struct machines_session *s, struct error *err) {
    const struct deployment *d = files->deployment;
    s->context = context;
    s->borrowed = files != &s->files;
    s->files = *files;
    s->settings = (struct provider_settings){
        .deployment = d,
        .environment = &environment_of_process,
        .owner = context->owner,
        .name = d->name ? d->name : s->files.project->name,
        .events = {.journal = on_journal, .pending = on_pending, .note = on_note, .arg = s}};
    bool ec2 = d->testbed.provider == DEPLOYMENT_EC2;
    bool changes = use == MACHINES_CHANGE || use == MACHINES_MAKE;
    if (ec2 && (use == MACHINES_MAKE || use == MACHINES_ASK) && find_key(s, err) < 0)
        return -1;
    if (ec2 && changes && machines_take_journal(s, err) < 0)
        return -1;
    if (ec2 && !changes) {
        find_journal(s);
        if (read_journal(s, err) < 0)
            return error_wrap(err, "the journal of the machines");
    }
    s->settings.authorized_key = s->authorized_key;
    return provider_open(&s->settings, &s->provider, err);
}

int machines_open(struct command_context *context, enum machines_use use,
                  struct machines_session *s, struct error *err) {
    return command_read_files(context, &s->files, err) < 0
               ? -1
               : machines_open_with(context, &s->files, use, s, err);
}

void machines_close(struct machines_session *s) {
    if (s->provider)
        s->provider->kind->close(s->provider);
    journal_close(&s->journal);
    machines_deinit(&s->machines);
    if (!s->borrowed)
        command_files_deinit(&s->files);
    texts_free(s->pending);
    for (size_t i = 0; i < s->key_count; i++) {
        free(s->keys[i].id);
        free(s->keys[i].key);
    }
    free(s->keys);
    free(s->journal_path);
    free(s->authorized_key);
    *s = MACHINES_SESSION_NULL;
}

/* ---- printing ---- */

static char *shown_time(int64_t expires_s) {
    int64_t left = expires_s - clock_wall().ns / (int64_t)NS_PER_SEC;
    if (expires_s == 0)
        return text_dup("");
    if (left <= 0)
        return text_dup("over");
    return text_format("%" PRId64 "h%02" PRId64 "m", left / 3600, left / 60 % 60);
}

/* What is not known is said so, and what costs nothing says nothing. */
static char *shown_price(const struct machine *m, const struct prices *prices) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct price price = cost_of_machine(m, prices);
    if (!cost_is_paid_for(m))
        return text_dup("");
    if (price.micros == PRICE_UNKNOWN)
        return text_dup("unknown");
    buffer_init(&text, 64);
    buffer_text(&text, price.at_most ? "<=" : "");
    price_write(price.micros, &text);
    return text_dup(buffer_string(&text));
}

static void add_row(struct columns *table, const struct machine *m, const struct prices *prices) {
    cleanup_free char *left = shown_time(m->expires_s);
    bool group = m->kind == MACHINE_IS_GROUP;
    columns_add(table, m->deployment);
    columns_add(table, group ? "(security group)" : *m->name ? m->name : m->fleet);
    columns_add(table, m->id);
    columns_add(table, *m->zone ? m->zone : m->region);
    columns_add(table, m->type);
    columns_add(table, group ? "" : m->spot ? "spot" : *m->region ? "on_demand" : "");
    columns_add(table, group ? "" : machine_state_names[m->state]);
    columns_add(table, *m->address ? m->address : m->private_address);
    columns_add(table, left);
    if (!prices)
        return;
    cleanup_free char *price = shown_price(m, prices);
    columns_add(table, price);
}

static void add_price(struct json *o, const struct machine *m, const struct prices *prices) {
    struct price price = cost_of_machine(m, prices);
    bool known = price.micros != PRICE_UNKNOWN;
    json_set(o, "usd_per_hour",
             !cost_is_paid_for(m) ? json_new_int(0)
             : known              ? json_new_number((double)price.micros / 1e6)
                                  : json_new_null());
    json_set_bool(o, "usd_at_most", price.at_most);
}

static void print_json(const struct machine *m, const struct prices *prices) {
    cleanup(json_freep) struct json *o = json_new_object();
    json_set_text(o, "id", m->id);
    json_set_text(o, "kind", m->kind == MACHINE_IS_GROUP ? "security-group" : "machine");
    json_set_text(o, "name", m->name);
    json_set_text(o, "owner", m->owner);
    json_set_text(o, "deployment", m->deployment);
    json_set_text(o, "fleet", m->fleet);
    json_set_text(o, "region", m->region);
    json_set_text(o, "zone", m->zone);
    json_set_text(o, "type", m->type);
    json_set_text(o, "market", m->spot ? "spot" : "on_demand");
    json_set_text(o, "state", machine_state_names[m->state]);
    json_set_text(o, "reason", m->reason);
    json_set_text(o, "address", m->address);
    json_set_text(o, "private_address", m->private_address);
    json_set_text(o, "host_key", m->host_key);
    json_set_int(o, "launched", m->launched_s);
    json_set_int(o, "expires", m->expires_s);
    if (prices)
        add_price(o, m, prices);
    cleanup_free char *line = json_to_text(o, JSON_LINE);
    puts(line);
}

void machines_print(const struct machines *machines, const struct prices *prices, bool json) {
    static const char *const titles[] = {"DEPLOYMENT", "NAME",  "ID",      "ZONE",      "TYPE",
                                         "MARKET",     "STATE", "ADDRESS", "TIME LEFT", "USD/HOUR"};
    size_t title_count = sizeof titles / sizeof *titles - !prices;
    cleanup(columns_deinit) struct columns table;
    columns_init(&table, title_count);
    for (size_t i = 0; i < title_count; i++)
        columns_add(&table, titles[i]);
    for (size_t i = 0; i < machines->count; i++) {
        if (json)
            print_json(&machines->items[i], prices);
        else
            add_row(&table, &machines->items[i], prices);
    }
    if (!json)
        columns_print(&table);
}
