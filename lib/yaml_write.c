/* Writing YAML; libyaml is not needed for it. */

#include "lib/text.h"
#include "lib/yaml.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

struct yaml_writer yaml_writer(struct buffer *out) {
    return (struct yaml_writer){.out = out};
}

static struct yaml_frame *top(struct yaml_writer *w) {
    return w->depth ? &w->frames[w->depth - 1] : NULL;
}

static void new_line(struct yaml_writer *w, unsigned indent) {
    buffer_format(w->out, "\n%*s", (int)indent, "");
}

/* What stands between the last thing and this key or item. */
static void separate(struct yaml_writer *w, struct yaml_frame *frame) {
    if (frame->style == YAML_FLOW)
        buffer_text(w->out, frame->count ? ", " : frame->type == YAML_MAPPING ? "{" : "[");
    else if (frame->count || (w->depth > 1 && !frame->in_sequence))
        new_line(w, frame->indent);
    frame->count++;
}

/* Before any value: a scalar or the first bracket of something. */
static void before_value(struct yaml_writer *w, bool block_collection) {
    struct yaml_frame *frame = top(w);
    if (!frame)
        return;
    if (frame->type == YAML_MAPPING) {
        assert(frame->key_open);
        frame->key_open = false;
        if (!block_collection)
            buffer_text(w->out, " ");
        return;
    }
    separate(w, frame);
    if (frame->style == YAML_BLOCK)
        buffer_text(w->out, "- ");
}

static void after_value(struct yaml_writer *w) {
    if (w->depth == 0)
        buffer_text(w->out, "\n");
}

void yaml_begin(struct yaml_writer *w, enum yaml_type type, enum yaml_style style) {
    assert(w->depth < YAML_DEPTH_MAX && type != YAML_SCALAR);
    struct yaml_frame *outer = top(w);
    if (outer && outer->style == YAML_FLOW)
        style = YAML_FLOW;
    before_value(w, style == YAML_BLOCK);
    w->frames[w->depth++] = (struct yaml_frame){
        .type = type,
        .style = style,
        .indent = outer ? outer->indent + 2 : 0,
        .in_sequence = outer && outer->type == YAML_SEQUENCE,
    };
}

void yaml_end(struct yaml_writer *w) {
    struct yaml_frame *frame = top(w);
    assert(frame && !frame->key_open);
    bool mapping = frame->type == YAML_MAPPING;
    if (frame->count == 0) {
        bool behind_key = w->depth > 1 && !frame->in_sequence && frame->style == YAML_BLOCK;
        buffer_text(w->out, behind_key ? " " : "");
        buffer_text(w->out, mapping ? "{}" : "[]");
    } else if (frame->style == YAML_FLOW) {
        buffer_text(w->out, mapping ? "}" : "]");
    }
    w->depth--;
    after_value(w);
}

/* ---- scalars ---- */

static bool plain_char(unsigned char c) {
    return isalnum(c) || (c && strchr("_./@+-=%~$^();", c));
}

/* Other readers than ours take more for numbers, dates, truth values and nothing than YAML 1.2
 * does; a text that looks like any of that is quoted. */
static bool looks_special(const char *text) {
    static const char *const words[] = {"null", "true", "false", "yes", "no",  "on", "off",
                                        "y",    "n",    "~",     "=",   "nan", "inf"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text + (*text == '.'), words[i]) == 0)
            return true;
    size_t dots = 0;
    for (const char *p = text; *p; p++)
        dots += *p == '.';
    if (text_starts(text, "...") || (*text == '.' && isdigit((unsigned char)text[1])))
        return true;
    if (!isdigit((unsigned char)*text))
        return false;
    /* "20s" and "10.0.0.1" are texts to everybody; "0x1f", "1e3", "12:30" and "2026-01-01" are not
     */
    bool based = *text == '0' && isalpha((unsigned char)text[1]);
    bool unit = isalpha((unsigned char)text[strlen(text) - 1]) && !based;
    return !(unit || dots >= 2) || strpbrk(text, "_:eE");
}

