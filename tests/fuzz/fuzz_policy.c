/* The policy: any text, and any question asked of what it parses to. The input is the question's
 * lines (role, image, digest, label), then the file. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy_scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Cut the next line off; NULL when it is empty. */
static char *take_line(char **rest)
{
	char *line = strsep(rest, "\n");

	return line && line[0] ? line : NULL;
}

/* A registration that asks for a tag and a session policy of its own, as a rule may want or not. */
static struct registration *registration_of_all(void)
{
	static const char body[] =
		"{\"role_arn\":\"arn:aws:iam::123456789012:role/x\",\"netns\":\"/n\","
		"\"session_tags\":{\"team\":\"a\"},\"labels\":{\"team\":\"x\"},"
		"\"session_policy\":\"{}\"}";
	static const struct registration_defaults defaults = {true, 1, 3600};
	struct registration *registration = NULL;

	if (registration_parse("c", body, sizeof(body) - 1, &defaults, &registration, NULL) < 0)
		abort();
	return registration;
}

/* What an allowing rule makes of the session: within AWS's limits, and no wider than the rule says.
 */
static void check_scope(const struct policy_rule *rule, struct registration *registration)
{
	struct diag diag = {0};
	const struct sts_assume_role *role = &registration->role;

	int r = policy_scope_apply(rule, "c", registration, &diag);
	if (r < 0) {
		assert(diag.text[0]);
		return;
	}
	assert(sts_assume_role_check(role, &diag) == 0);
	assert(strcmp(registration->policy_rule, rule->name) == 0);
	if (rule->session_policy)
		assert(strcmp(role->session_policy, rule->session_policy) == 0);
	else if (rule->n_policy_arns > 0)
		assert(!role->session_policy);
	if (rule->session_policy || rule->n_policy_arns > 0)
		assert(role->n_policy_arns == rule->n_policy_arns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct policy *policy = NULL;
	const struct policy_rule *rule = NULL;
	struct diag diag = {0};
	char *text = malloc(len + 1), *rest = text;
	static char key[] = "team", none[] = "";

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	const char *role = take_line(&rest), *image = take_line(&rest), *digest = take_line(&rest);
	char *label = take_line(&rest);
	const struct policy_label labels[] = {{key, label ? label : none}};
	struct registration *registration = registration_of_all();
	const struct policy_question question = {
		.role_arn = role ? role : "",
		.image_ref = image,
		.image_digest = digest,
		.duration_s = 3600,
		.labels = labels,
		.n_labels = 1,
		.id = "c",
		.role = &registration->role,
	};

	int r = policy_parse(rest ? rest : "", "fuzz", &policy, &diag);
	assert((r == 0) == (policy != NULL));
	assert(r == 0 || diag.text[0]);
	r = policy_decide(policy, &question, &rule, &diag);
	assert((r == 0) == (rule != NULL));
	if (r < 0) {
		assert(strstr(diag.text, "no rule allows"));
	} else {
		/* What holds for whatever is allowed: a pattern with this very account. */
		bool matches = false;
		for (size_t i = 0; i < rule->n_roles; i++)
			matches = matches || policy_glob_arn(rule->roles[i], question.role_arn);
		assert(matches && (!rule->require_digest || digest) && (!rule->n_images || image));
		check_scope(rule, registration);
	}
	registration_free(registration);
	policy_free(policy);
	free(text);
	return 0;
}
