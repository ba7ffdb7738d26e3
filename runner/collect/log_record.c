#include "runner/collect/log_record.h"

#include "lib/clock.h"
#include "lib/text.h"

#include <string.h>

/* ---- times ---- */

/* `count` digits at `*at`, which moves behind them; -1 when they are not all there. */
static int64_t take_digits(const char **at, const char *end, size_t count) {
    int64_t value = 0;
    if ((size_t)(end - *at) < count)
        return -1;
    for (; count; count--, ++*at) {
        unsigned digit = (unsigned char)**at - (unsigned)'0';
        if (digit > 9)
            return -1;
        value = value * 10 + digit;
    }
    return value;
}

static bool take(const char **at, const char *end, char c) {
    if (*at == end || **at != c)
        return false;
    ++*at;
    return true;
}

/* Since 1970-01-01, of the Gregorian calendar: years begin in March, so that the odd day is the
 * last one. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719468;
}

static int64_t take_fraction(const char **at, const char *end) {
    int64_t fraction = 0, unit = (int64_t)NS_PER_SEC;
    if (!take(at, end, '.'))
        return 0;
    for (; *at < end && **at >= '0' && **at <= '9'; ++*at)
        if (unit > 1)
            fraction += (**at - '0') * (unit /= 10);
    return fraction;
}

/* "Z", "+02:00": seconds east of Greenwich, to the end; false when it is neither. */
static bool take_zone(const char **at, const char *end, int64_t *ret_s) {
    *ret_s = 0;
    if (take(at, end, 'Z'))
        return *at == end;
    int64_t sign = take(at, end, '-') ? -1 : 1;
    if (sign > 0 && !take(at, end, '+'))
        return false;
    int64_t hours = take_digits(at, end, 2);
    if (hours < 0 || !take(at, end, ':'))
        return false;
    int64_t minutes = take_digits(at, end, 2);
    *ret_s = sign * (hours * 60 + minutes) * 60;
    return minutes >= 0 && *at == end;
}

int64_t log_time_ns(const char *text, size_t size) {
    static const char separators[] = "--T::";
    static const size_t digits[] = {4, 2, 2, 2, 2, 2};
    const char *at = text, *end = text + size;
    int64_t part[6], zone_s;
    for (size_t i = 0; i < 6; i++)
        if ((i > 0 && !take(&at, end, separators[i - 1])) ||
            (part[i] = take_digits(&at, end, digits[i])) < 0)
            return 0;
    if (part[0] < 1970 || part[0] > 2261 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > 31)
        return 0; /* what 64 bits of nanoseconds hold */
    int64_t fraction = take_fraction(&at, end);
    if (!take_zone(&at, end, &zone_s))
        return 0;
    int64_t s = days_of(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 +
                part[5] - zone_s;
    return s < 0 ? 0 : s * (int64_t)NS_PER_SEC + fraction;
}

/* ---- records ---- */

static const struct {
    const char *name;
    size_t size;
    enum log_kind kind;
    bool partial;
} streams[] = {
    {" stdout ", 8, LOG_STDOUT, false}, {" stderr ", 8, LOG_STDERR, false},
    {" stdout+ ", 9, LOG_STDOUT, true}, {" stderr+ ", 9, LOG_STDERR, true},
    {" gap ", 5, LOG_GAP, false},
};

void log_record_parse(const char *line, size_t size, struct log_record *ret) {
    *ret = (struct log_record){.time = line, .text = line, .size = size};
    const char *space = memchr(line, ' ', size <= LOG_TIME_MAX ? size : LOG_TIME_MAX + 1);
    if (!space)
        return;
    size_t time_size = (size_t)(space - line), rest = size - time_size;
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
        if (rest < streams[i].size || memcmp(space, streams[i].name, streams[i].size) != 0)
            continue;
        int64_t ns = log_time_ns(line, time_size);
        if (ns > 0)
            *ret = (struct log_record){.kind = streams[i].kind,
                                       .partial = streams[i].partial,
                                       .time = line,
                                       .time_size = time_size,
                                       .ns = ns,
                                       .text = space + streams[i].size,
                                       .size = rest - streams[i].size};
        return;
    }
}

