/*
 * Stands between lib/hdr_log and other people's readers and writers of histogram logs:
 *
 *     hdr_log write LOG                        two tags, several intervals, all magnitudes
 *     hdr_log read LOG TAG PERCENTILE...       the merged histogram of a tag ("-": without one)
 *
 * `read` prints "count N", "max N" and a line "percentile N" for each that was asked for.
 */

#include "lib/hdr_log.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>

#define START_NS INT64_C(1763650000123000000)

/* Xorshift, so that every run writes the same. */
static uint64_t next_value(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> (23 + *state % 30)) % HISTOGRAM_HOUR_NS;
}

static int write_interval(struct hdr_log_writer *w, const char *tag, int second, uint64_t *state,
                          struct error *err) {
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    for (int i = 0; i < (second == 2 ? 0 : 20000); i++) /* one of them is empty */
        histogram_record(&h, next_value(state));
    struct wall_time start = {.ns = START_NS + second * (int64_t)NS_PER_SEC};
    struct wall_time end = {.ns = start.ns + (int64_t)NS_PER_SEC};
    return hdr_log_interval(w, tag, start, end, &h, err);
}

static int write_log(const char *path, struct error *err) {
    cleanup_fclose FILE *file = fopen(path, "we");
    if (!file)
        return error_set(err, ERROR_IO, "cannot create '%s'", path);
    cleanup(hdr_log_writer_deinit) struct hdr_log_writer w;
    hdr_log_writer_init(&w, hdr_log_file(file));
    if (hdr_log_begin(&w, "seatrial's test", (struct wall_time){.ns = START_NS}, err) < 0)
        return -1;
    uint64_t state = 88172645463325252;
    for (int second = 0; second < 5; second++)
        if (write_interval(&w, NULL, second, &state, err) < 0 ||
            write_interval(&w, "send", second, &state, err) < 0)
            return -1;
    return 0;
}

static int read_log(const char *path, const char *tag, char *const *percentiles,
                    struct error *err) {
    struct hdr_log_sum sum = HDR_LOG_SUM_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, HISTOGRAM_HOUR_NS);
    if (hdr_log_add(&sum, path, text_equal(tag, "-") ? NULL : tag, &h, err) < 0)
        return -1;
    printf("count %" PRIu64 "\nmax %" PRIu64 "\n", h.count, histogram_max(&h));
    for (; *percentiles; percentiles++)
        printf("%s %" PRIu64 "\n", *percentiles,
               histogram_percentile(&h, strtod(*percentiles, NULL)));
    return 0;
}

int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    int result;
    if (argc == 3 && text_equal(argv[1], "write"))
        result = write_log(argv[2], &err);
    else if (argc >= 4 && text_equal(argv[1], "read"))
        result = read_log(argv[2], argv[3], argv + 4, &err);
    else
        result = error_set(&err, ERROR_USAGE, "hdr_log write LOG | read LOG TAG PERCENTILE...");
    if (result < 0)
        fprintf(stderr, "%s\n", err.text);
    return error_exit_status(err.kind);
}
