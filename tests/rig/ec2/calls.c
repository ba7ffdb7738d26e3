/* Sends requests to EC2 with values of all kinds, for signatures to be compared: N of them, made of
 * a seed. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/cloud/ec2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static void fill(char *text, size_t size) {
    static const char letters[] = "aZ0 -_.~*+/=&%?#:;'\"()[]{}<>@!$,|\\^`\t\n";
    static const char *const others[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xa2"};
    text[0] = '\0';
    for (uint64_t n = draw(size / 5); n > 0; n--) {
        char one[5] = {letters[draw(sizeof letters - 1)]};
        strcat(text, draw(8) == 0 ? others[draw(3)] : one);
    }
}

static int call(struct ec2 *ec2, struct error *err) {
    static const char *const actions[] = {"DescribeInstances", "DescribeSecurityGroups",
                                          "DescribeImages", "DescribeVpcs", "DescribeSubnets"};
    cleanup(ec2_request_deinit) struct ec2_request request = EC2_REQUEST_NULL;
    struct task task = TASK_FOREVER;
    char name[100], value[400];
    ec2_request_init(&request, actions[draw(5)]);
    for (uint64_t n = draw(6); n > 0; n--) {
        fill(name, sizeof name);
        fill(value, sizeof value);
        cleanup_free char *tag = text_format("tag:%s", name);
        ec2_filter(&request, tag, value);
    }
    return ec2_call(ec2, &request, NULL, &task, NULL, err);
}

/* The endpoint and the keys are the environment's. */
int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    cleanup(deployment_freep) struct deployment *d = deployment_new_default("/");
    cleanup(aws_chain_freep) struct aws_chain *chain = aws_chain_new(d, &environment_of_process);
    cleanup(ec2_closep) struct ec2 *ec2 = NULL;
    struct ec2_options options = {
        .region = "eu-central-1", .endpoint = getenv("AWS_ENDPOINT_URL"), .chain = chain};
    if (argc != 3)
        return 2;
    state = strtoull(argv[2], NULL, 10);
    int r = ec2_open(&options, &ec2, &err);
    for (long n = strtol(argv[1], NULL, 10); r == 0 && n > 0; n--)
        r = call(ec2, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    return r < 0;
}
