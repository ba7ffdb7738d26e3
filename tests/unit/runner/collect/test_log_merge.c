/*
 * What we have of a log and what its engine has become one. Both sides are written as words: a
 * letter is a line on standard output, a capital one on standard error, in the order of their
 * times; `a'` is half of the line `a`, `|` a gap that is known and `?` one that may be, both with
 * the time of the word behind.
 */

#include "lib/cleanup.h"
#include "runner/collect/log_merge.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct sides {
    const struct log_old *ours;
    const char *(*text)(uint64_t offset);
    size_t count, next;
    struct buffer out;
    bool foreign_clock;
    size_t finds;
};

/* A line's time is its place in the alphabet. */
static void record_of(char c, bool half, struct log_record *r) {
    static char texts[128][8];
    snprintf(texts[(int)c], sizeof texts[(int)c], "line-%c", c);
    *r = (struct log_record){.kind = isupper(c) ? LOG_STDERR : LOG_STDOUT,
                             .time = "T",
                             .time_size = 1,
                             .ns = tolower(c),
                             .text = texts[(int)c],
                             .size = half ? 3 : 6};
}

static size_t read_ours(const char *words, struct log_old *ret) {
    size_t count = 0;
    for (const char *w = words; *w; w++) {
        struct log_record r;
        if (*w == '\'')
            continue;
        struct log_old old = {.offset = (uint64_t)(w - words), .size = 1};
        if (*w == '|' || *w == '?') {
            old.kind = LOG_GAP;
            old.perhaps = *w == '?';
            old.ns = w[1] ? tolower(w[1]) : 'z' + 1;
        } else if (*w == '#') {
            old.kind = LOG_FOREIGN;
        } else {
            record_of(*w, w[1] == '\'', &r);
            old.kind = r.kind;
            old.ns = r.ns;
            old.hash = log_record_hash(&r);
        }
        ret[count++] = old;
    }
    return count;
}

static const char *our_words;

static int next(void *arg, struct log_old *ret, struct error *err) {
    (void)err;
    struct sides *s = arg;
    if (s->next == s->count)
        return 1;
    *ret = s->ours[s->next++];
    return 0;
}

static int find(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err) {
    (void)err;
    struct sides *s = arg;
    s->finds++;
    for (size_t i = s->next; i < s->count; i++)
        if (s->ours[i].hash == hash) {
            *ret_offset = s->ours[i].offset;
            return 0;
        }
    return 1;
}

static int begins(void *arg, const struct log_old *old, const struct log_record *record,
                  struct error *err) {
    (void)arg, (void)err, (void)record;
    return our_words[old->offset + 1] == '\'';
}

static int keep(void *arg, const struct log_old *old, struct error *err) {
    (void)err;
    struct sides *s = arg;
    buffer_append(&s->out, &our_words[old->offset], our_words[old->offset + 1] == '\'' ? 2 : 1);
    return 0;
}

static int add(void *arg, const struct log_record *record, bool known, struct error *err) {
    (void)err, (void)known;
    struct sides *s = arg;
    buffer_append(&s->out, record->text + 5, 1);
    return 0;
}

static int gap(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
               struct error *err) {
    (void)err, (void)from_ns, (void)to_ns, (void)behind;
    struct sides *s = arg;
    buffer_text(&s->out, first ? "/" : "|");
    return 0;
}

static const struct log_merge_calls calls = {next, find, begins, keep, add, gap};

/* The result as words; `/` is a gap in front of all that the engine has, `!` lost at the end. */
static char *merged(const char *ours, const char *theirs) {
    struct error err = ERROR_NULL;
    cleanup_free struct log_old *old = calloc(strlen(ours) + 1, sizeof *old);
    struct sides s = {.ours = old};
    cleanup(log_merge_deinit) struct log_merge m;
    our_words = ours;
    s.count = read_ours(ours, old);
    buffer_init(&s.out, 1000);
    log_merge_init(&m, &calls, &s);
    for (const char *w = theirs; *w; w++) {
        struct log_record r;
        record_of(*w, false, &r);
        assert_int_equal(log_merge_push(&m, &r, &err), 0);
    }
    if (log_merge_end(&m, &err) == 1)
        buffer_text(&s.out, "!");
    return buffer_take(&s.out);
}

