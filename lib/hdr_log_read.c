#include "lib/hdr_log.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/hdr_encoding.h"
#include "lib/text.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

enum { PULL_SIZE = 64 * 1024 };

/* Stamps of more than a year before the start are no points of time but distances from it. */
#define YEAR_NS (INT64_C(365) * 24 * 3600 * (int64_t)NS_PER_SEC)

void hdr_log_reader_init(struct hdr_log_reader *r, const char *name, struct source source) {
    *r = (struct hdr_log_reader){.name = name, .source = source};
    buffer_init(&r->in, HDR_LOG_LINE_SIZE_MAX + PULL_SIZE);
    buffer_init(&r->encoded, HDR_LOG_LINE_SIZE_MAX);
}

void hdr_log_reader_deinit(struct hdr_log_reader *r) {
    buffer_deinit(&r->in);
    buffer_deinit(&r->encoded);
}

static int wrap(const struct hdr_log_reader *r, struct error *err) {
    return error_wrap(err, "'%s', line %" PRIu64, r->name, r->line);
}

static int pull_more(struct hdr_log_reader *r, struct error *err) {
    void *room = buffer_reserve(&r->in, PULL_SIZE);
    assert(room); /* a line is never longer than its maximum before it is refused */
    ssize_t n = r->source.pull(r->source.arg, room, PULL_SIZE, err);
    if (n < 0)
        return -1;
    buffer_commit(&r->in, (size_t)n);
    r->ended = n == 0;
    return 0;
}

/* The next line is at the front of `in`, as a string without its end. 1: there is none. */
static int next_line(struct hdr_log_reader *r, bool *ret_whole, struct error *err) {
    buffer_consume(&r->in, r->line_size);
    r->line_size = 0;
    r->line++;
    size_t searched = 0;
    char *end = NULL;
    for (;;) {
        if (r->in.size > searched)
            end = memchr(r->in.data + searched, '\n', r->in.size - searched);
        searched = r->in.size;
        if (end || r->ended)
            break;
        if (searched >= HDR_LOG_LINE_SIZE_MAX)
            return error_set(err, ERROR_LIMIT, "longer than %d bytes", HDR_LOG_LINE_SIZE_MAX);
        if (pull_more(r, err) < 0)
            return -1;
    }
    if (!end && r->in.size == 0)
        return 1;
    *ret_whole = end != NULL;
    r->line_size = end ? (size_t)(end - r->in.data) + 1 : r->in.size;
    size_t size = end ? r->line_size - 1 : r->line_size;
    if (memchr(r->in.data, '\0', size))
        return error_set(err, ERROR_INVALID, "a byte that is not text");
    if (size && r->in.data[size - 1] == '\r')
        size--;
    r->in.data[size] = '\0';
    return 0;
}

/* "1441812279.474" and nothing else; more than nine decimals are cut. */
static int parse_seconds(const char *text, int64_t *ret_ns, struct error *err) {
    const uint64_t seconds_max = INT64_MAX / NS_PER_SEC - 1;
    uint64_t seconds = 0, fraction_ns = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at) && seconds <= seconds_max; at++)
        seconds = 10 * seconds + (uint64_t)(*at - '0');
    bool good = at > text && seconds <= seconds_max;
    if (*at == '.') {
        uint64_t unit = NS_PER_SEC;
        for (at++; isdigit((unsigned char)*at); at++)
            fraction_ns += (uint64_t)(*at - '0') * (unit /= 10);
    }
    char shown[64];
    if (!good || *at)
        return error_set(err, ERROR_INVALID, "'%s' is not a time in seconds",
                         text_safe(text, shown, sizeof shown));
    *ret_ns = (int64_t)(seconds * NS_PER_SEC + fraction_ns);
    return 0;
}

/* Changes the line. */
static int read_comment(struct hdr_log_reader *r, char *line, struct error *err) {
    static const char start[] = "#[StartTime: ", base[] = "#[BaseTime: ";
    bool is_start = text_starts(line, start);
    if (!is_start && !text_starts(line, base))
        return 0;
    char *number = line + (is_start ? sizeof start : sizeof base) - 1;
    number[strcspn(number, " ,]")] = '\0';
    if (parse_seconds(number, is_start ? &r->start_ns : &r->base_ns, err) < 0)
        return -1;
    *(is_start ? &r->start_known : &r->base_known) = true;
    return 0;
}

