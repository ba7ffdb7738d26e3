/*
 * A container of tests/bench/logs: once FILE is there, LINES numbered lines a second for SECONDS,
 * in twenty bursts each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    long burst = atol(argv[2]) / 20, bursts = atol(argv[3]) * 20;
    const struct timespec poll = {.tv_nsec = 10000000};
    struct timespec next;
    while (access(argv[1], F_OK) != 0)
        nanosleep(&poll, NULL);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long b = 0; b < bursts; b++) {
        for (long i = 0; i < burst; i++)
            printf("%ld a line as replicas write them, of about a hundred bytes with its time in "
                   "front\n",
                   b * burst + i + 1);
        fflush(stdout);
        next.tv_nsec += 50000000;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    return 0;
}
