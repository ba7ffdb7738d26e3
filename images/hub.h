#pragma once

/*
 * What Docker Hub offers beside its registry: repositories are made, and tags are listed with their
 * times and taken away. The registry itself, and how many pulls are left, is registry.h.
 *
 * Who we are is said once, by user and access token; what comes back is a token that is good for
 * some minutes, and is kept in memory.
 *
 * Errors:  as registry.h; ERROR_REFUSED where the user or the token is not accepted or may not do
 *          it.
 * Threads: one hub belongs to one thread at a time.
 * Source:  docs.docker.com, "Docker Hub API".
 */

#include "images/credentials.h"
#include "lib/cleanup.h"
#include "lib/error.h"
#include "lib/task.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUB_TAGS_MAX = 10 * 1000 };

struct hub;

/* `unix_socket`: where it is reached instead of at hub.docker.com, without TLS; or NULL. Logs in.
 * ERROR_REFUSED: nobody is known, or not accepted. */
int hub_open(const struct credentials *credentials, const char *unix_socket,
             const struct task *task, struct hub **ret, struct error *err);
void hub_close(struct hub *hub);
static inline void hub_closep(struct hub **hub) {
    if (*hub)
        hub_close(*hub);
}

/* `path`: "someone/app", as everywhere below. 1: it is there already. */
int hub_create(struct hub *hub, const char *path, bool is_private, const struct task *task,
               struct error *err);

struct hub_tag {
    char *name, *digest, *updated; /* digest and time: "" where it says none */
    uint64_t size_bytes;
};
struct hub_tags {
    struct hub_tag *tags;
    size_t count, capacity;
};
#define HUB_TAGS_NULL ((struct hub_tags){.tags = NULL})
void hub_tags_deinit(struct hub_tags *tags);
/* All, page by page. 1: there is no such repository. */
int hub_list_tags(struct hub *hub, const char *path, const struct task *task, struct hub_tags *ret,
                  struct error *err);

/* 1: there was none. */
int hub_delete_tag(struct hub *hub, const char *path, const char *tag, const struct task *task,
                   struct error *err);
