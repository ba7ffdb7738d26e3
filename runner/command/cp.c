/* `seatrial cp`: files and folders into and out of containers, whatever host they are on. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/copy_in.h"
#include "runner/command/copy_out.h"
#include "runner/command/hosts.h"
#include "runner/command/jobs.h"
#include "runner/command/tty.h"
#include "runner/engine/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPTION_INDEX = 256, OPTION_ALL, LINKS_MAX = 8, SKIPS_NAMED_MAX = 5 };

struct arguments {
    const char *from, *to;
    uint64_t index; /* 0: not given */
    bool follow;
    struct hosts_chosen chosen;
};

static const struct argp_option options[] = {
    {"index", OPTION_INDEX, "N", 0, "the N-th container of the service", 0},
    {"all", OPTION_ALL, NULL, 0, "to all containers of the service, as without --index", 0},
    {"follow-link", 'L', NULL, 0, "if SRC is a symbolic link, copy what it points to", 0},
    {"archive", 'a', NULL, OPTION_HIDDEN, NULL, 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct arguments *a = state->input;
    struct error err = ERROR_NULL;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case OPTION_INDEX:
        if (text_to_u64(arg, 1, UINT32_MAX, &a->index, &err) < 0)
            argp_error(state, "--index: %s", err.text);
        return 0;
    case OPTION_ALL: a->index = 0; return 0;
    case 'L': a->follow = true; return 0;
    case 'a':
        argp_error(state, "--archive is not supported: what arrives in a container is root's");
        return 0;
    case ARGP_KEY_ARG:
        if (a->to)
            argp_error(state, "more than SRC and DST");
        *(a->from ? &a->to : &a->from) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->to)
            argp_error(state, "needs SRC and DST");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

/* ---- paths ---- */

/* CONTAINER:PATH; a path that begins with "/" or "." is ours, as with docker cp. */
struct place {
    char *container; /* NULL: ours */
    char *path;
};

static void place_deinit(struct place *p) {
    free(p->container);
    free(p->path);
}

static struct place place_of(const char *text) {
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || text[0] == '/' || text[0] == '.')
        return (struct place){.path = text_dup(text)};
    return (struct place){.container = text_format("%.*s", (int)(colon - text), text),
                          .path = text_format("%s%s", colon[1] == '/' ? "" : "/", colon + 1)};
}

/* A path taken apart: "a/b/." means what is in b, "a/b/" that b is a folder. */
struct path {
    char *whole;      /* without what the end says */
    char *folder;     /* that it is in */
    const char *name; /* in `whole`; "" for the root */
    bool contents, must_be_folder;
};

static void path_deinit(struct path *p) {
    free(p->whole);
    free(p->folder);
}

static struct path path_of(const char *text) {
    struct path p = {.whole = text_dup(text)};
    size_t size = strlen(p.whole);
    for (bool more = true; more && size > 0;) {
        more = false;
        while (size > 1 && p.whole[size - 1] == '/') {
            p.must_be_folder = more = true;
            size--;
        }
        while (size > 1 && p.whole[size - 1] == '.' && p.whole[size - 2] == '/') {
            p.contents = p.must_be_folder = more = true;
            size -= size > 2 ? 2 : 1;
        }
    }
    p.whole[size] = '\0';
    if (text_equal(p.whole, "."))
        p.contents = p.must_be_folder = true;
    p.folder = path_folder(p.whole);
    const char *slash = strrchr(p.whole, '/');
    p.name = slash ? slash + 1 : p.whole;
    return p;
}

/* Follows the last link of a path in a container. Returns 1 when nothing is there. */
static int look(struct engine *engine, const char *container, char **path, struct engine_path *ret,
                struct error *err) {
    struct task task = command_task();
    for (int links = 0; links < LINKS_MAX; links++) {
        int r = engine_archive_stat(engine, container, *path, &task, ret, err);
        if (r != 0 || !ret->symlink || ret->target.size == 0)
            return r;
        cleanup_free char *folder = path_folder(*path);
        char *next = path_join(folder, buffer_string(&ret->target));
        free(*path);
        *path = next;
        engine_path_deinit(ret);
    }
    return error_set(err, ERROR_LIMIT, "'%s' leads through more than %d links", *path, LINKS_MAX);
}

/* ---- out of a container ---- */

/* What has been copied so far, for who looks on. */
struct copied {
    struct progress *progress;
    const char *what;
    atomic_uint_fast64_t bytes;
};

static void tell_copied(void *arg) {
    struct copied *c = arg;
    uint64_t bytes = atomic_load(&c->bytes);
    if (bytes)
        progress_copied(c->progress, c->what, bytes);
}

