/* `seatrial ps`: the trial's containers as their engines see them, over all hosts. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/columns.h"
#include "runner/command/hosts.h"
#include "runner/run/describe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 256, COMMAND_SHOWN = 20, OPTION_FORMAT = 256, OPTION_SERVICES };

struct ps_arguments {
    bool all, quiet, json, services;
    const char *words[WORDS_MAX];
    size_t word_count;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"all", 'a', NULL, 0, "stopped containers too", 0},
    {"quiet", 'q', NULL, 0, "only the ids", 0},
    {"services", OPTION_SERVICES, NULL, 0, "only the services' names", 0},
    {"format", OPTION_FORMAT, "table|json", 0, "json: one object per line", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct ps_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 'a': a->all = true; return 0;
    case 'q': a->quiet = true; return 0;
    case OPTION_SERVICES: a->services = true; return 0;
    case OPTION_FORMAT:
        if (!text_equal(arg, "table") && !text_equal(arg, "json"))
            argp_error(state, "--format: '%s' is neither 'table' nor 'json'", arg);
        a->json = text_equal(arg, "json");
        return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "more than %d services", WORDS_MAX);
        a->words[a->word_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *label(const struct command_container *c, const char *name) {
    const char *value = json_text_or_null(json_member(c->entry->labels, name));
    return value ? value : "";
}

/* ---- for people ---- */

static char *shown_command(const struct command_container *c) {
    const char *command = json_text_or_null(json_find(c->json, "Command"));
    if (!command)
        return text_dup("");
    bool cut = strlen(command) > COMMAND_SHOWN;
    return text_format("\"%.*s%s\"", cut ? COMMAND_SHOWN - 1 : COMMAND_SHOWN, command,
                       cut ? "…" : "");
}

/* As Docker says it. */
static char *shown_age(int64_t created_s) {
    static const struct {
        int64_t seconds, below;
        const char *unit;
    } units[] = {{1, 60, "second"},
                 {60, 60, "minute"},
                 {3600, 48, "hour"},
                 {86400, 14, "day"},
                 {7 * 86400, 8, "week"},
                 {30 * 86400, 24, "month"},
                 {365 * 86400, INT64_MAX, "year"}};
    int64_t age = clock_wall().ns / (int64_t)NS_PER_SEC - created_s, count = 0;
    size_t u = 0;
    if (age < 1)
        return text_dup("Less than a second ago");
    while ((count = age / units[u].seconds) >= units[u].below)
        u++;
    return text_format("%" PRId64 " %s%s ago", count, units[u].unit, count == 1 ? "" : "s");
}

static void show_port(const struct json *port, struct buffer *out) {
    struct error ignored = ERROR_NULL;
    const char *address = json_text_or_null(json_find(port, "IP"));
    const char *type = json_text_or_null(json_find(port, "Type"));
    int64_t inside = 0, outside = 0;
    json_get_int(port, "PrivatePort", 0, &inside, &ignored);
    json_get_int(port, "PublicPort", 0, &outside, &ignored);
    buffer_text(out, out->size ? ", " : "");
    if (outside)
        buffer_format(out,
                      address && strchr(address, ':') ? "[%s]:%" PRId64 "->" : "%s:%" PRId64 "->",
                      address ? address : "", outside);
    buffer_format(out, "%" PRId64 "/%s", inside, type ? type : "tcp");
}

static void add_row(struct columns *table, const struct command_container *c) {
    cleanup_free char *command = shown_command(c);
    cleanup_free char *age = shown_age(c->entry->created_s);
    cleanup(buffer_deinit) struct buffer ports;
    buffer_init(&ports, 4096);
    for (size_t i = 0; i < json_count(c->entry->ports); i++)
        show_port(json_at(c->entry->ports, i), &ports);
    columns_add(table, c->entry->name);
    columns_add(table, c->host->name);
    columns_add(table, c->entry->image);
    columns_add(table, command);
    columns_add(table, c->service);
    columns_add(table, age);
    columns_add(table, c->entry->status);
    columns_add(table, buffer_string(&ports));
}

