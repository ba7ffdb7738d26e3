#include "runner/deployment/commands.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/deployment/deployment.h"
#include "runner/deployment/read.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    INTERVAL_MAX_SEC = 24 * 3600,
    TIMEOUT_MAX_SEC = 24 * 3600,
    COMMAND_MAX = 64 * 1024, /* of a command line */
};

/* What messages, reports and `seatrial custom` call the one that has no name. */
static const char nameless[] = "custom_command";

static const char *const ins[] = {
    [DEPLOYMENT_IN_HOST] = "host", [DEPLOYMENT_IN_CONTAINER] = "container", NULL};
static const char *const whens[] = {[DEPLOYMENT_AT_INTERVAL] = "interval",
                                    [DEPLOYMENT_AT_START] = "start",
                                    [DEPLOYMENT_AT_END] = "end",
                                    [DEPLOYMENT_ON_DEMAND] = "demand",
                                    NULL};

const char *deployment_command_name(const struct deployment_command *command) {
    return command->name ? command->name : nameless;
}

const char *deployment_command_when(const struct deployment_command *command) {
    return whens[command->when];
}

bool deployment_command_wants(const struct deployment_command *command, const char *service,
                              enum project_role role) {
    for (char **s = command->services; s && *s; s++)
        if (text_equal(*s, service))
            return true;
    return !command->services && command->roles[role];
}

static struct project_place place_of(const struct yaml_node *node,
                                     const struct deployment *deployment) {
    return (struct project_place){
        .file = deployment->file, .line = node->line, .column = node->column};
}

/* ---- what both ways to say it have ---- */

static int read_command(const struct yaml_node *value, bool one_line, char **slot,
                        struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    if (one_line && strpbrk(text, "\r\n"))
        return yaml_error(value, err, "'%s' must be one line", value->name);
    if (strlen(text) > COMMAND_MAX)
        return yaml_error(value, err, "'%s' is longer than %d bytes", value->name, COMMAND_MAX);
    *slot = *text ? text_dup(text) : NULL;
    return 0;
}

static int read_path(const struct yaml_node *value, const struct deployment *deployment,
                     struct deployment_command *ret, struct error *err) {
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    ret->script_place = place_of(value, deployment);
    ret->script = *text ? text_dup(text) : NULL;
    return 0;
}

static void free_texts(struct deployment_command *c) {
    free(c->name);
    free(c->script);
    free(c->command);
    texts_free(c->services);
    *c = (struct deployment_command){.name = NULL};
}

/* ---- one of the list ---- */

/* It becomes a folder, and a word of the command line. */
static int read_name(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    struct deployment_command *c = target;
    const char *text;
    if (yaml_get_text(value, &text, err) < 0)
        return -1;
    bool ok = isalnum((unsigned char)*text) && strlen(text) <= DEPLOYMENT_COMMAND_NAME_MAX;
    for (const char *p = text; ok && *p; p++)
        ok = isalnum((unsigned char)*p) || strchr("_.-", *p);
    if (!ok)
        return yaml_error(value, err,
                          "'%.64s' cannot be a command's name (letters, digits, '.', '-' and '_', "
                          "at most %d)",
                          text, DEPLOYMENT_COMMAND_NAME_MAX);
    if (text_equal(text, nameless))
        return yaml_error(value, err, "'%s' is what the command without a name is called",
                          nameless);
    c->name = text_dup(text);
    return 0;
}

static int read_script(const struct yaml_node *value, void *target, void *context,
                       struct error *err) {
    return read_path(value, context, target, err);
}

static int read_named_command(const struct yaml_node *value, void *target, void *context,
                              struct error *err) {
    (void)context;
    return read_command(value, false, &((struct deployment_command *)target)->command, err);
}

/* A prepare service has ended before any command runs. */
static int read_roles(const struct yaml_node *value, void *target, void *context,
                      struct error *err) {
    (void)context;
    static const char *const names[] = {"replica", "sidecar", "loader", NULL};
    static const enum project_role roles[] = {PROJECT_ROLE_REPLICA, PROJECT_ROLE_SIDECAR,
                                              PROJECT_ROLE_LOADER};
    struct deployment_command *c = target;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count == 0)
        return yaml_error(value, err, "'roles' names none");
    for (size_t i = 0; i < value->count; i++) {
        int role;
        if (yaml_get_choice(value->items[i], names, &role, err) < 0)
            return -1;
        c->roles[roles[role]] = true;
    }
    return 0;
}

static int read_services(const struct yaml_node *value, void *target, void *context,
                         struct error *err) {
    (void)context;
    struct deployment_command *c = target;
    if (yaml_get_texts(value, &c->services, err) < 0)
        return -1;
    return texts_count(c->services) ? 0 : yaml_error(value, err, "'services' names none");
}

