#include "runner/remote/target.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_config.h"
#include "runner/remote/ssh_destination.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static void free_texts(char **texts) {
    for (size_t i = 0; texts && texts[i]; i++)
        free(texts[i]);
    free(texts);
}

void target_free(struct target *target) {
    if (!target)
        return;
    char *texts[] = {target->name,
                     target->host_name,
                     target->user,
                     target->identity_agent,
                     target->proxy_jump,
                     target->host_key_alias,
                     target->host_key_algorithms,
                     target->ciphers,
                     target->macs,
                     target->kex_algorithms,
                     target->bind_address};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free_texts(target->identity_files);
    free_texts(target->user_known_hosts_files);
    free_texts(target->global_known_hosts_files);
    free(target);
}

/* ---- who and where we are ---- */

struct self {
    char *user, *home;
    char host[HOST_NAME_MAX + 1], short_host[HOST_NAME_MAX + 1];
    char uid[24];
};

static void self_deinit(struct self *self) {
    free(self->user);
    free(self->home);
}

static const char *variable_or(const char *name, const char *fallback) {
    const char *value = getenv(name);
    return value && value[0] ? value : fallback;
}

/* Home and name of a user; a container's user may be in no database. */
static void find_self(struct self *ret) {
    char room[4096];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, room, sizeof room, &found) != 0)
        found = NULL;
    ret->user = text_dup(found ? found->pw_name : variable_or("USER", "root"));
    ret->home = text_dup(found ? found->pw_dir : variable_or("HOME", "/"));
    if (gethostname(ret->host, sizeof ret->host - 1) < 0)
        strcpy(ret->host, "localhost");
    strcpy(ret->short_host, ret->host);
    ret->short_host[strcspn(ret->short_host, ".")] = '\0';
    snprintf(ret->uid, sizeof ret->uid, "%u", (unsigned)getuid());
}

/* "~" and "~/x" are ours, "~user/x" another's. */
static int expand_home(const struct self *self, const char *path, char **ret, struct error *err) {
    if (path[0] != '~') {
        *ret = text_dup(path);
        return 0;
    }
    size_t size = strcspn(path + 1, "/");
    if (size == 0) {
        *ret = text_format("%s%s", self->home, path + 1);
        return 0;
    }
    cleanup_free char *name = text_format("%.*s", (int)size, path + 1);
    char room[4096];
    struct passwd entry, *found = NULL;
    if (getpwnam_r(name, &entry, room, sizeof room, &found) != 0 || !found)
        return error_set(err, ERROR_CONFIG, "'%.200s': there is no user '%.100s'", path, name);
    *ret = text_format("%s%s", found->pw_dir, path + 1 + size);
    return 0;
}

/* ---- files ---- */

/* As ssh: whoever can write it decides where we connect. */
static int check_owner(const char *path, struct error *err) {
    struct stat status;
    if (stat(path, &status) < 0)
        return 0; /* reading it will say so */
    if ((status.st_uid == 0 || status.st_uid == getuid()) && (status.st_mode & 022) == 0)
        return 0;
    error_set(err, ERROR_CONFIG, "'%s' belongs to, or can be written by, others", path);
    return error_hint(err, "chmod 600 '%s'", path);
}

/* 1: it does not exist. */
static int read_config(const char *path, bool user, bool check, struct ssh_config_file *ret,
                       struct error *err) {
    struct stat status;
    struct error reading = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (check && check_owner(path, err) < 0)
        return -1;
    bool empty = stat(path, &status) == 0 && S_ISCHR(status.st_mode); /* /dev/null */
    if (!empty && file_read(path, SSH_CONFIG_FILE_SIZE_MAX, &text, &reading) < 0) {
        if (reading.kind == ERROR_NOT_FOUND)
            return 1;
        *err = reading;
        err->kind = ERROR_CONFIG;
        return -1;
    }
    size_t size = text.size;
    *ret = (struct ssh_config_file){.path = text_dup(path),
                                    .text = text.data ? buffer_take(&text) : text_dup(""),
                                    .size = size,
                                    .user = user};
    return 0;
}

