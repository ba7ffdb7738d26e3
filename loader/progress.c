#include "loader/progress.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "loader/summary.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LINE_SIZE_MAX = 8192, PLAIN_EVERY = 5, WARNINGS_MAX = 20 };

/* Back to the first column, and nothing right of it. */
static const char line_clear[] = "\r\033[K";

void progress_init(struct progress *p, FILE *to, bool live, const struct options *options) {
    *p = (struct progress){.to = to, .live = live, .options = options};
}

/* Seconds until the load ends, negative if nobody knows: by its time, or by its number at the pace
 * that it had so far. */
static double seconds_left(const struct engine_progress *p, const struct options *o,
                           uint64_t done) {
    double elapsed = (double)p->elapsed_ns / (double)NS_PER_SEC, left = (double)INFINITY;
    if (o->requests > done && done > 0)
        left = (double)(o->requests - done) * elapsed / (double)done;
    uint64_t end_ns = o->time_ns ? o->time_ns : UINT64_MAX;
    if (options_open(o) && rate_end_ns(&o->rate) < end_ns)
        end_ns = rate_end_ns(&o->rate);
    if (end_ns != UINT64_MAX)
        left = fmin(left, (double)end_ns / (double)NS_PER_SEC - elapsed);
    return isinf(left) ? -1 : left;
}

static void last_second(const struct interval *last, struct buffer *out) {
    const struct histogram *h = &last->latency;
    double seconds = (double)(last->to_ns - last->from_ns) / (double)NS_PER_SEC;
    buffer_format(out, "  last second: %.0f/s p50 ", (double)h->count / seconds);
    summary_duration(out, 0, histogram_percentile(h, 50));
    buffer_text(out, " p99 ");
    summary_duration(out, 0, histogram_percentile(h, 99));
    buffer_text(out, " max ");
    summary_duration(out, 0, histogram_max(h));
}

void progress_line(const struct engine_progress *p, const struct options *o, struct buffer *out) {
    uint64_t acknowledged = p->outcomes[OUTCOME_ACKNOWLEDGED], done = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        done += p->outcomes[i];
    buffer_format(out, "%" PRIu64 " s", p->elapsed_ns / NS_PER_SEC);
    if (options_open(o))
        buffer_format(out, "  %.0f/s asked", options_rate_at(o, p->elapsed_ns));
    buffer_format(out, "  %" PRIu64 " sent  %" PRIu64 " done", p->sent, done);
    if (o->requests > 0)
        buffer_format(out, " of %" PRIu64 " (%.1f %%)", o->requests,
                      100.0 * (double)done / (double)o->requests);
    buffer_format(out, "  %" PRIu64 " errors", done - acknowledged);
    last_second(p->last, out);
    double left = seconds_left(p, o, done);
    if (left > 0)
        buffer_format(out, "  %.0f s left", left);
}

void progress_tell(struct progress *p, const struct engine_progress *progress) {
    p->lines++;
    if (!p->live && p->lines % PLAIN_EVERY != 0)
        return;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_SIZE_MAX);
    progress_line(progress, p->options, &line);
    if (p->live)
        fprintf(p->to, "%s%s", line_clear, buffer_string(&line));
    else
        fprintf(p->to, "loader: %s\n", buffer_string(&line));
    fflush(p->to);
    p->line_open = p->live;
}

void progress_note(struct progress *p, const char *text) {
    if (++p->warnings > WARNINGS_MAX)
        return;
    cleanup(buffer_deinit) struct buffer harmless;
    buffer_init(&harmless, LINE_SIZE_MAX);
    text_harmless(&harmless, text, strlen(text));
    fprintf(p->to, "%sloader: warning: %s\n", p->line_open ? line_clear : "",
            buffer_string(&harmless));
    p->line_open = false;
}

void progress_end(struct progress *p) {
    if (p->line_open)
        fputs("\n", p->to);
    p->line_open = false;
    if (p->warnings > WARNINGS_MAX)
        fprintf(p->to, "loader: %" PRIu64 " more warnings were not shown\n",
                p->warnings - WARNINGS_MAX);
}
