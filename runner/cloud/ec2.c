#include "runner/cloud/ec2.h"

#include "lib/crypto.h"
#include "lib/http.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/cloud/aws_url.h"
#include "runner/cloud/pace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "2016-11-15"
#define CALL_NS (60 * NS_PER_SEC)
#define PAUSE_NS (500 * NS_PER_MS)

struct ec2 {
    const char *service, *title; /* "ec2", "EC2" */
    char *region;
    struct http *http;
    struct aws_chain *chain;
    struct pace pace;
    uint64_t pause_ns;
    struct ec2_fault fault;
};

/* ---- what is asked ---- */

void ec2_request_init_version(struct ec2_request *request, const char *action,
                              const char *version) {
    *request = (struct ec2_request){.action = action};
    buffer_init(&request->form, EC2_REQUEST_MAX);
    buffer_format(&request->form, "Action=%s&Version=%s", action, version);
}

void ec2_request_init(struct ec2_request *request, const char *action) {
    ec2_request_init_version(request, action, VERSION);
}

/* User-data is among it. */
void ec2_request_deinit(struct ec2_request *request) {
    buffer_wipe(&request->form);
}

__attribute__((format(printf, 3, 0))) static void
add(struct ec2_request *request, const char *value, const char *name, va_list args) {
    buffer_text(&request->form, "&");
    buffer_vformat(&request->form, name, args);
    buffer_text(&request->form, "=");
    http_form_value(&request->form, value);
}

void ec2_add(struct ec2_request *request, const char *value, const char *name, ...) {
    va_list args;
    va_start(args, name);
    add(request, value, name, args);
    va_end(args);
}

void ec2_add_int(struct ec2_request *request, int64_t value, const char *name, ...) {
    char text[24];
    va_list args;
    snprintf(text, sizeof text, "%" PRId64, value);
    va_start(args, name);
    add(request, text, name, args);
    va_end(args);
}

void ec2_filter(struct ec2_request *request, const char *name, const char *value) {
    unsigned n = ++request->filters;
    ec2_add(request, name, "Filter.%u.Name", n);
    ec2_add(request, value, "Filter.%u.Value.1", n);
}

/* ---- opening ---- */

int ec2_open(const struct ec2_options *options, struct ec2 **ret, struct error *err) {
    struct aws_url url;
    struct http_tls tls = {.ca_file = NULL};
    const char *service = options->service ? options->service : "ec2";
    if (aws_url_of(service, options->region, options->endpoint, &url, err) < 0)
        return -1;
    struct http_address address = {
        .host = url.host, .port = url.port, .tls = url.tls ? &tls : NULL, .proxies = true};
    if (options->unix_socket)
        address = (struct http_address){.unix_socket = options->unix_socket};
    struct http *http;
    if (http_open(&address, &http, err) < 0)
        return -1;
    struct ec2 *ec2 = mem_new(struct ec2);
    *ec2 = (struct ec2){.service = service,
                        .title = text_equal(service, "sts") ? "STS" : "EC2",
                        .region = text_dup(options->region),
                        .http = http,
                        .chain = options->chain,
                        .pause_ns = options->pause_ns ? options->pause_ns : PAUSE_NS};
    *ret = ec2;
    return 0;
}

void ec2_close(struct ec2 *ec2) {
    http_close(ec2->http);
    free(ec2->region);
    free(ec2);
}

const char *ec2_region(const struct ec2 *ec2) {
    return ec2->region;
}

const char *ec2_code(const struct ec2 *ec2) {
    return ec2->fault.code;
}

/* ---- when EC2 says no ---- */

bool ec2_fault_read(const char *text, size_t size, struct ec2_fault *ret) {
    cleanup(xml_freep) struct xml *document = NULL;
    struct error ignored = ERROR_NULL;
    if (xml_parse(text, size, &document, &ignored) < 0)
        return false;
    const struct xml_node *error = xml_find(xml_root(document), "Errors.Error");
    if (!error) /* as STS has it */
        error = xml_find(xml_root(document), "Error");
    const char *code = xml_text(error, "Code");
    if (!*code)
        return false;
    text_safe(code, ret->code, sizeof ret->code);
    text_safe(xml_text(error, "Message"), ret->message, sizeof ret->message);
    return true;
}

static bool is_one_of(const char *code, const char *const *codes) {
    for (; codes && *codes; codes++)
        if (text_equal(code, *codes))
            return true;
    return false;
}

static const char *const throttling[] = {"RequestLimitExceeded",
                                         "Throttling",
                                         "ThrottlingException",
                                         "RequestThrottled",
                                         "RequestThrottledException",
                                         "EC2ThrottledException",
                                         "TooManyRequestsException",
                                         "SlowDown",
                                         NULL};
static const char *const broken[] = {"InternalError", "InternalFailure", "ServiceUnavailable",
                                     "Unavailable",   "RequestTimeout",  NULL};
