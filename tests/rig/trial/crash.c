/*
 * A program that faults, for the collection of core dumps: `crash` at once, `crash child` in a
 * process of its own while the first goes on, `crash sorting` called back by the C library. As
 * process 1 of a container only a real fault ends it: a signal that is sent would be ignored.
 */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t barrier;

static void *rest(void *arg) {
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return arg;
}

static __attribute__((noinline)) void give_up(int witness) {
    printf("about to fault, %d\n", witness);
    fflush(stdout);
    __builtin_trap();
}

static int compare(const void *a, const void *b) {
    give_up(42);
    return *(const char *)a - *(const char *)b;
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    char letters[] = "ba";
    pthread_t other;
    if (strcmp(how, "child") == 0) {
        if (fork() == 0)
            give_up(7);
        wait(NULL);
        return 0;
    }
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&other, NULL, rest, NULL);
    pthread_barrier_wait(&barrier);
    if (strcmp(how, "sorting") == 0)
        qsort(letters, 2, 1, compare);
    give_up(1);
}
