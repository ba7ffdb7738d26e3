#include "runner/engine/event.h"

#include "lib/text.h"
#include "runner/engine/call.h"
#include "runner/engine/json_lines.h"

#include <stdio.h>
#include <string.h>

/* ---- one event ---- */

static enum engine_event_kind kind_of(const char *type, const char *action) {
    static const struct {
        const char *action;
        enum engine_event_kind kind;
    } kinds[] = {
        {"create", ENGINE_EVENT_CREATE},   {"start", ENGINE_EVENT_START},
        {"die", ENGINE_EVENT_DIE},         {"stop", ENGINE_EVENT_STOP},
        {"kill", ENGINE_EVENT_KILL},       {"oom", ENGINE_EVENT_OOM},
        {"pause", ENGINE_EVENT_PAUSE},     {"unpause", ENGINE_EVENT_UNPAUSE},
        {"restart", ENGINE_EVENT_RESTART}, {"rename", ENGINE_EVENT_RENAME},
        {"destroy", ENGINE_EVENT_DESTROY}, {"exec_die", ENGINE_EVENT_EXEC_DIE},
    };
    if (!text_equal(type, "container"))
        return ENGINE_EVENT_OTHER;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (text_equal(action, kinds[i].action))
            return kinds[i].kind;
    if (text_starts(action, "health_status"))
        return ENGINE_EVENT_HEALTH;
    return text_starts(action, "exec_start:") ? ENGINE_EVENT_EXEC_START : ENGINE_EVENT_OTHER;
}

/* "health_status: healthy"; Podman says it in an attribute. */
static enum engine_health health_of(const char *action, const struct json *attributes) {
    const char *colon = strchr(action, ':');
    const char *text = colon ? colon + 1 + strspn(colon + 1, " ")
                             : json_text_or_null(json_member(attributes, "health_status"));
    if (text_equal(text, "healthy"))
        return ENGINE_HEALTH_HEALTHY;
    if (text_equal(text, "unhealthy"))
        return ENGINE_HEALTH_UNHEALTHY;
    return text_equal(text, "starting") ? ENGINE_HEALTH_STARTING : ENGINE_HEALTH_NONE;
}

static int exit_code_of(const struct json *attributes, int64_t *ret, struct error *err) {
    const char *text = json_text_or_null(json_member(attributes, "exitCode"));
    struct error ignored = ERROR_NULL;
    char shown[64];
    uint64_t code;
    if (!text) /* Podman's */
        text = json_text_or_null(json_member(attributes, "containerExitCode"));
    if (!text)
        return 0;
    if (text_to_u64(text, 0, UINT32_MAX, &code, &ignored) < 0)
        return error_set(err, ERROR_INVALID, "the exit code is '%s'",
                         text_safe(text, shown, sizeof shown));
    *ret = (int64_t)code;
    return 0;
}

static int read_time(const struct json *line, int64_t *ret, struct error *err) {
    int64_t seconds;
    if (json_get_int(line, "timeNano", 0, ret, err) < 0 ||
        json_get_int(line, "time", 0, &seconds, err) < 0)
        return -1;
    if (*ret == 0 && seconds > 0 && seconds < INT64_MAX / (int64_t)NS_PER_SEC)
        *ret = seconds * (int64_t)NS_PER_SEC;
    if (*ret <= 0)
        return error_set(err, ERROR_INVALID, "'timeNano' is missing or negative");
    return 0;
}

int engine_event_read(const struct json *line, struct engine_event *ret, struct error *err) {
    struct engine_event e = {.exit_code = -1, .health = ENGINE_HEALTH_NONE};
    if (json_require_text(line, "Type", &e.type, err) < 0 ||
        json_require_text(line, "Action", &e.action, err) < 0 ||
        json_get_text(line, "Actor.ID", "", &e.id, err) < 0 ||
        json_get_object(line, "Actor.Attributes", &e.attributes, err) < 0 ||
        json_get_text(line, "Actor.Attributes.name", "", &e.name, err) < 0 ||
        read_time(line, &e.time_ns, err) < 0)
        return -1;
    e.kind = kind_of(e.type, e.action);
    if (e.kind == ENGINE_EVENT_HEALTH)
        e.health = health_of(e.action, e.attributes);
    if ((e.kind == ENGINE_EVENT_DIE || e.kind == ENGINE_EVENT_EXEC_DIE) &&
        exit_code_of(e.attributes, &e.exit_code, err) < 0)
        return -1;
    *ret = e;
    return 0;
}

