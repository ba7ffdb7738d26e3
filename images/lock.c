#include "images/lock.h"

#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, TEXT_MAX = 64 << 10 };

static const char redacted[] = "<redacted>";

/* ---- life ---- */

void locked_build_free(struct locked_build *build) {
    for (size_t i = 0; i < build->arg_count; i++) {
        free(build->args[i].name);
        free(build->args[i].value);
    }
    for (size_t i = 0; i < build->base_count; i++) {
        free(build->bases[i].reference);
        free(build->bases[i].id);
        free(build->bases[i].digest);
    }
    free(build->args);
    free(build->bases);
    free(build->key);
    free(build->context);
    free(build->dockerfile);
    free(build->dockerfile_digest);
    free(build->commit);
    free(build);
}

void locked_image_deinit(struct locked_image *image) {
    free(image->reference);
    free(image->id);
    free(image->content);
    free(image->digest);
    if (image->build)
        locked_build_free(image->build);
    *image = (struct locked_image){.reference = NULL};
}

void image_lock_deinit(struct image_lock *lock) {
    for (size_t i = 0; i < lock->count; i++)
        locked_image_deinit(&lock->images[i]);
    free(lock->images);
    *lock = IMAGE_LOCK_NULL;
}

static void add_arg(struct locked_build *build, const char *name, const char *value) {
    mem_grow(build->args, build->arg_count, build->arg_capacity);
    build->args[build->arg_count++] =
        (struct locked_arg){.name = text_dup(name), .value = text_dup(value)};
}

void locked_build_add_base(struct locked_build *build, const char *reference, const char *id,
                           const char *digest) {
    mem_grow(build->bases, build->base_count, build->base_capacity);
    build->bases[build->base_count++] = (struct locked_base){
        .reference = text_dup(reference), .id = text_dup(id), .digest = text_dup(digest)};
}

static bool names_a_secret(const char *name) {
    static const char *const words[] = {"token", "passw", "secret", "credential", "_key", "apikey"};
    cleanup_free char *lower = text_dup(name);
    for (char *p = lower; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(lower, words[i]))
            return true;
    return false;
}

bool locked_build_add_arg(struct locked_build *build, const char *name, const char *value) {
    bool secret = value && names_a_secret(name);
    add_arg(build, name, secret ? redacted : value);
    return secret;
}

static struct locked_build *copy_build(const struct locked_build *from) {
    if (!from)
        return NULL;
    struct locked_build *to = mem_new(struct locked_build);
    to->key = text_dup(from->key);
    to->context = text_dup(from->context);
    to->dockerfile = text_dup(from->dockerfile);
    to->dockerfile_digest = text_dup(from->dockerfile_digest);
    to->commit = text_dup(from->commit);
    to->dirty = from->dirty;
    for (size_t i = 0; i < from->arg_count; i++)
        add_arg(to, from->args[i].name, from->args[i].value);
    for (size_t i = 0; i < from->base_count; i++)
        locked_build_add_base(to, from->bases[i].reference, from->bases[i].id,
                              from->bases[i].digest);
    return to;
}

struct locked_image locked_image_copy(const struct locked_image *image) {
    return (struct locked_image){.reference = text_dup(image->reference),
                                 .id = text_dup(image->id),
                                 .content = text_dup(image->content),
                                 .digest = text_dup(image->digest),
                                 .build = copy_build(image->build)};
}

void locked_image_copy_build(struct locked_image *image, const struct locked_image *from) {
    if (!from->build)
        return;
    if (image->build)
        locked_build_free(image->build);
    image->build = copy_build(from->build);
}

/* Where the reference is, or would be. */
static size_t place_of(const struct image_lock *lock, const char *reference) {
    size_t i = 0;
    while (i < lock->count && strcmp(lock->images[i].reference, reference) < 0)
        i++;
    return i;
}

const struct locked_image *image_lock_find(const struct image_lock *lock, const char *reference) {
    size_t i = place_of(lock, reference);
    return i < lock->count && text_equal(lock->images[i].reference, reference) ? &lock->images[i]
                                                                               : NULL;
}

void image_lock_set(struct image_lock *lock, struct locked_image *image) {
    size_t i = place_of(lock, image->reference);
    if (i < lock->count && text_equal(lock->images[i].reference, image->reference)) {
        locked_image_deinit(&lock->images[i]);
    } else {
        mem_grow(lock->images, lock->count, lock->capacity);
        memmove(&lock->images[i + 1], &lock->images[i], (lock->count - i) * sizeof lock->images[0]);
        lock->count++;
    }
    lock->images[i] = *image;
    *image = (struct locked_image){.reference = NULL};
}

/* ---- writing ---- */

