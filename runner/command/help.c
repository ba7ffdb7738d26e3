/* `seatrial help`: what every command says of itself; all of it together is docs/COMMANDS.md. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/command/machines.h"

#include <stdlib.h>

enum { OPTION_MANUAL = 256, LIST_MAX = 16 << 10 };

struct help_arguments {
    bool manual;
    const char *command; /* NULL: the program itself */
};

static const struct argp_option options[] = {
    {"manual", OPTION_MANUAL, NULL, 0, "the help of all commands, as docs/COMMANDS.md has it", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct help_arguments *a = state->input;
    switch (key) {
    case OPTION_MANUAL: a->manual = true; return 0;
    case ARGP_KEY_ARG:
        if (a->command)
            argp_error(state, "more than one command");
        a->command = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

char *command_help_list(int key, const char *text, const char *program, const struct command *list,
                        size_t count) {
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    struct buffer help;
    buffer_init(&help, LIST_MAX);
    buffer_text(&help, "Commands:\n");
    for (size_t i = 0; i < count; i++)
        if (list[i].run)
            buffer_format(&help, "  %-10s  %s\n", list[i].name, list[i].summary);
    buffer_format(&help, "\n`%s COMMAND --help` tells the options of a command.", program);
    return buffer_take(&help);
}

static void print_help(const struct argp *argp, const char *name) {
    cleanup_free char *program = text_format("seatrial%s%s", name ? " " : "", name ? name : "");
    argp_help(argp, stdout, ARGP_HELP_STD_HELP, program);
}

static void print_parts(const char *of, const struct command *parts, size_t count) {
    for (size_t i = 0; i < count; i++) {
        cleanup_free char *name = text_format("%s %s", of, parts[i].name);
        printf("\n### %s\n\n```text\n", name);
        print_help(parts[i].argp, name);
        puts("```");
    }
}

static void print_manual(void) {
    puts(
        "# Commands\n\n"
        "What `seatrial --help` and `seatrial COMMAND --help` say; this page is the output of "
        "`seatrial help --manual`,\nand a test compares the two.\n\n"
        "Results go to stdout; progress, warnings and errors to stderr. Exit status: 0 good; 1 the "
        "trial, or what was asked\nof a host, failed; 2 usage; 3 configuration; 4 a threshold was "
        "missed; 5 something was left behind; 130 or 143\ninterrupted. `exec` and `ssh` hand "
        "through the exit status of their command.\n\n"
        "## seatrial\n\n```text");
    print_help(&main_argp, NULL);
    puts("```");
    for (size_t i = 0; i < command_count; i++) {
        if (!commands[i].run)
            continue;
        printf("\n## %s\n\n```text\n", commands[i].name);
        print_help(commands[i].argp, commands[i].name);
        puts("```");
        if (commands[i].argp == &images_argp)
            print_parts("images", images_commands, images_command_count);
        if (commands[i].argp == &machines_argp)
            print_parts("machines", machines_commands, machines_command_count);
    }
}

const struct argp help_argp = {
    options, parse_option, "[COMMAND]", "Tells the options of a command, or of all.",
    NULL,    NULL,         NULL};

int command_help(struct command_context *context, int argc, char **argv) {
    struct help_arguments a = {.manual = false};
    command_parse(&help_argp, "help", argc, argv, &a);
    const struct command *command = a.command ? command_find(context, a.command) : NULL;
    if (a.command && !command)
        return error_exit_status(ERROR_USAGE);
    if (a.manual)
        print_manual();
    else
        print_help(command ? command->argp : &main_argp, command ? command->name : NULL);
    return 0;
}
