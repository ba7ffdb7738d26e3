#pragma once

/*
 * The connections to all replicas of a cluster, and which of them is the primary. Who that is, the
 * replicas say when they answer HELLO; the loader believes whoever says it of itself.
 *
 * At the start all are tried until the primary answered, and then the others for a moment longer:
 * backups that cannot be reached are reported and left alone, for they get no requests. A primary
 * that is lost is tried again, at once if it had answered anything since it was connected, with
 * growing pauses otherwise; the time for that is limited, counted anew only after it has answered a
 * request. What it says is believed anew, too: it may name another.
 *
 * How many equal answers are needed, each says in its answer to HELLO: of those that contradict one
 * another the one that wants more is believed, but f + 1 are always enough. One that is faulty
 * could say that its own word is.
 *
 * Where answers of several replicas are compared, all are kept connected, and while
 * the primary is lost the next one that is connected stands in for it. Who leads then follows from
 * what comes back: answers say in which view their replica is, and of a view that f + 1 have
 * reached, one that is correct has said so.
 *
 * Threads: belongs to its driver's. Errors: as connection.h; fatal ones only: who is lost and tried
 * again is reported through `note`.
 */

#include "lib/clock.h"
#include "lib/error.h"
#include "loader/connection.h"
#include "loader/note.h"
#include "loader/targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer {
    struct connection connection;
    bool dead;             /* its fault cannot be cured by another attempt */
    bool answered;         /* a request, since it was connected */
    uint64_t views;        /* the highest that it has said, and one; 0: it has said none */
    struct instant until;  /* of the attempt under way; NEVER when there is none */
    struct instant next;   /* attempt; NEVER when none is planned */
    uint64_t pause_ns;     /* before the last attempt */
    uint32_t events;       /* that epoll watches for */
    struct error *failure; /* the last one, kind ERROR_NONE if none */
};

enum { PEERS_NOBODY = -1 };

struct peers {
    struct peer *list;
    size_t count;
    int epoll_fd; /* borrowed */
    uint64_t connect_timeout_ns;
    size_t answers;         /* equal ones that are needed, by whoever wants most; 0: not known */
    bool everyone;          /* all are needed: answers are compared */
    int primary;            /* index, or PEERS_NOBODY while it is not connected */
    int leader;             /* who should be it, where answers are compared; or PEERS_NOBODY */
    uint64_t views;         /* f + 1 have said at least so many */
    struct instant give_up; /* if there is no primary then */
    loader_note *note;
    void *note_context;
};

#define PEERS_NULL ((struct peers){.list = NULL})

/* What we say of ourselves, see connection.h. */
struct peers_self {
    uint64_t id;
    struct wire_clients clients;
    const struct identity *identity; /* borrowed */
};

void peers_init(struct peers *p, const struct targets *targets, int epoll_fd,
                uint64_t connect_timeout_ns, const struct peers_self *self, loader_note *note,
                void *note_context);
void peers_deinit(struct peers *p);

void peers_start(struct peers *p, struct instant now);

/* NULL while there is none. */
struct connection *peers_primary(const struct peers *p);
/* No backup is being connected any more. */
bool peers_settled(const struct peers *p);

/* Something happened on the connection of one that is not ready. */
void peers_greet(struct peers *p, size_t index, struct instant now);
/* The connection of one that was ready is lost, and why. */
void peers_lost(struct peers *p, size_t index, const struct error *why, struct instant now);
/* It answered a request, in that view. */
void peers_answered(struct peers *p, size_t index, uint64_t view);
/* Another than the primary leads, and is connected: from now on it is the primary. The one before
 * still gets the rest of a frame that it has a part of. */
void peers_turn(struct peers *p);
/* Watch it for room to write, too, or no longer. */
void peers_want_write(struct peers *p, size_t index, bool want);

/* What is due: attempts that are begun or given up. A fault ends the run: no primary can be had. */
int peers_tick(struct peers *p, struct instant now, struct error *err);
/* When peers_tick is needed next. */
struct instant peers_due(const struct peers *p);
