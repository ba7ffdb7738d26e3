#include "lib/log.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
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

int log_open(const char *properties, enum log_level level, struct error *err) {
    char text[1024];
    /* log4cplus reports an unreadable file on stderr and goes on without appenders. */
    if (properties && access(properties, R_OK) < 0)
        return error_set(err, ERROR_CONFIG, "the log configuration '%s' cannot be read",
                         properties);
    if (!initializer)
        initializer = log4cplus_initialize();
    snprintf(text, sizeof text, default_properties, levels[level].name);
    if (properties ? log4cplus_file_configure(properties) : log4cplus_str_configure(text))
        return error_set(err, ERROR_CONFIG, "log4cplus does not understand '%s'",
                         properties ? properties : "its default configuration");
    return 0;
}

void log_close(void) {
    if (!initializer)
        return;
    log4cplus_shutdown();
    log4cplus_deinitialize(initializer);
    initializer = NULL;
}

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
