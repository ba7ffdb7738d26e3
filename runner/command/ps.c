/* `seatrial ps`: the trial's containers as the engine sees them. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/command.h"
#include "runner/run/describe.h"

#include <string.h>

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    bool *quiet = state->input;
    switch (key) {
    case 'q': *quiet = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *label(const struct engine_container_entry *entry, const char *name) {
    const char *value = json_text_or_null(json_member(entry->labels, name));
    return value ? value : "";
}

static void print_harmless(const char *text, int width) {
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 64 << 10);
    text_harmless(&shown, text, strlen(text));
    printf("%-*s  ", width, buffer_string(&shown));
}

static void print_entry(const struct engine_container_entry *entry) {
    print_harmless(entry->name, 28);
    print_harmless(label(entry, LABEL_ROLE), 8);
    print_harmless("local", 8);
    print_harmless(label(entry, LABEL_RUN), 8);
    print_harmless(entry->image, 24);
    print_harmless(entry->status, 0);
    putchar('\n');
}

static const struct argp_option options[] = {{"quiet", 'q', NULL, 0, "only the ids", 0}, {0}};

const struct argp ps_argp = {
    options, parse_option, NULL, "Lists the containers of the project's trial.", NULL, NULL, NULL};

int command_ps(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    bool quiet = false;
    command_parse(&ps_argp, "ps", argc, argv, &quiet);

    cleanup(command_view_deinit) struct command_view view = COMMAND_VIEW_NULL;
    if (command_look(context, &view, &err) < 0)
        return command_fail(context, &err);
    if (!quiet)
        printf("%-28s  %-8s  %-8s  %-8s  %-24s  %s\n", "NAME", "ROLE", "HOST", "RUN", "IMAGE",
               "STATUS");
    for (size_t i = 0; i < view.list.count; i++)
        if (quiet)
            printf("%s\n", view.list.entries[i].id);
        else
            print_entry(&view.list.entries[i]);
    return 0;
}
