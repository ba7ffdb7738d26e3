/* `seatrial completion`: a script for bash, made of the table of commands and their options. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/images.h"
#include "runner/command/machines.h"

#include <ctype.h>
#include <string.h>

enum { DEPTH_MAX = 4 };

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    bool *given = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (*given || !text_equal(arg, "bash"))
            argp_error(state, "the only shell is bash");
        *given = true;
        return 0;
    case ARGP_KEY_END:
        if (!*given)
            argp_error(state, "for which shell? (bash)");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

typedef void option_visitor(const struct argp_option *option, void *arg);

/* Those that people may see, of the children too. */
static void visit(const struct argp *argp, option_visitor *visitor, void *arg, int depth) {
    const struct argp_option *o = argp->options;
    for (; o && (o->name || o->key || o->doc); o++)
        if (o->name && !(o->flags & OPTION_HIDDEN))
            visitor(o, arg);
    for (const struct argp_child *c = argp->children; c && c->argp && depth < DEPTH_MAX; c++)
        visit(c->argp, visitor, arg, depth + 1);
}

static bool takes_value(const struct argp_option *o) {
    return o->arg && !(o->flags & OPTION_ARG_OPTIONAL);
}

static void print_name(const struct argp_option *o, void *arg) {
    (void)arg;
    printf(" --%s", o->name);
}

static void print_pattern(const struct argp_option *o, void *arg) {
    bool *first = arg;
    if (!takes_value(o))
        return;
    printf("%s--%s", *first ? "" : " | ", o->name);
    if (isalnum(o->key))
        printf(" | -%c", o->key);
    *first = false;
}

/* `auto|tty|plain`: words of ours; FILE: what is on the disk; hosts: the deployment's. */
static void print_values(const struct argp_option *o, void *arg) {
    const char *command = arg;
    bool words = o->arg && strchr(o->arg, '|'), file = text_equal(o->arg, "FILE");
    bool host = text_equal(o->name, "machine");
    if (!takes_value(o) || !(words || file || host))
        return;
    printf("    '%s --%s'", command, o->name);
    if (isalnum(o->key))
        printf(" | '%s -%c'", command, o->key);
    if (host) {
        puts(") mapfile -t COMPREPLY < <(compgen -W \"$(ask --machines)\" -- \"$word\") && return "
             ";;");
        return;
    }
    printf(") mapfile -t COMPREPLY < <(compgen %s", words ? "-W '" : "-f");
    for (const char *p = o->arg; words && *p; p++)
        putchar(*p == '|' ? ' ' : *p);
    printf("%s -- \"$word\") && return ;;\n", words ? "'" : "");
}

static void print_values_of_options(void) {
    bool first = true;
    puts(
        "# Completion of seatrial for bash: source <(seatrial completion bash)\n"
        "_seatrial() {\n"
        "  local i command='' word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    case ${COMP_WORDS[i]} in");
    fputs("      ", stdout);
    visit(&main_argp, print_pattern, &first, 0);
    puts(") i=$((i + 1)) ;;\n"
         "      -*) ;;\n"
         "      *) command=${COMP_WORDS[i]} && break ;;\n"
         "    esac\n"
         "  done\n"
         "  ask() { \"${COMP_WORDS[0]}\" \"${COMP_WORDS[@]:1:i-1}\" config \"$1\" 2>/dev/null; }\n"
         "  case \"$command $before\" in");
    visit(&main_argp, print_values, (char[]){""}, 0);
    for (size_t i = 0; i < command_count; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s", commands[i].name);
        if (commands[i].run)
            visit(commands[i].argp, print_values, name, 0);
    }
}

/* What stands for itself in a command's usage. */
static const char *completed_words(const char *usage) {
    if (!usage)
        return "";
    return text_starts(usage, "[NAME")  ? "\" $(ask --commands) $(ask --services)\""
           : strstr(usage, "SERVICE")   ? "\" $(ask --services)\""
           : text_starts(usage, "HOST") ? "\" $(ask --machines)\""
           : text_equal(usage, "bash")  ? "' bash'"
                                        : "";
}

static void print_words(void) {
    puts("  esac\n"
         "  local words=''\n"
         "  case $command in");
    fputs("    '') words='", stdout);
    for (size_t i = 0; i < command_count; i++)
        if (commands[i].run)
            printf("%s ", commands[i].name);
    visit(&main_argp, print_name, NULL, 0);
    puts("' ;;");
    for (size_t i = 0; i < command_count; i++) {
        if (!commands[i].run)
            continue;
        printf("    %s) words='", commands[i].name);
        visit(commands[i].argp, print_name, NULL, 0);
        for (size_t k = 0; commands[i].argp == &images_argp && k < images_command_count; k++)
            printf(" %s", images_commands[k].name);
        for (size_t k = 0; commands[i].argp == &machines_argp && k < machines_command_count; k++)
            printf(" %s", machines_commands[k].name);
        const char *more = completed_words(commands[i].argp->args_doc);
        printf(" --help'%s ;;\n", more);
    }
    puts("  esac\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
         "}\n"
         "complete -o default -F _seatrial seatrial");
}

const struct argp completion_argp = {
    NULL,
    parse_option,
    "bash",
    "Prints a script that completes commands and options: `source <(seatrial completion bash)`.",
    NULL,
    NULL,
    NULL};

int command_completion(struct command_context *context, int argc, char **argv) {
    (void)context;
    bool given = false;
    command_parse(&completion_argp, "completion", argc, argv, &given);
    print_values_of_options();
    print_words();
    return 0;
}
