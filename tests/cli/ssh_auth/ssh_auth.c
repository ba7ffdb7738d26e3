/*
 * What ours makes of SSH's files, printed, so that OpenSSH's own programs can be its judges:
 *
 *   ssh_auth list AGENT|- all|only FILE...          identities in their order, then the problems
 *   ssh_auth sign AGENT|- FILE [silent] <MESSAGE >SIGNATURE  as ssh-keygen -Y sign -n test
 * (PROTOCOL.sshsig) ssh_auth hosts FILE COUNT                       COUNT threads, each as a host
 * of its own, sign ssh_auth check HOST PORT FILE.pub FILE...       match, unknown, changed or
 * revoked, and where ssh_auth algorithms HOST PORT FILE... ssh_auth add HOST PORT FILE.pub FILE
 * [hash] ssh_auth fingerprint FILE.pub ssh_auth resolve CONFIG|- DESTINATION           as ssh -G,
 * what we understand of it
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "runner/remote/identity.h"
#include "runner/remote/key_file.h"
#include "runner/remote/known_hosts.h"
#include "runner/remote/ssh_bytes.h"
#include "runner/remote/target.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int read_input(struct buffer *ret) {
    char chunk[4096];
    size_t n;
    buffer_init(ret, 1 << 20);
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        buffer_append(ret, chunk, n);
    return ret->overflowed ? -1 : 0;
}

static const char *agent_of(const char *argument) {
    return strcmp(argument, "-") == 0 ? NULL : argument;
}

static int list(char **arguments, struct error *err) {
    struct identity_set set = IDENTITY_SET_NULL;
    cleanup_free char *problems = NULL;
    if (identity_collect(arguments + 2, agent_of(arguments[0]), strcmp(arguments[1], "only") == 0,
                         &TASK_FOREVER, &set, &problems, err) < 0)
        return -1;
    for (size_t i = 0; i < set.count; i++) {
        size_t size;
        const void *blob = identity_blob(set.identities[i], &size);
        cleanup_free char *print = blob ? known_hosts_fingerprint(blob, size) : NULL;
        printf("%s %s\n", identity_describe(set.identities[i]), print ? print : "unknown");
    }
    if (problems)
        printf("problems: %s\n", problems);
    identity_set_deinit(&set);
    return 0;
}

/* PROTOCOL.sshsig: what is signed, and what is written. */
static void wrap(struct buffer *out, const char *last, const void *data, size_t size) {
    ssh_put_text(out, "test");
    ssh_put_text(out, "");
    ssh_put_text(out, last);
    ssh_put_string(out, data, size);
}

static int sign_with(struct identity *identity, struct error *err) {
    struct buffer message, signed_text, armored, whole;
    unsigned char hash[SHA512_SIZE], *signature;
    size_t blob_size, signature_size;
    if (read_input(&message) < 0)
        return -1;
    if (identity_prepare(identity, &TASK_FOREVER, err) < 0) {
        buffer_deinit(&message);
        return -1;
    }
    sha512_of(buffer_string(&message), message.size, hash);
    buffer_deinit(&message);
    buffer_init(&signed_text, 4096);
    buffer_text(&signed_text, "SSHSIG");
    wrap(&signed_text, "sha512", hash, sizeof hash);
    int r = identity_sign(identity, signed_text.data, signed_text.size, &TASK_FOREVER, &signature,
                          &signature_size, err);
    buffer_deinit(&signed_text);
    if (r < 0)
        return -1;
    const void *blob = identity_blob(identity, &blob_size);
    buffer_init(&whole, 1 << 16);
    buffer_text(&whole, "SSHSIG");
    ssh_put_u32(&whole, 1);
    ssh_put_string(&whole, blob, blob_size);
    wrap(&whole, "sha512", signature, signature_size);
    free(signature);
    buffer_init(&armored, 1 << 17);
    base64_encode(whole.data, whole.size, &armored);
    printf("-----BEGIN SSH SIGNATURE-----\n%s\n-----END SSH SIGNATURE-----\n",
           buffer_string(&armored));
    buffer_deinit(&whole);
    buffer_deinit(&armored);
    return 0;
}

static int sign(char **arguments, struct error *err) {
    struct identity_set set = IDENTITY_SET_NULL;
    cleanup_free char *problems = NULL;
    char *files[] = {arguments[1], NULL};
    if (identity_collect(files, agent_of(arguments[0]), true, &TASK_FOREVER, &set, &problems, err) <
        0)
        return -1;
    if (arguments[2])
        identity_set_silent(&set);
    int r = set.count ? sign_with(set.identities[0], err)
                      : error_set(err, ERROR_REFUSED, "%s", problems ? problems : "no identity");
    identity_set_deinit(&set);
    return r;
}

/* What a host's thread does. */
static void *log_in(void *context) {
    char *files[] = {context, NULL};
    struct identity_set set = IDENTITY_SET_NULL;
    char *problems = NULL;
    unsigned char *signature = NULL;
    size_t size;
    struct error err = ERROR_NULL;
    bool good =
        identity_collect(files, NULL, true, &TASK_FOREVER, &set, &problems, &err) == 0 &&
        set.count == 1 &&
        identity_sign(set.identities[0], "data", 4, &TASK_FOREVER, &signature, &size, &err) == 0;
    free(signature);
    free(problems);
    identity_set_deinit(&set);
    return good ? context : NULL;
}

static int hosts(char **arguments, struct error *err) {
    enum { HOSTS_MAX = 256 };
    pthread_t threads[HOSTS_MAX];
    int count = atoi(arguments[1]), good = 0;
    if (count < 1 || count > HOSTS_MAX)
        return error_set(err, ERROR_USAGE, "1 to %d hosts", HOSTS_MAX);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, log_in, arguments[0]) != 0)
            return error_set(err, ERROR_IO, "no more threads");
    for (int i = 0; i < count; i++) {
        void *result;
        pthread_join(threads[i], &result);
        good += result != NULL;
    }
    printf("%d\n", good);
    return 0;
}

