#include "runner/collect/log_mark.h"

#include "lib/clock.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* "Z", "+02:00": seconds east of Greenwich; -1 as outcome when it is neither. */
static int parse_zone(const char *text, int64_t *ret_s) {
    int hours, minutes, size = 0;
    *ret_s = 0;
    if (text[0] == 'Z')
        return text[1] ? -1 : 0;
    if ((text[0] != '+' && text[0] != '-') ||
        sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &size) != 2 || text[1 + size])
        return -1;
    *ret_s = (int64_t)(hours * 60 + minutes) * 60 * (text[0] == '-' ? -1 : 1);
    return 0;
}

int64_t log_timestamp_ns(const char *text) {
    struct tm date = {.tm_isdst = 0};
    int size = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &date.tm_year, &date.tm_mon, &date.tm_mday,
               &date.tm_hour, &date.tm_min, &date.tm_sec, &size) != 6 ||
        date.tm_year < 1970)
        return 0;
    date.tm_year -= 1900;
    date.tm_mon -= 1;
    const char *rest = text + size;
    int64_t fraction = 0, unit = (int64_t)NS_PER_SEC, zone_s;
    if (*rest == '.')
        for (rest++; isdigit((unsigned char)*rest) && unit > 1; rest++)
            fraction += (*rest - '0') * (unit /= 10);
    if (parse_zone(rest, &zone_s) < 0)
        return 0;
    return (timegm(&date) - zone_s) * (int64_t)NS_PER_SEC + fraction;
}

bool log_mark_take(struct log_mark *mark, const char *timestamp) {
    int64_t ns = log_timestamp_ns(timestamp);
    if (mark->again && ns < mark->ns)
        return false;
    if (mark->again && ns == mark->ns && mark->repeated < mark->count) {
        mark->repeated++;
        return false;
    }
    bool same = ns == mark->ns;
    *mark = (struct log_mark){.ns = ns, .count = same ? mark->count + 1 : 1};
    return true;
}

void log_marks_again(struct log_mark marks[2]) {
    for (size_t i = 0; i < 2; i++) {
        marks[i].again = marks[i].count != 0;
        marks[i].repeated = 0;
    }
}

int64_t log_marks_since(const struct log_mark marks[2], uint64_t overlap_ns) {
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < 2; i++)
        if (marks[i].count && marks[i].ns < first)
            first = marks[i].ns;
    return first != INT64_MAX && first > (int64_t)overlap_ns ? first - (int64_t)overlap_ns : 0;
}
