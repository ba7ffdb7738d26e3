#include "runner/remote/known_hosts.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_bytes.h"
#include "runner/remote/ssh_pattern.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
    FILE_SIZE_MAX = 16 << 20, /* 40,000 hosts */
    KEY_SIZE_MAX = 64 << 10,
    PORT_DEFAULT = 22,
};

/* ---- one line ---- */

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    return at;
}

/* The next run of anything but blanks; empty at the end of the line. */
static const char *take_word(const char **at, const char *end, size_t *ret_size) {
    const char *begin = skip_blanks(*at, end);
    const char *stop = begin;
    while (stop < end && *stop != ' ' && *stop != '\t')
        stop++;
    *ret_size = (size_t)(stop - begin);
    *at = stop;
    return begin;
}

static bool word_is(const char *word, size_t size, const char *text) {
    return size == strlen(text) && memcmp(word, text, size) == 0;
}

bool known_hosts_parse(const char *line, size_t size, struct known_hosts_line *ret) {
    if (memchr(line, '\0', size))
        return false;
    const char *at = line, *end = line + size;
    if (end > at && end[-1] == '\r')
        end--;
    struct known_hosts_line found = {.marker = KNOWN_HOSTS_PLAIN};
    found.names = take_word(&at, end, &found.names_size);
    if (found.names_size == 0 || found.names[0] == '#')
        return false;
    if (found.names[0] == '@') {
        if (word_is(found.names, found.names_size, "@revoked"))
            found.marker = KNOWN_HOSTS_REVOKES;
        else if (word_is(found.names, found.names_size, "@cert-authority"))
            found.marker = KNOWN_HOSTS_AUTHORITY;
        else
            return false;
        found.names = take_word(&at, end, &found.names_size);
    }
    found.type = take_word(&at, end, &found.type_size);
    found.key = take_word(&at, end, &found.key_size);
    if (found.key_size == 0)
        return false;
    *ret = found;
    return true;
}

/* "|1|salt|hash", both in base64; the hash is HMAC-SHA1 of the name under the salt. */
static bool hashed_name_is(const char *hashed, size_t size, const char *name) {
    static const char magic[] = "|1|";
    const size_t magic_size = sizeof magic - 1;
    if (size < magic_size || memcmp(hashed, magic, magic_size) != 0)
        return false;
    const char *salt_text = hashed + magic_size, *end = hashed + size;
    const char *bar = memchr(salt_text, '|', (size_t)(end - salt_text));
    if (!bar)
        return false;
    cleanup(buffer_deinit) struct buffer salt, hash;
    buffer_init(&salt, SHA1_SIZE + 2);
    buffer_init(&hash, SHA1_SIZE + 2);
    struct error ignored = ERROR_NULL;
    if (base64_decode(salt_text, (size_t)(bar - salt_text), &salt, &ignored) < 0 ||
        base64_decode(bar + 1, (size_t)(end - bar - 1), &hash, &ignored) < 0 ||
        salt.size != SHA1_SIZE || hash.size != SHA1_SIZE)
        return false;
    unsigned char expected[SHA1_SIZE];
    hmac_sha1(salt.data, salt.size, name, strlen(name), expected);
    return memcmp(expected, hash.data, SHA1_SIZE) == 0;
}

bool known_hosts_names(const struct known_hosts_line *line, const char *name) {
    if (line->names[0] == '|')
        return hashed_name_is(line->names, line->names_size, name);
    return ssh_pattern_list(name, line->names, line->names_size, true) == 1;
}

/* The key's blob, if it is of the type that the line names. */
static bool decode_key(const struct known_hosts_line *line, struct buffer *ret) {
    struct error ignored = ERROR_NULL;
    if (base64_decode(line->key, line->key_size, ret, &ignored) < 0)
        return false;
    struct byte_reader r = byte_reader(ret->data, ret->size);
    struct ssh_string type = ssh_get_string(&r);
    return !r.failed && type.size == line->type_size &&
           memcmp(type.data, line->type, type.size) == 0;
}

/* ---- files ---- */

struct found {
    const struct known_hosts_line *line;
    const struct buffer *key;
    const char *file;
    unsigned number;
};

/* Tells `each` of every readable line that names the host; it may say stop. */
typedef bool (*found_callback)(void *context, const struct found *found);

static bool tell_of_line(const char *file, unsigned number, const char *text, size_t size,
                         const char *name, found_callback each, void *context) {
    struct known_hosts_line line;
    cleanup(buffer_deinit) struct buffer key;
    buffer_init(&key, KEY_SIZE_MAX);
    if (!known_hosts_parse(text, size, &line) || line.marker == KNOWN_HOSTS_AUTHORITY ||
        !known_hosts_names(&line, name) || !decode_key(&line, &key))
        return true;
    return each(context,
                &(struct found){.line = &line, .key = &key, .file = file, .number = number});
}