static void free_files(struct ssh_config_file *files, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(files[i].path);
        free(files[i].text);
    }
    free(files);
}

static int read_globbed(const glob_t *found, bool user, struct ssh_config_file *files,
                        size_t *count, struct error *err) {
    for (size_t i = 0; i < found->gl_pathc; i++) {
        int r = read_config(found->gl_pathv[i], user, true, &files[*count], err);
        if (r < 0)
            return -1;
        *count += r == 0;
    }
    return 0;
}

/* Include: relative paths are of ~/.ssh in the user's files and of /etc/ssh in the system's. */
static int include(void *context, const char *pattern, bool user, struct ssh_config_file **ret,
                   size_t *ret_count, struct error *err) {
    const struct self *self = context;
    cleanup_free char *path = NULL;
    if (pattern[0] == '~') {
        if (expand_home(self, pattern, &path, err) < 0)
            return -1;
    } else if (pattern[0] == '/') {
        path = text_dup(pattern);
    } else {
        path = user ? text_format("%s/.ssh/%s", self->home, pattern)
                    : text_format("/etc/ssh/%s", pattern);
    }
    glob_t found = {0};
    int r = glob(path, 0, NULL, &found);
    if (r == GLOB_NOMATCH) {
        *ret = NULL;
        *ret_count = 0;
        return 0;
    }
    if (r != 0 || found.gl_pathc > SSH_CONFIG_FILES_MAX) {
        if (r == 0)
            globfree(&found);
        return error_set(err, ERROR_CONFIG, "'%s' names too much, or nothing readable", path);
    }
    struct ssh_config_file *files = mem_new_array(struct ssh_config_file, found.gl_pathc + 1);
    size_t count = 0;
    r = read_globbed(&found, user, files, &count, err);
    globfree(&found);
    if (r < 0) {
        free_files(files, count);
        return -1;
    }
    *ret = files;
    *ret_count = count;
    return 0;
}

static int read_configs(const struct self *self, const char *config_file,
                        struct ssh_config_file files[2], size_t *count, struct error *err) {
    if (text_equal(config_file, "none"))
        return 0;
    if (config_file) {
        int r = read_config(config_file, true, false, &files[0], err);
        *count += r == 0;
        return r == 1
                   ? error_set(err, ERROR_CONFIG, "there is no SSH configuration '%s'", config_file)
                   : r;
    }
    cleanup_free char *users = text_format("%s/.ssh/config", self->home);
    int r = read_config(users, true, true, &files[*count], err);
    *count += r == 0;
    if (r >= 0)
        r = read_config("/etc/ssh/ssh_config", false, false, &files[*count], err);
    *count += r == 0;
    return r < 0 ? -1 : 0;
}

/* ---- from values to a target ---- */

enum { TOKENS = 11 };

struct making {
    const struct ssh_config *config;
    const struct self *self;
    struct ssh_config_token tokens[TOKENS + 1];
};

static const char *variable(const char *name) {
    return getenv(name);
}

/* ~, then tokens and variables. */
static int expand(const struct making *making, const struct ssh_config_value *value, char **ret,
                  struct error *err) {
    cleanup_free char *path = NULL;
    if (expand_home(making->self, value->text, &path, err) < 0 ||
        ssh_config_expand(path, making->tokens, variable, ret, err) < 0)
        return error_wrap(err, "%s", value->where);
    return 0;
}

static const char *text_of(const struct making *making, enum ssh_config_key key,
                           const char *fallback) {
    const char *text = making->config->values[key].text;
    return text ? text : fallback;
}

static int64_t time_of(const struct making *making, enum ssh_config_key key) {
    int64_t seconds = 0;
    struct error ignored = ERROR_NULL; /* it has been checked */
    (void)ssh_config_time(text_of(making, key, "0"), &seconds, &ignored);
    return seconds > 0 ? seconds : 0;
}

static uint64_t number_of(const struct making *making, enum ssh_config_key key,
                          const char *fallback) {
    uint64_t number = 0;
    struct error ignored = ERROR_NULL;
    (void)text_to_u64(text_of(making, key, fallback), 0, INT_MAX, &number, &ignored);
    return number;
}

