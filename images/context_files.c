#include "images/context_files.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char ignore_name[] = ".dockerignore";

void context_files_deinit(struct context_files *f) {
    free(f->dockerfile);
    buffer_deinit(&f->dockerfile_text);
    buffer_deinit(&f->ignore_text);
    if (f->rules)
        ignore_free(f->rules);
    *f = CONTEXT_FILES_NULL;
}

/* Appends the whole file; 1 if there is none. */
static int read_file(const char *path, struct buffer *out, struct error *err) {
    /* Not blocking: a fifo of that name must not hold us up. */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 1;
    if (fd < 0)
        return error_set_os(err, ERROR_CONFIG, errno, "open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERROR_CONFIG, "'%s' is not a regular file", path);
    for (;;) {
        char *room = buffer_reserve(out, 4096);
        if (!room)
            return error_set(err, ERROR_CONFIG, "'%s' has more than %zu bytes", path,
                             out->size_max - 4096);
        ssize_t n = read(fd, room, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_os(err, ERROR_CONFIG, errno, "read '%s'", path);
        if (n == 0)
            return 0;
        buffer_commit(out, (size_t)n);
    }
}

/* What is left of `path` below `root`, or NULL if it is not below it. Both are real paths. */
static const char *below(const char *root, const char *path) {
    size_t size = strlen(root);
    if (size == 1)
        return path + 1;
    return strncmp(path, root, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

/* Where the user says that the Dockerfile is. */
static char *dockerfile_path(const struct context_options *o) {
    if (o->dockerfile)
        return o->dockerfile[0] == '/' ? text_dup(o->dockerfile)
                                       : text_format("%s/%s", o->root, o->dockerfile);
    cleanup_free char *upper = text_format("%s/Dockerfile", o->root);
    cleanup_free char *lower = text_format("%s/dockerfile", o->root);
    bool take_lower = access(upper, F_OK) < 0 && access(lower, F_OK) == 0;
    return take_lower ? take_ptr(lower) : take_ptr(upper);
}

static int find_dockerfile(const char *root, const char *path, struct context_files *f,
                           struct error *err) {
    cleanup_free char *real = realpath(path, NULL);
    if (!real)
        return error_set_os(err, ERROR_CONFIG, errno, "Dockerfile '%s'", path);
    struct stat st;
    if (stat(real, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(err, ERROR_CONFIG, "Dockerfile '%s' is not a regular file", path);
    const char *name = below(root, real);
    f->injected = !name;
    f->dockerfile = text_dup(name ? name : CONTEXT_DOCKERFILE_INJECTED);
    return read_file(real, &f->dockerfile_text, err) < 0 ? -1 : 0;
}

/* The Dockerfile's own ignore file, else the root's. */
static int find_rules(const char *root, const char *dockerfile, struct context_files *f,
                      struct error *err) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, IGNORE_BYTES_MAX + 4096);
    cleanup_free char *own = text_format("%s%s", dockerfile, ignore_name);
    cleanup_free char *common = text_format("%s/%s", root, ignore_name);
    const char *path = own;
    int result = read_file(own, &text, err);
    if (result > 0) {
        path = common;
        result = read_file(common, &text, err);
    }
    if (result < 0)
        return -1;
    if (ignore_parse(buffer_string(&text), text.size, &f->rules, err) < 0)
        return error_wrap(err, "'%s'", path);
    return 0;
}

/* As the docker command: the engine takes out of the context what its .dockerignore names. */
static int append_injected(const char *root, struct context_files *f, struct error *err) {
    cleanup_free char *path = text_format("%s/%s", root, ignore_name);
    int result = read_file(path, &f->ignore_text, err);
    if (result < 0)
        return -1;
    if (result > 0)
        buffer_text(&f->ignore_text, ignore_name);
    buffer_format(&f->ignore_text, "\n%s\n", CONTEXT_DOCKERFILE_INJECTED);
    return buffer_check(&f->ignore_text, ".dockerignore", err);
}

int context_files_find(const struct context_options *options, struct context_files *ret,
                       struct error *err) {
    cleanup(context_files_deinit) struct context_files f = CONTEXT_FILES_NULL;
    buffer_init(&f.dockerfile_text, CONTEXT_DOCKERFILE_BYTES_MAX + 4096);
    buffer_init(&f.ignore_text, IGNORE_BYTES_MAX + 2 * 4096);
    cleanup_free char *root = realpath(options->root, NULL);
    if (!root)
        return error_set_os(err, ERROR_CONFIG, errno, "find the folder");
    cleanup_free char *dockerfile =
        options->dockerfile_text ? text_format("%s/Dockerfile", root) : dockerfile_path(options);
    if (options->dockerfile_text) {
        f.injected = true;
        f.dockerfile = text_dup(CONTEXT_DOCKERFILE_INJECTED);
        buffer_text(&f.dockerfile_text, options->dockerfile_text);
        if (buffer_check(&f.dockerfile_text, "the Dockerfile", err) < 0)
            return -1;
    } else if (find_dockerfile(root, dockerfile, &f, err) < 0) {
        return -1;
    }
    if (find_rules(root, dockerfile, &f, err) < 0)
        return -1;
    if (f.injected && append_injected(root, &f, err) < 0)
        return -1;
    *ret = f;
    f = CONTEXT_FILES_NULL;
    return 0;
}