/* 1: `each` said stop. */
static int walk_file(const char *file, const char *name, found_callback each, void *context,
                     struct error *err) {
    cleanup(buffer_deinit) struct buffer content = BUFFER_NULL;
    struct error reading = ERROR_NULL;
    struct stat status;
    if (stat(file, &status) == 0 && S_ISCHR(status.st_mode)) /* /dev/null, often */
        return 0;
    if (file_read(file, FILE_SIZE_MAX, &content, &reading) < 0) {
        if (reading.kind == ERROR_NOT_FOUND)
            return 0;
        *err = reading;
        return error_wrap(err, "read known host keys");
    }
    const char *at = buffer_string(&content), *end = at + content.size;
    for (unsigned number = 1; at < end; number++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (!tell_of_line(file, number, at, (size_t)(stop - at), name, each, context))
            return 1;
        at = stop + 1;
    }
    return 0;
}

static int walk(char *const *files, const char *name, found_callback each, void *context,
                struct error *err) {
    for (size_t i = 0; files[i]; i++) {
        int r = walk_file(files[i], name, each, context, err);
        if (r != 0)
            return r;
    }
    return 0;
}

/* In lower case, with the port unless that is the usual one. */
static char *name_of(const char *host, uint16_t port) {
    char *name = port == 0 || port == PORT_DEFAULT ? text_dup(host)
                                                   : text_format("[%s]:%u", host, (unsigned)port);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return name;
}

/* ---- check ---- */

struct check {
    const struct known_hosts_query *query;
    struct ssh_string type;
    struct known_hosts_result result;
};

static bool compare(void *context, const struct found *found) {
    struct check *check = context;
    struct known_hosts_result *result = &check->result;
    bool same = found->key->size == check->query->key_size &&
                memcmp(found->key->data, check->query->key, found->key->size) == 0;
    bool revokes = found->line->marker == KNOWN_HOSTS_REVOKES;
    if (revokes && !same)
        return true;
    bool same_type = found->line->type_size == check->type.size &&
                     memcmp(found->line->type, check->type.data, check->type.size) == 0;
    enum known_hosts_answer answer = revokes ? KNOWN_HOSTS_REVOKED
                                     : same  ? KNOWN_HOSTS_MATCH
                                             : KNOWN_HOSTS_CHANGED;
    /* A match anywhere makes up for other keys, and a revocation for everything. */
    bool better =
        result->answer == KNOWN_HOSTS_UNKNOWN || revokes ||
        (result->answer == KNOWN_HOSTS_CHANGED && (same || (same_type && !result->same_type)));
    if (better) {
        result->answer = answer;
        result->same_type = answer == KNOWN_HOSTS_CHANGED && same_type;
        snprintf(result->where, sizeof result->where, "%s:%u", found->file, found->number);
    }
    return !revokes;
}

static int check_name(char *const *files, const char *name, struct check *check,
                      struct error *err) {
    check->result = (struct known_hosts_result){.answer = KNOWN_HOSTS_UNKNOWN};
    return walk(files, name, compare, check, err) < 0 ? -1 : 0;
}

int known_hosts_check(char *const *files, const struct known_hosts_query *query,
                      struct known_hosts_result *ret, struct error *err) {
    struct byte_reader r = byte_reader(query->key, query->key_size);
    struct check check = {.query = query, .type = ssh_get_string(&r)};
    if (r.failed || check.type.size == 0)
        return error_set(err, ERROR_INVALID, "%zu bytes that are no host key", query->key_size);
    cleanup_free char *name = name_of(query->host, query->port);
    if (check_name(files, name, &check, err) < 0)
        return -1;
    cleanup_free char *plain = name_of(query->host, 0);
    if (check.result.answer == KNOWN_HOSTS_UNKNOWN && strcmp(name, plain) != 0) {
        if (check_name(files, plain, &check, err) < 0)
            return -1;
        if (check.result.answer == KNOWN_HOSTS_CHANGED) /* another service of that machine */
            check.result = (struct known_hosts_result){.answer = KNOWN_HOSTS_UNKNOWN};
    }
    *ret = check.result;
    return 0;
}

/* ---- algorithms ---- */

static bool lists(const struct buffer *list, const char *name, size_t size) {
    const char *at = buffer_string(list);
    for (;;) {
        size_t length = strcspn(at, ",");
        if (length == size && memcmp(at, name, size) == 0)
            return true;
        if (at[length] == '\0')
            return false;
        at += length + 1;
    }
}

static bool add_algorithm(void *context, const struct found *found) {
    struct buffer *list = context;
    const struct known_hosts_line *line = found->line;
    if (line->marker == KNOWN_HOSTS_PLAIN && !lists(list, line->type, line->type_size)) {
        if (list->size > 0)
            buffer_text(list, ",");
        if (word_is(line->type, line->type_size, "ssh-rsa"))
            buffer_text(list, "rsa-sha2-512,rsa-sha2-256,");
        buffer_append(list, line->type, line->type_size);
    }
    return true;
}

