/* sim: runs schedules by their seeds. For hand and for CI; test_core.c runs some in every build. */

#include "tests/sim/pbft/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct arguments {
    uint64_t first, count, seconds;
    bool verbose, expect_violation;
};

static int usage(void) {
    fprintf(stderr, "usage: sim [--seeds N] [--first SEED] [--seconds S] [--verbose] "
                    "[--expect-violation]\n");
    return 2;
}

static bool take(struct arguments *a, const char *option, const char *value, int *ret_used) {
    *ret_used = 1;
    if (strcmp(option, "--verbose") == 0)
        a->verbose = true;
    else if (strcmp(option, "--expect-violation") == 0)
        a->expect_violation = true;
    else if (!value)
        return false;
    else {
        uint64_t number = strtoull(value, NULL, 10);
        *ret_used = 2;
        if (strcmp(option, "--seeds") == 0)
            a->count = number;
        else if (strcmp(option, "--first") == 0)
            a->first = number;
        else if (strcmp(option, "--seconds") == 0)
            a->seconds = number;
        else
            return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct arguments a = {.first = 1, .count = 100};
    for (int i = 1, used; i < argc; i += used)
        if (!take(&a, argv[i], argv[i + 1], &used))
            return usage();
    time_t until = a.seconds ? time(NULL) + (time_t)a.seconds : 0;
    uint64_t seed = a.first, events = 0, acknowledged = 0, views = 0, transfers = 0;
    for (; seed < a.first + a.count && (!until || time(NULL) < until); seed++) {
        struct sim_result result;
        sim_run(&(struct sim_options){.seed = seed, .verbose = a.verbose}, &result);
        events += result.events;
        acknowledged += result.acknowledged;
        views += result.view;
        transfers += result.transfers;
        if (result.violation[0]) {
            printf("seed %llu: %s\n", (unsigned long long)seed, result.violation);
            return a.expect_violation ? 0 : 1;
        }
    }
    printf("%llu schedules from seed %llu: %llu events, %llu requests acknowledged, %llu view "
           "changes, %llu transfers, no violation\n",
           (unsigned long long)(seed - a.first), (unsigned long long)a.first,
           (unsigned long long)events, (unsigned long long)acknowledged, (unsigned long long)views,
           (unsigned long long)transfers);
    return a.expect_violation ? 1 : 0;
}
