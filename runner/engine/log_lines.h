#pragma once

/*
 * Pieces of a container's streams become lines, one unfinished line per stream. With timestamps,
 * every log entry begins with one: it is taken off, and a line keeps that of its first entry, so
 * that a line which the engine stored in several entries comes out whole. Pure.
 */

#include "lib/buffer.h"
#include "runner/engine/log.h"

enum {
    LOG_TIMESTAMP_SIZE = 40,
    /* As engines cut long lines into entries. A terminal's stream has no frames: there the next
     * entry of a line is known by the same timestamp, behind so many bytes. */
    LOG_ENTRY_SIZE = 16 << 10,
};

struct log_line {
    struct buffer text;
    char timestamp[LOG_TIMESTAMP_SIZE];
    bool open; /* the line has begun, even if it is empty so far */
};

struct log_lines {
    struct log_line lines[2]; /* stdout, stderr */
    bool timestamps;
    bool at_stamp; /* inside an entry's timestamp */
    char stamp[LOG_TIMESTAMP_SIZE];
    size_t stamp_size;
    size_t entry_size; /* raw: of the entry's text so far */
    size_t repeated;   /* raw: how much of the timestamp has come again behind a full entry */
    int (*on_line)(void *arg, const struct engine_log_line *line, struct error *err);
    void *arg;
};

void log_lines_init(struct log_lines *l, size_t line_size_max, bool timestamps,
                    int (*on_line)(void *arg, const struct engine_log_line *line,
                                   struct error *err),
                    void *arg);
void log_lines_deinit(struct log_lines *l);

/* Shape of stdcopy's on_piece; `first`: the piece begins an entry. */
int log_lines_piece(void *log_lines, enum engine_stream stream, bool first, const char *data,
                    size_t size, struct error *err);
/* Shape of a sink's push: everything is standard output, and every line an entry. */
int log_lines_push_raw(void *log_lines, const void *data, size_t size, struct error *err);
/* The streams are over: lines without a newline are lines. */
int log_lines_end(struct log_lines *l, struct error *err);