static void print_table(struct command_container *const *list, size_t count) {
    static const char *const titles[] = {"NAME",    "HOST",    "IMAGE",  "COMMAND",
                                         "SERVICE", "CREATED", "STATUS", "PORTS"};
    enum { TITLES = sizeof titles / sizeof *titles };
    cleanup(columns_deinit) struct columns table;
    columns_init(&table, TITLES);
    for (size_t i = 0; i < TITLES; i++)
        columns_add(&table, titles[i]);
    for (size_t i = 0; i < count; i++)
        add_row(&table, list[i]);
    columns_print(&table);
}

/* ---- for programs: Compose's names, and ours ---- */

/* "Up 3 seconds (healthy)", "Exited (137) 2 hours ago". */
static const char *health_of(const char *status) {
    return strstr(status, "(healthy)")            ? "healthy"
           : strstr(status, "(unhealthy)")        ? "unhealthy"
           : strstr(status, "(health: starting)") ? "starting"
                                                  : "";
}

static int64_t exit_code_of(const struct engine_container_entry *entry) {
    const char *code = strchr(entry->status, '(');
    return text_equal(entry->state, "exited") && code ? strtoll(code + 1, NULL, 10) : 0;
}

static void add_publishers(struct json *object, const struct json *ports) {
    struct json *list = json_set_array(object, "Publishers");
    for (size_t i = 0; i < json_count(ports); i++) {
        static const char *const names[][2] = {{"IP", "URL"},
                                               {"PrivatePort", "TargetPort"},
                                               {"PublicPort", "PublishedPort"},
                                               {"Type", "Protocol"}};
        struct json *port = json_append(list, json_new_object());
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            const struct json *value = json_find(json_at(ports, i), names[n][0]);
            if (value)
                json_set(port, names[n][1], json_copy_deep(value));
        }
    }
}

static void print_json(const struct command_container *c) {
    cleanup(json_freep) struct json *o = json_new_object();
    const char *command = json_text_or_null(json_find(c->json, "Command"));
    json_set_text(o, "ID", c->entry->id);
    json_set_text(o, "Name", c->entry->name);
    json_set_text(o, "Image", c->entry->image);
    json_set_text(o, "Command", command ? command : "");
    json_set_text(o, "Project", label(c, LABEL_PROJECT));
    json_set_text(o, "Service", c->service);
    json_set_int(o, "Created", c->entry->created_s);
    json_set_text(o, "State", c->entry->state);
    json_set_text(o, "Status", c->entry->status);
    json_set_text(o, "Health", health_of(c->entry->status));
    json_set_int(o, "ExitCode", exit_code_of(c->entry));
    json_set_text(o, "Host", c->host->name);
    json_set_text(o, "Role", label(c, LABEL_ROLE));
    json_set_text(o, "Run", label(c, LABEL_RUN));
    add_publishers(o, c->entry->ports);
    cleanup_free char *line = json_to_text(o, JSON_LINE);
    puts(line);
}

static void print_services(struct command_container *const *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = text_equal(list[k]->service, list[i]->service);
        if (!again)
            puts(list[i]->service);
    }
}

const struct argp ps_argp = {options,
                             parse_option,
                             "[SERVICE...]",
                             "Lists the running containers of the project's trial, on all hosts.",
                             hosts_children,
                             NULL,
                             NULL};

int command_ps(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct ps_arguments a = {.all = false};
    command_parse(&ps_argp, "ps", argc, argv, &a);

    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    cleanup_free struct command_container **list = NULL;
    size_t found, count = 0;
    if (command_hosts_look(context, &a.chosen, &hosts, &err) < 0 ||
        command_containers_find(&hosts, a.words, a.word_count, &list, &found, &err) < 0)
        return command_fail(context, &err);
    for (size_t i = 0; i < found; i++)
        if (a.all || list[i]->running)
            list[count++] = list[i];
    if (a.services)
        print_services(list, count);
    else if (!a.quiet && !a.json)
        print_table(list, count);
    else
        for (size_t i = 0; i < count; i++)
            if (a.quiet)
                puts(list[i]->entry->id);
            else
                print_json(list[i]);
    return hosts.status;
}
