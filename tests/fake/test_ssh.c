/* What is not an sshd, or not a sane one: nothing it does hangs us, and each is called by its name.
 */

#include "lib/cleanup.h"
#include "lib/task.h"
#include "lib/text.h"
#include "runner/remote/host.h"
#include "tests/unit/folder.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* A listener on loopback: to each who comes it says `says` so many times, then hangs up or stalls.
 */
struct peer {
    const char *says;
    size_t size;
    bool endlessly, stalls;
    struct cancel *cancel; /* raised once somebody is there; or NULL */
    int listen_fd;
    uint16_t port;
    unsigned visits;
    pthread_t thread;
};

static void serve_one(const struct peer *p, int fd) {
    char sink[4096];
    if (p->cancel)
        cancel_raise(p->cancel, 1);
    do {
        if (send(fd, p->says, p->size, MSG_NOSIGNAL) < 0)
            break;
    } while (p->endlessly);
    if (!p->stalls)
        shutdown(fd, SHUT_WR);
    while (recv(fd, sink, sizeof sink, 0) > 0) {
    }
    close(fd);
}

static void *peer_main(void *arg) {
    struct peer *p = arg;
    for (;;) {
        int fd = accept(p->listen_fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        p->visits++;
        serve_one(p, fd);
    }
}

static void peer_start(struct peer *p) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    p->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listen_fd, (struct sockaddr *)&a, size), 0);
    assert_int_equal(listen(p->listen_fd, 16), 0);
    assert_int_equal(getsockname(p->listen_fd, (struct sockaddr *)&a, &size), 0);
    p->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void peer_stop(struct peer *p) {
    shutdown(p->listen_fd, SHUT_RDWR);
    pthread_join(p->thread, NULL);
    close(p->listen_fd);
}

/* How opening a host there fails. */
static struct error open_fails(struct peer *p, uint64_t timeout_ns) {
    cleanup(folder_remove) struct folder f = folder_make();
    folder_write(&f, "config",
                 "UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n"
                 "IdentityFile none\nIdentityAgent none\n");
    cleanup_free char *config = text_format("%s/config", f.path);
    peer_start(p);
    cleanup_free char *destination = text_format("somebody@127.0.0.1:%u", p->port);
    struct host_options options = {.name = "fake",
                                   .ssh = destination,
                                   .config_file = config,
                                   .connect_timeout_ns = timeout_ns};
    struct task task = {.cancel = p->cancel, .deadline = INSTANT_NEVER};
    struct error err = ERROR_NULL;
    struct host *host = NULL;
    assert_int_equal(host_open(&options, &task, &host, &err), -1);
    peer_stop(p);
    assert_true(text_starts(err.text, "host 'fake': "));
    return err;
}

#define SAYS(text) .says = (text), .size = sizeof(text) - 1

static void a_banner_of_binary_is_refused(void **state) {
    (void)state;
    struct peer p = {SAYS("\0\1\2\3 no ssh\r\n"), .stalls = true};
    struct error err = open_fails(&p, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void text_without_end_before_the_version_is_refused(void **state) {
    (void)state;
    struct peer lines = {SAYS("welcome, welcome, welcome\r\n"), .endlessly = true};
    struct error err = open_fails(&lines, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_INVALID);
    assert_non_null(strstr(err.text, "no SSH version within the first 16 KiB"));
    struct peer line = {SAYS("welcome, welcome, welcome, "), .endlessly = true};
    err = open_fails(&line, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void who_hangs_up_before_its_version_is_asked_again_and_quoted(void **state) {
    (void)state;
    struct peer p = {SAYS("Exceeded MaxStartups\r\n")};
    struct error err = open_fails(&p, 2 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_non_null(strstr(
        err.text, "sshd closed the connection before its banner, saying 'Exceeded MaxStartups'"));
    assert_non_null(strstr(err.hint, "MaxStartups"));
    assert_true(p.visits > 1);
}

static void who_hangs_up_after_its_version_is_unreachable(void **state) {
    (void)state;
    struct peer p = {SAYS("SSH-2.0-fake\r\n")};
    struct error err = open_fails(&p, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_UNREACHABLE);
    assert_non_null(strstr(err.text, "exchange keys: the other side closed the connection"));
    assert_int_equal(p.visits, 1);
}

static void a_packet_of_impossible_length_is_refused(void **state) {
    (void)state;
    struct peer p = {SAYS("SSH-2.0-fake\r\n\x7f\xff\xff\xff\x08garbage garbage garbage"),
                     .stalls = true};
    struct error err = open_fails(&p, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_INVALID);
}

/* KEXINIT that offers an algorithm of each kind that nobody has. */
static void who_has_no_algorithm_in_common_is_refused(void **state) {
    (void)state;
    unsigned char packet[256], *at = packet + 5;
    *at++ = 20; /* SSH_MSG_KEXINIT, and a cookie */
    memset(at, 7, 16);
    at += 16;
    for (int i = 0; i < 10; i++) {
        static const unsigned char name[] = {0, 0, 0, 4, 'n', 'o', 'n', 'o'};
        memcpy(at, name, sizeof name);
        at += sizeof name;
    }
    memset(at, 0, 64);
    at += 5; /* no guess, reserved */
    size_t size = (size_t)(at - packet), padding = 8 - size % 8 + 8;
    size += padding;
    packet[0] = packet[1] = packet[2] = 0;
    packet[3] = (unsigned char)(size - 4);
    packet[4] = (unsigned char)padding;
    char says[300] = "SSH-2.0-fake\r\n";
    memcpy(says + 14, packet, size);
    struct peer p = {.says = says, .size = 14 + size, .stalls = true};
    struct error err = open_fails(&p, 20 * NS_PER_SEC);
    assert_int_equal(err.kind, ERROR_REFUSED);
    assert_non_null(strstr(err.text, "exchange keys: no algorithm in common"));
}

static void who_says_nothing_times_out(void **state) {
    (void)state;
    struct peer mute = {SAYS(""), .stalls = true};
    struct error err = open_fails(&mute, 200 * NS_PER_MS);
    assert_int_equal(err.kind, ERROR_TIMEOUT);
    assert_non_null(strstr(err.hint, "does not speak SSH"));
    struct peer half = {SAYS("SSH-2.0-fake\r\n"), .stalls = true};
    err = open_fails(&half, 200 * NS_PER_MS);
    assert_int_equal(err.kind, ERROR_TIMEOUT);
}

static void a_stalled_peer_does_not_hinder_cancelling(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct cancel cancel;
    assert_int_equal(cancel_init(&cancel, &err), 0);
    struct peer p = {SAYS("SSH-2.0-fake\r\n"), .stalls = true, .cancel = &cancel};
    err = open_fails(&p, 100 * NS_PER_SEC);
    cancel_deinit(&cancel);
    assert_int_equal(err.kind, ERROR_CANCELLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_banner_of_binary_is_refused),
        cmocka_unit_test(text_without_end_before_the_version_is_refused),
        cmocka_unit_test(who_hangs_up_before_its_version_is_asked_again_and_quoted),
        cmocka_unit_test(who_hangs_up_after_its_version_is_unreachable),
        cmocka_unit_test(a_packet_of_impossible_length_is_refused),
        cmocka_unit_test(who_has_no_algorithm_in_common_is_refused),
        cmocka_unit_test(who_says_nothing_times_out),
        cmocka_unit_test(a_stalled_peer_does_not_hinder_cancelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
