#pragma once

/*
 * Where clients are to be answered: every replica answers every request, but most requests come to
 * it by way of the primary. So loaders say on each of their connections whose clients they have
 * there (wire.h, HELLO), and the last connection on which a client was named or has asked is its.
 * A connection that has gone meanwhile costs nothing: nobody gets what is sent to it.
 *
 * Limits: as many clients as the core remembers; further ones are answered where they ask.
 */

#include "lib/cleanup.h"
#include "lib/wire.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENTS_NOWHERE UINT64_MAX /* no connection's name */

struct clients;

struct clients *clients_new(uint32_t max);
void clients_free(struct clients *c);
DEFINE_CLEANUP_FREE(clients);

/* All of them are at that connection. */
void clients_enter(struct clients *c, const struct wire_clients *range, uint64_t origin);
/* The client has asked there. */
void clients_asked(struct clients *c, uint64_t client, uint64_t origin);
/* CLIENTS_NOWHERE: not known. */
uint64_t clients_origin(const struct clients *c, uint64_t client);
