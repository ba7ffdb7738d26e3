/* `seatrial logs`: what the trial's containers wrote, in the order of time, or as it comes. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/log_record.h"
#include "runner/collect/log_when.h"
#include "runner/command/hosts.h"
#include "runner/command/jobs.h"
#include "runner/command/log_order.h"
#include "runner/engine/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 256, OPTION_NO_COLOR = 256, OPTION_SINCE, OPTION_UNTIL, OPTION_INDEX };

/* How long a line waits for earlier ones of others: of what is written now, so that one still sees
 * it at once; of what was written, until a host that says nothing must be taken for one that hangs.
 */
#define FOLLOW_WINDOW_NS (200 * NS_PER_MS)
#define WINDOW_NS (10 * NS_PER_SEC)

struct logs_arguments {
    bool follow, timestamps, no_prefix, no_color;
    uint64_t tail;  /* UINT64_MAX: all */
    uint64_t index; /* 0: all */
    struct wall_time since, until;
    const char *words[WORDS_MAX];
    size_t word_count;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"follow", 'f', NULL, 0, "go on until the containers stop", 0},
    {"tail", 'n', "N|all", 0, "only the last N lines of each container", 0},
    {"since", OPTION_SINCE, "TIME", 0,
     "only lines from then on: 2026-11-20T13:22:00Z, seconds since 1970, or how long ago (10m)", 0},
    {"until", OPTION_UNTIL, "TIME", 0, "only lines before that", 0},
    {"timestamps", 't', NULL, 0, "show when each line was written", 0},
    {"no-log-prefix", 'P', NULL, 0, "do not name the container before each line", 0},
    {"no-color", OPTION_NO_COLOR, NULL, 0, "no colours", 0},
    {"index", OPTION_INDEX, "N", 0, "only container N of each service", 0},
    {0},
};

static void parse_when(struct argp_state *state, const char *option, const char *arg,
                       struct wall_time *ret) {
    struct error err = ERROR_NULL;
    if (log_when(arg, clock_wall(), ret, &err) < 0)
        argp_error(state, "%s: %s", option, err.text);
}

