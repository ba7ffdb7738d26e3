#pragma once

/*
 * A trial: carries a plan out. The main thread asks the schedule for steps, writes the journal,
 * hands the steps to the lanes of their hosts, shows what the lanes say, and in the end makes the
 * report. It goes on to the end of the cleanup whatever fails; only the second interrupt stops it.
 *
 * Threads: trial_run belongs to the main thread. While a step runs, its lane alone owns the record
 * of the container, image or network that the step is about; the queue hands it over.
 */

#include "images/lock.h"
#include "runner/collect/custom.h"
#include "runner/collect/files.h"
#include "runner/collect/host_facts.h"
#include "runner/collect/logs.h"
#include "runner/collect/samples.h"
#include "runner/engine/container.h"
#include "runner/engine/image.h"
#include "runner/plan/plan.h"
#include "runner/plan/schedule.h"
#include "runner/report/resources.h"
#include "runner/report/summary.h"
#include "runner/run/event.h"
#include "runner/run/journal.h"
#include "runner/run/lane.h"
#include "runner/run/lock.h"
#include "runner/run/progress.h"
#include "runner/run/registries.h"
#include "runner/run/results.h"
#include "runner/run/testbed.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define HEALTH_TIMEOUT_NS_DEFAULT (60 * NS_PER_SEC)
/* How long a host that is lost may take to come back: a reboot, or a switch that learns again. */
#define RECONNECT_NS_DEFAULT (60 * NS_PER_SEC)
/* Below this an engine fails in the middle of things, with messages about anything but the disk. */
#define DISK_FREE_BYTES_MIN_DEFAULT (UINT64_C(256) << 20)

struct delivery;
struct trial;
struct trial_resume;

/* Looks after the machines while a trial runs, on a thread of its own. */
struct trial_caretaker {
    void (*begin)(void *arg, struct trial *trial); /* NULL: nobody does */
    void (*end)(void *arg);                        /* has ended when it returns */
    void *arg;
};

struct trial_settings {
    const char *owner;            /* of all we create */
    const char *config_path;      /* deployment's folder: where log4cplus.properties may lie */
    uint64_t health_timeout_ns;   /* per container; 0: the default */
    uint64_t reconnect_ns;        /* 0: the default */
    uint64_t disk_free_bytes_min; /* on every host, where its engine keeps images; 0: the default */
    bool clean_remote;            /* remove what an earlier trial of ours left */
    bool break_lock;              /* take a host's lock from whoever holds it */
    const struct project_lock *lock; /* of this machine, taken already; NULL: trial_run takes it */
    bool attach;                     /* the loader's output goes to `out`, line by line */
    const char *results_root;        /* where the folder is made; NULL: the deployment's */
    const char *results_folder;      /* of an earlier run, to go on with; NULL: make one */
    struct trial_resume *resume;     /* the same run, whose runner died; NULL: it is a new one */
    const struct image_lock *images; /* seatrial.lock, as it was; NULL: there is none */
    const char *images_path;         /* where it is written; NULL: nowhere */
    struct trial_caretaker caretaker;
    const struct report_cost *cost; /* of the machines, as the run begins; NULL: none is known */
    struct progress *progress;
};

/* An image on one host. */
struct trial_image {
    char id[ENGINE_IMAGE_ID_SIZE]; /* "": not there, as far as we know */
    char *digest;                  /* a RepoDigest; NULL: it has none, it never was in a registry */
    char *pushed;                  /* on the builder: by which the registry has it; or NULL */
    char *context;                 /* the context's digest; NULL: it was not built by this run */
    bool unchanged;                /* the build ended in the image that was there before */
    bool by_id;                    /* its name leads elsewhere: containers are made of the id */
    struct locked_image locked;    /* what the lock is to say; reference NULL: not known */
};

/* For whom a loader's lines are watched. */
struct trial_watch {
    struct trial *trial;
    size_t container;
};

/* A core dump that a container left. Nothing in it can do harm to a terminal. */
struct trial_core {
    char *path;                       /* below the results folder */
    char *program, *build_id, *where; /* NULL: not known */
    int signal;                       /* 0: not known */
};

