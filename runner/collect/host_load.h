#pragma once

/*
 * What a Linux host says of its load in /proc: processors, memory, network interfaces, disks,
 * pressure. Pure: the command that reads it, its answer taken apart line by line, and the line of
 * stats.jsonl.
 *
 * The command answers each line that it is sent, and does nothing in between: the pace is ours, it
 * sleeps when the connection hangs, and ends with its input. One process is made per answer.
 *
 * All counters are since boot. What the host does not say is not known, rather than 0.
 */

#include "lib/buffer.h"
#include "runner/report/series.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HOST_LOAD_LINE_MAX = 4096,
    HOST_LOAD_DEVICES_MAX = 32, /* interfaces, and disks; further ones are left out */
    HOST_LOAD_NAME_SIZE = 32,   /* the kernel's names have 15 and 31 bytes at most */
};

/* For sh(1). It answers "N\n" with lines that host_load_line takes, then "=N\n". */
extern const char host_load_command[];

enum host_load_ticks {
    TICKS_USER,
    TICKS_NICE,
    TICKS_SYSTEM,
    TICKS_IDLE,
    TICKS_IOWAIT,
    TICKS_IRQ,
    TICKS_SOFTIRQ,
    TICKS_STEAL,
    TICKS_COUNT,
};

#define HOST_LOAD_UNKNOWN UINT64_MAX

struct host_load_interface {
    char name[HOST_LOAD_NAME_SIZE];
    uint64_t received_bytes, received_packets, received_errors, received_drops;
    uint64_t sent_bytes, sent_packets, sent_errors, sent_drops;
};

/* Whole disks, not their partitions. */
struct host_load_disk {
    char name[HOST_LOAD_NAME_SIZE];
    uint64_t reads, read_bytes, writes, written_bytes, busy_ms;
};

/* Anything that is a number may be HOST_LOAD_UNKNOWN, or NAN. */
struct host_load {
    double uptime_s; /* when, by the host's own monotonic clock, to 10 ms */
    double load[3];  /* of 1, 5 and 15 minutes */
    bool has_ticks;
    uint64_t ticks[TICKS_COUNT]; /* 1/100 s, of all processors */
    uint64_t context_switches, running, blocked;
    uint64_t memory_bytes, memory_available_bytes, swap_bytes, swap_free_bytes, dirty_bytes;
    struct host_load_interface interfaces[HOST_LOAD_DEVICES_MAX];
    size_t interface_count;
    struct host_load_disk disks[HOST_LOAD_DEVICES_MAX];
    size_t disk_count;
    /* Stall times: some, or all, tasks waited. */
    uint64_t cpu_some_us, memory_some_us, memory_full_us, io_some_us, io_full_us;
};

void host_load_init(struct host_load *l);
/* A line without its newline, NUL-terminated; what is not understood is left out. */
void host_load_line(struct host_load *l, const char *line);

/* A point of a host's series (runner/report/resources.h). */
void host_load_point(const struct host_load *l, int64_t time_ns, struct series_point *ret);

/* The line of stats.jsonl. `before` NULL: the first sample, which has no rates. */
void host_load_write(const struct host_load *l, const struct host_load *before, int64_t time_ns,
                     uint64_t uncertain_ns, struct buffer *out);
