#include "runner/plan/remote.h"

#include "images/reference.h"
#include "lib/cleanup.h"
#include "lib/text.h"

#include <stdio.h>
#include <string.h>

static const char hub[] = "docker.io";

/* `first` is the part of it in front of the first '/', which names a registry. */
static bool names_registry(const char *image, const struct reference *r) {
    return !text_equal(r->domain, hub) || text_starts(image, "docker.io/") ||
           text_starts(image, "index.docker.io/");
}

/* Without the `library/` that completing it has put there. */
static const char *own_path(const struct reference *r) {
    return text_equal(r->domain, hub) && text_starts(r->path, "library/")
               ? r->path + strlen("library/")
               : r->path;
}

/* "registry[/namespace]"; `ret_namespace` NULL: none. */
static int split(const struct deployment *d, char **ret_domain, char **ret_namespace,
                 struct error *err) {
    const char *registry = deployment_registry(d), *slash = strchr(registry, '/');
    size_t size = slash ? (size_t)(slash - registry) : strlen(registry);
    if (strstr(registry, "://") || size == 0 || (slash && (!slash[1] || text_ends(slash, "/")))) {
        error_set(err, ERROR_CONFIG, "docker.registry: '%s' is no registry", registry);
        return error_hint(err, "write docker.io, registry.example:5000, or "
                               "registry.example/namespace");
    }
    *ret_domain = text_format("%.*s", (int)size, registry);
    if (slash)
        *ret_namespace = text_dup(slash + 1);
    else if (text_equal(*ret_domain, hub) || text_equal(*ret_domain, "index.docker.io"))
        *ret_namespace = text_dup(d->docker.username);
    if (!*ret_namespace && text_equal(*ret_domain, hub))
        return error_set(err, ERROR_CONFIG,
                         "docker.username: images at docker.io belong to a user, and none is said");
    return 0;
}

static int of_deployment(const struct deployment *d, const struct reference *r, char **ret,
                         struct error *err) {
    cleanup_free char *domain = NULL, *space = NULL;
    if (split(d, &domain, &space, err) < 0)
        return -1;
    const char *path = own_path(r);
    bool owned = strchr(path, '/') != NULL;
    *ret = text_format("%s/%s%s%s:%s", domain, !owned && space ? space : "",
                       !owned && space ? "/" : "", path, r->tag);
    return 0;
}

int plan_remote_name(const struct deployment *deployment, const char *image, char **ret,
                     struct error *err) {
    struct reference r, checked;
    char text[REFERENCE_TEXT_SIZE];
    *ret = NULL;
    if (!deployment_registry(deployment))
        return 0;
    cleanup_free char *name = NULL;
    int result = reference_parse(image, &r, err);
    if (result == 0 && r.digest[0])
        result =
            error_set(err, ERROR_CONFIG, "'%s' has a digest: what is built has none yet", image);
    if (result == 0) {
        reference_default_tag(&r);
        if (names_registry(image, &r))
            name = text_dup(reference_text(&r, text));
        else
            result = of_deployment(deployment, &r, &name, err);
    }
    if (result == 0)
        result = reference_parse(name, &checked, err);
    if (result < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "the name of image '%s' in the registry", image);
    }
    *ret = text_dup(reference_text(&checked, text));
    return 0;
}
