/*
 * loader: the Performance Loader Tool. Arguments in, exit status out; everything else is behind
 * trial.h.
 */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "loader/durations.h"
#include "loader/import.h"
#include "loader/logs.h"
#include "loader/options.h"
#include "loader/recorded.h"
#include "loader/trial.h"
#include "loader/words.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct cancel cancel;
static volatile sig_atomic_t signal_first;

/* The first one ends the load, the second one the waiting for replies. */
static void on_signal(int number) {
    int again = signal_first != 0;
    if (!again)
        signal_first = number;
    cancel_raise(&cancel, again ? 2 : 1);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

static int complain(const struct error *err) {
    enum { TEXT_MAX = 4 * (ERROR_TEXT_MAX + ERROR_HINT_MAX) };
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    text_harmless(&text, err->text, strlen(err->text));
    if (err->hint[0]) {
        buffer_text(&text, "\nloader: hint: ");
        text_harmless(&text, err->hint, strlen(err->hint));
    }
    fprintf(stderr, "loader: %s\n", buffer_string(&text));
    return error_exit_status(err->kind);
}

static int export(const char *path, struct error *err) {
    cleanup_fclose FILE *from = fopen(path, "re");
    if (!from)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno, "open '%s'",
                            path);
    if (durations_export(from, stdout, err) < 0)
        return error_wrap(err, "'%s'", path);
    return 0;
}

static int run(const struct options *options) {
    struct error err = ERROR_NULL;
    if (cancel_init(&cancel, &err) < 0)
        return complain(&err);
    catch_signals();
    int r = options->command == OPTIONS_IMPORT ? import_run(options, &err)
                                               : trial_run(options, &cancel, &err);
    int status = r < 0 ? complain(&err) : r == TRIAL_GOOD ? 0 : 1;
    if (r == TRIAL_NOT_ALL_ACKNOWLEDGED)
        fputs("loader: not every request was acknowledged\n", stderr);
    bool told = r != TRIAL_INTERRUPTED && options_until_told(options) && cancel_level(&cancel) < 2;
    if (signal_first && !told) {
        fprintf(stderr, "loader: interrupted by %s\n",
                signal_first == SIGINT ? "SIGINT" : "SIGTERM");
        status = 128 + signal_first;
    }
    return status;
}

/* Without arguments, those of the environment count: in a container nobody types any. */
static int parse(int argc, char **argv, struct words *words, struct options *ret,
                 struct error *err) {
    const char *text = argc <= 1 ? getenv("SEATRIAL_LOADER_ARGS") : NULL;
    if (!text)
        return options_parse(argc, argv, ret, err);
    if (words_split("loader", text, words, err) < 0 ||
        options_parse(words->argc, words->argv, ret, err) < 0)
        return error_wrap(err, "SEATRIAL_LOADER_ARGS");
    return 0;
}

int main(int argc, char **argv) {
    cleanup(words_deinit) struct words words = WORDS_NULL;
    cleanup(options_deinit) struct options options = {.command = OPTIONS_RUN};
    struct error err = ERROR_NULL;
    if (parse(argc, argv, &words, &options, &err) < 0)
        return complain(&err);
    switch (options.command) {
    case OPTIONS_HELP: options_print_help(stdout); return 0;
    case OPTIONS_VERSION: puts("loader " SEATRIAL_VERSION); return 0;
    case OPTIONS_EXPORT: return export(options.files[0], &err) < 0 ? complain(&err) : 0;
    case OPTIONS_MERGE:
        return logs_merge(options.files, options.files_count, options.merged_path, &err) < 0
                   ? complain(&err)
                   : 0;
    case OPTIONS_SUMMARIZE:
        return recorded_summarize(options.files, options.files_count, stdout, &err) < 0
                   ? complain(&err)
                   : 0;
    case OPTIONS_IMPORT:
    case OPTIONS_RUN: break;
    }
    return run(&options);
}
