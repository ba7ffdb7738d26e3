#include "loader/progress.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "loader/summary.h"

#include <inttypes.h>
#include <string.h>

enum { LINE_SIZE_MAX = 8192, PLAIN_EVERY = 5, WARNINGS_MAX = 20 };

/* Back to the first column, and nothing right of it. */
static const char line_clear[] = "\r\033[K";

void progress_init(struct progress *p, FILE *to, bool live, uint64_t requests) {
    *p = (struct progress){.to = to, .live = live, .requests = requests};
}

void progress_line(const struct engine_progress *p, uint64_t requests, struct buffer *out) {
    uint64_t acknowledged = p->outcomes[OUTCOME_ACKNOWLEDGED], done = 0;
    for (int i = 0; i < OUTCOME_COUNT; i++)
        done += p->outcomes[i];
    buffer_format(out,
                  "%" PRIu64 " s  %" PRIu64 " of %" PRIu64 " (%.1f %%)  %" PRIu64 " sent  %" PRIu64
                  " errors",
                  p->elapsed_ns / NS_PER_SEC, done, requests,
                  100.0 * (double)done / (double)requests, p->sent, done - acknowledged);
    const struct histogram *h = &p->last->latency;
    double seconds = (double)(p->last->to_ns - p->last->from_ns) / (double)NS_PER_SEC;
    buffer_format(out, "  last second: %.0f/s p50 ", (double)h->count / seconds);
    summary_duration(out, 0, histogram_percentile(h, 50));
    buffer_text(out, " p99 ");
    summary_duration(out, 0, histogram_percentile(h, 99));
    buffer_text(out, " max ");
    summary_duration(out, 0, histogram_max(h));
    if (done > 0 && done < requests)
        buffer_format(out, "  %.0f s left",
                      (double)(requests - done) * (double)p->elapsed_ns / (double)done /
                          (double)NS_PER_SEC);
}

void progress_tell(struct progress *p, const struct engine_progress *progress) {
    p->lines++;
    if (!p->live && p->lines % PLAIN_EVERY != 0)
        return;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_SIZE_MAX);
    progress_line(progress, p->requests, &line);
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
