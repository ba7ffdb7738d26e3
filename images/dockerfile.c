#include "images/dockerfile.h"

#include "images/dockerfile_lines.h"
#include "images/dockerfile_words.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct texts {
    char **list;
    size_t count, capacity;
};

struct stage {
    char *name;   /* NULL: none */
    char *base;   /* image; NULL: scratch, another stage, or not known */
    bool unknown; /* an image that it takes from is not known */
    char *whole;  /* why it may reach all of the context; NULL: it does not */
    struct texts sources, images;
    size_t *stages; /* that it needs */
    size_t stage_count, stage_capacity;
    struct dockerfile_variables variables;
};

struct reader {
    const struct dockerfile_options *options;
    struct dockerfile_lines lines;
    struct dockerfile_variables globals;
    struct stage *stages;
    size_t count, capacity;
    size_t sources;
    const char *doubt; /* about all of it */
    unsigned line;
};

static void add(struct texts *t, const char *text) {
    mem_grow(t->list, t->count, t->capacity);
    t->list[t->count++] = text_dup(text);
}

static void texts_deinit(struct texts *t) {
    for (size_t i = 0; i < t->count; i++)
        free(t->list[i]);
    free(t->list);
}

static struct stage *current(struct reader *r) {
    return r->count ? &r->stages[r->count - 1] : NULL;
}

