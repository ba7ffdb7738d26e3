/* `seatrial machines status` and `ls`. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/command/machines.h"

#include <stdlib.h>
#include <string.h>

enum { OPTION_FORMAT = 256, HOSTS_MAX = 1 << 20 };

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_HOSTS };
static const char *const formats[] = {"table", "json", "hosts"};

struct list_arguments {
    bool all;
    enum format format;
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct list_arguments *a = state->input;
    switch (key) {
    case 'a': a->all = true; return 0;
    case OPTION_FORMAT:
        for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
            if (text_equal(arg, formats[i])) {
                a->format = (enum format)i;
                return 0;
            }
        argp_error(state, "--format: '%s' is none of table, json, hosts", arg);
        return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    case ARGP_KEY_END:
        if (a->all && a->format == FORMAT_HOSTS) /* names are those of one deployment */
            argp_error(state, "--format hosts is the file of one deployment: leave out --all");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option status_options[] = {
    {"format", OPTION_FORMAT, "table|json|hosts", 0,
     "json: one object per line; hosts: a deployment file that lists them for provider hosts", 0},
    {0},
};
static const struct argp_option ls_options[] = {
    {"all", 'a', NULL, 0,
     "what we own of any deployment, in every region that is open to the account, security groups "
     "too",
     0},
    {"format", OPTION_FORMAT, "table|json|hosts", 0,
     "json: one object per line; hosts: a deployment file that lists them for provider hosts", 0},
    {0},
};

const struct argp machines_status_argp = {
    status_options,
    parse_option,
    NULL,
    "Shows the deployment's machines, and says how many of those that it asks for run.",
    NULL,
    NULL,
    NULL};

const struct argp machines_ls_argp = {
    ls_options,
    parse_option,
    NULL,
    "Lists machines. What is not of this deployment is shown with --all only: orphans too, by the "
    "tags that everything carries.",
    NULL,
    NULL,
    NULL};

/* Machines that are there, and with --all what else is. */
static void keep_shown(struct machines *all, bool groups, struct machines *ret) {
    for (size_t i = 0; i < all->count; i++) {
        struct machine *m = &all->items[i];
        bool shown = m->kind == MACHINE_IS_GROUP ? groups : m->state != MACHINE_GONE;
        if (!shown)
            continue;
        mem_grow(ret->items, ret->count, ret->capacity);
        ret->items[ret->count++] = *m;
        *m = (struct machine){.id = NULL};
    }
}

/* What of the deployment is shown with them. */
struct listed {
    struct prices *prices; /* NULL: nobody pays for them by the hour */
    size_t wanted;
    bool private;
    char *user, *key_path;
};

static void listed_deinit(struct listed *l) {
    if (l->prices)
        prices_free(l->prices);
    free(l->user);
    free(l->key_path);
}

static int list(struct command_context *context, const struct list_arguments *a,
                struct machines *ret, struct listed *ret_of, struct error *err) {
    cleanup(machines_close) struct machines_session s = MACHINES_SESSION_NULL;
    cleanup(machines_deinit) struct machines all = MACHINES_NULL;
    struct task task = command_task();
    if (machines_open(context, MACHINES_LOOK, &s, err) < 0 ||
        s.provider->kind->list(s.provider, a->all ? PROVIDER_ALL : PROVIDER_DEPLOYMENT, &task, &all,
                               err) < 0)
        return -1;
    machines_know_keys(&s, &all);
    keep_shown(&all, a->all, ret);
    for (size_t i = 0; i < ret->count; i++)
        ret->items[i].host = NULL; /* the files go */
    const struct deployment *d = s.files.deployment;
    ret_of->wanted = d->testbed.host_count;
    ret_of->private = d->testbed.addresses == DEPLOYMENT_PRIVATE;
    ret_of->user = text_dup(d->testbed.user ? d->testbed.user : "ubuntu");
    ret_of->key_path = text_dup(d->credentials.ssh_key_path);
    return d->testbed.provider == DEPLOYMENT_EC2 ? machines_prices(d, &ret_of->prices, err) : 0;
}

/* Those that serve and run, by the way that the deployment goes to them. */
static void print_host(struct yaml_writer *w, const struct machine *m, const char *user,
                       bool private) {
    const char *address = private ? m->private_address : m->address;
    if (!*m->name || m->state != MACHINE_RUNNING || !*address)
        return;
    cleanup_free char *ssh = text_format("%s@%s", user, address);
    yaml_begin(w, YAML_MAPPING, YAML_FLOW);
    yaml_pair_text(w, "name", m->name);
    yaml_pair_text(w, "ssh", ssh);
    yaml_pair_text(w, "fleet", m->fleet);
    /* Which of two it has is known to the next run only. */
    if (*m->host_key && !strchr(m->host_key, '\n'))
        yaml_pair_text(w, "host_key", m->host_key);
    yaml_end(w);
}

static void print_hosts(const struct machines *machines, const struct listed *l) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, HOSTS_MAX);
    struct yaml_writer w = yaml_writer(&text);
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    if (l->key_path) {
        yaml_key(&w, "credentials");
        yaml_begin(&w, YAML_MAPPING, YAML_FLOW);
        yaml_pair_text(&w, "ssh_key_path", l->key_path);
        yaml_end(&w);
    }
    yaml_key(&w, "testbed");
    yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
    yaml_pair_text(&w, "provider", "hosts");
    yaml_key(&w, "hosts");
    yaml_begin(&w, YAML_SEQUENCE, YAML_BLOCK);
    for (size_t i = 0; i < machines->count; i++)
        print_host(&w, &machines->items[i], l->user, l->private);
    yaml_end(&w);
    yaml_end(&w);
    yaml_end(&w);
    fputs(buffer_string(&text), stdout);
}

static void tell_cost(struct command_context *context, const struct machines *machines,
                      const struct prices *prices) {
    cleanup(buffer_deinit) struct buffer text;
    struct cost cost = cost_of_machines(machines, prices, clock_wall().ns / (int64_t)NS_PER_SEC);
    buffer_init(&text, 1024);
    cost_write(&cost, true, &text);
    if (cost.machines)
        progress_note(context->progress, "cost: %s", buffer_string(&text));
}

static int show(struct command_context *context, const struct list_arguments *a, bool count) {
    struct error err = ERROR_NULL;
    cleanup(machines_deinit) struct machines machines = MACHINES_NULL;
    cleanup(listed_deinit) struct listed of = {.user = NULL};
    size_t run = 0;
    if (list(context, a, &machines, &of, &err) < 0)
        return command_fail(context, &err);
    if (a->format == FORMAT_HOSTS)
        print_hosts(&machines, &of);
    else
        machines_print(&machines, of.prices, a->format == FORMAT_JSON);
    for (size_t i = 0; i < machines.count; i++)
        run += *machines.items[i].name && machines.items[i].state == MACHINE_RUNNING;
    if (count && of.wanted)
        progress_note(context->progress, "%zu of %zu machines run", run, of.wanted);
    if (of.prices)
        tell_cost(context, &machines, of.prices);
    return 0;
}

int machines_status(struct command_context *context, int argc, char **argv) {
    struct list_arguments a = {.all = false};
    command_parse(&machines_status_argp, "machines status", argc, argv, &a);
    return show(context, &a, true);
}

int machines_ls(struct command_context *context, int argc, char **argv) {
    struct list_arguments a = {.all = false};
    command_parse(&machines_ls_argp, "machines ls", argc, argv, &a);
    return show(context, &a, false);
}
