#pragma once

/*
 * requests.bin: every request of a run with its times, some 12 bytes each. Each thread has a
 * *writer* with a buffer of fixed size, a *piece* of the file; within pieces of one thread, records
 * stand in order of completion.
 *
 * Shape: all numbers are little endian or, in records, LEB128 variable-length integers.
 *
 *     "STRQ" | version u8 = 2 | zero u8[3] | client base u64 | start u64
 *     piece:  7
 *     record: client index * 8 + outcome + 1 | number | intended | send delay | latency
 *     end:    0 | count of records
 *
 * `start` is wall-clock time, in ns since 1970. `intended` is the difference to the record before
 * (the first of a piece: to 0) in zigzag, of when the request was to be sent, in ns since the
 * start. `send delay` is how much later its first byte was given to the kernel, plus 1; 0 for a
 * request that never was. `latency` runs from the intended time to the outcome. Outcomes are
 * numbered by outcome.h. Which shape of a mix a request had is not in it. A file without its end
 * was cut, and if it has no record either, its `start` is when it was created.
 *
 * Written append only, under a temporary name until it is complete.
 * Threads: a writer belongs to one; several write to one file, a piece at a time.
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
    uint32_t client;      /* index in the pool */
    uint64_t number;      /* 0: it was due, but no client was free for it */
    uint64_t intended_ns; /* since the start of the run */
    bool sent;
    /* Not in the file: they follow from client, number and seed. */
    bool read_only;
    uint8_t shape;          /* of the mix; only where there is more than one */
    uint64_t send_delay_ns; /* from the intended time; 0 if never sent */
    uint64_t latency_ns;    /* from the intended time */
    enum outcome outcome;
};

struct durations;
struct durations_writer;

/* Creates `path` under its temporary name. Gives the file. */
int durations_create(const char *path, uint64_t client_base, struct wall_time start,
                     struct durations **ret, struct error *err);
/* Time 0, once it is known: the header has had the time of creation until then. */
int durations_start(struct durations *d, struct wall_time start, struct error *err);
/* Closes without giving the file its name: what is there then is a `.part` without an end. */
void durations_free(struct durations *d);
DEFINE_CLEANUP_FREE(durations);
/* All writers are flushed: writes the end, and gives the file its name. Call once, then free. */
int durations_finish(struct durations *d, struct error *err);

/* Borrows the file. */
struct durations_writer *durations_writer_new(struct durations *d);
/* What was not flushed is lost. */
void durations_writer_free(struct durations_writer *w);
DEFINE_CLEANUP_FREE(durations_writer);
int durations_append(struct durations_writer *w, const struct duration *one, struct error *err);
int durations_flush(struct durations_writer *w, struct error *err);

/* ---- reading ---- */

struct durations_origin {
    uint64_t client_base;
    struct wall_time start;
};

/* Whether the file, which stands at its beginning, and does so afterwards, is a requests.bin. */
bool durations_are_in(FILE *from);

/* Calls `visit` for each record; its fault ends it. A file that was cut is read as far as it goes,
 * and is then an error. */
typedef int durations_visit(void *context, const struct durations_origin *origin,
                            const struct duration *one, struct error *err);
int durations_read(FILE *from, durations_visit *visit, void *context, struct error *err);

/* The CSV that `loader export` prints, a line for each request, after a line of column names. */
int durations_export(FILE *from, FILE *to, struct error *err);
