/* A host that is this machine: commands end as they ended, and whatever ends them ends all of them.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/host.h"
#include "tests/unit/folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct host *open_here(void) {
    struct host_options options = {.name = "here"};
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    struct host *host;
    assert_int_equal(host_open(&options, &task, &host, &err), 0);
    return host;
}

static struct host_exec_result run(struct host *host, const char *command) {
    struct host_exec exec = {.command = command};
    struct host_exec_result result;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    if (host_exec(host, &exec, &task, &result, &err) != 0)
        fail_msg("%s", err.text);
    return result;
}

static void the_engine_is_where_it_is_said_to_be(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    static const struct {
        const char *engine, *docker_host, *expected;
    } cases[] = {
        {NULL, NULL, "unix:///var/run/docker.sock"},
        {NULL, "", "unix:///var/run/docker.sock"},
        {NULL, "unix:///a", "unix:///a"},
        {"unix:///b", "unix:///a", "unix:///b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].docker_host)
            setenv("DOCKER_HOST", cases[i].docker_host, 1);
        else
            unsetenv("DOCKER_HOST");
        struct host_options options = {.name = "here", .engine = cases[i].engine};
        cleanup(host_closep) struct host *host = NULL;
        assert_int_equal(host_open(&options, &task, &host, &err), 0);
        assert_string_equal(host_engine(host), cases[i].expected);
        assert_true(host_is_local(host));
        assert_null(host_ssh(host));
    }
}

static void a_command_ends_with_its_code_its_signal_and_what_it_said(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    struct host_exec_result r = run(host, "exit 7");
    assert_int_equal(r.exit_code, 7);
    assert_string_equal(r.errors, "");
    r = run(host, "printf 'a\\033b\\n' >&2; kill -9 $$");
    assert_int_equal(r.exit_code, -1);
    assert_string_equal(r.signal, "KILL");
    assert_string_equal(r.errors, "a\\x1bb");
    r = run(host, "i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i + 1)); done");
    assert_int_equal(r.exit_code, 0);
    assert_true(text_ends(r.errors, "line 2999"));
}

static void a_commands_text_is_read_as_a_whole_or_not_at_all(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    assert_int_equal(host_exec_text(host, "echo hello", 100, &task, &text, &err), 0);
    assert_string_equal(buffer_string(&text), "hello\n");
    cleanup(buffer_deinit) struct buffer none = BUFFER_NULL;
    assert_int_equal(host_exec_text(host, "echo no >&2; exit 3", 100, &task, &none, &err), -1);
    assert_int_equal(err.kind, ERROR_FAILED);
    assert_string_equal(err.text, "host 'here': a command ended with exit code 3: no");
    assert_int_equal(host_exec_text(host, "yes", 1000, &task, &none, &err), -1);
    assert_int_equal(err.kind, ERROR_LIMIT);
}

/* A source of `left` bytes. */
static ssize_t pull_bytes(void *arg, void *data, size_t size, struct error *err) {
    (void)err;
    uint64_t *left = arg;
    size_t n = *left < size ? (size_t)*left : size;
    memset(data, 'x', n);
    *left -= n;
    return (ssize_t)n;
}

static int push_count(void *arg, const void *data, size_t size, struct error *err) {
    (void)data;
    (void)err;
    *(uint64_t *)arg += size;
    return 0;
}

static void large_input_flows_through_and_unread_input_is_no_fault(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    uint64_t left = 20 << 20, got = 0;
    struct source source = {.pull = pull_bytes, .arg = &left};
    struct sink sink = {.push = push_count, .arg = &got};
    struct host_exec exec = {.command = "cat", .input = &source, .output = &sink};
    struct host_exec_result result;
    assert_int_equal(host_exec(host, &exec, &task, &result, &err), 0);
    assert_int_equal(got, 20 << 20);
    left = 20 << 20;
    exec.command = "exit 4";
    assert_int_equal(host_exec(host, &exec, &task, &result, &err), 0);
    assert_int_equal(result.exit_code, 4);
}

static void *raise_when_it_runs(void *arg) {
    struct cancel *cancel = ((void **)arg)[0];
    const struct folder *folder = ((void **)arg)[1];
    while (!folder_has(folder, "pid"))
        usleep(1000);
    cancel_raise(cancel, 1);
    return NULL;
}

