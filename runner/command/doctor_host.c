/* What `seatrial doctor` looks at, host by host. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/collect/host_facts.h"
#include "runner/command/doctor.h"
#include "runner/remote/host.h"
#include "runner/run/describe.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { OPEN_FILES_WANTED = 65536 };
#define GIB (UINT64_C(1) << 30)
#define DISK_BYTES_MIN GIB
#define DISK_BYTES_WANTED (8 * GIB)
#define CLOCK_OFFSET_NS_WANTED (100 * NS_PER_MS)
#define TIME_TO_LOOK_NS (60 * NS_PER_SEC)

struct finding *doctor_find(struct examination *x, const char *check, enum finding_result result,
                            const char *format, ...) {
    va_list args;
    va_start(args, format);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, ERROR_TEXT_MAX);
    buffer_vformat(&text, format, args);
    va_end(args);
    assert(x->count < FINDINGS_MAX);
    struct finding *f = &x->findings[x->count++];
    *f = (struct finding){.check = check, .result = result, .text = text_dup(buffer_string(&text))};
    return f;
}

void doctor_find_error(struct examination *x, const char *check, const struct error *err) {
    struct finding *f = doctor_find(x, check, FINDING_FAILED, "%s", err->text);
    f->remedy = err->hint[0] ? text_dup(err->hint) : NULL;
}

void doctor_free_findings(struct examination *x) {
    for (size_t i = 0; i < x->count; i++) {
        free(x->findings[i].text);
        free(x->findings[i].remedy);
    }
    x->count = 0;
}

struct task doctor_task(void) {
    struct task task = command_task();
    return task_within(&task, TIME_TO_LOOK_NS);
}

/* ---- login ---- */

static bool examine_login(struct examination *x) {
    const struct testbed_host *at = x->host->at;
    if (!at->host && at->deployment && at->deployment->absent) {
        struct finding *f =
            doctor_find(x, "login", FINDING_NOT_CHECKED, "%s", at->deployment->absent);
        f->remedy = text_dup(at->err.hint);
        return false;
    }
    if (!at->host) {
        doctor_find_error(x, "login", &at->err);
        char **remedy = &x->findings[x->count - 1].remedy;
        if (!*remedy && at->ssh)
            *remedy = text_format("is it on, and does `ssh %s` get there? The deployment file says "
                                  "where it is",
                                  at->ssh);
        return false;
    }
    const struct host_ssh *ssh = host_ssh(at->host);
    if (ssh)
        doctor_find(x, "login", FINDING_GOOD, "%s@%s:%u%s%s", ssh->user, ssh->address, ssh->port,
                    ssh->identity_file ? " by " : "", ssh->identity_file ? ssh->identity_file : "");
    return true;
}

/* ---- the engine ---- */

static void examine_leftovers(struct examination *x, struct engine *engine,
                              const struct command_hosts *hosts) {
    struct task task = doctor_task();
    struct error err = ERROR_NULL;
    const char *project = hosts->files.project->name;
    const struct engine_pair labels[] = {{LABEL_PROJECT, project}, {NULL, NULL}};
    cleanup(engine_container_list_deinit) struct engine_container_list list =
        ENGINE_CONTAINER_LIST_NULL;
    if (engine_container_list(engine, labels, &task, &list, &err) < 0) {
        doctor_find_error(x, "place", &err);
        return;
    }
    size_t foreign = 0;
    for (size_t i = 0; i < list.count; i++) {
        const char *owner = json_text_or_null(json_member(list.entries[i].labels, LABEL_OWNER));
        foreign += !text_equal(owner, hosts->context->owner);
    }
    if (foreign) {
        doctor_find(x, "place", FINDING_FAILED,
                    "project '%s' has %zu containers there that are not ours", project, foreign)
            ->remedy = text_dup("choose another project name with -p");
    } else if (list.count) {
        doctor_find(x, "place", FINDING_WARNING, "project '%s' has %zu containers there", project,
                    list.count)
            ->remedy = text_dup("`seatrial down` removes them, `run --clean-remote` too");
    } else
        doctor_find(x, "place", FINDING_GOOD, "project '%s' has nothing there", project);
}

/* A client of the socket in front of it only knows that the connection broke: the host knows more.
 */
static void find_engine_error(struct examination *x, const struct error *broken) {
    struct task task = doctor_task();
    struct host *host = x->host->at->host;
    struct error err = ERROR_NULL;
    doctor_find_error(x, "engine",
                      broken->kind == ERROR_UNREACHABLE && host_check_engine(host, &task, &err) < 0
                          ? &err
                          : broken);
    char **remedy = &x->findings[x->count - 1].remedy;
    if (!*remedy)
        *remedy = text_dup("start the Docker Engine there (`systemctl start docker`)");
}