static int make_list(const struct making *making, enum ssh_config_key key,
                     const char *const *fallback, char ***ret, struct error *err) {
    const struct ssh_config_list *list = ssh_config_list(making->config, key);
    size_t count = list->count, used = 0;
    while (list->count == 0 && fallback[count])
        count++;
    *ret = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++) {
        char *standard = list->count ? NULL : text_dup(fallback[i]);
        struct ssh_config_value value = {.text = standard, .where = NULL};
        if (list->count)
            value = list->items[i];
        int r =
            strcasecmp(value.text, "none") == 0 ? 1 : expand(making, &value, &(*ret)[used], err);
        free(standard);
        if (r < 0)
            return -1;
        used += r == 0;
    }
    return 0;
}

static int make_files(const struct making *making, struct target *target, struct error *err) {
    static const char *const identities[] = {
        "~/.ssh/id_rsa",        "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519",
        "~/.ssh/id_ed25519_sk", "~/.ssh/id_xmss",  "~/.ssh/id_dsa",      NULL};
    static const char *const users[] = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2", NULL};
    static const char *const systems[] = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2",
                                          NULL};
    if (make_list(making, SSH_CONFIG_IDENTITY_FILE, identities, &target->identity_files, err) < 0 ||
        make_list(making, SSH_CONFIG_USER_KNOWN_HOSTS, users, &target->user_known_hosts_files,
                  err) < 0)
        return -1;
    return make_list(making, SSH_CONFIG_GLOBAL_KNOWN_HOSTS, systems,
                     &target->global_known_hosts_files, err);
}

/* "none", the name of a variable, "$NAME" of old, or a path. */
static int make_agent(const struct making *making, char **ret, struct error *err) {
    const struct ssh_config_value *value = &making->config->values[SSH_CONFIG_IDENTITY_AGENT];
    const char *text = value->text ? value->text : "SSH_AUTH_SOCK";
    const char *name = strcmp(text, "SSH_AUTH_SOCK") == 0 ? text
                       : text[0] == '$' && text[1] != '{' ? text + 1
                                                          : NULL;
    if (strcmp(text, "none") == 0)
        return 0;
    if (!name)
        return expand(making, value, ret, err);
    const char *path = getenv(name);
    *ret = path && path[0] ? text_dup(path) : NULL;
    return 0;
}

