#include "runner/collect/backtrace.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/remote/host.h"

#include <stdlib.h>
#include <string.h>

enum { SCRIPT_SIZE_MAX = 64 << 10, SECONDS_OF_CPU = 60, MEMORY_KIB_MAX = 8 << 20 };

/* In front of the frames of the thread that the signal came to. */
static const char mark[] = "== the thread that was ended ==";

/* ---- the command line ---- */

static void option(struct buffer *out, const char *name, const char *command) {
    cleanup_free char *quoted = host_quote(command);
    buffer_format(out, " %s %s", name, quoted);
}

static void common_options(struct buffer *out, const struct backtrace_want *want) {
    cleanup_free char *root = text_format("set sysroot %s", want->root);
    cleanup_free char *debug =
        text_format("set debug-file-directory /usr/lib/debug:%s/usr/lib/debug", want->root);
    buffer_text(out, "gdb -q -nx");
    option(out, "-iex", "set auto-load off");
    option(out, "-iex", root);
    option(out, "-iex", debug);
}

static void files(struct buffer *out, const struct backtrace_want *want) {
    cleanup_free char *core = host_quote(want->core);
    cleanup_free char *program = want->program ? host_quote(want->program) : NULL;
    if (program)
        buffer_format(out, " %s %s", program, core);
    else
        buffer_format(out, " -c %s", core);
}

char *backtrace_by_hand(const struct backtrace_want *want) {
    struct buffer out;
    buffer_init(&out, SCRIPT_SIZE_MAX);
    common_options(&out, want);
    files(&out, want);
    return buffer_take(&out);
}

char *backtrace_script(const struct backtrace_want *want) {
    static const char *const settings[] = {
        "set pagination off",       "set width 0",
        "set style enabled off",    "set print elements 200",
        "set print repeats 10",     "set print max-depth 4",
        "set max-value-size 65536", NULL,
    };
    cleanup_free char *limit = text_format("set backtrace limit %d", BACKTRACE_FRAMES_MAX);
    cleanup_free char *echo = text_format("echo \\n%s\\n", mark);
    struct buffer out;
    buffer_init(&out, SCRIPT_SIZE_MAX);
    buffer_format(&out,
                  "command -v gdb >/dev/null || exit 127\n"
                  "ulimit -c 0 && ulimit -t %d && ulimit -v %d && cd / || exit 1\n"
                  "exec env -i PATH=\"$PATH\" LC_ALL=C HOME=/nonexistent TERM=dumb ",
                  SECONDS_OF_CPU, MEMORY_KIB_MAX);
    common_options(&out, want);
    buffer_text(&out, " -batch");
    for (size_t i = 0; settings[i]; i++)
        option(&out, "-iex", settings[i]);
    option(&out, "-iex", limit);
    option(&out, "-ex", echo);
    option(&out, "-ex", "backtrace");
    option(&out, "-ex", "echo \\n== its registers ==\\n");
    option(&out, "-ex", "info registers");
    option(&out, "-ex", "x/i $pc");
    option(&out, "-ex", "echo \\n== all threads ==\\n");
    option(&out, "-ex", "thread apply all backtrace full");
    option(&out, "-ex", "echo \\n== files ==\\n");
    option(&out, "-ex", "info sharedlibrary");
    files(&out, want);
    buffer_text(&out, " 2>&1\n");
    return buffer_take(&out);
}

/* ---- what gdb says ---- */

static void copy(char *out, size_t out_size, const char *from, size_t size) {
    size = size < out_size ? size : out_size - 1;
    memcpy(out, from, size);
    out[size] = '\0';
}

static const char *find(const char *line, size_t size, const char *word) {
    return memmem(line, size, word, strlen(word));
}

/* "FILE:LINE" at the end of a line. */
static void read_place(const char *line, size_t size, struct backtrace_frame *ret) {
    static const char at[] = " at ";
    const char *place = NULL, *end = line + size;
    for (const char *p = line; (p = find(p, (size_t)(end - p), at)); p++)
        place = p + strlen(at);
    const char *colon = place ? memrchr(place, ':', (size_t)(end - place)) : NULL;
    if (!colon || colon == place || colon + 1 == end)
        return;
    unsigned number = 0;
    for (const char *p = colon + 1; p < end; p++) {
        if (*p < '0' || *p > '9' || number > 100000000)
            return;
        number = 10 * number + (unsigned)(*p - '0');
    }
    copy(ret->file, sizeof ret->file, place, (size_t)(colon - place));
    ret->line = number;
}

/* "#1  0x0000000000401136 in main (argc=1) at crash.c:13"; the address may be missing. */
static bool read_frame(const char *line, size_t size, struct backtrace_frame *ret) {
    const char *end = line + size, *p = line + 1;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    if (p == line + 1 || p == end || *p != ' ')
        return false;
    while (p < end && *p == ' ')
        p++;
    if (end - p > 2 && p[0] == '0' && p[1] == 'x') {
        const char *in = find(p, (size_t)(end - p), " in ");
        p = in ? in + strlen(" in ") : p;
    }
    const char *stop = find(p, (size_t)(end - p), " (");
    *ret = (struct backtrace_frame){.line = 0};
    copy(ret->function, sizeof ret->function, p, (size_t)((stop ? stop : end) - p));
    read_place(line, size, ret);
    return true;
}

bool backtrace_top(const char *text, struct backtrace_frame *ret) {
    const char *line = strstr(text, mark);
    bool any = false;
    line = line ? strchr(line, '\n') : NULL;
    while (line && line[1] == '#') {
        struct backtrace_frame frame;
        line++;
        size_t size = strcspn(line, "\n");
        if (read_frame(line, size, &frame) && (!any || frame.line)) {
            *ret = frame;
            any = true;
        }
        if (any && ret->line)
            break;
        line = strchr(line, '\n');
    }
    return any;
}
