#include "images/distribution_intake.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCK = 512,
    HEX = 64,
    NAME_MAX_BYTES = 100 + 1 + 155,
    PAX_MAX = 64 * 1024, /* of one extended header */
};

/* Fields of a header: offset and size. */
enum {
    AT_NAME = 0,
    NAME_SIZE = 100,
    AT_SIZE = 124,
    SIZE_SIZE = 12,
    AT_CHECKSUM = 148,
    CHECKSUM_SIZE = 8,
    AT_TYPE = 156,
    AT_MAGIC = 257,
    AT_PREFIX = 345,
    PREFIX_SIZE = 155,
};

struct distribution_intake {
    const struct distribution_store *store;
    const struct distribution_wanted *wanted;
    bool *there; /* by layer; the last one is the configuration */
    unsigned char header[BLOCK];
    size_t header_size;
    uint64_t left, padding; /* of the entry in hand */
    bool ended;
    struct distribution_writer writer;
    bool writing;
    char claimed[DIGEST_TEXT_SIZE]; /* by its name; "" */
    char id[HEX + 1];               /* of a layer that the engine names otherwise; "" */
    struct buffer pax;
    bool in_pax;
    uint64_t pax_size; /* of the next entry; UINT64_MAX: its header says it */
    uint64_t came, kept;
};

/* ---- what is wanted ---- */

static const char *digest_at(const struct distribution_intake *x, size_t i) {
    return i < x->wanted->layer_count ? x->wanted->layers[i] : x->wanted->config;
}

