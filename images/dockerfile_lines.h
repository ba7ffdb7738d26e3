#pragma once

/*
 * A Dockerfile as instructions: lines joined, comments and here-documents taken out. Private to
 * images/dockerfile.c.
 */

#include "lib/buffer.h"

#include <stdbool.h>
#include <stddef.h>

struct dockerfile_lines {
    const char *at, *end;
    unsigned number; /* of the line that was read last */
    char escape;
    bool directives;    /* they may still come */
    char frontend[256]; /* `# syntax=`; "": none */
    struct buffer text; /* of the instruction */
};

struct dockerfile_instruction {
    unsigned line;    /* where it begins */
    char name[16];    /* in lower case; cut: then it is none that we know */
    const char *rest; /* borrowed until the next call */
};

void dockerfile_lines_init(struct dockerfile_lines *lines, const char *text, size_t size);
void dockerfile_lines_deinit(struct dockerfile_lines *lines);

/* 1 at the end, -1 where it cannot be read: too long, a NUL byte, a here-document without end. */
int dockerfile_next(struct dockerfile_lines *lines, struct dockerfile_instruction *ret);

/* `word` begins a here-document: <<NAME, 3<<-"NAME", ... */
bool dockerfile_is_heredoc(const char *word);
