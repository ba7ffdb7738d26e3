#pragma once

/* Two who can be asked who we are: a program, and the metadata service of an EC2 machine. */

#include "lib/task.h"
#include "runner/cloud/aws_profile.h"

/* Runs `command` by sh(1), and reads what it prints. What it says on stderr is for people. */
int aws_ask_process(const char *command, const struct task *task, struct aws_credentials *ret,
                    struct error *err);

/*
 * IMDSv2 at `endpoint` (an http:// address; NULL: where it always is). 1: nobody answers there, or
 * the machine has no role.
 */
int aws_ask_metadata(const char *endpoint, const struct task *task, struct aws_credentials *ret,
                     struct error *err);
