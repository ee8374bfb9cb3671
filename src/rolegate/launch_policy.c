#include "rolegate/launch_policy.h"

#include "core/policy.h"
#include "util/buf.h"
#include "wire/registration.h"
#include "wire/registration_body.h"

DEFINE_CLEANUP(struct policy *, policy_free)
DEFINE_CLEANUP(struct registration *, registration_free)

/* The registration as it will be, but for the netns. */
static int make_registration(const struct config *config, const char *id,
			     const struct identity *identity, struct registration **ret,
			     struct diag *diag)
{
	_cleanup_registration_body_ struct registration_body *body = registration_body_new();
	_cleanup_buf_ struct buf text = {0};
	const struct registration_defaults defaults = {
		.tokens_required = config->imds.tokens_required,
		.hop_limit = config->imds.hop_limit,
		.duration_s = config->aws.session_duration_s,
	};

	struct diag why = {0};

	if (!body)
		return diag_fail(ENOMEM, diag, NULL, "out of memory");
	int r = registration_body_add(body, "role_arn", identity->role_arn, diag);
	if (r == 0)
		r = registration_body_add(body, "netns", "/proc/self/ns/net", diag);
	for (size_t i = 0; r == 0 && i < identity->n_fields; i++)
		r = registration_body_add(body, identity->fields[i].name, identity->fields[i].value,
					  diag);
	if (r == 0 && registration_body_print(body, &text) < 0)
		r = diag_fail(ENOMEM, diag, NULL, "out of memory");
	if (r < 0)
		return r;
	r = registration_parse(id, text.data, text.len, &defaults, ret, &why);
	return r < 0 ? diag_fail(-r, diag, why.field, "%s%s%s", why.field, why.field[0] ? ": " : "",
				 why.text)
		     : 0;
}

int launch_policy_check(const struct config *config, const char *id,
			const struct identity *identity, struct diag *diag)
{
	_cleanup_(registration_freep) struct registration *registration = NULL;
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const struct policy_rule *rule;

	int r = policy_load(config->policy.file, &policy, diag);
	if (r == 0)
		r = make_registration(config, id, identity, &registration, diag);
	if (r < 0)
		return r;
	const struct policy_question question = policy_question_of(id, registration);
	return policy_decide(policy, &question, &rule, diag);
}
