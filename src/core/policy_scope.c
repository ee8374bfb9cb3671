#include "core/policy_scope.h"

#include <string.h>
#include <strings.h>

#include "wire/template.h"

/* Tag keys are the same whatever their case. */
static const char *find_tag(const struct sts_assume_role *role, const char *key)
{
	for (size_t i = 0; i < role->n_tags; i++)
		if (strcasecmp(role->tags[i].key, key) == 0)
			return role->tags[i].value;
	return NULL;
}

static bool in_list(char *const *list, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

/* Is `asked`, if it was asked for at all, what the template will give? */
static bool agrees(const char *template, const struct policy_question *question, const char *asked)
{
	const struct template_values values = {
		.id = question->id ? question->id : "",
		.labels = question->labels,
		.n_labels = question->n_labels,
	};
	_cleanup_buf_ struct buf wanted = {0};

	if (!asked)
		return true;
	/* A label that is missing is policy_scope_apply()'s to complain about. */
	return template_expand(template, &values, &wanted, NULL) == 0 && buf_ok(&wanted) &&
	       wanted.data && strcmp(wanted.data, asked) == 0;
}

static int check_tags(const struct policy_rule *rule, const struct policy_question *question,
		      struct diag *diag)
{
	for (size_t i = 0; i < rule->n_require_tags; i++) {
		const struct policy_label *tag = &rule->require_tags[i];
		const char *value = find_tag(question->role, tag->key);
		if (!value || !policy_glob(tag->value, value))
			return diag_fail(EACCES, diag, "session_tags",
					 "wants session tag %.64s to match \"%.64s\", and it is "
					 "%s%.64s%s",
					 tag->key, tag->value, value ? "\"" : "not there",
					 value ? value : "", value ? "\"" : "");
	}
	for (size_t i = 0; i < rule->n_add_tags; i++) {
		const struct policy_label *tag = &rule->add_tags[i];
		if (!agrees(tag->value, question, find_tag(question->role, tag->key)))
			return diag_fail(EACCES, diag, "session_tags",
					 "sets session tag %.64s itself, to \"%.64s\"", tag->key,
					 tag->value);
	}
	return 0;
}

static int check_source_identity(const struct policy_rule *rule,
				 const struct policy_question *question, struct diag *diag)
{
	const char *asked = question->role->source_identity;

	if (rule->require_source_identity &&
	    (!asked || !policy_glob(rule->require_source_identity, asked)))
		return diag_fail(
			EACCES, diag, "source_identity",
			"wants the source identity to match \"%.64s\", and it is %s%.64s%s",
			rule->require_source_identity, asked ? "\"" : "not there",
			asked ? asked : "", asked ? "\"" : "");
	if (rule->source_identity && !agrees(rule->source_identity, question, asked))
		return diag_fail(EACCES, diag, "source_identity",
				 "sets the source identity itself, to \"%.64s\"",
				 rule->source_identity);
	return 0;
}

static int check_policies(const struct policy_rule *rule, const struct policy_question *question,
			  struct diag *diag)
{
	const struct sts_assume_role *role = question->role;

	if (rule->require_session_policy && !role->session_policy && role->n_policy_arns == 0)
		return diag_fail(EACCES, diag, "session_policy",
				 "wants the registration to bring a session policy");
	if (!rule->session_policy && rule->n_policy_arns == 0)
		return 0;
	if (role->session_policy &&
	    (!rule->session_policy || strcmp(role->session_policy, rule->session_policy) != 0))
		return diag_fail(EACCES, diag, "session_policy",
				 "sets the session policies itself; another would widen them");
	for (size_t i = 0; i < role->n_policy_arns; i++)
		if (!in_list(rule->policy_arns, rule->n_policy_arns, role->policy_arns[i]))
			return diag_fail(EACCES, diag, "policy_arns",
					 "sets the session policies itself; another would widen "
					 "them");
	return 0;
}

int policy_scope_check(const struct policy_rule *rule, const struct policy_question *question,
		       struct diag *diag)
{
	if (!question->role)
		return 0;
	int r = check_tags(rule, question, diag);
	if (r == 0)
		r = check_source_identity(rule, question, diag);
	if (r == 0)
		r = check_policies(rule, question, diag);
	return r;
}

/* Replace a string by what the template gives. */
static int set_expanded(char **to, const char *template, const struct template_values *values,
			const char *field, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {0};
	struct diag why = {0};

	int r = template_expand(template, values, &text, &why);
	if (r < 0)
		return diag_fail(EINVAL, diag, field,
				 "the policy's \"%.64s\" cannot be filled in: %s", template,
				 why.text);
	char *copy = buf_steal(&text);
	if (!copy)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	free(*to);
	*to = copy;
	return 0;
}

static int set_copy(char **to, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*to);
	*to = copy;
	return 0;
}

