#include "rolegate/registration_options.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *option, *field;
} fields[] = {
	{"role", "role_arn"},
	{"netns", "netns"},
	{"pid", "pid"},
	{"intercept", "intercept"},
	{"session-name", "session_name"},
	{"external-id", "external_id"},
	{"duration", "duration_s"},
	{"tag", "session_tags"},
	{"transitive-tag", "transitive_tag_keys"},
	{"source-identity", "source_identity"},
	{"session-policy", "session_policy"},
	{"policy-arn", "policy_arns"},
	{"tokens", "tokens"},
	{"hop-limit", "hop_limit"},
	{"image", "image.ref"},
	{"digest", "image.digest"},
	{"label", "labels"},
	{"metadata", "metadata"},
	{"allow", "allow"},
	{"wait", "wait_s"},
};

const char *registration_field(const char *option)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(fields[i].option, option) == 0)
			return fields[i].field;
	return NULL;
}
