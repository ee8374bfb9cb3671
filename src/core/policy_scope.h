/* policy_scope: what a policy rule requires of a session, and what it adds to it. No I/O.
 *
 * A rule that scopes a session down must not be undone by the registration: with a session policy
 * in the rule, the registration may not bring policies of its own (STS grants what any of them
 * grants), and a tag or source identity that the rule sets may not be set otherwise.
 */
#pragma once

#include "core/policy.h"
#include "wire/registration.h"

/* policy_scope_check(rule, question, diag): may a session as asked for be had under this rule? 0,
 * or -EACCES with the field and a clause for "rule X matches but …" in `diag` (may be NULL). A
 * question without a session (`role` NULL) is about the role alone: 0. */
int policy_scope_check(const struct policy_rule *rule, const struct policy_question *question,
		       struct diag *diag);

/* policy_scope_apply(rule, id, registration, diag): make the registration's session what the rule
 * says, and note the rule's name in it. 0; -EINVAL when the result breaks one of AWS's limits, or a
 * template names a label that the container lacks, with `diag` naming the field; -ENOMEM. */
int policy_scope_apply(const struct policy_rule *rule, const char *id,
		       struct registration *registration, struct diag *diag);
