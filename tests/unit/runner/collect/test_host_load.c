/* /proc of a host, taken apart. */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "runner/collect/host_load.h"
#include "runner/report/resources.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const before[] = {
    "uptime:1839.72 1574.32",
    "loadavg:15.35 15.65 14.33 20/512 4711",
    "stat:cpu  100 10 50 800 40 1 4 5 0 0",
    "stat:ctxt 8753694",
    "stat:btime 1764330000",
    "stat:procs_running 20",
    "stat:procs_blocked 0",
    "meminfo:MemTotal:       24683620 kB",
    "meminfo:MemFree:        22000000 kB",
    "meminfo:MemAvailable:   23793068 kB",
    "meminfo:SwapTotal:             0 kB",
    "meminfo:SwapFree:              0 kB",
    "meminfo:Dirty:               240 kB",
    "meminfo:HugePages_Total:       0",
    "net/dev:Inter-|   Receive                                                |  Transmit",
    "net/dev: face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets",
    "net/dev:    lo: 11699453   26017    0    0    0     0          0         0 11699453   26017   "
    " "
    "0    0    0     0       0          0",
    "net/dev:  eth0: 334973421 9795 1 2 0 0 0 0 417088 5834 3 4 0 0 0 0",
    "net/dev:docker0:7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0",
    "net/dev:veth1a2b: 9 1 0 0 0 0 0 0 9 1 0 0 0 0 0 0",
    "diskstats:   7       0 loop0 1 0 2 0 0 0 0 0 0 0 0",
    "diskstats: 254       0 vda 98062 1 100 3 259122 4 200 5 0 73296 6 0 0 0 0 0 0",
    "diskstats: 254       1 vda1 98000 1 100 3 259122 4 200 5 0 73296 6 0 0 0 0 0 0",
    "diskstats: 259       0 nvme0n1 5 0 10 0 5 0 20 0 0 1 0",
    "diskstats: 259       1 nvme0n1p1 5 0 10 0 5 0 20 0 0 1 0",
    "diskstats: 259       2 nvme0n11 1 0 1 0 1 0 1 0 0 1 0",
    "diskstats: 253       0 dm-0 5 0 10 0 5 0 20 0 0 1 0",
    "pressure/cpu:some avg10=1.00 avg60=2.00 avg300=3.00 total=1271768955",
    "pressure/cpu:full avg10=0.00 avg60=0.00 avg300=0.00 total=0",
    "pressure/memory:some avg10=0.00 avg60=0.00 avg300=0.00 total=19321",
    "pressure/memory:full avg10=0.00 avg60=0.00 avg300=0.00 total=288",
    "pressure/io:some avg10=0.00 avg60=0.00 avg300=0.00 total=42285786",
    "pressure/io:full avg10=0.00 avg60=0.00 avg300=0.00 total=9001330",
    NULL,
};
static const char *const after[] = {
    "uptime:1841.72 1574.32",
    "stat:cpu  200 10 150 880 40 1 4 25 0 0",
    "net/dev:  eth0: 334973921 9795 1 2 0 0 0 0 418088 5834 3 4 0 0 0 0",
    "diskstats: 254       0 vda 98062 1 102 3 259122 4 204 5 0 73296 6 0 0 0 0 0 0",
    NULL,
};

static void read_all(const char *const *lines, struct host_load *ret) {
    host_load_init(ret);
    for (; *lines; lines++)
        host_load_line(ret, *lines);
}

static struct json *line_of(const struct host_load *l, const struct host_load *earlier) {
    struct error err = ERROR_NULL;
    struct json *v = NULL;
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, 64 << 10);
    host_load_write(l, earlier, 1, 2, &line);
    assert_false(line.overflowed);
    assert_ptr_equal(strchr(line.data, '\n'), line.data + line.size - 1);
    assert_int_equal(json_parse(line.data, line.size, 0, &v, &err), 0);
    return v;
}

static void is(const struct json *v, const char *path, const char *expected) {
    const struct json *found = json_find(v, path);
    assert_non_null(found);
    cleanup_free char *text = json_to_text(found, JSON_LINE);
    assert_string_equal(text, expected);
}

static void proc_is_read(void **state) {
    (void)state;
    struct host_load l;
    read_all(before, &l);
    assert_true(l.uptime_s == 1839.72 && l.load[2] == 14.33);
    assert_true(l.has_ticks);
    assert_int_equal(l.ticks[TICKS_IDLE], 800);
    assert_int_equal(l.ticks[TICKS_STEAL], 5);
    assert_int_equal(l.context_switches, 8753694);
    assert_int_equal(l.running, 20);
    assert_int_equal(l.blocked, 0);
    assert_int_equal(l.memory_bytes, UINT64_C(24683620) * 1024);
    assert_int_equal(l.dirty_bytes, 240 * 1024);
    assert_int_equal(l.interface_count, 3); /* without the ends of containers' networks */
    assert_string_equal(l.interfaces[1].name, "eth0");
    assert_int_equal(l.interfaces[1].received_drops, 2);
    assert_int_equal(l.interfaces[1].sent_errors, 3);
    assert_int_equal(l.interfaces[2].received_bytes, 7);
    assert_int_equal(l.cpu_some_us, 1271768955);
    assert_int_equal(l.memory_full_us, 288);
    assert_int_equal(l.io_full_us, 9001330);
}

