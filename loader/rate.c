#include "loader/rate.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static double phase_requests(const struct rate_phase *p, double seconds) {
    if (p->from_per_s == p->to_per_s)
        return p->from_per_s * seconds;
    double slope = (p->to_per_s - p->from_per_s) / p->seconds;
    return seconds * (p->from_per_s + slope * seconds / 2);
}

/* ---- parsing ---- */

/* Digits with at most one point among them: strtod alone would take "inf", "0x1p3" and signs. */
static int parse_number(const char *text, double *ret, struct error *err) {
    char *end;
    if (!*text || strspn(text, "0123456789.") != strlen(text))
        return error_set(err, ERROR_INVALID, "'%.64s' is not a rate in requests/s", text);
    *ret = strtod(text, &end);
    if (*end || end == text || text_equal(text, "."))
        return error_set(err, ERROR_INVALID, "'%.64s' is not a rate in requests/s", text);
    if (*ret > RATE_MAX || (*ret > 0 && *ret < 1e-6))
        return error_set(err, ERROR_INVALID, "a rate of %.64s requests/s cannot be asked for",
                         text);
    return 0;
}

static int parse_duration(const char *text, double *ret, struct error *err) {
    uint64_t ns;
    if (text_to_duration_ns(text, &ns, err) < 0)
        return -1;
    if (ns == 0 || ns > RATE_DURATION_NS_MAX)
        return error_set(err, ERROR_INVALID, "'%.64s' is not a duration up to 30 days", text);
    *ret = (double)ns / (double)NS_PER_SEC;
    return 0;
}

/* RATE[..RATE][:DURATION] */
static int parse_phase(char *text, struct rate_phase *ret, struct error *err) {
    char *duration = strchr(text, ':'), *to = strstr(text, "..");
    ret->seconds = (double)INFINITY;
    if (duration)
        *duration++ = '\0';
    if (to) {
        *to = '\0';
        to += 2;
    }
    if (parse_number(text, &ret->from_per_s, err) < 0 ||
        parse_number(to ? to : text, &ret->to_per_s, err) < 0)
        return -1;
    if (duration)
        return parse_duration(duration, &ret->seconds, err);
    if (to)
        return error_set(err, ERROR_INVALID, "a ramp needs a duration, as in 1000..5000:60s");
    return 0;
}

static int check(const struct rate *r, struct error *err) {
    bool anything = false;
    for (size_t i = 0; i < r->count; i++) {
        const struct rate_phase *p = &r->phases[i];
        anything |= p->from_per_s > 0 || p->to_per_s > 0;
        if (isinf(p->seconds) && i + 1 < r->count)
            return error_set(err, ERROR_INVALID, "only the last phase may be without a duration");
        if (isinf(p->seconds) && p->from_per_s == 0)
            return error_set(err, ERROR_INVALID, "a phase without requests needs a duration");
    }
    if (!anything)
        return error_set(err, ERROR_INVALID, "no request is asked for");
    return 0;
}

int rate_parse(const char *text, struct rate *ret, struct error *err) {
    cleanup(rate_deinit) struct rate r = RATE_NULL;
    if (strlen(text) > RATE_TEXT_MAX)
        return error_set(err, ERROR_INVALID, "the course of rates is too long");
    cleanup_free char *copy = text_dup(text);
    double begin_s = 0, before = 0;
    r.phases = mem_new_array(struct rate_phase, RATE_PHASES_MAX);
    for (char *rest = copy, *word; (word = strsep(&rest, ","));) {
        if (r.count == RATE_PHASES_MAX)
            return error_set(err, ERROR_INVALID, "more than %d phases", RATE_PHASES_MAX);
        struct rate_phase *p = &r.phases[r.count++];
        if (parse_phase(word, p, err) < 0)
            return -1;
        p->begin_s = begin_s;
        p->before = before;
        begin_s += p->seconds;
        before += isinf(p->seconds) ? 0.0 : phase_requests(p, p->seconds);
    }
    if (check(&r, err) < 0)
        return -1;
    *ret = r;
    r = RATE_NULL;
    return 0;
}

void rate_deinit(struct rate *r) {
    free(r->phases);
    *r = RATE_NULL;
}

/* ---- asking ---- */

static const struct rate_phase *last_phase(const struct rate *r) {
    return &r->phases[r->count - 1];
}

/* Behind the end it is the last one. */
static const struct rate_phase *phase_at(const struct rate *r, double s) {
    size_t i = 0;
    while (i + 1 < r->count && r->phases[i + 1].begin_s <= s)
        i++;
    return &r->phases[i];
}

uint64_t rate_end_ns(const struct rate *r) {
    const struct rate_phase *p = last_phase(r);
    if (isinf(p->seconds))
        return UINT64_MAX;
    return (uint64_t)llround((p->begin_s + p->seconds) * (double)NS_PER_SEC);
}

double rate_requests(const struct rate *r, uint64_t until_ns) {
    double s = (double)until_ns / (double)NS_PER_SEC;
    const struct rate_phase *p = phase_at(r, s);
    double in_phase = s - p->begin_s;
    return p->before + phase_requests(p, in_phase < p->seconds ? in_phase : p->seconds);
}

double rate_at(const struct rate *r, uint64_t at_ns) {
    double s = (double)at_ns / (double)NS_PER_SEC;
    const struct rate_phase *p = phase_at(r, s);
    double in_phase = s - p->begin_s;
    if (in_phase >= p->seconds)
        return 0;
    if (p->from_per_s == p->to_per_s)
        return p->from_per_s;
    return p->from_per_s + (p->to_per_s - p->from_per_s) * in_phase / p->seconds;
}

/* Solves from * t + slope * t² / 2 = requests in the form that loses no digits when the slope is
 * small or none. */
static double phase_time(const struct rate_phase *p, double requests) {
    double from = p->from_per_s;
    double slope = isinf(p->seconds) ? 0.0 : (p->to_per_s - from) / p->seconds;
    double square = from * from + 2 * slope * requests;
    return requests == 0 ? 0 : 2 * requests / (from + sqrt(square > 0 ? square : 0));
}

uint64_t rate_time(const struct rate *r, double u, size_t *hint) {
    const struct rate_phase *p = &r->phases[*hint];
    for (;; p = &r->phases[++*hint]) {
        bool last = *hint + 1 == r->count;
        double end =
            isinf(p->seconds) ? (double)INFINITY : p->before + phase_requests(p, p->seconds);
        if (u < end)
            break;
        if (last)
            return UINT64_MAX;
    }
    double at_ns = (p->begin_s + phase_time(p, u - p->before)) * (double)NS_PER_SEC;
    return at_ns < 0x1p64 ? (uint64_t)at_ns : UINT64_MAX;
}
