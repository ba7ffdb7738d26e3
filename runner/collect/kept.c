#include "runner/collect/kept.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, OPEN_FOLDERS_MAX = 16 };

/* The file `state`: of this program for itself, so what does not fit is as good as nothing. */
struct record {
    struct kept_key key;
    struct kept_state state;
    unsigned char hash[SHA256_SIZE]; /* of the above */
};

static void seal(const struct record *r, unsigned char hash[SHA256_SIZE]) {
    sha256_of(r, offsetof(struct record, hash), hash);
}

void kept_key_boot(struct kept_key *key) {
    cleanup_close int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, key->boot, sizeof key->boot - 1) < 0)
        memset(key->boot, 0, sizeof key->boot);
}

/* ---- folders ---- */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st;
    (void)where;
    return kind == FTW_DP || kind == FTW_DNR ? rmdir(path) : unlink(path);
}

void kept_remove(const char *folder) {
    nftw(folder, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}

static int make(struct kept *k, struct error *err) {
    cleanup_free char *tree = path_join(k->folder, "tree");
    if (file_make_folders(tree, 0700, err) < 0)
        return -1;
    k->folder_fd = open(k->folder, FOLDER_FLAGS);
    k->tree_fd = open(tree, FOLDER_FLAGS);
    k->state_fd = k->folder_fd < 0 ? -1
                                   : openat(k->folder_fd, "state",
                                            O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (k->tree_fd < 0 || k->state_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", k->folder);
    return 0;
}

static void close_all(struct kept *k) {
    int *const fds[] = {&k->folder_fd, &k->tree_fd, &k->state_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* ---- the state ---- */

static bool load(struct kept *k) {
    cleanup_free struct record *r = mem_new(struct record);
    unsigned char hash[SHA256_SIZE];
    if (pread(k->state_fd, r, sizeof *r, 0) != (ssize_t)sizeof *r)
        return false;
    seal(r, hash);
    if (memcmp(hash, r->hash, sizeof hash) != 0 || memcmp(&r->key, &k->key, sizeof k->key) != 0 ||
        r->state.mark.header_size > sizeof r->state.mark.header)
        return false;
    k->state = r->state;
    return true;
}

int kept_save(struct kept *k, struct error *err) {
    cleanup_free struct record *r = mem_new(struct record);
    memcpy(&r->key, &k->key, sizeof k->key);
    memcpy(&r->state, &k->state, sizeof k->state);
    seal(r, r->hash);
    if (pwrite(k->state_fd, r, sizeof *r, 0) != (ssize_t)sizeof *r)
        return error_set_os(err, ERROR_IO, errno, "write '%s/state'", k->folder);
    return 0;
}

int kept_open(struct kept *k, const char *folder, const struct kept_key *key, struct error *err) {
    k->folder = text_dup(folder);
    k->key = *key;
    if (make(k, err) < 0)
        return -1;
    return load(k) ? 0 : kept_empty(k, err);
}

int kept_empty(struct kept *k, struct error *err) {
    close_all(k);
    kept_remove(k->folder);
    memset(&k->state, 0, sizeof k->state);
    return make(k, err);
}

int kept_complete(struct kept *k, struct error *err) {
    cleanup_free char *tree = path_join(k->folder, "tree");
    kept_remove(tree);
    unlinkat(k->folder_fd, "part", 0);
    k->state.complete = true;
    return kept_save(k, err);
}

void kept_close(struct kept *k) {
    close_all(k);
    free(k->folder);
    *k = KEPT_NULL;
}
