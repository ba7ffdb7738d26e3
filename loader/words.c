#include "loader/words.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "loader/limits.h"

#include <stdbool.h>
#include <string.h>

static bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Writes the word at *in to *out and NUL behind it; both move on. */
static int next_word(const char **in, char **out, struct error *err) {
    char quote = '\0';
    for (; **in && (quote || !blank(**in)); (*in)++) {
        char c = **in;
        if (c == '\\' && quote != '\'' && (!quote || (*in)[1] == '"' || (*in)[1] == '\\')) {
            c = *++*in;
            if (!c)
                return error_set(err, ERROR_USAGE, "there is nothing behind the last backslash");
        } else if (c == quote) {
            quote = '\0';
            continue;
        } else if (!quote && (c == '\'' || c == '"')) {
            quote = c;
            continue;
        }
        *(*out)++ = c;
    }
    if (quote)
        return error_set(err, ERROR_USAGE, "a %c is not closed", quote);
    *(*out)++ = '\0';
    return 0;
}

int words_split(const char *program, const char *text, struct words *ret, struct error *err) {
    size_t size = strlen(text);
    if (size > LOADER_WORDS_SIZE_MAX)
        return error_set(err, ERROR_USAGE, "the text is longer than %d bytes",
                         LOADER_WORDS_SIZE_MAX);
    cleanup(words_deinit) struct words w = WORDS_NULL;
    w.argv = mem_new_array(char *, LOADER_WORDS_MAX + 2);
    w.text = mem_zero(size + strlen(program) + 3, 1);
    char *out = stpcpy(w.text, program) + 1;
    w.argv[w.argc++] = w.text;
    for (const char *in = text;;) {
        while (blank(*in))
            in++;
        if (!*in)
            break;
        if (w.argc > LOADER_WORDS_MAX)
            return error_set(err, ERROR_USAGE, "there are more than %d words", LOADER_WORDS_MAX);
        w.argv[w.argc++] = out;
        if (next_word(&in, &out, err) < 0)
            return -1;
    }
    *ret = w;
    w = WORDS_NULL;
    return 0;
}

void words_deinit(struct words *w) {
    free(w->argv);
    free(w->text);
    *w = WORDS_NULL;
}
