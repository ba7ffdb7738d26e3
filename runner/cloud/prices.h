#pragma once

/*
 * What machines cost: a table of prices by region, instance type and market, as prices.yaml beside
 * this file has it, which is part of the program, or another file of that form. What the table does
 * not have is not known, and never free. Pure.
 *
 * Shape:  {us-east-2: {i3.2xlarge: 0.624, c5.2xlarge: {on_demand: 0.34, spot: 0.12}}}
 * Units:  micros: millionths of a US dollar, per hour where nothing else is said.
 * Owns:   all texts.
 * Errors: ERROR_CONFIG, "FILE:LINE:COLUMN: message".
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRICE_UNKNOWN = -1 };

/* No machine costs more than this; a table that says so is mistaken. */
#define PRICE_MAX_MICROS (INT64_C(1000) * 1000000)

struct prices;

/* The program's own for a NULL `text`. */
int prices_parse(const char *file, const char *text, size_t size, struct prices **ret,
                 struct error *err);
void prices_free(struct prices *prices);
DEFINE_CLEANUP_FREE(prices);

struct price {
    int64_t micros; /* or PRICE_UNKNOWN */
    bool at_most;   /* of a spot machine on demand, which it never costs more than */
};
struct price prices_find(const struct prices *prices, const char *region, const char *type,
                         bool spot);

/* "2.496"; at least two digits behind the point, none that say nothing. */
void price_write(int64_t micros, struct buffer *out);
/* Reads such a number: digits and a point, at most six digits behind it. */
bool price_read(const char *text, int64_t *ret_micros);
