#pragma once

/*
 * EC2's Query API in one region: a POST with a form, signed by libcurl, and XML as the answer. STS
 * has one of the same kind.
 *
 * A call is repeated while EC2 is too busy or breaks, or the way to it does: what makes something
 * carries a token of ours, so that it is made once. How long to wait is pace.h's. When keys are not
 * accepted any more because they have expired, the chain is asked for newer ones.
 *
 * Returns: 0; 1 when EC2 says no by a code that the call's `expected` names: ec2_code tells which.
 * Errors:  ERROR_REFUSED (EC2 says no; by permission, quota, capacity: the hint tells them apart),
 *          ERROR_NOT_FOUND (a code that ends so), ERROR_UNREACHABLE, ERROR_TIMEOUT,
 * ERROR_CANCELLED, ERROR_INVALID (no answer of EC2), ERROR_LIMIT, and the chain's. With region,
 * action and EC2's own words, made harmless; never with what was sent. Threads: a client belongs to
 * one thread at a time; all may share one chain. Source:  Amazon EC2 API Reference, version
 * 2016-11-15.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/task.h"
#include "lib/xml.h"
#include "runner/cloud/aws_chain.h"

#include <stdbool.h>

enum {
    EC2_CODE_SIZE = 80,
    EC2_REQUEST_MAX = 256 * 1024, /* user-data has at most 16 KiB, before base64 */
    EC2_PAGES_MAX = 1000,
};

/* ---- what is asked ---- */

struct ec2_request {
    const char *action; /* "RunInstances" */
    struct buffer form;
    unsigned filters;
};

#define EC2_REQUEST_NULL ((struct ec2_request){.action = NULL})

/* `action` is borrowed. */
void ec2_request_init(struct ec2_request *request, const char *action);
/* Of a service that is not EC2. */
void ec2_request_init_version(struct ec2_request *request, const char *action, const char *version);
void ec2_request_deinit(struct ec2_request *request);
/* One parameter; its name is written as printf(3) does. */
void ec2_add(struct ec2_request *request, const char *value, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
void ec2_add_int(struct ec2_request *request, int64_t value, const char *name, ...)
    __attribute__((format(printf, 3, 4)));
/* The next Filter.n, of one value. */
void ec2_filter(struct ec2_request *request, const char *name, const char *value);

/* ---- asking ---- */

struct ec2;

struct ec2_options {
    const char *region;
    const char *service;     /* "sts"; NULL: "ec2" */
    const char *endpoint;    /* instead of the public one; or NULL */
    const char *unix_socket; /* for tests: there instead; or NULL */
    struct aws_chain *chain; /* borrowed, with what it borrows */
    uint64_t pause_ns;       /* the first pause before a call is repeated; 0: half a second */
};

int ec2_open(const struct ec2_options *options, struct ec2 **ret, struct error *err);
void ec2_close(struct ec2 *ec2);
static inline void ec2_closep(struct ec2 **ec2) {
    if (*ec2)
        ec2_close(*ec2);
}
const char *ec2_region(const struct ec2 *ec2);

/*
 * `expected`: codes that are answers for the caller, NULL-terminated; or NULL. `ret` may be NULL
 * where the answer does not matter.
 */
int ec2_call(struct ec2 *ec2, const struct ec2_request *request, const char *const *expected,
             const struct task *task, struct xml **ret, struct error *err);
/* What EC2 said last when it said no: "InsufficientInstanceCapacity"; "" when it said yes. */
const char *ec2_code(const struct ec2 *ec2);

/*
 * All pages of a Describe action, each given to `page`. Errors: and those of `page`, ERROR_LIMIT
 * when there is no end.
 */
int ec2_sweep(struct ec2 *ec2, const struct ec2_request *request, const struct task *task,
              int page(void *arg, const struct xml_node *root, struct error *err), void *arg,
              struct error *err);

/* The error document of EC2, read: false if it is none. Texts are harmless. Pure. */
struct ec2_fault {
    char code[EC2_CODE_SIZE], message[512];
};
bool ec2_fault_read(const char *text, size_t size, struct ec2_fault *ret);
