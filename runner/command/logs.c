/* `seatrial logs`: what the trial's containers wrote, container by container, or as it comes. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/engine/log.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS_MAX = 256 };

struct logs_arguments {
    bool follow, timestamps, no_prefix;
    uint64_t tail; /* UINT64_MAX: all */
    const char *words[WORDS_MAX];
    size_t word_count;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"follow", 'f', NULL, 0, "go on until the containers stop", 0},
    {"tail", 'n', "N", 0, "only the last N lines of each container", 0},
    {"timestamps", 't', NULL, 0, "show when each line was written", 0},
    {"no-log-prefix", 'P', NULL, 0, "do not name the container before each line", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct logs_arguments *a = state->input;
    struct error err = ERROR_NULL;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 'f': a->follow = true; return 0;
    case 't': a->timestamps = true; return 0;
    case 'P': a->no_prefix = true; return 0;
    case 'n':
        if (!text_equal(arg, "all") && text_to_u64(arg, 1, INT32_MAX, &a->tail, &err) < 0)
            argp_error(state, "--tail: %s", err.text);
        return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "more than %d services", WORDS_MAX);
        a->words[a->word_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* One container's output on its way to stdout. */
struct reader {
    const struct logs_arguments *arguments;
    const char *name;
};

static int print_line(void *arg, const struct engine_log_line *line, struct error *err) {
    (void)err;
    const struct reader *r = arg;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 8 * ENGINE_LOG_LINE_MAX);
    if (!r->arguments->no_prefix)
        buffer_format(&text, "%s | ", r->name);
    if (r->arguments->timestamps)
        buffer_format(&text, "%s ", line->timestamp);
    text_harmless(&text, line->data, line->size);
    buffer_text(&text, "\n");
    fwrite(text.data, 1, text.size, stdout); /* one call: lines of several readers do not mix */
    if (r->arguments->follow)
        fflush(stdout);
    return 0;
}

static int read_logs(struct command_container *container, struct engine *engine, void *arg,
                     struct error *err) {
    const struct logs_arguments *a = arg;
    struct task task = command_task();
    struct reader reader = {.arguments = a, .name = container->entry->name};
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(engine, container->entry->name, &task, &state, err);
    if (r != 0)
        return r; /* removed since */
    struct engine_log_options log = {.follow = a->follow,
                                     .tty = state.tty,
                                     .timestamps = a->timestamps,
                                     .tail = a->tail == UINT64_MAX ? 0 : (int64_t)a->tail};
    return engine_container_logs(engine, container->entry->name, &log, print_line, &reader, &task,
                                 err);
}

const struct argp logs_argp = {options,
                               parse_option,
                               "[SERVICE...]",
                               "Prints what the containers of the trial wrote, on all hosts.",
                               hosts_children,
                               NULL,
                               NULL};

int command_logs(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct logs_arguments a = {.tail = UINT64_MAX};
    command_parse(&logs_argp, "logs", argc, argv, &a);

    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    cleanup_free struct command_container **list = NULL;
    size_t count;
    if (command_hosts_look(context, &a.chosen, &hosts, &err) < 0 ||
        command_containers_find(&hosts, a.words, a.word_count, &list, &count, &err) < 0)
        return command_fail(context, &err);
    if (a.follow)
        command_containers_each(&hosts, list, count, 0, read_logs, &a);
    else /* one after the other */
        for (size_t i = 0; i < count; i++)
            command_containers_each(&hosts, &list[i], 1, 1, read_logs, &a);
    return hosts.status;
}
