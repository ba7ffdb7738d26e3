#include "runner/cloud/aws_ask.h"

#include "lib/cleanup.h"
#include "lib/http.h"
#include "lib/program.h"
#include "lib/text.h"
#include "runner/cloud/aws_url.h"

#include <string.h>

/* A person may have to touch a key, or type a code. */
#define PROCESS_NS (120 * NS_PER_SEC)
/* It is a few steps away, or not there at all. */
#define METADATA_NS (5 * NS_PER_SEC)
#define METADATA_CONNECT_NS NS_PER_SEC

/* ---- a program ---- */

int aws_ask_process(const char *command, const struct task *task, struct aws_credentials *ret,
                    struct error *err) {
    cleanup(buffer_wipe) struct buffer answer;
    cleanup_free char *text = text_dup(command);
    char sh[] = "/bin/sh", option[] = "-c";
    char *argv[] = {sh, option, text, NULL};
    struct task limited = task_within(task, PROCESS_NS);
    int status = 0;
    buffer_init(&answer, AWS_ANSWER_MAX);
    if (program_ask(argv, NULL, &limited, &answer, &status, err) < 0)
        return -1;
    if (status != 0)
        return error_set(err, ERROR_REFUSED, "it ended with status %d", status);
    return aws_answer_read(buffer_string(&answer), answer.size, ret, err);
}

/* ---- the metadata service ---- */

static int ask(struct http *http, const char *method, const char *path, const char *header,
               const struct task *task, struct http_response *ret, struct error *err) {
    const char *const headers[] = {header, NULL};
    struct http_request request = {
        .method = method, .path = path, .headers = headers, .body_max = AWS_ANSWER_MAX};
    return http_call(http, &request, task, ret, err);
}

static int first_line(const struct http_response *response, const char *what, char **ret,
                      struct error *err) {
    const char *text = buffer_string(&response->body);
    size_t size = strcspn(text, "\r\n");
    bool ok = size > 0 && size < 2048;
    for (size_t i = 0; ok && i < size; i++)
        ok = text[i] > ' ' && text[i] <= '~';
    if (!ok)
        return error_set(err, ERROR_INVALID, "the metadata service gives no %s", what);
    *ret = text_format("%.*s", (int)size, text);
    return 0;
}

#define ROLES "/latest/meta-data/iam/security-credentials/"

static int ask_keys(struct http *http, const char *token, const struct task *task,
                    struct aws_credentials *ret, struct error *err) {
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(buffer_deinit) struct buffer path;
    cleanup_free char *header = text_format("X-aws-ec2-metadata-token: %s", token);
    cleanup_free char *role = NULL;
    buffer_init(&path, HTTP_PATH_MAX);
    if (ask(http, "GET", ROLES, header, task, &response, err) < 0)
        return -1;
    if (response.status == 404)
        return 1;
    if (response.status != 200)
        return error_set(err, ERROR_REFUSED, "the metadata service says status %d",
                         response.status);
    if (first_line(&response, "role", &role, err) < 0)
        return -1;
    http_path_text(&path, "/latest/meta-data/iam/security-credentials");
    http_path_segment(&path, role);
    if (ask(http, "GET", buffer_string(&path), header, task, &response, err) < 0)
        return -1;
    if (response.status != 200)
        return error_set(err, ERROR_REFUSED, "the metadata service says status %d",
                         response.status);
    int r = aws_answer_read(buffer_string(&response.body), response.body.size, ret, err);
    explicit_bzero(response.body.data, response.body.size);
    return r;
}

int aws_ask_metadata(const char *endpoint, const struct task *task, struct aws_credentials *ret,
                     struct error *err) {
    cleanup(http_closep) struct http *http = NULL;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup_free char *token = NULL;
    struct task limited = task_within(task, METADATA_NS);
    struct aws_url url;
    struct error nobody = ERROR_NULL;
    if (aws_url_parse(endpoint ? endpoint : "http://169.254.169.254", &url, err) < 0)
        return error_wrap(err, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    struct http_address address = {
        .host = url.host, .port = url.port, .connect_timeout_ns = METADATA_CONNECT_NS};
    if (http_open(&address, &http, err) < 0)
        return -1;
    if (ask(http, "PUT", "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 300", &limited,
            &response, &nobody) < 0)
        return task_check(task, err) < 0 ? -1 : 1;
    if (response.status != 200)
        return 1; /* somebody else's service */
    if (first_line(&response, "token", &token, err) < 0)
        return -1;
    return ask_keys(http, token, &limited, ret, err);
}
