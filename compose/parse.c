/* Texts to a project: YAML, variables, merging, and the top level's table. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* All values of a file after interpolation. */
enum { PROJECT_TEXT_MAX = 16 * 1024 * 1024 };

struct parsing {
    struct project *project;
    struct yaml_tree *tree; /* of all files */
    struct reading reading;
    const struct project_options *options;
    struct environment environment; /* theirs, and COMPOSE_PROJECT_NAME */
    size_t interpolated;
};

static const char *lookup(void *arg, const char *name) {
    const struct parsing *p = arg;
    if (p->project->name && text_equal(name, "COMPOSE_PROJECT_NAME"))
        return p->project->name;
    return environment_get(&p->options->environment, name);
}

/* ---- variables ---- */

static int interpolate_scalar(struct parsing *p, struct yaml_node *node, struct error *err) {
    cleanup(texts_freep) char **unset = NULL;
    char *text;
    if (environment_interpolate(&p->environment, node->text, &text, &unset, err) < 0)
        return yaml_error_at(node, err);
    yaml_set_text(p->tree, node, text);
    p->interpolated += strlen(text);
    if (p->interpolated > PROJECT_TEXT_MAX)
        return yaml_error(node, err, "variables make the file larger than we accept (16 MiB)");
    for (char **name = unset; name && *name; name++)
        project_warn(p->project, place_of(node), "variable '%.64s' is not set and counts as empty",
                     *name);
    return 0;
}

static int interpolate(struct parsing *p, struct yaml_node *node, struct error *err) {
    if (node->type == YAML_SCALAR)
        return strchr(node->text, '$') && !node->replaced ? interpolate_scalar(p, node, err) : 0;
    for (size_t i = 0; i < node->count; i++)
        if (interpolate(p, node->items[i], err) < 0)
            return -1;
    return 0;
}

/* ---- the project's name ---- */

static bool is_name(const char *name) {
    if (!islower((unsigned char)*name) && !isdigit((unsigned char)*name))
        return false;
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return name[size] == '\0' && size <= PROJECT_NAME_MAX;
}

static const char *folder_name(const char *folder) {
    const char *slash = strrchr(folder, '/');
    return slash ? slash + 1 : folder;
}

/* -p, COMPOSE_PROJECT_NAME, `name:`, the folder: Compose's order. */
static int find_name(struct parsing *p, struct yaml_node *root, struct error *err) {
    static const char rule[] = "lower-case letters, digits, '-' and '_', a letter or digit first, "
                               "at most 63";
    struct project *project = p->project;
    struct yaml_node *said = yaml_find(root, "name");
    const char *given = p->options->name;
    const char *text;
    if (!given || !*given)
        given = environment_get(&p->options->environment, "COMPOSE_PROJECT_NAME");
    if (given && *given) {
        if (!is_name(given))
            return error_set(err, ERROR_CONFIG, "'%.64s' cannot be a project's name (%s)", given,
                             rule);
        project->name = text_dup(given);
        return 0;
    }
    if (said) {
        if (interpolate(p, said, err) < 0 || yaml_get_text(said, &text, err) < 0)
            return -1;
        if (!is_name(text))
            return yaml_error(said, err, "'%.64s' cannot be a project's name (%s)", text, rule);
        project->name = text_dup(text);
        return 0;
    }
    project->name = project_name_normalised(folder_name(project->folder));
    if (*project->name)
        return 0;
    error_set(err, ERROR_CONFIG, "the folder '%.128s' gives no name for the project",
              project->folder);
    return error_hint(err, "say 'name: ...' in the file, or -p NAME");
}

/* ---- the top level ---- */

static int read_services(const struct yaml_node *value, void *target, void *reading,
                         struct error *err) {
    struct project *project = target;
    if (yaml_want(value, YAML_MAPPING, err) < 0)
        return -1;
    if (value->count > PROJECT_SERVICES_MAX)
        return yaml_error(value, err, "more than %d services", PROJECT_SERVICES_MAX);
    project->services = mem_new_array(struct project_service, value->count);
    for (size_t i = 0; i < value->count; i++)
        if (read_service(value->keys[i], value->items[i], reading,
                         &project->services[project->service_count++], err) < 0)
            return -1;
    return 0;
}

