#pragma once

/*
 * What a host is: its processors, memory, disk and network as Linux says them, and the settings
 * that measurements depend on. One command, so one round trip to a host that may be far away.
 *
 * What the host says is hostile: it is bounded, made harmless, and what is not understood is not
 * known.
 */

#include "lib/error.h"
#include "lib/json.h"
#include "lib/task.h"
#include "runner/remote/host.h"

#include <stdbool.h>
#include <stdint.h>

#define HOST_FACT_UNKNOWN UINT64_MAX

enum { HOST_FACT_SIZE = 128, HOST_FACTS_MAX_BYTES = 64 << 10 };

/* Texts are "" and numbers HOST_FACT_UNKNOWN where the host does not say. */
struct host_facts {
    char kernel[HOST_FACT_SIZE];
    char cpu_model[HOST_FACT_SIZE];
    char cpus_online[HOST_FACT_SIZE]; /* "0-7" */
    uint64_t cores;                   /* without hyperthreads */
    char governor[HOST_FACT_SIZE];    /* of the first processor */
    uint64_t turbo;                   /* 0 or 1 */
    uint64_t numa_nodes;
    uint64_t memory_bytes;
    char huge_pages[HOST_FACT_SIZE]; /* transparent ones: "always", "madvise", "never" */
    uint64_t swappiness;
    char clocksource[HOST_FACT_SIZE];
    char virtualisation[HOST_FACT_SIZE];                  /* "none", "kvm", "amazon", ... */
    char vendor[HOST_FACT_SIZE], product[HOST_FACT_SIZE]; /* of the machine */
    /* What the engine's folder is on. */
    char disk[HOST_FACT_SIZE]; /* "nvme0n1", or the kind of file system that is on no disk */
    uint64_t disk_rotates;     /* 0 or 1 */
    uint64_t disk_bytes, disk_free_bytes;
    /* By which it reaches others. */
    char interface[HOST_FACT_SIZE];
    uint64_t interface_mbit_per_s;
    /* For checks. */
    char core_pattern[2 * HOST_FACT_SIZE];
    uint64_t open_files_max; /* that a process may have at most */
};

/* Pure: "NAME value" lines, as the command prints them. */
void host_facts_read(const char *text, struct host_facts *ret);

/* `root`: the engine's folder, or NULL: /. The host's own errors, or ERROR_FAILED. */
int host_facts_ask(struct host *host, const char *root, const struct task *task,
                   struct host_facts *ret, struct error *err);

/* For run.json; what is not known is null. */
struct json *host_facts_json(const struct host_facts *facts);
