/* Any bytes as a histogram log, and as an encoded histogram, which a fuzzer would not find behind
 * base64 and a checksum: an error, or histograms that are written and read again as they are. */

#include "lib/cleanup.h"
#include "lib/hdr_encoding.h"
#include "lib/hdr_log.h"
#include "lib/text.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_sound(const struct histogram *h) {
    struct histogram_cursor at = HISTOGRAM_CURSOR_NULL;
    while (histogram_next(h, &at))
        assert(at.count <= h->count);
    assert(at.count_to == h->count && h->clamped <= h->count && h->count <= INT64_MAX);
}

static void assert_round_trip(const struct histogram *h) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, HDR_ENCODED_SIZE_MAX);
    hdr_encode(h, &out);
    cleanup(histogram_deinit) struct histogram again;
    histogram_init(&again, h->value_max);
    int result = hdr_decode(out.data, out.size, &again, &err);
    assert(result == 0 && again.count == h->count);
    (void)result;
    assert(memcmp(again.counts, h->counts, h->counts_size * sizeof *h->counts) == 0);
}

static void decode(const uint8_t *data, size_t size, uint64_t value_max) {
    struct error err = ERROR_NULL;
    cleanup(histogram_deinit) struct histogram h;
    histogram_init(&h, value_max);
    if (hdr_decode(data, size, &h, &err) < 0) {
        assert(*err.text && h.count == 0);
        return;
    }
    assert_sound(&h);
    assert_round_trip(&h);
}

static void read_log(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    struct memory_source memory = {.data = (const char *)data, .size = size};
    cleanup(hdr_log_reader_deinit) struct hdr_log_reader reader;
    hdr_log_reader_init(&reader, "f", memory_source(&memory));
    cleanup(histogram_deinit) struct histogram sum;
    histogram_init(&sum, HISTOGRAM_HOUR_NS);
    struct hdr_interval interval;
    int result;
    while ((result = hdr_log_next(&reader, &interval, &err)) == 0) {
        assert(!*interval.tag || hdr_log_tag_valid(interval.tag));
        assert(interval.start.ns >= 0 && interval.end.ns >= interval.start.ns);
        if (hdr_log_decode(&reader, &sum, &err) < 0)
            break;
    }
    if (result != 1)
        assert(text_starts(err.text, "'f', line "));
    assert_sound(&sum);
    assert_round_trip(&sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size, HISTOGRAM_HOUR_NS);
    decode(data, size, UINT64_C(1) << 62);
    decode(data, size, 1000);
    read_log(data, size);
    return 0;
}
