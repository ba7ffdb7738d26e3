#include "lib/hdr_log.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/hdr_encoding.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

bool hdr_log_tag_valid(const char *tag) {
    size_t size = strlen(tag);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)tag[i] <= ' ' || strchr(",\"'\x7f", tag[i]))
            return false;
    return size > 0 && size < HDR_LOG_TAG_SIZE;
}

/* --- writing --- */

void hdr_log_writer_init(struct hdr_log_writer *w, struct sink sink) {
    *w = (struct hdr_log_writer){.sink = sink};
    buffer_init(&w->encoded, HDR_ENCODED_SIZE_MAX);
    buffer_init(&w->line, 2 * HDR_ENCODED_SIZE_MAX);
}

void hdr_log_writer_deinit(struct hdr_log_writer *w) {
    buffer_deinit(&w->encoded);
    buffer_deinit(&w->line);
}

static int push_to_file(void *arg, const void *data, size_t size, struct error *err) {
    FILE *file = arg;
    if (fwrite(data, 1, size, file) != size || fflush(file) != 0)
        return error_set_os(err, ERROR_IO, errno, "write a histogram log");
    return 0;
}

struct sink hdr_log_file(FILE *file) {
    return (struct sink){.push = push_to_file, .arg = file};
}

static int push_lines(struct hdr_log_writer *w, struct error *err) {
    assert(!w->line.overflowed);
    int result = w->sink.push(w->sink.arg, w->line.data, w->line.size, err);
    buffer_clear(&w->line);
    return result;
}

/* Nearest, so that the end of one interval is the start of the next. */
static int64_t to_ms(struct wall_time t) {
    assert(t.ns >= 0 && t.ns <= HDR_LOG_TIME_NS_MAX);
    return (t.ns + (int64_t)NS_PER_MS / 2) / (int64_t)NS_PER_MS;
}

static void put_seconds(struct buffer *out, int64_t ms) {
    buffer_format(out, "%" PRId64 ".%03" PRId64, ms / 1000, ms % 1000);
}

int hdr_log_begin(struct hdr_log_writer *w, const char *comment, struct wall_time start,
                  struct error *err) {
    assert(!comment || !strpbrk(comment, "\r\n"));
    char text[WALL_TEXT_SIZE];
    if (comment)
        buffer_format(&w->line, "#[%s]\n", comment);
    buffer_text(&w->line, "#[StartTime: ");
    put_seconds(&w->line, to_ms(start));
    buffer_format(&w->line, " (seconds since epoch), %s]\n", wall_text(start, text));
    /* Readers can conclude this, but not all of them conclude the same. */
    buffer_text(&w->line, "#[BaseTime: 0.000 (seconds since epoch)]\n"
                          "#[Histogram log format version 1.3]\n"
                          "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
                          "\"Interval_Compressed_Histogram\"\n");
    return push_lines(w, err);
}

int hdr_log_interval(struct hdr_log_writer *w, const char *tag, struct wall_time start,
                     struct wall_time end, const struct histogram *h, struct error *err) {
    assert(!tag || hdr_log_tag_valid(tag));
    assert(start.ns <= end.ns);
    if (tag)
        buffer_format(&w->line, "Tag=%s,", tag);
    put_seconds(&w->line, to_ms(start));
    buffer_text(&w->line, ",");
    put_seconds(&w->line, to_ms(end) - to_ms(start));
    buffer_format(&w->line, ",%.3f,", (double)histogram_max(h) / 1e6);
    hdr_encode_compressed(h, &w->encoded);
    base64_encode(w->encoded.data, w->encoded.size, &w->line);
    buffer_clear(&w->encoded);
    buffer_text(&w->line, "\n");
    return push_lines(w, err);
}

/* --- merging --- */

static ssize_t pull_from_file(void *arg, void *data, size_t size, struct error *err) {
    const int *fd = arg;
    ssize_t n;
    do
        n = read(*fd, data, size);
    while (n < 0 && errno == EINTR);
    return n < 0 ? error_set_os(err, ERROR_IO, errno, "read") : n;
}

static int open_log(const char *path, int *ret_fd, struct error *err) {
    /* Without O_NONBLOCK the name of a pipe would hold us up before we see what it is. */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    if (fd < 0 || fstat(fd, &status) < 0)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    if (!S_ISREG(status.st_mode))
        return error_set(err, ERROR_INVALID, "'%s' is not a file", path);
    *ret_fd = take_fd(&fd);
    return 0;
}

static void add_span(struct hdr_log_sum *sum, const struct hdr_interval *i) {
    if (sum->intervals == 0 || i->start.ns < sum->start.ns)
        sum->start = i->start;
    if (sum->intervals == 0 || i->end.ns > sum->end.ns)
        sum->end = i->end;
    sum->intervals++;
}

int hdr_log_add(struct hdr_log_sum *sum, const char *path, const char *tag, struct histogram *into,
                struct error *err) {
    cleanup_close int fd = -1;
    if (open_log(path, &fd, err) < 0)
        return -1;
    cleanup(hdr_log_reader_deinit) struct hdr_log_reader reader;
    hdr_log_reader_init(&reader, path, (struct source){.pull = pull_from_file, .arg = &fd});
    struct hdr_interval interval;
    int result;
    while ((result = hdr_log_next(&reader, &interval, err)) == 0) {
        if (!text_equal(interval.tag, tag ? tag : ""))
            continue;
        if (hdr_log_decode(&reader, into, err) < 0)
            return -1;
        add_span(sum, &interval);
    }
    sum->logs_cut += reader.cut;
    return result < 0 ? -1 : 0;
}
