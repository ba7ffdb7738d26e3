#pragma once

/*
 * requests.bin: every request of a run with its times, some 12 bytes each, in order of completion.
 *
 * Shape: all numbers are little endian or, in records, LEB128 variable-length integers.
 *
 *     "STRQ" | version u8 = 1 | zero u8[3] | client base u64 | start u64 (wall clock, ns since
 * 1970) record: client index * 8 + outcome + 1 | number | intended | send delay | latency end:    0
 * | count of records
 *
 * `intended` is the difference to the record before (the first: to 0) in zigzag, of when the
 * request was to be sent, in ns since the start. `send delay` is how much later its first byte was
 * given to the kernel, plus 1; 0 for a request that never was. `latency` runs from the intended
 * time to the outcome. Outcomes are numbered by outcome.h. A file without its end was cut.
 *
 * Written append only through a buffer of fixed size, under a temporary name until it is complete.
 * Errors: ERROR_IO naming the path; ERROR_INVALID for a file that is not what it should be.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/error.h"
#include "loader/outcome.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct duration {
    uint32_t client; /* index in the pool */
    uint64_t number;
    uint64_t intended_ns; /* since the start of the run */
    bool sent;
    uint64_t send_delay_ns; /* from the intended time; 0 if never sent */
    uint64_t latency_ns;    /* from the intended time */
    enum outcome outcome;
};

struct durations;

/* Creates `path` under its temporary name. Gives the writer. */
int durations_create(const char *path, uint64_t client_base, struct wall_time start,
                     struct durations **ret, struct error *err);
/* Closes without giving the file its name: what is there then is a `.part` without an end. */
void durations_free(struct durations *d);
DEFINE_CLEANUP_FREE(durations);

int durations_append(struct durations *d, const struct duration *one, struct error *err);
/* Writes what is left and the end, and gives the file its name. Call once, then free. */
int durations_finish(struct durations *d, struct error *err);

/* The CSV that `loader export` prints, a line for each request, after a line of column names. A
 * file that was cut is printed as far as it goes, and is then an error. */
int durations_export(FILE *from, FILE *to, struct error *err);
