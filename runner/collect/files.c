#include "runner/collect/files.h"

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/kept.h"
#include "runner/collect/move.h"
#include "runner/collect/packed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetch {
    const struct files_from *from;
    const struct files_want *want;
    const struct task *task;
    struct kept kept;
    struct sink sink; /* the extraction's, or the packing one's */
    uint64_t arrived; /* bytes of the archive */
    struct files_result *result;
};

/* ---- what is kept ---- */

static void add_text(struct sha256 *h, const char *text) {
    sha256_add(h, text, strlen(text) + 1);
}

static void hash_of(const struct files_want *want, unsigned char out[SHA256_SIZE]) {
    cleanup(sha256_deinit) struct sha256 h = SHA256_NULL;
    unsigned char as = (unsigned char)want->as;
    sha256_init(&h);
    sha256_add(&h, &as, 1);
    add_text(&h, want->path);
    add_text(&h, want->folder);
    for (const char *const *path = want->without; path && *path; path++)
        add_text(&h, *path);
    sha256_end(&h, out);
}

/* "/var/data" and "/data" are kept apart. */
static int open_kept(struct fetch *f, struct error *err) {
    struct kept_key key = {.boot = ""};
    char name[2 * 8 + 1];
    kept_key_boot(&key);
    snprintf(key.container, sizeof key.container, "%s", f->from->container);
    snprintf(key.ended, sizeof key.ended, "%s", f->from->ended ? f->from->ended : "");
    hash_of(f->want, key.want);
    text_hex(key.want, 8, name);
    cleanup_free char *folder = path_join(f->from->work, name);
    if (kept_open(&f->kept, folder, &key, err) < 0)
        return -1;
    return f->from->ended ? 0 : kept_empty(&f->kept, err);
}

/* Its name at home. */
static char *target_of(const struct files_want *want) {
    const char *base = strrchr(want->path, '/');
    base = base ? base + 1 : want->path;
    cleanup_free char *name = text_format("%s%s", base, want->as == FILES_PACKED ? ".tar.zst" : "");
    return path_join(want->folder, name);
}

/* ---- the transfer ---- */

/* The engine's names begin with the last part of the path that was asked for. */
static const char **names_left_out(const struct files_want *want) {
    size_t count = 0, n = 0;
    while (want->without && want->without[count])
        count++;
    const char **names = mem_new_array(const char *, count + 1);
    const char *base = strrchr(want->path, '/');
    size_t size = strlen(want->path);
    for (size_t i = 0; i < count; i++) {
        const char *path = want->without[i];
        if (strncmp(path, want->path, size) == 0 && (path[size] == '\0' || path[size] == '/'))
            names[n++] = path + (base ? base + 1 - want->path : 0);
    }
    return names;
}

static int push(void *arg, const void *data, size_t size, struct error *err) {
    struct fetch *f = arg;
    f->arrived += size;
    if (f->from->arrived)
        f->from->arrived(f->from->arg, f->arrived);
    return f->sink.push(f->sink.arg, data, size, err);
}

/* From byte `offset` on, all of it, into f->sink. */
static int transfer(struct fetch *f, uint64_t offset, struct error *err) {
    const struct from_container from = {.engine = f->from->engine,
                                        .host = f->from->host,
                                        .container = f->from->container,
                                        .path = f->want->path};
    struct sink sink = {.push = push, .arg = f};
    f->arrived = f->result->before = offset;
    int r = from_container_get(&from, offset, &sink, f->task, err);
    f->result->bytes = f->arrived;
    f->result->dropped = r == FROM_CONTAINER_AGAIN;
    return r == FROM_CONTAINER_AGAIN ? 0 : r;
}

static int set_mark(void *user, const struct archive_mark *mark, struct error *err) {
    struct fetch *f = user;
    f->kept.state.mark = *mark;
    f->kept.state.begun = true;
    return kept_save(&f->kept, err);
}