static struct json *build_json(const struct locked_build *build) {
    struct json *object = json_new_object();
    struct json *args = json_set_object(object, "args");
    for (size_t i = 0; i < build->arg_count; i++)
        json_set(args, build->args[i].name, json_new_text(build->args[i].value));
    struct json *bases = json_set_object(object, "bases");
    for (size_t i = 0; i < build->base_count; i++) {
        struct json *base = json_set_object(bases, build->bases[i].reference);
        json_set(base, "id", json_new_text(build->bases[i].id));
        json_set(base, "digest", json_new_text(build->bases[i].digest));
    }
    json_set(object, "key", json_new_text(build->key));
    json_set(object, "context", json_new_text(build->context));
    json_set(object, "dockerfile", json_new_text(build->dockerfile));
    json_set(object, "dockerfile_digest", json_new_text(build->dockerfile_digest));
    json_set(object, "commit", json_new_text(build->commit));
    json_set(object, "dirty", build->commit ? json_new_bool(build->dirty) : json_new_null());
    return object;
}

struct json *locked_image_json(const struct locked_image *image) {
    struct json *object = json_new_object();
    json_set(object, "id", json_new_text(image->id));
    json_set(object, "content", json_new_text(image->content));
    json_set(object, "digest", json_new_text(image->digest));
    json_set(object, "build", image->build ? build_json(image->build) : json_new_null());
    return object;
}

void image_lock_write(const struct image_lock *lock, struct buffer *out) {
    cleanup(json_freep) struct json *file = json_new_object();
    json_set_int(file, "version", VERSION);
    struct json *images = json_set_object(file, "images");
    for (size_t i = 0; i < lock->count; i++)
        json_set(images, lock->images[i].reference, locked_image_json(&lock->images[i]));
    json_write(file, JSON_INDENTED, out);
    buffer_text(out, "\n");
}

/* ---- reading ---- */

/* A digest, or NULL where it is missing or null. */
static int read_digest(const struct json *object, const char *key, char **ret, struct error *err) {
    const char *text;
    if (json_get_text(object, key, NULL, &text, err) < 0)
        return -1;
    if (text && !digest_text_valid(text))
        return error_set(err, ERROR_INVALID, "'%s' is not a digest", key);
    *ret = text_dup(text);
    return 0;
}

static int read_text(const struct json *object, const char *key, char **ret, struct error *err) {
    const char *text;
    if (json_get_text(object, key, NULL, &text, err) < 0)
        return -1;
    if (text && strlen(text) > TEXT_MAX)
        return error_set(err, ERROR_LIMIT, "'%s' is longer than %d bytes", key, TEXT_MAX);
    *ret = text_dup(text);
    return 0;
}

static int read_args(const struct json *object, struct locked_build *build, struct error *err) {
    struct json_cursor cursor = {0};
    while (json_next(object, &cursor)) {
        if (!json_is_text(cursor.value) && !json_is_nothing(cursor.value))
            return error_set(err, ERROR_INVALID, "an argument's value must be a string or null");
        add_arg(build, cursor.key, json_text_or_null(cursor.value));
    }
    return 0;
}

