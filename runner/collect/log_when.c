#include "runner/collect/log_when.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/collect/log_record.h"

#include <string.h>
#include <time.h>

enum { SECONDS_MAX = 9000000000 /* 64 bits of nanoseconds */, DATE_SIZE = 10 };

static int read_seconds(const char *text, struct wall_time *ret) {
    struct error ignored = ERROR_NULL;
    uint64_t seconds;
    size_t whole = strspn(text, "0123456789");
    cleanup_free char *digits = text_format("%.*s", (int)(whole < 20 ? whole : 20), text);
    if (text_to_u64(digits, 0, (uint64_t)SECONDS_MAX, &seconds, &ignored) < 0)
        return 1;
    int64_t ns = (int64_t)(seconds * NS_PER_SEC), unit = (int64_t)NS_PER_SEC;
    const char *rest = text + whole;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++)
            if (unit > 1)
                ns += (*rest - '0') * (unit /= 10);
    if (*rest)
        return 1;
    *ret = (struct wall_time){ns};
    return 0;
}

static const char *zone_of(const char *text) {
    size_t size = strlen(text);
    if (size > DATE_SIZE && text[size - 1] == 'Z')
        return text + size - 1;
    if (size > DATE_SIZE + 6 && strchr("+-", text[size - 6]) && text[size - 3] == ':')
        return text + size - 6;
    return text + size;
}

/* As if `ns` were what a clock on the wall shows here. */
static int64_t local_ns(int64_t ns) {
    struct tm date;
    time_t seconds = (time_t)(ns / (int64_t)NS_PER_SEC);
    gmtime_r(&seconds, &date);
    date.tm_isdst = -1;
    return (int64_t)mktime(&date) * (int64_t)NS_PER_SEC + ns % (int64_t)NS_PER_SEC;
}

static int read_date(const char *text, struct wall_time *ret) {
    static const char *const rests[] = {"", ":00", ":00:00", "T00:00:00"};
    const char *zone = zone_of(text);
    for (size_t i = 0; i < sizeof rests / sizeof *rests; i++) {
        cleanup_free char *full =
            text_format("%.*s%s%s", (int)(zone - text), text, rests[i], *zone ? zone : "Z");
        int64_t ns = log_time_ns(full, strlen(full));
        if (ns <= 0)
            continue;
        *ret = (struct wall_time){*zone ? ns : local_ns(ns)};
        return 0;
    }
    return 1;
}

int log_when(const char *text, struct wall_time now, struct wall_time *ret, struct error *err) {
    struct error ignored = ERROR_NULL;
    uint64_t ago_ns;
    if (read_seconds(text, ret) == 0 || read_date(text, ret) == 0)
        return 0;
    if (text_to_duration_ns(text, &ago_ns, &ignored) == 0 && ago_ns <= (uint64_t)now.ns) {
        *ret = (struct wall_time){now.ns - (int64_t)ago_ns};
        return 0;
    }
    char shown[100];
    return error_set(err, ERROR_INVALID,
                     "'%s' is neither a time (2026-11-20T13:22:00Z), seconds since 1970, nor how "
                     "long ago (10m)",
                     text_safe(text, shown, sizeof shown));
}
