/* registration_options: the options that become fields of a registration, for `register` and `launch`.
 */
#pragma once

#define REGISTRATION_OPTIONS                                                                       \
	{"role", "ARN", false, "the role to assume"},                                              \
		{"session-name", "NAME", false, "STS session name; default rolegate-ID"},          \
		{"external-id", "ID", false, "STS external id"},                                   \
		{"duration", "S", false, "life of its credentials in seconds, 900 to 43200"},      \
		{"tag", "KEY=VALUE", true, "STS session tag"},                                     \
		{"transitive-tag", "KEY", true, "session tag that role chaining keeps"},           \
		{"source-identity", "NAME", false, "STS source identity"},                         \
		{"session-policy", "JSON|@FILE", false, "policy that narrows the role's further"}, \
		{"policy-arn", "ARN", true, "managed policy that narrows it"},                     \
		{"tokens", "required|optional|disabled", false, "whether IMDSv2 is required"},     \
		{"hop-limit", "N", false, "IP hops a token's answer may travel, 1 to 64"},         \
		{"image", "REF", false, "the container's image, for the policy"},                  \
		{"digest", "SHA", false, "its digest (sha256:...), for the policy"},               \
		{"label", "KEY=VALUE", true, "a label, for the policy and the role map"},          \
		{"metadata", "KEY=VALUE", true, "what a metadata path answers in the container"},  \
		{"allow", "PATH", true, "metadata path of the host's that it may read"},           \
	{                                                                                          \
		"wait", "S", false, "how long to wait for credentials; default 10"                 \
	}

/* registration_field(option): the field of the body that the option sets; NULL if it sets none. */
const char *registration_field(const char *option);
