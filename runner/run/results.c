#include "runner/run/results.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/text.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Below this a trial could not even write its own records. */
enum { FREE_MIN_BYTES = 16 << 20, FOLDERS_OF_A_SECOND_MAX = 100 };

void run_id_make(char ret_run[RUN_ID_SIZE]) {
    unsigned char bytes[(RUN_ID_SIZE - 1) / 2];
    random_bytes(bytes, sizeof bytes);
    text_hex(bytes, sizeof bytes, ret_run);
}

static int check_space(const char *root, struct error *err) {
    struct statvfs fs;
    if (statvfs(root, &fs) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at the disk of '%s'", root);
    if ((uint64_t)fs.f_bavail * fs.f_frsize >= FREE_MIN_BYTES)
        return 0;
    error_set(err, ERROR_IO, "the disk that holds '%s' is full: less than %d MiB are free", root,
              FREE_MIN_BYTES >> 20);
    return error_hint(err, "free some space, or name another folder as local.perf_test_root");
}

static int point_latest(const char *root, const char *name, struct error *err) {
    cleanup_free char *link = path_join(root, "latest");
    cleanup_free char *temporary = text_format("%s/.latest.%ld", root, (long)getpid());
    unlink(temporary);
    if (symlink(name, temporary) < 0 || rename(temporary, link) < 0) {
        int saved = errno;
        unlink(temporary);
        return error_set_os(err, ERROR_IO, saved, "point '%s' to the new results", link);
    }
    return 0;
}

/* A new folder in `root`. Loads by hand of one run may begin within one second: they are numbered.
 */
static int make_folder(const char *root, const char *stamp, const char *name, const char *run,
                       char **ret_base, struct error *err) {
    for (unsigned n = 1;; n++) {
        cleanup_free char *base = n == 1 ? text_format("%s-%s-%s", stamp, name, run)
                                         : text_format("%s-%s.%u-%s", stamp, name, n, run);
        cleanup_free char *folder = path_join(root, base);
        if (mkdir(folder, 0700) == 0) {
            *ret_base = take_ptr(base);
            return 0;
        }
        if (errno != EEXIST || n == FOLDERS_OF_A_SECOND_MAX)
            return error_set_os(err, ERROR_IO, errno, "make the folder for results '%s'", folder);
    }
}

int results_create(const char *root, const char *name, const char *run, struct wall_time now,
                   struct results *ret, struct error *err) {
    char stamp[WALL_TEXT_SIZE];
    cleanup_free char *base = NULL;
    if (file_make_folders(root, 0755, err) < 0 || check_space(root, err) < 0)
        return error_wrap(err, "make the folder for results");
    if (make_folder(root, wall_stamp(now, stamp), name, run, &base, err) < 0 ||
        point_latest(root, base, err) < 0)
        return -1;
    cleanup_free char *folder = path_join(root, base);
    ret->folder = path_absolute(folder);
    snprintf(ret->run, sizeof ret->run, "%s", run);
    return 0;
}

void results_deinit(struct results *r) {
    free(r->folder);
    *r = RESULTS_NULL;
}

/* <time>-<name>-<run id>: the id is what follows the last dash. */
static const char *run_of_folder(const char *name) {
    const char *dash = strrchr(name, '-');
    return dash && strlen(dash + 1) == RUN_ID_SIZE - 1 ? dash + 1 : NULL;
}

static int found(const char *folder, struct results *ret) {
    cleanup_free char *target = realpath(folder, NULL);
    const char *base = target ? strrchr(target, '/') : NULL;
    const char *run = base ? run_of_folder(base + 1) : NULL;
    if (!run)
        return 1;
    snprintf(ret->run, sizeof ret->run, "%s", run);
    ret->folder = take_ptr(target);
    return 0;
}

static int found_in(const char *root, const char *name, struct results *ret) {
    cleanup_free char *folder = path_join(root, name);
    return found(folder, ret);
}

/* A folder that somebody names by its path is one of ours if there is a journal in it. */
static int found_at(const char *path, struct results *ret) {
    cleanup_free char *journal = path_join(path, "journal.jsonl");
    return file_exists(journal) ? found(path, ret) : 1;
}

int results_find(const char *root, const char *run, struct results *ret, struct error *err) {
    cleanup_closedir DIR *dir = opendir(root);
    bool one_component = *run && run[0] != '.' && !strchr(run, '/');
    if (strchr(run, '/') && found_at(run, ret) == 0)
        return 0;
    if (one_component && found_in(root, run, ret) == 0)
        return 0;
    struct dirent *entry;
    while (dir && one_component && (entry = readdir(dir))) {
        const char *id = run_of_folder(entry->d_name);
        if (id && strcmp(id, run) == 0 && found_in(root, entry->d_name, ret) == 0)
            return 0;
    }
    error_set(err, ERROR_NOT_FOUND, "there is no run '%s' in '%s'", run, root);
    return error_hint(err, "name a run by its id, its folder, or 'latest'");
}

char *results_container_folder(const struct results *r, const char *host, const char *container) {
    return text_format("%s/%s/%s", r->folder, host, container);
}

int results_write_json(const char *folder, const char *name, const struct json *value,
                       struct error *err) {
    cleanup_free char *path = path_join(folder, name);
    cleanup_free char *text = json_to_text(value, JSON_INDENTED);
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the NUL; file_write takes a size */
    return file_write(path, 0644, text, size + 1, err);
}
