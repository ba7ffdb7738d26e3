#pragma once

/*
 * By which name an image goes to the registry. Pure.
 *
 * An image that names a registry itself (`registry.example/team/app:1`) goes there, under that
 * name. Every other goes to the deployment's, `docker.registry`, which may hold a namespace behind
 * a '/'
 * (`ghcr.io/team`): into that namespace; at Docker Hub, where each image has an owner, without one
 * to the user's. `team/app` keeps its own. The tag stays, or is `latest`.
 */

#include "lib/error.h"
#include "runner/deployment/deployment.h"

/*
 * `docker.io/someone/app:latest`, malloc()ed; NULL when the deployment names no registry.
 * ERROR_CONFIG: a registry or image that is none, or Docker Hub without docker.username.
 */
int plan_remote_name(const struct deployment *deployment, const char *image, char **ret,
                     struct error *err);
