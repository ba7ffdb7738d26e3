/* Agents that stall, cut, lie and flood. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "runner/remote/agent.h"
#include "runner/remote/ssh_bytes.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Answers one question by fixed bytes, then closes, or holds the connection until told. */
struct agent {
    char folder[32], path[64];
    int listener;
    pthread_t thread;
    const void *answer;
    size_t answer_size;
    bool stall;
};

static void *serve(void *context) {
    const struct agent *agent = context;
    cleanup_close int fd = accept(agent->listener, NULL, NULL);
    char question[4096];
    if (fd < 0 || recv(fd, question, 5, MSG_WAITALL) != 5)
        return NULL;
    if (agent->answer_size)
        (void)send(fd, agent->answer, agent->answer_size, MSG_NOSIGNAL);
    while (agent->stall && recv(fd, question, sizeof question, 0) > 0)
        ;
    return NULL;
}

static void agent_start(struct agent *agent, const void *answer, size_t size, bool stall) {
    *agent = (struct agent){.answer = answer, .answer_size = size, .stall = stall};
    strcpy(agent->folder, "/tmp/test_agent.XXXXXX");
    assert_non_null(mkdtemp(agent->folder));
    snprintf(agent->path, sizeof agent->path, "%s/socket", agent->folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, agent->path);
    agent->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(agent->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(agent->listener, 1), 0);
    assert_int_equal(pthread_create(&agent->thread, NULL, serve, agent), 0);
}

static void agent_stop(struct agent *agent) {
    pthread_join(agent->thread, NULL);
    close(agent->listener);
    unlink(agent->path);
    rmdir(agent->folder);
}

static enum error_kind list_fails(const void *answer, size_t size, bool stall) {
    struct agent agent;
    struct error err = ERROR_NULL;
    struct agent_keys keys = AGENT_KEYS_NULL;
    struct task task = task_within(&TASK_FOREVER, stall ? 50 * NS_PER_MS : 60 * NS_PER_SEC);
    agent_start(&agent, answer, size, stall);
    assert_int_equal(agent_list(agent.path, &task, &keys, &err), -1);
    agent_stop(&agent);
    return err.kind;
}

static void an_agent_that_says_nothing_is_left_in_time(void **state) {
    (void)state;
    assert_int_equal(list_fails("", 0, true), ERROR_TIMEOUT);
    assert_int_equal(list_fails("\0\0\0\11\14", 5, true), ERROR_TIMEOUT);
}

static void an_answer_that_is_cut_is_an_error(void **state) {
    (void)state;
    assert_int_equal(list_fails("", 0, false), ERROR_UNREACHABLE);
    assert_int_equal(list_fails("\0\0", 2, false), ERROR_UNREACHABLE);
    assert_int_equal(list_fails("\0\0\0\11\14\0\0", 7, false), ERROR_UNREACHABLE);
}

static void an_answer_that_is_no_answer_is_an_error(void **state) {
    (void)state;
    assert_int_equal(list_fails("\0\0\0\0", 4, false), ERROR_INVALID);
    assert_int_equal(list_fails("\377\377\377\377", 4, false), ERROR_INVALID);
    assert_int_equal(list_fails("\0\0\0\1\16", 5, false), ERROR_INVALID);
    assert_int_equal(list_fails("\0\0\0\1\5", 5, false), ERROR_REFUSED);
    assert_int_equal(list_fails("\0\0\0\5\14\377\377\377\377", 9, false), ERROR_LIMIT);
    assert_int_equal(list_fails("\0\0\0\5\14\0\0\0\1", 9, false), ERROR_INVALID);
    assert_int_equal(list_fails("\0\0\0\6\14\0\0\0\0x", 10, false), ERROR_INVALID);
}

static void an_agent_without_keys_is_no_error(void **state) {
    (void)state;
    struct agent agent;
    struct error err = ERROR_NULL;
    struct agent_keys keys = AGENT_KEYS_NULL;
    agent_start(&agent, "\0\0\0\5\14\0\0\0\0", 9, false);
    assert_int_equal(agent_list(agent.path, &TASK_FOREVER, &keys, &err), 0);
    assert_int_equal(keys.count, 0);
    agent_keys_deinit(&keys);
    agent_stop(&agent);
}

static void make_signature(struct buffer *answer, const char *algorithm) {
    cleanup(buffer_deinit) struct buffer signature;
    buffer_init(&signature, 256);
    buffer_init(answer, 256);
    ssh_put_text(&signature, algorithm);
    ssh_put_text(&signature, "signature");
    buffer_append(answer, "\16", 1);
    ssh_put_string(answer, signature.data, signature.size);
}

/* An old agent that leaves the flag out of account signs by SHA-1. */
static void a_signature_by_another_algorithm_is_refused(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer answer, ret;
    struct error err = ERROR_NULL;
    buffer_init(&ret, 256);
    make_signature(&answer, "ssh-rsa");
    assert_int_equal(agent_read_signature(answer.data, answer.size, "rsa-sha2-512", &ret, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_int_equal(agent_read_signature(answer.data, answer.size, "ssh-rsa", &ret, &err), 0);
}

static void comments_of_keys_are_harmless(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer answer;
    cleanup(agent_keys_deinit) struct agent_keys keys = AGENT_KEYS_NULL;
    struct error err = ERROR_NULL;
    buffer_init(&answer, 256);
    buffer_append(&answer, "\14", 1);
    ssh_put_u32(&answer, 1);
    ssh_put_text(&answer, "blob");
    ssh_put_text(&answer, "\033]0;title\007");
    assert_int_equal(agent_read_list(answer.data, answer.size, &keys, &err), 0);
    assert_string_equal(keys.keys[0].comment, "\\x1b]0;title\\x07");
}

static void no_agent_there_is_said(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct agent_keys keys = AGENT_KEYS_NULL;
    char deep[300];
    memset(deep, 'x', sizeof deep);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(agent_list("/nowhere", &TASK_FOREVER, &keys, &err), -1);
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_int_equal(agent_list(deep, &TASK_FOREVER, &keys, &err), -1);
    assert_int_equal(err.kind, ERROR_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_that_says_nothing_is_left_in_time),
        cmocka_unit_test(an_answer_that_is_cut_is_an_error),
        cmocka_unit_test(an_answer_that_is_no_answer_is_an_error),
        cmocka_unit_test(an_agent_without_keys_is_no_error),
        cmocka_unit_test(a_signature_by_another_algorithm_is_refused),
        cmocka_unit_test(comments_of_keys_are_harmless),
        cmocka_unit_test(no_agent_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
