#include "runner/cloud/aws_chain.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/cloud/aws_ask.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Keys that are good for less than this are asked for again; AWS gives new ones before that. */
#define EARLY_NS ((int64_t)(120 * NS_PER_SEC))

struct aws_chain {
    const struct deployment *deployment;
    const struct environment *env;
    pthread_mutex_t lock;
    struct aws_credentials now; /* empty: not asked yet */
    const char *source;
};

struct aws_chain *aws_chain_new(const struct deployment *deployment,
                                const struct environment *env) {
    struct aws_chain *chain = mem_new(struct aws_chain);
    *chain = (struct aws_chain){.deployment = deployment,
                                .env = env,
                                .lock = PTHREAD_MUTEX_INITIALIZER,
                                .source = "nowhere"};
    return chain;
}

void aws_chain_free(struct aws_chain *chain) {
    aws_credentials_deinit(&chain->now);
    pthread_mutex_destroy(&chain->lock);
    free(chain);
}

const char *aws_chain_source(const struct aws_chain *chain) {
    return chain->source;
}

static const char *variable(const struct aws_chain *chain, const char *name) {
    const char *value = environment_get(chain->env, name);
    return value && *value ? value : NULL;
}

/* ---- one way after the other: 1 where it knows nothing ---- */

static int from_deployment(struct aws_chain *chain, struct aws_credentials *ret,
                           struct error *err) {
    const struct secret *id = chain->deployment->credentials.access_key_id;
    const struct secret *key = chain->deployment->credentials.secret_access_key;
    const struct secret *token = chain->deployment->credentials.session_token;
    if (!id && !key && !token)
        return 1;
    if (!id || !key)
        return error_set(err, ERROR_CONFIG, "credentials: '%s' is missing",
                         id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    if (secret_reveal(id, chain->env, &ret->access_key_id, err) < 0 ||
        secret_reveal(key, chain->env, &ret->secret_access_key, err) < 0 ||
        (token && secret_reveal(token, chain->env, &ret->session_token, err) < 0))
        return error_wrap(err, "credentials");
    return 0;
}

static int from_environment(struct aws_chain *chain, struct aws_credentials *ret,
                            struct error *err) {
    const char *id = variable(chain, "AWS_ACCESS_KEY_ID");
    const char *key = variable(chain, "AWS_SECRET_ACCESS_KEY");
    if ((!id && !key) || variable(chain, "AWS_PROFILE"))
        return 1;
    if (!id || !key)
        return error_set(err, ERROR_CONFIG,
                         "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only "
                         "one is set");
    ret->access_key_id = text_dup(id);
    ret->secret_access_key = text_dup(key);
    ret->session_token = text_dup(variable(chain, "AWS_SESSION_TOKEN"));
    return 0;
}

/* A file that is not there says nothing. */
static int read_file(struct aws_chain *chain, const char *override, const char *usual,
                     const char *profile, bool is_config, struct aws_profile *ret,
                     struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    const char *home = variable(chain, "HOME"), *said = variable(chain, override);
    if (!said && !home)
        return 0;
    cleanup_free char *path = said && text_starts(said, "~/") && home ? path_join(home, said + 2)
                              : said                                  ? text_dup(said)
                                                                      : path_join(home, usual);
    struct error missing = ERROR_NULL;
    if (file_read(path, AWS_FILE_MAX, &text, &missing) < 0) {
        if (missing.kind == ERROR_NOT_FOUND)
            return 0;
        *err = missing;
        return error_wrap(err, "AWS's own files");
    }
    int r = aws_profile_read(path, buffer_string(&text), text.size, profile, is_config, ret, err);
    if (text.data)
        explicit_bzero(text.data, text.size);
    return r;
}

static int from_profile(struct aws_chain *chain, const struct task *task,
                        struct aws_credentials *ret, struct error *err) {
    cleanup(aws_profile_deinit) struct aws_profile p = {.found = false};
    const char *said = variable(chain, "AWS_PROFILE"), *name = said ? said : "default";
    char shown[100];
    text_safe(name, shown, sizeof shown);
    if (read_file(chain, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", name, false, &p, err) <
            0 ||
        read_file(chain, "AWS_CONFIG_FILE", ".aws/config", name, true, &p, err) < 0)
        return -1;
    if (said && !p.found) {
        error_set(err, ERROR_CONFIG, "AWS_PROFILE says '%s', and there is no such profile", shown);
        return error_hint(err, "~/.aws/credentials and ~/.aws/config have the profiles");
    }
    if (p.keys.access_key_id || p.keys.secret_access_key) {
        *ret = p.keys;
        p.keys = AWS_CREDENTIALS_NULL;
        return 0;
    }
    if (p.process)
        return aws_ask_process(p.process, task, ret, err) < 0
                   ? error_wrap(err, "credential_process of profile '%s'", shown)
                   : 0;
    if (!p.unsupported)
        return 1;
    error_set(err, ERROR_CONFIG, "profile '%s' says '%s', which is not supported", shown,
              p.unsupported);
    return error_hint(err,
                      "make a profile with `credential_process = aws configure "
                      "export-credentials --profile %s --format process`",
                      shown);
}

static int from_metadata(struct aws_chain *chain, const struct task *task,
                         struct aws_credentials *ret, struct error *err) {
    const char *disabled = variable(chain, "AWS_EC2_METADATA_DISABLED");
    if (disabled && strcasecmp(disabled, "true") == 0)
        return 1;
    return aws_ask_metadata(variable(chain, "AWS_EC2_METADATA_SERVICE_ENDPOINT"), task, ret, err);
}

static int look(struct aws_chain *chain, const struct task *task, struct aws_credentials *ret,
                struct error *err) {
    chain->source = "the deployment file";
    int r = from_deployment(chain, ret, err);
    if (r > 0) {
        chain->source = "the environment";
        r = from_environment(chain, ret, err);
    }
    if (r > 0) {
        chain->source = "a profile";
        r = from_profile(chain, task, ret, err);
    }
    if (r > 0) {
        chain->source = "the machine's role";
        r = from_metadata(chain, task, ret, err);
    }
    if (r <= 0)
        return r < 0 ? -1 : aws_credentials_check(ret, err);
    error_set(err, ERROR_REFUSED, "nobody says who we are at AWS");
    return error_hint(err, "`aws configure`, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                           "AWS_PROFILE, or 'credentials' in the deployment file");
}

/* ---- the whole ---- */

static bool is_old(const struct aws_credentials *c) {
    return c->expires.ns && clock_wall().ns > c->expires.ns - EARLY_NS;
}

static bool same(const struct aws_credentials *a, const struct aws_credentials *b) {
    return text_equal(a->access_key_id, b->access_key_id) &&
           text_equal(a->session_token, b->session_token);
}

static int renew(struct aws_chain *chain, const struct task *task, struct error *err) {
    cleanup(aws_credentials_deinit) struct aws_credentials found = AWS_CREDENTIALS_NULL;
    if (look(chain, task, &found, err) < 0)
        return error_wrap(err, "credentials for AWS from %s", chain->source);
    aws_credentials_deinit(&chain->now);
    chain->now = found;
    found = AWS_CREDENTIALS_NULL;
    return 0;
}

int aws_chain_get(struct aws_chain *chain, const struct aws_credentials *refused,
                  const struct task *task, struct aws_credentials *ret, struct error *err) {
    int r = 0;
    pthread_mutex_lock(&chain->lock);
    bool known = chain->now.access_key_id != NULL;
    if (!known || is_old(&chain->now) || (refused && same(refused, &chain->now)))
        r = renew(chain, task, err);
    if (r == 0) {
        *ret = aws_credentials_copy(&chain->now);
        r = refused && same(refused, ret);
    }
    pthread_mutex_unlock(&chain->lock);
    return r;
}
