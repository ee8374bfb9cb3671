/* container_credentials: the credentials of a container as the agents of ECS and EKS hand them out,
 * errors included. No I/O.
 *
 * Sources: amazon-ecs-agent (tmds/handlers/v1, v2), eks-pod-identity-agent.
 */
#pragma once

#include "core/container.h"
#include "core/dialect.h"
#include "util/buf.h"
#include "wire/http_request.h"
#include "wire/http_response.h"

/* What a workload is given to find its credentials by, as environment variables. */
#define CONTAINER_CREDENTIALS_ECS_PATH "/v2/credentials/" /* followed by the container's id */
#define CONTAINER_CREDENTIALS_EKS_URI "http://169.254.170.23/v1/credentials"

/* container_credentials_path(path): could this path, normalised, be one of these services'? */
bool container_credentials_path(const char *path);

/* container_credentials_answer(c, dialect, path, request, now_ms, scratch): `path` is the request's
 * path, normalised; NULL if it has no such form. The body is in `scratch`, or a constant. */
struct http_response container_credentials_answer(const struct container *c, enum dialect dialect,
						  const char *path,
						  const struct http_request *request,
						  int64_t now_ms, struct buf *scratch);

/* container_credentials_denial(s, out): append why a workload has no credentials and will have none:
 * STS's words, but for every ARN that is not the role's own. They name the host's role and instance.
 */
void container_credentials_denial(const struct session *s, struct buf *out);

/* container_credentials_error(dialect, status, code, message, scratch): an error of that service.
 */
struct http_response container_credentials_error(enum dialect dialect, int status, const char *code,
						 const char *message, struct buf *scratch);
