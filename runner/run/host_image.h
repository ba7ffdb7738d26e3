#pragma once

/*
 * An image on the host of a step: whether what is there is the one that is wanted, and taking it,
 * which gives it the plan's reference and makes it the host's image from then on. However it got
 * there.
 */

#include "runner/engine/transfer.h"
#include "runner/run/trial.h"

/* Engines may count ids differently (of the configuration, of the manifest): then layer by layer.
 */
bool host_image_same(const struct engine_image *a, const struct engine_image *b);

/* 1: under `name` there is none, or another one. */
int host_image_take(const struct act *act, const struct engine_image *wanted, const char *name,
                    struct error *err);

/* It may be there already, by the plan's reference or by its id. 1: it is not. */
int host_image_look(const struct act *act, const struct engine_image *wanted, struct error *err);

/* Says how far a push or pull is, now and then: the `on_event` of a transfer. */
struct host_image_progress {
    const struct act *act;
    struct instant said; /* 0: nothing yet */
};
int host_image_on_transfer(void *progress, const struct engine_transfer_event *event,
                           struct error *err);

/* A fault of the engine that has the image is not one of this host's, for which somebody would
 * wait: ERROR_UNREACHABLE becomes ERROR_FAILED. Returns -1. */
int host_image_not_ours(struct error *err);

/* The image that the builder has for the step's subject; ERROR_NOT_FOUND when it has it no more. */
int host_image_wanted(const struct act *act, struct engine **ret_builder, struct engine_image *ret,
                      struct error *err);