#define AT(member) offsetof(struct deployment_command, member)
static const struct yaml_field command_fields[] = {
    YAML_READ_VALUE("name", read_name),
    YAML_READ_VALUE("script", read_script),
    YAML_READ_VALUE("command", read_named_command),
    YAML_CHOICE_VALUE("in", AT(in), ins),
    YAML_CHOICE_VALUE("when", AT(when), whens),
    YAML_INT_VALUE("interval_sec", AT(interval_sec), 1, INTERVAL_MAX_SEC),
    YAML_INT_VALUE("timeout_sec", AT(timeout_sec), 1, TIMEOUT_MAX_SEC),
    YAML_READ_VALUE("services", read_services),
    YAML_READ_VALUE("roles", read_roles),
};
#undef AT
static const struct yaml_table command_table = {.what = "a command",
                                                .fields = command_fields,
                                                .count =
                                                    sizeof command_fields / sizeof *command_fields,
                                                .nulls = true};

static int check_keys(const struct yaml_node *node, struct deployment_command *c,
                      struct error *err) {
    bool any_role = false;
    for (size_t i = 0; i < sizeof c->roles / sizeof *c->roles; i++)
        any_role = any_role || c->roles[i];
    if (!c->name)
        return yaml_error(node, err, "a command needs a 'name'");
    if (!c->command)
        return yaml_error(node, err, "command '%s' needs a 'command' that is run", c->name);
    if (c->when == DEPLOYMENT_AT_INTERVAL && !c->interval_sec) {
        yaml_error_text(node, err, "command '%s' needs an 'interval_sec'", c->name);
        return error_hint(err, "or say when it runs: `when: start`, `end` or `demand`");
    }
    if (c->when != DEPLOYMENT_AT_INTERVAL && c->interval_sec)
        return yaml_error(node, err, "command '%s' has an 'interval_sec', and runs `when: %s`",
                          c->name, whens[c->when]);
    if (any_role && c->services)
        return yaml_error(node, err, "command '%s' is for 'services' or for 'roles', not for both",
                          c->name);
    if (!any_role)
        c->roles[PROJECT_ROLE_REPLICA] = !c->services;
    return 0;
}

/* ---- the section ---- */

struct section {
    struct deployment *deployment;
    struct deployment_command single;
    struct deployment_command *list;
    size_t count;
};

static void section_deinit(struct section *s) {
    free_texts(&s->single);
    for (size_t i = 0; i < s->count; i++)
        free_texts(&s->list[i]);
    free(s->list);
}

static int read_single_script(const struct yaml_node *value, void *target, void *context,
                              struct error *err) {
    (void)context;
    struct section *s = target;
    return read_path(value, s->deployment, &s->single, err);
}

static int read_single_command(const struct yaml_node *value, void *target, void *context,
                               struct error *err) {
    (void)context;
    return read_command(value, true, &((struct section *)target)->single.command, err);
}

static int read_list(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    struct section *s = target;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count > DEPLOYMENT_COMMANDS_MAX)
        return yaml_error(value, err, "more than %d commands", DEPLOYMENT_COMMANDS_MAX);
    s->list = mem_new_array(struct deployment_command, value->count + 1);
    for (size_t i = 0; i < value->count; i++) {
        const struct yaml_node *node = value->items[i];
        struct deployment_command *c = &s->list[s->count++];
        c->place = place_of(node, s->deployment);
        if (yaml_want(node, YAML_MAPPING, err) < 0 ||
            yaml_read(node, &command_table, c, s->deployment, err) < 0 ||
            check_keys(node, c, err) < 0)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (text_equal(s->list[k].name, c->name))
                return yaml_error(node, err, "there are two commands '%s' (the other in line %u)",
                                  c->name, s->list[k].place.line);
    }
    return 0;
}

static const struct yaml_field section_fields[] = {
    YAML_READ_VALUE("custom_script_path", read_single_script),
    YAML_READ_VALUE("custom_command", read_single_command),
    YAML_INT_VALUE("custom_command_run_interval_sec", offsetof(struct section, single.interval_sec),
                   1, INTERVAL_MAX_SEC),
    YAML_READ_VALUE("commands", read_list),
};
static const struct yaml_table section_table = {.what = "'runtime'",
                                                .fields = section_fields,
                                                .count =
                                                    sizeof section_fields / sizeof *section_fields,
                                                .nulls = true};

static int check_single(const struct yaml_node *value, const struct deployment_command *single,
                        struct error *err) {
    if (single->command && !single->interval_sec)
        return yaml_error(value, err, "'custom_command' needs a 'custom_command_run_interval_sec'");
    if (!single->command && single->script)
        return yaml_error(value, err, "'custom_script_path' needs a 'custom_command' that runs it");
    return 0;
}

int deployment_read_commands(const struct yaml_node *value, struct deployment *deployment,
                             struct error *err) {
    cleanup(section_deinit) struct section s = {.deployment = deployment};
    if (yaml_read(value, &section_table, &s, NULL, err) < 0 ||
        check_single(value, &s.single, err) < 0)
        return -1;
    struct deployment_command *all = mem_new_array(struct deployment_command, s.count + 1);
    size_t count = 0;
    if (s.single.command) {
        s.single.roles[PROJECT_ROLE_REPLICA] = true;
        s.single.place = place_of(value, deployment);
        all[count++] = s.single;
        s.single = (struct deployment_command){.name = NULL};
    }
    for (size_t i = 0; i < s.count; i++)
        all[count++] = s.list[i];
    s.count = 0;
    deployment->runtime.commands = all;
    deployment->runtime.command_count = count;
    return 0;
}

