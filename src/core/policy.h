/* policy: may this container have this role? What no rule allows is denied. No I/O. */
#pragma once

#include "wire/policy_document.h"
#include "wire/registration.h"
#include "wire/sts_message.h"

struct policy_question {
	const char *role_arn;
	const char *image_ref;	  /* NULL: unknown */
	const char *image_digest; /* NULL: unknown */
	int64_t duration_s;
	const struct policy_label *labels; /* the container's own */
	size_t n_labels;
	const char *id;			    /* for templates */
	const struct sts_assume_role *role; /* the session asked for; NULL: ask of the role alone */
};

/* policy_question_of(id, registration): all that a registration asks. It points into both. */
struct policy_question policy_question_of(const char *id, const struct registration *registration);

/* policy_decide(policy, question, ret_rule, diag): 0 with the allowing rule, or -EACCES with a
 * sentence in `diag` saying what came nearest and why it did not match. `policy` NULL denies. */
int policy_decide(const struct policy *policy, const struct policy_question *question,
		  const struct policy_rule **ret_rule, struct diag *diag);

/* policy_glob(pattern, text): whole-string match; '*' any run, '?' one byte; no escapes. */
bool policy_glob(const char *pattern, const char *text);

/* policy_glob_arn(pattern, arn): field by field, so that no '*' reaches over a ':' into the
 * account; the account field (the fifth) must be equal. The sixth field takes the rest. */
bool policy_glob_arn(const char *pattern, const char *arn);
