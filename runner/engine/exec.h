#pragma once

/*
 * Commands inside running containers.
 *
 * engine_exec is what most callers want: create, run attached, collect, ask for the exit code. The
 * API cannot end a command: when the call ends early (deadline, cancellation), it runs on.
 */

#include "lib/buffer.h"
#include "runner/engine/container.h"
#include "runner/engine/engine.h"
#include "runner/engine/log.h"

struct engine_exec_spec {
    const char *const *cmd;
    const struct engine_pair *env;
    const char *user;
    const char *working_dir;
    bool privileged;
    bool input;    /* it reads what engine_exec_attach is given; else nothing */
    bool terminal; /* it runs on one: line editing, job control, one stream of output */
};

int engine_exec_create(struct engine *engine, const char *container,
                       const struct engine_exec_spec *spec, const struct task *task,
                       char ret_id[ENGINE_ID_SIZE], struct error *err);

/* Output as it comes, in pieces of any size; a negative return ends it, a positive one too (with
 * 1). */
struct engine_output {
    int (*push)(void *arg, enum engine_stream stream, const void *data, size_t size,
                struct error *err);
    void *arg;
};

/* Runs it and carries its output until it ends. By the task alone. */
int engine_exec_start(struct engine *engine, const char *exec, const struct engine_output *output,
                      const struct task *task, struct error *err);

/*
 * The same for one that was made with `input` or `terminal`: what somebody types goes in as it is
 * typed, and a new size of the window is told to the terminal there. The caller puts its own
 * terminal into raw mode, and back. Ends when the command closes its output, or when the user types
 * the engine's detach keys (Ctrl-P Ctrl-Q): then the command runs on, as engine_exec_inspect says.
 */
struct engine_exec_io {
    int input_fd;                /* a terminal or pipe; -1: none. Its end is the command's */
    const struct source *input;  /* or this, which must not block; or NULL */
    struct engine_output output; /* all of a terminal is ENGINE_STDOUT */
    bool terminal;               /* as it was made */
    int resize_fd;               /* can be read when the size may have changed; -1: never */
    /* The size now, after taking what can be read from `resize_fd`; NULL: the engine's 80 x 24. */
    void (*get_size)(void *arg, unsigned *ret_rows, unsigned *ret_columns);
    void *arg;
};
int engine_exec_attach(struct engine *engine, const char *exec, const struct engine_exec_io *io,
                       const struct task *task, struct error *err);

int engine_exec_resize(struct engine *engine, const char *exec, unsigned rows, unsigned columns,
                       const struct task *task, struct error *err);

struct engine_exec_state {
    bool running;
    int64_t exit_code;
    int64_t pid;
};
int engine_exec_inspect(struct engine *engine, const char *exec, const struct task *task,
                        struct engine_exec_state *ret, struct error *err);

struct engine_exec_result {
    int64_t exit_code;
    struct buffer out, err; /* at most `output_max` each; what is over is dropped */
    bool truncated;
};
#define ENGINE_EXEC_RESULT_NULL                                                                    \
    ((struct engine_exec_result){.exit_code = 0, .out = BUFFER_NULL, .err = BUFFER_NULL})

/* Within `timeout_ns` (0: the engine's call timeout) and the task. */
int engine_exec(struct engine *engine, const char *container, const struct engine_exec_spec *spec,
                size_t output_max, uint64_t timeout_ns, const struct task *task,
                struct engine_exec_result *ret, struct error *err);
void engine_exec_result_deinit(struct engine_exec_result *result);
