#include "runner/run/progress.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *const progress_mode_names[PROGRESS_MODE_COUNT] = {"auto", "tty", "plain", "json",
                                                              "quiet"};
const char *const ansi_mode_names[ANSI_MODE_COUNT] = {"auto", "always", "never"};

enum { SHOWN_MAX = 16, TEXT_MAX = 256, LINE_MAX_BYTES = 64 << 10 };

/* A step that runs. */
struct shown {
    size_t step;
    const struct step *what;
    char *host, *subject;
    struct instant begun;
    char text[TEXT_MAX];
    struct instant bytes_at; /* when they were written last */
};

/* Between two lines about the bytes that have come: a terminal is drawn over, a log is kept. */
#define BYTES_JSON_NS NS_PER_SEC
#define BYTES_PLAIN_NS (10 * NS_PER_SEC)

struct progress {
    enum progress_mode mode;
    bool colour;
    FILE *out;
    struct instant begun;
    struct shown *shown;
    size_t shown_count, shown_capacity;
    size_t drawn;             /* lines of running steps on the screen now */
    struct instant copied_at; /* when progress_copied wrote last */
};

struct progress *progress_new(enum progress_mode mode, enum ansi_mode ansi, FILE *out) {
    struct progress *p = mem_new(struct progress);
    bool terminal = isatty(fileno(out)) && !text_equal(getenv("TERM"), "dumb");
    if (mode == PROGRESS_AUTO)
        mode = terminal && !getenv("CI") ? PROGRESS_TTY : PROGRESS_PLAIN;
    const char *no_color = getenv("NO_COLOR");
    bool colour =
        ansi == ANSI_ALWAYS || (ansi == ANSI_AUTO && terminal && !(no_color && *no_color));
    if (mode == PROGRESS_TTY && ansi == ANSI_NEVER)
        mode = PROGRESS_PLAIN;
    *p = (struct progress){.mode = mode,
                           .colour = colour,
                           .out = out,
                           .begun = clock_instant(),
                           .copied_at = clock_instant()};
    return p;
}

void progress_free(struct progress *p) {
    if (!p)
        return;
    progress_clear(p);
    for (size_t i = 0; i < p->shown_count; i++) {
        free(p->shown[i].host);
        free(p->shown[i].subject);
    }
    free(p->shown);
    free(p);
}

static double seconds_since(struct instant t) {
    return (double)instant_ns_between(t, clock_instant()) / 1e9;
}

static const char *paint(const struct progress *p, const char *code) {
    return p->colour ? code : "";
}

void progress_clear(struct progress *p) {
    if (p->drawn)
        fprintf(p->out, "\r\x1b[%zuA\x1b[J", p->drawn);
    p->drawn = 0;
    fflush(p->out);
}