static const char *const expired[] = {"ExpiredToken",   "ExpiredTokenException",
                                      "RequestExpired", "InvalidClientTokenId",
                                      "AuthFailure",    NULL};

static const char *hint_for(const char *code) {
    static const struct {
        const char *code, *hint;
    } hints[] = {
        {"AuthFailure", "the keys are not accepted: are they of this account, and does this "
                        "machine's clock go right?"},
        {"InvalidClientTokenId", "there is no such access key: `aws configure`, or 'credentials' "
                                 "in the deployment file"},
        {"SignatureDoesNotMatch", "the secret access key does not belong to the access key id, or "
                                  "this machine's clock is wrong"},
        {"RequestExpired", "the session token has expired, or this machine's clock is wrong"},
        {"ExpiredToken", "the session token has expired: get a new one"},
        {"UnauthorizedOperation", "the policy in docs/EC2.md says what seatrial needs"},
        {"AccessDenied", "the policy in docs/EC2.md says what seatrial needs"},
        {"VcpuLimitExceeded", "ask for more by Service Quotas in the AWS console, or take smaller "
                              "machines"},
        {"InstanceLimitExceeded", "ask for more by Service Quotas in the AWS console"},
        {"MaxSpotInstanceCountExceeded", "ask for more by Service Quotas in the AWS console, or "
                                         "`market: on_demand`"},
        {"InsufficientInstanceCapacity", "AWS has no more of that type there now: other 'zones', "
                                         "another 'instance_type', or later"},
        {"SpotMaxPriceTooLow", "`spot_fallback: true` takes machines on demand instead"},
        {"RulesPerSecurityGroupLimitExceeded",
         "a security group has 60 rules, and each machine of another region takes one: fewer "
         "machines "
         "elsewhere, or ask for more by Service Quotas in the AWS console (Amazon VPC)"},
        {"OptInRequired", "the account has not opted in to this region or image"},
        {"PendingVerification", "AWS verifies the account for this region: try again later"},
    };
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++)
        if (text_equal(code, hints[i].code))
            return hints[i].hint;
    return NULL;
}

static int refuse(const struct ec2 *ec2, int status, struct error *err) {
    const struct ec2_fault *f = &ec2->fault;
    const char *hint = hint_for(f->code);
    bool missing = text_ends(f->code, ".NotFound");
    bool busy = is_one_of(f->code, throttling) || is_one_of(f->code, broken) || status >= 500;
    enum error_kind kind = missing ? ERROR_NOT_FOUND : busy ? ERROR_UNREACHABLE : ERROR_REFUSED;
    if (f->code[0])
        error_set(err, kind, "%s says %s: %s", ec2->title, f->code, f->message);
    else
        error_set(err, status >= 500 ? ERROR_UNREACHABLE : ERROR_INVALID,
                  "%s answered with status %d", ec2->title, status);
    return hint ? error_hint(err, "%s", hint) : -1;
}

/* ---- one try ---- */

enum verdict { ANSWERED, FAULTED, AGAIN, NEW_KEYS };

static int send_form(struct ec2 *ec2, const struct ec2_request *request,
                     const struct aws_credentials *keys, const struct task *task,
                     struct http_response *ret, struct error *err) {
    struct http_aws aws = {.region = ec2->region,
                           .service = ec2->service,
                           .access_key_id = keys->access_key_id,
                           .secret_access_key = keys->secret_access_key,
                           .session_token = keys->session_token};
    struct http_request call = {.method = "POST",
                                .path = "/",
                                .content_type = "application/x-www-form-urlencoded; charset=utf-8",
                                .body = request->form.data,
                                .body_size = request->form.size,
                                .aws = &aws,
                                .body_max = XML_SIZE_MAX};
    struct task limited = task_within(task, CALL_NS);
    return http_call(ec2->http, &call, &limited, ret, err);
}

/* An answer that the caller expects is one, whatever its status: capacity that lacks is a 500. */
static enum verdict judge(struct ec2 *ec2, const struct http_response *response,
                          const char *const *expected, struct error *err) {
    ec2->fault = (struct ec2_fault){.code = ""};
    if (response->status == 200) {
        pace_went_well(&ec2->pace);
        return ANSWERED;
    }
    ec2_fault_read(buffer_string(&response->body), response->body.size, &ec2->fault);
    refuse(ec2, response->status, err);
    if (ec2->fault.code[0] && is_one_of(ec2->fault.code, expected))
        return FAULTED;
    if (is_one_of(ec2->fault.code, throttling) || response->status == 429) {
        pace_throttled(&ec2->pace);
        return AGAIN;
    }
    if (response->status >= 500 || is_one_of(ec2->fault.code, broken))
        return AGAIN;
    return is_one_of(ec2->fault.code, expired) ? NEW_KEYS : FAULTED;
}

