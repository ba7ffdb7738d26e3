/* What `seatrial doctor` says of core dumps: where those of each service would go on a host, and,
 * by --crash-test, where they do go. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/command/doctor.h"
#include "runner/engine/image.h"
#include "runner/remote/host.h"
#include "runner/run/core_pattern.h"
#include "runner/run/crash_test.h"
#include "runner/run/describe.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SERVICES_MAX = 20, SIGNAL_OFFSET = 128, SIGILL_NUMBER = 4 };

#define TIME_TO_CRASH_NS (60 * NS_PER_SEC)

/* Services that are asked for core dumps, and may come to this host. */
static bool concerns(const struct examination *x, const struct project_service *service) {
    const struct deployment_host *host = x->host->at->deployment;
    return describe_cores(service) && (!host || text_equal(host->fleet, service->seatrial.fleet));
}

/* What of its image matters; nothing when it is not there. */
static struct engine_image image_of(struct engine *engine, const struct project_service *service) {
    struct task task = doctor_task();
    struct error ignored = ERROR_NULL;
    struct engine_image image = ENGINE_IMAGE_NULL;
    if (engine)
        engine_image_inspect(engine, service->image, &task, &image, &ignored);
    return image;
}

static void foresee(struct examination *x, struct engine *engine, const char *pattern,
                    const struct project_service *service) {
    cleanup(engine_image_deinit) struct engine_image image = image_of(engine, service);
    cleanup(buffer_deinit) struct buffer what, remedy;
    buffer_init(&what, CORE_SENTENCE_MAX);
    buffer_init(&remedy, CORE_SENTENCE_MAX);
    const char *working_dir = service->working_dir ? service->working_dir : image.working_dir;
    enum core_way way = core_pattern_judge(pattern, service, working_dir, &what, &remedy);
    struct finding *f = doctor_find(x, "core dumps",
                                    way == CORE_ARRIVES     ? FINDING_GOOD
                                    : way == CORE_NOT_KNOWN ? FINDING_NOT_CHECKED
                                                            : FINDING_WARNING,
                                    "of %s: %s", service->name, buffer_string(&what));
    if (remedy.size > 0)
        f->remedy = text_format("%s: %s", service->name, buffer_string(&remedy));
}

/* ---- the crash test ---- */

static void find_lost(struct examination *x, const char *pattern,
                      const struct project_service *service, const char *working_dir,
                      const struct crash_test_result *result) {
    cleanup(buffer_deinit) struct buffer what, remedy;
    buffer_init(&what, CORE_SENTENCE_MAX);
    buffer_init(&remedy, CORE_SENTENCE_MAX);
    enum core_way way =
        core_pattern_judge(pattern ? pattern : "core", service, working_dir, &what, &remedy);
    char shown[200];
    struct finding *f = doctor_find(
        x, "crash test", FINDING_FAILED, "%s: no core dump arrived in '%s'%s%s%s; %s",
        service->name, describe_cores(service), result->elsewhere ? ", but one appeared as '" : "",
        result->elsewhere ? text_safe(result->elsewhere, shown, sizeof shown) : "",
        result->elsewhere ? "'" : "",
        result->exit_code != SIGNAL_OFFSET + SIGILL_NUMBER
            ? "its program did not crash as it should"
        : way == CORE_ARRIVES || !pattern ? "the kernel's log there may say why"
                                          : buffer_string(&what));
    f->remedy = remedy.size > 0 && pattern
                    ? text_format("%s: %s", service->name, buffer_string(&remedy))
                    : text_format("%s: see `dmesg` and `cat /proc/sys/kernel/core_pattern` there",
                                  service->name);
}

static void try(struct examination *x, struct engine *engine, const char *pattern,
                const char *architecture, const struct command_hosts *hosts,
                const struct project_service *service) {
    struct task all = doctor_task();
    struct task task = task_within(&all, TIME_TO_CRASH_NS);
    struct error err = ERROR_NULL;
    cleanup(engine_image_deinit) struct engine_image image = image_of(engine, service);
    cleanup(crash_test_result_deinit) struct crash_test_result result = {.elsewhere = NULL};
    const char *working_dir = service->working_dir ? service->working_dir : image.working_dir;
    const struct crash_test test = {.host = x->host->at->host,
                                    .engine = engine,
                                    .owner = hosts->context->owner,
                                    .project = hosts->files.project->name,
                                    .architecture = architecture,
                                    .core_pattern = pattern,
                                    .service = service,
                                    .image_user = image.user,
                                    .image_working_dir = image.working_dir};
    int r = crash_test_run(&test, &task, &result, &err);
    if (r < 0) {
        error_wrap(&err, "%s", service->name);
        doctor_find_error(x, "crash test", &err);
    } else if (r == 1)
        doctor_find(x, "crash test", FINDING_NOT_CHECKED,
                    "%s: we have no program that crashes on a machine of type %s", service->name,
                    architecture);
    else if (result.arrived)
        doctor_find(x, "crash test", FINDING_GOOD,
                    "%s: a core dump of %" PRIu64 " KiB arrived in '%s'%s", service->name,
                    result.size_bytes / 1024, describe_cores(service),
                    result.other_user ? " (of user 65534: its own has a name that only its image "
                                        "knows)"
                                      : "");
    else
        find_lost(x, pattern, service, working_dir, &result);
}

/* ---- all ---- */

void doctor_examine_cores(struct examination *x, const struct command_hosts *hosts,
                          const char *pattern, bool crash_test) {
    const struct project *project = hosts->files.project;
    struct task task = doctor_task();
    struct error err = ERROR_NULL;
    cleanup(engine_closep) struct engine *engine = NULL;
    cleanup(engine_info_deinit) struct engine_info info = ENGINE_INFO_NULL;
    if (engine_open(&x->host->at->engine, &task, &engine, &err) == 0 &&
        engine_info(engine, &task, &info, &err) < 0)
        engine_closep(&engine), engine = NULL;
    size_t count = 0;
    for (size_t i = 0; i < project->service_count && count < SERVICES_MAX; i++) {
        const struct project_service *service = &project->services[i];
        if (!concerns(x, service))
            continue;
        count++;
        if (pattern)
            foresee(x, engine, pattern, service);
        if (crash_test && engine)
            try(x, engine, pattern, info.architecture, hosts, service);
    }
    if (crash_test && !engine)
        doctor_find(x, "crash test", FINDING_NOT_CHECKED, "the engine was not reached");
    if (count == 0)
        doctor_find(x, "core dumps", FINDING_GOOD, "no service there is asked for any");
}
