/* `seatrial doctor`: is every host fit for a trial, and what is to be done where it is not? */

#include "runner/command/doctor.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/columns.h"
#include "runner/command/hosts.h"
#include "runner/command/jobs.h"

#include <stdlib.h>

enum { OPTION_CRASH_TEST = 256 };

struct arguments {
    struct hosts_chosen chosen;
    bool crash_test;
};

static const struct argp_option options[] = {
    {"crash-test", OPTION_CRASH_TEST, NULL, 0,
     "Start a container on every host that crashes, with the rights and limits of each service "
     "that "
     "is asked for core dumps, and see whether its core dump comes home",
     0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case OPTION_CRASH_TEST: a->crash_test = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const char *const result_names[] = {
    [FINDING_GOOD] = "good",
    [FINDING_WARNING] = "warning",
    [FINDING_FAILED] = "failed",
    [FINDING_NOT_CHECKED] = "not checked",
};

struct wanted {
    const struct command_hosts *hosts;
    bool crash_test;
};

static int examine(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine;
    (void)err;
    const struct wanted *wanted = arg;
    doctor_examine(subject, wanted->hosts, wanted->crash_test);
    return 0;
}

static void print_json(const char *host, const struct finding *f) {
    cleanup(json_freep) struct json *o = json_new_object();
    json_set_text(o, "event", "check");
    json_set(o, "host", json_new_text(host));
    json_set_text(o, "check", f->check);
    json_set_text(o, "result", result_names[f->result]);
    json_set_text(o, "text", f->text ? f->text : "");
    json_set(o, "remedy", json_new_text(f->remedy));
    cleanup_free char *line = json_to_text(o, JSON_LINE);
    puts(line);
}

static void add_row(struct columns *table, const char *host, const char *check,
                    enum finding_result result, const char *text) {
    columns_add(table, host);
    columns_add(table, check);
    columns_add(table, result_names[result]);
    columns_add(table, text);
}

static void print_table(const struct examination *all, size_t count) {
    cleanup(columns_deinit) struct columns table;
    columns_init(&table, 4);
    static const char *const titles[] = {"HOST", "CHECK", "RESULT", "WHAT"};
    for (size_t i = 0; i < 4; i++)
        columns_add(&table, titles[i]);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++) {
            const struct finding *f = &all[i].findings[k];
            add_row(&table, all[i].host->name, f->check, f->result, f->text);
        }
    columns_print(&table);
}

static void print_remedies(const struct examination *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++) {
            const struct finding *f = &all[i].findings[k];
            char shown[ERROR_HINT_MAX];
            if (f->remedy)
                printf("%s, %s: %s\n", all[i].host->name, f->check,
                       text_safe(f->remedy, shown, sizeof shown));
        }
}

static void print_all_json(const struct examination *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++)
            print_json(all[i].host->name, &all[i].findings[k]);
}

static bool any_failed(const struct examination *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < all[i].count; k++)
            if (all[i].findings[k].result == FINDING_FAILED)
                return true;
    return false;
}

const struct argp doctor_argp = {
    options,
    parse_option,
    NULL,
    "Looks at every host: can it be logged in to, does its engine answer and is it recent enough, "
    "disk, core dumps, limits, clock, what earlier trials left; and whether the registry, if one "
    "is named, lets us in. With provider ec2: who we are at AWS, which actions the policy lacks, "
    "and "
    "whether the machines could be made, by dry runs. Says what to do where something is "
    "wrong, and ends with 1 if something failed. Changes nothing, and leaves nothing.",
    hosts_children,
    NULL,
    NULL};

/* Where EC2 does not tell where the hosts are, that is a finding, and there are none. */
static int choose(const struct command_context *context, const struct hosts_chosen *chosen,
                  struct command_hosts *ret, struct error *err) {
    struct error ignored = ERROR_NULL;
    if (command_hosts_choose(context, chosen, ret, err) == 0) {
        command_hosts_try(ret);
        return 0;
    }
    return err->kind == ERROR_USAGE || command_read_files(context, &ret->files, &ignored) < 0 ||
                   ret->files.deployment->testbed.provider != DEPLOYMENT_EC2
               ? -1
               : 0;
}

static void examine_hosts(struct command_hosts *hosts, bool crash_test, struct examination *all) {
    struct job *jobs = mem_new_array(struct job, hosts->count);
    for (size_t i = 0; i < hosts->count; i++) {
        all[i].host = &hosts->hosts[i];
        jobs[i] = (struct job){.subject = &all[i]};
    }
    struct wanted wanted = {.hosts = hosts, .crash_test = crash_test};
    jobs_run(jobs, hosts->count, 0, examine, &wanted);
    jobs_free(jobs, hosts->count);
}

int command_doctor(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct arguments arguments = {.crash_test = false};
    command_parse(&doctor_argp, "doctor", argc, argv, &arguments);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (choose(context, &arguments.chosen, &hosts, &err) < 0)
        return command_fail(context, &err);

    /* Behind the hosts: what is about none of them, and the cloud's regions. */
    struct command_host none = {.name = "-"};
    struct doctor_cloud cloud = {.count = 0};
    doctor_examine_cloud(context, &hosts.files, &cloud);
    size_t count = hosts.count + 1 + cloud.count;
    struct examination *all = mem_new_array(struct examination, count);
    examine_hosts(&hosts, arguments.crash_test, all);
    all[hosts.count].host = &none;
    doctor_examine_registry(&all[hosts.count], hosts.files.deployment);
    doctor_cloud_move(&cloud, all + hosts.count + 1);
    if (context->progress_mode == PROGRESS_JSON)
        print_all_json(all, count);
    else {
        print_table(all, count);
        print_remedies(all, count);
    }
    bool failed = any_failed(all, count);
    for (size_t i = 0; i < count; i++)
        doctor_free_findings(&all[i]);
    free(all);
    doctor_cloud_deinit(&cloud);
    return failed ? 1 : 0;
}