static const struct yaml_field fields[] = {
    YAML_UNSUPPORTED("configs"),
    YAML_UNSUPPORTED("include"),
    YAML_UNSUPPORTED("models"),
    YAML_IGNORED("name"), /* find_name has read it */
    YAML_READ_VALUE("networks", read_networks),
    YAML_UNSUPPORTED("secrets"),
    YAML_READ_VALUE("services", read_services),
    YAML_IGNORED("version"), /* obsolete, as the specification says */
    YAML_READ_VALUE("volumes", read_project_volumes),
    YAML_UNSUPPORTED("x-seatrial"), /* belongs to services */
};
static const struct yaml_table table = YAML_TABLE_WITH_EXTENSIONS("a Compose file", fields);

/* Each file by itself, then merged into p->tree. */
static int parse_files(struct parsing *p, const struct project_source *sources, size_t count,
                       struct error *err) {
    for (size_t i = 0; i < count; i++) {
        struct yaml_tree *tree;
        if (yaml_parse(sources[i].file, sources[i].text, sources[i].size, &tree, err) < 0)
            return -1;
        texts_append(&p->project->files, sources[i].file);
        struct yaml_node *root = yaml_root(tree);
        bool first = !p->tree;
        if (first)
            p->tree = tree;
        else
            yaml_adopt(p->tree, tree);
        if (root->type != YAML_MAPPING)
            return yaml_error(root, err, "a Compose file must be a mapping, not %s",
                              yaml_what(root).text);
        if (!first && merge_files(p->tree, yaml_root(p->tree), root, err) < 0)
            return -1;
    }
    return 0;
}

/* Places of the model borrow the files' names from the project, not from the tree. */
static void keep_place(const struct project *project, struct project_place *place) {
    for (char **file = project->files; place->file && *file; file++)
        if (text_equal(place->file, *file)) {
            place->file = *file;
            return;
        }
}

static void keep_places(struct project *project) {
    for (size_t i = 0; i < project->service_count; i++) {
        struct project_service *s = &project->services[i];
        keep_place(project, &s->place);
        keep_place(project, &s->replicas_place);
        if (s->build)
            keep_place(project, &s->build->place);
        for (size_t j = 0; j < s->env_file_count; j++)
            keep_place(project, &s->env_files[j].place);
        for (size_t j = 0; j < s->dependency_count; j++)
            keep_place(project, &s->dependencies[j].place);
    }
    for (size_t i = 0; i < project->network_count; i++)
        keep_place(project, &project->networks[i].place);
    for (size_t i = 0; i < project->volume_count; i++)
        keep_place(project, &project->volumes[i].place);
}

static int parse(struct parsing *p, const struct project_source *sources, size_t count,
                 struct error *err) {
    if (parse_files(p, sources, count, err) < 0)
        return -1;
    struct yaml_node *root = yaml_root(p->tree);
    if (find_name(p, root, err) < 0 || interpolate(p, root, err) < 0)
        return -1;
    p->reading = (struct reading){
        .project = p->project,
        .environment = &p->environment,
        .home = environment_get(&p->environment, "HOME"),
        .folder = p->project->folder,
    };
    if (yaml_read(root, &table, p->project, &p->reading, err) < 0)
        return -1;
    if (p->project->service_count == 0)
        return yaml_error(root, err, "there is no service");
    keep_places(p->project);
    return check_project(p->project, err);
}

static void parsing_deinit(struct parsing *p) {
    if (p->tree)
        yaml_tree_free(p->tree);
    if (p->project)
        project_free(p->project);
}

int project_parse(const struct project_source *sources, size_t count,
                  const struct project_options *options, struct project **ret, struct error *err) {
    cleanup(parsing_deinit) struct parsing p = {.project = mem_new(struct project),
                                                .options = options};
    p.environment = (struct environment){.lookup = lookup, .arg = &p};
    p.project->files = mem_new_array(char *, 1);
    p.project->warnings = mem_new_array(char *, 1);
    p.project->folder = project_resolve_path(options->working_folder ? options->working_folder : "",
                                             options->folder ? options->folder : "");
    if (count == 0)
        return error_set(err, ERROR_CONFIG, "no Compose file");
    if (count > PROJECT_FILES_MAX)
        return error_set(err, ERROR_CONFIG, "more than %d Compose files", PROJECT_FILES_MAX);
    if (parse(&p, sources, count, err) < 0)
        return -1;
    *ret = take_ptr(p.project);
    return 0;
}
