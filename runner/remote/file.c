/* Files of a host, by commands that every shell has: the same here and there. */

#include "lib/file.h"
#include "lib/buffer.h"
#include "lib/crypto.h"
#include "lib/text.h"
#include "runner/remote/host_impl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of a command that looks for a file that is not there. */
enum { EXIT_NO_FILE = 44, EXIT_CUT = 45 };

#define UNDO_NS (5 * NS_PER_SEC)

struct counted {
    const struct source *content;
    uint64_t bytes;
};

static ssize_t pull_counted(void *arg, void *data, size_t size, struct error *err) {
    struct counted *c = arg;
    ssize_t n = c->content->pull(c->content->arg, data, size, err);
    if (n > 0)
        c->bytes += (uint64_t)n;
    return n;
}

static int failed(const struct host_exec_result *result, struct error *err) {
    if (result->exit_code < 0)
        return error_set(err, ERROR_FAILED, "a shell was ended by signal %s", result->signal);
    return error_set(err, ERROR_IO, "%s",
                     result->errors[0] ? result->errors : "a shell failed without a word");
}

static int run(struct host *host, const char *command, const struct source *input,
               const struct task *task, struct error *err) {
    struct host_exec exec = {.command = command, .input = input};
    struct host_exec_result result;
    if (host_exec(host, &exec, task, &result, err) < 0)
        return -1;
    return result.exit_code == 0 ? 0 : failed(&result, err);
}

/* Even if the task is over; if the connection is, the file stays, and its name says whose it is. */
static void undo(struct host *host, const char *quoted) {
    struct error ignored = ERROR_NULL;
    struct task forever = TASK_FOREVER;
    struct task soon = task_within(&forever, UNDO_NS);
    cleanup_free char *command = text_format("rm -f -- %s", quoted);
    run(host, command, NULL, &soon, &ignored);
}

/*
 * A connection that breaks looks to the remote shell like the end of its input. So the file gets
 * its name by a second command, once we know that all of it was sent, and how much that was.
 */
static int put(struct host *host, const char *path, unsigned mode, const struct source *content,
               const struct task *task, struct error *err) {
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    random_bytes(random, sizeof random);
    text_hex(random, sizeof random, hex);
    cleanup_free char *folder = path_folder(path);
    cleanup_free char *temporary = text_format("%s/.seatrial-%s", folder, hex);
    cleanup_free char *quoted_folder = host_quote(folder), *quoted_path = host_quote(path),
                      *quoted = host_quote(temporary);
    cleanup_free char *write_command =
        text_format("mkdir -p -- %s && umask 077 && set -C && cat >%s", quoted_folder, quoted);
    struct counted counted = {.content = content};
    struct source source = {.pull = pull_counted, .arg = &counted};
    if (run(host, write_command, &source, task, err) < 0) {
        undo(host, quoted);
        return -1;
    }
    cleanup_free char *finish_command = text_format(
        "[ \"$(wc -c <%s)\" -eq %" PRIu64 " ] || { echo 'the file was cut off' >&2; exit %d; }; "
        "chmod %o -- %s && mv -f -T -- %s %s",
        quoted, counted.bytes, EXIT_CUT, mode & 07777, quoted, quoted, quoted_path);
    if (run(host, finish_command, NULL, task, err) < 0) {
        undo(host, quoted);
        return -1;
    }
    return 0;
}

int host_put(struct host *host, const char *path, unsigned mode, const struct source *content,
             const struct task *task, struct error *err) {
    if (put(host, path, mode, content, task, err) < 0)
        return error_wrap(err, "write '%s' on host '%s'", path, host->name);
    return 0;
}

int host_get(struct host *host, const char *path, const struct sink *content,
             const struct task *task, struct error *err) {
    cleanup_free char *quoted = host_quote(path);
    cleanup_free char *command = text_format("[ -e %s ] || [ -L %s ] || exit %d; exec cat -- %s",
                                             quoted, quoted, EXIT_NO_FILE, quoted);
    struct host_exec exec = {.command = command, .output = content};
    struct host_exec_result result;
    int r = host_exec(host, &exec, task, &result, err);
    if (r == 0 && result.exit_code == EXIT_NO_FILE)
        return 1;
    if (r == 0 && result.exit_code != 0)
        r = failed(&result, err);
    if (r < 0)
        return error_wrap(err, "read '%s' on host '%s'", path, host->name);
    return 0;
}
