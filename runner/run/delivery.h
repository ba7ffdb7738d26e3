#pragma once

/*
 * Images without a registry: what the builder's engine saves is kept by layer
 * (images/distribution_store.h) and served on a private socket (images/distribution.h), to which a
 * port on each host's loopback leads through its SSH connection. So the host's engine pulls by
 * digest, from 127.0.0.1, what it lacks, and a layer is saved once, whatever the number of hosts
 * and images.
 *
 * Nothing of this has to work: an sshd may forbid forwards, an engine may live in a network of its
 * own. Then an image is loaded (act_transfer.c), and why is said.
 *
 * Threads: all from any; saving waits for its turn, since engines write what they save to their
 * disk first.
 */

#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "runner/engine/image.h"
#include "runner/remote/host.h"

struct delivery;

struct delivery *delivery_new(size_t host_count, size_t image_count);
/* What was served last is kept for next time, within limits. */
void delivery_free(struct delivery *d);
DEFINE_CLEANUP_FREE(delivery);

/* Is told while an image is saved; bytes so far. */
struct delivery_watch {
    void (*on_bytes)(void *arg, uint64_t came, uint64_t expected);
    void *arg;
};

/*
 * The image is served: its manifest's digest. Saves what is not kept yet. 1: it cannot be (`err`
 * says why, and is no fault). Otherwise only ERROR_CANCELLED and ERROR_TIMEOUT.
 */
int delivery_serve(struct delivery *d, size_t image, struct engine *from,
                   const struct engine_image *wanted, const struct delivery_watch *watch,
                   const struct task *task, char ret_digest[DIGEST_TEXT_SIZE], struct error *err);

/*
 * By which name the host's engine pulls it: "127.0.0.1:PORT/seatrial/image@sha256:...", malloc()ed.
 * The port is open until as many delivery_leave. 1: it cannot be (as above); ERROR_UNREACHABLE:
 * the host is lost.
 */
int delivery_reach(struct delivery *d, size_t index, struct host *host, const char *digest,
                   const struct task *task, char **ret_name, struct error *err);
void delivery_leave(struct delivery *d, size_t index);
/* What is kept of it may be damaged: it is saved anew the next time. */
void delivery_forget(struct delivery *d, const struct engine_image *image);
/* It did not work there, and is not tried again. */
void delivery_give_up(struct delivery *d, size_t index);
