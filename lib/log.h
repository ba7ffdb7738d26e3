#pragma once

/*
 * The log of a process in a container: named loggers, one per room, configured by the
 * log4cplus.properties file of the trial, or to the console from level info on. The door to
 * log4cplus' C API.
 *
 * A message is one line, whatever foreign text is in it: control characters are made visible.
 *
 * Threads: log_write may be called from any; lines do not interleave.
 */

#include "lib/error.h"

#include <stdbool.h>

enum {
    LOG_LINE_MAX = 2048, /* longer messages are cut */
    LOG_CONFIGURATION_MAX = 1024 * 1024,
};

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF };

/* Once, before other threads start. `properties`: a file; NULL: the console, from `level` on.
 * ERROR_CONFIG: it cannot be read, says something that log4cplus does not understand, or names a
 * file that it cannot write; log4cplus would go on with less. */
int log_open(const char *properties, enum log_level level, struct error *err);
void log_close(void);

bool log_enabled(const char *logger, enum log_level level);
void log_write(const char *logger, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(logger, ...)                                                                     \
    do {                                                                                           \
        if (log_enabled((logger), LOG_LEVEL_DEBUG))                                                \
            log_write((logger), LOG_LEVEL_DEBUG, __VA_ARGS__);                                     \
    } while (0)
#define log_info(logger, ...) log_write((logger), LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(logger, ...) log_write((logger), LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(logger, ...) log_write((logger), LOG_LEVEL_ERROR, __VA_ARGS__)
