#include "runner/collect/host_facts.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <string.h>

/* The folder is put in front as $root. What fails says nothing, and the next line goes on. Numbers
 * below /proc/sys are for whoever reads them at once: `read` of some shells takes one byte at a
 * time, and gets the first digit alone. */
static const char command[] =
    "say() { [ -r \"$2\" ] && read -r v <\"$2\" && printf '%s %s\\n' \"$1\" \"$v\"; }\n"
    "sys=/sys/devices/system\n"
    "say core /proc/sys/kernel/core_pattern\n"
    "printf 'files %s\\n' \"$(cat /proc/sys/fs/nr_open)\"\n"
    "say kernel /proc/sys/kernel/osrelease\n"
    "printf 'swappiness %s\\n' \"$(cat /proc/sys/vm/swappiness)\"\n"
    "say cpus $sys/cpu/online\n"
    "say governor $sys/cpu/cpu0/cpufreq/scaling_governor\n"
    "say no_turbo $sys/cpu/intel_pstate/no_turbo\n"
    "say boost $sys/cpu/cpufreq/boost\n"
    "say nodes $sys/node/online\n"
    "say clocksource $sys/clocksource/clocksource0/current_clocksource\n"
    "say huge /sys/kernel/mm/transparent_hugepage/enabled\n"
    "say vendor /sys/class/dmi/id/sys_vendor\n"
    "say product /sys/class/dmi/id/product_name\n"
    "say memory /proc/meminfo\n"
    "printf 'model %s\\n' \"$(grep -m 1 '^model name' /proc/cpuinfo)\"\n"
    "printf 'cores %s\\n' \"$(cat $sys/cpu/cpu[0-9]*/topology/thread_siblings_list | sort -u | "
    "wc -l)\"\n"
    "printf 'virtual %s\\n' \"$(systemd-detect-virt || "
    "{ grep -q '^flags.* hypervisor' /proc/cpuinfo && echo yes; })\"\n"
    "set -- $(df -Pk -- \"$root\" | tail -n 1)\n"
    "printf 'disk_kib %s\\ndisk %s\\nfilesystem %s\\n' \"$2\" \"$4\" \"$1\"\n"
    "d=$(stat -c %d -- \"$root\") && d=/sys/dev/block/$((d >> 8 & 4095)):$((d & 255)) &&\n"
    "  [ -e \"$d\" ] && d=$(readlink -f \"$d\") && {\n"
    "  [ ! -e \"$d/partition\" ] || d=${d%/*}\n"
    "  printf 'device %s\\n' \"${d##*/}\"\n"
    "  say rotates \"$d/queue/rotational\"\n"
    "}\n"
    "while read -r i to rest; do\n"
    "  [ \"$to\" != 00000000 ] || { printf 'interface %s\\n' \"$i\"\n"
    "    say speed \"/sys/class/net/$i/speed\"; break; }\n"
    "done </proc/net/route\n"
    "exit 0\n";

/* ---- lines ---- */

/* What follows "NAME " at the beginning of a line; malloc()ed, NULL when there is none. */
static char *fact(const char *text, const char *name) {
    size_t size = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (strncmp(line, name, size) == 0 && line[size] == ' ')
            return text_format("%.*s", (int)strcspn(line + size + 1, "\n"), line + size + 1);
    return NULL;
}

static void copy(const char *text, const char *name, char *out, size_t size) {
    cleanup_free char *value = fact(text, name);
    out[0] = '\0';
    if (value)
        text_safe(value, out, size);
}

/* The digits that `value` begins with. */
static uint64_t number_in(const char *value, uint64_t max, uint64_t unit) {
    struct error ignored = ERROR_NULL;
    uint64_t number;
    cleanup_free char *digits = text_format("%.*s", (int)strspn(value, "0123456789"), value);
    return text_to_u64(digits, 0, max, &number, &ignored) < 0 ? HOST_FACT_UNKNOWN : number * unit;
}

static uint64_t number(const char *text, const char *name, uint64_t max, uint64_t unit) {
    cleanup_free char *value = fact(text, name);
    return value ? number_in(value, max, unit) : HOST_FACT_UNKNOWN;
}

/* Behind a colon and what follows it: "model name\t: Some CPU", "MemTotal:   1 kB". */
static const char *behind_colon(const char *value) {
    const char *colon = strchr(value, ':');
    return colon ? colon + 1 + strspn(colon + 1, " \t") : "";
}

static void read_model(const char *text, struct host_facts *ret) {
    cleanup_free char *value = fact(text, "model");
    if (value)
        text_safe(behind_colon(value), ret->cpu_model, sizeof ret->cpu_model);
}

static void read_memory(const char *text, struct host_facts *ret) {
    cleanup_free char *value = fact(text, "memory");
    if (value && text_starts(value, "MemTotal:"))
        ret->memory_bytes = number_in(behind_colon(value), UINT64_MAX / 1024 - 1, 1024);
}

/* "always [madvise] never" */
static void read_huge_pages(const char *text, struct host_facts *ret) {
    cleanup_free char *value = fact(text, "huge");
    char *chosen = value ? strchr(value, '[') : NULL;
    if (!chosen)
        return;
    chosen[1 + strcspn(chosen + 1, "]")] = '\0';
    text_safe(chosen + 1, ret->huge_pages, sizeof ret->huge_pages);
}

static void read_turbo(const char *text, struct host_facts *ret) {
    uint64_t off = number(text, "no_turbo", 1, 1);
    ret->turbo = off == HOST_FACT_UNKNOWN ? number(text, "boost", 1, 1) : !off;
}

