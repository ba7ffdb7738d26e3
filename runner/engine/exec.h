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
