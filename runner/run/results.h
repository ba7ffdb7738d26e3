#pragma once

/*
 * The folder in which a run leaves everything: results/<time>-<name>-<short id>/, and the symbolic
 * link results/latest that points to the newest. Only its owner may look into a run's folder: what
 * containers were given and what they wrote may hold secrets that nobody declared as such.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "lib/json.h"

enum { RUN_ID_SIZE = 9 /* eight hexadecimal digits */ };

struct results {
    char *folder; /* absolute */
    char run[RUN_ID_SIZE];
};
#define RESULTS_NULL ((struct results){.folder = NULL})

void run_id_make(char ret_run[RUN_ID_SIZE]);

/* Makes root, folder and link. Errors: ERROR_IO, with a hint when the disk is nearly full. */
int results_create(const char *root, const char *name, const char *run, struct wall_time now,
                   struct results *ret, struct error *err);
void results_deinit(struct results *r);

/* The folder of an earlier run, by its id, the folder's name, "latest", or a path to the folder.
 * ERROR_NOT_FOUND. */
int results_find(const char *root, const char *run, struct results *ret, struct error *err);

/* A folder below, made if missing: `host` and `container` as path components. malloc()ed. */
char *results_container_folder(const struct results *r, const char *host, const char *container);

/* Writes `name` in the folder, pretty. */
int results_write_json(const char *folder, const char *name, const struct json *value,
                       struct error *err);
