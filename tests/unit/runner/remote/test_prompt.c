/* Asking on a terminal: a child with a terminal of its own asks, the test types. */

#include "lib/cleanup.h"
#include "runner/remote/passphrase.h"
#include "runner/remote/prompt.h"

#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

/* Of the child: how asking ended is its exit status. */
enum { ENDED_DECLINED = 40, ENDED_CANCELLED, ENDED_TIMEOUT, ENDED_OTHER };

struct child {
    pid_t pid;
    int terminal;
    char shown[4096]; /* what the terminal has shown so far */
    size_t shown_size;
};

static struct cancel cancel;

static void take_signal(int number) {
    (void)number;
    cancel_raise(&cancel, 1);
}

static bool echoes(void) {
    struct termios state;
    return tcgetattr(STDIN_FILENO, &state) == 0 && (state.c_lflag & ECHO) &&
           (state.c_lflag & ISIG) && (state.c_lflag & ICANON);
}

static void ask_as_child(uint64_t within_ns) {
    struct error err = ERROR_NULL;
    char answer[64];
    unsetenv("SSH_ASKPASS_REQUIRE");
    if (cancel_init(&cancel, &err) < 0 || signal(SIGTERM, take_signal) == SIG_ERR || !echoes())
        _exit(1);
    struct task task = {.cancel = &cancel, .deadline = INSTANT_NEVER};
    if (within_ns)
        task = task_within(&task, within_ns);
    int r = prompt_secret("Secret: ", answer, sizeof answer, &task, &err);
    if (!echoes())
        _exit(2); /* the terminal was not restored */
    if (r == 0)
        printf("<%s>\n", answer);
    fflush(stdout);
    cancel_deinit(&cancel);
    _exit(r == 0                        ? 0
          : r == 1                      ? ENDED_DECLINED
          : err.kind == ERROR_CANCELLED ? ENDED_CANCELLED
          : err.kind == ERROR_TIMEOUT   ? ENDED_TIMEOUT
                                        : ENDED_OTHER);
}

/* As a shell's job, since what no shell waits for is not stopped. The shell continues it at once.
 */
static void ask_as_job(void) {
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(STDIN_FILENO, getpid());
        signal(SIGTTOU, SIG_DFL);
        ask_as_child(0);
    }
    int status;
    if (job < 0 || waitpid(job, &status, WUNTRACED) != job || !WIFSTOPPED(status) ||
        WSTOPSIG(status) != SIGTSTP || !echoes())
        _exit(3);
    printf("stopped\n");
    fflush(stdout);
    kill(job, SIGCONT);
    waitpid(job, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
}

