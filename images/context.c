#include "images/context.h"

#include "images/context_files.h"
#include "images/folder.h"
#include "images/ignore.h"
#include "images/secrets.h"
#include "lib/archive.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that the walk is in. */
struct level {
    int fd;
    struct folder_names names;
    size_t next;
    size_t path_size;  /* of the folder's own path: 0 for the root */
    uint64_t *matched; /* the rules that match the folder */
    enum reached reached;
    bool sent; /* the folder is in the stream; else its first entry that is sent brings it */
};

struct context {
    char *root;
    struct context_files files;
    unsigned injected_next; /* 0: the Dockerfile, 1: .dockerignore, 2: done */

    struct level levels[CONTEXT_DEPTH_MAX + 1];
    size_t depth; /* levels in use; 0 at the end */
    char path[CONTEXT_PATH_MAX + 1];
    char target[PATH_MAX + 1];
    uint64_t *matched;    /* of the entry in hand */
    enum reached reached; /* the same */
    struct reach *reach;  /* NULL: all is reached */
    char **left_out;      /* relative to the root */
    size_t left_out_count;
    const struct ignore *allowed;

    bool looking; /* files are not opened */
    struct archive_stream *stream;
    struct sha256 sha256;
    struct sha256 fingerprint;
    struct wall_time began;
    struct context_result result;
    bool ended;
};

static struct level *top(struct context *c) {
    return &c->levels[c->depth - 1];
}

static const char *shown(const struct context *c) {
    static _Thread_local char text[512];
    return text_safe(c->path[0] ? c->path : ".", text, sizeof text);
}

/* `os` is what the system said of the entry in hand. */
static int entry_failed(const struct context *c, int os, struct error *err) {
    if (os == ENOENT || os == ELOOP || os == ENOTDIR) {
        error_set(err, ERROR_CONFLICT, "'%s' vanished while the folder was read", shown(c));
        return error_hint(err, "try again when nothing writes there, or name it in .dockerignore");
    }
    error_set_os(err, ERROR_IO, os, "read '%s'", shown(c));
    if (os == EACCES || os == EPERM)
        return error_hint(err, "let yourself read it, or name it in .dockerignore");
    return -1;
}

/* ---- levels ---- */

/* Takes the fd. */
static int push(struct context *c, int fd_, bool sent, struct error *err) {
    cleanup_close int fd = fd_;
    if (c->depth > CONTEXT_DEPTH_MAX)
        return error_set(err, ERROR_LIMIT, "'%s' is more than %d folders deep", shown(c),
                         CONTEXT_DEPTH_MAX);
    struct level level = {.path_size = strlen(c->path), .reached = c->reached, .sent = sent};
    if (folder_names_read(fd, &level.names, err) < 0)
        return error_wrap(err, "folder '%s'", shown(c));
    size_t words = ignore_words(c->files.rules);
    level.matched = mem_dup(c->matched, words * sizeof *c->matched);
    level.fd = take_fd(&fd);
    c->levels[c->depth++] = level;
    return 0;
}

static void pop(struct context *c) {
    struct level *level = top(c);
    close(level->fd);
    folder_names_deinit(&level->names);
    free(level->matched);
    c->depth--;
}

/* ---- one entry ---- */

enum { TAKEN = 0, LEFT_OUT = 1 };

/* Makes c->path that of the next name of the folder on top. */
static int name_entry(struct context *c, const char *name, struct error *err) {
    size_t size = top(c)->path_size;
    for (size_t i = 1; i < c->depth; i++)
        c->path[c->levels[i].path_size] = '/'; /* where bring_parent has cut it */
    c->path[size] = '\0';
    int n = snprintf(c->path + size, sizeof c->path - size, "%s%s", size ? "/" : "", name);
    if (size + (size_t)n >= sizeof c->path)
        return error_set(err, ERROR_LIMIT, "a path is longer than %d bytes: '%s'", CONTEXT_PATH_MAX,
                         shown(c));
    return 0;
}

