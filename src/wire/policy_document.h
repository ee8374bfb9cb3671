/* policy_document: the policy file, JSON text to struct. DESIGN section 7; man rolegate-policy(5).
 * Unknown keys are errors that name rule and key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/diag.h"

struct policy_label {
	char *key;
	char *value; /* glob */
};

struct policy_rule {
	char *name;
	char **roles; /* globs over role ARNs; the account field is literal. At least one */
	size_t n_roles;
	char **images; /* globs over image references; none: any image, or none at all */
	size_t n_images;
	struct policy_label *labels; /* each must be there and match */
	size_t n_labels;
	bool require_digest;
	int64_t max_duration_s; /* 0: no bound */
};

struct policy {
	struct policy_rule *rules;
	size_t n_rules;
};

#define POLICY_SIZE_MAX (1024 * 1024)

/* policy_parse(text, name, ret, diag): 0, -EINVAL or -ENOMEM. policy_load() reads a file first. */
int policy_parse(const char *text, const char *name, struct policy **ret, struct diag *diag);
int policy_load(const char *path, struct policy **ret, struct diag *diag);
struct policy *policy_free(struct policy *policy);
