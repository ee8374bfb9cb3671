#include "core/policy.h"

#include <string.h>

#include "core/policy_scope.h"

/* Only the last '*' is ever taken back: whatever an earlier one would match instead, the later one
 * could reach as well. So the worst case is pattern times text, never exponential. */
static bool glob_slices(const char *pattern, size_t pattern_len, const char *text, size_t text_len)
{
	size_t p = 0, t = 0, star = SIZE_MAX, star_text = 0;

	while (t < text_len) {
		if (p < pattern_len && pattern[p] == '*') {
			star = p++;
			star_text = t;
		} else if (p < pattern_len && (pattern[p] == '?' || pattern[p] == text[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++star_text;
		} else {
			return false;
		}
	}
	while (p < pattern_len && pattern[p] == '*')
		p++;
	return p == pattern_len;
}

bool policy_glob(const char *pattern, const char *text)
{
	return glob_slices(pattern, strlen(pattern), text, strlen(text));
}

/* An ARN's fields: arn, partition, service, region, account, and the rest, colons and all. */
enum { ARN_ACCOUNT = 4, ARN_FIELDS = 6 };

struct arn {
	const char *at[ARN_FIELDS];
	size_t len[ARN_FIELDS];
};

static bool arn_split(const char *text, struct arn *ret)
{
	for (size_t i = 0; i < ARN_FIELDS; i++) {
		const char *colon = i < ARN_FIELDS - 1 ? strchr(text, ':') : text + strlen(text);
		if (!colon)
			return false;
		ret->at[i] = text;
		ret->len[i] = (size_t)(colon - text);
		text = colon + 1;
	}
	return true;
}

static bool arn_same_account(const struct arn *a, const struct arn *b)
{
	return a->len[ARN_ACCOUNT] == b->len[ARN_ACCOUNT] &&
	       memcmp(a->at[ARN_ACCOUNT], b->at[ARN_ACCOUNT], a->len[ARN_ACCOUNT]) == 0;
}

static bool arn_glob_but_account(const struct arn *pattern, const struct arn *arn)
{
	for (size_t i = 0; i < ARN_FIELDS; i++)
		if (i != ARN_ACCOUNT &&
		    !glob_slices(pattern->at[i], pattern->len[i], arn->at[i], arn->len[i]))
			return false;
	return true;
}

bool policy_glob_arn(const char *pattern, const char *arn)
{
	struct arn p, a;

	return arn_split(pattern, &p) && arn_split(arn, &a) && arn_same_account(&p, &a) &&
	       arn_glob_but_account(&p, &a);
}

/* sha256 or sha512 in the form that OCI registries accept: a tag given for a digest pins nothing.
 */
static bool is_digest(const char *text)
{
	size_t len;

	if (!text)
		return false;
	if (strncmp(text, "sha256:", 7) == 0)
		len = 64;
	else if (strncmp(text, "sha512:", 7) == 0)
		len = 128;
	else
		return false;
	return strlen(text + 7) == len && strspn(text + 7, "0123456789abcdef") == len;
}

/* How far a rule got with a question: the further, the nearer it came to allowing it. */
enum stage { AT_ROLE, AT_IMAGE, AT_DIGEST, AT_LABELS, AT_DURATION, AT_SCOPE, ALLOWED };

static bool role_matches(const struct policy_rule *rule, const char *role_arn)
{
	for (size_t i = 0; i < rule->n_roles; i++)
		if (policy_glob_arn(rule->roles[i], role_arn))
			return true;
	return false;
}

static bool image_matches(const struct policy_rule *rule, const char *ref)
{
	if (rule->n_images == 0)
		return true;
	if (!ref || !ref[0])
		return false;
	for (size_t i = 0; i < rule->n_images; i++)
		if (policy_glob(rule->images[i], ref))
			return true;
	return false;
}

static const char *label_value(const struct policy_question *question, const char *key)
{
	for (size_t i = 0; i < question->n_labels; i++)
		if (strcmp(question->labels[i].key, key) == 0)
			return question->labels[i].value;
	return NULL;
}

/* The first label of the rule that the container lacks or has with another value; NULL: none. */
static const struct policy_label *missing_label(const struct policy_rule *rule,
						const struct policy_question *question)
{
	for (size_t i = 0; i < rule->n_labels; i++) {
		const char *value = label_value(question, rule->labels[i].key);
		if (!value || !policy_glob(rule->labels[i].value, value))
			return &rule->labels[i];
	}
	return NULL;
}

static enum stage try_rule(const struct policy_rule *rule, const struct policy_question *question)
{
	if (!role_matches(rule, question->role_arn))
		return AT_ROLE;
	if (!image_matches(rule, question->image_ref))
		return AT_IMAGE;
	if (rule->require_digest && !is_digest(question->image_digest))
		return AT_DIGEST;
	if (missing_label(rule, question))
		return AT_LABELS;
	if (rule->max_duration_s > 0 && question->duration_s > rule->max_duration_s)
		return AT_DURATION;
	if (policy_scope_check(rule, question, NULL) < 0)
		return AT_SCOPE;
	return ALLOWED;
}

/* An account's length for "%.*s", bounded so that the message keeps its end. */
static int account_len(const struct arn *arn)
{
	return arn->len[ARN_ACCOUNT] > 32 ? 32 : (int)arn->len[ARN_ACCOUNT];
}

/* The right role in another account is the likeliest slip: say so when it is that. */
static void explain_role(const struct policy *policy, const char *role_arn, struct diag *diag)
{
	struct arn p, a;

	for (size_t i = 0; i < policy->n_rules && arn_split(role_arn, &a); i++) {
		const struct policy_rule *rule = &policy->rules[i];
		for (size_t k = 0; k < rule->n_roles; k++) {
			if (!arn_split(rule->roles[k], &p) || !arn_glob_but_account(&p, &a))
				continue;
			diag_set(diag, "role_arn",
				 "no rule allows %.200s: rule \"%s\" has such a role in account "
				 "\"%.*s\", not \"%.*s\"",
				 role_arn, rule->name, account_len(&p), p.at[ARN_ACCOUNT],
				 account_len(&a), a.at[ARN_ACCOUNT]);
			return;
		}
	}
	diag_set(diag, "role_arn", "no rule allows %.200s: no rule's roles match it", role_arn);
}

static void explain(const struct policy_rule *rule, enum stage stage,
		    const struct policy_question *question, struct diag *diag)
{
	const struct policy_label *label;
	const char *role = question->role_arn, *value;
	struct diag scope = {0};

	switch (stage) {
	case AT_IMAGE:
		if (!question->image_ref || !question->image_ref[0])
			diag_set(diag, "image.ref",
				 "no rule allows %.200s: rule \"%s\" matches the role but names "
				 "images, and the container's image is not known",
				 role, rule->name);
		else
			diag_set(diag, "image.ref",
				 "no rule allows %.200s: rule \"%s\" matches the role but its "
				 "images do not match \"%.128s\"",
				 role, rule->name, question->image_ref);
		return;
	case AT_DIGEST:
		diag_set(diag, "image.digest",
			 "no rule allows %.200s: rule \"%s\" matches the role and the image but "
			 "requires the image's digest (sha256:HEX), and %s%.80s",
			 role, rule->name,
			 question->image_digest && question->image_digest[0] ? "this is none: "
									     : "none is known",
			 question->image_digest ? question->image_digest : "");
		return;
	case AT_LABELS:
		label = missing_label(rule, question);
		value = label_value(question, label->key);
		diag_set(diag, "labels",
			 "no rule allows %.200s: rule \"%s\" matches the role%s but wants label "
			 "%.64s to match \"%.64s\", and it is %s%.64s%s",
			 role, rule->name, rule->n_images > 0 ? " and the image" : "", label->key,
			 label->value, value ? "\"" : "not there", value ? value : "",
			 value ? "\"" : "");
		return;
	case AT_DURATION:
		diag_set(diag, "duration_s",
			 "no rule allows %.200s: rule \"%s\" matches but allows at most %lld "
			 "seconds, not %lld",
			 role, rule->name, (long long)rule->max_duration_s,
			 (long long)question->duration_s);
		return;
	case AT_SCOPE:
		(void)policy_scope_check(rule, question, &scope);
		diag_set(diag, scope.field, "no rule allows %.200s: rule \"%s\" matches but %s",
			 role, rule->name, scope.text);
		return;
	case AT_ROLE:
	case ALLOWED:
		return;
	}
}

struct policy_question policy_question_of(const char *id, const struct registration *registration)
{
	return (struct policy_question){
		.role_arn = registration->role.role_arn,
		.image_ref = registration->image_ref,
		.image_digest = registration->image_digest,
		.duration_s = registration->role.duration_s,
		.labels = registration->labels,
		.n_labels = registration->n_labels,
		.id = id,
		.role = &registration->role,
	};
}

int policy_decide(const struct policy *policy, const struct policy_question *question,
		  const struct policy_rule **ret_rule, struct diag *diag)
{
	const struct policy_rule *nearest = NULL;
	enum stage furthest = AT_ROLE;

	if (!policy || policy->n_rules == 0)
		return diag_fail(EACCES, diag, "role_arn", "no rule allows %.200s: %s",
				 question->role_arn,
				 policy ? "the policy has no rules" : "no policy is loaded");
	for (size_t i = 0; i < policy->n_rules; i++) {
		enum stage stage = try_rule(&policy->rules[i], question);
		if (stage == ALLOWED) {
			*ret_rule = &policy->rules[i];
			return 0;
		}
		if (stage > furthest) {
			furthest = stage;
			nearest = &policy->rules[i];
		}
	}
	if (nearest)
		explain(nearest, furthest, question, diag);
	else
		explain_role(policy, question->role_arn, diag);
	return -EACCES;
}