int log_record_of_line(const struct engine_log_line *line, struct log_record *ret,
                       struct error *err) {
    size_t time_size = strlen(line->timestamp);
    int64_t ns = time_size <= LOG_TIME_MAX ? log_time_ns(line->timestamp, time_size) : 0;
    if (ns == 0) {
        char shown[2 * LOG_TIME_MAX];
        return error_set(err, ERROR_INVALID, "the engine says '%s' where a line's time belongs",
                         text_safe(line->timestamp, shown, sizeof shown));
    }
    *ret = (struct log_record){.kind = line->stream == ENGINE_STDERR ? LOG_STDERR : LOG_STDOUT,
                               .partial = line->partial,
                               .time = line->timestamp,
                               .time_size = time_size,
                               .ns = ns,
                               .text = line->data,
                               .size = line->size};
    return 0;
}

static const char *stream_text(const struct log_record *r, size_t *ret_size) {
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (streams[i].kind == r->kind && streams[i].partial == r->partial) {
            *ret_size = streams[i].size;
            return streams[i].name;
        }
    *ret_size = 0;
    return "";
}

void log_record_append(struct buffer *out, const struct log_record *r) {
    size_t stream_size;
    const char *stream = stream_text(r, &stream_size);
    char *room = buffer_reserve(out, r->time_size + stream_size + r->size + 1);
    if (!room)
        return;
    memcpy(room, r->time, r->time_size);
    memcpy(room + r->time_size, stream, stream_size);
    if (r->size)
        memcpy(room + r->time_size + stream_size, r->text, r->size);
    size_t size = r->time_size + stream_size + r->size;
    room[size] = '\n';
    buffer_commit(out, size + 1);
}

/* Eight bytes at a time, each mixed in by a multiplication; for equality of what is meant to be
 * different, not against somebody who wants two lines to look alike. */
static uint64_t mix(uint64_t hash, const char *data, size_t size) {
    const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ size) * factor;
    for (; size; data += 8) {
        uint64_t word = 0;
        size_t n = size < 8 ? size : 8;
        memcpy(&word, data, n);
        hash = (hash ^ word) * factor;
        hash ^= hash >> 29;
        size -= n;
    }
    return hash;
}

uint64_t log_record_hash(const struct log_record *r) {
    uint64_t hash = mix((uint64_t)r->kind * 2 + r->partial, r->time, r->time_size);
    return mix(hash, r->text, r->size);
}

bool log_record_repeats(struct log_previous *previous, const struct log_record *record) {
    struct log_previous this = {.hash = log_record_hash(record), .ns = record->ns};
    bool same = record->ns != 0 && !record->partial && this.ns == previous->ns &&
                this.hash == previous->hash;
    *previous = this;
    return same;
}

/* ---- gaps ---- */

static const char *const reasons[LOG_GAP_REASON_COUNT] = {
#define X(reason, name) [LOG_GAP_##reason] = name,
    LOG_GAP_REASONS(X)
#undef X
};

const char *log_gap_reason_name(enum log_gap_reason reason) {
    return reasons[reason];
}

bool log_gap_read(const struct log_record *record, struct log_gap *ret) {
    static const char since[] = "since ", perhaps[] = ", perhaps";
    if (record->kind != LOG_GAP || record->size >= 128)
        return false;
    char text[128];
    memcpy(text, record->text, record->size);
    text[record->size] = '\0';
    char *colon = strstr(text, ": ");
    if (!text_starts(text, since) || !colon)
        return false;
    struct log_gap gap = {.to_ns = record->ns, .perhaps = text_ends(text, perhaps)};
    gap.from_ns = log_time_ns(text + strlen(since), (size_t)(colon - text) - strlen(since));
    if (gap.perhaps)
        text[record->size - strlen(perhaps)] = '\0';
    for (int i = 0; i < LOG_GAP_REASON_COUNT; i++)
        if (text_equal(colon + 2, reasons[i])) {
            gap.reason = (enum log_gap_reason)i;
            *ret = gap;
            return gap.from_ns > 0;
        }
    return false;
}

void log_gap_append(struct buffer *out, const struct log_gap *gap) {
    char from[WALL_TEXT_SIZE], to[WALL_TEXT_SIZE];
    wall_text((struct wall_time){gap->from_ns}, from);
    wall_text((struct wall_time){gap->to_ns}, to);
    buffer_format(out, "%s gap since %s: %s%s\n", to, from, reasons[gap->reason],
                  gap->perhaps ? ", perhaps" : "");
}
