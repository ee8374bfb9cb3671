/* policy_document: the policy file, JSON text to struct. See rolegate-policy(5).
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

	/* What the registration must bring. */
	struct policy_label *require_tags; /* session tags, each with a glob for its value */
	size_t n_require_tags;
	char *require_source_identity; /* glob; NULL: none needed */
	bool require_session_policy;   /* inline or managed */
	/* What it gets. NULL or 0: what it asked for. Values and names may be templates. */
	struct policy_label *add_tags;
	size_t n_add_tags;
	char *session_name;
	char *source_identity;
	char *session_policy; /* JSON text */
	char **policy_arns;
	size_t n_policy_arns;

	char *text; /* the rule as canonical JSON: equal rules have equal texts */
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

/* policy_diff(old, new, cb, data): call cb for each rule that was added, removed or changed ("rule
 * \"web\" changed"). Either may be NULL: no rules. */
typedef void policy_diff_cb(const char *change, void *data);
void policy_diff(const struct policy *old, const struct policy *new, policy_diff_cb *cb,
		 void *data);
