#pragma once

/*
 * YAML: files that people write, parsed into a tree in which every node knows its place; mappings
 * read by tables; and text written back. The door to libyaml.
 *
 * One document per file. Scalars are told apart by YAML 1.2's core schema: `yes` is a text, `true`
 * is not; a quoted scalar is always a text. Keys are scalars, in the order of the file, and no key
 * comes twice. Aliases and merge keys (`<<`) are expanded into copies, so that a tree is a tree.
 *
 * Bounded in size, depth and number of nodes, the last two counted after expansion, so that a few
 * lines of aliases cannot become gigabytes.
 *
 * Owns:    a tree owns its nodes and their texts; whatever a getter returns is borrowed from it.
 * Errors:  ERROR_CONFIG, "FILE:LINE:COLUMN: message", for everything that is wrong with the text.
 * Threads: a tree belongs to one thread at a time.
 * Source:  YAML 1.2.2, chapters 6 to 10; the merge key language-independent type.
 */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    YAML_SIZE_MAX = 1024 * 1024, /* people write these; the largest seen are some 100 kB */
    YAML_DEPTH_MAX = 64,
    YAML_NODES_MAX = 100 * 1000,
    YAML_ANCHORS_MAX = 1000,
    YAML_EXPANDED_MAX = 8 * 1024 * 1024, /* all texts together, those of aliases each time */
};

/* ---- trees ---- */

enum yaml_type { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_type type;
    const char *file; /* where it was written; lines and columns count from 1 */
    unsigned line;
    unsigned column;
    const char *name; /* the key that it, or the sequence it is in, is the value of; or NULL */

    const char *text; /* scalar */
    bool replaced;    /* by yaml_set_text: a text, but a number where one is asked for */
    bool quoted;      /* quoted, a block, or tagged !!str: a text whatever it looks like */

    struct yaml_node **items; /* of a sequence; the values of a mapping */
    struct yaml_node **keys;  /* of a mapping: scalars */
    size_t count;
};

struct yaml_tree;
void yaml_tree_free(struct yaml_tree *tree);
DEFINE_CLEANUP_FREE(yaml_tree);

/* `file` is how errors name it; copied. An empty text is a tree of one `null`. */
int yaml_parse(const char *file, const char *text, size_t size, struct yaml_tree **ret,
               struct error *err);
struct yaml_node *yaml_root(const struct yaml_tree *tree);

/* Reports at the node's place: "FILE:LINE:COLUMN: message". For `return yaml_error(node, err,
 * ...)`. */
