#include "runner/run/core_pattern.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/run/describe.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Of the program, and of the process as its container knows it: no two have the same. */
#define NAME_PATTERN "core.%e.%p"

static bool never_by_limit(const struct project_service *service) {
    for (size_t i = 0; i < service->ulimit_count; i++)
        if (text_equal(service->ulimits[i].name, "core") && service->ulimits[i].soft == 0)
            return true;
    return false;
}

/* Which of the two names of the folder fits into a pattern: the one that all services share. */
static const char *folder_of_choice(const struct project_service *service) {
    return describe_cores_are_ours(service) ? DESCRIBE_CORES : describe_cores(service);
}

static bool is_folder(const struct project_service *service, const char *path) {
    cleanup_free char *folder = project_resolve_path("/", describe_cores(service));
    return text_equal(path, folder) ||
           (describe_cores_are_ours(service) && text_equal(path, DESCRIBE_CORES));
}

static void say_sysctl(const struct project_service *service, struct buffer *remedy) {
    cleanup_free char *folder = project_resolve_path("/", folder_of_choice(service));
    buffer_format(remedy, "`sysctl kernel.core_pattern=%s/%s` on the host", folder, NAME_PATTERN);
}

static enum core_way piped(const char *pattern, const struct project_service *service,
                           struct buffer *what, struct buffer *remedy) {
    char shown[80];
    buffer_format(what, "it goes to a program on the host and is not collected: '%s'",
                  text_safe(pattern, shown, sizeof shown));
    if (strstr(pattern, "systemd-coredump"))
        buffer_text(remedy, "there `coredumpctl list` shows it and `coredumpctl dump PID` gets it; "
                            "to have it collected: ");
    else if (strstr(pattern, "apport"))
        buffer_text(remedy, "apport keeps nothing of what it finds in no package of the host; to "
                            "have it collected, end apport there (`systemctl disable --now "
                            "apport`) and: ");
    say_sysctl(service, remedy);
    return CORE_PIPED;
}

static bool below(const char *path, const char *folder) {
    size_t size = strlen(folder);
    return strncmp(path, folder, size) == 0 &&
           (path[size] == '\0' || path[size] == '/' || size == 1);
}

/* Does something writable cover the path in a container whose own root is read-only? */
static bool may_be_writable(const struct project_service *service, const char *path) {
    bool writable = !service->read_only || below(path, "/seatrial/out");
    for (size_t i = 0; i < service->mount_count; i++)
        if (below(path, service->mounts[i].target) && !service->mounts[i].read_only)
            writable = true;
    for (size_t i = 0; service->tmpfs && service->tmpfs[i].name; i++)
        if (below(path, service->tmpfs[i].name))
            writable = true;
    return writable;
}

static enum core_way relative(const char *folder, const char *working_dir,
                              const struct project_service *service, struct buffer *what,
                              struct buffer *remedy) {
    cleanup_free char *base = project_resolve_path("/", working_dir);
    cleanup_free char *path = project_resolve_path(base, folder);
    const char *wanted = describe_cores(service);
    char shown[200];
    if (is_folder(service, path)) {
        buffer_format(what, "it appears in '%s', its working directory, and is collected", wanted);
        return CORE_ARRIVES;
    }
    buffer_format(remedy, "say `working_dir: %s`, or ", wanted);
    say_sysctl(service, remedy);
    text_safe(path, shown, sizeof shown);
    if (!may_be_writable(service, path)) {
        buffer_format(what, "it is lost: it would appear in '%s', which is read-only", shown);
        return CORE_NOT_WRITTEN;
    }
    buffer_format(what,
                  "it appears in '%s', where it started, if its user may write there, and not "
                  "in '%s'",
                  shown, wanted);
    return CORE_IN_WORKING_DIR;
}

static enum core_way absolute(const char *folder, const struct project_service *service,
                              struct buffer *what, struct buffer *remedy) {
    cleanup_free char *path = project_resolve_path("/", folder);
    const char *wanted = describe_cores(service);
    char shown[200];
    if (is_folder(service, path)) {
        buffer_format(what, "it appears in '%s' and is collected", wanted);
        return CORE_ARRIVES;
    }
    bool writable = may_be_writable(service, path);
    buffer_format(what,
                  writable ? "it appears in '%s' of its container, if there is such a folder, and "
                             "not in '%s'"
                           : "it is lost: it would appear in '%s', which is read-only, and not in "
                             "'%s'",
                  text_safe(path, shown, sizeof shown), wanted);
    say_sysctl(service, remedy);
    if (!describe_cores_are_ours(service))
        return writable ? CORE_ELSEWHERE : CORE_NOT_WRITTEN;
    buffer_format(remedy, ", or say `cores: %s`", shown);
    return writable ? CORE_ELSEWHERE : CORE_NOT_WRITTEN;
}

enum core_way core_pattern_judge(const char *pattern, const struct project_service *service,
                                 const char *working_dir, struct buffer *what,
                                 struct buffer *remedy) {
    const char *slash = strrchr(pattern, '/');
    cleanup_free char *folder = text_format("%.*s", slash ? (int)(slash - pattern) : 0, pattern);
    if (never_by_limit(service)) {
        buffer_text(what, "it is not written: `ulimits` of the service forbid it");
        buffer_text(remedy, "take `core: 0` away");
        return CORE_NOT_WRITTEN;
    }
    if (pattern[0] == '|')
        return piped(pattern, service, what, remedy);
    if (pattern[0] == '\0') {
        buffer_text(what, "it is not written: the host's core pattern is empty");
        say_sysctl(service, remedy);
        return CORE_NOT_WRITTEN;
    }
    if (pattern[0] == '/')
        return absolute(*folder ? folder : "/", service, what, remedy);
    if (working_dir)
        return relative(*folder ? folder : ".", working_dir, service, what, remedy);
    buffer_text(what, "it appears where its container starts: the image, which says where that is, "
                      "is not there");
    buffer_format(remedy, "`working_dir: %s` is sure", describe_cores(service));
    return CORE_NOT_KNOWN;
}

/* Each %x stands for anything; what fnmatch() would take for its own is quoted. */
static void to_glob(const char *pattern, struct buffer *out) {
    for (const char *p = pattern; *p; p++) {
        if (*p == '%' && p[1] == '%')
            buffer_text(out, (p++, "%"));
        else if (*p == '%' && isalpha((unsigned char)p[1]))
            buffer_text(out, (p++, "*"));
        else
            buffer_format(out, strchr("*?[]\\", *p) ? "\\%c" : "%c", *p);
    }
}

bool core_pattern_matches(const char *pattern, const char *name) {
    if (text_equal(name, "core") || text_starts(name, "core.") || text_ends(name, ".core"))
        return true;
    if (!pattern || pattern[0] == '|' || !pattern[0])
        return false;
    const char *slash = strrchr(pattern, '/');
    cleanup(buffer_deinit) struct buffer glob;
    buffer_init(&glob, CORE_SENTENCE_MAX);
    to_glob(slash ? slash + 1 : pattern, &glob);
    return !glob.overflowed && glob.size > 0 && fnmatch(buffer_string(&glob), name, 0) == 0;
}
