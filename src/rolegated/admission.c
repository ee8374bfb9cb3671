#include "rolegated/admission.h"

#include "core/policy_scope.h"

void admission_deinit(struct admission *a)
{
	registration_free(a->registration);
	container_metadata_free(a->metadata);
	*a = (struct admission){0};
}

/* What a body leaves out is, for an id that exists, what it was left out for before: the configuration
 * may have changed since, the registration has not. */
static int parse(const struct config *config, const struct registration *known, const char *id,
		 const char *body, size_t len, struct registration **ret, struct diag *diag)
{
	const struct registration_defaults defaults = {
		.tokens_required = known ? known->tokens_required : config->imds.tokens_required,
		.hop_limit = known ? known->hop_limit : config->imds.hop_limit,
		.duration_s = known ? known->role.duration_s : config->aws.session_duration_s,
	};

	return registration_parse(id, body, len, &defaults, ret, diag);
}

static int judge(const struct policy *policy, const char *id,
		 const struct registration *registration, const struct policy_rule **ret_rule,
		 struct diag *diag)
{
	const struct policy_question question = policy_question_of(id, registration);

	return policy_decide(policy, &question, ret_rule, diag);
}

int admission_admit(const struct config *config, const struct policy *policy,
		    const struct registration *known, const char *id, const char *body, size_t len,
		    struct admission *ret, const char **ret_code, struct diag *diag)
{
	_cleanup_(admission_deinit) struct admission a = {0};
	const struct policy_rule *rule;

	*ret_code = "invalid";
	int r = parse(config, known, id, body, len, &a.registration, diag);
	if (r == 0)
		r = container_metadata_new(a.registration, &a.metadata, diag);
	if (r < 0)
		return r == -ENOMEM ? 500 : 422;
	if (judge(policy, id, a.registration, &rule, diag) < 0) {
		*ret_code = "policy_denied";
		return 403;
	}
	r = policy_scope_apply(rule, id, a.registration, diag);
	if (r < 0)
		return r == -ENOMEM ? 500 : 422;
	*ret = a;
	a = (struct admission){0}; /* moved */
	return 0;
}