static unsigned terminal_columns(const struct progress *p) {
    struct winsize size;
    if (ioctl(fileno(p->out), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col;
    return 80;
}

static void line_head(struct buffer *line, const struct progress *p, const struct step *what,
                      const char *host, const char *subject) {
    buffer_format(line, "%s %s", step_verb(what->kind), subject);
    if (host && !text_equal(host, subject))
        buffer_format(line, " %son %s%s", paint(p, "\x1b[2m"), host, paint(p, "\x1b[0m"));
}

void progress_tick(struct progress *p) {
    if (p->mode != PROGRESS_TTY)
        return;
    progress_clear(p);
    unsigned columns = terminal_columns(p);
    for (size_t i = 0; i < p->shown_count && i < SHOWN_MAX; i++) {
        const struct shown *s = &p->shown[i];
        int room =
            (int)columns - 14 - (int)strlen(step_verb(s->what->kind)) - (int)strlen(s->subject);
        fprintf(p->out, "  %6.1fs %s%s %s%s  %.*s\n", seconds_since(s->begun), paint(p, "\x1b[36m"),
                step_verb(s->what->kind), s->subject, paint(p, "\x1b[0m"), room > 0 ? room : 0,
                s->text);
        p->drawn++;
    }
    fflush(p->out);
}

/* One object per line. Takes `object`. */
static void write_json(struct progress *p, struct json *object) {
    char now[WALL_TEXT_SIZE];
    json_set_text(object, "time", wall_text(clock_wall(), now));
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    json_write(object, JSON_LINE, &line);
    json_free(object);
    fprintf(p->out, "%s\n", buffer_string(&line));
    fflush(p->out);
}

static struct json *step_object(const struct shown *s, const char *state) {
    struct json *object = json_new_object();
    json_set_text(object, "event", "step");
    json_set_text(object, "stage", stage_name(s->what->stage));
    json_set_text(object, "step", step_kind_name(s->what->kind));
    json_set_text(object, "host", s->host ? s->host : "local");
    json_set_text(object, "subject", s->subject);
    json_set_text(object, "state", state);
    return object;
}

static struct shown *find_shown(struct progress *p, size_t step) {
    for (size_t i = 0; i < p->shown_count; i++)
        if (p->shown[i].step == step)
            return &p->shown[i];
    return NULL;
}

/* A finished line, above the running ones. */
static void write_line(struct progress *p, const char *line) {
    progress_clear(p);
    if (p->mode == PROGRESS_PLAIN)
        fprintf(p->out, "%8.2fs ", seconds_since(p->begun));
    fprintf(p->out, "%s\n", line);
    progress_tick(p);
    fflush(p->out);
}

void progress_begin(struct progress *p, size_t step, const struct step *what, const char *host,
                    const char *subject) {
    mem_grow(p->shown, p->shown_count, p->shown_capacity);
    struct shown *s = &p->shown[p->shown_count++];
    *s = (struct shown){.step = step,
                        .what = what,
                        .host = text_dup(host),
                        .subject = text_dup(subject),
                        .begun = clock_instant(),
                        .bytes_at = clock_instant()};
    if (p->mode == PROGRESS_JSON)
        write_json(p, step_object(s, "running"));
    if (p->mode == PROGRESS_TTY)
        progress_tick(p);
}

void progress_text(struct progress *p, size_t step, const char *text) {
    struct shown *s = find_shown(p, step);
    if (!s)
        return;
    snprintf(s->text, sizeof s->text, "%s", text);
    for (char *c = s->text; *c; c++)
        if (*c == '\n' || *c == '\t')
            *c = ' ';
    if (*text && p->mode == PROGRESS_JSON) {
        struct json *object = step_object(s, "running");
        json_set_text(object, "text", text);
        write_json(p, object);
    }
    if (*text && p->mode == PROGRESS_PLAIN) {
        cleanup(buffer_deinit) struct buffer line;
        buffer_init(&line, LINE_MAX_BYTES);
        buffer_format(&line, "  %s: %s", s->subject, text);
        write_line(p, buffer_string(&line));
    }
}

void progress_bytes(struct progress *p, size_t step, const char *what, uint64_t bytes) {
    struct shown *s = find_shown(p, step);
    if (!s)
        return;
    snprintf(s->text, sizeof s->text, "%s: %.1f MB", what, (double)bytes / 1e6);
    uint64_t pause_ns = p->mode == PROGRESS_JSON ? BYTES_JSON_NS : BYTES_PLAIN_NS;
    if ((p->mode != PROGRESS_JSON && p->mode != PROGRESS_PLAIN) ||
        instant_ns_between(s->bytes_at, clock_instant()) < pause_ns)
        return;
    s->bytes_at = clock_instant();
    if (p->mode == PROGRESS_PLAIN) {
        progress_text(p, step, s->text);
        return;
    }
    struct json *object = step_object(s, "running");
    json_set_text(object, "path", what);
    json_set_int(object, "bytes", (int64_t)bytes);
    write_json(p, object);
}

static void draw_copied(struct progress *p, const char *what, uint64_t bytes) {
    progress_clear(p);
    int room = (int)terminal_columns(p) - 24;
    fprintf(p->out, "  copied %9.1f MB  %.*s\n", (double)bytes / 1e6, room, what);
    p->drawn = 1;
    fflush(p->out);
}

void progress_copied(struct progress *p, const char *what, uint64_t bytes) {
    uint64_t pause_ns = p->mode == PROGRESS_JSON ? BYTES_JSON_NS : BYTES_PLAIN_NS;
    if (p->mode == PROGRESS_TTY)
        draw_copied(p, what, bytes);
    if ((p->mode != PROGRESS_JSON && p->mode != PROGRESS_PLAIN) ||
        instant_ns_between(p->copied_at, clock_instant()) < pause_ns)
        return;
    p->copied_at = clock_instant();
    if (p->mode == PROGRESS_PLAIN) {
        progress_note(p, "%s: copied %.1f MB", what, (double)bytes / 1e6);
        return;
    }
    struct json *object = json_new_object();
    json_set_text(object, "event", "copy");
    json_set_text(object, "path", what);
    json_set_int(object, "bytes", (int64_t)bytes);
    write_json(p, object);
}

static void end_line(struct progress *p, const struct shown *s, enum step_state state,
                     const struct error *err) {
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    bool good = state == STEP_GOOD;
    buffer_format(&line, "%s%s%s ", paint(p, good ? "\x1b[32m" : "\x1b[31m"),
                  good ? "ok" : "FAILED", paint(p, "\x1b[0m"));
    line_head(&line, p, s->what, s->host, s->subject);
    buffer_format(&line, " (%.1f s)", seconds_since(s->begun));
    if (s->text[0] && p->mode == PROGRESS_TTY && good)
        buffer_format(&line, "  %s%.100s%s", paint(p, "\x1b[2m"), s->text, paint(p, "\x1b[0m"));
    if (err && !good)
        buffer_format(&line, ": %s", err->text);
    write_line(p, buffer_string(&line));
}

void progress_end(struct progress *p, size_t step, enum step_state state, const struct error *err) {
    struct shown *s = find_shown(p, step);
    if (!s)
        return;
    if (p->mode == PROGRESS_JSON) {
        struct json *object = step_object(s, step_state_name(state));
        if (state == STEP_FAILED)
            json_set_text(object, "error", err->text);
        write_json(p, object);
    }
    struct shown ended = *s;
    memmove(s, s + 1, (size_t)(p->shown + p->shown_count - (s + 1)) * sizeof *s);
    p->shown_count--;
    if ((p->mode == PROGRESS_TTY || p->mode == PROGRESS_PLAIN) && state != STEP_SKIPPED)
        end_line(p, &ended, state, err);
    free(ended.host);
    free(ended.subject);
}

static void say(struct progress *p, const char *event, const char *mark, const char *colour,
                const char *text) {
    if (p->mode == PROGRESS_JSON) {
        struct json *object = json_new_object();
        json_set_text(object, "event", event);
        json_set_text(object, "text", text);
        write_json(p, object);
        return;
    }
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, LINE_MAX_BYTES);
    buffer_format(&line, "%s%s%s%s", paint(p, colour), mark, paint(p, "\x1b[0m"), text);
    if (p->mode == PROGRESS_QUIET)
        fprintf(p->out, "%s\n", buffer_string(&line));
    else
        write_line(p, buffer_string(&line));
}

void progress_note(struct progress *p, const char *format, ...) {
    if (p->mode == PROGRESS_QUIET)
        return;
    va_list args;
    va_start(args, format);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, LINE_MAX_BYTES);
    buffer_vformat(&text, format, args);
    va_end(args);
    say(p, "note", "", "", buffer_string(&text));
}

void progress_warn(struct progress *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, LINE_MAX_BYTES);
    buffer_vformat(&text, format, args);
    va_end(args);
    say(p, "warning", "warning: ", "\x1b[33m", buffer_string(&text));
}

void progress_error(struct progress *p, const struct error *err) {
    if (p->mode == PROGRESS_JSON) {
        struct json *object = json_new_object();
        json_set_text(object, "event", "error");
        json_set_text(object, "kind", error_kind_name(err->kind));
        json_set_text(object, "message", err->text);
        if (err->hint[0])
            json_set_text(object, "hint", err->hint);
        write_json(p, object);
        return;
    }
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 4 * sizeof err->text);
    text_harmless(&text, err->text, strlen(err->text));
    progress_clear(p);
    fprintf(p->out, "%serror:%s %s\n", paint(p, "\x1b[31m"), paint(p, "\x1b[0m"),
            buffer_string(&text));
    if (err->hint[0])
        fprintf(p->out, "%shint:%s %s\n", paint(p, "\x1b[36m"), paint(p, "\x1b[0m"), err->hint);
    fflush(p->out);
}
