/* Steps that end a trial: stop, collect, remove. They are done whatever happened before. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/exec.h"
#include "runner/run/describe.h"
#include "runner/run/trial.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    LAST_LINES = 20,
    HOOK_OUTPUT_MAX = 64 << 10, /* of each of stdout and stderr */
    HOOK_SHOWN_MAX = 500,
    GAPS_SHOWN_MAX = 10, /* of one container */
};

/* After its container has ended, a log comes to its end at once; this is for engines in trouble. */
#define LOG_END_NS (10 * NS_PER_SEC)

static const struct plan_container *planned(const struct act *act) {
    return &act->trial->plan->containers[act->step->subject];
}

static struct trial_container *record(const struct act *act) {
    return &act->trial->containers[act->step->subject];
}

int act_find_container(const struct act *act, const struct task *task, struct engine_container *ret,
                       struct error *err) {
    struct trial_container *c = record(act);
    if (c->removed)
        return 1;
    const char *reference = c->created ? c->id : planned(act)->name;
    int r = engine_container_inspect(act->engine, reference, task, ret, err);
    if (r != 0)
        return r;
    const char *run = json_text_or_null(json_member(ret->labels, LABEL_RUN));
    if (!text_equal(run, act->trial->plan->run)) {
        engine_container_deinit(ret);
        *ret = ENGINE_CONTAINER_NULL;
        return 1;
    }
    snprintf(c->id, sizeof c->id, "%s", ret->id);
    c->created = true;
    if (!c->image_id)
        c->image_id = text_dup(ret->image_id);
    return 0;
}

