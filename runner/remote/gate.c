#include "runner/remote/gate.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct gate {
    struct gate *next;
    char *key;
    int free_fd; /* a semaphore: readable while there is room */
    unsigned users;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct gate *gates;

static struct gate *hold(const char *key, struct error *err) {
    struct gate *gate = gates;
    while (gate && !text_equal(gate->key, key))
        gate = gate->next;
    if (!gate) {
        int fd = eventfd(GATE_AT_ONCE, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            error_set_os(err, ERROR_IO, errno, "create eventfd");
            return NULL;
        }
        gate = mem_new(struct gate);
        *gate = (struct gate){.next = gates, .key = text_dup(key), .free_fd = fd};
        gates = gate;
    }
    gate->users++;
    return gate;
}

static void let_go(struct gate *gate) {
    if (--gate->users > 0)
        return;
    struct gate **at = &gates;
    while (*at != gate)
        at = &(*at)->next;
    *at = gate->next;
    close(gate->free_fd);
    free(gate->key);
    free(gate);
}

int gate_enter(const char *address, uint16_t port, const struct task *task, struct gate **ret,
               struct error *err) {
    cleanup_free char *key = text_format("%s:%u", address, port);
    pthread_mutex_lock(&lock);
    struct gate *gate = hold(key, err);
    pthread_mutex_unlock(&lock);
    if (!gate)
        return -1;
    uint64_t one;
    while (read(gate->free_fd, &one, sizeof one) < 0)
        if (task_wait(task, gate->free_fd, POLLIN, err) < 0) {
            pthread_mutex_lock(&lock);
            let_go(gate);
            pthread_mutex_unlock(&lock);
            return error_wrap(err, "wait for a turn to connect to %s", key);
        }
    *ret = gate;
    return 0;
}

void gate_leave(struct gate *gate) {
    uint64_t one = 1;
    ssize_t n = write(gate->free_fd, &one, sizeof one);
    (void)n; /* cannot be full */
    pthread_mutex_lock(&lock);
    let_go(gate);
    pthread_mutex_unlock(&lock);
}
