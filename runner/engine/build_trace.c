#include "runner/engine/build_trace.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/memory.h"

#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

/* ---- protobuf ---- */

struct message {
    const uint8_t *at, *end;
};

struct field {
    uint32_t number;
    uint64_t value;      /* of a number */
    struct message data; /* of bytes, a text or a message */
    bool has_data;
};

static int bad(struct error *err) {
    return error_set(err, ERROR_INVALID, "what the builder says of its steps is not protobuf");
}

static int take_number(struct message *m, uint64_t *ret, struct error *err) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret = value;
            return 0;
        }
    }
    return bad(err);
}

static int take_bytes(struct message *m, uint64_t size, struct field *ret, struct error *err) {
    if (size > (uint64_t)(m->end - m->at))
        return bad(err);
    ret->has_data = true;
    ret->data = (struct message){.at = m->at, .end = m->at + size};
    m->at += size;
    return 0;
}

/* 1 at the end. Numbers of a fixed size are passed over. */
static int take_field(struct message *m, struct field *ret, struct error *err) {
    uint64_t key, size;
    *ret = (struct field){.number = 0};
    if (m->at == m->end)
        return 1;
    if (take_number(m, &key, err) < 0)
        return -1;
    ret->number = key >> 3 > UINT32_MAX ? 0 : (uint32_t)(key >> 3);
    switch (key & 7) {
    case 0: return take_number(m, &ret->value, err);
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2:
        if (take_number(m, &size, err) < 0)
            return -1;
        return take_bytes(m, size, ret, err);
    default: return bad(err);
    }
    if (take_bytes(m, size, ret, err) < 0)
        return -1;
    ret->has_data = false;
    return 0;
}

static size_t size_of(struct message m) {
    return (size_t)(m.end - m.at);
}

/* google.protobuf.Timestamp; 0 where it makes no sense. */
static int take_time(struct message m, int64_t *ret_ns, struct error *err) {
    struct field f;
    uint64_t seconds = 0, ns = 0;
    int r;
    while ((r = take_field(&m, &f, err)) == 0) {
        seconds = f.number == 1 ? f.value : seconds;
        ns = f.number == 2 ? f.value : ns;
    }
    bool sane = seconds < (UINT64_C(1) << 33) && ns < NS_PER_SEC;
    *ret_ns = sane ? (int64_t)(seconds * NS_PER_SEC + ns) : 0;
    return r < 0 ? -1 : 0;
}

/* ---- steps ---- */

void build_trace_deinit(struct build_trace *trace) {
    free(trace->steps);
    trace->steps = NULL;
    trace->count = trace->capacity = 0;
}

/* That of the digest, a new one if there is none. */
static int find_step(struct build_trace *trace, struct message digest,
                     struct build_trace_step **ret, struct error *err) {
    size_t size = size_of(digest);
    if (size >= BUILD_TRACE_DIGEST_MAX || size == 0 || memchr(digest.at, '\0', size))
        return bad(err);
    for (size_t i = trace->count; i-- > 0;)
        if (strlen(trace->steps[i].digest) == size &&
            memcmp(trace->steps[i].digest, digest.at, size) == 0) {
            *ret = &trace->steps[i];
            return 0;
        }
    if (trace->count == BUILD_TRACE_STEPS_MAX)
        return error_set(err, ERROR_LIMIT, "the build has more than %d steps",
                         BUILD_TRACE_STEPS_MAX);
    mem_grow(trace->steps, trace->count, trace->capacity);
    *ret = &trace->steps[trace->count++];
    **ret = (struct build_trace_step){.digest = ""};
    memcpy((*ret)->digest, digest.at, size);
    return 0;
}

static size_t number_of(const struct build_trace *trace, const struct build_trace_step *step) {
    return (size_t)(step - trace->steps) + 1;
}

static int say(struct build_trace *trace, struct buffer *text, struct error *err) {
    int r = text->size ? trace->on_text(trace->arg, buffer_string(text), err) : 0;
    return r < 0 ? -1 : 0;
}

/* A line that another step has begun ends here. */
static void begin_line(struct build_trace *trace, struct buffer *text) {
    if (trace->open)
        buffer_text(text, "\n");
    trace->open = 0;
}

static double seconds(const struct build_trace_step *step, int64_t at_ns) {
    int64_t ns = step->started_ns && at_ns > step->started_ns ? at_ns - step->started_ns : 0;
    return (double)ns / 1e9;
}

