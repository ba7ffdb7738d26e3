#pragma once

/*
 * What outlives a fetch that did not come to its end, in a folder of its own: how far it came
 * (`state`), what has come whole (`tree`), and the file in hand (`part`). Whoever fetches the same
 * of the same container next, be it another process, goes on with it.
 *
 * It is of use only as long as nothing can have changed: the container has ended, and not run again
 * since; what is wanted is the same; and this machine has not been started anew, for what was
 * written shortly before a power cut may be missing on the disk.
 */

#include "lib/archive.h"
#include "lib/error.h"
#include "runner/engine/container.h"

#include <stdbool.h>

/* What must be the same. All of it is compared byte by byte: zero-initialise it. */
struct kept_key {
    char boot[40];
    char container[ENGINE_ID_SIZE];
    char ended[40]; /* when, as the engine says it */
    unsigned char want[32];
};

struct kept_state {
    struct archive_mark
        mark; /* of a tree. Packed: position and header (the bytes before it) are used */
    uint64_t packed_bytes; /* good in the packed file */
    bool begun;            /* the above is known */
    bool complete;         /* all has come, and was put into its place */
};

struct kept {
    char *folder;
    int folder_fd, tree_fd, state_fd;
    struct kept_key key;
    struct kept_state state;
};
#define KEPT_NULL ((struct kept){.folder_fd = -1, .tree_fd = -1, .state_fd = -1})

/* The machine's part of a key. */
void kept_key_boot(struct kept_key *key);

/* Makes the folder if it is missing, and empties it if what it holds is of another key. */
int kept_open(struct kept *k, const char *folder, const struct kept_key *key, struct error *err);
/* Writes `k->state`: survives the end of this process, however that comes. */
int kept_save(struct kept *k, struct error *err);
/* Begins anew: nothing is kept. */
int kept_empty(struct kept *k, struct error *err);
/* All is in its place: only the state stays. */
int kept_complete(struct kept *k, struct error *err);
/* Closes it. What is kept stays. */
void kept_close(struct kept *k);

/* Removes a folder with all in it; what is not there is no error. */
void kept_remove(const char *folder);