static bool is_there(const struct distribution_store *store, const char *digest) {
    uint64_t bytes;
    int fd = distribution_store_find(store, digest, &bytes);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static void look(struct distribution_intake *x) {
    for (size_t i = 0; i <= x->wanted->layer_count; i++)
        x->there[i] = x->there[i] || is_there(x->store, digest_at(x, i));
}

const char *distribution_intake_missing(const struct distribution_intake *x) {
    for (size_t i = 0; i <= x->wanted->layer_count; i++)
        if (!x->there[i])
            return digest_at(x, i);
    return NULL;
}

static bool is_missing(const struct distribution_intake *x, const char *digest) {
    for (size_t i = 0; i <= x->wanted->layer_count; i++)
        if (!x->there[i] && text_equal(digest_at(x, i), digest))
            return true;
    return false;
}

struct distribution_intake *distribution_intake_new(const struct distribution_store *store,
                                                    const struct distribution_wanted *wanted) {
    struct distribution_intake *x = mem_new(struct distribution_intake);
    *x = (struct distribution_intake){.store = store,
                                      .wanted = wanted,
                                      .writer = DISTRIBUTION_WRITER_NULL,
                                      .pax_size = UINT64_MAX};
    x->there = mem_new_array(bool, wanted->layer_count + 1);
    buffer_init(&x->pax, PAX_MAX);
    look(x);
    return x;
}

void distribution_intake_free(struct distribution_intake *x) {
    if (x->writing)
        distribution_writer_deinit(&x->writer);
    buffer_deinit(&x->pax);
    free(x->there);
    free(x);
}

void distribution_intake_count(const struct distribution_intake *x, uint64_t *ret_came,
                               uint64_t *ret_kept) {
    *ret_came = x->came;
    *ret_kept = x->kept;
}

/* ---- headers ---- */

static int no_tar(const char *why, struct error *err) {
    return error_set(err, ERROR_INVALID, "what the engine saves is no tar archive: %s", why);
}

static uint64_t octal(const unsigned char *at, size_t size) {
    uint64_t n = 0;
    for (size_t i = 0; i < size && at[i] && at[i] != ' '; i++)
        n = 8 * n + (uint64_t)(at[i] - '0');
    return n;
}

static bool is_octal(const unsigned char *at, size_t size) {
    size_t i = 0;
    while (i < size && at[i] >= '0' && at[i] <= '7')
        i++;
    return i > 0 && (i == size || at[i] == '\0' || at[i] == ' ');
}

static bool checksum_fits(const unsigned char *h) {
    uint64_t sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= AT_CHECKSUM && i < AT_CHECKSUM + CHECKSUM_SIZE ? ' ' : h[i];
    const unsigned char *at = h + AT_CHECKSUM;
    while (*at == ' ')
        at++;
    return is_octal(at, (size_t)(h + AT_TYPE - at)) && octal(at, (size_t)(h + AT_TYPE - at)) == sum;
}

/* Octal digits, or GNU's big number in binary. */
static int read_size(const unsigned char *h, uint64_t *ret, struct error *err) {
    const unsigned char *at = h + AT_SIZE;
    if (at[0] == 0x80) {
        uint64_t n = 0;
        for (size_t i = SIZE_SIZE - 8; i < SIZE_SIZE; i++)
            n = n << 8 | at[i];
        for (size_t i = 1; i < SIZE_SIZE - 8; i++)
            if (at[i])
                return no_tar("an entry is too large", err);
        *ret = n;
    } else {
        if (!is_octal(at, SIZE_SIZE))
            return no_tar("the size of an entry is no number", err);
        *ret = octal(at, SIZE_SIZE);
    }
    return *ret > INT64_MAX - BLOCK ? no_tar("an entry is too large", err) : 0;
}

static void read_name(const unsigned char *h, char name[NAME_MAX_BYTES + 1]) {
    bool ustar = memcmp(h + AT_MAGIC, "ustar", 5) == 0;
    snprintf(name, NAME_MAX_BYTES + 1, "%.*s%s%.*s", ustar ? PREFIX_SIZE : 0,
             (const char *)h + AT_PREFIX, ustar && h[AT_PREFIX] ? "/" : "", NAME_SIZE,
             (const char *)h + AT_NAME);
}

/* A digest or an id: 64 digits, with `after` behind them. */
static bool take_hex(const char *text, const char *after, char ret[HEX + 1]) {
    if (strspn(text, "0123456789abcdef") != HEX || !text_equal(text + HEX, after))
        return false;
    memcpy(ret, text, HEX);
    ret[HEX] = '\0';
    return true;
}

/* By its name: is it something that is wanted, or may be? */
static bool wants(struct distribution_intake *x, const char *name) {
    char hex[HEX + 1];
    x->claimed[0] = x->id[0] = '\0';
    if (text_starts(name, "blobs/sha256/") ? take_hex(name + strlen("blobs/sha256/"), "", hex)
                                           : take_hex(name, ".json", hex)) {
        snprintf(x->claimed, sizeof x->claimed, "sha256:%s", hex);
        return is_missing(x, x->claimed);
    }
    if (!take_hex(name, "/layer.tar", x->id))
        return false;
    char known[DIGEST_TEXT_SIZE];
    distribution_store_name(x->store, x->id, known);
    return !known[0] || is_missing(x, known);
}

static int begin_entry(struct distribution_intake *x, struct error *err) {
    const unsigned char *h = x->header;
    char name[NAME_MAX_BYTES + 1];
    static const unsigned char zeros[BLOCK];
    if (memcmp(h, zeros, BLOCK) == 0) {
        x->ended = true;
        return 0;
    }
    if (!checksum_fits(h))
        return no_tar("a header's checksum is wrong", err);
    if (read_size(h, &x->left, err) < 0)
        return -1;
    char type = (char)h[AT_TYPE];
    x->in_pax = type == 'x';
    if (!x->in_pax && type != 'g' && x->pax_size != UINT64_MAX) {
        x->left = x->pax_size;
        x->pax_size = UINT64_MAX;
    }
    x->padding = (BLOCK - x->left % BLOCK) % BLOCK;
    buffer_clear(&x->pax);
    read_name(h, name);
    if ((type != '0' && type != '\0') || x->left == 0 || !wants(x, name))
        return 0;
    x->writing = distribution_writer_begin(x->store, x->left, &x->writer, err) == 0;
    return x->writing ? 0 : -1;
}

/* ---- contents ---- */

/* "SIZE size=NUMBER\n" among the records: what has no room in a header's field. */
static int read_pax(struct distribution_intake *x, struct error *err) {
    const char *at = strstr(buffer_string(&x->pax), " size=");
    if (buffer_check(&x->pax, "an extended header", err) < 0)
        return -1;
    if (!at)
        return 0;
    at += strlen(" size=");
    cleanup_free char *number = text_format("%.*s", (int)strcspn(at, "\n"), at);
    if (text_to_u64(number, 0, INT64_MAX - BLOCK, &x->pax_size, err) < 0)
        return no_tar("the size of an entry is no number", err);
    return 0;
}

static int end_blob(struct distribution_intake *x, struct error *err) {
    char digest[DIGEST_TEXT_SIZE];
    x->writing = false;
    x->kept += x->writer.bytes;
    int r = distribution_writer_end(&x->writer, digest, err);
    distribution_writer_deinit(&x->writer);
    if (r < 0)
        return -1;
    if (x->claimed[0] && !text_equal(x->claimed, digest))
        return error_set(err, ERROR_INVALID, "the engine saves %s under the name of %s", digest,
                         x->claimed);
    if (x->id[0])
        distribution_store_set_name(x->store, x->id, digest);
    if (!is_missing(x, digest)) /* of another image, perhaps: the next tidying sees to it */
        return 0;
    look(x);
    return 0;
}

static int end_entry(struct distribution_intake *x, struct error *err) {
    if (x->in_pax) {
        x->in_pax = false;
        return read_pax(x, err);
    }
    return x->writing ? end_blob(x, err) : 0;
}

/* Some of the entry in hand. */
static int take_content(struct distribution_intake *x, const char *data, size_t size,
                        struct error *err) {
    x->left -= size;
    if (x->in_pax)
        buffer_append(&x->pax, data, size);
    if (x->writing && distribution_writer_add(&x->writer, data, size, err) < 0)
        return -1;
    return x->left == 0 ? end_entry(x, err) : 0;
}

static size_t least(uint64_t a, size_t b) {
    return a < b ? (size_t)a : b;
}

/* How many of the bytes were taken in *ret. */
static int take_some(struct distribution_intake *x, const char *data, size_t size, size_t *ret,
                     struct error *err) {
    if (x->left) {
        *ret = least(x->left, size);
        return take_content(x, data, *ret, err);
    }
    if (x->padding) {
        *ret = least(x->padding, size);
        x->padding -= *ret;
        return 0;
    }
    *ret = least(BLOCK - x->header_size, size);
    memcpy(x->header + x->header_size, data, *ret);
    x->header_size += *ret;
    if (x->header_size < BLOCK)
        return 0;
    x->header_size = 0;
    return begin_entry(x, err);
}

static int push(void *arg, const void *data, size_t size, struct error *err) {
    struct distribution_intake *x = arg;
    const char *at = data;
    x->came += size;
    while (size && !x->ended) {
        size_t taken = 0;
        if (take_some(x, at, size, &taken, err) < 0)
            return -1;
        at += taken;
        size -= taken;
    }
    return !x->writing && !distribution_intake_missing(x);
}

struct sink distribution_intake_sink(struct distribution_intake *intake) {
    return (struct sink){.push = push, .arg = intake};
}
