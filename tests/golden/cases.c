#include "tests/golden/cases.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 8 << 20 };

/* The first line that differs. */
static void print_difference(const char *name, const char *expected, const char *got) {
    unsigned line = 1;
    size_t i = 0, start = 0;
    for (; expected[i] && expected[i] == got[i]; i++)
        if (expected[i] == '\n') {
            line++;
            start = i + 1;
        }
    printf("%s: line %u is\n  %.*s\ninstead of\n  %.*s\n", name, line,
           (int)strcspn(got + start, "\n"), got + start, (int)strcspn(expected + start, "\n"),
           expected + start);
}

static bool check(const char *folder, const char *name, golden_play *play) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer given = BUFFER_NULL, got, expected = BUFFER_NULL;
    cleanup_free char *path = text_format("%s/%s.case", folder, name);
    cleanup_free char *expected_path = text_format("%s/%s.expected", folder, name);
    buffer_init(&got, TEXT_MAX);
    if (file_read(path, TEXT_MAX, &given, &err) < 0) {
        printf("%s\n", err.text);
        return false;
    }
    cleanup_free char *text = text_dup(buffer_string(&given));
    if (!play(name, text, &got))
        return false;
    if (getenv("SEATRIAL_GOLDEN_UPDATE"))
        return file_write(expected_path, 0644, buffer_string(&got), got.size, &err) == 0;
    if (file_read(expected_path, TEXT_MAX, &expected, &err) < 0) {
        printf("%s\n", err.text);
        return false;
    }
    bool same = text_equal(buffer_string(&expected), buffer_string(&got));
    if (!same)
        print_difference(name, buffer_string(&expected), buffer_string(&got));
    return same;
}

static int is_case(const struct dirent *entry) {
    return text_ends(entry->d_name, ".case");
}

int golden_main(int argc, char **argv, golden_play *play) {
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, is_case, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "usage: %s FOLDER (with at least one case in it)\n", argv[0]);
        return EXIT_FAILURE;
    }
    int failures = 0;
    for (int i = 0; i < count; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - strlen(".case")] = '\0';
        failures += !check(argv[1], entries[i]->d_name, play);
        free(entries[i]);
    }
    free(entries);
    printf("%d of %d cases as expected\n", count - failures, count);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
