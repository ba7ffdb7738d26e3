/* Steps about samples of a host and its containers. None of them fails: a trial is good without. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "runner/run/trial.h"

static struct trial_host *record(const struct act *act) {
    return &act->trial->hosts[act->step->host];
}

int act_start_samples(struct act *act, struct error *err) {
    (void)err;
    struct trial *t = act->trial;
    struct trial_host *h = record(act);
    struct error why = ERROR_NULL;
    if (h->samples)
        return 0; /* an earlier try */
    cleanup_free char *folder = path_join(t->results.folder, t->plan->hosts[act->step->host].name);
    bool of_engine = host_is_of_engine(act->host);
    struct samples_settings settings = {.host = act->host,
                                        .engine = &t->testbed->hosts[act->step->host].engine,
                                        .clock_offset_ns = h->clock.offset_ns,
                                        .one_shots = h->podman,
                                        .folder = of_engine ? folder : NULL,
                                        .host_sampled = &h->sampled};
    if (!of_engine)
        snprintf(h->sampled.why, sizeof h->sampled.why, "it is only reached through its engine");
    if (samples_start(&settings, &h->samples, &why) < 0) {
        act_warn(act, "host %s and its containers are not sampled: %s", host_name(act->host),
                 why.text);
        return 0; /* what comes after it does not need it */
    }
    return 0;
}

void act_sample_container(const struct act *act) {
    struct trial_host *h = record(act);
    struct trial_container *c = &act->trial->containers[act->step->subject];
    struct error why = ERROR_NULL;
    if (h->samples && samples_add(h->samples, c->id, c->folder, &c->sampled, &why) < 0)
        act_warn(act, "%s is not sampled: %s",
                 act->trial->plan->containers[act->step->subject].name, why.text);
}

int act_stop_samples(struct act *act, struct error *err) {
    (void)err;
    struct trial_host *h = record(act);
    if (!h->samples)
        return 1;
    /* Not freed: a resumed trial may be adding a container that is left. */
    samples_stop(h->samples);
    return 0;
}
