#include "wire/simple_signing.h"

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

static const char *const types[] = {"cosign container image signature",
				    "atomic container signature"};

static bool is_known_type(const char *type)
{
	for (size_t i = 0; type && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

/* `signed_ref` is a repository, or has a tag or digest too; then that must be the same. */
static bool covers(const char *signed_ref, const char *ref)
{
	size_t len = strlen(signed_ref);

	if (strncmp(signed_ref, ref, len) != 0)
		return false;
	return ref[len] == '\0' || ref[len] == '@' || (ref[len] == ':' && !strchr(ref + len, '/'));
}

int simple_signing_check(const char *payload, size_t len, const char *digest, const char *ref,
			 struct diag *diag)
{
	const char *type, *signed_digest, *signed_ref;
	json_error_t error;
	json_auto_t *json = json_loadb(payload, len, JSON_REJECT_DUPLICATES, &error);

	if (!json ||
	    json_unpack_ex(json, &error, 0, "{s:{s:s, s:{s:s}, s:{s:s}}}", "critical", "type",
			   &type, "image", "docker-manifest-digest", &signed_digest, "identity",
			   "docker-reference", &signed_ref) < 0)
		return diag_fail(EINVAL, diag, NULL, "it is no signed statement: %s", error.text);
	if (!is_known_type(type))
		return diag_fail(EINVAL, diag, NULL, "it is of the unknown type \"%.64s\"", type);
	if (strcmp(signed_digest, digest) != 0)
		return diag_fail(EACCES, diag, NULL, "it is about %.80s", signed_digest);
	if (!covers(signed_ref, ref))
		return diag_fail(EACCES, diag, NULL, "it is about the image %.128s", signed_ref);
	return 0;
}
