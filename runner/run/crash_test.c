#include "runner/run/crash_test.h"

#include "lib/archive.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/core.h"
#include "runner/collect/crash_program.h"
#include "runner/collect/files.h"
#include "runner/collect/kept.h"
#include "runner/engine/container.h"
#include "runner/engine/image.h"
#include "runner/engine/transfer.h"
#include "runner/engine/volume.h"
#include "runner/run/core_pattern.h"
#include "runner/run/describe.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 4, LABELS_MAX = 5, MOUNTS_MAX = 3 };

/* What was made has to go, also when the user does not want to wait any more; but not for ever. */
#define TIME_TO_REMOVE_NS (30 * NS_PER_SEC)

static const char program_path[] = "/seatrial-crash";
/* Stands for a user whose number is not known: one without rights of its own. */
static const char other_user[] = "65534:65534";

struct making {
    const struct crash_test *test;
    const struct task *task;
    unsigned char build_id[CRASH_PROGRAM_ID_SIZE];
    char *name;   /* of container and volume */
    char *image;  /* name:tag */
    char *folder; /* here, for what it leaves; NULL: not made yet */
    char id[ENGINE_ID_SIZE];
};

/* ---- the image ---- */

/* A word of a Dockerfile's LABEL. */
static void quote_label(struct buffer *out, const char *text) {
    buffer_text(out, "\"");
    for (; *text; text++)
        buffer_format(out, strchr("\"\\$", *text) ? "\\%c" : "%c",
                      iscntrl((unsigned char)*text) ? ' ' : *text);
    buffer_text(out, "\"");
}

static char *label_line(const struct crash_test *test) {
    struct buffer line;
    buffer_init(&line, CORE_SENTENCE_MAX);
    buffer_text(&line, "LABEL " LABEL_IMAGE_OWNER "=");
    quote_label(&line, test->owner);
    buffer_text(&line, " " LABEL_PROJECT "=");
    quote_label(&line, test->project);
    return buffer_take(&line);
}

/* A folder of the image with all that are on the way to it: it is what a volume there begins as. */
static void add_folder(struct archive_list *list, const char *path) {
    cleanup_free char *whole = project_resolve_path("/", path);
    for (char *slash = strchr(whole + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (!text_equal(whole, "/seatrial")) /* which is there, and engines want nothing twice */
            archive_list_directory(list, whole + 1, 0755);
        *slash = '/';
    }
    archive_list_directory(list, whole + 1, 01777);
}

/* Has the service a name of its own for the folder, at which something can be mounted? */
static bool has_own_folder(const struct project_service *service) {
    cleanup_free char *whole = project_resolve_path("/", describe_cores(service));
    return !text_equal(whole, "/") && !text_equal(whole, "/seatrial") &&
           !text_equal(whole, DESCRIBE_CORES);
}

/* 1: it is not known how to crash there. */
static int make_image(const struct making *m, struct error *err) {
    cleanup(buffer_deinit) struct buffer program;
    cleanup(archive_list_freep) struct archive_list *list = archive_list_new();
    buffer_init(&program, CRASH_PROGRAM_SIZE_MAX);
    if (crash_program(m->test->architecture, m->build_id, &program) == 1)
        return 1;
    archive_list_directory(list, "seatrial", 0755);
    add_folder(list, DESCRIBE_CORES);
    if (has_own_folder(m->test->service))
        add_folder(list, describe_cores(m->test->service));
    archive_list_file(list, program_path + 1, 0755, program.data, program.size);
    cleanup(archive_stream_freep) struct archive_stream *stream =
        archive_stream_new(archive_list_items(list));
    struct source tar = archive_stream_source(stream);
    cleanup_free char *labels = label_line(m->test);
    const char *const changes[] = {labels, NULL};
    return engine_image_import(m->test->engine, m->image, changes, &tar, m->task, err);
}

/* ---- the container ---- */

static bool is_number(const char *user) {
    return user[strspn(user, "0123456789:")] == '\0';
}

static const char *choose_user(const struct crash_test *test, bool *ret_other) {
    const char *user = test->service->user ? test->service->user : test->image_user;
    *ret_other = user && !is_number(user) && !text_equal(user, "root");
    return *ret_other ? other_user : user && is_number(user) ? user : NULL;
}

/* A container of the project, so that `down` removes it should we be killed. */
static int make_container(struct making *m, struct crash_test_result *ret, struct error *err) {
    static const char *const command[] = {program_path, NULL};
    const struct crash_test *test = m->test;
    const struct engine_pair labels[LABELS_MAX] = {
        {LABEL_OWNER, test->owner}, {LABEL_PROJECT, test->project}, {LABEL_ONEOFF, "True"}};
    const char *folder = describe_cores(test->service);
    struct engine_mount mounts[MOUNTS_MAX] = {
        {.type = ENGINE_MOUNT_VOLUME, .source = m->name, .target = DESCRIBE_CORES}};
    if (has_own_folder(test->service))
        mounts[1] =
            (struct engine_mount){.type = ENGINE_MOUNT_VOLUME, .source = m->name, .target = folder};
    const struct engine_volume_spec volume = {.name = m->name, .labels = labels};
    cleanup(engine_volume_deinit) struct engine_volume made = ENGINE_VOLUME_NULL;
    if (engine_volume_create(test->engine, &volume, m->task, &made, err) < 0)
        return -1;
    struct description d;
    describe_like(test->service, &d);
    d.spec.name = m->name;
    d.spec.image = m->image;
    d.spec.cmd = command;
    d.spec.labels = labels;
    d.spec.mounts = mounts;
    d.spec.network_mode = "none";
    d.spec.user = choose_user(test, &ret->other_user);
    if (!d.spec.working_dir)
        d.spec.working_dir = test->image_working_dir;
    int r = engine_container_create(test->engine, &d.spec, m->task, m->id, err);
    description_deinit(&d);
    return r;
}

static int run_container(struct making *m, struct crash_test_result *ret, struct error *err) {
    if (engine_container_start(m->test->engine, m->id, m->task, err) < 0)
        return -1;
    return engine_container_wait(m->test->engine, m->id, m->task, &ret->exit_code, err);
}

/* ---- what it left ---- */

static bool is_ours(const struct making *m, int dir_fd, const char *name, uint64_t *ret_size) {
    struct stat st;
    struct error ignored = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    char wanted[2 * CRASH_PROGRAM_ID_SIZE + 1];
    cleanup_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || core_read(fd, &core, &ignored) != 0)
        return false;
    text_hex(m->build_id, sizeof m->build_id, wanted);
    *ret_size = (uint64_t)st.st_size;
    return core.signal == CRASH_PROGRAM_SIGNAL && core.main_module != CORE_NONE &&
           text_equal(core.modules[core.main_module].build_id, wanted);
}

