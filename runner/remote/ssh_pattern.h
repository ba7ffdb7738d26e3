#pragma once

/*
 * The patterns of ssh_config(5) and sshd(8): `*` is any text, `?` any character; in a list,
 * separated by commas, `!` in front of a pattern forbids. Pure; linear in space, at worst the
 * product of both lengths in time.
 */

#include <stdbool.h>
#include <stddef.h>

bool ssh_pattern_match(const char *text, const char *pattern, size_t pattern_size);

/* 1: a pattern of the list matches, and none with `!`; 0: none does; -1: one with `!` does.
 * `fold`: the list's letters count as lower case; `text` should be of these already. */
int ssh_pattern_list(const char *text, const char *list, size_t list_size, bool fold);
