/* `seatrial custom`: a custom command of the deployment file now, beside running containers. */

#include "runner/run/custom.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/columns.h"
#include "runner/command/hosts.h"
#include "runner/run/describe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 256, LINE_MAX_BYTES = 64 << 10 /* of what is shown; files have all */ };

struct custom_arguments {
    const char *name; /* NULL: list them */
    const char *words[WORDS_MAX];
    size_t word_count;
    bool no_prefix;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"no-log-prefix", 'P', NULL, 0, "do not name the container before each line", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct custom_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case 'P': a->no_prefix = true; return 0;
    case ARGP_KEY_ARG:
        if (a->word_count == WORDS_MAX)
            argp_error(state, "more than %d services", WORDS_MAX);
        if (!a->name)
            a->name = arg;
        else
            a->words[a->word_count++] = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- which ---- */

static void print_list(const struct deployment *d) {
    cleanup(columns_deinit) struct columns table;
    columns_init(&table, 4);
    columns_add(&table, "NAME");
    columns_add(&table, "IN");
    columns_add(&table, "WHEN");
    columns_add(&table, "COMMAND");
    for (size_t i = 0; i < d->runtime.command_count; i++) {
        const struct deployment_command *c = &d->runtime.commands[i];
        columns_add(&table, deployment_command_name(c));
        columns_add(&table, c->in == DEPLOYMENT_IN_CONTAINER ? "container" : "host");
        columns_add(&table, deployment_command_when(c));
        columns_add(&table, c->command);
    }
    columns_print(&table);
}

static int find(const struct deployment *d, const char *name, const struct deployment_command **ret,
                struct error *err) {
    const char *names[DEPLOYMENT_COMMANDS_MAX + 1];
    char safe[128];
    for (size_t i = 0; i < d->runtime.command_count; i++) {
        names[i] = deployment_command_name(&d->runtime.commands[i]);
        if (text_equal(name, names[i])) {
            *ret = &d->runtime.commands[i];
            return 0;
        }
    }
    error_set(err, ERROR_USAGE, "the deployment has no custom command '%s'",
              text_safe(name, safe, sizeof safe));
    const char *nearest = text_nearest(name, names, d->runtime.command_count);
    return nearest ? error_hint(err, "did you mean '%s'?", nearest)
                   : error_hint(err, "`seatrial custom` lists them");
}

static const char *label(const struct command_container *c, const char *name) {
    const char *value = json_text_or_null(json_member(c->entry->labels, name));
    return value ? value : "";
}

/* Containers that are named are meant, whatever their service is; else those of the command. */
static bool is_wanted(const struct custom_arguments *a, const struct deployment_command *command,
                      const struct command_container *c) {
    static const enum project_role roles[] = {PROJECT_ROLE_REPLICA, PROJECT_ROLE_SIDECAR,
                                              PROJECT_ROLE_LOADER};
    if (!c->running)
        return false;
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (text_equal(label(c, LABEL_ROLE), project_role_name(roles[i])))
            return a->word_count > 0 || deployment_command_wants(command, c->service, roles[i]);
    return false;
}

/* ---- running it ---- */

struct by_hand {
    const struct custom_arguments *arguments;
    const struct deployment_command *command;
    const struct command_hosts *hosts;
    struct command_container **containers; /* those wanted */
    size_t count;
    const struct results *results;
};

/* What the command on one host prints, on its way to stdout line by line. */
struct shown {
    const struct by_hand *hand;
    const struct command_host *host;
    const char *container; /* of the line that is not complete yet */
    struct buffer line;
};

/* One call: lines of several hosts do not mix. */
static void print_line(struct shown *s) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 8 * LINE_MAX_BYTES);
    if (!s->hand->arguments->no_prefix)
        buffer_format(&text, "%s | ", s->container);
    text_harmless(&text, buffer_string(&s->line), s->line.size);
    buffer_text(&text, "\n");
    fwrite(text.data, 1, text.size, stdout);
    fflush(stdout);
    buffer_clear(&s->line);
}

static void show(void *arg, const struct custom_target *target, const void *data, size_t size) {
    struct shown *s = arg;
    const char *at = data, *end = at + size;
    if (s->line.size && s->container != target->container_name)
        print_line(s);
    s->container = target->container_name;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((newline ? newline : end) - at);
        size_t room = LINE_MAX_BYTES - s->line.size;
        buffer_append(&s->line, at, length < room ? length : room);
        if (newline)
            print_line(s);
        at += length + (newline ? 1 : 0);
    }
}

static int open_engine(void *arg, const struct task *task, struct engine **ret, struct error *err) {
    const struct shown *s = arg;
    return engine_open(&s->host->at->engine, task, ret, err);
}

static void add_targets(const struct by_hand *hand, const struct command_host *host,
                        struct custom_list *list) {
    struct error ignored = ERROR_NULL;
    struct deployment_command now = *hand->command;
    now.when = DEPLOYMENT_ON_DEMAND;
    custom_list_add(list, &now, hand->count);
    for (size_t i = 0; i < hand->count; i++) {
        const struct command_container *c = hand->containers[i];
        uint64_t index = 0;
        if (c->host != host)
            continue;
        text_to_u64(label(c, LABEL_INDEX), 0, PROJECT_REPLICAS_MAX, &index, &ignored);
        cleanup_free char *folder =
            results_container_folder(hand->results, host->name, c->entry->name);
        custom_list_add_target(list, &(struct custom_target){.container_id = c->entry->id,
                                                             .container_name = c->entry->name,
                                                             .index = index,
                                                             .folder = folder});
    }
}

