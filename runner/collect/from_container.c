#include "runner/collect/from_container.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/engine/archive.h"

#include <inttypes.h>
#include <string.h>

/* How the command there says that it cannot do it, and that it could not. */
enum { NO_PROGRAM = 44 };
#define ASKING_FAILED "asking the engine failed"

/* ---- by a program there ---- */

/* `tail` is the only one whose exit status a shell tells. */
static char *command_of(const struct from_container *from, uint64_t offset) {
    cleanup_free char *socket = host_quote(host_engine_socket(from->host));
    cleanup_free char *container = host_quote(from->container);
    cleanup_free char *path = host_quote(from->path);
    cleanup_free char *script = text_format(
        "s=%s c=%s p=%s\n"
        "as=; [ -w \"$s\" ] || as='sudo -n'\n"
        "if command -v curl >/dev/null; then\n"
        "get() { $as curl --silent --show-error --fail --speed-limit 1 --speed-time 60 "
        "--unix-socket "
        "\"$s\" --get --data-urlencode \"path=$p\" \"http://localhost/containers/$c/archive\"; }\n"
        "elif command -v docker >/dev/null; then\n"
        "get() { $as docker --host \"unix://$s\" cp \"$c:$p\" -; }\n"
        "else exit %d; fi\n"
        "{ get || echo '" ASKING_FAILED "' >&2; } | tail -c +%" PRIu64 "\n",
        socket, container, path, NO_PROGRAM, offset + 1);
    cleanup_free char *quoted = host_quote(script);
    return text_format("sh -c %s", quoted);
}

/* 1: there is no program for it. */
static int get_there(const struct from_container *from, uint64_t offset, const struct sink *sink,
                     const struct task *task, struct error *err) {
    struct host_exec_result result = {.exit_code = 0};
    cleanup_free char *command = command_of(from, offset);
    struct host_exec exec = {.command = command, .output = sink};
    if (host_exec(from->host, &exec, task, &result, err) < 0)
        return -1;
    if (result.exit_code == NO_PROGRAM)
        return 1;
    if (result.exit_code == 0 && !strstr(result.errors, ASKING_FAILED))
        return 0;
    return error_set(err, ERROR_FAILED, "read from byte %" PRIu64 " on the host: %s", offset,
                     result.errors);
}

/* ---- from the engine, the beginning dropped here ---- */

struct rest {
    uint64_t skip;
    const struct sink *sink;
};

static int push_rest(void *arg, const void *data, size_t size, struct error *err) {
    struct rest *r = arg;
    size_t skipped = size < r->skip ? size : (size_t)r->skip;
    r->skip -= skipped;
    if (skipped == size)
        return 0;
    return r->sink->push(r->sink->arg, (const char *)data + skipped, size - skipped, err);
}

static int get_here(const struct from_container *from, uint64_t offset, const struct sink *sink,
                    const struct task *task, struct error *err) {
    struct rest rest = {.skip = offset, .sink = sink};
    struct sink push = {.push = push_rest, .arg = &rest};
    int r = engine_archive_get(from->engine, from->container, from->path, &push, task, err);
    return r == 1 ? FROM_CONTAINER_NONE : r < 0 ? -1 : 0;
}

int from_container_get(const struct from_container *from, uint64_t offset, const struct sink *sink,
                       const struct task *task, struct error *err) {
    bool there = offset > 0 && from->host && !host_is_local(from->host);
    int r = there ? get_there(from, offset, sink, task, err) : 1;
    if (r != 1)
        return r;
    r = get_here(from, offset, sink, task, err);
    return r == 0 && there ? FROM_CONTAINER_AGAIN : r;
}
