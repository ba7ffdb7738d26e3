#pragma once

/*
 * journal.jsonl: what the runner did, step by step, one JSON object per line. A line about an
 * action is on disk before the action is carried out, so that whoever finds the journal of a runner
 * that died knows everything that may exist.
 *
 * Each line has `time` and `event`. Threads: the main thread only.
 */

#include "lib/error.h"
#include "lib/json.h"

struct journal {
    int fd;
};
#define JOURNAL_NULL ((struct journal){.fd = -1})

/* Creates `path`, or goes on with it. */
int journal_open(struct journal *j, const char *path, struct error *err);
void journal_close(struct journal *j);

/* Adds `time` and `event`, writes and syncs. Takes `fields` (NULL: none). */
int journal_write(struct journal *j, const char *event, struct json *fields, struct error *err);
