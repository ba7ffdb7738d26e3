#pragma once

/*
 * What custom commands are told, and the shell scripts that run and end them, the same on a host
 * and inside of a container. Pure.
 *
 * All that a command starts has a *mark* in its environment, SEATRIAL_CUSTOM=MARK, by which it is
 * found again in /proc when it is to be ended: also what has left its process group, session and
 * parent, which no list of ours could name. The shell that runs the command does not have it,
 * and when the command is over ends what it has left in the background.
 *
 * Owns: every text that is returned is malloc()ed.
 */

#include <stddef.h>

struct custom_target {
    const char *container_id;
    const char *container_name;
    size_t index;
    const char *folder; /* where outputs go; made if missing */
};

/* `command` with every CONTAINER_ID, CONTAINER_NAME, SEATRIAL_INDEX and HOST that stands as a word
 * of its own replaced. */
char *custom_expand(const char *command, const struct custom_target *target, const char *host);

/* Runs `command` in `folder` (NULL: where the shell is), with the four in its environment; ends as
 * the command did. */
char *custom_run_script(const char *command, const char *folder, const char *mark,
                        const struct custom_target *target, const char *host);

/* Ends all that has the mark, or one that begins like it: SIGTERM, 2 s, SIGKILL. */
char *custom_end_script(const char *mark);

/* The same, then removes the work folders whose paths begin with `prefix`. */
char *custom_clean_script(const char *mark, const char *prefix);

/* Makes a work folder: ours alone, even where everybody may write beside it. */
char *custom_folder_script(const char *folder);

/* As an argument of the user's login shell, whatever that is. */
char *custom_for_shell(const char *script);
