/*
 * Compose files in, canonical text or the error out.
 *
 *     golden_compose FOLDER
 *
 * reads FOLDER/NAME.yaml (and FOLDER/NAME.over.yaml, merged into it, if there is one) and compares
 * what `config` makes of it, warnings in front as comments, with FOLDER/NAME.expected. With
 * SEATRIAL_GOLDEN_UPDATE=1 it writes that file instead. Nothing of the machine enters: variables
 * are the table below, the folder is /home/user/trial.
 */

#include "compose/project.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 8 << 20 };

static const char *lookup(void *arg, const char *name) {
    static const char *const variables[][2] = {
        {"HOME", "/home/user"}, {"SET", "value"}, {"EMPTY", ""}, {"NUMBER", "3"}, {"YES", "true"}};
    (void)arg;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (text_equal(name, variables[i][0]))
            return variables[i][1];
    return NULL;
}

/* One case's files, read. */
struct given {
    struct buffer texts[2];
    char *names[2];
    size_t count;
};

static void given_deinit(struct given *g) {
    for (size_t i = 0; i < 2; i++) {
        buffer_deinit(&g->texts[i]);
        free(g->names[i]);
    }
}

static void read_given(const char *folder, const char *name, struct given *g) {
    static const char *const endings[] = {".yaml", ".over.yaml"};
    for (size_t i = 0; i < 2; i++) {
        struct error err = ERROR_NULL;
        cleanup_free char *path = text_format("%s/%s%s", folder, name, endings[i]);
        if (file_read(path, TEXT_MAX, &g->texts[i], &err) < 0)
            break;
        g->names[g->count++] = text_format("%s%s", name, endings[i]);
    }
}

static void run(const struct given *g, struct buffer *out) {
    struct error err = ERROR_NULL;
    cleanup(project_freep) struct project *project = NULL;
    struct project_source sources[2];
    for (size_t i = 0; i < g->count; i++)
        sources[i] = (struct project_source){
            .file = g->names[i], .text = buffer_string(&g->texts[i]), .size = g->texts[i].size};
    struct project_options options = {
        .folder = "", .working_folder = "/home/user/trial", .environment = {.lookup = lookup}};
    if (project_parse(sources, g->count, &options, &project, &err) < 0) {
        buffer_format(out, "%s error: %s\n", error_kind_name(err.kind), err.text);
        if (*err.hint)
            buffer_format(out, "hint: %s\n", err.hint);
        return;
    }
    for (char **warning = project->warnings; *warning; warning++)
        buffer_format(out, "# warning: %s\n", *warning);
    project_write_config(project, out);
}

/* What `config` prints is a Compose file that means the same. */
static bool reads_again(const char *name, const struct buffer *first) {
    cleanup(given_deinit) struct given g = {.count = 1, .names = {text_dup(name)}};
    cleanup(buffer_deinit) struct buffer second;
    buffer_init(&g.texts[0], TEXT_MAX);
    buffer_init(&second, TEXT_MAX);
    const char *start = buffer_string(first);
    while (*start == '#')
        start = strchr(start, '\n') + 1;
    buffer_text(&g.texts[0], start);
    run(&g, &second);
    const char *again = buffer_string(&second);
    while (*again == '#')
        again = strchr(again, '\n') + 1;
    if (text_equal(start, again))
        return true;
    printf("%s: what config printed reads differently:\n%s\n", name, again);
    return false;
}

static const char *next_line(const char *text) {
    const char *end = strchr(text, '\n');
    return end ? end + 1 : text + strlen(text);
}

static void print_lines(char sign, const char *from, const char *to) {
    for (; from < to; from = next_line(from)) {
        size_t n = (size_t)(next_line(from) - from);
        printf("%c %.*s%s", sign, (int)n, from, from[n - 1] == '\n' ? "" : "\n");
    }
}

/* What differs, from the first such line to the last. */
static void print_difference(const char *name, const char *expected, const char *got) {
    const char *e = expected, *g = got;
    unsigned line = 1;
    while (*e && *g && next_line(e) - e == next_line(g) - g &&
           strncmp(e, g, (size_t)(next_line(e) - e)) == 0) {
        e = next_line(e);
        g = next_line(g);
        line++;
    }
    const char *e_end = expected + strlen(expected), *g_end = got + strlen(got);
    while (e_end > e && g_end > g && e_end[-1] == g_end[-1])
        e_end--, g_end--;
    printf("%s: differs from line %u on\n", name, line);
    print_lines('-', e, next_line(e_end));
    print_lines('+', g, next_line(g_end));
}

static bool check(const char *folder, const char *name) {
    struct error err = ERROR_NULL;
    cleanup(given_deinit) struct given g = {.count = 0};
    cleanup(buffer_deinit) struct buffer got, expected = BUFFER_NULL;
    cleanup_free char *path = text_format("%s/%s.expected", folder, name);
    buffer_init(&got, TEXT_MAX);
    read_given(folder, name, &g);
    run(&g, &got);
    if (getenv("SEATRIAL_GOLDEN_UPDATE")) {
        if (file_write(path, 0644, buffer_string(&got), got.size, &err) < 0)
            printf("%s\n", err.text);
        return err.kind == ERROR_NONE;
    }
    if (file_read(path, TEXT_MAX, &expected, &err) < 0) {
        printf("%s: %s\n", name, err.text);
        return false;
    }
    bool same = text_equal(buffer_string(&expected), buffer_string(&got));
    if (!same)
        print_difference(name, buffer_string(&expected), buffer_string(&got));
    bool failed = strstr(buffer_string(&got), " error: ") != NULL;
    return same && (failed || reads_again(name, &got));
}

static int is_case(const struct dirent *entry) {
    return text_ends(entry->d_name, ".yaml") && !text_ends(entry->d_name, ".over.yaml");
}

int main(int argc, char **argv) {
    struct dirent **entries = NULL;
    int count = argc == 2 ? scandir(argv[1], &entries, is_case, alphasort) : -1;
    if (count <= 0) {
        fprintf(stderr, "usage: golden_compose FOLDER (with at least one case in it)\n");
        return EXIT_FAILURE;
    }
    int failures = 0;
    for (int i = 0; i < count; i++) {
        entries[i]->d_name[strlen(entries[i]->d_name) - strlen(".yaml")] = '\0';
        failures += !check(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("%d of %d cases as expected\n", count - failures, count);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
