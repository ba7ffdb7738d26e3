#include "runner/collect/host_load.h"

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/text.h"
#include "runner/report/resources.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN ((double)NAN)

enum { SECTOR_BYTES = 512 /* of /proc/diskstats, whatever the disk's */ };

/* grep puts the file's name before each line, leaves out what is long and says little, and is the
 * one process that an answer costs. */
const char host_load_command[] =
    "cd /proc || exit 1\n"
    "while read -r n; do\n"
    "  grep -sv -e '^intr ' -e '^cpu[0-9]' -e '^softirq ' uptime loadavg stat meminfo net/dev"
    " diskstats pressure/cpu pressure/memory pressure/io\n"
    "  echo \"=$n\" || exit\n"
    "done\n";

void host_load_init(struct host_load *l) {
    *l = (struct host_load){.uptime_s = UNKNOWN,
                            .load = {UNKNOWN, UNKNOWN, UNKNOWN},
                            .context_switches = HOST_LOAD_UNKNOWN,
                            .running = HOST_LOAD_UNKNOWN,
                            .blocked = HOST_LOAD_UNKNOWN,
                            .memory_bytes = HOST_LOAD_UNKNOWN,
                            .memory_available_bytes = HOST_LOAD_UNKNOWN,
                            .swap_bytes = HOST_LOAD_UNKNOWN,
                            .swap_free_bytes = HOST_LOAD_UNKNOWN,
                            .dirty_bytes = HOST_LOAD_UNKNOWN,
                            .cpu_some_us = HOST_LOAD_UNKNOWN,
                            .memory_some_us = HOST_LOAD_UNKNOWN,
                            .memory_full_us = HOST_LOAD_UNKNOWN,
                            .io_some_us = HOST_LOAD_UNKNOWN,
                            .io_full_us = HOST_LOAD_UNKNOWN};
}

/* ---- words ---- */

/* A decimal number, and on to behind it; HOST_LOAD_UNKNOWN, and nothing else, if there is none. */
static uint64_t take_number(const char **at) {
    while (**at == ' ')
        (*at)++;
    if (!isdigit((unsigned char)**at))
        return HOST_LOAD_UNKNOWN;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(*at, &end, 10);
    *at = end;
    return errno ? HOST_LOAD_UNKNOWN : number;
}

/* How many of `count` numbers there are. */
static size_t take_numbers(const char **at, uint64_t *out, size_t count) {
    size_t i = 0;
    while (i < count && (out[i] = take_number(at)) != HOST_LOAD_UNKNOWN)
        i++;
    return i;
}

static double take_decimal(const char **at) {
    while (**at == ' ')
        (*at)++;
    if (!isdigit((unsigned char)**at)) /* neither NaN nor infinity nor a sign */
        return UNKNOWN;
    char *end;
    double number = strtod(*at, &end);
    *at = end;
    return isfinite(number) ? number : UNKNOWN;
}

static uint64_t times(uint64_t number, uint64_t unit) {
    uint64_t product;
    return number == HOST_LOAD_UNKNOWN || __builtin_mul_overflow(number, unit, &product)
               ? HOST_LOAD_UNKNOWN
               : product;
}

/* Behind `word` and a blank; NULL when the line is about something else. */
static const char *after(const char *line, const char *word) {
    size_t size = strlen(word);
    return strncmp(line, word, size) == 0 && line[size] == ' ' ? line + size : NULL;
}

/* ---- the files ---- */

static void read_loadavg(struct host_load *l, const char *line) {
    for (size_t i = 0; i < 3; i++)
        l->load[i] = take_decimal(&line);
}

static void read_uptime(struct host_load *l, const char *line) {
    l->uptime_s = take_decimal(&line);
}

static void read_stat(struct host_load *l, const char *line) {
    const char *rest;
    if ((rest = after(line, "cpu")))
        l->has_ticks = take_numbers(&rest, l->ticks, TICKS_COUNT) == TICKS_COUNT;
    else if ((rest = after(line, "ctxt")))
        l->context_switches = take_number(&rest);
    else if ((rest = after(line, "procs_running")))
        l->running = take_number(&rest);
    else if ((rest = after(line, "procs_blocked")))
        l->blocked = take_number(&rest);
}

static void read_meminfo(struct host_load *l, const char *line) {
    const struct {
        const char *name;
        uint64_t *to;
    } rows[] = {{"MemTotal:", &l->memory_bytes},
                {"MemAvailable:", &l->memory_available_bytes},
                {"SwapTotal:", &l->swap_bytes},
                {"SwapFree:", &l->swap_free_bytes},
                {"Dirty:", &l->dirty_bytes}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *rest = after(line, rows[i].name);
        if (rest)
            *rows[i].to = times(take_number(&rest), 1024);
    }
}

