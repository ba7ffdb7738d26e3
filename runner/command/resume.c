/* `seatrial run --resume RUN`: goes on with a run whose runner died. */

#include "runner/run/resume.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "runner/command/machines.h"

static int read_journal(const struct results *results, struct trial_resume *ret,
                        struct error *err) {
    cleanup_free char *path = path_join(results->folder, "journal.jsonl");
    if (journal_read(path, &ret->log, err) < 0)
        return err->kind == ERROR_NOT_FOUND
                   ? error_hint(err, "nothing was made on any host: begin a new run")
                   : -1;
    return 0;
}

/* The same plan again, carried out further. */
static int go_on(struct command_context *context, const struct command_files *files,
                 struct trial_resume *resume, struct trial_settings *settings, int *ret_status,
                 struct error *err) {
    cleanup(testbed_closep) struct testbed *testbed = NULL;
    cleanup(plan_freep) struct plan *plan = NULL;
    cleanup(machines_care_deinit) struct machines_care care = MACHINES_CARE_NULL;
    struct plan_options options;
    if (resume_options(&resume->log, &options, settings, err) < 0 ||
        machines_find(context, files, err) < 0 ||
        command_testbed(context, files, &testbed, err) < 0)
        return -1;
    options.addresses = testbed->addresses;
    if (plan_make(files->project, files->deployment, &options, &plan, err) < 0 ||
        resume_prepare(resume, plan, err) < 0 ||
        machines_care_for(context, files, testbed, &care, &settings->caretaker, err) < 0)
        return -1;
    settings->resume = resume;
    return trial_run(plan, testbed, settings, stdout, ret_status, err);
}

int command_resume(struct command_context *context, const char *run) {
    struct error err = ERROR_NULL;
    int status = 0;
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    cleanup(results_deinit) struct results results = RESULTS_NULL;
    cleanup(trial_resume_deinit) struct trial_resume resume = TRIAL_RESUME_NULL;
    struct trial_settings settings;
    if (command_read_files(context, &files, &err) < 0 ||
        command_trial_settings(context, &files, &settings, &err) < 0 ||
        results_find(files.deployment->local.perf_test_root, run, &results, &err) < 0)
        return command_fail(context, &err);
    settings.results_folder = results.folder;
    if (read_journal(&results, &resume, &err) == 0 && resume.log.reported) {
        printf("run %s has ended and was reported; its results are in %s\n", results.run,
               results.folder);
        return 0;
    }
    if (err.kind == ERROR_NONE)
        go_on(context, &files, &resume, &settings, &status, &err);
    machines_say_until(context, &files);
    if (err.kind == ERROR_NONE)
        return status;
    error_wrap(&err, "resume run %s", results.run);
    return command_fail(context, &err);
}
