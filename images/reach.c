#include "images/reach.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 128, NAME_SIZE = 256 };

struct reach {
    char **paths;
    size_t count;
};

struct reach *reach_new(char *const *paths, size_t count) {
    struct reach *reach = mem_new(struct reach);
    reach->paths = mem_new_array(char *, count + 1);
    reach->count = count;
    for (size_t i = 0; i < count; i++)
        reach->paths[i] = text_dup(paths[i]);
    return reach;
}

void reach_free(struct reach *reach) {
    for (size_t i = 0; i < reach->count; i++)
        free(reach->paths[i]);
    free(reach->paths);
    free(reach);
}

/* ---- matching ---- */

/* A name against a pattern of one: '*' is anything. Both end at a '/' or the end. */
static bool name_fits(const char *pattern, size_t pattern_size, const char *name,
                      size_t name_size) {
    size_t p = 0, n = 0, star = SIZE_MAX, from = 0;
    while (n < name_size) {
        if (p < pattern_size && pattern[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern_size && pattern[p] == name[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern_size && pattern[p] == '*')
        p++;
    return p == pattern_size;
}

static enum reached ask_one(const char *pattern, const char *path) {
    for (;;) {
        size_t pattern_size = strcspn(pattern, "/"), size = strcspn(path, "/");
        if (!name_fits(pattern, pattern_size, path, size))
            return REACHED_NOT;
        pattern += pattern_size;
        path += size;
        if (!*pattern)
            return REACHED;
        if (!*path)
            return REACHED_ABOVE;
        pattern++;
        path++;
    }
}

enum reached reach_ask(const struct reach *reach, const char *path) {
    enum reached most = REACHED_NOT;
    for (size_t i = 0; reach && i < reach->count && most != REACHED; i++) {
        enum reached one = ask_one(reach->paths[i], path);
        most = one > most ? one : most;
    }
    return reach ? most : REACHED;
}

/* ---- links ---- */

static bool meets(int folder, const char *pattern, unsigned depth);

/* Of a name that fits: is it a link, or leads to one? */
static bool entry_meets(int folder, const char *name, const char *rest, unsigned depth) {
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISLNK(st.st_mode) || depth == DEPTH_MAX)
        return true;
    if (!S_ISDIR(st.st_mode) || !*rest)
        return false;
    cleanup_close int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 || meets(fd, rest, depth + 1);
}

static bool any_meets(int folder, const char *pattern, size_t size, const char *rest,
                      unsigned depth) {
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        bool dots = text_equal(name, ".") || text_equal(name, "..");
        if (!dots && name_fits(pattern, size, name, strlen(name)))
            found = entry_meets(folder, name, rest, depth);
    }
    closedir(dir);
    return found;
}

static bool meets(int folder, const char *pattern, unsigned depth) {
    size_t size = strcspn(pattern, "/");
    const char *rest = pattern + size + (pattern[size] == '/');
    char name[NAME_SIZE];
    if (memchr(pattern, '*', size))
        return any_meets(folder, pattern, size, rest, depth);
    if (size >= sizeof name)
        return false; /* no file system has it */
    memcpy(name, pattern, size);
    name[size] = '\0';
    return entry_meets(folder, name, rest, depth);
}

bool reach_meets_link(const struct reach *reach, const char *root) {
    cleanup_close int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return true;
    for (size_t i = 0; reach && i < reach->count; i++)
        if (meets(fd, reach->paths[i], 0))
            return true;
    return false;
}
