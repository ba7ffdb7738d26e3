#pragma once

/*
 * journal.jsonl: what the runner did, step by step, one JSON object per line. A line about an
 * action is on disk before the action is carried out, so that whoever finds the journal of a runner
 * that died knows everything that may exist. So is its folder, before the first line is.
 *
 * Each line has `time`, `ns` (the same, since 1970) and `event`. Who writes it holds an advisory
 * lock on the file, so that a run has one runner. Threads: several may write lines at once, each of
 * which is one append; all else belongs to the thread that opened it.
 */

#include "lib/error.h"
#include "lib/json.h"

struct journal {
    int fd;
};
#define JOURNAL_NULL ((struct journal){.fd = -1})

/* Creates `path`, or goes on with it. ERROR_CONFLICT while another process writes it. */
int journal_open(struct journal *j, const char *path, struct error *err);
/* Cuts off what follows the first `size` bytes: a line that was being written when its runner died.
 */
int journal_cut(struct journal *j, size_t size, struct error *err);
void journal_close(struct journal *j);

/* Adds `time` and `event`, writes and syncs. Takes `fields` (NULL: none). */
int journal_write(struct journal *j, const char *event, struct json *fields, struct error *err);