static int look_at_end(const struct act *act, const struct task *task, struct error *err) {
    struct trial_container *c = record(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = engine_container_inspect(act->engine, c->id, task, &state, err);
    if (r < 0)
        return -1;
    if (r == 0)
        act_record_end(c, &state);
    if (r == 0 && c->ended && !c->stopped_by_us && c->exit_code != 0 && !c->last_lines)
        c->last_lines = log_tail(act->engine, c->id, planned(act)->service->tty, LAST_LINES, task);
    return 0;
}

/* What a hook said goes into a file of the container's folder; its last words into an error. */
static int judge_hook(const struct act *act, size_t index, const struct engine_exec_result *result,
                      struct error *err) {
    cleanup_free char *name = text_format("pre_stop-%zu.log", index + 1);
    cleanup_free char *path = path_join(record(act)->folder, name);
    cleanup(buffer_deinit) struct buffer said, shown;
    buffer_init(&said, 2 * HOOK_OUTPUT_MAX);
    buffer_init(&shown, HOOK_SHOWN_MAX);
    buffer_append(&said, result->out.data, result->out.size);
    buffer_append(&said, result->err.data, result->err.size);
    if (said.size > 0 && (file_make_folders(record(act)->folder, 0755, err) < 0 ||
                          file_write(path, 0644, said.data, said.size, err) < 0))
        return -1;
    if (result->exit_code == 0)
        return 0;
    while (said.size > 0 && strchr(" \r\n", said.data[said.size - 1]))
        said.size--;
    size_t skip = said.size > HOOK_SHOWN_MAX ? said.size - HOOK_SHOWN_MAX : 0;
    text_harmless(&shown, buffer_string(&said) + skip, said.size - skip);
    error_set(err, ERROR_FAILED, "pre_stop '%s' ended with exit status %" PRId64 "%s%s",
              planned(act)->service->pre_stop[index].command[0], result->exit_code,
              said.size > 0 ? ": " : "", buffer_string(&shown));
    return said.size > skip ? error_hint(err, "all it said is in '%s'", path) : -1;
}

static int run_hook(const struct act *act, size_t index, const struct task *task,
                    struct error *err) {
    const struct project_hook *hook = &planned(act)->service->pre_stop[index];
    int64_t limit_s = describe_stop_grace_s(planned(act)->service);
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    cleanup_free struct engine_pair *env =
        mem_new_array(struct engine_pair, env_pairs_count(hook->environment) + 1);
    for (size_t i = 0; hook->environment && hook->environment[i].name; i++)
        env[i] = (struct engine_pair){hook->environment[i].name, hook->environment[i].value};
    const struct engine_exec_spec spec = {.cmd = (const char *const *)hook->command,
                                          .env = env,
                                          .user = hook->user,
                                          .working_dir = hook->working_dir,
                                          .privileged = hook->privileged};
    act_say(act, "%s", hook->command[0]);
    if (engine_exec(act->engine, record(act)->id, &spec, HOOK_OUTPUT_MAX,
                    (uint64_t)limit_s * NS_PER_SEC, task, &result, err) == 0)
        return judge_hook(act, index, &result, err);
    error_wrap(err, "pre_stop '%s'", hook->command[0]);
    return err->kind != ERROR_TIMEOUT
               ? -1
               : error_hint(err,
                            "a hook has as much time as stop_grace_period says: here %" PRId64 " s",
                            limit_s);
}

int act_pre_stop(struct act *act, struct error *err) {
    const struct project_service *service = planned(act)->service;
    struct task task = act_cleanup_task(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, &task, &state, err);
    if (r != 0 || !state.running)
        return r < 0 ? -1 : 1;
    for (size_t i = 0; i < service->pre_stop_count; i++)
        if (run_hook(act, i, &task, err) < 0)
            return -1;
    return 0;
}

/* A runner before us may have stopped it, and not lived to see it: what ended by a fault of its own
 * was not. */
static bool was_stopped_by_us(const struct trial_container *c, const struct engine_container *now) {
    static const int faults[] = {SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
    bool fault = false;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        fault = fault || now->exit_code == 128 + faults[i];
    return c->stop_begun && !c->ended && !fault;
}

int act_stop_container(struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    struct task task = act_cleanup_task(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, &task, &state, err);
    if (r != 0)
        return r;
    bool running = state.running;
    c->stopped_by_us = c->stopped_by_us || (!running && was_stopped_by_us(c, &state));
    if (running) {
        c->stopped_by_us = true;
        /* Told to the engine, so that the call has a deadline: one that stalls must not hold us. */
        int64_t grace_s = describe_stop_grace_s(planned(act)->service);
        r = engine_container_stop(act->engine, c->id, grace_s, &task, err);
        if (r < 0)
            return -1;
        c->stopped_by_us = r == 0;
    }
    if (look_at_end(act, &task, err) < 0)
        return -1;
    return running || c->started ? 0 : 1;
}

void act_note_failure(struct error *first, const struct error *now) {
    if (first->kind == ERROR_NONE || now->kind == ERROR_UNREACHABLE)
        *first = *now;
}

static void warn_of_gaps(const struct act *act, const struct log_result *log) {
    for (size_t i = 0; i < log->gap_count && i < GAPS_SHOWN_MAX; i++) {
        const struct log_gap *gap = &log->gaps[i];
        char from[WALL_TEXT_SIZE], to[WALL_TEXT_SIZE];
        act_warn(act, "the engine %s what %s wrote between %s and %s: %s",
                 gap->perhaps ? "may have lost some of" : "has lost", planned(act)->name,
                 wall_text((struct wall_time){gap->from_ns}, from),
                 wall_text((struct wall_time){gap->to_ns}, to), log_gap_reason_name(gap->reason));
    }
    if (log->gaps_all > GAPS_SHOWN_MAX)
        act_warn(act,
                 "the log of %s has %" PRIu64 " gaps in all: grep ' gap since ' in its output.log",
                 planned(act)->name, log->gaps_all);
}

static void collect_log(const struct act *act, const struct engine_container *state,
                        const struct task *task, struct error *first) {
    struct trial_container *c = record(act);
    struct error err = ERROR_NULL;
    if (c->log)
        log_follow_end(c->log, LOG_END_NS, &c->log_result);
    c->log = NULL;
    cleanup_free char *path = path_join(c->folder, "output.log");
    int r = log_complete(act->engine, state, path, task, &c->log_result, &err);
    if (r < 0) {
        error_wrap(&err, "read the log again");
        act_note_failure(first, &err);
        return;
    }
    if (r == 1)
        act_warn(act,
                 "what %s writes is not in the results: its engine cannot read the log driver '%s'",
                 planned(act)->name, state->log_driver);
    warn_of_gaps(act, &c->log_result);
}

static void collect_record(const struct act *act, const struct engine_container *state,
                           struct error *first) {
    struct error err = ERROR_NULL;
    if (results_write_json(record(act)->folder, "container.json", state->json, &err) < 0)
        act_note_failure(first, &err);
}

/* It was made, and none of us has removed it. */
static bool is_missed(const struct act *act) {
    const struct trial_container *c = record(act);
    return act->trial->plan->options.mode == PLAN_TRIAL && c->created && !c->removed &&
           !act->trial->hosts[act->step->host].taken_over;
}

static int gone(const struct act *act, struct error *err) {
    error_set(err, ERROR_NOT_FOUND,
              "the container is not there any more: its files are lost, and so is what it wrote "
              "after the last line of its output.log");
    return error_hint(err, "somebody has removed it; what is there of it is in '%s'",
                      record(act)->folder);
}

int act_collect_container(struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    struct task task = act_cleanup_task(act);
    struct error first = ERROR_NULL;
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, &task, &state, err);
    if (r != 0) {
        if (c->log)
            log_follow_end(c->log, 0, &c->log_result);
        c->log = NULL;
        return r < 0 || !is_missed(act) ? r : gone(act, err);
    }
    act_record_end(c, &state);
    if (file_make_folders(c->folder, 0755, err) < 0)
        return -1;
    collect_log(act, &state, &task, &first);
    collect_record(act, &state, &first);
    act_fetch_files(act, &state, &task, &first);
    if (first.kind == ERROR_NONE)
        return 0;
    *err = first;
    return -1;
}

int act_remove_container(struct act *act, struct error *err) {
    struct trial_container *c = record(act);
    struct task task = act_cleanup_task(act);
    cleanup(engine_container_deinit) struct engine_container state = ENGINE_CONTAINER_NULL;
    int r = act_find_container(act, &task, &state, err);
    if (r != 0)
        return r;
    if (engine_container_remove(act->engine, c->id, true, true, &task, err) < 0)
        return -1;
    c->removed = true;
    act_forget_fetched(act);
    return 0;
}
