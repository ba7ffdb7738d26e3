#pragma once

/*
 * `loader summarize` of what a load has recorded: of histogram logs all together (logs.h), of each
 * requests.bin by itself: what became of its requests, and the percentiles of the acknowledged
 * ones. Memory does not grow with their length.
 */

#include "lib/error.h"

#include <stddef.h>
#include <stdio.h>

int recorded_summarize(const char *const *paths, size_t count, FILE *to, struct error *err);