struct trial_container {
    char id[ENGINE_ID_SIZE];
    char *folder; /* in the results */
    char *image_id;
    bool maybe_created; /* it was asked for, and no answer came */
    bool stop_begun;    /* by a runner that died: it may have been stopped by us */
    bool created, started;
    bool ended; /* exit_code, oom_killed and restarts are known */
    bool stopped_by_us;
    bool removed;
    bool *fetched;          /* by place in the order of collection */
    uint64_t left_out;      /* lines of left_out.txt */
    char finished[40];      /* when it ended, as its engine says it; "": it runs */
    struct buffer prepared; /* tar of x-seatrial.output; secret */
    int64_t exit_code;
    int64_t restarts;
    bool oom_killed;
    int64_t memory_bytes; /* that it may use; 0: no limit, or not known */
    struct trial_core *cores;
    size_t core_count;
    char *last_lines;
    struct log_follow *log;
    struct trial_watch watch;
    struct log_result log_result;
    struct sampled sampled;
};

/* From the first failure of a host that was connected to its next success. */
struct outage {
    pthread_mutex_t lock;
    struct instant begun; /* INSTANT_NEVER: there is none */
    bool given_up;        /* it did not come back in time */
    uint64_t count, total_ns;
};

struct trial_host {
    struct trial *trial;
    struct outage outage;
    bool checked; /* its engine answered, and is one that we can use */
    bool refused; /* its check failed: nothing is begun there */
    bool gone;    /* its machine is, with all that was there */
    char *engine_version, *engine_id, *os, *kernel, *storage_driver;
    int64_t cpus, memory_bytes;
    int api_minor;
    struct host_clock clock;
    uint64_t disk_free_bytes; /* UINT64_MAX: not known */
    bool has_facts;
    struct host_facts facts;
    bool locked;     /* by us */
    bool taken_over; /* while it was held, somebody else removed the containers */
    size_t other_trials, other_containers; /* that were there when it was locked */
    char *files_volume; /* what containers find in /seatrial, one folder for each; NULL: none */
    char *files_path;   /* of it, on the host */
    struct custom *custom;
    struct custom_count *custom_counts; /* by command of the deployment; NULL: none ran */
    bool podman;
    struct samples *samples; /* of it and its containers, under way; or NULL */
    struct sampled sampled;
};

/* When a step ran, for run.json and trace.json. */
struct trial_time {
    struct wall_time started, ended;
};

struct trial {
    const struct plan *plan;
    struct testbed *testbed; /* borrowed; by the plan's hosts */
    struct trial_settings settings;
    FILE *out;
    struct results results;
    struct journal journal;
    bool journal_failed; /* said once */
    struct event_queue queue;
    struct schedule schedule;
    struct cancel forward;     /* raised when the trial fails or is interrupted */
    struct cancel cleanup;     /* raised by the second interrupt */
    struct cancel release;     /* raised by the first one where it is what a hold waits for */
    bool told;                 /* how loaders are started by hand */
    sem_t transfers;           /* of images, that may still begin */
    struct delivery *delivery; /* of images to hosts, without a registry */
    struct registries registries;
    pthread_mutex_t pins_lock;
    char **pins;          /* by image that nobody builds: what is pulled on all hosts; or NULL */
    struct lanes **lanes; /* by host */
    struct trial_host *hosts;
    struct trial_image *images; /* by host, then image: trial_image() */
    struct trial_container *containers;
    bool *networks_made, *volumes_made; /* by host, then network or volume */
    struct trial_time *times;           /* by step */
    struct wall_time started;
    struct wall_time resumed;   /* by this runner, from one that died; 0: it is the first */
    atomic_llong load_start_ns; /* when all loaders begin, by our clock; 0: not agreed */
    char **failures;
    size_t failure_count, failure_capacity;
    char **warnings;
    size_t warning_count, warning_capacity;
    char **left_behind;
    size_t left_count, left_capacity;
    struct error first_error; /* decides the exit status */
    bool interrupted;
};

