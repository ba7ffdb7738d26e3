#pragma once

/*
 * By which way a remote engine is reached: straight to its socket, where sshd forwards to sockets
 * and the user may open this one; else by a docker command there that talks to it, with sudo if it
 * has to be. Found once per connection, by asking a shell there what is in the way. Pure.
 */

#include "lib/error.h"

#include <stdbool.h>

enum engine_way {
    ENGINE_WAY_UNKNOWN,
    ENGINE_WAY_SOCKET,
    ENGINE_WAY_DIAL_STDIO,
    ENGINE_WAY_SUDO_DIAL_STDIO,
    ENGINE_WAY_NONE, /* for this user: an error says why */
};

/* "its socket", "docker system dial-stdio", ... */
const char *engine_way_name(enum engine_way way);

/* What to ask a shell there; malloc()ed. */
char *engine_way_question(const char *socket);

/*
 * What its answer means after the straight way was refused. UNKNOWN with `err` set: there is no
 * engine now, but there may be one later. NONE with `err` set: there is no way for us.
 */
enum engine_way engine_way_answer(const char *answer, const char *socket, struct error *err);

/* The command of a way that has one; malloc()ed. */
char *engine_way_command(enum engine_way way, const char *socket);