static void copy_name(const char *name, size_t size, char out[HOST_LOAD_NAME_SIZE]) {
    snprintf(out, HOST_LOAD_NAME_SIZE, "%.*s", (int)size, name);
}

/* The ends of containers' networks on their host come by the hundred, and say nothing that the
 * containers do not. */
static void read_interface(struct host_load *l, const char *line) {
    line += strspn(line, " ");
    size_t size = strcspn(line, ": |");
    uint64_t n[16];
    if (line[size] != ':' || size == 0 || size >= HOST_LOAD_NAME_SIZE ||
        text_starts(line, "veth") || l->interface_count == HOST_LOAD_DEVICES_MAX)
        return;
    const char *rest = line + size + 1;
    if (take_numbers(&rest, n, 16) < 16)
        return;
    struct host_load_interface *to = &l->interfaces[l->interface_count++];
    *to = (struct host_load_interface){.received_bytes = n[0],
                                       .received_packets = n[1],
                                       .received_errors = n[2],
                                       .received_drops = n[3],
                                       .sent_bytes = n[8],
                                       .sent_packets = n[9],
                                       .sent_errors = n[10],
                                       .sent_drops = n[11]};
    copy_name(line, size, to->name);
}

/* "sda1" of "sda", "nvme0n1p2" of "nvme0n1": they come behind it. */
static bool is_partition(const struct host_load *l, const char *name) {
    for (size_t i = 0; i < l->disk_count; i++) {
        const char *disk = l->disks[i].name;
        size_t size = strlen(disk);
        if (strncmp(name, disk, size) != 0)
            continue;
        const char *rest = name + size;
        if (*rest == 'p' && isdigit((unsigned char)disk[size - 1]))
            rest++;
        else if (isdigit((unsigned char)disk[size - 1]))
            continue;
        if (isdigit((unsigned char)*rest))
            return true;
    }
    return false;
}