/* Gives the folder in which the engine keeps its things; NULL when there is no engine. */
static char *examine_engine(struct examination *x, const struct command_hosts *hosts) {
    struct task task = doctor_task();
    struct error err = ERROR_NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    if (engine_open(&x->host->at->engine, &task, &engine, &err) < 0 ||
        engine_info(engine, &task, &info, &err) < 0) {
        find_engine_error(x, &err);
        return NULL;
    }
    doctor_find(
        x, "engine", FINDING_GOOD,
        "%s, API 1.%d, %s, %s, %" PRId64 " CPUs, %.1f GiB memory, %" PRId64 " containers run",
        info.server_version, engine_api_minor(engine), info.storage_driver, info.architecture,
        info.cpus, (double)info.memory_bytes / (double)GIB, info.containers_running);
    examine_leftovers(x, engine, hosts);
    return text_dup(*info.root_dir ? info.root_dir : "/var/lib/docker");
}

/* ---- the machine ---- */

static void examine_disk(struct examination *x, const struct host_facts *facts, const char *root) {
    uint64_t bytes = facts->disk_free_bytes;
    if (!root) {
        doctor_find(x, "disk", FINDING_NOT_CHECKED,
                    "only its engine says where it keeps its things");
        return;
    }
    if (bytes == HOST_FACT_UNKNOWN) {
        doctor_find(x, "disk", FINDING_WARNING, "the host does not say how much of '%s' is free",
                    root);
        return;
    }
    bool enough = bytes >= DISK_BYTES_MIN, plenty = bytes >= DISK_BYTES_WANTED;
    struct finding *f = doctor_find(x, "disk",
                                    plenty   ? FINDING_GOOD
                                    : enough ? FINDING_WARNING
                                             : FINDING_FAILED,
                                    "%.1f GiB free for '%s'", (double)bytes / (double)GIB, root);
    if (!plenty)
        f->remedy = text_dup("free some space there (`docker system df` shows what takes it)");
}

static void examine_limits(struct examination *x, const struct host_facts *facts) {
    uint64_t files = facts->open_files_max;
    if (files == HOST_FACT_UNKNOWN) {
        doctor_find(x, "limits", FINDING_WARNING,
                    "the host does not say how many files may be open");
        return;
    }
    bool enough = files >= OPEN_FILES_WANTED;
    struct finding *f = doctor_find(x, "limits", enough ? FINDING_GOOD : FINDING_WARNING,
                                    "a process may open %" PRIu64 " files", files);
    if (!enough)
        f->remedy = text_format("`sysctl fs.nr_open=%d` allows more", OPEN_FILES_WANTED);
}

/* `root`: the engine's folder, or NULL. */
static void examine_machine(struct examination *x, const struct command_hosts *hosts,
                            const char *root, bool crash_test) {
    struct task task = doctor_task();
    struct error err = ERROR_NULL;
    struct host_facts facts;
    if (host_facts_ask(x->host->at->host, root, &task, &facts, &err) < 0) {
        doctor_find_error(x, "machine", &err);
        return;
    }
    examine_disk(x, &facts, root);
    if (!facts.core_pattern[0])
        doctor_find(x, "core dumps", FINDING_WARNING, "the host does not say its core pattern");
    doctor_examine_cores(x, hosts, facts.core_pattern[0] ? facts.core_pattern : NULL, crash_test);
    examine_limits(x, &facts);
}

static void examine_clock(struct examination *x) {
    struct task task = doctor_task();
    struct error err = ERROR_NULL;
    struct host_clock clock;
    if (host_clock_offset(x->host->at->host, &task, &clock, &err) < 0) {
        doctor_find_error(x, "clock", &err);
        return;
    }
    int64_t ns = clock.offset_ns;
    uint64_t distance = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
    bool near = distance <= CLOCK_OFFSET_NS_WANTED + clock.uncertain_ns;
    struct finding *f = doctor_find(
        x, "clock", near ? FINDING_GOOD : FINDING_WARNING, "%.3f ms %s ours, give or take %.3f ms",
        (double)distance / 1e6, ns < 0 ? "behind" : "ahead of", (double)clock.uncertain_ns / 1e6);
    if (!near)
        f->remedy = text_dup("times in its logs are shifted by that; NTP would keep it right");
}

/* ---- all ---- */

static void skip(struct examination *x, const char *why, const char *const *checks) {
    for (; *checks; checks++)
        doctor_find(x, *checks, FINDING_NOT_CHECKED, "%s", why);
}

void doctor_examine(struct examination *x, const struct command_hosts *hosts, bool crash_test) {
    static const char *const all[] = {"engine", "place", "disk", "core dumps",
                                      "limits", "clock", NULL};
    static const char *const of_engine[] = {"place", NULL};
    static const char *const of_machine[] = {"disk", "core dumps", "limits", "clock", NULL};
    if (!examine_login(x)) {
        skip(x, "the host was not reached", all);
        return;
    }
    cleanup_free char *root = examine_engine(x, hosts);
    if (!root)
        skip(x, "the engine was not reached", of_engine);
    if (!host_is_of_engine(x->host->at->host)) {
        skip(x, "the engine is on a machine that is only reached through it", of_machine);
        if (crash_test)
            doctor_examine_cores(x, hosts, NULL, true);
        return;
    }
    examine_machine(x, hosts, root, crash_test);
    examine_clock(x);
}
