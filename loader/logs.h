#pragma once

/*
 * What can be made of logs of histograms (latency.hlog), of one load or of many: `loader merge`
 * makes one log of several, `loader summarize` says what is in them. Both are exact, because
 * histograms are added: nothing is averaged, and no recorded value is lost. Tags are kept apart.
 *
 * A merged log has an interval for each second, counted from the earliest start of all logs; an
 * interval goes whole into the second in which it begins. Logs are read side by side, each from its
 * beginning to its end: memory does not grow with their length.
 *
 * Errors: those of lib/hdr_log.h; ERROR_LIMIT for more than LOGS_TAGS_MAX tags.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdio.h>

/* Other programs' logs may have any; each costs a histogram. */
enum { LOGS_TAGS_MAX = 16 };

/* Writes the file whole or not at all. Warns on stderr of logs whose last line was cut off. */
int logs_merge(const char *const *paths, size_t count, const char *out, struct error *err);
int logs_summarize(const char *const *paths, size_t count, FILE *to, struct error *err);
