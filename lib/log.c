#include "lib/log.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <log4cplus/clogger.h>

/* Times are UTC. */
static const char default_properties[] =
    "log4cplus.rootLogger=%s, console\n"
    "log4cplus.appender.console=log4cplus::ConsoleAppender\n"
    "log4cplus.appender.console.logToStdErr=true\n" /* stdout is for results */
    "log4cplus.appender.console.ImmediateFlush=true\n"
    "log4cplus.appender.console.layout=log4cplus::PatternLayout\n"
    "log4cplus.appender.console.layout.ConversionPattern="
    "%%d{%%Y-%%m-%%dT%%H:%%M:%%S.%%q}Z %%-5p %%c: %%m%%n\n";

static const struct {
    log4cplus_loglevel_t value;
    const char *name;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {L4CP_DEBUG_LOG_LEVEL, "DEBUG"},
    [LOG_LEVEL_INFO] = {L4CP_INFO_LOG_LEVEL, "INFO"},
    [LOG_LEVEL_WARN] = {L4CP_WARN_LOG_LEVEL, "WARN"},
    [LOG_LEVEL_ERROR] = {L4CP_ERROR_LOG_LEVEL, "ERROR"},
    [LOG_LEVEL_OFF] = {L4CP_OFF_LOG_LEVEL, "OFF"},
};

/* log4cplus keeps its state for the process; so do we. */
static void *initializer;

/* ---- opening ---- */

/* Without one it would log nothing, and say so only once something is logged. */
static bool has_root_logger(const char *text) {
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += strspn(line, " \t\r\n");
        if (text_starts(line, "log4cplus.rootLogger") || text_starts(line, "include "))
            return true;
    }
    return false;
}

static int check_file(const char *properties, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file_read(properties, LOG_CONFIGURATION_MAX, &text, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "the log configuration");
    }
    if (!has_root_logger(buffer_string(&text)))
        return error_set(err, ERROR_CONFIG,
                         "the log configuration '%s' has no log4cplus.rootLogger: nothing would be "
                         "logged",
                         properties);
    return 0;
}

/* What is written to stderr meanwhile. */
static int listen_to_stderr(int *ret_saved, int *ret_heard, struct error *err) {
    cleanup_close int heard = memfd_create("log4cplus", MFD_CLOEXEC);
    cleanup_close int saved = heard < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
    if (saved < 0 || dup2(heard, STDERR_FILENO) < 0)
        return error_set_os(err, ERROR_IO, errno, "read log4cplus' errors");
    *ret_saved = take_fd(&saved);
    *ret_heard = take_fd(&heard);
    return 0;
}

/* The first mistake in a text of log4cplus' own; "" if there is none. */
static void find_mistake(const char *said, char *ret, size_t size) {
    static const char mark[] = "log4cplus:ERROR ";
    const char *at = strstr(said, mark);
    ret[0] = '\0';
    if (at)
        snprintf(ret, size, "%.*s", (int)strcspn(at + strlen(mark), "\n"), at + strlen(mark));
}

/* It tells of mistakes on stderr only, and goes on without what it did not understand. What else it
 * says there, warnings, is passed on. */
static int configure(const char *properties, struct error *err) {
    char said[4096] = "", mistake[512];
    cleanup_close int saved = -1, heard = -1;
    if (listen_to_stderr(&saved, &heard, err) < 0)
        return -1;
    int failed = log4cplus_file_configure(properties);
    ssize_t n = pread(heard, said, sizeof said - 1, 0);
    dup2(saved, STDERR_FILENO);
    said[n > 0 ? n : 0] = '\0';
    find_mistake(said, mistake, sizeof mistake);
    if (mistake[0] || failed)
        return error_set(err, ERROR_CONFIG, "the log configuration '%s': %s", properties,
                         mistake[0] ? mistake : "log4cplus does not understand it");
    fputs(said, stderr);
    return 0;
}

int log_open(const char *properties, enum log_level level, struct error *err) {
    char text[1024];
    if (properties && check_file(properties, err) < 0)
        return -1;
    if (!initializer)
        initializer = log4cplus_initialize();
    if (properties)
        return configure(properties, err);
    snprintf(text, sizeof text, default_properties, levels[level].name);
    if (log4cplus_str_configure(text))
        return error_set(err, ERROR_CONFIG,
                         "log4cplus does not understand its default "
                         "configuration");
    return 0;
}

void log_close(void) {
    if (!initializer)
        return;
    log4cplus_shutdown();
    log4cplus_deinitialize(initializer);
    initializer = NULL;
}

/* ---- writing ---- */

bool log_enabled(const char *logger, enum log_level level) {
    return log4cplus_logger_is_enabled_for(logger, levels[level].value);
}

void log_write(const char *logger, enum log_level level, const char *format, ...) {
    char line[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    cleanup(buffer_deinit) struct buffer harmless;
    buffer_init(&harmless, 4 * sizeof line);
    text_harmless(&harmless, line, strlen(line));
    log4cplus_logger_log_str(logger, levels[level].value, buffer_string(&harmless));
}