/* ---- the stream ---- */

struct stream {
    int (*on_event)(void *arg, const struct engine_event *event, struct error *err);
    void *arg;
    struct engine_event_cursor *cursor;
};

/* FNV-1a, 64 bits: enough to tell apart the events of one nanosecond. */
static uint64_t hash_of(const char *text, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Has it been delivered before the connection broke? Notes that it is now. */
static bool seen_before(struct engine_event_cursor *cursor, int64_t time_ns, uint64_t hash) {
    if (time_ns < cursor->time_ns)
        return false; /* the engine's clock was set back; older ones were not asked for */
    if (time_ns > cursor->time_ns)
        cursor->seen_count = 0;
    cursor->time_ns = time_ns;
    for (size_t i = 0; i < cursor->seen_count; i++)
        if (cursor->seen[i] == hash)
            return true;
    if (cursor->seen_count < ENGINE_CURSOR_MAX)
        cursor->seen[cursor->seen_count++] = hash;
    return false;
}

static int take_line(void *arg, const char *line, size_t size, struct error *err) {
    struct stream *stream = arg;
    struct engine_event event;
    cleanup(json_freep) struct json *v = NULL;
    if (json_parse(line, size, 0, &v, err) < 0 || engine_event_read(v, &event, err) < 0)
        return error_wrap(err, "an event of the engine");
    if (stream->cursor && seen_before(stream->cursor, event.time_ns, hash_of(line, size)))
        return 0;
    return stream->on_event(stream->arg, &event, err);
}

static void add_texts(struct json *filters, const char *name, const char *const *texts) {
    if (texts && *texts)
        json_set(filters, name, json_new_texts(texts));
}

static void add_time(struct buffer *path, const char *name, int64_t ns) {
    char text[48];
    if (ns <= 0)
        return;
    snprintf(text, sizeof text, "%lld.%09lld", (long long)(ns / (int64_t)NS_PER_SEC),
             (long long)(ns % (int64_t)NS_PER_SEC));
    http_path_query(path, name, text);
}

static void events_path(const struct engine *engine, const struct engine_events_options *options,
                        struct buffer *path) {
    cleanup(json_freep) struct json *filters = json_new_object();
    if (options->labels && options->labels->name)
        json_set(filters, "label", engine_pairs_list(options->labels));
    add_texts(filters, "type", options->types);
    add_texts(filters, "event", options->actions);
    add_texts(filters, "container", options->containers);
    engine_path(engine, path, "/events");
    if (json_count(filters)) {
        cleanup_free char *text = json_to_text(filters, JSON_LINE);
        http_path_query(path, "filters", text);
    }
    int64_t since_ns = options->since_ns;
    if (options->cursor && options->cursor->time_ns)
        since_ns = options->cursor->time_ns;
    add_time(path, "since", since_ns);
    add_time(path, "until", options->until_ns);
}

int engine_events(struct engine *engine, const struct engine_events_options *options,
                  int (*on_event)(void *arg, const struct engine_event *event, struct error *err),
                  void *arg, const struct task *task, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(json_lines_deinit) struct json_lines lines;
    cleanup(buffer_deinit) struct buffer path;
    struct stream stream = {.on_event = on_event, .arg = arg, .cursor = options->cursor};
    json_lines_init(&lines, ENGINE_EVENT_SIZE_MAX, take_line, &stream);
    events_path(engine, options, &path);
    struct sink sink = {.push = json_lines_push, .arg = &lines};
    struct engine_call call = {
        .method = "GET", .path = &path, .sink = &sink, .by_task_alone = true};
    int r = engine_call(engine, &call, task, &response, err);
    if (r == 0)
        r = json_lines_end(&lines, err);
    if (r == 0 && !options->until_ns)
        r = error_set(err, ERROR_UNREACHABLE, "the engine ended the stream");
    return r < 0 ? error_wrap(err, "events of the engine") : r;
}
