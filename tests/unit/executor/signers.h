#pragma once

/* Four replicas that sign with keys of their own, made for a group of tests:
 *     return cmocka_run_group_tests(tests, signers_make, signers_forget); */

#include "executor/auth.h"

enum { SIGNERS = 4 };

extern struct auth signers[SIGNERS]; /* of the run "run" */

int signers_make(void **state);
int signers_forget(void **state);
