#pragma once

/*
 * What a container has used so far, sample by sample. Rates are the caller's: keep the sample
 * before.
 *
 * Docker streams a sample a second, at a third less of its own processor time than the same number
 * of one-shots costs it; and 20.10 answers a one-shot only with its next collection, up to a second
 * later. Podman streams one in five seconds, and answers a one-shot at once (decision 0019).
 *
 * Counters are uint64 on the wire; see lib/json.h for those beyond int64. What an engine does not
 * say is not known, rather than 0: network counters of a container on its host's network, or block
 * devices of cgroup v2 before the first byte.
 */

#include "runner/engine/engine.h"

enum { ENGINE_STATS_SIZE_MAX = 1024 * 1024 }; /* a host of 1,000 CPUs says 20 KB */

struct engine_stats {
    struct json *json; /* the whole answer; NULL when it was streamed */
    const char *read;  /* RFC 3339: when, by the engine's clock */
    bool running;      /* else nothing below means anything: `read` is of the year 1 */
    bool has_cpu, has_memory, has_processes, has_networks, has_devices;
    uint64_t cpu_ns;             /* used by all its processes */
    uint64_t cpu_user_ns;        /* of which user, */
    uint64_t cpu_system_ns;      /* and kernel */
    uint64_t host_cpu_ns;        /* of the whole host; 0 when the engine does not say */
    uint64_t cpus;               /* that it may use; 0 when the engine does not say */
    uint64_t throttled_ns;       /* held back by its quota */
    uint64_t memory_bytes;       /* with page cache */
    uint64_t memory_cache_bytes; /* inactive file pages: what docker takes off */
    uint64_t memory_limit_bytes; /* of it, or of the host; UINT64_MAX: none */
    uint64_t processes;
    uint64_t received_bytes, sent_bytes; /* all its networks */
    uint64_t read_bytes, written_bytes;  /* of block devices */
};
#define ENGINE_STATS_NULL ((struct engine_stats){.json = NULL})

/* Returns 1, and nothing else, when there is no such container. */
int engine_container_stats(struct engine *engine, const char *container, const struct task *task,
                           struct engine_stats *ret, struct error *err);

/*
 * Calls `on_sample` about once a second, also while the container does not run, by the task alone;
 * an engine that is silent for as long as any call may take is ERROR_TIMEOUT.
 * A negative return of it ends the call with that error, a positive one with 1. 0: the engine has
 * ended the stream, as it does when the container is removed.
 */
int engine_container_stats_follow(struct engine *engine, const char *container,
                                  int (*on_sample)(void *arg, const struct engine_stats *sample,
                                                   struct error *err),
                                  void *arg, const struct task *task, struct error *err);

/* Pure: fills all but `json` from the answer, from which the strings are borrowed. */
int engine_stats_read(const struct json *answer, struct engine_stats *ret, struct error *err);
void engine_stats_deinit(struct engine_stats *stats);