static int unpack(struct fetch *f, struct error *err) {
    cleanup_free const char **without = names_left_out(f->want);
    cleanup_free struct archive_mark *mark =
        mem_dup(&f->kept.state.mark, sizeof f->kept.state.mark);
    struct archive_keep keep = {.folder_fd = f->kept.folder_fd,
                                .from = f->kept.state.begun ? mark : NULL,
                                .mark = set_mark,
                                .user = f};
    struct archive_extract_options options = {.limits = ARCHIVE_LIMITS_DEFAULT,
                                              .strip = f->want->as == FILES_CONTENTS,
                                              .without = without,
                                              .skipped = f->from->skipped,
                                              .user = f->from->arg,
                                              .keep = &keep};
    cleanup(archive_extract_freep) struct archive_extract *x = NULL;
    if (archive_extract_begin(f->kept.tree_fd, &options, &x, err) < 0)
        return -1;
    f->sink = archive_extract_sink(x);
    int r = transfer(f, archive_extract_offset(x), err);
    return r == 0 ? archive_extract_end(x, &f->result->stats, err) : r;
}

static int pack(struct fetch *f, struct error *err) {
    cleanup(packed_closep) struct packed *p = NULL;
    cleanup_free const char **without = names_left_out(f->want);
    if (without[0])
        return error_set(err, ERROR_CONFIG,
                         "it holds '%s', which is not collected and cannot be left out of a packed "
                         "archive",
                         without[0]);
    if (packed_open(&f->kept, &p, err) < 0)
        return -1;
    f->sink = packed_sink(p);
    int r = transfer(f, packed_offset(p), err);
    return r == 0 ? packed_end(p, err) : r;
}

/* ---- into its place ---- */

static int place(struct fetch *f, struct error *err) {
    const struct files_want *want = f->want;
    cleanup_close int to = open(want->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to < 0)
        return error_set_os(err, ERROR_IO, errno, "open '%s'", want->folder);
    if (want->as != FILES_PACKED)
        return move_all(f->kept.tree_fd, to, want->kept, &f->result->stats.skipped, err);
    cleanup_free char *target = target_of(want);
    if (renameat(f->kept.folder_fd, PACKED_NAME, AT_FDCWD, target) < 0)
        return error_set_os(err, ERROR_IO, errno, "write '%s'", target);
    return 0;
}

/* What came before the limit is worth something. */
static int give_up(struct fetch *f, struct error *err) {
    struct error unused = ERROR_NULL;
    if (err->kind == ERROR_LIMIT && f->want->as != FILES_PACKED && place(f, &unused) == 0)
        error_hint(err, "what came before it is in '%s'", f->want->folder);
    if (err->kind == ERROR_LIMIT || !f->from->ended)
        kept_remove(f->kept.folder);
    return -1;
}

static int fetch_once(struct fetch *f, struct error *err) {
    *f->result = (struct files_result){.begun_anew = f->result->begun_anew};
    return f->want->as == FILES_PACKED ? pack(f, err) : unpack(f, err);
}

static int fetch(struct fetch *f, struct error *err) {
    cleanup_free char *target = target_of(f->want);
    if (file_make_folders(f->want->folder, 0755, err) < 0 || open_kept(f, err) < 0)
        return -1;
    if (f->kept.state.complete && (f->want->as == FILES_CONTENTS || file_exists(target))) {
        *f->result = (struct files_result){.complete = true, .stats = f->kept.state.mark.stats};
        return 0;
    }
    if (f->kept.state.complete && kept_empty(&f->kept, err) < 0)
        return -1;
    int r = fetch_once(f, err);
    if (r < 0 && err->kind == ERROR_CONFLICT) {
        error_clear(err);
        f->result->begun_anew = true;
        r = kept_empty(&f->kept, err) < 0 ? -1 : fetch_once(f, err);
    }
    if (r < 0)
        return give_up(f, err);
    if (r == 0 && place(f, err) < 0)
        return -1;
    f->kept.state.mark.stats = f->result->stats;
    if (r == 0 && f->from->ended)
        return kept_complete(&f->kept, err);
    kept_remove(f->kept.folder);
    return r;
}

int files_fetch(const struct files_from *from, const struct files_want *want,
                const struct task *task, struct files_result *ret, struct error *err) {
    *ret = (struct files_result){.bytes = 0};
    struct fetch f = {.from = from, .want = want, .task = task, .kept = KEPT_NULL, .result = ret};
    int r = fetch(&f, err);
    kept_close(&f.kept);
    if (r < 0)
        return error_wrap(err, "fetch '%s'", want->path);
    return r == 1 ? 1 : 0;
}

void files_remove_empty(const char *folder) {
    rmdir(folder);
}