#define yaml_error(node, err, ...) error_minus_one(yaml_error_text((node), (err), __VA_ARGS__))
void yaml_error_text(const struct yaml_node *node, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same place put in front of an error that has none, whatever its kind was. */
#define yaml_error_at(node, err) error_minus_one(yaml_error_place((node), (err)))
void yaml_error_place(const struct yaml_node *node, struct error *err);

/* ---- changing a tree; what is added belongs to it from then on ---- */

/* Takes `text`. The scalar counts as a text from then on, as Compose has it of what was
 * interpolated; getters of numbers and truth values still take it for one if it looks like it. */
void yaml_set_text(struct yaml_tree *tree, struct yaml_node *scalar, char *text);
/* All nodes of `other` belong to `tree`; `other` is freed but for them. */
void yaml_adopt(struct yaml_tree *tree, struct yaml_tree *other);
/* A node at the place, and of the name, of another. */
struct yaml_node *yaml_new(struct yaml_tree *tree, enum yaml_type type, const struct yaml_node *at);
void yaml_append(struct yaml_node *sequence, struct yaml_node *item);
/* Replaces the value where the key exists. */
void yaml_set(struct yaml_node *mapping, struct yaml_node *key, struct yaml_node *value);

/* ---- looking ---- */

enum yaml_kind_of_scalar {
    YAML_IS_TEXT,
    YAML_IS_NULL,
    YAML_IS_BOOL,
    YAML_IS_INT,    /* within int64 */
    YAML_IS_NUMBER, /* every other number */
};
/* `ret_int` (may be NULL): the value of an integer, 0 or 1 of a bool. */
enum yaml_kind_of_scalar yaml_resolve(const struct yaml_node *scalar, int64_t *ret_int);

/* A scalar that is null: nothing there, `~` or `null`. */
bool yaml_is_null(const struct yaml_node *node);
/* The value of a key, or NULL (of another type too). */
struct yaml_node *yaml_find(const struct yaml_node *mapping, const char *key);
/* Its position, or `count`. */
size_t yaml_position(const struct yaml_node *mapping, const char *key);

/* What a node is, for people: "a list", "the text 'x'", "the number 4", "nothing". */
struct yaml_what {
    char text[96];
};
struct yaml_what yaml_what(const struct yaml_node *node);

/*
 * Checked getters: "'replicas' must be a whole number from 0 to 10, not the text 'four'".
 */
int yaml_get_text(const struct yaml_node *node, const char **ret, struct error *err);
/* Texts, numbers and bools as they would be written: 0x10 is "16", `true` is "true". malloc()ed. */
int yaml_get_scalar(const struct yaml_node *node, char **ret, struct error *err);
int yaml_get_bool(const struct yaml_node *node, bool *ret, struct error *err);
int yaml_get_int(const struct yaml_node *node, int64_t min, int64_t max, int64_t *ret,
                 struct error *err);
/* "1m30s" (lib/text.h). */
int yaml_get_duration_ns(const struct yaml_node *node, uint64_t *ret, struct error *err);
/* "64m" or a number of bytes; at most INT64_MAX. */
int yaml_get_size(const struct yaml_node *node, int64_t *ret, struct error *err);
/* The number of the name in a NULL-terminated list. */
int yaml_get_choice(const struct yaml_node *node, const char *const *names, int *ret,
                    struct error *err);
/* A sequence of texts as a malloc()ed, NULL-terminated list, see texts_free. */
int yaml_get_texts(const struct yaml_node *node, char ***ret, struct error *err);
int yaml_want(const struct yaml_node *node, enum yaml_type type, struct error *err);

void texts_free(char **texts);
static inline void texts_freep(char ***texts) {
    texts_free(*texts);
}
size_t texts_count(char *const *texts); /* 0 for NULL */
/* Appends a copy of `text` to the list at *texts (NULL: a new one). */
void texts_append(char ***texts, const char *text);

/* ---- reading mappings by tables ---- */

enum yaml_field_kind {
    YAML_FIELD_TEXT,        /* char *: a text */
    YAML_FIELD_SCALAR,      /* char *: a text, number or bool, as text */
    YAML_FIELD_BOOL,        /* bool */
    YAML_FIELD_INT,         /* int64_t from min to max (both 0: no bounds) */
    YAML_FIELD_DURATION,    /* uint64_t nanoseconds, at most INT64_MAX; or an int64_t */
    YAML_FIELD_SIZE,        /* int64_t bytes */
    YAML_FIELD_CHOICE,      /* an enum: the position in `choices` */
    YAML_FIELD_TEXTS,       /* char **: a list of texts */
    YAML_FIELD_READ,        /* whatever `read` makes of it */
    YAML_FIELD_IGNORED,     /* allowed, and of no meaning for us */
    YAML_FIELD_UNSUPPORTED, /* the specification knows it, we do not yet: refused by name */
};

/* One key of a mapping. `offset` is where in the target struct its value goes. */
struct yaml_field {
    const char *key;
    enum yaml_field_kind kind;
    size_t offset;
    int64_t min;
    int64_t max;
    const char *const *choices;
    /* `target` is the struct, `context` what yaml_read was given. */
    int (*read)(const struct yaml_node *value, void *target, void *context, struct error *err);
};

/* Rows of a table: YAML_VALUE("image", TEXT, offsetof(struct x, image)). */
#define YAML_VALUE(key_, kind_, offset_)                                                           \
    { .key = (key_), .kind = YAML_FIELD_##kind_, .offset = (offset_) }
#define YAML_INT_VALUE(key_, offset_, min_, max_)                                                  \
    { .key = (key_), .kind = YAML_FIELD_INT, .offset = (offset_), .min = (min_), .max = (max_) }
#define YAML_CHOICE_VALUE(key_, offset_, choices_)                                                 \
    { .key = (key_), .kind = YAML_FIELD_CHOICE, .offset = (offset_), .choices = (choices_) }
#define YAML_READ_VALUE(key_, read_)                                                               \
    { .key = (key_), .kind = YAML_FIELD_READ, .read = (read_) }
#define YAML_UNSUPPORTED(key_)                                                                     \
    { .key = (key_), .kind = YAML_FIELD_UNSUPPORTED }
#define YAML_IGNORED(key_)                                                                         \
    { .key = (key_), .kind = YAML_FIELD_IGNORED }

/* The one list of a mapping's keys. */
struct yaml_table {
    const char *what; /* "a service", for errors */
    const struct yaml_field *fields;
    size_t count;
    bool extensions; /* keys that begin with x- are ignored unless the table has them */
    bool nulls;      /* a value that is null says nothing; without, it is of the wrong type */
};
#define YAML_TABLE(what_, fields_)                                                                 \
    { .what = (what_), .fields = (fields_), .count = sizeof(fields_) / sizeof *(fields_) }
#define YAML_TABLE_WITH_EXTENSIONS(what_, fields_)                                                 \
    {                                                                                              \
        .what = (what_), .fields = (fields_), .count = sizeof(fields_) / sizeof *(fields_),        \
        .extensions = true                                                                         \
    }

/*
 * Reads every key of a mapping into `target`, which holds the defaults (a text that is there is
 * freed first). Keys that are in no table are errors that name the nearest one that is.
 */
int yaml_read(const struct yaml_node *mapping, const struct yaml_table *table, void *target,
              void *context, struct error *err);

/* ---- writing ---- */

/*
 * Appends well-formed YAML, texts quoted where they have to be. Mistakes in nesting are assertions.
 *
 *     struct yaml_writer w = yaml_writer(&buffer);
 *     yaml_begin(&w, YAML_MAPPING, YAML_BLOCK);
 *     yaml_key(&w, "run");
 *     yaml_text(&w, "3f9c2a1b");
 *     yaml_end(&w);
 */
enum yaml_style {
    YAML_BLOCK, /* a line for each */
    YAML_FLOW,  /* {a: 1}; all that is inside is too */
};

struct yaml_writer {
    struct buffer *out;
    size_t depth;
    struct yaml_frame {
        enum yaml_type type;
        enum yaml_style style;
        size_t count; /* keys or items so far */
        unsigned indent;
        bool in_sequence; /* its first line stands behind "- " */
        bool key_open;    /* a key waits for its value */
    } frames[YAML_DEPTH_MAX];
};

struct yaml_writer yaml_writer(struct buffer *out);
void yaml_begin(struct yaml_writer *w, enum yaml_type type, enum yaml_style style);
void yaml_end(struct yaml_writer *w);
void yaml_key(struct yaml_writer *w, const char *key);
void yaml_text(struct yaml_writer *w, const char *text); /* NULL writes null */
void yaml_int(struct yaml_writer *w, int64_t value);
void yaml_bool(struct yaml_writer *w, bool value);
/* Written as it is: for what is known to be a plain scalar. */
void yaml_plain(struct yaml_writer *w, const char *text);

/* A key and its value. */
void yaml_pair_text(struct yaml_writer *w, const char *key, const char *text);
void yaml_pair_int(struct yaml_writer *w, const char *key, int64_t value);
void yaml_pair_bool(struct yaml_writer *w, const char *key, bool value);
/* A list of texts; nothing at all if `texts` is NULL. */
void yaml_pair_texts(struct yaml_writer *w, const char *key, char *const *texts,
                     enum yaml_style style);