static enum verdict try_once(struct ec2 *ec2, const struct ec2_request *request,
                             const char *const *expected, const struct aws_credentials *keys,
                             const struct task *task, struct http_response *ret,
                             struct error *err) {
    uint64_t wait = pace_before_ns(&ec2->pace, clock_instant());
    if (wait && task_sleep(task, wait, err) < 0)
        return FAULTED;
    pace_begun(&ec2->pace, clock_instant());
    if (send_form(ec2, request, keys, task, ret, err) == 0)
        return judge(ec2, ret, expected, err);
    ec2->fault = (struct ec2_fault){.code = ""};
    bool ours = task->cancel && cancel_level(task->cancel) > 0;
    return error_retryable(err->kind) && !ours ? AGAIN : FAULTED;
}

/* ---- a call ---- */

static int pause_before(struct ec2 *ec2, unsigned tries, const struct task *task,
                        struct error *err) {
    uint64_t random;
    struct error ended = ERROR_NULL;
    random_bytes(&random, sizeof random);
    if (task_sleep(task, pace_again_ns(tries, ec2->pause_ns, random), &ended) == 0)
        return 0;
    if (ended.kind == ERROR_CANCELLED)
        *err = ended; /* else what EC2 said last is worth more */
    return -1;
}

static int get_keys(struct ec2 *ec2, struct aws_credentials *keys, bool refused,
                    const struct task *task, struct error *err) {
    struct aws_credentials fresh = AWS_CREDENTIALS_NULL;
    int r = aws_chain_get(ec2->chain, refused ? keys : NULL, task, &fresh, err);
    if (r < 0)
        return -1;
    aws_credentials_deinit(keys);
    *keys = fresh;
    return r;
}

/* Until EC2 has answered, or will not. -1: `err` says why, and ec2->fault what EC2 said. */
static int insist(struct ec2 *ec2, const struct ec2_request *request, const char *const *expected,
                  struct aws_credentials *keys, const struct task *task,
                  struct http_response *response, struct error *err) {
    bool renewed = false;
    for (unsigned tries = 1;; tries++) {
        struct error why = ERROR_NULL, keys_why = ERROR_NULL;
        enum verdict v = try_once(ec2, request, expected, keys, task, response, &why);
        if (v == ANSWERED)
            return 0;
        *err = why;
        if (v == FAULTED || tries >= PACE_TRIES_MAX)
            return -1;
        if (v == AGAIN && pause_before(ec2, tries, task, err) < 0)
            return -1;
        if (v != NEW_KEYS)
            continue;
        if (renewed || get_keys(ec2, keys, true, task, &keys_why) != 0)
            return -1;
        renewed = true;
    }
}

int ec2_call(struct ec2 *ec2, const struct ec2_request *request, const char *const *expected,
             const struct task *task, struct xml **ret, struct error *err) {
    cleanup(aws_credentials_deinit) struct aws_credentials keys = AWS_CREDENTIALS_NULL;
    cleanup(http_response_deinit) struct http_response response = HTTP_RESPONSE_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    struct error why = ERROR_NULL;
    ec2->fault = (struct ec2_fault){.code = ""}; /* of the call before */
    if (buffer_check(&request->form, "the request", err) < 0 ||
        get_keys(ec2, &keys, false, task, err) < 0)
        return error_wrap(err, "%s in %s", request->action, ec2->region);
    if (insist(ec2, request, expected, &keys, task, &response, &why) < 0) {
        if (ec2->fault.code[0] && is_one_of(ec2->fault.code, expected))
            return 1;
        *err = why;
        return error_wrap(err, "%s in %s", request->action, ec2->region);
    }
    if (xml_parse(buffer_string(&response.body), response.body.size, &document, err) < 0)
        return error_wrap(err, "%s in %s: the answer", request->action, ec2->region);
    if (ret)
        *ret = take_ptr(document);
    return 0;
}

/* ---- pages ---- */

int ec2_sweep(struct ec2 *ec2, const struct ec2_request *request, const struct task *task,
              int page(void *arg, const struct xml_node *root, struct error *err), void *arg,
              struct error *err) {
    cleanup_free char *token = NULL;
    for (unsigned n = 0; n < EC2_PAGES_MAX; n++) {
        cleanup(ec2_request_deinit) struct ec2_request next = EC2_REQUEST_NULL;
        cleanup(xml_freep) struct xml *document = NULL;
        ec2_request_init(&next, request->action);
        buffer_clear(&next.form);
        buffer_append(&next.form, request->form.data, request->form.size);
        if (token)
            ec2_add(&next, token, "NextToken");
        if (ec2_call(ec2, &next, NULL, task, &document, err) < 0)
            return -1;
        if (page(arg, xml_root(document), err) < 0)
            return error_wrap(err, "%s in %s: the answer", request->action, ec2->region);
        const char *more = xml_text(xml_root(document), "nextToken");
        if (!*more)
            return 0;
        free(token);
        token = text_dup(more);
    }
    return error_set(err, ERROR_LIMIT, "%s in %s: more than %d pages", request->action, ec2->region,
                     EC2_PAGES_MAX);
}