char *known_hosts_algorithms(char *const *files, const char *host, uint16_t port) {
    cleanup(buffer_deinit) struct buffer list;
    buffer_init(&list, 4096);
    cleanup_free char *name = name_of(host, port), *plain = name_of(host, 0);
    struct error ignored = ERROR_NULL; /* known_hosts_check will say it */
    (void)walk(files, name, add_algorithm, &list, &ignored);
    if (list.size == 0)
        (void)walk(files, plain, add_algorithm, &list, &ignored);
    return text_dup(buffer_string(&list));
}

/* ---- add ---- */

static void append_hashed(const char *name, struct buffer *out) {
    unsigned char salt[SHA1_SIZE], hash[SHA1_SIZE];
    random_bytes(salt, sizeof salt);
    hmac_sha1(salt, sizeof salt, name, strlen(name), hash);
    buffer_text(out, "|1|");
    base64_encode(salt, sizeof salt, out);
    buffer_text(out, "|");
    base64_encode(hash, sizeof hash, out);
}

static int make_line(const struct known_hosts_query *query, struct buffer *out, struct error *err) {
    struct byte_reader r = byte_reader(query->key, query->key_size);
    struct ssh_string type = ssh_get_string(&r);
    if (r.failed || type.size == 0 || type.size > 64)
        return error_set(err, ERROR_INVALID, "%zu bytes that are no host key", query->key_size);
    /* The type comes from the peer, the name perhaps from a file: nothing of them may be read as
     * something else. */
    for (size_t i = 0; i < type.size; i++)
        if (!isalnum(type.data[i]) && !strchr("-@.", type.data[i]))
            return error_set(err, ERROR_INVALID, "a host key whose type is no name");
    if (query->host[0] == '\0' || query->host[strcspn(query->host, " \t\r\n,*?!|#@\"\\")])
        return error_set(err, ERROR_INVALID, "'%.100s' cannot stand in a file of known hosts",
                         query->host);
    cleanup_free char *name = name_of(query->host, query->port);
    if (query->hash_name)
        append_hashed(name, out);
    else
        buffer_text(out, name);
    buffer_format(out, " %.*s ", (int)type.size, (const char *)type.data);
    base64_encode(query->key, query->key_size, out);
    buffer_text(out, "\n");
    return buffer_check(out, "a line of known hosts", err);
}

/* A line that somebody left without its end is ended first. */
static int ends_in_newline(int fd, off_t size) {
    char last = '\n';
    if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
        return -1;
    return last == '\n';
}

static int append_line(int fd, const char *file, struct buffer *line, struct error *err) {
    struct stat status;
    int ended = fstat(fd, &status) < 0 ? -1 : ends_in_newline(fd, status.st_size);
    if (ended < 0)
        return error_set_os(err, ERROR_IO, errno, "read '%s'", file);
    cleanup_free char *text = text_format("%s%s", ended ? "" : "\n", buffer_string(line));
    size_t size = strlen(text);
    ssize_t n = write(fd, text, size);
    if (n == (ssize_t)size)
        return 0;
    int saved = n < 0 ? errno : ENOSPC;
    if (n > 0 && ftruncate(fd, status.st_size) < 0)
        saved = errno;
    return error_set_os(err, ERROR_IO, saved, "write '%s'", file);
}

int known_hosts_add(const char *file, const struct known_hosts_query *query, struct error *err) {
    cleanup(buffer_deinit) struct buffer line;
    buffer_init(&line, 2 * KEY_SIZE_MAX);
    if (make_line(query, &line, err) < 0)
        return -1;
    cleanup_free char *folder = path_folder(file);
    if (!file_exists(folder) && file_make_folders(folder, 0700, err) < 0)
        return -1;
    cleanup_close int fd = open(file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", file);
    int locked;
    do
        locked = flock(fd, LOCK_EX);
    while (locked < 0 && errno == EINTR);
    if (locked < 0)
        return error_set_os(err, ERROR_IO, errno, "lock '%s'", file);
    /* Another connection may have been first. */
    char *files[] = {text_dup(file), NULL};
    struct known_hosts_result known;
    int r = known_hosts_check(files, query, &known, err);
    free(files[0]);
    if (r < 0)
        return -1;
    return known.answer == KNOWN_HOSTS_MATCH ? 0 : append_line(fd, file, &line, err);
}

char *known_hosts_fingerprint(const void *key, size_t key_size) {
    unsigned char hash[SHA256_SIZE];
    sha256_of(key, key_size, hash);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64);
    base64_encode(hash, sizeof hash, &text);
    size_t size = text.size;
    while (size > 0 && text.data[size - 1] == '=')
        size--;
    return text_format("SHA256:%.*s", (int)size, buffer_string(&text));
}