static int entry_type(struct context *c, const char *name, unsigned char *type, struct error *err) {
    struct stat st;
    if (*type != DT_UNKNOWN)
        return 0;
    if (fstatat(top(c)->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return entry_failed(c, errno, err);
    *type = (unsigned char)IFTODT(st.st_mode);
    return 0;
}

static bool always_sent(const struct context *c) {
    return text_equal(c->path, c->files.dockerfile) || text_equal(c->path, ".dockerignore");
}

/* Of the entry in hand. */
static bool is_ignored(struct context *c) {
    const struct level *level = top(c);
    c->reached = level->reached == REACHED ? REACHED : reach_ask(c->reach, c->path);
    return ignore_matches_below(c->files.rules, c->path, level->matched, c->matched);
}

/* Whether a folder that is not sent holds something that is. */
static bool must_enter(const struct context *c, bool ignored) {
    size_t size = strlen(c->path);
    const char *dockerfile = c->files.dockerfile;
    if (strncmp(dockerfile, c->path, size) == 0 && dockerfile[size] == '/')
        return true;
    return c->reached != REACHED_NOT && (!ignored || ignore_reaches_into(c->files.rules, c->path));
}

static bool is_left_out(const struct context *c) {
    for (size_t i = 0; i < c->left_out_count; i++)
        if (text_equal(c->left_out[i], c->path))
            return true;
    return false;
}

/* ---- the fingerprint ---- */

static void note(struct context *c, const char *kind, const void *data, size_t size) {
    sha256_add(&c->fingerprint, kind, 1);
    sha256_add(&c->fingerprint, c->path, strlen(c->path) + 1);
    sha256_add(&c->fingerprint, data, size);
}

/* A clock that ticks every 4 ms, and file systems that round to a second or two. */
#define SETTLED_NS (2 * (int64_t)NS_PER_SEC)

static int64_t ns_of(struct timespec t) {
    return (int64_t)t.tv_sec * (int64_t)NS_PER_SEC + t.tv_nsec;
}

static void note_file(struct context *c, const struct stat *st) {
    int64_t modified = ns_of(st->st_mtim), changed = ns_of(st->st_ctim);
    const int64_t all[] = {(int64_t)st->st_size, modified, changed, (int64_t)st->st_ino,
                           st->st_mode & S_IXUSR ? 1 : 0};
    note(c, "f", all, sizeof all);
    int64_t newest = modified > changed ? modified : changed;
    if (newest > c->began.ns - SETTLED_NS)
        c->result.settled = false;
}

/* ---- kinds of entries ---- */

static struct archive_item directory(const char *path) {
    return (struct archive_item){
        .kind = ARCHIVE_ITEM_DIRECTORY, .path = path, .mode = 0755, .fd = -1};
}

static int take_folder(struct context *c, const char *name, bool excluded,
                       struct archive_item *ret_item, struct error *err) {
    int fd = openat(top(c)->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return entry_failed(c, errno, err);
    if (push(c, fd, !excluded, err) < 0)
        return -1;
    if (excluded)
        return LEFT_OUT;
    note(c, "d", "", 0);
    c->result.directories++;
    *ret_item = directory(c->path);
    return TAKEN;
}

static int take_file(struct context *c, const char *name, struct archive_item *ret_item,
                     struct error *err) {
    /* Not blocking: it may have become a fifo meanwhile. */
    cleanup_close int fd =
        c->looking
            ? -1
            : openat(top(c)->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    if (c->looking ? fstatat(top(c)->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0
                   : fd < 0 || fstat(fd, &st) < 0)
        return entry_failed(c, errno, err);
    if (!S_ISREG(st.st_mode))
        return entry_failed(c, ENOENT, err);
    if (!c->looking && !(c->allowed && ignore_matches(c->allowed, c->path)) &&
        secrets_check(c->path, fd, err) < 0)
        return -1;
    note_file(c, &st);
    c->result.files++;
    c->result.content_bytes += (uint64_t)st.st_size;
    *ret_item = (struct archive_item){.kind = ARCHIVE_ITEM_FILE,
                                      .path = c->path,
                                      .mode = st.st_mode & S_IXUSR ? 0755 : 0644,
                                      .size = (uint64_t)st.st_size,
                                      .fd = take_fd(&fd)};
    return TAKEN;
}

static int take_symlink(struct context *c, const char *name, struct archive_item *ret_item,
                        struct error *err) {
    ssize_t n = readlinkat(top(c)->fd, name, c->target, sizeof c->target);
    if (n < 0)
        return entry_failed(c, errno == EINVAL ? ENOENT : errno, err);
    if ((size_t)n == sizeof c->target)
        return error_set(err, ERROR_LIMIT, "the target of link '%s' is too long", shown(c));
    c->target[n] = '\0';
    note(c, "l", c->target, (size_t)n);
    c->result.symlinks++;
    *ret_item = (struct archive_item){
        .kind = ARCHIVE_ITEM_SYMLINK, .path = c->path, .mode = 0777, .target = c->target, .fd = -1};
    return TAKEN;
}

static int take_other(struct context *c, unsigned char type, struct error *err) {
    if (type == DT_SOCK) {
        c->result.sockets++;
        return LEFT_OUT;
    }
    error_set(err, ERROR_CONFIG, "'%s' is a %s, which a build context cannot carry", shown(c),
              type == DT_FIFO ? "fifo" : "device");
    return error_hint(err, "remove it, or name it in .dockerignore");
}

/* A folder above the entry in hand that is excluded itself, but not all that is in it. */
static bool bring_parent(struct context *c, struct archive_item *ret_item) {
    for (size_t i = 1; i < c->depth; i++) {
        if (c->levels[i].sent)
            continue;
        c->levels[i].sent = true;
        c->path[c->levels[i].path_size] = '\0';
        note(c, "d", "", 0);
        c->result.directories++;
        *ret_item = directory(c->path);
        return true;
    }
    return false;
}

static int leave_out(struct context *c, bool ignored) {
    if (ignored)
        c->result.ignored++;
    else
        c->result.unreached++;
    return LEFT_OUT;
}

static int take(struct context *c, const char *name, unsigned char type,
                struct archive_item *ret_item, struct error *err) {
    bool ignored = is_ignored(c);
    bool excluded = (ignored || c->reached != REACHED) && !always_sent(c);
    bool may_be_folder = type == DT_DIR || type == DT_UNKNOWN;
    if (is_left_out(c))
        return LEFT_OUT;
    if (excluded && !(may_be_folder && must_enter(c, ignored)))
        return leave_out(c, ignored);
    if (entry_type(c, name, &type, err) < 0)
        return -1;
    if (type == DT_DIR)
        return take_folder(c, name, excluded, ret_item, err);
    if (excluded)
        return leave_out(c, ignored);
    if (c->files.injected && text_equal(c->path, ".dockerignore"))
        return LEFT_OUT; /* it was sent, changed, at the front */
    if (c->files.injected && text_equal(c->path, CONTEXT_DOCKERFILE_INJECTED))
        return error_set(err, ERROR_CONFIG,
                         "the file '%s' has the name that the Dockerfile of another folder gets",
                         c->path);
    if (type == DT_REG)
        return take_file(c, name, ret_item, err);
    if (type == DT_LNK)
        return take_symlink(c, name, ret_item, err);
    return take_other(c, type, err);
}

/* ---- all entries ---- */

static struct archive_item injected(struct context *c) {
    bool first = c->injected_next++ == 0;
    const struct buffer *text = first ? &c->files.dockerfile_text : &c->files.ignore_text;
    note(c, first ? "D" : "I", buffer_string(text), text->size);
    c->result.files++;
    c->result.content_bytes += text->size;
    return (struct archive_item){.kind = ARCHIVE_ITEM_FILE,
                                 .path = first ? CONTEXT_DOCKERFILE_INJECTED : ".dockerignore",
                                 .mode = 0644,
                                 .size = text->size,
                                 .data = buffer_string(text),
                                 .fd = -1};
}

/* Whether the entry that is next may be sent, so that its folders must be in the stream first. */
static bool may_be_sent(struct context *c, unsigned char type) {
    bool ignored = is_ignored(c);
    return (!ignored && c->reached == REACHED && !is_left_out(c)) ||
           (type != DT_DIR && always_sent(c));
}

static int next_item(void *user, struct archive_item *ret_item, struct error *err) {
    struct context *c = user;
    if (c->files.injected && c->injected_next < 2) {
        *ret_item = injected(c);
        return 0;
    }
    while (c->depth > 0) {
        struct level *level = top(c);
        if (level->next == level->names.count) {
            pop(c);
            continue;
        }
        const char *name = folder_names_get(&level->names, level->next);
        unsigned char type = level->names.names[level->next].type;
        if (name_entry(c, name, err) < 0)
            return -1;
        if (!level->sent && may_be_sent(c, type) && bring_parent(c, ret_item))
            return 0;
        level->next++;
        int result = take(c, name, type, ret_item, err);
        if (result != LEFT_OUT)
            return result;
    }
    return 1;
}

/* ---- the context ---- */

static int open_root(struct context *c, struct error *err) {
    c->path[0] = '\0';
    memset(c->matched, 0, ignore_words(c->files.rules) * sizeof *c->matched);
    c->reached = c->reach ? REACHED_ABOVE : REACHED;
    cleanup_close int fd = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_os(err, ERROR_CONFIG, errno, "open the folder");
    return push(c, take_fd(&fd), true, err);
}

/* What is left of each below the root. */
static void find_left_out(struct context *c, const char *const *paths) {
    cleanup_free char *root = realpath(c->root, NULL);
    size_t size = root ? strlen(root) : 0, count = 0;
    while (paths && paths[count])
        count++;
    c->left_out = mem_new_array(char *, count + 1);
    for (size_t i = 0; root && i < count; i++) {
        cleanup_free char *real = realpath(paths[i], NULL);
        if (real && strncmp(real, root, size) == 0 && real[size] == '/')
            c->left_out[c->left_out_count++] = text_dup(real + size + 1);
    }
}

int context_rewind(struct context *c, struct error *err) {
    while (c->depth > 0)
        pop(c);
    if (c->stream)
        archive_stream_free(c->stream);
    c->stream = archive_stream_new((struct archive_items){.next = next_item, .user = c});
    sha256_begin(&c->sha256);
    sha256_begin(&c->fingerprint);
    c->result = (struct context_result){.settled = true};
    c->began = clock_wall();
    c->ended = c->looking = false;
    c->injected_next = 0;
    if (open_root(c, err) < 0)
        return error_wrap(err, "build context '%s'", c->root);
    return 0;
}

void context_narrow(struct context *c, struct reach *reach) {
    if (c->reach)
        reach_free(c->reach);
    c->reach = reach;
    if (reach && reach_meets_link(reach, c->root)) {
        reach_free(reach);
        c->reach = NULL;
    }
    for (size_t i = 0; i < c->depth; i++) /* the root alone: nothing was read yet */
        c->levels[i].reached = c->reach ? REACHED_ABOVE : REACHED;
}

int context_open(const struct context_options *options, struct context **ret, struct error *err) {
    cleanup(context_freep) struct context *c = mem_new(struct context);
    c->root = text_dup(options->root);
    c->files = CONTEXT_FILES_NULL;
    c->allowed = options->allowed;
    sha256_init(&c->sha256);
    sha256_init(&c->fingerprint);
    if (context_files_find(options, &c->files, err) < 0)
        return error_wrap(err, "build context '%s'", c->root);
    c->matched = mem_new_array(uint64_t, ignore_words(c->files.rules));
    find_left_out(c, options->left_out);
    if (context_rewind(c, err) < 0)
        return -1;
    *ret = take_ptr(c);
    return 0;
}

void context_free(struct context *c) {
    while (c->depth > 0)
        pop(c);
    if (c->stream)
        archive_stream_free(c->stream);
    if (c->reach)
        reach_free(c->reach);
    for (size_t i = 0; i < c->left_out_count; i++)
        free(c->left_out[i]);
    free(c->left_out);
    sha256_deinit(&c->sha256);
    sha256_deinit(&c->fingerprint);
    context_files_deinit(&c->files);
    free(c->matched);
    free(c->root);
    free(c);
}

const char *context_dockerfile(const struct context *c) {
    return c->files.dockerfile;
}

const struct buffer *context_dockerfile_text(const struct context *c) {
    return &c->files.dockerfile_text;
}

struct source context_source(struct context *c) {
    return (struct source){.pull = context_pull, .arg = c};
}

static void end(struct context *c) {
    unsigned char hash[SHA256_SIZE];
    sha256_end(&c->sha256, hash);
    digest_text(hash, c->result.digest);
    sha256_end(&c->fingerprint, hash);
    digest_text(hash, c->result.fingerprint);
    c->ended = true;
}

int context_look(struct context *c, struct context_result *ret, struct error *err) {
    struct archive_item item;
    int r;
    c->looking = true;
    while ((r = next_item(c, &item, err)) == 0) {
    }
    if (r < 0)
        return error_wrap(err, "build context '%s'", c->root);
    end(c);
    *ret = c->result;
    ret->digest[0] = '\0';
    return context_rewind(c, err);
}

ssize_t context_pull(void *context, void *data, size_t size, struct error *err) {
    struct context *c = context;
    ssize_t n = archive_stream_pull(c->stream, data, size, err);
    if (n < 0)
        return error_wrap(err, "build context '%s'", c->root);
    if (n > 0) {
        sha256_add(&c->sha256, data, (size_t)n);
        c->result.bytes += (uint64_t)n;
    }
    /* The stream fills what it is given but at its end; the reader need not ask once more. */
    if ((size_t)n < size && !c->ended)
        end(c);
    return n;
}

int context_result(const struct context *c, struct context_result *ret, struct error *err) {
    if (!c->ended)
        return error_set(err, ERROR_INVALID,
                         "the build context '%s' was not read to its end, but to byte %llu",
                         c->root, (unsigned long long)c->result.bytes);
    *ret = c->result;
    return 0;
}

enum { DIGEST_PIECE = 256 * 1024 };

int context_read(struct context *c, struct context_result *ret, struct error *err) {
    cleanup_free char *data = mem_alloc(DIGEST_PIECE);
    ssize_t n;
    do
        n = context_pull(c, data, DIGEST_PIECE, err);
    while (n > 0);
    if (n < 0)
        return -1;
    return context_result(c, ret, err);
}

int context_digest(const struct context_options *options, struct context_result *ret,
                   struct error *err) {
    cleanup(context_freep) struct context *c = NULL;
    return context_open(options, &c, err) < 0 ? -1 : context_read(c, ret, err);
}
