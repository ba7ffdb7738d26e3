#pragma once

/*
 * The commands of `seatrial machines`: `machines_NAME_argp` and `machines_NAME`, and a line in the
 * table. Help, docs/COMMANDS.md and the completion come from it.
 */

#include "runner/cloud/cost.h"
#include "runner/cloud/provider.h"
#include "runner/command/command.h"
#include "runner/run/journal.h"
#include "runner/run/trial.h"

#include <pthread.h>

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

/* The host key that has taken, or was about to take, the place of the one of user-data. */
struct machines_key {
    char *id, *key; /* "ssh-ed25519 AAAA..." */
    bool pinned;    /* it was seen in its place: the only one accepted */
};

/*
 * The deployment's provider, opened. What changes machines is written to a journal of the
 * deployment below $XDG_STATE_HOME (~/.local/state) first, which one process at a time may write.
 */
struct machines_session {
    const struct command_context *context;
    struct command_files files;
    bool borrowed; /* the files */
    struct provider_settings settings;
    struct provider *provider;
    struct journal journal;
    char *journal_path, *authorized_key;
    char **pending; /* "TOKEN FLEET REGION" of calls that nobody knows the end of; or NULL */
    struct machines_key *keys; /* as the journal has them */
    size_t key_count, key_capacity;
    struct machines machines; /* of a trial */
    struct trial *trial;      /* that is told what there is to say; NULL: the terminal */
};
#define MACHINES_SESSION_NULL ((struct machines_session){.journal = JOURNAL_NULL})

/* What it is for. Who makes machines needs a key to log in with; who ends them does not. */
enum machines_use {
    MACHINES_LOOK,
    MACHINES_ASK, /* whether they could be made: with the key, without the journal */
    MACHINES_CHANGE,
    MACHINES_MAKE,
};

/* `session` stays where it is: others point to it. */
int machines_open(struct command_context *context, enum machines_use use,
                  struct machines_session *session, struct error *err);
/* The same with files that were read already, and outlive it. */
int machines_open_with(const struct command_context *context, const struct command_files *files,
                       enum machines_use use, struct machines_session *session, struct error *err);
void machines_close(struct machines_session *session);
/* The journal, while it is not needed: others may write it. */
int machines_take_journal(struct machines_session *session, struct error *err);
void machines_give_journal(struct machines_session *session);

/* A table on stdout, or an object per line; with what each costs, if there are prices. */
void machines_print(const struct machines *machines, const struct prices *prices, bool json);

/* ---- what they cost (machines_cost.c) ---- */

/* The table that the deployment names, else the program's own. */
int machines_prices(const struct deployment *deployment, struct prices **ret, struct error *err);

/*
 * Before machines are made or started: if all of the deployment's together cost more than its
 * limit, or nobody knows how much, the user is asked, unless `yes`. ERROR_USAGE when nobody can be
 * asked, ERROR_REFUSED when the answer was no.
 */
int machines_confirm(struct machines_session *session, bool yes, const struct task *task,
                     struct error *err);

/* What the session's machines cost now, for a report; false where nobody pays by the hour. What
 * `ret` points to lives until the end of the process. */
bool machines_report_cost(const struct machines_session *session, struct report_cost *ret);

/* ---- the machines of a trial (machines_trial.c) ---- */

/*
 * Looks for the deployment's machines, and fills its hosts in. With providers whose machines are
 * there anyway nothing is asked.
 */
int machines_find(const struct command_context *context, const struct command_files *files,
                  struct error *err);

/* ERROR_USAGE where machines cannot be stopped. Pure. */
int machines_check_stop(const struct deployment *deployment, struct error *err);

/*
 * The same for a trial. With `make` what is missing is made and what is stopped is started, if what
 * they cost is wanted (machines_confirm); without it all have to run. `stop`: afterwards they are
 * to be stopped, which is checked. The session's own provider is NULL where there is nothing to
 * look after.
 */
struct machines_wanted {
    bool make, stop;
    bool yes; /* whatever they cost */
};
int machines_for_trial(const struct command_context *context, const struct command_files *files,
                       const struct machines_wanted *wanted, struct machines_session *session,
                       struct error *err);
/* Until SSH lets us in and the engine answers on each. */
int machines_await(struct machines_session *session, struct testbed *testbed, struct error *err);
/* How many machines run, until when, and what ends them. */
void machines_say_until(const struct command_context *context, const struct command_files *files);
/* After the trial, which ended with `status`: stops them, or says until when they run. Returns the
 * exit status of both. */
int machines_after_trial(struct machines_session *session, bool stop, int status);

/*
 * Whose host key is still that of user-data, which programs on a machine can read, gets a new one
 * (machines_keys.c): made there, over a connection that the old one has verified, written to the
 * journal before it takes the old one's place, and the only one that is accepted from then on. What
 * goes wrong is a warning. Hosts that are open are connected to again.
 */
void machines_replace_keys(struct machines_session *session, struct testbed *testbed);
/* The keys of the journal in the place of those of the machines' birth. */
void machines_know_keys(const struct machines_session *session, struct machines *machines);
void machines_set_key(struct machines_session *session, const char *id, const char *key,
                      bool pinned);

/* What will become of them, and what they cost, for `plan`. */
int machines_write_plan(const struct deployment *deployment, const struct machines_wanted *wanted,
                        struct buffer *out, struct error *err);

/*
 * Looks after them while a trial runs (machines_care.c): renews their time to live, with EC2 and on
 * each, and ends the trial when one of them is, or will be, taken away. What cannot be renewed is a
 * warning. Does nothing with providers whose machines are there anyway.
 */
struct machines_care {
    struct machines_session session;
    struct testbed *testbed; /* borrowed */
    struct trial *trial;
    bool *warned;        /* by host: that it could not be renewed there */
    bool *ending, *gone; /* likewise: it was said that it will be, or is, taken away */
    struct cancel end;
    bool running;
    pthread_t thread;
};
#define MACHINES_CARE_NULL                                                                         \
    ((struct machines_care){.session = {.journal = JOURNAL_NULL}, .end = {.event_fd = -1}})
/* Sets the settings' caretaker. `care` stays where it is. */
int machines_care_for(const struct command_context *context, const struct command_files *files,
                      struct testbed *testbed, struct machines_care *care,
                      struct trial_caretaker *ret, struct error *err);
void machines_care_deinit(struct machines_care *care);

/* For `up`: all of it, so that hosts can be looked at. */
int machines_make_ready(const struct command_context *context, bool yes, struct error *err);
