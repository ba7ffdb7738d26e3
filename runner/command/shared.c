#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/command/machines.h"
#include "runner/engine/settings.h"
#include "runner/run/describe.h"
#include "runner/run/interrupt.h"

#include <stdlib.h>
#include <string.h>

int command_fail(const struct command_context *context, const struct error *err) {
    progress_error(context->progress, err);
    int interrupted = interrupt_exit_status();
    return interrupted && err->kind == ERROR_CANCELLED ? interrupted : error_exit_status(err->kind);
}

static void parse(const struct argp *argp, const char *name, int argc, char **argv, unsigned flags,
                  void *input) {
    static char program[64];
    snprintf(program, sizeof program, "seatrial %s", name);
    argv[0] = program;
    argp_err_exit_status = error_exit_status(ERROR_USAGE);
    argp_parse(argp, argc, argv, flags, NULL, input);
}

void command_parse(const struct argp *argp, const char *name, int argc, char **argv, void *input) {
    parse(argp, name, argc, argv, 0, input);
}

void command_parse_in_order(const struct argp *argp, const char *name, int argc, char **argv,
                            void *input) {
    parse(argp, name, argc, argv, ARGP_IN_ORDER, input);
}

int command_read_files(const struct command_context *context, struct command_files *ret,
                       struct error *err) {
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    struct project_load_options options = {.files = context->file_count ? context->files : NULL,
                                           .name = context->project,
                                           .environment = environment_of_process};
    if (project_load(&options, &files.project, err) < 0)
        return -1;
    const char *folder = *files.project->folder ? files.project->folder : ".";
    if (deployment_load(context->deployment, folder, &environment_of_process, &files.deployment,
                        err) < 0 ||
        deployment_check_project(files.deployment, files.project, err) < 0)
        return -1;
    for (size_t i = 0; files.project->warnings[i]; i++)
        progress_warn(context->progress, "%s", files.project->warnings[i]);
    *ret = files;
    files = COMMAND_FILES_NULL;
    return 0;
}

void command_files_deinit(struct command_files *files) {
    if (files->deployment)
        deployment_free(files->deployment);
    if (files->project)
        project_free(files->project);
    *files = COMMAND_FILES_NULL;
}

/* Asked for once: files and environment stay as they were when the command began. */
static struct engine_endpoint_settings endpoint;

int command_engine_options(const struct command_context *context, struct engine_options *ret,
                           struct error *err) {
    if (!endpoint.host && engine_endpoint_resolve(NULL, &endpoint, err) < 0)
        return -1;
    *ret = (struct engine_options){
        .host = endpoint.host, .tls = endpoint.tls, .call_timeout_ns = context->engine_timeout_ns};
    return 0;
}

struct task command_task(void) {
    return (struct task){.cancel = &interrupt_cancel, .deadline = INSTANT_NEVER};
}

/* The same of the lock. */
static struct image_lock images;
static char *images_path;

int command_read_lock(const struct command_files *files, const struct image_lock **ret,
                      const char **ret_path, struct error *err) {
    const char *folder = *files->project->folder ? files->project->folder : ".";
    free(images_path);
    images_path = path_join(folder, IMAGE_LOCK_NAME);
    image_lock_deinit(&images);
    int r = image_lock_load(images_path, &images, err);
    if (r < 0)
        return -1;
    *ret = r == 0 ? &images : NULL;
    *ret_path = images_path;
    return 0;
}

int command_trial_settings(const struct command_context *context, const struct command_files *files,
                           struct trial_settings *ret, struct error *err) {
    *ret = (struct trial_settings){.owner = context->owner,
                                   .config_path = files->deployment->folder,
                                   .reconnect_ns = context->reconnect_timeout_ns,
                                   .progress = context->progress};
    return command_read_lock(files, &ret->images, &ret->images_path, err);
}

int command_carry_out(const struct command_context *context, const struct command_files *files,
                      struct testbed *testbed, const struct plan_options *options,
                      const struct trial_settings *settings) {
    struct error err = ERROR_NULL;
    cleanup(plan_freep) struct plan *plan = NULL;
    cleanup(machines_care_deinit) struct machines_care care = MACHINES_CARE_NULL;
    int status = 0;
    struct trial_settings cared = *settings;
    struct plan_options placed = *options;
    placed.addresses = testbed->addresses;
    if (plan_make(files->project, files->deployment, &placed, &plan, &err) < 0 ||
        machines_care_for(context, files, testbed, &care, &cared.caretaker, &err) < 0 ||
        trial_run(plan, testbed, &cared, stdout, &status, &err) < 0)
        return command_fail(context, &err);
    return status;
}

int command_testbed(const struct command_context *context, const struct command_files *files,
                    struct testbed **ret, struct error *err) {
    struct engine_options engine;
    if (command_engine_options(context, &engine, err) < 0)
        return -1;
    return testbed_new(files->deployment, &engine, context->ssh_config, ret, err);
}