/* Until the terminal shows it; a test that waits in vain is ended by ctest. */
static void wait_for(struct child *child, const char *text) {
    while (!strstr(child->shown, text)) {
        ssize_t n = read(child->terminal, child->shown + child->shown_size,
                         sizeof child->shown - 1 - child->shown_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            fail_msg("'%s' was never shown, but '%s'", text, child->shown);
        child->shown_size += (size_t)n;
        child->shown[child->shown_size] = '\0';
    }
}

enum { AS_JOB = 1 }; /* instead of a time */

static void start(struct child *child, uint64_t within_ns) {
    *child = (struct child){.pid = 0};
    child->pid = forkpty(&child->terminal, NULL, NULL, NULL);
    assert_true(child->pid >= 0);
    if (child->pid == 0 && within_ns == AS_JOB)
        ask_as_job();
    if (child->pid == 0)
        ask_as_child(within_ns);
    wait_for(child, "Secret: ");
}

static void type(const struct child *child, const char *text) {
    assert_int_equal(write(child->terminal, text, strlen(text)), strlen(text));
}

static int finish(struct child *child) {
    int status;
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    close(child->terminal);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void what_is_typed_is_read_and_not_shown(void **state) {
    (void)state;
    struct child child;
    start(&child, 0);
    type(&child, "open sesame\n");
    wait_for(&child, "<open sesame>");
    assert_int_equal(strstr(child.shown, "sesame") - strstr(child.shown, "<open"), 6);
    assert_int_equal(finish(&child), 0);
}

static void erase_and_kill_do_what_they_always_do(void **state) {
    (void)state;
    struct child child;
    start(&child, 0);
    type(&child, "wrong\025righx\177t\n");
    wait_for(&child, "<right>");
    assert_int_equal(finish(&child), 0);
}

static void the_end_of_input_declines(void **state) {
    (void)state;
    struct child child;
    start(&child, 0);
    type(&child, "\004");
    assert_int_equal(finish(&child), ENDED_DECLINED);
}

static void ctrl_c_restores_the_terminal_and_then_interrupts(void **state) {
    (void)state;
    struct child child;
    start(&child, 0);
    type(&child, "half\003");
    assert_int_equal(finish(&child), -SIGINT);
}

static void a_signal_that_ends_the_task_restores_the_terminal(void **state) {
    (void)state;
    struct child child;
    start(&child, 0);
    kill(child.pid, SIGTERM);
    assert_int_equal(finish(&child), ENDED_CANCELLED);
}

static void the_deadline_restores_the_terminal(void **state) {
    (void)state;
    struct child child;
    start(&child, 50 * NS_PER_MS);
    assert_int_equal(finish(&child), ENDED_TIMEOUT);
}

static void ctrl_z_stops_and_the_question_comes_again(void **state) {
    (void)state;
    struct child child;
    start(&child, AS_JOB);
    type(&child, "lost\032");
    wait_for(&child, "stopped\r\nSecret: ");
    type(&child, "kept\n");
    wait_for(&child, "<kept>");
    assert_int_equal(finish(&child), 0);
}

static void too_long_an_answer_is_refused(void **state) {
    (void)state;
    struct child child;
    char many[101];
    memset(many, 'x', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    start(&child, 0);
    type(&child, many);
    assert_int_equal(finish(&child), ENDED_OTHER);
}

/* ---- what is remembered ---- */

struct door {
    const char *right;
    int tried;
};

static int try_door(void *context, const char *passphrase, struct error *err) {
    (void)err;
    struct door *door = context;
    door->tried++;
    return strcmp(passphrase, door->right) != 0;
}

static void a_passphrase_is_asked_for_once_in_a_process(void **state) {
    (void)state;
    char script[] = "/tmp/test_prompt.XXXXXX";
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    assert_int_equal(dprintf(fd, "#!/bin/sh\nrm -f \"$0\"\necho right\n") > 0, 1);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    setenv("SSH_ASKPASS", script, 1);
    setenv("SSH_ASKPASS_REQUIRE", "force", 1);
    struct error err = ERROR_NULL;
    for (int host = 0; host < 3; host++) { /* the program is gone after the first */
        struct door door = {.right = "right"};
        assert_int_equal(passphrase_open("key", &TASK_FOREVER, try_door, &door, &err), 0);
        assert_int_equal(door.tried, 1);
    }
    struct door other = {.right = "right"};
    assert_int_equal(passphrase_open("other", &TASK_FOREVER, try_door, &other, &err), -1);
    assert_int_equal(err.kind, ERROR_REFUSED);
    passphrase_forget();
    struct door forgotten = {.right = "right"};
    assert_int_equal(passphrase_open("key", &TASK_FOREVER, try_door, &forgotten, &err), -1);
    assert_int_equal(forgotten.tried, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_typed_is_read_and_not_shown),
        cmocka_unit_test(erase_and_kill_do_what_they_always_do),
        cmocka_unit_test(the_end_of_input_declines),
        cmocka_unit_test(ctrl_c_restores_the_terminal_and_then_interrupts),
        cmocka_unit_test(a_signal_that_ends_the_task_restores_the_terminal),
        cmocka_unit_test(the_deadline_restores_the_terminal),
        cmocka_unit_test(ctrl_z_stops_and_the_question_comes_again),
        cmocka_unit_test(too_long_an_answer_is_refused),
        cmocka_unit_test(a_passphrase_is_asked_for_once_in_a_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
