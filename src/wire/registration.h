/* registration: what an agent asks for when it registers a container: the JSON body of
 * PUT /v1/containers/{id}, checked, to a struct. Unknown keys are errors; every error names its
 * field. See rolegated(8), REGISTRATION.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/diag.h"
#include "wire/container_id.h"
#include "wire/policy_document.h"
#include "wire/registration_metadata.h"
#include "wire/sts_message.h"

#define REGISTRATION_BODY_MAX (64 * 1024)
#define REGISTRATION_LABELS_MAX 64
#define REGISTRATION_ALLOW_MAX 64
#define REGISTRATION_WAIT_MAX_S 300
#define REGISTRATION_WAIT_DEFAULT_S 10

enum registration_intercept { INTERCEPT_NETNS, INTERCEPT_BRIDGE };

struct registration {
	struct sts_assume_role role; /* session_name is never NULL: made from the id if not given,
				      * its places ({id}, {label.KEY}) filled in */
	char *netns;		     /* absolute path; made from pid if not given */
	pid_t pid;		     /* 0: not given */
	enum registration_intercept intercept;
	bool tokens_required;
	bool imds_disabled; /* "tokens": "disabled": only the container credentials are served */
	int64_t hop_limit;
	char *image_ref, *image_digest; /* NULL: not given */
	struct policy_label *labels;
	size_t n_labels;
	struct registration_metadata *metadata; /* what it is to find under its metadata paths */
	size_t n_metadata;
	char **allow; /* the host's metadata paths opened for this container */
	size_t n_allow;
	int64_t wait_s;
	char *policy_rule; /* the rule that allowed it and shaped `role`; NULL until one has */
	char *canonical;   /* the body with every default filled in and without wait_s, keys sorted:
			    * equal registrations have equal canonicals. It is also what the state
			    * file keeps and what GET shows. */
};

/* What a body may leave out. */
struct registration_defaults {
	bool tokens_required;
	int64_t hop_limit;
	int64_t duration_s;
};

/* registration_parse(id, body, len, defaults, ret, diag): 0, -EINVAL with `diag` naming the field,
 * or -ENOMEM. */
int registration_parse(const char *id, const char *body, size_t len,
		       const struct registration_defaults *defaults, struct registration **ret,
		       struct diag *diag);
struct registration *registration_free(struct registration *r);

/* registration_role_name(r): the role's name: what follows the last slash of its ARN. */
const char *registration_role_name(const struct registration *r);

/* registration_difference(a, b): the first field in which two registrations differ (wait_s aside);
 * NULL if they are the same. */
const char *registration_difference(const struct registration *a, const struct registration *b);
