/* container_metadata: what a container's metadata paths answer by its registration: its "metadata"
 * and "allow", checked against the table, and what follows from them.
 *
 * A key is a path without "meta-data/" ("local-ipv4", "network/interfaces/macs/MAC/subnet-id",
 * "tags/instance/NAME"), or one of the short names region, availability-zone and
 * availability-zone-id. From "mac" follow the paths of that interface; hostname and local-hostname
 * stand for each other; availability-zone tells the region.
 */
#pragma once

#include "core/metadata_tree.h"
#include "wire/registration.h"

struct metadata_value {
	char *path; /* "meta-data/local-ipv4" */
	char *text;
	size_t len;
};

struct container_metadata {
	struct metadata_value *values; /* sorted by path */
	size_t n_values;
	struct metadata_allow allow;
	char account_id[13]; /* of the role; "": its ARN has none (an STS on premises) */
};

/* container_metadata_new(registration, ret, diag): 0, -EINVAL with `diag` naming "metadata.KEY" or
 * "allow", or -ENOMEM. Keeps no pointer into the registration. */
int container_metadata_new(const struct registration *registration, struct container_metadata **ret,
			   struct diag *diag);
struct container_metadata *container_metadata_free(struct container_metadata *m);

/* container_metadata_get(m, path): its own value, or NULL. */
const struct metadata_value *container_metadata_get(const struct container_metadata *m,
						    const char *path);

/* container_metadata_has_below(m, path, len): is there a value below that directory? */
bool container_metadata_has_below(const struct container_metadata *m, const char *path, size_t len);
