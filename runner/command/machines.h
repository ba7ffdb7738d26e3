#pragma once

/*
 * The commands of `seatrial machines`: `machines_NAME_argp` and `machines_NAME`, and a line in the
 * table. Help, docs/COMMANDS.md and the completion come from it.
 */

#include "runner/cloud/provider.h"
#include "runner/command/command.h"
#include "runner/run/journal.h"

#define MACHINES_COMMANDS(X)                                                                       \
    X(up, "make what is missing, start what is stopped, until all machines run")                   \
    X(status, "the deployment's machines")                                                         \
    X(ls, "the deployment's machines; with --all what we own anywhere")                            \
    X(stop, "stop the deployment's machines, and keep them")                                       \
    X(start, "start stopped machines again")                                                       \
    X(down, "end the machines and remove all that belongs to them")                                \
    X(reap, "end machines whose time to live is over, wherever they are")

#define X(name, summary)                                                                           \
    extern const struct argp machines_##name##_argp;                                               \
    int machines_##name(struct command_context *context, int argc, char **argv);
MACHINES_COMMANDS(X)
#undef X

extern const struct command machines_commands[];
extern const size_t machines_command_count;

/* ---- what they share (machines_shared.c) ---- */

/*
 * The deployment's provider, opened. What changes machines is written to a journal of the
 * deployment below $XDG_STATE_HOME (~/.local/state) first, which one process at a time may write.
 */
struct machines_session {
    struct command_context *context;
    struct command_files files;
    struct provider_settings settings;
    struct provider *provider;
    struct journal journal;
    char *journal_path, *authorized_key;
    char **pending; /* "TOKEN FLEET REGION" of calls that nobody knows the end of; or NULL */
};
#define MACHINES_SESSION_NULL ((struct machines_session){.journal = JOURNAL_NULL})

/* What it is for. Who makes machines needs a key to log in with; who ends them does not. */
enum machines_use { MACHINES_LOOK, MACHINES_CHANGE, MACHINES_MAKE };

/* `session` stays where it is: others point to it. */
int machines_open(struct command_context *context, enum machines_use use,
                  struct machines_session *session, struct error *err);
void machines_close(struct machines_session *session);

/* A table on stdout, or an object per line. */
void machines_print(const struct machines *machines, bool json);