/*
 * Connects to the hosts, runs the plan, reports to `out` (stdout) and the results.
 * `ret_exit_status` is set also when it returns a fault, which is one that kept the trial from
 * starting at all.
 */
int trial_run(const struct plan *plan, struct testbed *testbed,
              const struct trial_settings *settings, FILE *out, int *ret_exit_status,
              struct error *err);

/* ---- for its caretaker, from any thread ---- */

/* A warning that goes into run.json. */
void trial_warn(struct trial *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The trial has failed, and ends now: what can be collected is. `gone`: this host's machine is, and
 * nothing of it comes back. */
void trial_end_early(struct trial *t, size_t host, bool gone, const struct error *why);

/* ---- between the files of this room ---- */

/* Makes the results folder, the journal and the records; steps will be carried out by `lane`. */
int trial_begin(struct trial *t, lane_act *lane, struct error *err);
/* Waits for the lanes; what steps left behind in the queue can be taken afterwards. */
void trial_join_lanes(struct trial *t);
void trial_deinit(struct trial *t);

struct trial_image *trial_image(const struct trial *t, size_t host, size_t image);
bool *trial_network_made(const struct trial *t, size_t host, size_t network);
bool *trial_volume_made(const struct trial *t, size_t host, size_t volume);

/* A step as its lane sees it. */
struct act {
    struct trial *trial;
    size_t step_index;
    const struct step *step;
    struct host *host;
    struct engine *engine;
    struct instant begun; /* the first try */
    unsigned tries;       /* before this one, by an earlier runner too: what they began may have
                             happened */
    uint64_t lost_ns;     /* while the host was lost */
};

/* Carries a step out, in a lane; when its host is lost and comes back, again. */
enum step_state carry_out(struct trial *t, size_t step, struct engine **engine, struct error *err);

/*
 * A host that was connected does not answer: waits until it does, as long as it may take, and gives
 * a new connection to its engine. ERROR_UNREACHABLE when it did not come back. Any thread.
 */
int trial_host_await(struct trial *t, size_t host, const struct task *task, struct engine **ret,
                     struct error *err);
/* It did not come back, so far. */
bool trial_host_is_lost(struct trial *t, size_t host);
/* Nobody waits for it any more. */
void trial_host_give_up(struct trial *t, size_t host);
void outage_init(struct outage *o);
void outage_deinit(struct outage *o);

/* 0 good, 1 nothing to do, -1 failed. */
typedef int act_function(struct act *act, struct error *err);

act_function act_check_host, act_lock_host, act_unlock_host, act_build_image, act_find_image,
    act_push_image, act_find_pushed, act_pull_image, act_transfer_image, act_ensure_image,
    act_create_network, act_create_volume, act_find_volume, act_create_container, act_put_files,
    act_remove_files, act_start_samples, act_start_container, act_wait_healthy, act_fetch_output,
    act_start_commands, act_hold, act_wait_ready, act_give_start, act_wait_exit, act_stop_commands,
    act_pre_stop, act_stop_container, act_stop_samples, act_collect_container, act_remove_container,
    act_remove_network, act_remove_volume;

/*
 * The container of the step as the engine sees it. When a create call was cut off we do not know
 * its id: then by name, if it is of this run. Returns 1 when there is none.
 */
int act_find_container(const struct act *act, const struct task *task, struct engine_container *ret,
                       struct error *err);

/* Of several failures the first counts; but that the host was lost is what can be mended by trying
 * again. */
void act_note_failure(struct error *first, const struct error *now);

/* `place`: in the order of collection. What was fetched by an earlier try is not fetched again. */
void act_fetch(const struct act *act, size_t place, struct files_want want, const struct task *task,
               struct error *first);
/* Something small that is not collected by itself: as files_fetch. */
int act_fetch_more(const struct act *act, const struct files_want *want, const struct task *task,
                   struct error *err);
/* A warning where core dumps of a service that asks for them will not be where it says. */
void act_expect_cores(const struct act *act, const char *working_dir);
/* Core dumps, with what a debugger needs to read them, and what it says. */
void act_fetch_cores(const struct act *act, size_t place, const struct task *task,
                     struct error *first);
void trial_forget_cores(struct trial_container *c);

/* Has the step's host pull it from this machine, to where `from` saves it. 1: not this way. */
int act_deliver_image(const struct act *act, struct engine *from, const struct engine_image *wanted,
                      struct error *err);
/* Pulls what nobody builds, the same on every host; it has `reference` then. */
int act_pull_as_it_is(const struct act *act, const char *reference, struct error *err);

/* Puts what prepare services left for this container into it. */
int act_put_outputs(const struct act *act, struct error *err);
/* Where such things lie in it, NULL-terminated: they are not collected. The caller frees the list.
 */
const char **act_secret_paths(const struct act *act);
void prepared_forget(struct buffer *prepared);

/* It has been started. */
void act_sample_container(const struct act *act);

/* What a container has for us: its results, core dumps, and the paths that it names. One that fails
 * keeps none of the others from coming home. */
void act_fetch_files(const struct act *act, const struct engine_container *state,
                     const struct task *task, struct error *first);
/* The container is gone: what was kept to go on with is of no use. */
void act_forget_fetched(const struct act *act);

/* Shows how much of `what` has come, a few times a second at most. */
void act_bytes(const struct act *act, const char *what, uint64_t bytes);
/* Shows a text about the running step. */
void act_say(const struct act *act, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A warning that also goes into run.json. */
void act_warn(const struct act *act, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ended by failure and first interrupt; or by the second interrupt only. */
struct task act_forward_task(const struct act *act);
struct task act_cleanup_task(const struct act *act);

/* Records how a container ended, if it has. */
void act_record_end(struct trial_container *c, const struct engine_container *state);

/* ssh_config and inventories of the hosts that were checked so far. The main thread only. */
void trial_write_inventory(struct trial *t);

/* A file of a container that may be missing: then 1. A broken one is a warning and counts as
 * missing. */
int trial_read_result(struct trial *t, const char *folder, const char *name, size_t size_max,
                      struct buffer *ret);
/* A warning, and a failure of the trial. */
void trial_unusable(struct trial *t, const char *who, const struct error *err);

/*
 * What all loaders reported, as one load, and sentences about those that are missing in it; gives
 * both, NULL where there is none. Of several loaders it also writes the merged latency.hlog.
 */
void trial_read_loads(struct trial *t, struct json **ret_load, struct json **ret_gaps);

/* ---- images by digest (trial_images.c) ---- */

/* The image as engines of hosts have it: where it was built or found for others, else the first
 * host that has it. */
const struct trial_image *trial_main_image(const struct trial *t, size_t image);
/* A step about an image has ended well: it must be the same on all hosts that have it so far. */
int trial_compare_image(const struct trial *t, size_t step, struct error *err);
/* Writes seatrial.lock once all images are known. */
int trial_lock_images(const struct trial *t, struct error *err);
/* Of the step's host, which has `found`: that it is the locked one, if it has to be. */
int act_found_image(struct act *act, const struct engine_image *found, struct error *err);

/* ---- samples ---- */

/* Those that no step has ended. */
void trial_end_samples(struct trial *t);
/* Where they were given up while there was something to sample. */
void trial_warn_of_samples(struct trial *t);
/* What they cost and how regular they were, for run.json. */
struct json *trial_samples_json(const struct trial *t);

struct trial_resources {
    struct resources resources;
    struct resources_container *containers;
    struct resources_host *hosts;
};
/* `load`: what the loaders reported, or NULL. The trial's series stay where they are. */
void trial_sampled(struct trial *t, const struct json *load, struct trial_resources *ret);
void trial_resources_deinit(struct trial_resources *r);
/* Loads of this run that people started: an array of {folder, verdict, load}. */
struct json *trial_read_loads_by_hand(struct trial *t);

/* The end: what is left, then run.json, summary.json, trace.json and the text. */
void trial_sweep(struct trial *t);
/* While it is held: how a loader is started by hand, and how the trial is ended. */
void trial_tell_hold(const struct trial *t);
int trial_report(struct trial *t, FILE *out, struct error *err);
