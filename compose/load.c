#include "compose/load.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct loading {
    const struct project_load_options *options;
    struct env_pair *dot_env; /* of the file `.env` */
    char **files;             /* names as given */
    struct buffer *texts;     /* of each */
    size_t count;
};

static void loading_deinit(struct loading *l) {
    env_pairs_free(l->dot_env);
    for (size_t i = 0; i < l->count; i++)
        buffer_deinit(&l->texts[i]);
    free(l->texts);
    texts_free(l->files);
}

/* The environment stands above `.env`. */
static const char *lookup(void *arg, const char *name) {
    const struct loading *l = arg;
    const char *value = environment_get(&l->options->environment, name);
    const struct env_pair *pair = env_pairs_find(l->dot_env, name);
    return value ? value : pair ? pair->value : NULL;
}

/* ---- files ---- */

/* Whatever keeps us from reading a file that was named is a mistake of the configuration. */
static int read_whole(const char *path, struct buffer *ret, struct error *err) {
    if (file_read(path, YAML_SIZE_MAX, ret, err) == 0)
        return 0;
    err->kind = ERROR_CONFIG;
    return -1;
}

static bool is_file(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static char *folder_of(const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? strndup(file, slash == file ? 1 : (size_t)(slash - file)) : text_dup("");
}

/* ---- which files ---- */

static void split_list(const char *list, const char *separator, char ***files) {
    size_t length = strlen(separator);
    for (const char *p = list; *p;) {
        const char *end = strstr(p, separator);
        size_t n = end ? (size_t)(end - p) : strlen(p);
        cleanup_free char *file = strndup(p, n);
        if (*file)
            texts_append(files, file);
        p += n + (end ? length : 0);
    }
}

static int find_usual(struct loading *l, struct error *err) {
    static const char *const usual[][3] = {
        {"compose.yaml", "compose.override.yaml", "compose.override.yml"},
        {"compose.yml", "compose.override.yml", "compose.override.yaml"},
        {"docker-compose.yml", "docker-compose.override.yml", "docker-compose.override.yaml"},
        {"docker-compose.yaml", "docker-compose.override.yaml", "docker-compose.override.yml"},
    };
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (!is_file(usual[i][0]))
            continue;
        texts_append(&l->files, usual[i][0]);
        for (size_t j = 1; j < 3; j++)
            if (is_file(usual[i][j])) {
                texts_append(&l->files, usual[i][j]);
                break;
            }
        return 0;
    }
    error_set(err, ERROR_CONFIG, "there is no compose.yaml here");
    return error_hint(err, "name it: seatrial -f FILE");
}

static int find_files(struct loading *l, struct error *err) {
    const char *listed = environment_get(&l->options->environment, "COMPOSE_FILE");
    const char *separator = environment_get(&l->options->environment, "COMPOSE_PATH_SEPARATOR");
    for (const char *const *p = l->options->files; p && *p; p++)
        texts_append(&l->files, *p);
    if (!l->files && listed && *listed)
        split_list(listed, separator && *separator ? separator : ":", &l->files);
    if (!l->files && find_usual(l, err) < 0)
        return -1;
    if (texts_count(l->files) > PROJECT_FILES_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d Compose files", PROJECT_FILES_MAX);
    return 0;
}

static int read_files(struct loading *l, struct error *err) {
    l->texts = mem_new_array(struct buffer, texts_count(l->files));
    for (; l->files[l->count]; l->count++)
        if (read_whole(l->files[l->count], &l->texts[l->count], err) < 0)
            return -1;
    return 0;
}

/* ---- variables ---- */

static int read_env_pairs(const char *path, const struct environment *env, struct env_pair **ret,
                          struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (read_whole(path, &text, err) < 0)
        return -1;
    return env_file_parse(path, buffer_string(&text), text.size, env, ret, err);
}

static int read_dot_env(struct loading *l, const char *folder, struct error *err) {
    cleanup_free char *path = project_resolve_path(folder, ".env");
    if (!is_file(path))
        return 0;
    return read_env_pairs(path, &l->options->environment, &l->dot_env, err);
}

static int apply_env_file(struct project_service *service, const struct project_env_file *file,
                          const struct environment *env, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (file->optional && !is_file(file->path))
        return 0;
    if (read_whole(file->path, &text, err) < 0)
        return error_wrap(err, "%s:%u:%u: env_file of service '%s'", file->place.file,
                          file->place.line, file->place.column, service->name);
    return project_apply_env_file(service, file->path, buffer_string(&text), text.size, env, err);
}

static int apply_env_files(struct project *project, const struct environment *env,
                           struct error *err) {
    for (size_t i = 0; i < project->service_count; i++) {
        struct project_service *service = &project->services[i];
        for (size_t j = service->env_file_count; j-- > 0;)
            if (apply_env_file(service, &service->env_files[j], env, err) < 0)
                return -1;
    }
    return 0;
}

int project_load(const struct project_load_options *options, struct project **ret,
                 struct error *err) {
    cleanup(loading_deinit) struct loading l = {.options = options};
    if (find_files(&l, err) < 0)
        return -1;
    cleanup_free char *folder = folder_of(l.files[0]);
    cleanup_free char *here = getcwd(NULL, 0);
    if (!here)
        return error_set_os(err, ERROR_IO, errno, "find out the working folder");
    if (read_files(&l, err) < 0 || read_dot_env(&l, folder, err) < 0)
        return -1;

    struct project_source sources[PROJECT_FILES_MAX];
    for (size_t i = 0; i < l.count; i++)
        sources[i] = (struct project_source){
            .file = l.files[i], .text = buffer_string(&l.texts[i]), .size = l.texts[i].size};
    struct project_options parse_options = {
        .name = options->name,
        .folder = folder,
        .working_folder = here,
        .environment = {.lookup = lookup, .arg = &l},
    };
    cleanup(project_freep) struct project *project = NULL;
    if (project_parse(sources, l.count, &parse_options, &project, err) < 0 ||
        apply_env_files(project, &parse_options.environment, err) < 0)
        return -1;
    *ret = take_ptr(project);
    return 0;
}
