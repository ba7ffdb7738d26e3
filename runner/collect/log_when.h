#pragma once

/*
 * A moment as `docker logs --since` takes it: RFC 3339 (`2026-11-20T13:22:00.5Z`), the same without
 * a zone, seconds or time of day (in the zone of this machine), seconds since 1970
 * (`1795180920.5`), or how long ago (`10m`, `1h30m`). Pure but for the zone.
 */

#include "lib/clock.h"
#include "lib/error.h"

/* ERROR_INVALID. */
int log_when(const char *text, struct wall_time now, struct wall_time *ret, struct error *err);