static void both_become_one(void **state) {
    (void)state;
    static const struct {
        const char *ours, *theirs, *merged, *what;
    } cases[] = {
        {"", "", "", "nothing"},
        {"", "abc", "abc", "we have nothing yet"},
        {"abc", "abc", "abc", "nothing is new"},
        {"abc", "abcde", "abcde", "it went on"},
        {"abc", "bcde", "abcde", "rotated, and we have more"},
        {"abc", "cde", "abcde", "rotated up to our last line"},
        {"abc", "de", "abc/de", "rotated beyond our last line"},
        {"abc", "", "abc!", "the engine has nothing"},
        {"abcd", "ab", "abcd!", "it has lost its end, as in a power cut"},
        {"abcd", "abef", "abcd|ef", "and was then used again"},
        {"abcdef", "abef", "abcdef", "which we followed"},
        {"abef", "abcdef", "abcdef", "we have missed something"},
        {"abef", "cdef", "ab/cdef", "both have lost something"},
        {"abgh", "abcdgh", "abcdgh", "in the middle"},
        {"abfh", "adefh", "ab|defh", "each on its side"},
        {"aAbBc", "AbBcCd", "aAbBcCd", "two streams"},
        {"bAc", "bAcd", "bAcd", "whose times are a little out of order"},
        {"zab", "zabc", "zabc", "a clock that was set back"},
        {"yzabc", "bcd", "yzabcd", "before what was rotated"},
        {"aaab", "aaabb", "aaabb", "lines that are all the same"},
        {"ab'", "abc", "abc", "our last line was cut off"},
        {"abc'", "ab", "abc'!", "and the engine has lost it"},
        {"abc'", "bcd", "abcd", "and the engine has rotated"},
        {"#ab", "ab", "#ab", "what somebody wrote into the file stays"},
        {"a#b", "abc", "a#bc", "at its place"},
        {"ab|ef", "ef", "ab|ef", "a gap stays"},
        {"ab|ef", "abcdef", "abcdef", "until it is filled"},
        {"ab|ef", "cdef", "ab/cdef", "in part"},
        {"ab?ef", "abef", "ab?ef", "one that may be stays in any case"},
        {"ab|", "ab", "ab|", "also at the end"},
        {"abcd|", "ab", "abcd|", "once"},
        {"abcd?", "ab", "abcd!", "one that may be is proved by what is lost before it"},
        {"abcd?", "abcd", "abcd?", "or not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_free char *got = merged(cases[i].ours, cases[i].theirs);
        if (strcmp(got, cases[i].merged) != 0)
            fail_msg("%s: '%s' and '%s' became '%s', not '%s'", cases[i].what, cases[i].ours,
                     cases[i].theirs, got, cases[i].merged);
    }
}

/* Any two parts of one sequence give all that is in either, once, in its order. */
static void parts_of_one_log_give_all_of_both(void **state) {
    (void)state;
    static const char whole[] = "abCdeFghIjklMnopQrstuVwxyz";
    unsigned seed = 20261128;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 20000; round++) {
        char ours[64] = "", theirs[64] = "", wanted[64] = "";
        size_t o = 0, t = 0, n = 0;
        int mode = 3;
        for (size_t i = 0; i < strlen(whole); i++) {
            if (rand_r(&seed) % 4 == 0)
                mode = rand_r(&seed) % 4;
            if (mode & 1)
                ours[o++] = whole[i];
            if (mode & 2)
                theirs[t++] = whole[i];
            if (mode)
                wanted[n++] = whole[i];
        }
        ours[o] = theirs[t] = wanted[n] = '\0';
        cleanup_free char *got = merged(ours, theirs);
        size_t kept = 0;
        for (size_t i = 0; got[i]; i++)
            if (isalpha(got[i]))
                got[kept++] = got[i];
        got[kept] = '\0';
        if (strcmp(got, wanted) != 0)
            fail_msg("'%s' and '%s' became '%s', not '%s'", ours, theirs, got, wanted);
    }
}

/* ---- long ones ---- */

struct numbers {
    uint64_t next, end, out, finds;
    uint64_t first_theirs;
};

static struct log_record numbered(uint64_t n, char text[24]) {
    int size = snprintf(text, 24, "%llu", (unsigned long long)n);
    return (struct log_record){.kind = LOG_STDOUT,
                               .time = "T",
                               .time_size = 1,
                               .ns = 1000 - (int64_t)(n / 100000), /* a clock that is set back */
                               .text = text,
                               .size = (size_t)size};
}

static int next_number(void *arg, struct log_old *ret, struct error *err) {
    (void)err;
    struct numbers *s = arg;
    if (s->next == s->end)
        return 1;
    char text[24];
    struct log_record r = numbered(s->next, text);
    *ret = (struct log_old){.hash = log_record_hash(&r),
                            .ns = r.ns,
                            .offset = s->next++,
                            .size = 1,
                            .kind = LOG_STDOUT};
    return 0;
}

static int find_number(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err) {
    (void)err;
    struct numbers *s = arg;
    s->finds++;
    for (uint64_t n = s->next; n < s->end; n++) {
        char text[24];
        struct log_record r = numbered(n, text);
        if (log_record_hash(&r) == hash) {
            *ret_offset = n;
            return 0;
        }
    }
    return 1;
}

static int never_begins(void *arg, const struct log_old *old, const struct log_record *record,
                        struct error *err) {
    (void)arg, (void)old, (void)record, (void)err;
    return 0;
}

static int keep_number(void *arg, const struct log_old *old, struct error *err) {
    (void)err;
    struct numbers *s = arg;
    assert_int_equal(old->offset, s->out++);
    return 0;
}

static int add_number(void *arg, const struct log_record *record, bool known, struct error *err) {
    (void)err, (void)known;
    struct numbers *s = arg;
    assert_int_equal(strtoull(record->text, NULL, 10), s->out++);
    return 0;
}

static int no_gap(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
                  struct error *err) {
    (void)arg, (void)from_ns, (void)to_ns, (void)behind, (void)first, (void)err;
    fail_msg("a gap");
    return -1;
}

static void a_long_log_whose_beginning_was_rotated_is_found_again(void **state) {
    (void)state;
    static const struct log_merge_calls number_calls = {next_number, find_number, never_begins,
                                                        keep_number, add_number,  no_gap};
    struct error err = ERROR_NULL;
    struct numbers s = {.end = 400000};
    cleanup(log_merge_deinit) struct log_merge m;
    log_merge_init(&m, &number_calls, &s);
    for (uint64_t n = 250000; n < 500000; n++) {
        char text[24];
        struct log_record r = numbered(n, text);
        assert_int_equal(log_merge_push(&m, &r, &err), 0);
    }
    assert_int_equal(log_merge_end(&m, &err), 0);
    assert_int_equal(s.out, 500000);
    assert_int_equal(s.finds, 1);
    assert_true(m.capacity <= LOG_MERGE_WINDOW);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_become_one),
        cmocka_unit_test(parts_of_one_log_give_all_of_both),
        cmocka_unit_test(a_long_log_whose_beginning_was_rotated_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
