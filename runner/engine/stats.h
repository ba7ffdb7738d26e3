#pragma once

/*
 * What a container has used so far, in one sample. The engine answers a one-shot in 50 ms; rates
 * are the caller's: keep the sample before.
 *
 * Counters are uint64 on the wire; see lib/json.h for those beyond int64.
 */

#include "runner/engine/engine.h"

struct engine_stats {
    struct json *json;      /* the whole answer, for stats.jsonl */
    const char *read;       /* RFC 3339: when, by the engine's clock; "0001-..." when not running */
    uint64_t cpu_ns;        /* used by all its processes */
    uint64_t cpu_user_ns;   /* of which user, */
    uint64_t cpu_system_ns; /* and kernel */
    uint64_t host_cpu_ns;   /* of the whole host; 0 when the engine does not say */
    uint64_t cpus;          /* that it may use; 0 when the engine does not say */
    uint64_t throttled_ns;  /* held back by its quota */
    uint64_t memory_bytes;  /* with page cache */
    uint64_t memory_cache_bytes; /* inactive file pages: what docker takes off */
    uint64_t memory_limit_bytes; /* of it, or of the host; UINT64_MAX: none */
    uint64_t processes;
    uint64_t received_bytes, sent_bytes; /* all its networks; 0 on the host's */
    uint64_t read_bytes, written_bytes;  /* of block devices */
};
#define ENGINE_STATS_NULL ((struct engine_stats){.json = NULL})

/* Returns 1, and nothing else, when there is no such container. */
int engine_container_stats(struct engine *engine, const char *container, const struct task *task,
                           struct engine_stats *ret, struct error *err);
/* Pure: fills all but `json` from the answer, from which the strings are borrowed. */
int engine_stats_read(const struct json *answer, struct engine_stats *ret, struct error *err);
void engine_stats_deinit(struct engine_stats *stats);
