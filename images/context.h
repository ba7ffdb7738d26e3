#pragma once

/*
 * A build context: a folder as the deterministic tar stream that goes into the body of a build
 * request. The stream is made while it is read; memory does not depend on the size of the files
 * (it grows with the number of names in one folder, and of those only).
 *
 * What is sent is what Docker sends: everything below the root that `.dockerignore` does not
 * exclude (ignore.h), each folder's names in bytewise order, a folder before its content. The
 * Dockerfile and `.dockerignore` are always sent. Symbolic links stay links, each hard link is a
 * file of its own, sockets are left out. A Dockerfile outside of the root is sent under the name
 * CONTEXT_DOCKERFILE_INJECTED, and that name is appended to the `.dockerignore` that is sent, as
 * the docker command does.
 *
 * Unlike Docker, the bytes depend on names and contents alone, so that two checkouts of one commit
 * have one digest: owner 0, one fixed time (lib/archive.h), and of the modes only what git keeps:
 * 0755 for folders and for files that their owner may execute, else 0644. (Docker's classic builder
 * sends the modes as they are, so that a umask of 077 makes an image whose user cannot read its own
 * files.) Extended attributes are not sent. Devices and fifos are refused by name.
 *
 * Of that, a context can be narrowed to what its Dockerfile reaches (context_narrow). Files that
 * look like private keys by their names, and are not known to be none by what is in them, are
 * refused where they would be sent, unless they are allowed (images/secrets.h).
 *
 * A file or folder that cannot be read, vanishes, or changes while it is sent is an error.
 *
 * Threads: one context belongs to one thread at a time.
 */

#include "images/ignore.h"
#include "images/reach.h"
#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/error.h"
#include "lib/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTEXT_DOCKERFILE_INJECTED ".dockerfile.seatrial"

/* Names longer or deeper than these are errors: descriptors and stack are ours. */
enum {
    CONTEXT_PATH_MAX = 4096,
    CONTEXT_DEPTH_MAX = 128,
    CONTEXT_DOCKERFILE_BYTES_MAX = 4 << 20, /* it is held in memory */
};

struct context_options {
    const char *root;
    /* Relative to the root, or absolute; NULL: "Dockerfile", else "dockerfile". Its own
     * `<dockerfile>.dockerignore` has precedence over the root's `.dockerignore`. */
    const char *dockerfile;
    const char *dockerfile_text;  /* instead of a file; NULL: there is one */
    const char *const *left_out;  /* paths that are never sent: what we write ourselves; or NULL */
    const struct ignore *allowed; /* files that may be sent whatever they look like; or NULL */
};

struct context_result {
    uint64_t files;
    uint64_t directories;
    uint64_t symlinks;
    uint64_t sockets;       /* left out */
    uint64_t ignored;       /* excluded files and folders; a folder not entered counts once */
    uint64_t unreached;     /* the same of what the Dockerfile cannot reach */
    uint64_t content_bytes; /* of the files */
    uint64_t bytes;         /* of the tar stream */
    char digest[DIGEST_TEXT_SIZE]; /* of the tar stream */
    /* Of names, times, sizes and inodes: who finds it again need not read the files. Not settled:
     * something is so young that it could change once more within the same tick of the clock. */
    char fingerprint[DIGEST_TEXT_SIZE];
    bool settled;
};

struct context;

/* Errors: ERROR_CONFIG for what the user has to mend: no folder, no Dockerfile, a bad pattern. */
int context_open(const struct context_options *options, struct context **ret, struct error *err);
void context_free(struct context *c);
DEFINE_CLEANUP_FREE(context);

/* The name that the Dockerfile has in the stream: the build request's `dockerfile` parameter. */
const char *context_dockerfile(const struct context *c);
/* What is in it. Borrowed. */
const struct buffer *context_dockerfile_text(const struct context *c);

/* Before the first look or pull: sends only that part of it. Takes `reach`; NULL: all. */
void context_narrow(struct context *c, struct reach *reach);

/* The fingerprint, and what would be sent, without reading the files: digest and bytes are not
 * known. Before the first pull. */
int context_look(struct context *c, struct context_result *ret, struct error *err);

/* To the start, to be read again. */
int context_rewind(struct context *c, struct error *err);

/*
 * The stream as a request body (lib/stream.h), and its pull function: up to `size` (> 0) next
 * bytes, 0 at the end. A context is read once; open another one to send it again.
 */
struct source context_source(struct context *c);
ssize_t context_pull(void *context, void *data, size_t size, struct error *err);

/*
 * What was sent, once all of it was. ERROR_INVALID before: a server that is satisfied with half a
 * context has not built this one.
 */
int context_result(const struct context *c, struct context_result *ret, struct error *err);

/* The same, without sending: reads it to its end. */
int context_read(struct context *c, struct context_result *ret, struct error *err);
/* ... of all that there is. */
int context_digest(const struct context_options *options, struct context_result *ret,
                   struct error *err);
