/*
 * Plans of trials on several hosts.
 *
 *     golden_plan FOLDER
 *
 * reads every FOLDER/NAME.case: wishes as words in the first line, then the Compose file, then,
 * behind a line `---`, the deployment file. What `plan` prints of it, and cluster.yaml, are
 * compared with FOLDER/NAME.expected; with SEATRIAL_GOLDEN_UPDATE=1 that file is written instead.
 *
 * Whatever is in the cases, of every plan is checked: a container reads the cluster file; and
 * whichever step fails, all steps come to an end, and what was made is removed.
 */

#include "lib/cluster.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/plan.h"
#include "runner/plan/schedule.h"
#include "tests/golden/cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8 << 20 };

static const char *nothing(void *arg, const char *name) {
    (void)arg;
    (void)name;
    return NULL;
}
static const struct environment env = {.lookup = nothing};

/* ---- wishes ---- */

static bool read_wishes(char *line, struct plan_options *ret) {
    char *rest = NULL;
    *ret = (struct plan_options){.run = "0badcafe"};
    for (char *word = strtok_r(line, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (text_equal(word, "run"))
            ret->mode = PLAN_TRIAL;
        else if (text_equal(word, "load"))
            ret->mode = PLAN_LOAD;
        else if (text_equal(word, "collect"))
            ret->mode = PLAN_COLLECT;
        else if (text_equal(word, "down"))
            ret->mode = PLAN_DOWN;
        else if (text_equal(word, "--no-load"))
            ret->no_load = true;
        else if (text_equal(word, "up"))
            ret->no_load = ret->detach = true;
        else if (text_equal(word, "--keep"))
            ret->keep = true;
        else if (text_equal(word, "--no-build"))
            ret->no_build_loader = ret->no_build_replica = true;
        else if (text_equal(word, "--frozen"))
            ret->frozen = true;
        else if (text_equal(word, "--no-push"))
            ret->no_push_loader = ret->no_push_replica = true;
        else if (text_equal(word, "--machines-only"))
            ret->machines_only = true;
        else
            return false;
    }
    return true;
}

/* ---- what holds of every plan ---- */

/* Of a kind that makes something, the kind that removes it; STEP_KIND_COUNT for all others. */
static enum step_kind undone_by(enum step_kind kind) {
    switch (kind) {
    case STEP_CREATE_CONTAINER: return STEP_REMOVE_CONTAINER;
    case STEP_CREATE_NETWORK: return STEP_REMOVE_NETWORK;
    case STEP_CREATE_VOLUME: return STEP_REMOVE_VOLUME;
    case STEP_START_COMMANDS: return STEP_STOP_COMMANDS;
    case STEP_LOCK_HOST: return STEP_UNLOCK_HOST;
    default: return STEP_KIND_COUNT;
    }
}

/* Steps that make and steps that undo; -1 where something is undone before it has ended. */
static bool is_undone(const struct plan *plan, const size_t *ended_at, size_t made) {
    enum step_kind undo = undone_by(plan->steps[made].kind);
    for (size_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].kind == undo && plan->steps[i].subject == plan->steps[made].subject &&
            plan->steps[i].host == plan->steps[made].host)
            return ended_at[i] > ended_at[made];
    return false;
}

/* Carries everything out but `failing`, which fails. NULL, or what is wrong. */
static const char *rehearse(const struct plan *plan, size_t failing) {
    struct schedule s;
    cleanup_free size_t *ended_at = mem_new_array(size_t, plan->step_count);
    size_t now = 0;
    long step;
    const char *wrong = NULL;
    bool failed = false, undoes = !plan->options.keep;
    schedule_init(&s, plan->steps, plan->step_count);
    while ((step = schedule_next(&s)) >= 0) {
        failed = failed || ((size_t)step == failing && plan->steps[step].when == STEP_FORWARD);
        ended_at[step] = ++now;
        schedule_end(&s, (size_t)step, (size_t)step == failing ? STEP_FAILED : STEP_GOOD);
    }
    undoes = undoes && (failed || !plan->options.no_load);
    if (!schedule_done(&s))
        wrong = "steps wait for ever";
    for (size_t i = 0; !wrong && undoes && i < plan->step_count; i++)
        if (ended_at[i] && undone_by(plan->steps[i].kind) != STEP_KIND_COUNT &&
            !is_undone(plan, ended_at, i))
            wrong = "something is not undone";
    schedule_deinit(&s);
    return wrong;
}

static bool check_schedule(const char *name, const struct plan *plan) {
    for (size_t failing = 0; failing <= plan->step_count; failing++) {
        const char *wrong = rehearse(plan, failing);
        if (!wrong)
            continue;
        printf("%s: when step %zu fails, %s\n", name, failing + 1, wrong);
        return false;
    }
    return true;
}

static bool check_cluster(const char *name, const struct buffer *text, const struct plan *plan) {
    struct error err = ERROR_NULL;
    cleanup(cluster_freep) struct cluster *cluster = NULL;
    if (cluster_parse("cluster.yaml", text->data, text->size, &cluster, &err) < 0) {
        printf("%s: %s\n", name, err.text);
        return false;
    }
    return cluster->containers_count == plan->container_count;
}

/* ---- a case ---- */

struct trial {
    struct project *project;
    struct deployment *deployment;
    struct plan *plan;
};

static void trial_deinit(struct trial *t) {
    if (t->plan)
        plan_free(t->plan);
    if (t->project)
        project_free(t->project);
    if (t->deployment)
        deployment_free(t->deployment);
}

static int make(const struct plan_options *wishes, const char *compose, const char *deployment,
                struct trial *t, struct error *err) {
    struct project_source source = {"compose.yaml", compose, strlen(compose)};
    struct project_options options = {.name = "t", .folder = "/home/user/t", .environment = env};
    if (project_parse(&source, 1, &options, &t->project, err) < 0 ||
        deployment_parse("deployment.yaml", "/home/user/t", 0600, deployment, strlen(deployment),
                         &env, &t->deployment, err) < 0)
        return -1;
    return plan_make(t->project, t->deployment, wishes, &t->plan, err);
}

static bool run(const char *name, char *text, struct buffer *out) {
    static const char divider[] = "\n---\n";
    struct error err = ERROR_NULL;
    struct plan_options wishes;
    cleanup(trial_deinit) struct trial t = {.plan = NULL};
    char *compose = strchr(text, '\n'), *deployment = strstr(text, divider);
    if (!compose || !deployment) {
        printf("%s: no wishes, or no `---` between the files\n", name);
        return false;
    }
    *compose++ = *deployment = '\0';
    if (!read_wishes(text, &wishes)) {
        printf("%s: a wish that nobody knows\n", name);
        return false;
    }
    if (make(&wishes, compose, deployment + strlen(divider), &t, &err) < 0) {
        buffer_format(out, "%s error: %s\n", error_kind_name(err.kind), err.text);
        if (*err.hint)
            buffer_format(out, "hint: %s\n", err.hint);
        return true;
    }
    cleanup(buffer_deinit) struct buffer cluster;
    buffer_init(&cluster, TEXT_MAX);
    plan_write_text(t.plan, out);
    plan_write_cluster(t.plan, &cluster);
    buffer_format(out, "\ncluster.yaml:\n%s", buffer_string(&cluster));
    return check_cluster(name, &cluster, t.plan) && check_schedule(name, t.plan);
}

int main(int argc, char **argv) {
    return golden_main(argc, argv, run);
}
