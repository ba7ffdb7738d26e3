#pragma once

/*
 * What the files of this room share: one call to the engine, checked names, and its errors.
 */

#include "lib/buffer.h"
#include "lib/http.h"
#include "lib/http_stream.h"
#include "runner/engine/engine.h"

struct engine {
    struct http *http;
    char *host;
    int api_minor;
    uint64_t call_timeout_ns;
    uint64_t build_idle_ns;
};

struct engine_call {
    const char *method;
    const struct buffer *path;
    const struct json *body;     /* or */
    const struct source *source; /* with its content type; or neither */
    const char *content_type;
    const void *data; /* or from memory, with its content type */
    size_t data_size;
    const char *const *headers; /* "Name: value", NULL-terminated; or NULL */
    const struct sink *sink;
    bool by_task_alone; /* no deadline of the engine's */
    uint64_t extra_ns;  /* on top of the engine's deadline */
    uint64_t idle_ns;
    const struct http_pace *pace; /* or NULL */
};

/*
 * Error statuses are errors here, with the engine's message; so 0 means 2xx or 304.
 * Returns 1 when the sink stopped it.
 */
int engine_call(struct engine *engine, const struct engine_call *call, const struct task *task,
                struct http_response *ret, struct error *err);

/* The same for an answer that is no HTTP any more: POSTs `body`, and gives the connection. */
int engine_call_stream(struct engine *engine, const struct buffer *path, const struct json *body,
                       const struct task *task, struct http_stream **ret, struct error *err);

/* The same where only success matters. */
int engine_call_simple(struct engine *engine, const char *method, const struct buffer *path,
                       const struct json *body, const struct task *task, struct error *err);

/* GETs or POSTs and parses the answer. */
int engine_call_json(struct engine *engine, const char *method, const struct buffer *path,
                     const struct json *body, const struct task *task, struct json **ret,
                     struct error *err);

int engine_answer(const struct http_response *response, struct json **ret, struct error *err);

/* Begins a path: "/v1.41" and `text`. */
void engine_path(const struct engine *engine, struct buffer *path, const char *text);

/* Adds `filters={"label":[...]}`; nothing for NULL. */
void engine_path_labels(struct buffer *path, const struct engine_pair *labels);

/* `what`: "container", "network", "exec"; a name or an id. */
int engine_check_name(const char *what, const char *name, struct error *err);
int engine_check_reference(const char *reference, struct error *err);
/* "sha256:" and 64 digits, as the engine must say it. */
int engine_check_image_id(const char *id, struct error *err);
/* Copies the member `Id` of an answer after checking that it is hexadecimal. */
int engine_take_id(const struct json *answer, char *ret_id, size_t size, struct error *err);

/* Foreign text as one harmless line or more, cut at `size`. */
void engine_harmless(const char *text, size_t text_size, char *out, size_t size);

/* error_wrap with "DOING 'NAME'", the name made harmless: it may be what was wrong. */
int engine_wrap(struct error *err, const char *doing, const char *name);

/* 404 becomes outcome 1: for "there is none". */
static inline int engine_or_none(int r, struct error *err) {
    if (r >= 0 || err->kind != ERROR_NOT_FOUND)
        return r;
    error_clear(err);
    return 1;
}

/* Pairs as {"name": "value"} and as ["name=value"]. */
struct json *engine_pairs_object(const struct engine_pair *pairs);
struct json *engine_pairs_list(const struct engine_pair *pairs);

struct engine_endpoint;
struct json *engine_endpoint_json(const struct engine_endpoint *endpoint);
