#include "runner/run/interrupt.h"

#include <signal.h>
#include <stddef.h>

struct cancel interrupt_cancel = {.event_fd = -1};

static volatile sig_atomic_t first_signal;

static void on_signal(int number) {
    if (!first_signal)
        first_signal = number;
    cancel_raise(&interrupt_cancel, cancel_level(&interrupt_cancel) + 1);
}

int interrupt_watch(struct error *err) {
    if (cancel_init(&interrupt_cancel, err) < 0)
        return -1;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
    return 0;
}

int interrupt_exit_status(void) {
    return first_signal ? 128 + first_signal : 0;
}
