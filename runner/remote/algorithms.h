#pragma once

/*
 * Lists of algorithms as ssh_config(5) writes them: names with commas, and a sign in front that
 * says what the list does to the default one. Pure.
 */

/* `wanted` NULL: the default; "+a,b" appends, "-a*,b" removes (patterns), "^a,b" puts in front,
 * else replaces. malloc()ed. */
char *algorithms_apply(const char *ours, const char *wanted);

/* The same names, those of `first` in front. malloc()ed. */
char *algorithms_prefer(const char *ours, const char *first);
