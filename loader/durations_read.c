#include "loader/durations_format.h"

#include "lib/bytes.h"
#include "loader/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static uint64_t unzigzag(uint64_t coded) {
    return coded >> 1 ^ (0 - (coded & 1));
}

/* 0, or a fault: the file ends, or holds more than 64 bits. */
static int get_varint(FILE *from, uint64_t *ret, struct error *err) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        int c = getc_unlocked(from);
        if (c == EOF)
            return error_set(err, ERROR_INVALID, "the file was cut: it has no end");
        uint64_t bits = (uint64_t)c & 0x7f;
        if (shift == 63 && bits > 1)
            break;
        value |= bits << shift;
        if (c < 0x80) {
            *ret = value;
            return 0;
        }
    }
    return error_set(err, ERROR_INVALID, "a number is larger than 64 bits");
}

static int read_header(FILE *from, struct durations_origin *ret, struct error *err) {
    uint8_t bytes[HEADER_SIZE];
    if (fread(bytes, 1, sizeof bytes, from) != sizeof bytes ||
        memcmp(bytes, magic, sizeof magic) != 0)
        return error_set(err, ERROR_INVALID, "this is not a requests.bin");
    struct byte_reader r = byte_reader(bytes + sizeof magic, sizeof bytes - sizeof magic);
    uint32_t version = bytes_get_u32(&r);
    if (version != VERSION)
        return error_set(err, ERROR_INVALID, "version %" PRIu32 " of requests.bin is not known",
                         version);
    ret->client_base = bytes_get_u64(&r);
    ret->start.ns = (int64_t)bytes_get_u64(&r);
    return 0;
}

/* 0 and a record, or 1 at the end. */
static int read_record(FILE *from, struct duration *one, struct error *err) {
    uint64_t mark, difference, delay;
    if (get_varint(from, &mark, err) < 0)
        return -1;
    while (mark == MARK_PIECE) {
        one->intended_ns = 0;
        if (get_varint(from, &mark, err) < 0)
            return -1;
    }
    if (mark == MARK_END)
        return 1;
    if ((mark & 7) == 0 || (mark & 7) > OUTCOME_COUNT || mark >> 3 >= LOADER_CLIENTS_MAX)
        return error_set(err, ERROR_INVALID, "a record is damaged");
    if (get_varint(from, &one->number, err) < 0 || get_varint(from, &difference, err) < 0 ||
        get_varint(from, &delay, err) < 0 || get_varint(from, &one->latency_ns, err) < 0)
        return -1;
    one->client = (uint32_t)(mark >> 3);
    one->outcome = (enum outcome)((mark & 7) - 1);
    one->intended_ns += unzigzag(difference);
    one->sent = delay > 0;
    one->send_delay_ns = delay ? delay - 1 : 0;
    return 0;
}

static int check_end(FILE *from, uint64_t records, struct error *err) {
    uint64_t count;
    if (get_varint(from, &count, err) < 0)
        return -1;
    if (count != records)
        return error_set(err, ERROR_INVALID, "%" PRIu64 " records where its end says %" PRIu64,
                         records, count);
    if (getc_unlocked(from) != EOF)
        return error_set(err, ERROR_INVALID, "something follows the end");
    return 0;
}

bool durations_are_in(FILE *from) {
    char bytes[sizeof magic];
    size_t size = fread(bytes, 1, sizeof bytes, from);
    rewind(from);
    return size == sizeof bytes && memcmp(bytes, magic, sizeof magic) == 0;
}

int durations_read(FILE *from, durations_visit *visit, void *context, struct error *err) {
    struct durations_origin origin;
    struct duration one = {0};
    uint64_t records = 0;
    int r;
    if (read_header(from, &origin, err) < 0)
        return -1;
    for (; (r = read_record(from, &one, err)) == 0; records++)
        if (visit(context, &origin, &one, err) < 0)
            return -1;
    if (r > 0)
        r = check_end(from, records, err);
    return r < 0 ? error_wrap(err, "after %" PRIu64 " records", records) : 0;
}

static int print_record(void *context, const struct durations_origin *origin,
                        const struct duration *one, struct error *err) {
    FILE *to = context;
    if (one->number > 0)
        fprintf(to, "%" PRIu64 ",%" PRIu64, origin->client_base + one->client, one->number);
    else
        fputc(',', to);
    fprintf(to, ",%" PRIu64 ",", one->intended_ns);
    if (one->sent)
        fprintf(to, "%" PRIu64, one->intended_ns + one->send_delay_ns);
    fprintf(to, ",%" PRIu64 ",%s\n", one->latency_ns, outcome_name(one->outcome));
    return ferror(to) ? error_set_os(err, ERROR_IO, errno, "write the CSV") : 0;
}

int durations_export(FILE *from, FILE *to, struct error *err) {
    struct error second = ERROR_NULL;
    fputs("client,number,intended_ns,sent_ns,latency_ns,outcome\n", to);
    int r = durations_read(from, print_record, to, err);
    if (fflush(to) != 0)
        return error_set_os(r < 0 ? &second : err, ERROR_IO, errno, "write the CSV");
    return r;
}