/* Conservative: what is not certainly plain is quoted. */
static bool is_plain(const char *text) {
    unsigned char first = (unsigned char)*text;
    if (!(isalnum(first) || first == '/' || first == '.' || first == '_') || looks_special(text))
        return false;
    for (const char *p = text; *p; p++) {
        unsigned char next = (unsigned char)p[1];
        bool inside = plain_char(next);
        if (!plain_char((unsigned char)*p) && !((*p == ' ' || *p == ':') && inside))
            return false;
    }
    return true;
}

/* Characters that readers may take for line ends, or refuse. */
static bool must_escape(const unsigned char *s, size_t length) {
    if (length == 1)
        return *s < 0x20 || *s == 0x7f;
    return (length == 2 && s[0] == 0xc2 && s[1] < 0xa0) ||
           (length == 3 && s[0] == 0xe2 && s[1] == 0x80 && (s[2] == 0xa8 || s[2] == 0xa9)) ||
           (length == 3 && s[0] == 0xef && s[1] == 0xbb && s[2] == 0xbf) ||
           (length == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe);
}

static unsigned code_point(const unsigned char *s, size_t length) {
    if (length == 1)
        return *s;
    if (length == 2)
        return (*s & 0x1fu) << 6 | (s[1] & 0x3fu);
    return (*s & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
}

static void quoted(struct buffer *out, const char *text) {
    size_t size = strlen(text);
    buffer_text(out, "\"");
    for (size_t i = 0; i < size;) {
        size_t length = text_utf8_length(text + i, size - i);
        const unsigned char *s = (const unsigned char *)text + i;
        if (length == 0)
            buffer_text(out, "\xef\xbf\xbd"); /* not UTF-8: U+FFFD */
        else if (*s == '\n')
            buffer_text(out, "\\n");
        else if (*s == '\t')
            buffer_text(out, "\\t");
        else if (*s == '"' || *s == '\\')
            buffer_format(out, "\\%c", *s);
        else if (must_escape(s, length))
            buffer_format(out, "\\u%04x", code_point(s, length));
        else
            buffer_append(out, s, length);
        i += length ? length : 1;
    }
    buffer_text(out, "\"");
}

static void scalar(struct buffer *out, const char *text) {
    if (is_plain(text))
        buffer_text(out, text);
    else
        quoted(out, text);
}

void yaml_plain(struct yaml_writer *w, const char *text) {
    before_value(w, false);
    buffer_text(w->out, text);
    after_value(w);
}

void yaml_text(struct yaml_writer *w, const char *text) {
    before_value(w, false);
    if (text)
        scalar(w->out, text);
    else
        buffer_text(w->out, "null");
    after_value(w);
}

void yaml_int(struct yaml_writer *w, int64_t value) {
    before_value(w, false);
    buffer_format(w->out, "%lld", (long long)value);
    after_value(w);
}

void yaml_bool(struct yaml_writer *w, bool value) {
    yaml_plain(w, value ? "true" : "false");
}

void yaml_key(struct yaml_writer *w, const char *key) {
    struct yaml_frame *frame = top(w);
    assert(frame && frame->type == YAML_MAPPING && !frame->key_open);
    separate(w, frame);
    scalar(w->out, key);
    buffer_text(w->out, ":");
    frame->key_open = true;
}

void yaml_pair_text(struct yaml_writer *w, const char *key, const char *text) {
    yaml_key(w, key);
    yaml_text(w, text);
}

void yaml_pair_int(struct yaml_writer *w, const char *key, int64_t value) {
    yaml_key(w, key);
    yaml_int(w, value);
}

void yaml_pair_bool(struct yaml_writer *w, const char *key, bool value) {
    yaml_key(w, key);
    yaml_bool(w, value);
}

void yaml_pair_texts(struct yaml_writer *w, const char *key, char *const *texts,
                     enum yaml_style style) {
    if (!texts)
        return;
    yaml_key(w, key);
    yaml_begin(w, YAML_SEQUENCE, style);
    for (; *texts; texts++)
        yaml_text(w, *texts);
    yaml_end(w);
}
