#include "loader/recorded.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/durations.h"
#include "loader/logs.h"
#include "loader/summary.h"

#include <errno.h>
#include <inttypes.h>

enum { TEXT_SIZE_MAX = 16 * 1024 };

struct sum {
    struct durations_origin origin;
    uint64_t outcomes[OUTCOME_COUNT];
    uint64_t sent, end_ns;
    struct histogram latency, latency_from_send;
};

static void sum_deinit(struct sum *s) {
    histogram_deinit(&s->latency);
    histogram_deinit(&s->latency_from_send);
}

static int add(void *context, const struct durations_origin *origin, const struct duration *one,
               struct error *err) {
    (void)err;
    struct sum *s = context;
    s->origin = *origin;
    s->outcomes[one->outcome]++;
    s->sent += one->sent;
    uint64_t end_ns = one->intended_ns + one->latency_ns;
    s->end_ns = end_ns > s->end_ns ? end_ns : s->end_ns;
    if (one->outcome != OUTCOME_ACKNOWLEDGED)
        return 0;
    histogram_record(&s->latency, one->latency_ns);
    if (one->sent && one->send_delay_ns <= one->latency_ns)
        histogram_record(&s->latency_from_send, one->latency_ns - one->send_delay_ns);
    return 0;
}

static void print_sum(const char *path, const struct sum *s, struct buffer *out) {
    char start[WALL_TEXT_SIZE];
    buffer_format(out, "%s: %" PRIu64 " sent", path, s->sent);
    for (int i = 0; i < OUTCOME_COUNT; i++)
        buffer_format(out, ", %" PRIu64 " %s", s->outcomes[i], outcome_name((enum outcome)i));
    buffer_format(out, "; %.3f s from %s\n", (double)s->end_ns / (double)NS_PER_SEC,
                  wall_text(s->origin.start, start));
    if (s->latency.count == 0)
        return;
    buffer_text(out, "acknowledged, from the intended time and from the first byte sent:\n");
    summary_histogram(out, &s->latency, &s->latency_from_send);
}

static int summarize_requests(const char *path, FILE *from, FILE *to, struct error *err) {
    cleanup(sum_deinit) struct sum sum = {.sent = 0};
    cleanup(buffer_deinit) struct buffer text, harmless;
    buffer_init(&text, TEXT_SIZE_MAX);
    buffer_init(&harmless, 4 * TEXT_SIZE_MAX);
    histogram_init(&sum.latency, HISTOGRAM_HOUR_NS);
    histogram_init(&sum.latency_from_send, HISTOGRAM_HOUR_NS);
    if (durations_read(from, add, &sum, err) < 0)
        return error_wrap(err, "'%s'", path);
    print_sum(path, &sum, &text);
    text_harmless(&harmless, buffer_string(&text), text.size);
    if (fwrite(buffer_string(&harmless), 1, harmless.size, to) != harmless.size || fflush(to) != 0)
        return error_set_os(err, ERROR_IO, errno, "print the summary");
    return 0;
}

/* 1: it is no requests.bin. */
static int summarize_one(const char *path, FILE *to, struct error *err) {
    cleanup_fclose FILE *from = fopen(path, "re");
    if (!from)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    return durations_are_in(from) ? summarize_requests(path, from, to, err) : 1;
}

int recorded_summarize(const char *const *paths, size_t count, FILE *to, struct error *err) {
    cleanup_free const char **logs = mem_new_array(const char *, count + 1);
    size_t log_count = 0;
    for (size_t i = 0; i < count; i++) {
        int r = summarize_one(paths[i], to, err);
        if (r < 0)
            return -1;
        if (r == 1)
            logs[log_count++] = paths[i];
    }
    return log_count ? logs_summarize(logs, log_count, to, err) : 0;
}