static void takes_all(struct reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void takes_all(struct reader *r, const char *format, ...) {
    struct stage *s = current(r);
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (s && !s->whole)
        s->whole = text_format("line %u: %s", r->line, text);
}

/* ---- what is referred to ---- */

/* Index of the stage of this name among the first `count`, or -1. */
static long find_named(const struct reader *r, const char *name, size_t count) {
    for (size_t i = count; i-- > 0;)
        if (r->stages[i].name && strcasecmp(r->stages[i].name, name) == 0)
            return (long)i;
    return -1;
}

/* The same of a name or a number. */
static long find_stage(const struct reader *r, const char *name, size_t count) {
    long named = find_named(r, name, count);
    size_t digits = strspn(name, "0123456789");
    if (named >= 0 || digits == 0 || digits > 6 || name[digits])
        return named;
    size_t number = strtoul(name, NULL, 10);
    return number < count ? (long)number : -1;
}

static void needs_stage(struct stage *s, size_t stage) {
    mem_grow(s->stages, s->stage_count, s->stage_capacity);
    s->stages[s->stage_count++] = stage;
}

/* COPY --from and RUN --mount: a stage before this one, or an image. */
static void takes_from(struct reader *r, const char *from) {
    struct stage *s = current(r);
    cleanup_free char *name = dockerfile_expand(from, r->lines.escape, &s->variables);
    if (!name || !*name) {
        s->unknown = true;
        return;
    }
    long stage = find_stage(r, name, r->count - 1);
    if (stage >= 0)
        needs_stage(s, (size_t)stage);
    else if (!text_equal(name, "scratch"))
        add(&s->images, name);
}

/* ---- paths ---- */

/* Relative to the root of the context, cleaned; a name that is more than letters and stars becomes
 * a star. NULL: it is all. malloc()ed. */
static char *clean(const char *path) {
    struct buffer out;
    buffer_init(&out, 2 * DOCKERFILE_VALUE_MAX);
    while (*path) {
        path += strspn(path, "/");
        size_t size = strcspn(path, "/");
        const char *name = path;
        path += size;
        if (size == 0 || (size == 1 && *name == '.'))
            continue;
        if (size == 2 && name[0] == '.' && name[1] == '.') {
            const char *slash = out.size ? strrchr(buffer_string(&out), '/') : NULL;
            size_t keep = slash ? (size_t)(slash - buffer_string(&out)) : 0;
            cleanup_free char *kept = text_format("%.*s", (int)keep, buffer_string(&out));
            buffer_clear(&out);
            buffer_text(&out, kept);
            continue;
        }
        if (out.size)
            buffer_text(&out, "/");
        bool any_depth = size == 2 && name[0] == '*' && name[1] == '*';
        bool plain = true;
        for (size_t i = 0; i < size; i++)
            plain = plain && !strchr("[]\\?", name[i]);
        if (any_depth)
            break;
        if (plain)
            buffer_append(&out, name, size);
        else
            buffer_text(&out, "*");
    }
    char *text = out.size ? buffer_take(&out) : NULL;
    buffer_deinit(&out);
    size_t end = text ? strlen(text) : 0;
    if (end && text[end - 1] == '/') /* before "**": all that is below */
        text[end - 1] = '\0';
    return text;
}

static void reaches(struct reader *r, const char *word) {
    struct stage *s = current(r);
    char shown[64];
    cleanup_free char *path = dockerfile_expand(word, r->lines.escape, &s->variables);
    if (!path) {
        takes_all(r, "it is not known what '%s' means", text_safe(word, shown, sizeof shown));
        return;
    }
    cleanup_free char *cleaned = clean(path);
    if (!cleaned || ++r->sources > DOCKERFILE_SOURCES_MAX)
        takes_all(r, "'%s' is all of it", text_safe(word, shown, sizeof shown));
    else
        add(&s->sources, cleaned);
}

static bool is_remote(const char *source) {
    return text_starts(source, "http://") || text_starts(source, "https://") ||
           text_starts(source, "git@") || text_starts(source, "git://") ||
           text_starts(source, "ssh://");
}

/* ---- instructions ---- */

/* The next `--name=value`, or `--name`; moves `rest` behind it. malloc()ed; NULL: no more. */
static char *take_flag(const char **rest) {
    const char *at = *rest + strspn(*rest, " \t\v\f\r");
    if (!text_starts(at, "--"))
        return NULL;
    char *flag = dockerfile_word(&at);
    *rest = at + strspn(at, " \t\v\f\r");
    return flag;
}

static void read_copy(struct reader *r, const char *rest, bool is_add) {
    bool from_elsewhere = false;
    char *flag;
    while ((flag = take_flag(&rest))) {
        if (!is_add && text_starts(flag, "--from=")) {
            from_elsewhere = true;
            takes_from(r, flag + 7);
        }
        free(flag);
    }
    if (from_elsewhere)
        return;
    size_t count;
    char **words = dockerfile_words(rest, &count);
    for (size_t i = 0; i + 1 < count; i++)
        if (!dockerfile_is_heredoc(words[i]) && !(is_add && is_remote(words[i])))
            reaches(r, words[i]);
    dockerfile_words_free(words);
}

/* type=bind,from=STAGE,source=PATH,... */
static void read_mount(struct reader *r, const char *text) {
    cleanup_free char *copy = text_dup(text), *source = NULL, *from = NULL;
    bool bind = true;
    char *state = NULL;
    if (strpbrk(text, "\"'\\")) {
        takes_all(r, "a mount is said in a way that is not understood");
        current(r)->unknown = true;
        return;
    }
    for (char *field = strtok_r(copy, ",", &state); field; field = strtok_r(NULL, ",", &state)) {
        char *equals = strchr(field, '=');
        if (!equals)
            continue;
        *equals = '\0';
        const char *value = equals + 1;
        if (strcasecmp(field, "type") == 0)
            bind = strcasecmp(value, "bind") == 0 || strchr(value, '$');
        if (strcasecmp(field, "source") == 0 || strcasecmp(field, "src") == 0) {
            free(source);
            source = text_dup(value);
        }
        if (strcasecmp(field, "from") == 0) {
            free(from);
            from = text_dup(value);
        }
    }
    if (from)
        takes_from(r, from);
    else if (bind)
        reaches(r, source ? source : "/");
}

static void read_run(struct reader *r, const char *rest) {
    char *flag;
    while ((flag = take_flag(&rest))) {
        if (text_starts(flag, "--mount="))
            read_mount(r, flag + 8);
        free(flag);
    }
}

static const char *given(const struct reader *r, const char *name, bool *ret_given) {
    const struct dockerfile_arg *a = r->options->args;
    for (; a && a->name; a++)
        if (text_equal(a->name, name) && a->value) {
            *ret_given = true;
            return a->value;
        }
    *ret_given = false;
    return NULL;
}

/* NAME or NAME=default; there may be several. */
static void read_arg(struct reader *r, const char *rest) {
    struct stage *s = current(r);
    struct dockerfile_variables *variables = s ? &s->variables : &r->globals;
    char *word;
    while ((word = dockerfile_word(&rest))) {
        char *equals = strchr(word, '=');
        bool is_given;
        if (equals)
            *equals = '\0';
        const char *value = given(r, word, &is_given);
        cleanup_free char *expanded =
            equals ? dockerfile_expand(equals + 1, r->lines.escape, variables) : NULL;
        const struct dockerfile_variable *global = s ? dockerfile_get(&r->globals, word) : NULL;
        if (!is_given)
            value = equals ? expanded : global ? global->value : NULL;
        dockerfile_set(variables, word, value, false);
        free(word);
    }
}

/* NAME=value ..., or NAME value: all values as they were before the line. */
static void read_env(struct reader *r, const char *rest) {
    struct stage *s = current(r);
    struct dockerfile_variables now = {.list = NULL};
    const char *at = rest;
    char *word = dockerfile_word(&at);
    if (word && !strchr(word, '=')) {
        cleanup_free char *value =
            dockerfile_expand(at + strspn(at, " \t\v\f\r"), r->lines.escape, &s->variables);
        dockerfile_set(&s->variables, word, value, true);
        free(word);
        return;
    }
    for (; word; word = dockerfile_word(&at)) {
        char *equals = strchr(word, '=');
        cleanup_free char *value =
            equals ? dockerfile_expand(equals + 1, r->lines.escape, &s->variables) : NULL;
        if (equals)
            *equals = '\0';
        dockerfile_set(&now, word, value, true);
        free(word);
    }
    for (size_t i = 0; i < now.count; i++)
        dockerfile_set(&s->variables, now.list[i].name, now.list[i].value, true);
    dockerfile_variables_deinit(&now);
}

static void inherit(struct stage *to, const struct stage *from) {
    for (size_t i = 0; i < from->variables.count; i++) {
        const struct dockerfile_variable *v = &from->variables.list[i];
        if (v->environment)
            dockerfile_set(&to->variables, v->name, v->value, true);
    }
}

/* IMAGE [AS NAME] */
static void read_from(struct reader *r, const char *rest) {
    char *flag;
    while ((flag = take_flag(&rest)))
        free(flag);
    if (r->count == DOCKERFILE_STAGES_MAX) {
        r->doubt = "it has too many stages";
        return;
    }
    size_t count;
    char **words = dockerfile_words(rest, &count);
    mem_grow(r->stages, r->count, r->capacity);
    struct stage *s = &r->stages[r->count++];
    *s = (struct stage){.name = NULL};
    if (count == 3 && strcasecmp(words[1], "as") == 0)
        s->name = text_dup(words[2]);
    cleanup_free char *image =
        count ? dockerfile_expand(words[0], r->lines.escape, &r->globals) : NULL;
    long stage = image ? find_named(r, image, r->count - 1) : -1;
    if (!image || !*image || (count != 1 && count != 3)) {
        s->unknown = true;
    } else if (stage >= 0) {
        needs_stage(s, (size_t)stage);
        inherit(s, &r->stages[stage]);
    } else if (!text_equal(image, "scratch")) {
        s->base = text_dup(image);
    }
    dockerfile_words_free(words);
}

static void read_instruction(struct reader *r, const char *name, const char *rest);

/* It is carried out where the image is the base of another: of a stage of this file, too. */
static void read_onbuild(struct reader *r, const char *rest) {
    char name[16];
    size_t size = strcspn(rest, " \t\v\f\r");
    snprintf(name, sizeof name, "%.*s", (int)(size < 15 ? size : 15), rest);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    if (!text_equal(name, "onbuild") && !text_equal(name, "from"))
        read_instruction(r, name, rest + size + strspn(rest + size, " \t\v\f\r"));
}

static void read_instruction(struct reader *r, const char *name, const char *rest) {
    if (text_equal(name, "from"))
        read_from(r, rest);
    else if (text_equal(name, "arg"))
        read_arg(r, rest);
    else if (!current(r))
        r->doubt = "an instruction stands before the first FROM";
    else if (text_equal(name, "env"))
        read_env(r, rest);
    else if (text_equal(name, "copy") || text_equal(name, "add"))
        read_copy(r, rest, text_equal(name, "add"));
    else if (text_equal(name, "run"))
        read_run(r, rest);
    else if (text_equal(name, "onbuild"))
        read_onbuild(r, rest);
}

static bool is_usual_frontend(const char *name) {
    static const char *const usual[] = {"docker/dockerfile", "docker.io/docker/dockerfile"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        size_t size = strlen(usual[i]);
        if (strncmp(name, usual[i], size) == 0 && (!name[size] || strchr(":@", name[size])))
            return true;
    }
    return false;
}

static void read_all(struct reader *r) {
    struct dockerfile_instruction instruction;
    size_t count = 0;
    int got;
    while ((got = dockerfile_next(&r->lines, &instruction)) == 0 && !r->doubt) {
        r->line = instruction.line;
        if (++count > DOCKERFILE_INSTRUCTIONS_MAX)
            r->doubt = "it has too many instructions";
        else
            read_instruction(r, instruction.name, instruction.rest);
    }
    if (got < 0 && !r->doubt)
        r->doubt = "it cannot be read to its end";
    if (r->lines.frontend[0] && !is_usual_frontend(r->lines.frontend))
        r->doubt = "it is in a syntax of others";
    if (r->count == 0 && !r->doubt)
        r->doubt = "it has no FROM";
}

/* ---- the answer ---- */

static void mark(const struct reader *r, size_t stage, bool *needed) {
    /* A stage needs only earlier ones: from the last down, each is asked once. */
    needed[stage] = true;
    for (size_t i = stage + 1; i-- > 0;)
        for (size_t k = 0; needed[i] && k < r->stages[i].stage_count; k++)
            needed[r->stages[i].stages[k]] = true;
}

static void add_once(char ***list, size_t *count, const char *text) {
    for (size_t i = 0; i < *count; i++)
        if (text_equal((*list)[i], text))
            return;
    (*list)[(*count)++] = text_dup(text);
}

static void take_stage(const struct stage *s, struct dockerfile *d) {
    if (s->unknown)
        d->bases_known = false;
    if (s->base)
        add_once(&d->bases, &d->base_count, s->base);
    for (size_t i = 0; i < s->images.count; i++)
        add_once(&d->bases, &d->base_count, s->images.list[i]);
    for (size_t i = 0; i < s->sources.count; i++)
        add_once(&d->paths, &d->path_count, s->sources.list[i]);
    if (s->whole && !d->whole) {
        d->whole = true;
        snprintf(d->reason, sizeof d->reason, "%s", s->whole);
    }
}

static void answer(struct reader *r, struct dockerfile *d) {
    bool *needed = mem_new_array(bool, r->count + 1);
    size_t bases = 1, paths = 1;
    long target = r->count ? (long)r->count - 1 : -1;
    if (r->options->target && *r->options->target)
        target = find_stage(r, r->options->target, r->count);
    if (target < 0 && !r->doubt)
        r->doubt = "it has no such target";
    for (size_t i = 0; i < r->count; i++) {
        bases += 1 + r->stages[i].images.count;
        paths += r->stages[i].sources.count;
        needed[i] = target < 0 || (r->options->every_stage && i <= (size_t)target);
    }
    if (target >= 0)
        mark(r, (size_t)target, needed);
    d->bases = mem_new_array(char *, bases);
    d->paths = mem_new_array(char *, paths);
    d->bases_known = !r->doubt;
    for (size_t i = 0; i < r->count; i++)
        if (needed[i])
            take_stage(&r->stages[i], d);
    if (r->doubt) {
        d->whole = true;
        snprintf(d->reason, sizeof d->reason, "%s", r->doubt);
    }
    free(needed);
}

static void reader_deinit(struct reader *r) {
    for (size_t i = 0; i < r->count; i++) {
        struct stage *s = &r->stages[i];
        free(s->name);
        free(s->base);
        free(s->whole);
        free(s->stages);
        texts_deinit(&s->sources);
        texts_deinit(&s->images);
        dockerfile_variables_deinit(&s->variables);
    }
    free(r->stages);
    dockerfile_variables_deinit(&r->globals);
    dockerfile_lines_deinit(&r->lines);
}

void dockerfile_read(const char *text, size_t size, const struct dockerfile_options *options,
                     struct dockerfile *ret) {
    cleanup(reader_deinit) struct reader r = {.options = options};
    *ret = DOCKERFILE_NULL;
    dockerfile_lines_init(&r.lines, text, size);
    read_all(&r);
    answer(&r, ret);
}

void dockerfile_deinit(struct dockerfile *d) {
    for (size_t i = 0; i < d->base_count; i++)
        free(d->bases[i]);
    for (size_t i = 0; i < d->path_count; i++)
        free(d->paths[i]);
    free(d->bases);
    free(d->paths);
    *d = DOCKERFILE_NULL;
}
