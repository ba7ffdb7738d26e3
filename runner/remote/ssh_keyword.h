#pragma once

/*
 * The keywords of ssh_config(5), in one table: what each one's value must be, and what it means
 * here. Pure.
 */

#include "runner/remote/ssh_config.h"

#include <stdbool.h>
#include <stddef.h>

enum ssh_keyword_kind {
    SSH_KEYWORD_PASSED,  /* does not change how we connect, or is of the past */
    SSH_KEYWORD_REFUSED, /* would change it, and is not supported; `why` */
    SSH_KEYWORD_HOST,
    SSH_KEYWORD_MATCH,
    SSH_KEYWORD_INCLUDE,
    SSH_KEYWORD_COMMAND, /* the rest of the line, as these two */
    SSH_KEYWORD_JUMP,
    SSH_KEYWORD_LIST,
    SSH_KEYWORD_IDENTITY,
    SSH_KEYWORD_TEXT, /* and now those with one checked value */
    SSH_KEYWORD_FLAG,
    SSH_KEYWORD_YES_NO, /* a flag that is not `true` or `false` */
    SSH_KEYWORD_TIME,
    SSH_KEYWORD_COUNT,
    SSH_KEYWORD_PORT,
    SSH_KEYWORD_CHECKING,
    SSH_KEYWORD_FAMILY,
};

enum { SSH_KEYWORDS_MAX = 192 };

struct ssh_keyword {
    const char *name;
    enum ssh_keyword_kind kind;
    enum ssh_config_key key;
    const char *why;
};

/* By name, in any case; NULL: unknown. */
const struct ssh_keyword *ssh_keyword_find(const char *name);
size_t ssh_keyword_index(const struct ssh_keyword *keyword);
const char *ssh_keyword_nearest(const char *name);

bool ssh_keyword_accepts(const struct ssh_keyword *keyword, const char *value);
const char *ssh_keyword_expects(const struct ssh_keyword *keyword); /* "yes or no" */
