#pragma once

/*
 * The steps that a trial consists of. One table says what each kind is called, which stage of the
 * trial it belongs to, and what a person reads while it runs; the plan, the progress display, the
 * journal and run.json all use it.
 */

#include <stdbool.h>
#include <stddef.h>

/* Stages in the order in which a trial passes through them. */
#define TRIAL_STAGES(X)                                                                            \
    X(CHECK, "check")                                                                              \
    X(BUILD, "build")                                                                              \
    X(PREPARE, "prepare")                                                                          \
    X(CREATE, "create")                                                                            \
    X(START, "start")                                                                              \
    X(LOAD, "load")                                                                                \
    X(STOP, "stop")                                                                                \
    X(COLLECT, "collect")                                                                          \
    X(REMOVE, "remove")

enum trial_stage {
#define X(stage, name) STAGE_##stage,
    TRIAL_STAGES(X)
#undef X
        STAGE_COUNT
};

/*
 * kind, name, stage it belongs to by default, verb for people, what the step is about
 *
 * Images, networks and volumes are things of a host: (step.host, step.subject) names one.
 *
 *   LOCK_HOST       for this run alone, until UNLOCK_HOST; once all hosts are found usable.
 *   BUILD_IMAGE     on plan.builder.
 *   FIND_IMAGE      must be there, under its reference.
 *   TRANSFER_IMAGE  from plan.builder, where a step before it has built or found it, to step.host.
 *   PUSH_IMAGE      from plan.builder to the registry, unless it is there, and looked for there.
 *   FIND_PUSHED     instead, with --no-push: the registry has just what plan.builder has.
 *   PULL_IMAGE      by the digest that was pushed or found.
 *   ENSURE_IMAGE    has no build: there already, else from this machine's engine if that answers
 *                   and has it, else pulled.
 *   START_SAMPLES   once a second what the host uses, and each container from its start on, until
 *                   STOP_SAMPLES.
 *   PUT_FILES       makes the volume that holds /seatrial of all containers on step.host, and fills
 *                   it; REMOVE_FILES removes it, once the containers are gone.
 *   FIND_VOLUME     external: must be there, since an engine makes what it does not know.
 *   START_COMMANDS  runs those of the start, then begins those at an interval.
 *   STOP_COMMANDS   ends these, then runs those of the end. In PLAN_COLLECT and PLAN_DOWN it ends
 *                   what an earlier plan has begun, should it still run.
 *   WAIT_READY      of several loaders: until this one says that it could begin.
 *   GIVE_START      once all could: tells it the time at which all begin.
 *   HOLD            without a load: until somebody wants it to end.
 *   WAIT_EXIT       the load's end, of a loader; any other container must end with exit code 0.
 *   FETCH_OUTPUT    x-seatrial.output of a prepare container that has ended; CREATE_CONTAINER puts
 *                   what was fetched of plan_container.outputs into each container that it makes.
 *                   In PLAN_LOAD the container is one of an earlier plan, known by its name.
 */
#define STEP_KINDS(X)                                                                              \
    X(CHECK_HOST, "check-host", CHECK, "check", HOST)                                              \
    X(LOCK_HOST, "lock-host", CHECK, "lock", HOST)                                                 \
    X(BUILD_IMAGE, "build-image", BUILD, "build", IMAGE)                                           \
    X(FIND_IMAGE, "find-image", BUILD, "find", IMAGE)                                              \
    X(TRANSFER_IMAGE, "transfer-image", BUILD, "transfer", IMAGE)                                  \
    X(PUSH_IMAGE, "push-image", BUILD, "push", IMAGE)                                              \
    X(FIND_PUSHED, "find-pushed", BUILD, "find in the registry:", IMAGE)                           \
    X(PULL_IMAGE, "pull-image", BUILD, "pull", IMAGE)                                              \
    X(ENSURE_IMAGE, "ensure-image", BUILD, "find or fetch", IMAGE)                                 \
    X(CREATE_NETWORK, "create-network", CREATE, "create", NETWORK)                                 \
    X(CREATE_VOLUME, "create-volume", CREATE, "create", VOLUME)                                    \
    X(FIND_VOLUME, "find-volume", CREATE, "find", VOLUME)                                          \
    X(PUT_FILES, "put-files", CREATE, "put files onto", HOST)                                      \
    X(START_SAMPLES, "start-samples", CREATE, "start samples of", HOST)                            \
    X(CREATE_CONTAINER, "create-container", CREATE, "create", CONTAINER)                           \
    X(START_CONTAINER, "start-container", START, "start", CONTAINER)                               \
    X(WAIT_HEALTHY, "wait-healthy", START, "wait for health of", CONTAINER)                        \
    X(FETCH_OUTPUT, "fetch-output", PREPARE, "fetch the output of", CONTAINER)                     \
    X(START_COMMANDS, "start-commands", LOAD, "start custom commands on", HOST)                    \
    X(WAIT_READY, "wait-ready", LOAD, "wait until ready:", CONTAINER)                              \
    X(GIVE_START, "give-start", LOAD, "give the start to", CONTAINER)                              \
    X(HOLD, "hold", LOAD, "keep the replicas on", HOST)                                            \
    X(WAIT_EXIT, "wait-exit", LOAD, "wait for end of", CONTAINER)                                  \
    X(STOP_COMMANDS, "stop-commands", STOP, "end custom commands on", HOST)                        \
    X(PRE_STOP, "pre-stop", STOP, "run pre_stop of", CONTAINER)                                    \
    X(STOP_CONTAINER, "stop-container", STOP, "stop", CONTAINER)                                   \
    X(STOP_SAMPLES, "stop-samples", STOP, "end samples of", HOST)                                  \
    X(COLLECT_CONTAINER, "collect-container", COLLECT, "collect", CONTAINER)                       \
    X(REMOVE_CONTAINER, "remove-container", REMOVE, "remove", CONTAINER)                           \
    X(REMOVE_NETWORK, "remove-network", REMOVE, "remove", NETWORK)                                 \
    X(REMOVE_VOLUME, "remove-volume", REMOVE, "remove", VOLUME)                                    \
    X(REMOVE_FILES, "remove-files", REMOVE, "remove files from", HOST)                             \
    X(UNLOCK_HOST, "unlock-host", REMOVE, "unlock", HOST)

enum step_kind {
#define X(kind, name, stage, verb, subject) STEP_##kind,
    STEP_KINDS(X)
#undef X
        STEP_KIND_COUNT
};

enum step_subject {
    SUBJECT_HOST,
    SUBJECT_IMAGE,
    SUBJECT_NETWORK,
    SUBJECT_VOLUME,
    SUBJECT_CONTAINER,
};

/* When a step is carried out. */
enum step_when {
    STEP_FORWARD,            /* all steps before it were good, and the trial was not ended */
    STEP_CLEANUP,            /* always, once the steps before it are over, good or not */
    STEP_CLEANUP_ON_FAILURE, /* only when the trial failed or was ended */
};

struct step {
    enum step_kind kind;
    enum trial_stage stage;
    enum step_when when;
    size_t host;    /* index into plan.hosts: whose engine or machine it is carried out on */
    size_t subject; /* index into the plan's hosts, images or containers, or the project's networks
                       or volumes, as the kind says */
    size_t *after;  /* steps that come before this one */
    size_t after_count;
    size_t after_capacity;
};

const char *stage_name(enum trial_stage stage);
const char *step_kind_name(enum step_kind kind);
const char *step_verb(enum step_kind kind);
enum trial_stage step_stage(enum step_kind kind);
enum step_subject step_subject(enum step_kind kind);
