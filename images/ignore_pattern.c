#include "images/ignore_pattern.h"

#include "images/ignore.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum token_kind {
    TOKEN_ONE_OF,  /* the character `from`, or in or not in the class ranges[from .. to) */
    TOKEN_ANY_ONE, /* ? */
    TOKEN_RUN,     /* *: any of the name */
    TOKEN_FOLDERS, /* **: nothing, or (the next token) anything up to and with a '/' */
    TOKEN_INSIDE,
    TOKEN_REST, /* ** at the end */
};

struct pattern_token {
    enum token_kind kind;
    bool is_class, negated;
    uint32_t from, to;
};

struct pattern_range {
    uint32_t first, last;
};

/* States of one expression: a line's bytes, two tokens for each `**`, and the end. */
enum { STATES_MAX = 2 * IGNORE_LINE_MAX + 1, WORDS_MAX = STATES_MAX / 64 + 1 };

#define RUNE_ERROR UINT32_C(0xfffd)

/* As Go decodes UTF-8: a byte that is part of nothing is U+FFFD by itself. */
static uint32_t decode(const char *text, size_t size, size_t *ret_size) {
    const unsigned char *s = (const unsigned char *)text;
    *ret_size = 1;
    if (s[0] < 0x80)
        return s[0];
    size_t length = s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0;
    if (length == 0 || length > size)
        return RUNE_ERROR;
    uint32_t rune = s[0] & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return RUNE_ERROR;
        rune = rune << 6 | (s[i] & 0x3fU);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (rune < least[length] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
        return RUNE_ERROR;
    *ret_size = length;
    return rune;
}

/* ---- compiling ---- */

struct reader {
    const char *at, *end;
    struct pattern *pattern;
    bool first;
    bool caret; /* a '^' that Docker would take for the start of the path */
};

static uint32_t next_rune(struct reader *r) {
    size_t size;
    uint32_t rune = decode(r->at, (size_t)(r->end - r->at), &size);
    r->at += size;
    return rune;
}

static bool next_is(const struct reader *r, char c) {
    return r->at < r->end && *r->at == c;
}

static void add_token(struct reader *r, struct pattern_token token) {
    struct pattern *p = r->pattern;
    mem_grow(p->tokens, p->token_count, p->token_capacity);
    p->tokens[p->token_count++] = token;
}

static void add_rune(struct reader *r, uint32_t rune) {
    add_token(r, (struct pattern_token){.kind = TOKEN_ONE_OF, .from = rune});
}

/* What follows a backslash. */
static int escaped(struct reader *r, uint32_t *ret, struct error *err) {
    if (r->at == r->end)
        return error_set(err, ERROR_CONFIG, "there is nothing after the last '\\'");
    uint32_t rune = next_rune(r);
    if (rune >= 0x80 || isalnum((int)rune))
        return error_set(err, ERROR_CONFIG,
                         "'\\' before a letter or digit has a meaning of its own in Docker; "
                         "leave it out");
    *ret = rune;
    return 0;
}

static int class_member(struct reader *r, uint32_t *ret, struct error *err) {
    static const char open[] = "a '[' has no ']', or nothing is between them";
    if (r->at == r->end || *r->at == ']')
        return error_set(err, ERROR_CONFIG, "%s", open);
    if (*r->at == '-')
        return error_set(err, ERROR_CONFIG, "a '-' in '[...]' that is no range must be '\\-'");
    if (*r->at == '*' || *r->at == '?' || (*r->at == '[' && r->at + 1 < r->end && r->at[1] == ':'))
        return error_set(err, ERROR_CONFIG,
                         "'%c' inside of '[...]' has a meaning of its own in Docker; "
                         "use '\\%c' outside of brackets",
                         *r->at, *r->at);
    uint32_t rune = next_rune(r);
    if (rune == '\\' && escaped(r, &rune, err) < 0)
        return -1;
    if (r->at == r->end)
        return error_set(err, ERROR_CONFIG, "%s", open);
    *ret = rune;
    return 0;
}

static int read_class(struct reader *r, struct error *err) {
    struct pattern *p = r->pattern;
    struct pattern_token token = {
        .kind = TOKEN_ONE_OF, .is_class = true, .from = (uint32_t)p->range_count};
    if (next_is(r, '^')) {
        token.negated = true;
        r->at++;
    }
    do {
        struct pattern_range range;
        if (class_member(r, &range.first, err) < 0)
            return -1;
        range.last = range.first;
        if (next_is(r, '-')) {
            r->at++;
            if (class_member(r, &range.last, err) < 0)
                return -1;
        }
        if (range.last < range.first)
            return error_set(err, ERROR_CONFIG, "a range in '[...]' ends before it begins");
        mem_grow(p->ranges, p->range_count, p->range_capacity);
        p->ranges[p->range_count++] = range;
    } while (!next_is(r, ']'));
    r->at++;
    token.to = (uint32_t)p->range_count;
    add_token(r, token);
    p->kind = PATTERN_EXPRESSION;
    return 0;
}

/* Behind the first '*'. */
static void read_star(struct reader *r) {
    struct pattern *p = r->pattern;
    if (!next_is(r, '*')) {
        add_token(r, (struct pattern_token){.kind = TOKEN_RUN});
        p->kind = PATTERN_EXPRESSION;
        return;
    }
    r->at++;
    if (next_is(r, '/'))
        r->at++;
    if (r->at < r->end) {
        add_token(r, (struct pattern_token){.kind = TOKEN_FOLDERS});
        add_token(r, (struct pattern_token){.kind = TOKEN_INSIDE});
        p->kind = PATTERN_EXPRESSION;
    } else if (p->kind == PATTERN_EXACT) {
        p->kind = PATTERN_PREFIX;
    } else {
        add_token(r, (struct pattern_token){.kind = TOKEN_REST});
        p->kind = PATTERN_EXPRESSION;
    }
    if (r->first)
        p->kind = PATTERN_SUFFIX;
}

static int read_token(struct reader *r, struct error *err) {
    uint32_t rune = next_rune(r);
    switch (rune) {
    case '*': read_star(r); return 0;
    case '[': return read_class(r, err);
    case '?':
        add_token(r, (struct pattern_token){.kind = TOKEN_ANY_ONE});
        r->pattern->kind = PATTERN_EXPRESSION;
        return 0;
    case '\\':
        if (escaped(r, &rune, err) < 0)
            return -1;
        r->pattern->kind = PATTERN_EXPRESSION;
        break;
    case ']': r->pattern->kind = PATTERN_EXPRESSION; break;
    case '^': r->caret = true; break;
    default: break;
    }
    add_rune(r, rune);
    return 0;
}

/* What a path must begin and end with, whatever the rest: most paths are turned down by it. */
static void find_ends(struct pattern *p) {
    p->lead = strcspn(p->text, "*?[\\");
    size_t tail = 0;
    while (tail < p->size - p->lead && !strchr("*?[]\\", p->text[p->size - tail - 1]))
        tail++;
    /* The '/' of a `**` + '/' may match nothing. */
    if (tail > 0 && tail < p->size && p->text[p->size - tail] == '/' &&
        p->text[p->size - tail - 1] == '*')
        tail--;
    /* U+FFFD stands for any byte that is not UTF-8. */
    for (size_t i = 0; i < p->size; i++)
        if ((unsigned char)p->text[i] >= 0x80)
            tail = 0;
    p->tail = tail;
}

int pattern_compile(const char *text, struct pattern *ret, struct error *err) {
    cleanup(pattern_deinit) struct pattern p = {.text = text_dup(text), .size = strlen(text)};
    if (p.size > IGNORE_LINE_MAX)
        return error_set(err, ERROR_CONFIG, "a pattern has more than %d bytes", IGNORE_LINE_MAX);
    struct reader r = {.at = p.text, .end = p.text + p.size, .pattern = &p, .first = true};
    for (; r.at < r.end; r.first = false)
        if (read_token(&r, err) < 0)
            return error_wrap(err, "pattern '%s'", text);
    if (r.caret && p.kind == PATTERN_EXPRESSION) {
        error_set(err, ERROR_CONFIG, "'^' beside wildcards has a meaning of its own in Docker");
        error_hint(err, "write '\\^'");
        return error_wrap(err, "pattern '%s'", text);
    }
    assert(p.token_count < STATES_MAX);
    find_ends(&p);
    *ret = p;
    p = PATTERN_NULL;
    return 0;
}

void pattern_deinit(struct pattern *p) {
    free(p->text);
    free(p->tokens);
    free(p->ranges);
    *p = PATTERN_NULL;
}

/* ---- matching ---- */

struct states {
    uint64_t words[WORDS_MAX];
};

static bool one_of(const struct pattern *p, const struct pattern_token *token, uint32_t rune) {
    if (!token->is_class)
        return rune == token->from;
    bool in = false;
    for (uint32_t i = token->from; i < token->to && !in; i++)
        in = rune >= p->ranges[i].first && rune <= p->ranges[i].last;
    return in != token->negated;
}

/* Enters a state, and those that are reached from it by matching nothing. */
static void enter(const struct pattern *p, struct states *set, size_t state) {
    for (;;) {
        set->words[state / 64] |= UINT64_C(1) << state % 64;
        if (state == p->token_count)
            return;
        enum token_kind kind = p->tokens[state].kind;
        if (kind == TOKEN_FOLDERS) {
            set->words[(state + 1) / 64] |= UINT64_C(1) << (state + 1) % 64;
            state += 2;
        } else if (kind == TOKEN_RUN || kind == TOKEN_REST) {
            state++;
        } else {
            return;
        }
    }
}

static void advance(const struct pattern *p, size_t state, uint32_t rune, struct states *next) {
    const struct pattern_token *token = &p->tokens[state];
    switch (token->kind) {
    case TOKEN_ONE_OF:
        if (one_of(p, token, rune))
            enter(p, next, state + 1);
        break;
    case TOKEN_ANY_ONE:
        if (rune != '/')
            enter(p, next, state + 1);
        break;
    case TOKEN_RUN:
        if (rune != '/')
            enter(p, next, state);
        break;
    case TOKEN_FOLDERS: break;
    case TOKEN_INSIDE:
        if (rune != '\n')
            enter(p, next, state);
        if (rune == '/')
            enter(p, next, state + 1);
        break;
    case TOKEN_REST:
        if (rune != '\n')
            enter(p, next, state);
        break;
    }
}

static bool expression_matches(const struct pattern *p, const char *path, size_t size) {
    size_t words = p->token_count / 64 + 1;
    struct states a, b, *now = &a, *next = &b;
    memset(now->words, 0, words * sizeof *now->words);
    enter(p, now, 0);
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t rune = decode(path + at, size - at, &length);
        memset(next->words, 0, words * sizeof *next->words);
        uint64_t any = 0;
        for (size_t w = 0; w < words; w++)
            for (uint64_t left = now->words[w]; left; left &= left - 1) {
                size_t state = w * 64 + (size_t)__builtin_ctzll(left);
                if (state < p->token_count)
                    advance(p, state, rune, next);
            }
        for (size_t w = 0; w < words; w++)
            any |= next->words[w];
        if (!any)
            return false;
        struct states *swap = now;
        now = next;
        next = swap;
    }
    return now->words[p->token_count / 64] >> p->token_count % 64 & 1;
}

static bool ends_with(const char *path, size_t size, const char *text, size_t text_size) {
    return size >= text_size && memcmp(path + size - text_size, text, text_size) == 0;
}

bool pattern_matches(const struct pattern *p, const char *path, size_t size) {
    switch (p->kind) {
    case PATTERN_EXACT: return size == p->size && memcmp(path, p->text, size) == 0;
    case PATTERN_PREFIX: return size >= p->size - 2 && memcmp(path, p->text, p->size - 2) == 0;
    case PATTERN_SUFFIX:
        return ends_with(path, size, p->text + 2, p->size - 2) ||
               (p->text[2] == '/' && size == p->size - 3 && memcmp(path, p->text + 3, size) == 0);
    case PATTERN_EXPRESSION: break;
    }
    return ends_with(path, size, p->text + p->size - p->tail, p->tail) &&
           expression_matches(p, path, size);
}
