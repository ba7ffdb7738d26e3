#include "lib/clock.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

struct instant clock_instant(void) {
    struct timespec t;
    int r = clock_gettime(CLOCK_MONOTONIC, &t);
    assert(r == 0);
    return (struct instant){(uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec};
}

struct wall_time clock_wall(void) {
    struct timespec t;
    int r = clock_gettime(CLOCK_REALTIME, &t);
    assert(r == 0);
    return (struct wall_time){(int64_t)t.tv_sec * (int64_t)NS_PER_SEC + t.tv_nsec};
}

struct instant instant_after(struct instant t, uint64_t ns) {
    return ns > UINT64_MAX - t.ns ? INSTANT_NEVER : (struct instant){t.ns + ns};
}

bool instant_passed(struct instant deadline, struct instant now) {
    return deadline.ns <= now.ns;
}

uint64_t instant_ns_between(struct instant from, struct instant to) {
    return to.ns > from.ns ? to.ns - from.ns : 0;
}

int instant_poll_ms(struct instant deadline, struct instant now, int ms_max) {
    if (deadline.ns == UINT64_MAX)
        return ms_max;
    uint64_t ns = instant_ns_between(now, deadline);
    uint64_t ms = ns / NS_PER_MS + (ns % NS_PER_MS != 0);
    int limit = ms_max < 0 ? INT_MAX : ms_max;
    return ms > (uint64_t)limit ? limit : (int)ms;
}

struct instant instant_earlier(struct instant a, struct instant b) {
    return a.ns < b.ns ? a : b;
}

static void split(struct wall_time t, struct tm *ret_date, int *ret_ns) {
    int64_t seconds = t.ns / (int64_t)NS_PER_SEC;
    int64_t ns = t.ns % (int64_t)NS_PER_SEC;
    if (ns < 0) {
        ns += (int64_t)NS_PER_SEC;
        seconds--;
    }
    time_t s = (time_t)seconds;
    gmtime_r(&s, ret_date);
    *ret_ns = (int)ns;
}

const char *wall_text(struct wall_time t, char text[WALL_TEXT_SIZE]) {
    struct tm date;
    int ns;
    split(t, &date, &ns);
    snprintf(text, WALL_TEXT_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ",
             (date.tm_year + 1900) % 10000, date.tm_mon + 1, date.tm_mday, date.tm_hour,
             date.tm_min, date.tm_sec, ns);
    return text;
}

const char *wall_stamp(struct wall_time t, char text[WALL_TEXT_SIZE]) {
    struct tm date;
    int ns;
    split(t, &date, &ns);
    snprintf(text, WALL_TEXT_SIZE, "%04d%02d%02d-%02d%02d%02d", (date.tm_year + 1900) % 10000,
             date.tm_mon + 1, date.tm_mday, date.tm_hour, date.tm_min, date.tm_sec);
    return text;
}