static int judge(const struct by_hand *hand, const struct custom_count *n, struct error *err) {
    const char *name = deployment_command_name(hand->command);
    uint64_t bad = n->failures + n->lost + n->timed_out + n->container_ended;
    if (bad == 0)
        return 0;
    error_set(err, ERROR_FAILED,
              "custom command '%s': of %" PRIu64 " runs %" PRIu64 " failed, %" PRIu64
              " were ended by their timeout, %" PRIu64 " with their container, %" PRIu64
              " were lost",
              name, n->runs, n->failures, n->timed_out, n->container_ended, n->lost);
    return error_hint(err, "see the newest custom/%s%s<n>.json in '%s'",
                      hand->command->name ? hand->command->name : "",
                      hand->command->name ? "/" : "", hand->results->folder);
}

static int run_on(struct command_host *host, struct engine *engine, void *arg, struct error *err) {
    (void)engine; /* custom.h opens its own */
    const struct by_hand *hand = arg;
    struct task task = command_task();
    cleanup(custom_list_deinit) struct custom_list list = {.count = 0};
    add_targets(hand, host, &list);
    if (list.commands[0].target_count == 0)
        return 0;
    struct shown shown = {.hand = hand, .host = host};
    buffer_init(&shown.line, LINE_MAX_BYTES);
    cleanup_free char *part = text_format("hand-%d-%td", (int)getpid(), host - hand->hosts->hosts);
    cleanup_free char *work = custom_work_folder(hand->results->run, part);
    const struct custom_settings settings = {.host = host->at->host,
                                             .run = hand->results->run,
                                             .work_folder = work,
                                             .remove_work_folder = true,
                                             .commands = list.commands,
                                             .command_count = 1,
                                             .open_engine = open_engine,
                                             .show = show,
                                             .arg = &shown};
    struct custom *custom = NULL;
    int r = custom_new(&settings, &custom, err);
    if (r == 0 && (r = custom_prepare(custom, &task, err)) == 0)
        r = custom_once(custom, CUSTOM_DEMAND, &task, err);
    if (shown.line.size)
        print_line(&shown);
    if (r == 0)
        r = judge(hand, custom_count(custom, 0), err);
    if (custom && custom_close(custom) > 0 && r == 0)
        r = error_set(err, ERROR_LEFT_BEHIND, "something of it is left there: see '%s'", work);
    buffer_deinit(&shown.line);
    return r;
}

/* Only those that run, and are meant. */
static int narrow(struct by_hand *hand, struct error *err) {
    size_t found = hand->count;
    hand->count = 0;
    for (size_t i = 0; i < found; i++)
        if (is_wanted(hand->arguments, hand->command, hand->containers[i]))
            hand->containers[hand->count++] = hand->containers[i];
    if (hand->count > 0)
        return 0;
    return error_set(
        err, ERROR_NOT_FOUND, "no container for custom command '%s' runs on the hosts%s",
        deployment_command_name(hand->command), hand->hosts->status ? " that answered" : "");
}

static int run_by_hand(const struct command_context *context, const struct custom_arguments *a,
                       const struct deployment_command *command, struct command_hosts *hosts,
                       struct error *err) {
    char run[RUN_ID_SIZE];
    cleanup(results_deinit) struct results results = RESULTS_NULL;
    cleanup_free struct command_container **list = NULL;
    struct by_hand hand = {.arguments = a, .command = command, .hosts = hosts, .results = &results};
    if (command_containers_find(hosts, a->words, a->word_count, &list, &hand.count, err) < 0 ||
        command_hosts_run(hosts, run, err) < 0 ||
        results_find(hosts->files.deployment->local.perf_test_root, run, &results, err) < 0)
        return -1;
    hand.containers = list;
    if (narrow(&hand, err) < 0)
        return -1;
    command_hosts_each(hosts, run_on, &hand);
    progress_note(context->progress, "kept below custom%s%s of each container in %s",
                  command->name ? "/" : "", command->name ? command->name : "", results.folder);
    return 0;
}

const struct argp custom_argp = {
    options,
    parse_option,
    "[NAME [SERVICE...]]",
    "Runs the custom command NAME of the deployment file now, whenever else it would: for the "
    "containers that it is for, or for those named, one after the other on each host. Shows what "
    "it prints and keeps that in the run's folder. Without NAME, lists the commands.",
    hosts_children,
    NULL,
    NULL};

int command_custom(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct custom_arguments a = {.name = NULL};
    const struct deployment_command *command;
    command_parse(&custom_argp, "custom", argc, argv, &a);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (command_hosts_choose(context, &a.chosen, &hosts, &err) < 0)
        return command_fail(context, &err);
    if (!a.name) {
        print_list(hosts.files.deployment);
        return 0;
    }
    if (find(hosts.files.deployment, a.name, &command, &err) < 0)
        return command_fail(context, &err);
    command_hosts_list(&hosts);
    if (run_by_hand(context, &a, command, &hosts, &err) < 0)
        return hosts.status ? hosts.status : command_fail(context, &err);
    return hosts.status;
}
