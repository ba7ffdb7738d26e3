#pragma once

/*
 * What can be made of logs of histograms (latency.hlog), of one load or of many (lib/hdr_merge.h):
 * `loader merge` makes one log of several, `loader summarize` says what is in them. Warnings go to
 * stderr.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdio.h>

/* Writes the file whole or not at all. */
int logs_merge(const char *const *paths, size_t count, const char *out, struct error *err);
int logs_summarize(const char *const *paths, size_t count, FILE *to, struct error *err);
