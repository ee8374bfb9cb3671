/* What a new policy changes, for the log. */
#include <stdio.h>
#include <string.h>

#include "wire/policy_document.h"

static const struct policy_rule *find_rule(const struct policy *policy, const char *name)
{
	for (size_t i = 0; policy && i < policy->n_rules; i++)
		if (strcmp(policy->rules[i].name, name) == 0)
			return &policy->rules[i];
	return NULL;
}

void policy_diff(const struct policy *old, const struct policy *new, policy_diff_cb *cb, void *data)
{
	char change[256]; /* a name has 128 bytes at most */
	size_t n = 0;
	bool same_order = true;

	for (size_t i = 0; new &&i < new->n_rules; i++) {
		const struct policy_rule *rule = &new->rules[i];
		const struct policy_rule *before = find_rule(old, rule->name);
		if (before && strcmp(before->text, rule->text) == 0)
			continue;
		snprintf(change, sizeof(change), "rule \"%s\" %s", rule->name,
			 before ? "changed" : "added");
		cb(change, data);
		n++;
	}
	for (size_t i = 0; old && i < old->n_rules; i++) {
		if (find_rule(new, old->rules[i].name))
			continue;
		snprintf(change, sizeof(change), "rule \"%s\" removed", old->rules[i].name);
		cb(change, data);
		n++;
	}
	/* The first rule that allows decides what is added. */
	for (size_t i = 0; n == 0 && old && new &&i < new->n_rules; i++)
		same_order = same_order && strcmp(old->rules[i].name, new->rules[i].name) == 0;
	if (!same_order)
		cb("the order of its rules changed", data);
}
