#pragma once

/*
 * From a planned container to what the engine is asked to create: the service's keys one by one,
 * the environment that tells a container who it is, and the labels by which we and `docker compose`
 * find it again. Nothing is asked or changed; relative paths in labels become absolute.
 */

#include "runner/engine/container.h"
#include "runner/plan/plan.h"

#define LABEL_RUN "io.seatrial.run"
#define LABEL_OWNER "io.seatrial.owner"
/* Of an image: containers inherit its labels, and those that others make of it are not ours. */
#define LABEL_IMAGE_OWNER "io.seatrial.image.owner"
#define LABEL_ROLE "io.seatrial.role"
#define LABEL_INDEX "io.seatrial.index"
#define LABEL_PROJECT "com.docker.compose.project"
#define LABEL_SERVICE "com.docker.compose.service"
#define LABEL_NUMBER "com.docker.compose.container-number"
#define LABEL_FILES "io.seatrial.files"   /* the volume of PUT_FILES, and the container it takes */
#define LABEL_LOCK "io.seatrial.lock"     /* the volume that is a project's lock; its project */
#define LABEL_HOLDER "io.seatrial.holder" /* of the lock: as lock.h has it */
#define LABEL_SINCE "io.seatrial.since"
#define LABEL_ONEOFF "com.docker.compose.oneoff"

/* Where every container that is asked for core dumps has a folder for them. */
#define DESCRIBE_CORES "/seatrial/cores"

struct description {
    struct engine_container_spec spec;
    void **owned; /* what the lists of `spec` point to, besides the plan */
    size_t owned_count, owned_capacity;
};

/* `files`: on the container's host, the folder with a folder for each container. Borrows all but
 * `ret` until description_deinit. */
void describe_container(const struct plan *plan, const struct plan_container *container,
                        const char *owner, const char *files, struct description *ret);
/* A container with the rights and limits of the service's, its user and its working directory, and
 * nothing else of it; for a test of them. Borrows `service` until description_deinit. */
void describe_like(const struct project_service *service, struct description *ret);
void description_deinit(struct description *d);

/* The folder in which a service's core dumps are to appear: what it says, else /seatrial/cores for
 * replicas; NULL for others, of which nobody asked for any. */
const char *describe_cores(const struct project_service *service);
/* Is that folder one of the trial's own (files/CONTAINER/cores, writable by every user)? Not if the
 * service mounts something there itself. */
bool describe_cores_are_ours(const struct project_service *service);

/* How long a container has between its stop signal and SIGKILL: Compose's 10 s where nothing is
 * said. */
int64_t describe_stop_grace_s(const struct project_service *service);

/* Labels and options of a volume of ours go into `spec`; `ret` owns what they need. */
struct engine_volume_spec;
void describe_volume(const struct plan *plan, const struct project_volume *volume,
                     const char *owner, struct description *ret, struct engine_volume_spec *spec);

/* Labels of a network of ours; `pairs` has room for LABELS_NETWORK_MAX. */
enum { LABELS_NETWORK_MAX = 6 };
void describe_network_labels(const struct plan *plan, const struct project_network *network,
                             const char *owner, struct engine_pair pairs[LABELS_NETWORK_MAX]);

/* Labels of the volume of PUT_FILES, and of the container through which it is filled. */
enum { LABELS_FILES_MAX = 6 };
void describe_files_labels(const struct plan *plan, const char *owner,
                           struct engine_pair pairs[LABELS_FILES_MAX]);
