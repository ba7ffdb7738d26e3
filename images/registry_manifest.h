#pragma once

/*
 * Manifests as registries keep them: of one image, or an index of one for each platform. Both of
 * Docker (schema 2) and of OCI. What cannot be of use is refused by name: schema 1, digests other
 * than SHA-256.
 *
 * Pure. Owns: a document owns its lists.
 * Source: OCI image specification 1.0, manifest.md and image-index.md;
 * distribution/spec/manifest-v2-2.md.
 */

#include "lib/crypto.h"
#include "lib/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEDIA_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define MEDIA_CONFIG "application/vnd.docker.container.image.v1+json"
/* A tar as it is, by Docker's name: engines look at the bytes to see whether they are compressed.
 */
#define MEDIA_LAYER_TAR "application/vnd.docker.image.rootfs.diff.tar"

enum {
    REGISTRY_MANIFEST_MAX = 4 * 1024 * 1024, /* what registries accept */
    REGISTRY_LAYERS_MAX = 1024,              /* engines stop at 127 */
    REGISTRY_PLATFORMS_MAX = 1024,
    REGISTRY_MEDIA_MAX = 127,
};

struct registry_descriptor {
    char media[REGISTRY_MEDIA_MAX + 1];
    char digest[DIGEST_TEXT_SIZE];
    uint64_t size_bytes;
    char os[32], architecture[32], variant[32]; /* in an index; "" */
};

struct registry_document {
    bool index;
    char media[REGISTRY_MEDIA_MAX + 1];
    struct registry_descriptor config; /* of a manifest */
    struct registry_descriptor *parts; /* layers from the base up, or an index's manifests */
    size_t count;
};
#define REGISTRY_DOCUMENT_NULL ((struct registry_document){.parts = NULL})

/* `media`: what the registry calls it; "": what it calls itself. ERROR_INVALID, ERROR_LIMIT. */
int registry_document_parse(const char *text, size_t size, const char *media,
                            struct registry_document *ret, struct error *err);
void registry_document_deinit(struct registry_document *document);

/* Of an index; `variant` "" is any. NULL: none for that platform. */
const struct registry_descriptor *registry_index_find(const struct registry_document *index,
                                                      const char *os, const char *architecture,
                                                      const char *variant);