static int add_tags(const struct policy_rule *rule, const struct template_values *values,
		    struct sts_assume_role *role, struct diag *diag)
{
	struct sts_tag *grown =
		realloc(role->tags, (role->n_tags + rule->n_add_tags + 1) * sizeof(*grown));
	if (!grown)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	role->tags = grown;
	for (size_t i = 0; i < rule->n_add_tags; i++) {
		if (find_tag(role, rule->add_tags[i].key))
			continue; /* with the same value: checked */
		struct sts_tag *tag = &role->tags[role->n_tags];
		*tag = (struct sts_tag){.key = strdup(rule->add_tags[i].key)};
		if (!tag->key)
			return diag_fail(ENOMEM, diag, NULL, "out of memory");
		role->n_tags++;
		int r = set_expanded(&tag->value, rule->add_tags[i].value, values, "session_tags",
				     diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_policies(const struct policy_rule *rule, struct sts_assume_role *role)
{
	if (rule->session_policy && set_copy(&role->session_policy, rule->session_policy) < 0)
		return -ENOMEM;
	if (rule->n_policy_arns == 0)
		return 0;
	char **arns = calloc(rule->n_policy_arns, sizeof(*arns));
	if (!arns)
		return -ENOMEM;
	/* What the registration asked for is among them: checked. */
	for (size_t i = 0; i < role->n_policy_arns; i++)
		free(role->policy_arns[i]);
	free(role->policy_arns);
	role->policy_arns = arns;
	role->n_policy_arns = 0;
	for (size_t i = 0; i < rule->n_policy_arns; i++) {
		if (set_copy(&arns[i], rule->policy_arns[i]) < 0)
			return -ENOMEM;
		role->n_policy_arns++;
	}
	return 0;
}

static int set_session_name(const struct policy_rule *rule, const struct template_values *values,
			    struct sts_assume_role *role, struct diag *diag)
{
	char name[STS_SESSION_NAME_SIZE];

	int r = set_expanded(&role->session_name, rule->session_name, values, "session_name", diag);
	if (r < 0)
		return r;
	sts_session_name(role->session_name, name);
	return set_copy(&role->session_name, name) < 0
		       ? diag_fail(ENOMEM, diag, NULL, "out of memory")
		       : 0;
}

int policy_scope_apply(const struct policy_rule *rule, const char *id,
		       struct registration *registration, struct diag *diag)
{
	struct sts_assume_role *role = &registration->role;
	const struct template_values values = {
		.id = id,
		.labels = registration->labels,
		.n_labels = registration->n_labels,
	};

	int r = rule->n_add_tags > 0 ? add_tags(rule, &values, role, diag) : 0;
	if (r == 0 && rule->session_name)
		r = set_session_name(rule, &values, role, diag);
	if (r == 0 && rule->source_identity)
		r = set_expanded(&role->source_identity, rule->source_identity, &values,
				 "source_identity", diag);
	if (r == 0 &&
	    (set_policies(rule, role) < 0 || set_copy(&registration->policy_rule, rule->name) < 0))
		r = diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (r == 0)
		r = sts_assume_role_check(role, diag);
	return r;
}
