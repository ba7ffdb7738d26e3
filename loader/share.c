#include "loader/share.h"

#include "lib/hdr_log.h"
#include "lib/text.h"
#include "loader/limits.h"
#include "loader/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static int number(const char *name, const char *text, uint64_t min, uint64_t max, uint32_t preset,
                  uint32_t *ret, struct error *err) {
    uint64_t value = preset;
    if (text && *text && text_to_u64(text, min, max, &value, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "%s", name);
    }
    *ret = (uint32_t)value;
    return 0;
}

int share_parse(const char *index, const char *loaders, struct share *ret, struct error *err) {
    struct share s;
    if (number("SEATRIAL_INDEX", index, 0, UINT32_MAX, 0, &s.index, err) < 0 ||
        number("SEATRIAL_LOADERS", loaders, 1, LOADER_LOADERS_MAX, 1, &s.loaders, err) < 0)
        return -1;
    if (s.loaders > 1 && s.index >= s.loaders)
        return error_set(err, ERROR_CONFIG,
                         "SEATRIAL_INDEX: there is no loader %" PRIu32 " among %" PRIu32
                         ", who count from 0",
                         s.index, s.loaders);
    *ret = s;
    return 0;
}

static int too_few(const char *option, uint64_t value, const struct share *s, struct error *err) {
    error_set(err, ERROR_CONFIG, "%s %" PRIu64 " cannot be divided among %" PRIu32 " loaders",
              option, value, s->loaders);
    return error_hint(err, "options are of the whole load: each loader needs one at least");
}

/* As many of 0, 1, 2, ... below `all` as are the part's, modulo the number of loaders. */
static uint64_t every_nth(uint64_t all, const struct share *s) {
    return (all + s->loaders - 1 - s->index) / s->loaders;
}

int share_take(const struct share *s, const struct options *whole, struct options *part,
               struct error *err) {
    bool open = options_open(whole);
    *part = *whole;
    if (s->loaders == 1)
        return 0;
    if (whole->concurrency < s->loaders)
        return too_few(open ? "--clients" : "-c", whole->concurrency, s, err);
    if (open && whole->in_flight_max < s->loaders)
        return too_few("--in-flight-max", whole->in_flight_max, s, err);
    if (whole->requests > 0 && whole->requests < s->loaders)
        return too_few("-b", whole->requests, s, err);
    part->concurrency = part->clients =
        slice_clients((uint32_t)whole->concurrency, s->index, s->loaders);
    part->loaders = s->loaders;
    part->in_flight_max = every_nth(whole->in_flight_max, s);
    if (whole->requests > 0)
        part->requests = open ? every_nth(whole->requests, s)
                              : slice_requests(whole->requests, (uint32_t)whole->concurrency,
                                               s->index, s->loaders);
    return 0;
}

static int write_shape(struct hdr_log_writer *w, const struct record_shape *shape, const char *name,
                       struct wall_time start, struct wall_time end, struct error *err) {
    char tag[LOADER_SHAPE_NAME_SIZE + 16];
    snprintf(tag, sizeof tag, "%s.from-send", name);
    if (hdr_log_interval(w, name, start, end, &shape->latency, err) < 0)
        return -1;
    return hdr_log_interval(w, tag, start, end, &shape->latency_from_send, err);
}

static int write_histograms(FILE *file, const struct record *r, const struct mix *mix,
                            struct wall_time start, struct error *err) {
    struct wall_time end = {.ns = start.ns + (int64_t)r->end_ns};
    struct hdr_log_writer w;
    hdr_log_writer_init(&w, hdr_log_file(file));
    int result =
        hdr_log_begin(&w, "loader " SEATRIAL_VERSION ", ns; all of the window", start, err);
    if (result == 0)
        result = hdr_log_interval(&w, NULL, start, end, &r->latency, err);
    if (result == 0)
        result = hdr_log_interval(&w, "from-send", start, end, &r->latency_from_send, err);
    if (result == 0 && r->lateness.count > 0)
        result = hdr_log_interval(&w, "lateness", start, end, &r->lateness, err);
    for (size_t i = 0; result == 0 && i < r->shapes_count; i++)
        result = write_shape(&w, &r->shapes[i], mix->shapes[i].name, start, end, err);
    hdr_log_writer_deinit(&w);
    return result;
}

int share_write_window(const char *path, const struct record *record, const struct mix *mix,
                       struct wall_time start, struct error *err) {
    FILE *file = fopen(path, "we");
    if (!file)
        return error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    int r = write_histograms(file, record, mix, start, err);
    if (fclose(file) != 0 && r == 0)
        r = error_set_os(err, ERROR_IO, errno, "close '%s'", path);
    return r;
}

uint64_t share_seed(const char *run) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *run; run++)
        hash = (hash ^ (uint8_t)*run) * UINT64_C(0x100000001b3);
    return hash;
}
