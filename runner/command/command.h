#pragma once

/*
 * The commands of `seatrial`: one file per command, one table of commands (table.c). Help,
 * docs/COMMANDS.md and the completion come from the table and from each command's options.
 *
 * A command parses its own arguments, does its work through the rooms below, reports errors by
 * `command_fail`, and returns the exit status.
 */

#include "compose/load.h"
#include "compose/project.h"
#include "runner/deployment/deployment.h"
#include "runner/engine/container.h"
#include "runner/engine/engine.h"
#include "runner/plan/plan.h"
#include "runner/run/trial.h"

#include <argp.h>
#include <stdbool.h>

enum { COMMAND_FILES_MAX = PROJECT_FILES_MAX };

/* What the options before the command's name say. */
struct command_context {
    const char *files[COMMAND_FILES_MAX + 1]; /* -f, NULL-terminated; none: Compose's defaults */
    size_t file_count;
    const char *deployment; /* -d; NULL: the defaults */
    const char *project;    /* -p; NULL: as Compose finds it */
    enum progress_mode progress_mode;
    enum ansi_mode ansi;
    uint64_t engine_timeout_ns;    /* 0: the engine client's default */
    uint64_t reconnect_timeout_ns; /* 0: the trial's default */
    const char *ssh_config;        /* NULL: the user's and the system's */
    struct progress *progress;
    char owner[256]; /* user@host: what we create carries it */
};

struct command {
    const char *name;
    const char *summary;
    const struct argp *argp; /* its options and its help */
    int (*run)(struct command_context *context, int argc,
               char **argv); /* NULL: not supported yet */
};

/* The table: each command's file defines `NAME_argp` and `command_NAME`. */
#define COMMANDS(X)                                                                                \
    X(run, "the whole trial, until all is collected and reported")                                 \
    X(plan, "every step that `run` would take; touches nothing")                                   \
    X(up, "start the trial's containers without a load")                                           \
    X(ps, "the trial's containers on all hosts")                                                   \
    X(logs, "what the containers wrote")                                                           \
    X(exec, "run a command in a container")                                                        \
    X(custom, "run a custom command of the deployment now")                                        \
    X(stop, "stop containers, and keep them")                                                      \
    X(start, "start stopped containers again")                                                     \
    X(cp, "copy files out of and into containers")                                                 \
    X(images, "the project's images alone: build, push, lock, verify, ...")                        \
    X(machines, "the testbed's machines alone: up, status, stop, start, down, ...")                \
    X(load, "start the loader by hand against running replicas")                                   \
    X(collect, "fetch what is still on the hosts of a run")                                        \
    X(down, "stop, collect and remove the trial's containers")                                     \
    X(ssh, "a shell or a command on a host")                                                       \
    X(tunnel, "the hosts' engines as local sockets, for any Docker client")                        \
    X(doctor, "check the hosts and their engines; says what to do")                                \
    X(config, "the merged Compose project")                                                        \
    X(completion, "a script that completes commands in the shell")                                 \
    X(help, "the options of a command")

#define X(name, summary)                                                                           \
    extern const struct argp name##_argp;                                                          \
    int command_##name(struct command_context *context, int argc, char **argv);
COMMANDS(X)
#undef X

extern const struct command commands[];
extern const size_t command_count;
/* For the help_filter of an argp of a program with commands: the table of those that are supported,
 * below its options. */
char *command_help_list(int key, const char *text, const char *program, const struct command *list,
                        size_t count);
/* For the argp of a command with commands of its own (`seatrial images push`), and its run: finds
 * the one that is said in its table, and runs it. */
error_t command_parse_part(int key, char *arg, struct argp_state *state);
int command_run_part(struct command_context *context, const struct argp *argp, const char *name,
                     const struct command *list, size_t count, int argc, char **argv);
/* NULL, and reported, when there is none, or it is not supported yet. */
const struct command *command_find(const struct command_context *context, const char *name);

/* The options before the command's name (main.c). */
extern const struct argp main_argp;

/* ---- what commands share (shared.c) ---- */

/* Reports the error; returns its exit status. */
int command_fail(const struct command_context *context, const struct error *err);

/* argp for a command whose arguments were already separated from the global ones: wrong usage
 * exits with 2, --help with 0. `argv[0]` is the command's name. */
void command_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input);
/* The same where what follows the first argument belongs to another program. */
void command_parse_in_order(const struct argp *argp, const char *name, int argc, char **argv,
                            void *input);

struct command_files {
    struct project *project;
    struct deployment *deployment;
};
#define COMMAND_FILES_NULL ((struct command_files){.project = NULL})
/* Reads and checks both files. */
int command_read_files(const struct command_context *context, struct command_files *ret,
                       struct error *err);
void command_files_deinit(struct command_files *files);

/* The engine of the environment; its strings live until the end of the process. */
int command_engine_options(const struct command_context *context, struct engine_options *ret,
                           struct error *err);
struct task command_task(void);

/* seatrial.lock beside the first Compose file, and where that is; NULL: there is none. It lives
 * until the end of the process. */
int command_read_lock(const struct command_files *files, const struct image_lock **ret,
                      const char **ret_path, struct error *err);

int command_trial_settings(const struct command_context *context, const struct command_files *files,
                           struct trial_settings *ret, struct error *err);

/* The hosts of the deployment, not connected to yet. */
int command_testbed(const struct command_context *context, const struct command_files *files,
                    struct testbed **ret, struct error *err);

/* `run --resume RUN` (resume.c). */
int command_resume(struct command_context *context, const char *run);

/* Runs a plan over the files on the hosts, which are connected to if they are not yet. Returns the
 * exit status; errors are reported. */
int command_carry_out(const struct command_context *context, const struct command_files *files,
                      struct testbed *testbed, const struct plan_options *options,
                      const struct trial_settings *settings);