void deployment_free_commands(struct deployment *deployment) {
    for (size_t i = 0; i < deployment->runtime.command_count; i++)
        free_texts(&deployment->runtime.commands[i]);
    free(deployment->runtime.commands);
}

/* ---- against the project ---- */

/* A loader begins after, and has ended before. */
static int check_time(const struct deployment_command *c, const struct project_service *service,
                      struct error *err) {
    bool once = c->when == DEPLOYMENT_AT_START || c->when == DEPLOYMENT_AT_END;
    if (!deployment_command_wants(c, service->name, service->seatrial.role) || !once ||
        service->seatrial.role != PROJECT_ROLE_LOADER)
        return 0;
    error_set(
        err, ERROR_CONFIG, "%s:%u:%u: command '%s' runs `when: %s`: then loader '%s' does not run",
        c->place.file, c->place.line, c->place.column, c->name, whens[c->when], service->name);
    return error_hint(err, "while a loader runs, commands do `when: interval` or `demand`");
}

static int check_service(const struct deployment_command *c, const char *name,
                         const struct project *project, struct error *err) {
    cleanup_free const char **names = mem_new_array(const char *, project->service_count + 1);
    for (size_t i = 0; i < project->service_count; i++) {
        const struct project_service *service = &project->services[i];
        names[i] = service->name;
        if (!text_equal(service->name, name))
            continue;
        if (service->seatrial.role != PROJECT_ROLE_PREPARE)
            return 0;
        return error_set(err, ERROR_CONFIG,
                         "%s:%u:%u: command '%s' is for service '%s', which has ended before any "
                         "command runs",
                         c->place.file, c->place.line, c->place.column, c->name, name);
    }
    const char *nearest = text_nearest(name, names, project->service_count);
    error_set(err, ERROR_CONFIG, "%s:%u:%u: command '%s': there is no service '%.64s'%s%s%s",
              c->place.file, c->place.line, c->place.column, c->name, name,
              nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    return -1;
}

int deployment_check_commands(const struct deployment *deployment, const struct project *project,
                              struct error *err) {
    for (size_t i = 0; i < deployment->runtime.command_count; i++) {
        const struct deployment_command *c = &deployment->runtime.commands[i];
        for (char **s = c->services; s && *s; s++)
            if (check_service(c, *s, project, err) < 0)
                return -1;
        for (size_t k = 0; k < project->service_count; k++)
            if (check_time(c, &project->services[k], err) < 0)
                return -1;
    }
    return 0;
}

/* ---- for people and reports ---- */

static void pair_text(struct yaml_writer *w, const char *key, const char *text) {
    if (text)
        yaml_pair_text(w, key, text);
}

static void pair_number(struct yaml_writer *w, const char *key, int64_t number) {
    if (number)
        yaml_pair_int(w, key, number);
}

static void write_roles(struct yaml_writer *w, const struct deployment_command *c) {
    yaml_key(w, "roles");
    yaml_begin(w, YAML_SEQUENCE, YAML_FLOW);
    for (int role = 0; role <= PROJECT_ROLE_LOADER; role++)
        if (c->roles[role])
            yaml_text(w, project_role_name((enum project_role)role));
    yaml_end(w);
}

static void write_named(struct yaml_writer *w, const struct deployment_command *c) {
    yaml_begin(w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(w, "name", c->name);
    pair_text(w, "script", c->script);
    yaml_pair_text(w, "command", c->command);
    yaml_pair_text(w, "in", ins[c->in]);
    yaml_pair_text(w, "when", whens[c->when]);
    pair_number(w, "interval_sec", c->interval_sec);
    pair_number(w, "timeout_sec", c->timeout_sec);
    if (c->services)
        yaml_pair_texts(w, "services", c->services, YAML_FLOW);
    else
        write_roles(w, c);
    yaml_end(w);
}

void deployment_write_commands(struct yaml_writer *w, const struct deployment *deployment) {
    const struct deployment_command *all = deployment->runtime.commands;
    size_t count = deployment->runtime.command_count, named = count > 0 && !all[0].name;
    if (named) {
        pair_text(w, "custom_script_path", all[0].script);
        yaml_pair_text(w, "custom_command", all[0].command);
        yaml_pair_int(w, "custom_command_run_interval_sec", all[0].interval_sec);
    }
    if (named == count)
        return;
    yaml_key(w, "commands");
    yaml_begin(w, YAML_SEQUENCE, YAML_BLOCK);
    for (size_t i = named; i < count; i++)
        write_named(w, &all[i]);
    yaml_end(w);
}