/* "0-1,4": how many. */
static uint64_t count_list(const char *list) {
    uint64_t count = 0;
    while (*list) {
        uint64_t first = number_in(list, UINT16_MAX, 1), last = first;
        list += strspn(list, "0123456789");
        if (*list == '-') {
            last = number_in(list + 1, UINT16_MAX, 1);
            list += 1 + strspn(list + 1, "0123456789");
        }
        if (first == HOST_FACT_UNKNOWN || last == HOST_FACT_UNKNOWN || last < first ||
            (*list && *list != ','))
            return HOST_FACT_UNKNOWN;
        count += last - first + 1;
        list += *list == ',';
    }
    return count ? count : HOST_FACT_UNKNOWN;
}

void host_facts_read(const char *text, struct host_facts *ret) {
    *ret = (struct host_facts){.memory_bytes = HOST_FACT_UNKNOWN};
    copy(text, "core", ret->core_pattern, sizeof ret->core_pattern);
    copy(text, "kernel", ret->kernel, sizeof ret->kernel);
    copy(text, "cpus", ret->cpus_online, sizeof ret->cpus_online);
    copy(text, "governor", ret->governor, sizeof ret->governor);
    copy(text, "clocksource", ret->clocksource, sizeof ret->clocksource);
    copy(text, "vendor", ret->vendor, sizeof ret->vendor);
    copy(text, "product", ret->product, sizeof ret->product);
    copy(text, "virtual", ret->virtualisation, sizeof ret->virtualisation);
    copy(text, "interface", ret->interface, sizeof ret->interface);
    copy(text, "device", ret->disk, sizeof ret->disk);
    if (!ret->disk[0])
        copy(text, "filesystem", ret->disk, sizeof ret->disk);
    read_model(text, ret);
    read_memory(text, ret);
    read_huge_pages(text, ret);
    read_turbo(text, ret);
    cleanup_free char *nodes = fact(text, "nodes");
    ret->numa_nodes = nodes ? count_list(nodes) : HOST_FACT_UNKNOWN;
    ret->cores = number(text, "cores", UINT16_MAX, 1);
    if (ret->cores == 0)
        ret->cores = HOST_FACT_UNKNOWN;
    ret->swappiness = number(text, "swappiness", UINT16_MAX, 1);
    ret->open_files_max = number(text, "files", UINT64_MAX - 1, 1);
    ret->disk_bytes = number(text, "disk_kib", UINT64_MAX / 1024 - 1, 1024);
    ret->disk_free_bytes = number(text, "disk", UINT64_MAX / 1024 - 1, 1024);
    ret->disk_rotates = number(text, "rotates", 1, 1);
    ret->interface_mbit_per_s = number(text, "speed", INT32_MAX, 1); /* -1: it has none */
}

int host_facts_ask(struct host *host, const char *root, const struct task *task,
                   struct host_facts *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *quoted = host_quote(root && *root ? root : "/");
    cleanup_free char *script = text_format("exec 2>/dev/null; root=%s\n%s", quoted, command);
    cleanup_free char *words = host_quote(script);
    cleanup_free char *whole = text_format("exec /bin/sh -c %s", words);
    if (host_exec_text(host, whole, HOST_FACTS_MAX_BYTES, task, &text, err) < 0)
        return -1;
    host_facts_read(buffer_string(&text), ret);
    return 0;
}

/* ---- run.json ---- */

static void set_text(struct json *object, const char *key, const char *text) {
    json_set(object, key, *text ? json_new_text(text) : json_new_null());
}

static void set_number(struct json *object, const char *key, uint64_t number) {
    json_set(object, key, number > INT64_MAX ? json_new_null() : json_new_int((int64_t)number));
}

static void set_truth(struct json *object, const char *key, uint64_t truth) {
    json_set(object, key, truth > 1 ? json_new_null() : json_new_bool(truth == 1));
}

struct json *host_facts_json(const struct host_facts *f) {
    bool ec2 = text_equal(f->vendor, "Amazon EC2");
    struct json *object = json_new_object();
    set_text(object, "kernel", f->kernel);
    struct json *cpu = json_set_object(object, "cpu");
    set_text(cpu, "model", f->cpu_model);
    set_text(cpu, "online", f->cpus_online);
    set_number(cpu, "cores", f->cores);
    set_text(cpu, "governor", f->governor);
    set_truth(cpu, "turbo", f->turbo);
    set_number(object, "numa_nodes", f->numa_nodes);
    set_number(object, "memory_bytes", f->memory_bytes);
    set_text(object, "transparent_huge_pages", f->huge_pages);
    set_number(object, "swappiness", f->swappiness);
    set_text(object, "clocksource", f->clocksource);
    set_text(object, "virtualisation", f->virtualisation);
    set_text(object, "vendor", f->vendor);
    set_text(object, "product", f->product);
    set_text(object, "instance_type", ec2 ? f->product : "");
    struct json *disk = json_set_object(object, "disk");
    set_text(disk, "name", f->disk);
    set_truth(disk, "rotates", f->disk_rotates);
    set_number(disk, "size_bytes", f->disk_bytes);
    set_number(disk, "free_bytes", f->disk_free_bytes);
    struct json *interface = json_set_object(object, "interface");
    set_text(interface, "name", f->interface);
    set_number(interface, "mbit_per_s", f->interface_mbit_per_s);
    return object;
}
