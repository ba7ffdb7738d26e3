#include "runner/remote/algorithms.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <fnmatch.h>
#include <stdbool.h>
#include <string.h>

enum { LIST_MAX = 16 * 1024, NAME_MAX_BYTES = 256 };

/* The next name of the list; false at its end. Names that are too long are passed over. */
static bool next_name(const char **list, char name[NAME_MAX_BYTES]) {
    while (**list) {
        size_t size = strcspn(*list, ",");
        const char *begin = *list;
        *list += size + (begin[size] == ',');
        if (size > 0 && size < NAME_MAX_BYTES) {
            memcpy(name, begin, size);
            name[size] = '\0';
            return true;
        }
    }
    return false;
}

static bool matches(const char *name, const char *list) {
    char pattern[NAME_MAX_BYTES];
    while (next_name(&list, pattern))
        if (fnmatch(pattern, name, 0) == 0)
            return true;
    return false;
}

/* Those names of `from` that `list` has (or has not), and `out` has not yet. */
static void append(struct buffer *out, const char *from, const char *list, bool listed) {
    char name[NAME_MAX_BYTES];
    while (next_name(&from, name)) {
        if (list && matches(name, list) != listed)
            continue;
        if (!matches(name, buffer_string(out)))
            buffer_format(out, "%s%s", out->size ? "," : "", name);
    }
}

char *algorithms_apply(const char *ours, const char *wanted) {
    if (!wanted || !wanted[0])
        return text_dup(ours);
    struct buffer out;
    buffer_init(&out, LIST_MAX);
    switch (wanted[0]) {
    case '+':
        append(&out, ours, NULL, true);
        append(&out, wanted + 1, NULL, true);
        break;
    case '-': append(&out, ours, wanted + 1, false); break;
    case '^':
        append(&out, wanted + 1, NULL, true);
        append(&out, ours, NULL, true);
        break;
    default: append(&out, wanted, NULL, true);
    }
    char *list = buffer_take(&out);
    return list ? list : text_dup("");
}

char *algorithms_prefer(const char *ours, const char *first) {
    struct buffer out;
    buffer_init(&out, LIST_MAX);
    append(&out, first, ours, true);
    append(&out, ours, NULL, true);
    char *list = buffer_take(&out);
    return list ? list : text_dup("");
}
