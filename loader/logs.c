#include "loader/logs.h"

#include "lib/cleanup.h"
#include "lib/hdr_merge.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/summary.h"

#include <errno.h>
#include <inttypes.h>

enum { TEXT_SIZE_MAX = 64 * 1024 };

static void warn(void *context, const char *text) {
    (void)context;
    fprintf(stderr, "loader: warning: %s\n", text);
}

/* Gives a list for hdr_merge, borrowing the paths. */
static struct hdr_merge_log *list_logs(const char *const *paths, size_t count) {
    struct hdr_merge_log *list = mem_new_array(struct hdr_merge_log, count);
    for (size_t i = 0; i < count; i++)
        list[i].path = paths[i];
    return list;
}

int logs_merge(const char *const *paths, size_t count, const char *out, struct error *err) {
    cleanup_free struct hdr_merge_log *list = list_logs(paths, count);
    const struct hdr_merge merge = {.logs = list, .count = count, .warn = warn};
    return hdr_merge_write(&merge, "merged by loader " SEATRIAL_VERSION, out, err);
}

static void print_tag(const struct hdr_tag *tag, struct buffer *out) {
    char start[WALL_TEXT_SIZE];
    buffer_format(out, "%s: %" PRIu64 " values in %" PRIu64 " intervals, %.3f s from %s\n",
                  *tag->name ? tag->name : "(no tag)", tag->histogram.count, tag->intervals,
                  (double)(tag->end.ns - tag->start.ns) / (double)NS_PER_SEC,
                  wall_text(tag->start, start));
    summary_histogram(out, &tag->histogram, NULL);
}

int logs_summarize(const char *const *paths, size_t count, FILE *to, struct error *err) {
    cleanup(hdr_tags_deinit) struct hdr_tags sums = HDR_TAGS_NULL;
    cleanup_free struct hdr_merge_log *list = list_logs(paths, count);
    const struct hdr_merge merge = {.logs = list, .count = count, .warn = warn};
    cleanup(buffer_deinit) struct buffer text, harmless;
    buffer_init(&text, TEXT_SIZE_MAX);
    buffer_init(&harmless, 4 * TEXT_SIZE_MAX);
    if (hdr_merge_sum(&merge, &sums, err) < 0)
        return -1;
    for (size_t i = 0; i < sums.count; i++)
        print_tag(&sums.list[i], &text);
    if (sums.count == 0)
        buffer_text(&text, "there is no interval\n");
    text_harmless(&harmless, buffer_string(&text), text.size);
    if (fwrite(buffer_string(&harmless), 1, harmless.size, to) != harmless.size || fflush(to) != 0)
        return error_set_os(err, ERROR_IO, errno, "print the summary");
    return 0;
}
