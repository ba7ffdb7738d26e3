/* `seatrial logs`: what the trial's containers wrote, container by container, or as it comes. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/command.h"
#include "runner/engine/log.h"
#include "runner/run/describe.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SERVICES_MAX = 64 };

struct logs_arguments {
    bool follow, timestamps, no_prefix;
    uint64_t tail; /* UINT64_MAX: all */
    const char *services[SERVICES_MAX];
    size_t service_count;
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
    case 'f': a->follow = true; return 0;
    case 't': a->timestamps = true; return 0;
    case 'P': a->no_prefix = true; return 0;
    case 'n':
        if (!text_equal(arg, "all") && text_to_u64(arg, 1, INT32_MAX, &a->tail, &err) < 0)
            argp_error(state, "--tail: %s", err.text);
        return 0;
    case ARGP_KEY_ARG:
        if (a->service_count == SERVICES_MAX)
            argp_error(state, "more than %d services", SERVICES_MAX);
        a->services[a->service_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* One container's output on its way to stdout. */
struct reader {
    const struct logs_arguments *arguments;
    struct engine_options engine;
    const char *id, *name;
    pthread_t thread;
    struct error err;
    bool failed;
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

static void *read_logs(void *arg) {
    struct reader *r = arg;
    struct task task = command_task();
    struct engine_log_options log = {
        .follow = r->arguments->follow,
        .timestamps = r->arguments->timestamps,
        .tail = r->arguments->tail == UINT64_MAX ? 0 : (int64_t)r->arguments->tail};
    cleanup(engine_closep) struct engine *engine = NULL;
    r->failed = engine_open(&r->engine, &task, &engine, &r->err) < 0 ||
                engine_container_logs(engine, r->id, &log, print_line, r, &task, &r->err) < 0;
    return NULL;
}

static bool wanted(const struct logs_arguments *a, const struct engine_container_entry *entry) {
    const char *service = json_text_or_null(json_member(entry->labels, LABEL_SERVICE));
    for (size_t i = 0; i < a->service_count; i++)
        if (text_equal(a->services[i], service) || text_equal(a->services[i], entry->name))
            return true;
    return a->service_count == 0;
}

/* Followed all at once, otherwise one after the other. */
static int read_all(const struct command_context *context, struct reader *readers, size_t count) {
    int status = 0;
    for (size_t i = 0; i < count; i++) {
        int r = pthread_create(&readers[i].thread, NULL, read_logs, &readers[i]);
        if (r) {
            error_set_os(&readers[i].err, ERROR_IO, r, "start a thread");
            return command_fail(context, &readers[i].err);
        }
        if (!readers[i].arguments->follow)
            pthread_join(readers[i].thread, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (readers[i].arguments->follow)
            pthread_join(readers[i].thread, NULL);
        if (readers[i].failed)
            status = command_fail(context, &readers[i].err);
    }
    return status;
}

const struct argp logs_argp = {
    options, parse_option, "[SERVICE...]", "Prints what the containers of the trial wrote.", NULL,
    NULL,    NULL};

int command_logs(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct logs_arguments a = {.tail = UINT64_MAX};
    command_parse(&logs_argp, "logs", argc, argv, &a);

    cleanup(command_view_deinit) struct command_view view = COMMAND_VIEW_NULL;
    struct engine_options engine;
    if (command_look(context, &view, &err) < 0 ||
        command_engine_options(context, &engine, &err) < 0)
        return command_fail(context, &err);
    cleanup_free struct reader *readers = mem_new_array(struct reader, view.list.count);
    size_t count = 0;
    for (size_t i = 0; i < view.list.count; i++)
        if (wanted(&a, &view.list.entries[i]))
            readers[count++] = (struct reader){.arguments = &a,
                                               .engine = engine,
                                               .id = view.list.entries[i].id,
                                               .name = view.list.entries[i].name};
    return read_all(context, readers, count);
}
