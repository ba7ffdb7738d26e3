/* Asks a registry, as who DOCKER_CONFIG says we are: `ask_registry DOMAIN WHAT [PATH [REFERENCE]]`,
 * where WHAT is check, head, get or tags. CERTIFICATES: instead of /etc/docker/certs.d. */

#include "images/registry.h"
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_pause(void *arg, const char *why, uint64_t ns) {
    (void)arg;
    fprintf(stderr, "pause of %llu ms: %s\n", (unsigned long long)(ns / NS_PER_MS), why);
}

static int manifest(struct registry *r, const char *const *words, const struct task *task,
                    struct error *err) {
    struct registry_manifest m;
    int result = text_equal(words[0], "head") ? registry_head(r, words[1], words[2], task, &m, err)
                                              : registry_get(r, words[1], words[2], task, &m, err);
    if (result == 0) {
        printf("%s %s\n", m.digest, m.media);
        registry_manifest_deinit(&m);
    }
    return result;
}

static int tags(struct registry *r, const char *path, const struct task *task, struct error *err) {
    struct registry_tags list;
    int result = registry_list_tags(r, path, task, &list, err);
    for (size_t i = 0; result == 0 && i < list.count; i++)
        puts(list.names[i]);
    if (result == 0)
        registry_tags_deinit(&list);
    return result;
}

static int ask(const char *domain, const char *const *words, struct error *err) {
    cleanup(credentials_deinit) struct credentials credentials = CREDENTIALS_NULL;
    cleanup(registry_closep) struct registry *r = NULL;
    struct task forever = TASK_FOREVER, task = task_within(&forever, 60 * NS_PER_SEC);
    if (credentials_find(NULL, domain, &task, &credentials, err) < 0)
        return -1;
    struct registry_options options = {.domain = domain,
                                       .credentials = &credentials,
                                       .certificates = getenv("CERTIFICATES"),
                                       .pause_ns = NS_PER_MS,
                                       .on_pause = on_pause};
    if (registry_open(&options, &r, err) < 0)
        return -1;
    if (text_equal(words[0], "check"))
        return registry_check(r, &task, err);
    if (text_equal(words[0], "tags"))
        return tags(r, words[1], &task, err);
    return manifest(r, words, &task, err);
}

int main(int argc, char **argv) {
    struct error err = ERROR_NULL;
    if (argc < 3)
        return 2;
    const char *words[] = {argv[2], argc > 3 ? argv[3] : "", argc > 4 ? argv[4] : "latest"};
    int r = ask(argv[1], words, &err);
    if (r < 0)
        fprintf(stderr, "%s: %s\n%s\n", error_kind_name(err.kind), err.text, err.hint);
    return r < 0 ? 1 : r > 0 ? 3 : 0;
}
