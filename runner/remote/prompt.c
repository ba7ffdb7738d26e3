#include "runner/remote/prompt.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* ---- the terminal ---- */

struct terminal {
    int fd;
    struct termios before;
};

static void restore(struct terminal *t) {
    (void)tcsetattr(t->fd, TCSAFLUSH, &t->before);
}

/* Neither echo nor lines nor signals: all of it is done here, so that whatever happens happens
 * after `restore`. */
static int make_silent(struct terminal *t, struct error *err) {
    if (tcgetattr(t->fd, &t->before) < 0)
        return error_set_os(err, ERROR_IO, errno, "read the terminal's state");
    struct termios silent = t->before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL | ICANON | ISIG);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    if (tcsetattr(t->fd, TCSAFLUSH, &silent) < 0)
        return error_set_os(err, ERROR_IO, errno, "silence the terminal");
    return 0;
}

static void say(const struct terminal *t, const char *text) {
    ssize_t ignored = write(t->fd, text, strlen(text));
    (void)ignored;
}

enum key {
    KEY_TEXT,
    KEY_ENTER,
    KEY_END,
    KEY_ERASE,
    KEY_KILL,
    KEY_INTERRUPT,
    KEY_QUIT,
    KEY_SUSPEND
};

static enum key key_of(const struct terminal *t, unsigned char c) {
    static const struct {
        int index;
        enum key key;
    } keys[] = {{VEOF, KEY_END},        {VERASE, KEY_ERASE}, {VKILL, KEY_KILL},
                {VINTR, KEY_INTERRUPT}, {VQUIT, KEY_QUIT},   {VSUSP, KEY_SUSPEND}};
    if (c == '\n' || c == '\r')
        return KEY_ENTER;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (t->before.c_cc[keys[i].index] != _POSIX_VDISABLE && t->before.c_cc[keys[i].index] == c)
            return keys[i].key;
    return c == 0x7f || c == '\b' ? KEY_ERASE : KEY_TEXT;
}

/* A signal that the terminal would have sent, once it is restored. */
static int send_signal(struct terminal *t, const char *question, int signal_number,
                       struct error *err) {
    say(t, "\r\n");
    restore(t);
    kill(getpid(), signal_number);
    if (signal_number != SIGTSTP)
        return error_set(err, ERROR_CANCELLED, "interrupted at the terminal");
    if (make_silent(t, err) < 0) /* continued */
        return -1;
    say(t, question);
    return 0;
}

/* 0: read on, 1: declined, 2: done. */
static int take_key(struct terminal *t, const char *question, unsigned char c, char *text,
                    size_t text_size, size_t *length, struct error *err) {
    switch (key_of(t, c)) {
    case KEY_ENTER: return 2;
    case KEY_END: return *length > 0 ? 2 : 1;
    case KEY_ERASE: *length -= *length > 0; return 0;
    case KEY_KILL: *length = 0; return 0;
    case KEY_INTERRUPT: return send_signal(t, question, SIGINT, err);
    case KEY_QUIT: return send_signal(t, question, SIGQUIT, err);
    case KEY_SUSPEND: *length = 0; return send_signal(t, question, SIGTSTP, err);
    case KEY_TEXT: break;
    }
    if (*length + 1 >= text_size)
        return error_set(err, ERROR_LIMIT, "more than %zu characters", text_size - 1);
    text[(*length)++] = (char)c;
    return 0;
}

static int read_keys(struct terminal *t, const char *question, char *text, size_t text_size,
                     const struct task *task, struct error *err) {
    size_t length = 0;
    for (;;) {
        if (task_wait(task, t->fd, POLLIN, err) < 0)
            return -1;
        unsigned char c;
        ssize_t n = read(t->fd, &c, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "read the terminal");
        int r = n == 0 ? 1 : take_key(t, question, c, text, text_size, &length, err);
        text[length] = '\0';
        if (r != 0)
            return r;
    }
}

static int ask_terminal(int fd, const char *question, char *text, size_t text_size,
                        const struct task *task, struct error *err) {
    struct terminal t = {.fd = fd};
    if (make_silent(&t, err) < 0)
        return -1;
    say(&t, question);
    int r = read_keys(&t, question, text, text_size, task, err);
    say(&t, "\r\n");
    restore(&t);
    return r == 2 ? 0 : r;
}

/* ---- the program ---- */

static int start(const char *program, const char *question, int output, pid_t *ret,
                 struct error *err) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, defaults; /* our threads block signals, and ignore SIGPIPE */
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    cleanup_free char *program_copy = text_dup(program), *question_copy = text_dup(question);
    char *arguments[] = {program_copy, question_copy, NULL};
    int r = posix_spawnp(ret, program, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r == 0 ? 0 : error_set_os(err, ERROR_REFUSED, r, "start '%s' (SSH_ASKPASS)", program);
}

/* Up to the end of the output; the answer is its first line. */
static int read_answer(int fd, char *text, size_t text_size, const struct task *task,
                       struct error *err) {
    size_t length = 0;
    for (;;) {
        if (task_wait(task, fd, POLLIN, err) < 0)
            return -1;
        ssize_t n = read(fd, text + length, text_size - 1 - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_os(err, ERROR_IO, errno, "read what SSH_ASKPASS says");
        length += (size_t)n;
        text[length] = '\0';
        if (n > 0 && length + 1 == text_size)
            return error_set(err, ERROR_LIMIT, "more than %zu characters", text_size - 1);
        if (n == 0)
            break;
    }
    text[strcspn(text, "\r\n")] = '\0';
    return 0;
}

static int ask_program(const char *question, char *text, size_t text_size, const struct task *task,
                       struct error *err) {
    const char *named = getenv("SSH_ASKPASS");
    const char *program = named && named[0] ? named : "/usr/bin/ssh-askpass";
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_set_os(err, ERROR_IO, errno, "make a pipe");
    cleanup_close int in = ends[0], out = ends[1];
    pid_t pid;
    if (start(program, question, out, &pid, err) < 0)
        return -1;
    close(take_fd(&out));
    int r = read_answer(in, text, text_size, task, err);
    if (r < 0)
        kill(pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* ---- which ---- */

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value && value[0];
}

int prompt_secret(const char *question, char *ret, size_t ret_size, const struct task *task,
                  struct error *err) {
    const char *require = getenv("SSH_ASKPASS_REQUIRE");
    bool force = require && strcasecmp(require, "force") == 0;
    bool never = require && strcasecmp(require, "never") == 0;
    bool prefer = require && strcasecmp(require, "prefer") == 0;
    bool allowed = force || (!never && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY")));
    cleanup_close int terminal =
        force || (prefer && allowed) ? -1 : open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal >= 0)
        return ask_terminal(terminal, question, ret, ret_size, task, err);
    if (allowed)
        return ask_program(question, ret, ret_size, task, err);
    return error_set(err, ERROR_REFUSED, "there is no terminal to ask for the passphrase on");
}