static void make_plain(const struct making *making, struct target *target) {
    target->host_name = text_dup(making->config->host);
    target->user = text_dup(text_of(making, SSH_CONFIG_USER, making->self->user));
    target->port = (uint16_t)number_of(making, SSH_CONFIG_PORT, "22");
    target->identities_only = ssh_config_flag(text_of(making, SSH_CONFIG_IDENTITIES_ONLY, "no"));
    target->batch_mode = ssh_config_flag(text_of(making, SSH_CONFIG_BATCH_MODE, "no"));
    const char *jump = text_of(making, SSH_CONFIG_PROXY_JUMP, "none");
    target->proxy_jump = strcasecmp(jump, "none") == 0 ? NULL : text_dup(jump);
    target->host_key_checking = (enum target_host_key_checking[]){
        [SSH_CONFIG_CHECK_YES] = TARGET_CHECK_YES,
        [SSH_CONFIG_CHECK_NO] = TARGET_CHECK_NO,
        [SSH_CONFIG_CHECK_ASK] = TARGET_CHECK_ASK,
        [SSH_CONFIG_CHECK_NEW] = TARGET_CHECK_ACCEPT_NEW,
    }[ssh_config_checking(text_of(making, SSH_CONFIG_STRICT_HOST_KEY_CHECKING, "ask"))];
    target->host_key_alias = text_dup(text_of(making, SSH_CONFIG_HOST_KEY_ALIAS, NULL));
    for (char *c = target->host_key_alias; c && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    target->hash_known_hosts = ssh_config_flag(text_of(making, SSH_CONFIG_HASH_KNOWN_HOSTS, "no"));
    target->host_key_algorithms = text_dup(text_of(making, SSH_CONFIG_HOST_KEY_ALGORITHMS, NULL));
    target->ciphers = text_dup(text_of(making, SSH_CONFIG_CIPHERS, NULL));
    target->macs = text_dup(text_of(making, SSH_CONFIG_MACS, NULL));
    target->kex_algorithms = text_dup(text_of(making, SSH_CONFIG_KEX_ALGORITHMS, NULL));
    target->bind_address = text_dup(text_of(making, SSH_CONFIG_BIND_ADDRESS, NULL));
    target->address_family = ssh_config_family(text_of(making, SSH_CONFIG_ADDRESS_FAMILY, "any"));
    target->connect_timeout_s = time_of(making, SSH_CONFIG_CONNECT_TIMEOUT);
    target->server_alive_interval_s = time_of(making, SSH_CONFIG_SERVER_ALIVE_INTERVAL);
    target->server_alive_count_max =
        (int64_t)number_of(making, SSH_CONFIG_SERVER_ALIVE_COUNT_MAX, "3");
    target->compression = ssh_config_flag(text_of(making, SSH_CONFIG_COMPRESSION, "no"));
}

/* As ssh: they end up in commands that people copy, and in files of known hosts. */
static int check_names(const struct making *making, const struct target *target,
                       struct error *err) {
    const struct ssh_config_value *values = making->config->values;
    bool host = ssh_destination_host_clean(target->host_name);
    if (host && ssh_destination_user_clean(target->user))
        return 0;
    char safe[256];
    text_safe(host ? target->user : target->host_name, safe, sizeof safe);
    error_set(err, ERROR_CONFIG, "'%s' is not usable as the name of a %s", safe,
              host ? "user" : "host");
    const char *where = values[host ? SSH_CONFIG_USER : SSH_CONFIG_HOST_NAME].where;
    return where ? error_wrap(err, "%s", where) : -1;
}

static int make_target(const char *name, const struct ssh_config *config, const struct self *self,
                       struct target **ret, struct error *err) {
    cleanup(target_freep) struct target *target = mem_new(struct target);
    struct making making = {.config = config, .self = self};
    target->name = text_dup(name);
    make_plain(&making, target);
    char port[16];
    snprintf(port, sizeof port, "%u", target->port);
    const struct ssh_config_token tokens[TOKENS] = {
        {'h', target->host_name},
        {'k', target->host_key_alias ? target->host_key_alias : name},
        {'n', name},
        {'p', port},
        {'r', target->user},
        {'u', self->user},
        {'d', self->home},
        {'i', self->uid},
        {'l', self->host},
        {'L', self->short_host},
        {0, NULL},
    };
    memcpy(making.tokens, tokens, sizeof tokens);
    if (check_names(&making, target, err) < 0 || make_files(&making, target, err) < 0 ||
        make_agent(&making, &target->identity_agent, err) < 0)
        return -1;
    *ret = take_ptr(target);
    return 0;
}

static int resolve(const struct ssh_destination *destination, const char *config_file,
                   struct self *self, struct target **ret, struct error *err) {
    struct ssh_config_file *files = mem_new_array(struct ssh_config_file, 2);
    struct ssh_config_input input = {.host = destination->host,
                                     .user = destination->user,
                                     .port = destination->port,
                                     .local_user = self->user,
                                     .files = files,
                                     .include = include,
                                     .context = self};
    cleanup(ssh_config_deinit) struct ssh_config config = {.host = NULL};
    int r = read_configs(self, config_file, files, &input.file_count, err);
    if (r == 0)
        r = ssh_config_resolve(&input, &config, err);
    if (r == 0)
        r = make_target(destination->host, &config, self, ret, err);
    free_files(files, input.file_count);
    return r;
}

int target_resolve(const char *destination, const char *config_file, struct target **ret,
                   struct error *err) {
    cleanup(ssh_destination_deinit) struct ssh_destination parsed = SSH_DESTINATION_NULL;
    cleanup(self_deinit) struct self self = {.user = NULL};
    if (ssh_destination_parse(destination, &parsed, err) < 0)
        return -1;
    find_self(&self);
    return resolve(&parsed, config_file, &self, ret, err);
}
