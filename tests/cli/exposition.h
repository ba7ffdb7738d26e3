#pragma once

/*
 * Reads metrics as strictly as `promtool check metrics` and Prometheus itself do.
 *
 * Source: Prometheus, "Text-based format", version 0.0.4, and "Metric and label naming".
 */

#include <stdbool.h>
#include <stddef.h>

/* Writes what is wrong, with its line; "": nothing is. Checked: names, labels and values; HELP and
 * TYPE once, before the samples, which stand together; no series twice; counters and only they end
 * in _total; of histograms, that buckets count up to +Inf, which is the count, and the sum. */
void exposition_check(const char *text, char *wrong, size_t size);

/* The value of a series as it is written ("name" or "name{a=\"b\"}"); NAN: there is none. */
double exposition_value(const char *text, const char *series);
