#include "runner/collect/debugger.h"

#include "lib/cleanup.h"
#include "runner/remote/local.h"

#include <stdlib.h>

enum { NO_DEBUGGER = 127, ROOM_FOR_OUR_WORDS = 256 };

/* Libraries with all their symbols take some seconds; a core dump that takes longer means harm. */
#define TIME_NS_MAX (120 * NS_PER_SEC)

static int push(void *arg, const void *data, size_t size, struct error *err) {
    (void)err;
    struct buffer *out = arg;
    size_t room = DEBUGGER_OUTPUT_MAX - out->size;
    buffer_append(out, data, size < room ? size : room);
    return size > room;
}

int debugger_run(const struct backtrace_want *want, const struct task *task, struct buffer *ret,
                 struct error *err) {
    cleanup_free char *script = backtrace_script(want);
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, DEBUGGER_OUTPUT_MAX + ROOM_FOR_OUR_WORDS);
    struct sink sink = {.push = push, .arg = &out};
    struct host_exec exec = {.command = script, .output = &sink};
    struct host_exec_result result;
    struct task limited = task_within(task, TIME_NS_MAX);
    int r = local_exec(&exec, &limited, &result, err);
    if (r < 0 && err->kind != ERROR_TIMEOUT)
        return error_wrap(err, "run gdb");
    if (r == 0 && result.exit_code == NO_DEBUGGER)
        return 1;
    if (r < 0) {
        error_clear(err);
        buffer_text(&out, "\nseatrial: gdb took too long, and was ended\n");
    } else if (r > 0)
        buffer_text(&out, "\nseatrial: gdb said too much, and was ended\n");
    else if (result.exit_code != 0)
        buffer_format(&out, "\nseatrial: gdb ended with exit code %d%s%s\n", result.exit_code,
                      result.signal[0] ? ", signal " : "", result.signal);
    *ret = out;
    out = BUFFER_NULL;
    return 0;
}
