#include "images/distribution_store.h"

#include "images/cache.h"
#include "lib/clock.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { PREFIX = 7 /* "sha256:" */, ID_MAX = 128, PART_AGE_S_MAX = 24 * 3600 };

int distribution_store_open(const char *named, struct distribution_store *ret, struct error *err) {
    cleanup_free char *folder = named ? text_dup(named) : cache_folder("layers");
    if (!folder) {
        error_set(err, ERROR_CONFIG, "there is no folder where images are kept");
        return error_hint(err, "name one by XDG_CACHE_HOME, or your own by HOME");
    }
    cleanup_free char *blobs = path_join(folder, "sha256");
    cleanup_free char *names = path_join(folder, "names");
    struct stat st;
    if (file_make_folders(blobs, 0700, err) < 0 || file_make_folders(names, 0700, err) < 0)
        return -1;
    if (stat(folder, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at '%s'", folder);
    if (st.st_uid != geteuid() || (st.st_mode & 022)) {
        error_set(err, ERROR_CONFIG, "others can write into '%s', where images are kept", folder);
        return error_hint(err, "chmod 700 '%s', or name another folder by XDG_CACHE_HOME", folder);
    }
    ret->folder = text_dup(folder);
    return 0;
}

void distribution_store_deinit(struct distribution_store *store) {
    free(store->folder);
    *store = DISTRIBUTION_STORE_NULL;
}

static char *blob_path(const struct distribution_store *store, const char *digest) {
    return digest_text_valid(digest) ? text_format("%s/sha256/%s", store->folder, digest + PREFIX)
                                     : NULL;
}

int distribution_store_find(const struct distribution_store *store, const char *digest,
                            uint64_t *ret_bytes) {
    cleanup_free char *path = blob_path(store, digest);
    struct stat st;
    cleanup_close int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -1;
    futimens(fd, NULL);
    *ret_bytes = (uint64_t)st.st_size;
    return take_fd(&fd);
}

void distribution_store_drop(const struct distribution_store *store, const char *digest) {
    cleanup_free char *path = blob_path(store, digest);
    if (path)
        unlink(path);
}

/* ---- names ---- */

static char *name_path(const struct distribution_store *store, const char *id) {
    size_t size = strspn(id, "0123456789abcdef");
    return size > 0 && size <= ID_MAX && !id[size] ? text_format("%s/names/%s", store->folder, id)
                                                   : NULL;
}

void distribution_store_name(const struct distribution_store *store, const char *id,
                             char ret_digest[DIGEST_TEXT_SIZE]) {
    cleanup_free char *path = name_path(store, id);
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct error ignored = ERROR_NULL;
    ret_digest[0] = '\0';
    if (path && file_read(path, DIGEST_TEXT_SIZE, &text, &ignored) == 0 &&
        digest_text_valid(buffer_string(&text)))
        memcpy(ret_digest, text.data, DIGEST_TEXT_SIZE);
}

void distribution_store_set_name(const struct distribution_store *store, const char *id,
                                 const char *digest) {
    cleanup_free char *path = name_path(store, id);
    struct error ignored = ERROR_NULL; /* then it is saved once more */
    if (path)
        file_write(path, 0600, digest, strlen(digest), &ignored);
}

/* ---- writing ---- */

static int check_room(const struct distribution_store *store, uint64_t bytes, struct error *err) {
    struct statvfs fs;
    if (statvfs(store->folder, &fs) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at the disk of '%s'", store->folder);
    uint64_t left = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (left >= DISTRIBUTION_FREE_BYTES_MIN && left - DISTRIBUTION_FREE_BYTES_MIN >= bytes)
        return 0;
    error_set(err, ERROR_LIMIT, "no room for a layer of %.1f MB in '%s' (%.1f MB are free)",
              (double)bytes / 1e6, store->folder, (double)left / 1e6);
    return error_hint(err, "free some space, or name another folder by XDG_CACHE_HOME");
}

int distribution_writer_begin(const struct distribution_store *store, uint64_t bytes_expected,
                              struct distribution_writer *ret, struct error *err) {
    if (check_room(store, bytes_expected, err) < 0)
        return -1;
    char *path = text_format("%s/part-XXXXXX", store->folder);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0) {
        error_set_os(err, ERROR_IO, errno, "create '%s'", path);
        free(path);
        return -1;
    }
    *ret = (struct distribution_writer){.store = store, .path = path, .fd = fd};
    sha256_init(&ret->hash);
    return 0;
}

int distribution_writer_add(struct distribution_writer *w, const void *data, size_t size,
                            struct error *err) {
    const char *at = data;
    sha256_add(&w->hash, data, size);
    w->bytes += size;
    while (size) {
        ssize_t n = write(w->fd, at, size);
        if (n < 0 && errno != EINTR)
            return error_set_os(err, ERROR_IO, errno, "write '%s'", w->path);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

int distribution_writer_end(struct distribution_writer *w, char ret_digest[DIGEST_TEXT_SIZE],
                            struct error *err) {
    unsigned char hash[SHA256_SIZE];
    sha256_end(&w->hash, hash);
    digest_text(hash, ret_digest);
    cleanup_free char *path = blob_path(w->store, ret_digest);
    if (rename(w->path, path) < 0)
        return error_set_os(err, ERROR_IO, errno, "rename '%s'", w->path);
    free(take_ptr(w->path));
    return 0;
}

void distribution_writer_deinit(struct distribution_writer *w) {
    if (w->path)
        unlink(w->path);
    free(w->path);
    if (w->fd >= 0)
        close(w->fd);
    sha256_deinit(&w->hash);
    *w = DISTRIBUTION_WRITER_NULL;
}

/* ---- tidying ---- */

struct kept {
    char *path;
    int64_t used_s;
    uint64_t bytes;
};

struct kept_list {
    struct kept *items;
    size_t count, capacity;
};

static void kept_list_deinit(struct kept_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
}

static void list_files(const char *folder, struct kept_list *list) {
    cleanup_closedir DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
            continue;
        mem_grow(list->items, list->count, list->capacity);
        list->items[list->count++] = (struct kept){.path = path_join(folder, e->d_name),
                                                   .used_s = st.st_mtime,
                                                   .bytes = (uint64_t)st.st_size};
    }
}

static int by_use(const void *a, const void *b) {
    const struct kept *x = a, *y = b;
    return x->used_s < y->used_s ? -1 : x->used_s > y->used_s;
}

void distribution_store_tidy(const struct distribution_store *store, uint64_t bytes_max,
                             int64_t age_s_max) {
    cleanup(kept_list_deinit) struct kept_list list = {.items = NULL};
    cleanup_free char *blobs = path_join(store->folder, "sha256");
    cleanup_free char *names = path_join(store->folder, "names");
    int64_t now_s = clock_wall().ns / (int64_t)NS_PER_SEC;
    uint64_t bytes = 0;
    cache_remove_older(store->folder, "part-", now_s - PART_AGE_S_MAX);
    cache_remove_older(names, "", now_s - age_s_max);
    list_files(blobs, &list);
    if (list.count)
        qsort(list.items, list.count, sizeof *list.items, by_use);
    for (size_t i = 0; i < list.count; i++)
        bytes += list.items[i].bytes;
    for (size_t i = 0; i < list.count; i++) {
        if (bytes <= bytes_max && list.items[i].used_s >= now_s - age_s_max)
            return;
        unlink(list.items[i].path);
        bytes -= list.items[i].bytes;
    }
}