struct fetch {
    const struct arguments *a;
    struct copied copied;
    struct sink to_place; /* what comes of it */
    const struct command_context *context;
    const char *from, *to;
    struct archive_stats stats;
    char *skips; /* what was left out, for people; main thread afterwards */
    uint64_t skip_count;
};

static void note_skip(void *user, const char *path, const char *target, enum archive_skip why) {
    (void)target;
    struct fetch *f = user;
    char shown[256];
    if (f->skip_count++ >= SKIPS_NAMED_MAX)
        return;
    char *all = text_format("%s%s'%s' (%s)", f->skips ? f->skips : "", f->skips ? ", " : "",
                            text_safe(path, shown, sizeof shown), archive_skip_text(why));
    free(f->skips);
    f->skips = all;
}

static int write_out(void *arg, const void *data, size_t size, struct error *err) {
    (void)arg;
    const struct task task = command_task();
    return tty_write(STDOUT_FILENO, data, size, &task, err);
}

static int nothing_there(const struct command_container *c, const char *path, struct error *err) {
    return error_set(err, ERROR_NOT_FOUND, "container '%s' has no '%s'", c->entry->name, path);
}

static int count_in(void *arg, const void *data, size_t size, struct error *err) {
    struct fetch *f = arg;
    atomic_fetch_add(&f->copied.bytes, size);
    return f->to_place.push(f->to_place.arg, data, size, err);
}

static int fetch_tar(struct fetch *f, struct command_container *c, struct engine *engine,
                     const char *path, const struct sink *sink, struct error *err) {
    struct task task = command_task();
    struct sink counted = {.push = count_in, .arg = f};
    f->to_place = *sink;
    int r = engine_archive_get(engine, c->entry->name, path, &counted, &task, err);
    return r == 1 ? nothing_there(c, path, err) : r;
}

