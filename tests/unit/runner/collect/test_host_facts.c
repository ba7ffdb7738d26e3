/* What a host says that it is. */

#include "lib/cleanup.h"
#include "lib/json.h"
#include "runner/collect/host_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char ec2[] = "core |/usr/lib/systemd/systemd-coredump %P\n"
                          "files 1048576\n"
                          "kernel 6.1.0-18-cloud-amd64\n"
                          "swappiness 60\n"
                          "cpus 0-7\n"
                          "governor performance\n"
                          "no_turbo 0\n"
                          "nodes 0-1,3\n"
                          "clocksource tsc\n"
                          "huge always [madvise] never\n"
                          "vendor Amazon EC2\n"
                          "product i3.2xlarge\n"
                          "memory MemTotal:       24683620 kB\n"
                          "model model name\t: Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz\n"
                          "cores 4\n"
                          "virtual amazon\n"
                          "disk_kib 1000\n"
                          "disk 400\n"
                          "filesystem /dev/nvme0n1p1\n"
                          "device nvme0n1\n"
                          "rotates 0\n"
                          "interface ens3\n"
                          "speed 10000\n";

static struct json *json_of(const char *text) {
    struct host_facts facts;
    host_facts_read(text, &facts);
    return host_facts_json(&facts);
}

static void is(const struct json *v, const char *path, const char *expected) {
    const struct json *found = json_find(v, path);
    assert_non_null(found);
    cleanup_free char *text = json_to_text(found, JSON_LINE);
    assert_string_equal(text, expected);
}

static void a_machine_is_described(void **state) {
    (void)state;
    struct host_facts facts;
    host_facts_read(ec2, &facts);
    assert_string_equal(facts.core_pattern, "|/usr/lib/systemd/systemd-coredump %P");
    assert_int_equal(facts.open_files_max, 1048576);
    assert_int_equal(facts.disk_free_bytes, 400 * 1024);
    cleanup(json_freep) struct json *v = host_facts_json(&facts);
    is(v, "instance_type", "\"i3.2xlarge\"");
    is(v, "kernel", "\"6.1.0-18-cloud-amd64\"");
    is(v, "cpu.model", "\"Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz\"");
    is(v, "cpu.cores", "4");
    is(v, "cpu.governor", "\"performance\"");
    is(v, "cpu.turbo", "true");
    is(v, "numa_nodes", "3");
    is(v, "memory_bytes", "25276026880");
    is(v, "transparent_huge_pages", "\"madvise\"");
    is(v, "disk.name", "\"nvme0n1\"");
    is(v, "disk.rotates", "false");
    is(v, "disk.size_bytes", "1024000");
    is(v, "interface.mbit_per_s", "10000");
}

static void what_a_host_does_not_say_is_null(void **state) {
    (void)state;
    static const char small[] = "cpus 0\nmodel \ncores 0\ndisk_kib \nfilesystem overlay\n"
                                "interface eth0\nspeed -1\nvendor QEMU\nproduct i3.2xlarge\n";
    cleanup(json_freep) struct json *nothing = json_of("");
    is(nothing, "kernel", "null");
    is(nothing, "memory_bytes", "null");
    is(nothing, "cpu.turbo", "null");
    is(nothing, "disk.rotates", "null");
    is(nothing, "interface.name", "null");
    cleanup(json_freep) struct json *v = json_of(small);
    is(v, "cpu.model", "null");
    is(v, "cpu.cores", "null");
    is(v, "disk.name", "\"overlay\"");
    is(v, "disk.size_bytes", "null");
    is(v, "interface.mbit_per_s", "null");
    is(v, "instance_type", "null"); /* only EC2 names types of instances like this */
}

static void a_hostile_host_does_no_harm(void **state) {
    (void)state;
    static const char *const texts[] = {
        "nodes 0-65535,0-65535,1-0",
        "nodes 5-",
        "nodes ,",
        "nodes 99999999999999999999",
        "memory MemTotal: 18446744073709551615 kB",
        "disk 18446744073709551615",
        "huge always [",
        "no_turbo 7",
        "swappiness -1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cleanup(json_freep) struct json *v = json_of(texts[i]);
        is(v, "numa_nodes", "null");
        is(v, "memory_bytes", "null");
        is(v, "disk.free_bytes", "null");
        is(v, "cpu.turbo", "null");
        is(v, "swappiness", "null");
    }
    char longer[8192];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(longer, "kernel \x1b[2J", strlen("kernel \x1b[2J"));
    struct host_facts facts;
    host_facts_read(longer, &facts);
    assert_true(strlen(facts.kernel) < sizeof facts.kernel);
    assert_null(strchr(facts.kernel, '\x1b'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_described),
        cmocka_unit_test(what_a_host_does_not_say_is_null),
        cmocka_unit_test(a_hostile_host_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