static int read_key(const char *file, struct buffer *ret, struct error *err) {
    struct buffer text = BUFFER_NULL;
    cleanup_free char *comment = NULL;
    if (file_read(file, 1 << 20, &text, err) < 0)
        return -1;
    int r = key_file_public(buffer_string(&text), text.size, ret, &comment, err);
    buffer_deinit(&text);
    return r;
}

static int check(char **arguments, struct error *err) {
    static const char *const answers[] = {"match", "unknown", "changed", "revoked"};
    struct buffer key;
    struct known_hosts_result result;
    if (read_key(arguments[2], &key, err) < 0)
        return -1;
    struct known_hosts_query query = {.host = arguments[0],
                                      .port = (uint16_t)atoi(arguments[1]),
                                      .key = key.data,
                                      .key_size = key.size};
    int r = known_hosts_check(arguments + 3, &query, &result, err);
    if (r == 0)
        printf("%s%s%s%s\n", answers[result.answer], result.where[0] ? " " : "", result.where,
               result.same_type ? " same type" : "");
    buffer_deinit(&key);
    return r;
}

static int algorithms(char **arguments, struct error *err) {
    (void)err;
    cleanup_free char *found =
        known_hosts_algorithms(arguments + 2, arguments[0], (uint16_t)atoi(arguments[1]));
    printf("%s\n", found);
    return 0;
}

static int add(char **arguments, struct error *err) {
    struct buffer key;
    if (read_key(arguments[2], &key, err) < 0)
        return -1;
    struct known_hosts_query query = {.host = arguments[0],
                                      .port = (uint16_t)atoi(arguments[1]),
                                      .key = key.data,
                                      .key_size = key.size,
                                      .hash_name = arguments[4] != NULL};
    int r = known_hosts_add(arguments[3], &query, err);
    buffer_deinit(&key);
    return r;
}

static int fingerprint(char **arguments, struct error *err) {
    struct buffer key;
    if (read_key(arguments[0], &key, err) < 0)
        return -1;
    cleanup_free char *print = known_hosts_fingerprint(key.data, key.size);
    printf("%s\n", print);
    buffer_deinit(&key);
    return 0;
}

static void print_list(const char *name, char **items) {
    printf("%s", name);
    for (size_t i = 0; items[i]; i++)
        printf(" %s", items[i]);
    printf("\n");
}

static void print_text(const char *name, const char *text) {
    if (text)
        printf("%s %s\n", name, text);
}

static void print_files(const struct target *target) {
    for (size_t i = 0; target->identity_files[i]; i++)
        printf("identityfile %s\n", target->identity_files[i]);
    print_list("userknownhostsfile", target->user_known_hosts_files);
    print_list("globalknownhostsfile", target->global_known_hosts_files);
    print_text("identityagent", target->identity_agent);
}

static void print_target(const struct target *target) {
    static const char *const checks[] = {"ask", "true", "accept-new", "false"};
    printf("user %s\nhostname %s\nport %u\n", target->user, target->host_name, target->port);
    printf("identitiesonly %s\n", target->identities_only ? "yes" : "no");
    printf("batchmode %s\n", target->batch_mode ? "yes" : "no");
    printf("compression %s\n", target->compression ? "yes" : "no");
    printf("hashknownhosts %s\n", target->hash_known_hosts ? "yes" : "no");
    printf("stricthostkeychecking %s\n", checks[target->host_key_checking]);
    printf("addressfamily %s\n", target->address_family == AF_INET    ? "inet"
                                 : target->address_family == AF_INET6 ? "inet6"
                                                                      : "any");
    printf("serveralivecountmax %jd\n", (intmax_t)target->server_alive_count_max);
    printf("serveraliveinterval %jd\n", (intmax_t)target->server_alive_interval_s);
    if (target->connect_timeout_s > 0)
        printf("connecttimeout %jd\n", (intmax_t)target->connect_timeout_s);
    else
        printf("connecttimeout none\n");
    print_text("proxyjump", target->proxy_jump);
    print_text("hostkeyalias", target->host_key_alias);
    print_text("hostkeyalgorithms", target->host_key_algorithms);
    print_text("ciphers", target->ciphers);
    print_text("macs", target->macs);
    print_text("kexalgorithms", target->kex_algorithms);
    print_text("bindaddress", target->bind_address);
    print_files(target);
}

static int resolve(char **arguments, struct error *err) {
    cleanup(target_freep) struct target *target = NULL;
    const char *config = strcmp(arguments[0], "-") == 0 ? NULL : arguments[0];
    if (target_resolve(arguments[1], config, &target, err) < 0)
        return -1;
    print_target(target);
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int least;
        int (*run)(char **arguments, struct error *err);
    } commands[] = {
        {"list", 2, list},
        {"sign", 2, sign},
        {"hosts", 2, hosts},
        {"check", 3, check},
        {"algorithms", 2, algorithms},
        {"add", 4, add},
        {"fingerprint", 1, fingerprint},
        {"resolve", 2, resolve},
    };
    struct error err = ERROR_NULL;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc < 2 + commands[i].least || strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (commands[i].run(argv + 2, &err) == 0)
            return EXIT_SUCCESS;
        fprintf(stderr, "%s: %s%s%s\n", error_kind_name(err.kind), err.text,
                err.hint[0] ? "\nhint: " : "", err.hint);
        return EXIT_FAILURE;
    }
    fprintf(stderr, "ssh_auth: see tests/cli/ssh_auth/ssh_auth.c\n");
    return 2;
}