static void conclude_base(struct hdr_log_reader *r, int64_t stamp_ns) {
    if (!r->base_known)
        r->base_ns = r->start_known && stamp_ns < r->start_ns - YEAR_NS ? r->start_ns : 0;
    r->base_known = true;
}

static int set_times(struct hdr_log_reader *r, const char *stamp, const char *length,
                     struct hdr_interval *interval, struct error *err) {
    int64_t stamp_ns, length_ns;
    if (parse_seconds(stamp, &stamp_ns, err) < 0 || parse_seconds(length, &length_ns, err) < 0)
        return -1;
    conclude_base(r, stamp_ns);
    if (__builtin_add_overflow(r->base_ns, stamp_ns, &interval->start.ns) ||
        __builtin_add_overflow(interval->start.ns, length_ns, &interval->end.ns) ||
        interval->end.ns > HDR_LOG_TIME_NS_MAX)
        return error_set(err, ERROR_LIMIT, "an interval in a future beyond our clocks");
    return 0;
}

static int set_tag(const char *tag, struct hdr_interval *interval, struct error *err) {
    char shown[64];
    if (!hdr_log_tag_valid(tag))
        return error_set(err, ERROR_INVALID, "'%s' cannot be a tag",
                         text_safe(tag, shown, sizeof shown));
    memcpy(interval->tag, tag, strlen(tag) + 1);
    return 0;
}

/* [Tag=tag,]stamp,length,max,histogram. Changes the line. What the maximum says, the histogram
 * says better. */
static int read_interval(struct hdr_log_reader *r, char *line, struct hdr_interval *ret,
                         struct error *err) {
    static const char prefix[] = "Tag=";
    enum { STAMP, LENGTH, MAX, HISTOGRAM, FIELDS };
    struct hdr_interval interval = {.tag = ""};
    char *rest = line;
    if (text_starts(line, prefix)) {
        const char *tag = strsep(&rest, ",") + sizeof prefix - 1;
        if (set_tag(tag, &interval, err) < 0)
            return -1;
    }
    const char *fields[FIELDS] = {NULL};
    for (int i = 0; i < FIELDS && rest; i++)
        fields[i] = strsep(&rest, ",");
    if (!fields[HISTOGRAM] || rest)
        return error_set(err, ERROR_INVALID,
                         "not an interval: a start, a length, a maximum and a histogram, "
                         "with commas between them");
    if (set_times(r, fields[STAMP], fields[LENGTH], &interval, err) < 0)
        return -1;
    r->histogram = fields[HISTOGRAM];
    *ret = interval;
    return 0;
}

/* One line: 0 if it was an interval, 1 if not. */
static int read_line(struct hdr_log_reader *r, struct hdr_interval *ret, struct error *err) {
    char *line = r->in.data;
    if (*line == '#')
        return read_comment(r, line, err) < 0 ? -1 : 1;
    if (*line == '"' || *line == '\0') /* the legend */
        return 1;
    return read_interval(r, line, ret, err);
}

static int decode(struct hdr_log_reader *r, struct histogram *into, struct error *err) {
    buffer_clear(&r->encoded);
    if (base64_decode(r->histogram, strlen(r->histogram), &r->encoded, err) < 0)
        return -1;
    return hdr_decode(r->encoded.data, r->encoded.size, into, err);
}

/* The last line, without an end: either somebody's editor took just that away, or the writer died
 * in the middle of it. The checksum inside of the histogram tells. */
static int read_unended_line(struct hdr_log_reader *r, struct hdr_interval *ret,
                             struct error *err) {
    cleanup(histogram_deinit) struct histogram any;
    histogram_init(&any, HISTOGRAM_HOUR_NS);
    int result = read_line(r, ret, err);
    if (result == 0)
        result = decode(r, &any, err);
    if (result < 0) {
        error_clear(err);
        r->cut = true;
    }
    return result < 0 ? 1 : result;
}

int hdr_log_next(struct hdr_log_reader *r, struct hdr_interval *ret, struct error *err) {
    r->histogram = NULL;
    for (;;) {
        bool whole = false;
        int result = next_line(r, &whole, err);
        if (result > 0)
            return 1;
        if (result == 0)
            result = whole ? read_line(r, ret, err) : read_unended_line(r, ret, err);
        if (result < 0)
            return wrap(r, err);
        if (result == 0)
            return 0;
    }
}

int hdr_log_decode(struct hdr_log_reader *r, struct histogram *into, struct error *err) {
    assert(r->histogram);
    return decode(r, into, err) < 0 ? wrap(r, err) : 0;
}