static void look_for_core(const struct making *m, const char *folder,
                          struct crash_test_result *ret) {
    cleanup_closedir DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir && !ret->arrived && (entry = readdir(dir)))
        ret->arrived = is_ours(m, dirfd(dir), entry->d_name, &ret->size_bytes);
}

/* In its own layer, of which everything is new that is not a mount's. */
static int look_elsewhere(const struct making *m, struct crash_test_result *ret,
                          struct error *err) {
    cleanup(json_freep) struct json *changes = NULL;
    if (engine_container_changes(m->test->engine, m->id, m->task, &changes, err) < 0)
        return -1;
    for (size_t i = 0; i < json_count(changes) && !ret->elsewhere; i++) {
        const char *path = json_text_or_null(json_member(json_at(changes, i), "Path"));
        const char *slash = path ? strrchr(path, '/') : NULL;
        if (slash && core_pattern_matches(m->test->core_pattern, slash + 1))
            ret->elsewhere = text_dup(path);
    }
    return 0;
}

static int fetch(struct making *m, struct crash_test_result *ret, struct error *err) {
    const struct project_service *service = m->test->service;
    const char *tmp = getenv("TMPDIR");
    struct files_result result;
    cleanup_free char *folder = text_format("%s/seatrial-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return error_set_os(err, ERROR_IO, errno, "make the folder '%s'", folder);
    m->folder = take_ptr(folder);
    cleanup_free char *cores = path_join(m->folder, "cores");
    cleanup_free char *work = path_join(m->folder, "work");
    const struct files_from from = {
        .engine = m->test->engine, .host = m->test->host, .container = m->id, .work = work};
    const struct files_want want = {.path = has_own_folder(service) ? describe_cores(service)
                                                                    : DESCRIBE_CORES,
                                    .as = FILES_CONTENTS,
                                    .folder = cores};
    if (files_fetch(&from, &want, m->task, &result, err) < 0)
        return -1;
    look_for_core(m, cores, ret);
    return ret->arrived ? 0 : look_elsewhere(m, ret, err);
}

/* ---- the end ---- */

/* Whatever was made, whether or not its answer came. */
static int remove_there(const struct making *m, struct error *err) {
    struct engine *engine = m->test->engine;
    struct task forever = TASK_FOREVER;
    struct task task = task_within(&forever, TIME_TO_REMOVE_NS);
    struct error failed = ERROR_NULL;
    bool left = engine_container_remove(engine, m->name, true, true, &task, &failed) < 0;
    left |= engine_volume_remove(engine, m->name, &task, &failed) < 0;
    left |= engine_image_remove(engine, m->image, true, &task, &failed) < 0;
    if (!left)
        return 0;
    error_set(err, ERROR_LEFT_BEHIND, "%s", failed.text);
    return error_hint(err, "`docker rm -f %s; docker volume rm %s; docker rmi %s` there", m->name,
                      m->name, m->image);
}

static void name_things(struct making *m) {
    unsigned char bytes[NAME_BYTES];
    char suffix[2 * NAME_BYTES + 1];
    random_bytes(bytes, sizeof bytes);
    random_bytes(m->build_id, sizeof m->build_id);
    text_hex(bytes, sizeof bytes, suffix);
    m->name = text_format("seatrial-crash-test-%s", suffix);
    m->image = text_format("seatrial-crash-test:%s", suffix);
}

int crash_test_run(const struct crash_test *test, const struct task *task,
                   struct crash_test_result *ret, struct error *err) {
    struct making m = {.test = test, .task = task};
    struct crash_test_result result = {.elsewhere = NULL};
    name_things(&m);
    int r = make_image(&m, err);
    if (r == 0 && (make_container(&m, &result, err) < 0 || run_container(&m, &result, err) < 0 ||
                   fetch(&m, &result, err) < 0))
        r = -1;
    if (m.folder)
        kept_remove(m.folder);
    if (r != 1 && remove_there(&m, err) < 0)
        r = -1;
    free(m.name);
    free(m.image);
    free(m.folder);
    if (r == 0)
        *ret = result;
    else
        crash_test_result_deinit(&result);
    return r;
}

void crash_test_result_deinit(struct crash_test_result *result) {
    free(result->elsewhere);
    *result = (struct crash_test_result){.elsewhere = NULL};
}
