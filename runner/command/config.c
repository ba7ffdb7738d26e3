/* `seatrial config`: the checked, merged project. */

#include "lib/cleanup.h"
#include "runner/command/hosts.h"

enum { OPTION_SERVICES = 256, OPTION_MACHINES, OPTION_COMMANDS };

struct config_arguments {
    bool services, machines, commands;
};

static const struct argp_option options[] = {
    {"services", OPTION_SERVICES, NULL, 0, "only the services' names", 0},
    {"machines", OPTION_MACHINES, NULL, 0, "only the names of the deployment's hosts", 0},
    {"commands", OPTION_COMMANDS, NULL, 0, "only the names of its custom commands", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct config_arguments *a = state->input;
    (void)arg;
    switch (key) {
    case OPTION_SERVICES: a->services = true; return 0;
    case OPTION_MACHINES: a->machines = true; return 0;
    case OPTION_COMMANDS: a->commands = true; return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const struct argp config_argp = {
    options, parse_option, NULL, "Prints the merged Compose project as canonical YAML.",
    NULL,    NULL,         NULL};

static void print_project(const struct project *project) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 << 20);
    project_write_config(project, &text);
    fputs(buffer_string(&text), stdout);
}

int command_config(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct config_arguments a = {.services = false};
    command_parse(&config_argp, "config", argc, argv, &a);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if ((a.machines ? command_hosts_choose(context, &hosts_names_only, &hosts, &err)
                    : command_read_files(context, &hosts.files, &err)) < 0)
        return command_fail(context, &err);
    const struct project *project = hosts.files.project;
    const struct deployment *deployment = hosts.files.deployment;
    if (!a.services && !a.machines && !a.commands)
        print_project(project);
    for (size_t i = 0; a.services && i < project->service_count; i++)
        puts(project->services[i].name);
    for (size_t i = 0; a.machines && i < hosts.count; i++)
        puts(hosts.hosts[i].name);
    for (size_t i = 0; a.commands && i < deployment->runtime.command_count; i++)
        puts(deployment_command_name(&deployment->runtime.commands[i]));
    return 0;
}
