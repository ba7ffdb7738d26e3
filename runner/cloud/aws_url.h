#pragma once

/* Where a service is: `https://ec2.us-east-2.amazonaws.com`, `http://127.0.0.1:5000`. Pure. */

#include "lib/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { AWS_HOST_MAX = 253 };

struct aws_url {
    bool tls;
    char host[AWS_HOST_MAX + 1]; /* IPv6 without brackets */
    uint16_t port;
};

/* Scheme, host and port; a path is refused unless it is "/". ERROR_CONFIG. */
int aws_url_parse(const char *text, struct aws_url *ret, struct error *err);

/* A region's name: letters, digits, '-'. It goes into a host's name and a signature. */
bool aws_is_region(const char *text);

/* Of a service ("ec2", "sts") in that region: `override`, or the public one. */
int aws_url_of(const char *service, const char *region, const char *override, struct aws_url *ret,
               struct error *err);