static void read_disk(struct host_load *l, const char *line) {
    uint64_t number[2], n[10];
    char name[HOST_LOAD_NAME_SIZE];
    if (take_numbers(&line, number, 2) < 2)
        return;
    line += strspn(line, " ");
    size_t size = strcspn(line, " ");
    if (size == 0 || size >= sizeof name || text_starts(line, "loop") || text_starts(line, "ram"))
        return;
    copy_name(line, size, name);
    const char *rest = line + size;
    if (l->disk_count == HOST_LOAD_DEVICES_MAX || is_partition(l, name) ||
        take_numbers(&rest, n, 10) < 10)
        return;
    struct host_load_disk *to = &l->disks[l->disk_count++];
    *to = (struct host_load_disk){.reads = n[0],
                                  .read_bytes = times(n[2], SECTOR_BYTES),
                                  .writes = n[4],
                                  .written_bytes = times(n[6], SECTOR_BYTES),
                                  .busy_ms = n[9]};
    copy_name(name, size, to->name);
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=123" */
static void read_pressure(const char *line, uint64_t *some, uint64_t *full) {
    uint64_t *to = after(line, "some") ? some : after(line, "full") ? full : NULL;
    const char *total = strstr(line, " total=");
    if (!to || !total)
        return;
    total += strlen(" total=");
    *to = take_number(&total);
}

void host_load_line(struct host_load *l, const char *line) {
    uint64_t ignored;
    const char *colon = strchr(line, ':');
    if (!colon)
        return;
    size_t size = (size_t)(colon - line);
    char file[24] = "";
    if (size < sizeof file)
        memcpy(file, line, size);
    const char *text = colon + 1;
    if (text_equal(file, "stat"))
        read_stat(l, text);
    else if (text_equal(file, "meminfo"))
        read_meminfo(l, text);
    else if (text_equal(file, "net/dev"))
        read_interface(l, text);
    else if (text_equal(file, "diskstats"))
        read_disk(l, text);
    else if (text_equal(file, "loadavg"))
        read_loadavg(l, text);
    else if (text_equal(file, "uptime"))
        read_uptime(l, text);
    else if (text_equal(file, "pressure/cpu"))
        read_pressure(text, &l->cpu_some_us, &ignored);
    else if (text_equal(file, "pressure/memory"))
        read_pressure(text, &l->memory_some_us, &l->memory_full_us);
    else if (text_equal(file, "pressure/io"))
        read_pressure(text, &l->io_some_us, &l->io_full_us);
}

/* ---- sums ---- */

static uint64_t plus(uint64_t a, uint64_t b) {
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t all_ticks(const struct host_load *l) {
    uint64_t sum = 0;
    for (size_t i = 0; i < TICKS_COUNT; i++)
        sum = plus(sum, l->ticks[i]);
    return sum;
}

static uint64_t busy_ticks(const struct host_load *l) {
    uint64_t sum = 0;
    for (size_t i = 0; i < TICKS_COUNT; i++)
        if (i != TICKS_IDLE && i != TICKS_IOWAIT && i != TICKS_STEAL)
            sum = plus(sum, l->ticks[i]);
    return sum;
}

static void set_value(struct series_point *p, unsigned index, bool known, uint64_t value) {
    p->values[index] = known ? value : 0;
    p->known |= (unsigned)known << index;
}

/* What stands on others would count twice, and loopback is no traffic of the host's. */
static bool stands_alone(const char *name) {
    static const char *const others[] = {"lo", "docker", "br-", "dm-", "md"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (text_starts(name, others[i]))
            return false;
    return true;
}

void host_load_point(const struct host_load *l, int64_t time_ns, struct series_point *ret) {
    uint64_t received = 0, sent = 0, read = 0, written = 0;
    for (size_t i = 0; i < l->interface_count; i++) {
        if (!stands_alone(l->interfaces[i].name))
            continue;
        received = plus(received, l->interfaces[i].received_bytes);
        sent = plus(sent, l->interfaces[i].sent_bytes);
    }
    for (size_t i = 0; i < l->disk_count; i++) {
        if (!stands_alone(l->disks[i].name))
            continue;
        read = plus(read, l->disks[i].read_bytes);
        written = plus(written, l->disks[i].written_bytes);
    }
    bool memory = l->memory_bytes != HOST_LOAD_UNKNOWN &&
                  l->memory_available_bytes != HOST_LOAD_UNKNOWN &&
                  l->memory_available_bytes <= l->memory_bytes;
    *ret = (struct series_point){.time_ns = time_ns};
    set_value(ret, HOST_BUSY_TICKS, l->has_ticks, busy_ticks(l));
    set_value(ret, HOST_ALL_TICKS, l->has_ticks, all_ticks(l));
    set_value(ret, HOST_STEAL_TICKS, l->has_ticks, l->ticks[TICKS_STEAL]);
    set_value(ret, HOST_MEMORY_BYTES, memory, l->memory_bytes - l->memory_available_bytes);
    set_value(ret, HOST_RECEIVED_BYTES, l->interface_count > 0, received);
    set_value(ret, HOST_SENT_BYTES, l->interface_count > 0, sent);
    set_value(ret, HOST_READ_BYTES, l->disk_count > 0, read);
    set_value(ret, HOST_WRITTEN_BYTES, l->disk_count > 0, written);
}

/* ---- stats.jsonl ---- */

static void set_counter(struct json *object, const char *key, uint64_t value) {
    json_set(object, key, value > INT64_MAX ? json_new_null() : json_new_int((int64_t)value));
}

static void set_decimal(struct json *object, const char *key, double value) {
    json_set(object, key, isnan(value) ? json_new_null() : json_new_number(value));
}

/* Interfaces and disks come and go. */
static void set_interfaces(const struct host_load *l, struct json *object) {
    struct json *all = json_set_object(object, "interfaces");
    for (size_t i = 0; i < l->interface_count; i++) {
        const struct host_load_interface *from = &l->interfaces[i];
        struct json *one = json_set_object(all, from->name);
        set_counter(one, "received_bytes", from->received_bytes);
        set_counter(one, "received_packets", from->received_packets);
        set_counter(one, "received_errors", from->received_errors);
        set_counter(one, "received_drops", from->received_drops);
        set_counter(one, "sent_bytes", from->sent_bytes);
        set_counter(one, "sent_packets", from->sent_packets);
        set_counter(one, "sent_errors", from->sent_errors);
        set_counter(one, "sent_drops", from->sent_drops);
    }
}

static void set_disks(const struct host_load *l, struct json *object) {
    struct json *all = json_set_object(object, "disks");
    for (size_t i = 0; i < l->disk_count; i++) {
        const struct host_load_disk *from = &l->disks[i];
        struct json *one = json_set_object(all, from->name);
        set_counter(one, "reads", from->reads);
        set_counter(one, "read_bytes", from->read_bytes);
        set_counter(one, "writes", from->writes);
        set_counter(one, "written_bytes", from->written_bytes);
        set_counter(one, "busy_ms", from->busy_ms);
    }
}

static void set_ticks(const struct host_load *l, struct json *object) {
    static const char *const names[TICKS_COUNT] = {"user",   "nice", "system",  "idle",
                                                   "iowait", "irq",  "softirq", "steal"};
    if (!l->has_ticks) {
        json_set(object, "ticks", json_new_null());
        return;
    }
    struct json *ticks = json_set_object(object, "ticks");
    for (size_t i = 0; i < TICKS_COUNT; i++)
        set_counter(ticks, names[i], l->ticks[i]);
}

static void set_memory(const struct host_load *l, struct json *object) {
    struct json *memory = json_set_object(object, "memory");
    set_counter(memory, "total_bytes", l->memory_bytes);
    set_counter(memory, "available_bytes", l->memory_available_bytes);
    set_counter(memory, "swap_bytes", l->swap_bytes);
    set_counter(memory, "swap_free_bytes", l->swap_free_bytes);
    set_counter(memory, "dirty_bytes", l->dirty_bytes);
}

static void set_pressure(const struct host_load *l, struct json *object) {
    struct json *pressure = json_set_object(object, "pressure_us");
    set_counter(pressure, "cpu_some", l->cpu_some_us);
    set_counter(pressure, "memory_some", l->memory_some_us);
    set_counter(pressure, "memory_full", l->memory_full_us);
    set_counter(pressure, "io_some", l->io_some_us);
    set_counter(pressure, "io_full", l->io_full_us);
}

/* Not known where a counter has gone back, or is not known. */
static double growth(uint64_t before, uint64_t now) {
    return before == HOST_LOAD_UNKNOWN || now == HOST_LOAD_UNKNOWN || now < before
               ? UNKNOWN
               : (double)(now - before);
}

static void set_rates(const struct host_load *l, const struct host_load *before,
                      struct json *object) {
    double seconds = before ? l->uptime_s - before->uptime_s : UNKNOWN;
    if (isnan(seconds) || seconds <= 0) { /* the first one, or it was started again */
        json_set(object, "rates", json_new_null());
        return;
    }
    struct json *rates = json_set_object(object, "rates");
    double all = UNKNOWN, busy = UNKNOWN, steal = UNKNOWN;
    if (l->has_ticks && before->has_ticks && all_ticks(l) > all_ticks(before)) {
        all = growth(all_ticks(before), all_ticks(l));
        busy = growth(busy_ticks(before), busy_ticks(l));
        steal = growth(before->ticks[TICKS_STEAL], l->ticks[TICKS_STEAL]);
    }
    struct series_point a, b;
    host_load_point(before, 0, &a);
    host_load_point(l, 1, &b);
    set_decimal(rates, "seconds", seconds);
    set_decimal(rates, "cpu_busy_share", busy / all);
    set_decimal(rates, "cpu_steal_share", steal / all);
    const struct {
        const char *key;
        unsigned value;
    } rows[] = {{"received_bytes_per_s", HOST_RECEIVED_BYTES},
                {"sent_bytes_per_s", HOST_SENT_BYTES},
                {"read_bytes_per_s", HOST_READ_BYTES},
                {"written_bytes_per_s", HOST_WRITTEN_BYTES}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool known = a.known & b.known & 1U << rows[i].value;
        double grown = growth(a.values[rows[i].value], b.values[rows[i].value]);
        set_decimal(rates, rows[i].key, known ? grown / seconds : UNKNOWN);
    }
}

void host_load_write(const struct host_load *l, const struct host_load *before, int64_t time_ns,
                     uint64_t uncertain_ns, struct buffer *out) {
    char time[WALL_TEXT_SIZE];
    cleanup(json_freep) struct json *object = json_new_object();
    json_set_text(object, "time", wall_text((struct wall_time){time_ns}, time));
    set_counter(object, "uncertain_ns", uncertain_ns);
    set_decimal(object, "uptime_s", l->uptime_s);
    struct json *load = json_set_array(object, "load");
    for (size_t i = 0; i < 3; i++)
        json_append(load, isnan(l->load[i]) ? json_new_null() : json_new_number(l->load[i]));
    set_counter(object, "context_switches", l->context_switches);
    set_counter(object, "running", l->running);
    set_counter(object, "blocked", l->blocked);
    set_ticks(l, object);
    set_memory(l, object);
    set_interfaces(l, object);
    set_disks(l, object);
    set_pressure(l, object);
    set_rates(l, before, object);
    json_write(object, JSON_LINE, out);
    buffer_text(out, "\n");
}