/* NUL bytes would end the text. */
static void append_text(struct buffer *out, struct message text) {
    for (const uint8_t *c = text.at; c < text.end; c++)
        buffer_append(out, *c ? (const char *)c : "?", 1);
}

/* ---- messages ---- */

struct vertex {
    struct message digest, name, error;
    bool cached;
    int64_t started_ns, completed_ns;
};

static int read_vertex(struct message m, struct vertex *v, struct error *err) {
    struct field f;
    int r;
    while ((r = take_field(&m, &f, err)) == 0) {
        switch (f.number) {
        case 1: v->digest = f.data; break;
        case 3: v->name = f.data; break;
        case 4: v->cached = f.value != 0; break;
        case 5: r = take_time(f.data, &v->started_ns, err); break;
        case 6: r = take_time(f.data, &v->completed_ns, err); break;
        case 7: v->error = f.data; break;
        default: break;
        }
        if (r < 0)
            return -1;
    }
    return r < 0 ? -1 : 0;
}

static int take_vertex(struct build_trace *trace, struct message m, struct error *err) {
    struct vertex v = {.cached = false};
    struct build_trace_step *step;
    if (read_vertex(m, &v, err) < 0 || find_step(trace, v.digest, &step, err) < 0)
        return -1;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    size_t number = number_of(trace, step);
    if (!step->named && (v.started_ns || v.cached)) {
        step->named = true;
        step->started_ns = v.started_ns;
        begin_line(trace, &text);
        buffer_format(&text, "#%zu ", number);
        append_text(&text, v.name);
        buffer_text(&text, "\n");
    }
    if (!step->ended && (v.completed_ns || v.cached)) {
        step->ended = true;
        begin_line(trace, &text);
        if (size_of(v.error) > 0) {
            buffer_format(&text, "#%zu ERROR: ", number);
            append_text(&text, v.error);
            buffer_text(&text, "\n");
        } else if (v.cached) {
            buffer_format(&text, "#%zu CACHED\n", number);
        } else {
            buffer_format(&text, "#%zu DONE %.1fs\n", number, seconds(step, v.completed_ns));
        }
    }
    return say(trace, &text, err);
}

static int take_log(struct build_trace *trace, struct message m, struct error *err) {
    struct message digest = {.at = NULL}, said = {.at = NULL};
    struct build_trace_step *step;
    int64_t at_ns = 0;
    struct field f;
    int r;
    while ((r = take_field(&m, &f, err)) == 0) {
        digest = f.number == 1 ? f.data : digest;
        said = f.number == 4 ? f.data : said;
        if (f.number == 2 && take_time(f.data, &at_ns, err) < 0)
            return -1;
    }
    if (r < 0 || find_step(trace, digest, &step, err) < 0)
        return -1;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    while (said.at < said.end) {
        const uint8_t *newline = memchr(said.at, '\n', size_of(said));
        const uint8_t *stop = newline ? newline + 1 : said.end;
        size_t number = number_of(trace, step);
        if (trace->open != number) {
            begin_line(trace, &text);
            buffer_format(&text, "#%zu %.3f ", number, seconds(step, at_ns));
        }
        append_text(&text, (struct message){.at = said.at, .end = stop});
        trace->open = newline ? 0 : number;
        said.at = stop;
    }
    return say(trace, &text, err);
}

static int take_warning(struct build_trace *trace, struct message m, struct error *err) {
    struct field f;
    int r;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, TEXT_MAX);
    while ((r = take_field(&m, &f, err)) == 0)
        if (f.number == 3 && f.has_data) {
            begin_line(trace, &text);
            buffer_text(&text, "WARN: ");
            append_text(&text, f.data);
            buffer_text(&text, "\n");
        }
    return r < 0 ? -1 : say(trace, &text, err);
}

int build_trace_read(struct build_trace *trace, const void *data, size_t size, struct error *err) {
    struct message m = {.at = data, .end = (const uint8_t *)data + size};
    struct field f;
    int r;
    while ((r = take_field(&m, &f, err)) == 0) {
        if (!f.has_data)
            continue;
        if (f.number == 1)
            r = take_vertex(trace, f.data, err);
        if (f.number == 3)
            r = take_log(trace, f.data, err);
        if (f.number == 4)
            r = take_warning(trace, f.data, err);
        if (r < 0)
            return -1;
    }
    return r < 0 ? -1 : 0;
}