static void a_cancelled_command_is_gone_with_its_children(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    struct cancel cancel;
    assert_int_equal(cancel_init(&cancel, &err), 0);
    struct task task = {.cancel = &cancel, .deadline = INSTANT_NEVER};
    cleanup_free char *command =
        text_format("sleep 1000 & echo $! >%s/new; mv %s/new %s/pid; wait", f.path, f.path, f.path);
    void *args[] = {&cancel, &f};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, raise_when_it_runs, args), 0);
    struct host_exec exec = {.command = command};
    struct host_exec_result result;
    assert_int_equal(host_exec(host, &exec, &task, &result, &err), -1);
    assert_int_equal(err.kind, ERROR_CANCELLED);
    pthread_join(thread, NULL);
    cancel_deinit(&cancel);
    cleanup_free char *pid = folder_read(&f, "pid");
    /* Whoever adopts it has to reap it: dead is enough. */
    cleanup_free char *wait_for_it = text_format(
        "while kill -0 %d 2>/dev/null && ! grep -q '^State:.Z' /proc/%d/status; do :; done",
        atoi(pid), atoi(pid));
    assert_int_equal(run(host, wait_for_it).exit_code, 0);
}

static void files_are_written_as_a_whole_and_read_back(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    cleanup_free char *path = text_format("%s/a 'b/c$(x).txt", f.path);
    uint64_t left = 3 << 20, got = 0;
    struct source source = {.pull = pull_bytes, .arg = &left};
    struct sink sink = {.push = push_count, .arg = &got};
    if (host_put(host, path, 0640, &source, &task, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(folder_mode(&f, "a 'b/c$(x).txt") & 07777, 0640);
    assert_int_equal(host_get(host, path, &sink, &task, &err), 0);
    assert_int_equal(got, 3 << 20);
    cleanup_free char *missing = text_format("%s/missing", f.path);
    assert_int_equal(host_get(host, missing, &sink, &task, &err), 1);
    assert_int_equal(host_get(host, f.path, &sink, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_IO);
}

static ssize_t pull_then_fail(void *arg, void *data, size_t size, struct error *err) {
    if ((*(int *)arg)++ == 0) {
        memset(data, 'x', size);
        return (ssize_t)size;
    }
    return error_set(err, ERROR_INVALID, "the source broke");
}

static void what_could_not_be_written_leaves_the_old_file_and_nothing_else(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    cleanup(folder_remove) struct folder f = folder_make();
    struct error err = ERROR_NULL;
    struct task task = TASK_FOREVER;
    folder_write(&f, "file", "old");
    cleanup_free char *path = text_format("%s/file", f.path);
    int pulled = 0;
    struct source source = {.pull = pull_then_fail, .arg = &pulled};
    assert_int_equal(host_put(host, path, 0600, &source, &task, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    cleanup_free char *content = folder_read(&f, "file");
    assert_string_equal(content, "old");
    cleanup_free char *count = text_format("[ $(ls -A %s | wc -l) = 1 ]", f.path);
    assert_int_equal(run(host, count).exit_code, 0);
}

static void quoting_survives_the_shell(void **state) {
    (void)state;
    cleanup(host_closep) struct host *host = open_here();
    static const char *const words[] = {"", "a b", "it's", "$(touch x)", "\\", "'", "-n", "\n"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct error err = ERROR_NULL;
        struct task task = TASK_FOREVER;
        cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
        cleanup_free char *quoted = host_quote(words[i]);
        cleanup_free char *command = text_format("printf %%s %s", quoted);
        assert_int_equal(host_exec_text(host, command, 100, &task, &text, &err), 0);
        assert_string_equal(buffer_string(&text), words[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_engine_is_where_it_is_said_to_be),
        cmocka_unit_test(a_command_ends_with_its_code_its_signal_and_what_it_said),
        cmocka_unit_test(a_commands_text_is_read_as_a_whole_or_not_at_all),
        cmocka_unit_test(large_input_flows_through_and_unread_input_is_no_fault),
        cmocka_unit_test(a_cancelled_command_is_gone_with_its_children),
        cmocka_unit_test(files_are_written_as_a_whole_and_read_back),
        cmocka_unit_test(what_could_not_be_written_leaves_the_old_file_and_nothing_else),
        cmocka_unit_test(quoting_survives_the_shell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