static void disks_are_counted_once(void **state) {
    (void)state;
    struct host_load l;
    struct series_point point;
    read_all(before, &l);
    assert_int_equal(l.disk_count, 4);
    assert_string_equal(l.disks[0].name, "vda");
    assert_string_equal(l.disks[1].name, "nvme0n1");
    assert_string_equal(l.disks[2].name, "nvme0n11");
    assert_int_equal(l.disks[0].written_bytes, 200 * 512);
    assert_int_equal(l.disks[0].busy_ms, 73296);
    host_load_point(&l, 1, &point);
    /* Neither what stands on other devices, nor loopback and bridges. */
    assert_int_equal(point.values[HOST_READ_BYTES], (100 + 10 + 1) * 512);
    assert_int_equal(point.values[HOST_RECEIVED_BYTES], 334973421);
    assert_int_equal(point.values[HOST_MEMORY_BYTES], (UINT64_C(24683620) - 23793068) * 1024);
    assert_int_equal(point.values[HOST_BUSY_TICKS], 100 + 10 + 50 + 1 + 4);
    assert_int_equal(point.values[HOST_ALL_TICKS], 1010);
}

static void rates_are_since_the_sample_before(void **state) {
    (void)state;
    struct host_load a, b;
    read_all(before, &a);
    read_all(after, &b);
    b.interfaces[1] = b.interfaces[0]; /* at another place than before */
    cleanup(json_freep) struct json *first = line_of(&a, NULL);
    is(first, "rates", "null");
    is(first, "ticks.iowait", "40");
    is(first, "interfaces.eth0.sent_bytes", "417088");
    is(first, "uncertain_ns", "2");
    cleanup(json_freep) struct json *second = line_of(&b, &a);
    is(second, "rates.seconds", "2.0");
    is(second, "rates.received_bytes_per_s", "250.0");
    is(second, "rates.sent_bytes_per_s", "500.0");
    is(second, "memory.total_bytes", "null");
    is(second, "load", "[null,null,null]");
    struct error err = ERROR_NULL;
    double busy, steal;
    assert_int_equal(json_require_number(second, "rates.cpu_busy_share", &busy, &err), 0);
    assert_int_equal(json_require_number(second, "rates.cpu_steal_share", &steal, &err), 0);
    assert_true(fabs(busy - 200.0 / 300) < 1e-9 && fabs(steal - 20.0 / 300) < 1e-9);
    /* The host was started again. */
    cleanup(json_freep) struct json *back = line_of(&a, &b);
    is(back, "rates", "null");
}

static void a_hostile_host_does_no_harm(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        ":",
        "stat",
        "stat:cpu  1 2 3",
        "stat:cpu  -1 2 3 4 5 6 7 8",
        "stat:ctxt 99999999999999999999999",
        "stat:procs_running many",
        "uptime:nan",
        "uptime:1e999",
        "loadavg:inf -1 0x10",
        "meminfo:MemTotal: 18446744073709551615 kB",
        "meminfo:MemAvailable: 18446744073709551 kB",
        "net/dev:: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "net/dev:a-name-that-is-much-longer-than-any-that-the-kernel-would-give: 1 2 3 4 5 6 7 8 9",
        "net/dev:\x1b[2J: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "net/dev:eth0: 18446744073709551614 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "net/dev:eth1: 18446744073709551614 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
        "diskstats: 1 1 sda 1 1 18446744073709551614 1 1 1 1 1 1 1",
        "diskstats: 1 1 a-name-that-is-much-longer-than-any-that-the-kernel-gives 1 1 1 1 1 1 1 1 "
        "1",
        "pressure/cpu:some total=",
        "pressure/cpu:neither total=5",
        "a-file-of-a-very-long-name-indeed:1",
        NULL,
    };
    struct host_load l;
    struct series_point point;
    read_all(lines, &l);
    assert_false(l.has_ticks);
    assert_true(isnan(l.uptime_s) && isnan(l.load[0]));
    assert_int_equal(l.context_switches, HOST_LOAD_UNKNOWN);
    assert_int_equal(l.memory_bytes, HOST_LOAD_UNKNOWN);
    assert_int_equal(l.disks[0].read_bytes, HOST_LOAD_UNKNOWN);
    host_load_point(&l, 1, &point);
    assert_int_equal(point.values[HOST_RECEIVED_BYTES], UINT64_MAX);
    assert_false(point.known >> HOST_ALL_TICKS & 1);
    cleanup(json_freep) struct json *line = line_of(&l, NULL);
    is(line, "ticks", "null");
    is(line, "interfaces.eth0.received_bytes", "null");
    for (int i = 0; i < 1000; i++) {
        host_load_line(&l, "net/dev: x: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
        host_load_line(&l, "diskstats: 1 1 x 1 1 1 1 1 1 1 1 1 1");
    }
    assert_int_equal(l.interface_count, HOST_LOAD_DEVICES_MAX);
    assert_true(l.disk_count <= HOST_LOAD_DEVICES_MAX);
    cleanup(json_freep) struct json *full = line_of(&l, NULL);
    assert_true(json_is_object(json_find(full, "interfaces.x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proc_is_read),
        cmocka_unit_test(disks_are_counted_once),
        cmocka_unit_test(rates_are_since_the_sample_before),
        cmocka_unit_test(a_hostile_host_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