/* Where it lands: `*ret_to`, beside or in `*ret_beside`. */
static int choose_target(const struct path *from, bool folder, const char *to, char **ret_to,
                         char **ret_beside, struct error *err) {
    struct stat st;
    cleanup(path_deinit) struct path p = path_of(to);
    bool exists = stat(to, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) {
        bool into = !(folder && from->contents) && *from->name;
        *ret_to = into ? path_join(p.whole, from->name) : text_dup(p.whole);
        *ret_beside = text_dup(p.whole);
        return 0;
    }
    if (exists && folder)
        return error_set(err, ERROR_CONFLICT, "'%s' is a file, and what is copied a folder", to);
    if (!folder && p.must_be_folder)
        return error_set(err, ERROR_NOT_FOUND, "there is no folder '%s'", to);
    if (stat(p.folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return error_set(err, ERROR_NOT_FOUND, "there is no folder '%s'", p.folder);
    *ret_to = text_dup(p.whole);
    *ret_beside = text_dup(p.folder);
    return 0;
}

/* `asked` is what `from` means once links are followed. */
static int fetch_files(struct fetch *f, struct command_container *c, struct engine *engine,
                       const struct path *from, const char *asked, bool folder, struct error *err) {
    cleanup_free char *to = NULL, *beside = NULL;
    cleanup(copy_out_freep) struct copy_out *out = NULL;
    /* Named so, the folder itself is "./" in the tar, also the root. */
    cleanup_free char *path = text_format("%s%s", asked, folder ? "/." : "");
    struct archive_extract_options extract = {
        .limits = ARCHIVE_LIMITS_DEFAULT, .skipped = note_skip, .user = f};
    if (choose_target(from, folder, f->to, &to, &beside, err) < 0 ||
        copy_out_begin(beside, &extract, &out, err) < 0)
        return -1;
    struct sink sink = copy_out_sink(out);
    if (fetch_tar(f, c, engine, path, &sink, err) < 0 || copy_out_end(out, &f->stats, err) < 0)
        return -1;
    return folder ? copy_out_place_folder(out, to, err)
                  : copy_out_place_file(out, strrchr(asked, '/') + 1, to, err);
}

static int fetch(struct command_container *c, struct engine *engine, void *arg, struct error *err) {
    struct fetch *f = arg;
    struct task task = command_task();
    cleanup(engine_path_deinit) struct engine_path there = ENGINE_PATH_NULL;
    cleanup(path_deinit) struct path from = path_of(f->from);
    cleanup_free char *asked = text_dup(from.whole);
    int r = f->a->follow || from.must_be_folder
                ? look(engine, c->entry->name, &asked, &there, err)
                : engine_archive_stat(engine, c->entry->name, asked, &task, &there, err);
    if (r != 0)
        return r < 0 ? -1 : nothing_there(c, asked, err);
    if (from.must_be_folder && !there.directory)
        return error_set(err, ERROR_INVALID, "'%s' of container '%s' is no folder", f->from,
                         c->entry->name);
    if (text_equal(f->to, "-")) {
        struct sink sink = {.push = write_out};
        return fetch_tar(f, c, engine, asked, &sink, err);
    }
    if (!there.symlink)
        return fetch_files(f, c, engine, &from, asked, there.directory, err);
    error_set(err, ERROR_INVALID, "'%s' of container '%s' is a symbolic link", f->from,
              c->entry->name);
    return error_hint(err, "--follow-link copies what it points to");
}

static void tell_fetched(struct fetch *f) {
    if (f->skip_count)
        progress_warn(f->context->progress, "left out: %s%s", f->skips,
                      f->skip_count > SKIPS_NAMED_MAX ? ", ..." : "");
    progress_note(f->context->progress, "copied %" PRIu64 " files, %" PRIu64 " bytes to %s",
                  f->stats.files, f->stats.bytes, f->to);
}

/* ---- into containers ---- */

struct send {
    const struct arguments *a;
    struct copied copied; /* to all together */
    const char *from, *to;
    atomic_uint_fast64_t left_out;
};

/* A source of one of several, counted. */
struct counted {
    struct source source;
    struct copied *copied;
};

static ssize_t count_out(void *arg, void *data, size_t size, struct error *err) {
    struct counted *c = arg;
    ssize_t n = c->source.pull(c->source.arg, data, size, err);
    if (n > 0)
        atomic_fetch_add(&c->copied->bytes, (uint64_t)n);
    return n;
}

static ssize_t read_in(void *arg, void *data, size_t size, struct error *err) {
    (void)arg;
    const struct task task = command_task();
    for (;;) {
        if (task_wait(&task, STDIN_FILENO, POLLIN, err) < 0)
            return -1;
        ssize_t n = read(STDIN_FILENO, data, size);
        if (n >= 0)
            return n;
        if (errno != EINTR && errno != EAGAIN)
            return error_set_os(err, ERROR_IO, errno, "read from stdin");
    }
}

/* Into which folder there, and as what name ("" for the contents alone). */
struct aim {
    char *folder, *name;
};

static void aim_deinit(struct aim *aim) {
    free(aim->folder);
    free(aim->name);
}

static int choose_aim(struct command_container *c, struct engine *engine, const char *to,
                      const struct path *from, bool folder, struct aim *ret, struct error *err) {
    cleanup(engine_path_deinit) struct engine_path there = ENGINE_PATH_NULL;
    cleanup(path_deinit) struct path p = path_of(to);
    int r = look(engine, c->entry->name, &p.whole, &there, err);
    if (r < 0)
        return -1;
    if (r == 0 && there.directory) {
        *ret = (struct aim){.folder = text_dup(p.whole),
                            .name = text_dup(folder && from->contents ? "" : from->name)};
        return 0;
    }
    if (r == 0 && folder)
        return error_set(err, ERROR_CONFLICT, "'%s' of container '%s' is a file", to,
                         c->entry->name);
    if (r == 1 && p.must_be_folder && !folder)
        return nothing_there(c, to, err);
    cleanup(path_deinit) struct path resolved = path_of(p.whole);
    *ret = (struct aim){.folder = text_dup(resolved.folder), .name = text_dup(resolved.name)};
    return 0;
}

/* The name that a source has by itself: "." and ".." have one too. */
static int own_name(struct path *from, struct error *err) {
    if (*from->name && !text_equal(from->name, ".") && !text_equal(from->name, ".."))
        return 0;
    char *real = realpath(from->whole, NULL);
    if (!real)
        return error_set_os(err, ERROR_NOT_FOUND, errno, "look at '%s'", from->whole);
    free(from->whole);
    from->whole = real;
    from->name = strrchr(real, '/') + 1;
    return 0;
}

static int send_files(struct command_container *c, struct engine *engine, struct send *s,
                      struct error *err) {
    struct stat st;
    struct task task = command_task();
    cleanup(aim_deinit) struct aim aim = {NULL, NULL};
    cleanup(copy_in_freep) struct copy_in *in = NULL;
    cleanup(archive_stream_freep) struct archive_stream *stream = NULL;
    cleanup(path_deinit) struct path from = path_of(s->from);
    bool follow = s->a->follow || from.must_be_folder;
    if ((follow ? stat(from.whole, &st) : lstat(from.whole, &st)) < 0)
        return error_set_os(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO, errno,
                            "look at '%s'", s->from);
    bool folder = S_ISDIR(st.st_mode);
    if (from.must_be_folder && !folder)
        return error_set(err, ERROR_INVALID, "'%s' is no folder", s->from);
    if (own_name(&from, err) < 0 || choose_aim(c, engine, s->to, &from, folder, &aim, err) < 0)
        return -1;
    struct copy_in_source source = {.path = from.whole, .name = aim.name, .follow = follow};
    if (copy_in_open(&source, &in, err) < 0)
        return -1;
    stream = archive_stream_new(copy_in_items(in));
    struct counted counted = {.source = archive_stream_source(stream), .copied = &s->copied};
    struct source tar = {.pull = count_out, .arg = &counted};
    if (engine_archive_put(engine, c->entry->name, aim.folder, &tar, &task, err) < 0)
        return -1;
    atomic_fetch_add(&s->left_out, copy_in_stats(in).left_out);
    return 0;
}

static int send(struct command_container *c, struct engine *engine, void *arg, struct error *err) {
    struct send *s = arg;
    struct task task = command_task();
    if (!text_equal(s->from, "-"))
        return send_files(c, engine, s, err);
    struct counted counted = {.source = {.pull = read_in}, .copied = &s->copied};
    struct source tar = {.pull = count_out, .arg = &counted};
    return engine_archive_put(engine, c->entry->name, s->to, &tar, &task, err);
}

/* ---- the command ---- */

static int fetch_all(struct command_hosts *hosts, const struct arguments *a,
                     const struct place *from, const char *to, struct error *err) {
    struct command_container *container;
    if (text_equal(to, "-") && isatty(STDOUT_FILENO))
        return error_set(err, ERROR_USAGE, "a tar would not do a terminal good: redirect stdout");
    if (command_container_one(hosts, from->container, a->index, &container, err) < 0)
        return -1;
    struct fetch f = {.a = a,
                      .copied = {.progress = hosts->context->progress, .what = from->path},
                      .context = hosts->context,
                      .from = from->path,
                      .to = to};
    const struct jobs_watch watch = {.tick = tell_copied, .arg = &f.copied};
    command_containers_each_watched(hosts, &container, 1, 1, fetch, &f, &watch);
    progress_clear(hosts->context->progress);
    if (container->result >= 0 && !text_equal(to, "-"))
        tell_fetched(&f);
    free(f.skips);
    return 0;
}

static int send_all(struct command_hosts *hosts, const struct arguments *a, const char *from,
                    const struct place *to, struct error *err) {
    struct command_container *one;
    cleanup_free struct command_container **list = NULL;
    size_t count = 1;
    const char *const words[] = {to->container};
    if (a->index && command_container_one(hosts, to->container, a->index, &one, err) < 0)
        return -1;
    if (!a->index && command_containers_find(hosts, words, 1, &list, &count, err) < 0)
        return -1;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, "service '%s' has no container", to->container);
    if (count > 1 && text_equal(from, "-")) {
        error_set(err, ERROR_USAGE, "stdin can be sent to one container, and '%s' has %zu",
                  to->container, count);
        return error_hint(err, "say which by --index");
    }
    struct send s = {.a = a,
                     .copied = {.progress = hosts->context->progress, .what = from},
                     .from = from,
                     .to = to->path};
    const struct jobs_watch watch = {.tick = tell_copied, .arg = &s.copied};
    struct command_container **targets = a->index ? &one : list;
    command_containers_each_watched(hosts, targets, count, HOSTS_WORKERS, send, &s, &watch);
    progress_clear(hosts->context->progress);
    for (size_t i = 0; i < count; i++)
        if (targets[i]->result >= 0)
            progress_note(hosts->context->progress, "copied %s to %s:%s on %s", from,
                          targets[i]->entry->name, to->path, targets[i]->host->name);
    uint64_t left_out = atomic_load(&s.left_out);
    if (left_out)
        progress_warn(hosts->context->progress, "left out: %" PRIu64 " sockets, fifos or devices",
                      left_out);
    return 0;
}

const struct argp cp_argp = {
    options,
    parse_option,
    "SERVICE:PATH DST|-\nSRC|- SERVICE:PATH",
    "Copies files and folders out of a container, or into all containers of a service on all "
    "hosts; `-` is a tar on stdout or stdin. A container's name can stand for the service's.\v"
    "Out of a service with several containers: of the first, unless --index says which. Symbolic "
    "links in what comes out of a container are left out, and named.",
    hosts_children,
    NULL,
    NULL};

int command_cp(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct arguments a = {.from = NULL};
    command_parse(&cp_argp, "cp", argc, argv, &a);
    cleanup(place_deinit) struct place from = place_of(a.from);
    cleanup(place_deinit) struct place to = place_of(a.to);
    if (!from.container == !to.container) {
        error_set(&err, ERROR_USAGE, "one of '%s' and '%s' must be SERVICE:PATH, and only one",
                  a.from, a.to);
        return command_fail(context, &err);
    }
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (command_hosts_look(context, &a.chosen, &hosts, &err) < 0)
        return command_fail(context, &err);
    int r = from.container ? fetch_all(&hosts, &a, &from, to.path, &err)
                           : send_all(&hosts, &a, from.path, &to, &err);
    return r < 0 ? command_fail(context, &err) : hosts.status;
}
