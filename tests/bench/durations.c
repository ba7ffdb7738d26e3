/*
 * Writes a requests.bin of so many records, as a load would, and says what a record cost.
 *
 *     bench_durations FILE RECORDS
 */

#include "loader/durations.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <inttypes.h>
#include <stdlib.h>

static int failed(const struct error *err) {
    fprintf(stderr, "bench_durations: %s\n", err->text);
    return 1;
}

int main(int argc, char **argv) {
    uint64_t records;
    struct error err = ERROR_NULL;
    cleanup(durations_freep) struct durations *d = NULL;
    if (argc != 3 || text_to_u64(argv[2], 1, UINT64_C(1) << 40, &records, &err) < 0) {
        fprintf(stderr, "usage: bench_durations FILE RECORDS\n");
        return 2;
    }
    if (durations_create(argv[1], 1 << 20, clock_wall(), &d, &err) < 0)
        return failed(&err);
    cleanup(durations_writer_freep) struct durations_writer *w = durations_writer_new(d);
    struct instant start = clock_instant();
    for (uint64_t i = 0; i < records; i++) {
        uint64_t random = i * UINT64_C(0x9e3779b97f4a7c15) >> 40;
        const struct duration one = {.client = (uint32_t)(i % 15),
                                     .number = i / 15 + 1,
                                     .intended_ns = i * 50000,
                                     .sent = true,
                                     .send_delay_ns = random % 40000,
                                     .latency_ns = 1000000 + random};
        if (durations_append(w, &one, &err) < 0)
            return failed(&err);
    }
    if (durations_flush(w, &err) < 0 || durations_finish(d, &err) < 0)
        return failed(&err);
    printf("%" PRIu64 " records written, %.0f ns each\n", records,
           (double)instant_ns_between(start, clock_instant()) / (double)records);
    return 0;
}
