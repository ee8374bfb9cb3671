/* The policy: any text, and any question asked of what it parses to. The input is the question's
 * lines (role, image, digest, label), then the file. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Cut the next line off; NULL when it is empty. */
static char *take_line(char **rest)
{
	char *line = strsep(rest, "\n");

	return line && line[0] ? line : NULL;
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
	const struct policy_question question = {role ? role : "", image, digest, 3600, labels, 1};

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
	}
	policy_free(policy);
	free(text);
	return 0;
}
