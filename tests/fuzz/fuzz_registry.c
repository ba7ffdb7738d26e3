/* What registries, helpers and config.json say. The first byte chooses who speaks. */

#include "images/registry.h"
#include "images/registry_challenge.h"
#include "images/registry_url.h"
#include "lib/cleanup.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void challenge(const char *text) {
    struct error err = ERROR_NULL;
    struct registry_challenge c;
    if (registry_challenge_parse(text, &c, &err) == 0)
        assert(c.scheme == REGISTRY_BASIC || c.realm[0]);
    else
        assert(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
}

static void manifest(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    struct registry_document d;
    if (registry_document_parse(text, size, "", &d, &err) < 0)
        return;
    for (size_t i = 0; i < d.count; i++)
        assert(digest_text_valid(d.parts[i].digest));
    assert(d.index || digest_text_valid(d.config.digest));
    registry_index_find(&d, "linux", "amd64", "");
    registry_document_deinit(&d);
}

/* It goes into a header. */
static void token(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    uint64_t seconds;
    cleanup_free char *found = NULL;
    if (registry_token_parse(text, size, &found, &seconds, &err) < 0)
        return;
    assert(found[0] && !strpbrk(found, "\r\n ") && seconds >= 60);
}

static void config(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(json_freep) struct json *v = NULL;
    struct credentials_config c;
    if (json_parse(text, size, CREDENTIALS_FILE_MAX, &v, &err) < 0 ||
        credentials_config_read(v, "docker.io", &c, &err) < 0)
        return;
    assert(!c.helper || !strpbrk(c.helper, "/ \n"));
    assert(!c.plain.username == !c.plain.password);
    credentials_config_deinit(&c);
}

static void answer(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    struct credentials c;
    if (credentials_answer_read(text, size, &c, &err) < 0)
        return;
    assert(credentials_known(&c));
    credentials_deinit(&c);
}

static void address(const char *text,
                    int parse(const char *text, struct registry_url *ret, struct error *err)) {
    struct error err = ERROR_NULL;
    struct registry_url url;
    char name[REGISTRY_HOST_MAX + 1];
    registry_server_name(text, name);
    if (parse(text, &url, &err) < 0)
        return;
    assert(url.host[0] && url.port && url.path[0] == '/' && !strpbrk(url.path, " \r\n#"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    cleanup_free char *text = mem_zero(1, size);
    size--;
    memcpy(text, data + 1, size);
    switch (data[0]) {
    case 'C': challenge(text); break;
    case 'M': manifest(text, size); break;
    case 'T': token(text, size); break;
    case 'A': config(text, size); break;
    case 'H': answer(text, size); break;
    case 'U': address(text, registry_url_parse); break;
    case 'D': address(text, registry_url_of_domain); break;
    case 'P': {
        struct wall_time now = {0};
        uint64_t ns = registry_pause_ns(429, text, now, 1, NS_PER_MS, 0);
        assert(ns <= REGISTRY_WAIT_NS_MAX);
        break;
    }
    default: break;
    }
    return 0;
}
