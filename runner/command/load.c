/* `seatrial load`: the loader by hand, attached, against replicas that run already. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "runner/command/hosts.h"

#include <string.h>

enum { LOADER_ARGS_MAX = 64 << 10 };

/* One line that the loader splits as a shell would: words with other characters are quoted. */
static void quote(struct buffer *line, const char *word) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=./:,+@%";
    if (line->size)
        buffer_text(line, " ");
    if (*word && word[strspn(word, plain)] == '\0') {
        buffer_text(line, word);
        return;
    }
    buffer_text(line, "'");
    for (; *word; word++)
        if (*word == '\'')
            buffer_text(line, "'\\''");
        else
            buffer_append(line, word, 1);
    buffer_text(line, "'");
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct buffer *line = state->input;
    if (key != ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN;
    quote(line, arg);
    return 0;
}

const struct argp load_argp = {
    NULL,
    parse_option,
    "[-- LOADER ARGS]",
    "Starts the loader's container against the running replicas, shows what it writes, and keeps "
    "its results in the run's folder. LOADER ARGS replace general.loader_cli.",
    NULL,
    NULL,
    NULL};

int command_load(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LOADER_ARGS_MAX);
    command_parse(&load_argp, "load", argc, argv, &line);

    static const struct hosts_chosen all = {.count = 0};
    char run[RUN_ID_SIZE];
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    const struct command_files *files = &hosts.files;
    if (buffer_check(&line, "the loader's arguments", &err) < 0 ||
        command_hosts_look(context, &all, &hosts, &err) < 0 ||
        command_hosts_run(&hosts, run, &err) < 0)
        return hosts.status ? hosts.status : command_fail(context, &err);

    struct error ignored = ERROR_NULL;
    cleanup(results_deinit) struct results earlier = RESULTS_NULL;
    results_find(files->deployment->local.perf_test_root, run, &earlier, &ignored);
    struct trial_settings settings;
    if (command_trial_settings(context, files, &settings, &err) < 0)
        return command_fail(context, &err);
    settings.attach = true;
    settings.results_root = earlier.folder; /* else beside the other runs */
    struct plan_options options = {
        .mode = PLAN_LOAD, .run = run, .loader_args = line.size ? line.data : NULL};
    return command_carry_out(context, files, hosts.testbed, &options, &settings);
}
