#include "runner/run/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

struct cancel interrupt_cancel = {.event_fd = -1};

static atomic_int first_signal;

/* The signals are blocked everywhere and taken here: no handler runs in the middle of anything. */
static void *take_signals(void *arg) {
    const sigset_t *signals = arg;
    for (;;) {
        int number, none = 0;
        if (sigwait(signals, &number) != 0)
            continue;
        atomic_compare_exchange_strong(&first_signal, &none, number);
        cancel_raise(&interrupt_cancel, cancel_level(&interrupt_cancel) + 1);
    }
    return NULL;
}

int interrupt_watch(struct error *err) {
    static sigset_t signals;
    if (cancel_init(&interrupt_cancel, err) < 0)
        return -1;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        signal(ours[i], SIG_DFL); /* a shell starts its background jobs with SIGINT ignored */
        sigaddset(&signals, ours[i]);
    }
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_t thread;
    int r = pthread_create(&thread, NULL, take_signals, &signals);
    if (r)
        return error_set_os(err, ERROR_IO, r, "start a thread for signals");
    pthread_detach(thread);
    return 0;
}

int interrupt_exit_status(void) {
    int number = atomic_load(&first_signal);
    return number ? 128 + number : 0;
}
