#pragma once

/*
 * A Dockerfile, read for two questions: which images of others is this built from, and which files
 * of its context can it reach?
 *
 * Read is what decides that: directives, comments, continuations, here-documents, stages, ARG and
 * ENV and what is expanded of them, the sources of COPY and ADD, and the mounts of RUN, for the
 * target and the stages that it needs. Everything else is the engine's business, errors too.
 *
 * The answer may name more than is needed, and never less: what is not understood, or depends on
 * what a base image says, makes it "all of the context" and "not all bases are known", with a
 * reason for people.
 *
 * Pure.
 *
 * Owns:   all texts, malloc()ed.
 * Source: docs.docker.com/reference/dockerfile/.
 */

#include <stdbool.h>
#include <stddef.h>

enum {
    DOCKERFILE_LINE_MAX = 1 << 20, /* of an instruction, its continuations joined */
    DOCKERFILE_INSTRUCTIONS_MAX = 20000,
    DOCKERFILE_STAGES_MAX = 1000,
    DOCKERFILE_SOURCES_MAX = 10000,
    DOCKERFILE_VALUE_MAX = 4096, /* of a variable: values can be made of values */
};

struct dockerfile_arg {
    const char *name;
    const char *value; /* NULL: not given, the Dockerfile's default */
};

struct dockerfile_options {
    const struct dockerfile_arg *args; /* ends with a NULL name; NULL: none */
    const char *target;                /* a stage's name or number; NULL: the last */
    bool every_stage; /* the classic builder carries out all stages up to the target */
};

struct dockerfile {
    char **bases; /* images, in the order in which they come, each once; NULL-terminated */
    size_t base_count;
    bool bases_known; /* false: there are others */
    bool whole;       /* all of the context may be reached; else what `paths` match, and below */
    char **paths;     /* relative, without "." and "..", '*' for anything within a name */
    size_t path_count;
    char reason[160]; /* why it is all; "" */
};
#define DOCKERFILE_NULL ((struct dockerfile){.bases = NULL})

void dockerfile_read(const char *text, size_t size, const struct dockerfile_options *options,
                     struct dockerfile *ret);
void dockerfile_deinit(struct dockerfile *d);
