#pragma once

/*
 * What a host and its containers use, once a second, while a trial runs: `<host>/stats.jsonl` and
 * `<host>/<container>/stats.jsonl`, a line per sample, and a short series of each for the report.
 *
 * Containers are sampled by their engine, each by a thread that follows the engine's stream of it.
 * Where that will not do, they are asked for one after the other over one connection: an engine
 * that streams too seldom (Podman), or one that is reached by a command there, where each
 * connection takes one of sshd's few sessions. Hosts say of themselves what host_load.h reads, by
 * one command that goes on.
 *
 * Nothing here ever fails a trial. What cannot be sampled is missing, with the reason; when a
 * connection breaks, sampling goes on once it is there again, and what was missed is counted. Where
 * sshd has no session left for others, we give ours up.
 *
 * Times are those of our clock: of a container the engine's, less what its host's clock was ahead
 * at the check; of a host the middle between question and answer.
 *
 * Owns:    files and threads, until samples_stop; samples_free stops as well.
 * Threads: started and stopped by one; samples_add from any.
 */

#include "runner/engine/engine.h"
#include "runner/remote/host.h"
#include "runner/report/series.h"

#include <stdbool.h>
#include <stdint.h>

#define SAMPLES_INTERVAL_NS (1 * NS_PER_SEC)

enum { SAMPLED_WHY_SIZE = 300 };

/* How regular samples came, by the clock that counted them. */
struct sampled_intervals {
    uint64_t count;
    double sum_s, squares_s2, max_s;
};

/* Of a container or a host. Zero-initialised; final once samples_stop has returned. */
struct sampled {
    struct series series;
    uint64_t samples, missed;
    uint64_t breaks; /* how often the connection was lost */
    struct sampled_intervals intervals;
    uint64_t cpu_ns;            /* of our threads */
    char why[SAMPLED_WHY_SIZE]; /* it ended early; "" */
};
void sampled_deinit(struct sampled *s);

struct samples;

struct samples_settings {
    struct host *host; /* outlives the samples, as does what `engine` points to */
    const struct engine_options *engine;
    int64_t clock_offset_ns;
    bool one_shots;     /* the engine streams too seldom */
    const char *folder; /* of the host in the results; NULL: the host itself is not sampled */
    struct sampled *host_sampled;
};

/* Copies the settings. Errors: ERROR_IO. */
int samples_start(const struct samples_settings *settings, struct samples **ret, struct error *err);

/* From now on also this container, which has been started; `folder` of it exists. A container that
 * is there already is not taken twice, and none once sampling was stopped, which may be done
 * meanwhile. `ret` lives until samples_stop, which completes it. */
int samples_add(struct samples *samples, const char *container, const char *folder,
                struct sampled *ret, struct error *err);

void samples_stop(struct samples *samples);
void samples_free(struct samples *samples);
