#pragma once

/* A storage thread for a test, and jobs for it. Failures are cmocka's. */

#include "executor/storage.h"

extern struct ledger_options options; /* of those that are started next: with a tree of keys */

/* On a store in memory, or on that one, which is taken. */
struct storage *start(uint64_t bytes_max);
struct storage *start_on(struct store *store);
/* Writes two keys. */
struct storage_job job_of(uint64_t height, uint32_t value_size);
/* Until it is readable. */
void wait_for(int fd);
