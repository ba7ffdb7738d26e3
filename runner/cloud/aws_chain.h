#pragma once

/*
 * Who we are at AWS, found as its own programs find it, the first that knows something:
 *
 *   1. `credentials` of the deployment file;
 *   2. AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, unless AWS_PROFILE is set;
 *   3. the profile (AWS_PROFILE, else `default`) of the credentials and the config file
 *      (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE): its keys, or its `credential_process`;
 *   4. the metadata service of the EC2 machine that we run on, by IMDSv2 alone, unless
 *      AWS_EC2_METADATA_DISABLED is true.
 *
 * A profile that assumes a role or uses SSO is refused by name: `credential_process` can be
 * `aws configure export-credentials`. What expires is asked for again before it does.
 *
 * Errors:  ERROR_CONFIG, ERROR_REFUSED (nobody knows who we are), ERROR_TIMEOUT, ERROR_CANCELLED,
 *          ...; never with a secret.
 * Threads: any number may ask one chain.
 */

#include "compose/environment.h"
#include "lib/cleanup.h"
#include "lib/task.h"
#include "runner/cloud/aws_profile.h"
#include "runner/deployment/deployment.h"

struct aws_chain;

/* Borrows both. Reads nothing yet. */
struct aws_chain *aws_chain_new(const struct deployment *deployment, const struct environment *env);
void aws_chain_free(struct aws_chain *chain);
DEFINE_CLEANUP_FREE(aws_chain);

/*
 * `refused`: an access key id that was not accepted any more, or NULL; if the chain still has it,
 * it looks again. Returns 1 when what it then has is the same: there is nothing newer.
 */
int aws_chain_get(struct aws_chain *chain, const struct aws_credentials *refused,
                  const struct task *task, struct aws_credentials *ret, struct error *err);

/* Where the keys come from, for people: "the environment". After aws_chain_get. */
const char *aws_chain_source(const struct aws_chain *chain);
