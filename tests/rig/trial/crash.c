/* A program that faults, for the collection of core dumps. Linked statically: its image has nothing
 * else. */

#include <stdio.h>

int main(void) {
    puts("about to fault");
    fflush(stdout);
    /* As process 1 of a container only a real fault ends us: a signal that is sent would be
     * ignored. */
    __builtin_trap();
}