static int read_bases(const struct json *object, struct locked_build *build, struct error *err) {
    struct json_cursor cursor = {0};
    if (json_count(object) > IMAGE_LOCK_BASES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d base images", IMAGE_LOCK_BASES_MAX);
    while (json_next(object, &cursor)) {
        cleanup_free char *id = NULL, *digest = NULL;
        if (!json_is_object(cursor.value))
            return error_set(err, ERROR_INVALID, "a base image must be an object");
        if (read_digest(cursor.value, "id", &id, err) < 0 ||
            read_digest(cursor.value, "digest", &digest, err) < 0)
            return -1;
        locked_build_add_base(build, cursor.key, id, digest);
    }
    return 0;
}

static int read_build(const struct json *object, struct locked_build **ret, struct error *err) {
    cleanup(locked_build_freep) struct locked_build *build = mem_new(struct locked_build);
    const struct json *args, *bases;
    if (read_digest(object, "key", &build->key, err) < 0 ||
        read_digest(object, "context", &build->context, err) < 0 ||
        read_text(object, "dockerfile", &build->dockerfile, err) < 0 ||
        read_digest(object, "dockerfile_digest", &build->dockerfile_digest, err) < 0 ||
        read_text(object, "commit", &build->commit, err) < 0 ||
        json_get_bool(object, "dirty", false, &build->dirty, err) < 0 ||
        json_get_object(object, "args", &args, err) < 0 ||
        json_get_object(object, "bases", &bases, err) < 0 || read_args(args, build, err) < 0 ||
        read_bases(bases, build, err) < 0)
        return -1;
    *ret = take_ptr(build);
    return 0;
}

int locked_image_read(const char *reference, const struct json *object, struct locked_image *ret,
                      struct error *err) {
    cleanup(locked_image_deinit) struct locked_image image = {.reference = text_dup(reference)};
    const struct json *whole, *build;
    if (json_require_object(object, "", &whole, err) < 0 ||
        read_digest(object, "id", &image.id, err) < 0 ||
        read_digest(object, "content", &image.content, err) < 0 ||
        read_digest(object, "digest", &image.digest, err) < 0 ||
        json_get_object(object, "build", &build, err) < 0 ||
        (build && read_build(build, &image.build, err) < 0))
        return -1;
    if (!image.id)
        return error_set(err, ERROR_INVALID, "it has no 'id'");
    *ret = image;
    image = (struct locked_image){.reference = NULL};
    return 0;
}

static int read_lock(const char *text, size_t size, struct image_lock *lock, struct error *err) {
    cleanup(json_freep) struct json *file = NULL;
    const struct json *images;
    int64_t version;
    if (json_parse(text, size, IMAGE_LOCK_BYTES_MAX, &file, err) < 0 ||
        json_require_int(file, "version", 1, INT32_MAX, &version, err) < 0)
        return -1;
    if (version != VERSION)
        return error_set(err, ERROR_INVALID, "it is of version %d, and we know version %d only",
                         (int)version, VERSION);
    if (json_require_object(file, "images", &images, err) < 0)
        return -1;
    if (json_count(images) > IMAGE_LOCK_IMAGES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d images", IMAGE_LOCK_IMAGES_MAX);
    struct json_cursor cursor = {0};
    char shown[256];
    while (json_next(images, &cursor)) {
        struct locked_image image;
        if (locked_image_read(cursor.key, cursor.value, &image, err) < 0)
            return error_wrap(err, "image '%s'", text_safe(cursor.key, shown, sizeof shown));
        image_lock_set(lock, &image);
    }
    return 0;
}

int image_lock_parse(const char *text, size_t size, struct image_lock *ret, struct error *err) {
    cleanup(image_lock_deinit) struct image_lock lock = IMAGE_LOCK_NULL;
    if (read_lock(text, size, &lock, err) < 0) {
        err->kind = ERROR_CONFIG;
        return -1;
    }
    *ret = lock;
    lock = IMAGE_LOCK_NULL;
    return 0;
}

/* ---- the file ---- */

int image_lock_load(const char *path, struct image_lock *ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    struct error reading = ERROR_NULL;
    if (file_read(path, IMAGE_LOCK_BYTES_MAX, &text, &reading) < 0) {
        if (reading.kind == ERROR_NOT_FOUND)
            return 1;
        *err = reading;
        err->kind = ERROR_CONFIG;
        return -1;
    }
    if (image_lock_parse(buffer_string(&text), text.size, ret, err) < 0) {
        error_wrap(err, "'%s'", path);
        return error_hint(err, "mend it, or remove it: `seatrial images lock` writes a new one");
    }
    return 0;
}

int image_lock_save(const char *path, const struct image_lock *lock, struct error *err) {
    cleanup(buffer_deinit) struct buffer text, old = BUFFER_NULL;
    struct error unused = ERROR_NULL;
    buffer_init(&text, IMAGE_LOCK_BYTES_MAX);
    image_lock_write(lock, &text);
    if (buffer_check(&text, "the lock", err) < 0)
        return -1;
    if (file_read(path, IMAGE_LOCK_BYTES_MAX, &old, &unused) == 0 && old.size == text.size &&
        memcmp(old.data, text.data, text.size) == 0)
        return 1;
    return file_write(path, 0644, text.data, text.size, err);
}

/* ---- drift ---- */

static bool has_digest(const struct image_seen *seen, const char *digest) {
    for (const char *const *d = seen->digests; digest && d && *d; d++) {
        const char *at = strrchr(*d, '@');
        if (text_equal(at ? at + 1 : *d, digest))
            return true;
    }
    return false;
}

bool locked_image_is(const struct locked_image *locked, const struct image_seen *seen) {
    return text_equal(locked->id, seen->id) || has_digest(seen, locked->digest) ||
           (locked->content && text_equal(locked->content, seen->content));
}

int locked_image_check(const struct locked_image *locked, const struct image_seen *seen,
                       struct error *err) {
    if (locked_image_is(locked, seen))
        return 0;
    error_set(err, ERROR_CONFLICT, "'%s' is not the image that is locked: it is %s, %s has %s",
              locked->reference, seen->id, IMAGE_LOCK_NAME, locked->id);
    return error_hint(err, "bring the locked image back under that name, or take what is there now "
                           "with `seatrial images lock`");
}
