#pragma once

/*
 * From the series of containers and hosts to what summary.json and the screen say of resources, and
 * to sentences about hosts that were not ours alone while the load ran. Pure.
 *
 * Everything is over one window: the load's, as its report says it; without a load, all that was
 * sampled. Means are growth by the time that was sampled, so a gap takes nothing away; a maximum is
 * that between two samples. What was not sampled is null, never 0.
 */

#include "lib/buffer.h"
#include "lib/json.h"
#include "runner/report/series.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a container. Bytes of networks and devices are counters, as is processor time. */
enum {
    USAGE_CPU_NS,
    USAGE_MEMORY_BYTES, /* gauge; without inactive file pages, as `docker stats` has it */
    USAGE_PROCESSES,    /* gauge */
    USAGE_RECEIVED_BYTES,
    USAGE_SENT_BYTES,
    USAGE_READ_BYTES,
    USAGE_WRITTEN_BYTES,
    USAGE_GAUGES = 1 << USAGE_MEMORY_BYTES | 1 << USAGE_PROCESSES,
};

/* Of a host, all its processors together. */
enum {
    HOST_BUSY_TICKS, /* at work for somebody there: not idle, waiting for devices, or stolen */
    HOST_ALL_TICKS,
    HOST_STEAL_TICKS,  /* given to others by its hypervisor */
    HOST_MEMORY_BYTES, /* gauge: total less available */
    HOST_RECEIVED_BYTES,
    HOST_SENT_BYTES,
    HOST_READ_BYTES,
    HOST_WRITTEN_BYTES,
    HOST_GAUGES = 1 << HOST_MEMORY_BYTES,
};

/* Borrowed. */
struct resources_container {
    const char *name, *service;
    size_t host;
    const struct series *series;
    uint64_t samples, missed;
};

struct resources_host {
    const char *name;
    int64_t cpus; /* 0: not known */
    const struct series *series;
    uint64_t samples, missed;
};

struct resources {
    const struct resources_container *containers; /* those that ran; of one service together */
    size_t container_count;
    const struct resources_host *hosts; /* those that containers ran on */
    size_t host_count;
    bool of_load;
    struct series_window window; /* SERIES_ALL unless `of_load` */
};

/* `resources` of summary.json: docs/TRIALS.md. */
struct json *resources_json(const struct resources *r);
/* Sentences: where other things than our containers took part in what was measured. */
struct json *resources_doubts(const struct resources *r);
/* A line for each service, then the doubts. */
void resources_text(const struct resources *r, struct buffer *out);