static void parse_number(struct argp_state *state, const char *option, const char *arg,
                         uint64_t min, uint64_t *ret) {
    struct error err = ERROR_NULL;
    if (text_to_u64(arg, min, INT32_MAX, ret, &err) < 0)
        argp_error(state, "%s: %s", option, err.text);
}

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct logs_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 'f': a->follow = true; return 0;
    case 't': a->timestamps = true; return 0;
    case 'P': a->no_prefix = true; return 0;
    case 'n':
        if (text_equal(arg, "all"))
            a->tail = UINT64_MAX;
        else
            parse_number(state, "--tail", arg, 0, &a->tail);
        return 0;
    case OPTION_NO_COLOR: a->no_color = true; return 0;
    case OPTION_INDEX: parse_number(state, "--index", arg, 1, &a->index); return 0;
    case OPTION_SINCE: parse_when(state, "--since", arg, &a->since); return 0;
    case OPTION_UNTIL: parse_when(state, "--until", arg, &a->until); return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "more than %d services", WORDS_MAX);
        a->words[a->word_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- one container's output on its way into the order ---- */

struct reader {
    const struct logs_arguments *arguments;
    const struct command_container *container;
    struct log_order *order;
    size_t source;
    char *prefix; /* "" without */
    bool tty;
};

static int take_line(void *arg, const struct engine_log_line *line, struct error *err) {
    const struct reader *r = arg;
    struct log_record record;
    struct buffer text;
    if (log_record_of_line(line, &record, err) < 0)
        return -1;
    size_t size = line->size - (r->tty && line->size > 0 && line->data[line->size - 1] == '\r');
    buffer_init(&text, 8 * ENGINE_LOG_LINE_MAX);
    buffer_text(&text, r->prefix);
    if (r->arguments->timestamps)
        buffer_format(&text, "%s ", line->timestamp);
    text_harmless(&text, line->data, size);
    buffer_text(&text, "\n");
    size = text.size;
    log_order_push(r->order, r->source, record.ns, buffer_take(&text), size);
    return 0;
}

static int read_all(struct reader *r, struct error *err) {
    const struct logs_arguments *a = r->arguments;
    const char *name = r->container->entry->name;
    struct task task = command_task();
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    if (engine_open(&r->container->host->at->engine, &task, &engine, err) < 0)
        return -1;
    int found = engine_container_inspect(engine, name, &task, &state, err);
    if (found != 0)
        return found; /* removed since */
    r->tty = state.tty;
    int64_t tail = a->tail == UINT64_MAX ? 0 : a->tail == 0 ? -1 : (int64_t)a->tail;
    struct engine_log_options log = {.follow = a->follow,
                                     .tty = state.tty,
                                     .timestamps = true,
                                     .since_ns = a->since.ns,
                                     .until_ns = a->until.ns,
                                     .tail = tail};
    return engine_container_logs(engine, name, &log, take_line, r, &task, err);
}

static int read_logs(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine, (void)arg;
    struct reader *r = subject;
    int result = read_all(r, err);
    log_order_end(r->order, r->source);
    return result;
}

/* ---- printing ---- */

static void flush(void) {
    fflush(stdout);
}

static void *print(void *arg) {
    struct task task = command_task();
    char *text;
    size_t size;
    while ((text = log_order_pop(arg, flush, &size))) {
        struct error interrupted = ERROR_NULL;
        if (task_check(&task, &interrupted) == 0) /* else it is only taken out of the way */
            fwrite(text, 1, size, stdout);
        free(text);
    }
    fflush(stdout);
    return NULL;
}

/* Names are plain: hosts.c has seen to that. */
static char *prefix_of(const struct reader *r, size_t width, bool colour) {
    static const char *const colours[] = {"36", "33", "32", "35", "34",
                                          "96", "93", "92", "95", "94"};
    if (r->arguments->no_prefix)
        return text_dup("");
    const char *name = r->container->entry->name;
    if (!colour)
        return text_format("%-*s | ", (int)width, name);
    const char *code = colours[r->source % (sizeof colours / sizeof *colours)];
    return text_format("\x1b[%sm%-*s |\x1b[0m ", code, (int)width, name);
}

static bool wants_colour(const struct command_context *context, const struct logs_arguments *a) {
    const char *no_color = getenv("NO_COLOR");
    if (a->no_color || context->ansi == ANSI_NEVER)
        return false;
    return context->ansi == ANSI_ALWAYS ||
           (isatty(STDOUT_FILENO) && !text_equal(getenv("TERM"), "dumb") &&
            !(no_color && *no_color));
}

/* Those of the chosen number. */
static size_t narrow(struct command_container **list, size_t count, uint64_t index) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (index == 0 || list[i]->number == index)
            list[kept++] = list[i];
    return kept;
}

static void show(struct command_hosts *hosts, struct command_container **list, size_t count,
                 const struct logs_arguments *a) {
    struct log_order *order = log_order_new(count, a->follow ? FOLLOW_WINDOW_NS : WINDOW_NS);
    cleanup_free struct reader *readers = mem_new_array(struct reader, count);
    struct job *jobs = mem_new_array(struct job, count);
    bool colour = wants_colour(hosts->context, a);
    size_t width = 0;
    for (size_t i = 0; i < count; i++)
        width = strlen(list[i]->entry->name) > width ? strlen(list[i]->entry->name) : width;
    for (size_t i = 0; i < count; i++) {
        readers[i] =
            (struct reader){.arguments = a, .container = list[i], .order = order, .source = i};
        readers[i].prefix = prefix_of(&readers[i], width, colour);
        jobs[i] = (struct job){.subject = &readers[i]};
    }
    pthread_t printer;
    if (pthread_create(&printer, NULL, print, order) != 0)
        abort();
    jobs_run(jobs, count, 0, read_logs, NULL);
    pthread_join(printer, NULL);
    for (size_t i = 0; i < count; i++) {
        if (jobs[i].fault)
            command_hosts_report(hosts, list[i]->host, jobs[i].fault);
        free(readers[i].prefix);
    }
    jobs_free(jobs, count);
    log_order_free(order);
}

const struct argp logs_argp = {
    options,
    parse_option,
    "[SERVICE...]",
    "Prints what the containers of the trial wrote, on all hosts, in the "
    "order of time (by the hosts' clocks).",
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
    count = narrow(list, count, a.index);
    if (count > 0)
        show(&hosts, list, count, &a);
    return hosts.status;
}
