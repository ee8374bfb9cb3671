#include "wire/oci_state.h"

#include <limits.h>
#include <string.h>

#include <jansson.h>

static const char *const status_names[] = {
	[OCI_CREATING] = "creating",
	[OCI_CREATED] = "created",
	[OCI_RUNNING] = "running",
	[OCI_STOPPED] = "stopped",
};

static int parse_status(const char *text, enum oci_status *ret, struct diag *diag)
{
	for (size_t i = 0; i < sizeof(status_names) / sizeof(status_names[0]); i++) {
		if (strcmp(text, status_names[i]) == 0) {
			*ret = (enum oci_status)i;
			return 0;
		}
	}
	return diag_fail(EINVAL, diag, "status", "the container's status is \"%.32s\"", text);
}

int oci_state_parse(const char *text, size_t len, struct oci_state *ret, struct diag *diag)
{
	json_error_t error;
	json_int_t pid = 0;
	const char *id, *bundle, *status;
	json_auto_t *json = json_loadb(text, len, 0, &error);

	*ret = (struct oci_state){0};
	if (!json || json_unpack_ex(json, &error, 0, "{s:s, s:s, s:s, s?I}", "id", &id, "bundle",
				    &bundle, "status", &status, "pid", &pid) < 0)
		return diag_fail(EINVAL, diag, NULL,
				 "standard input has no state of a container: %s", error.text);
	if (bundle[0] != '/')
		return diag_fail(EINVAL, diag, "bundle", "the bundle %.128s is no absolute path",
				 bundle);
	if (pid < 0 || pid > INT_MAX)
		return diag_fail(EINVAL, diag, "pid", "there is no process %lld", (long long)pid);
	int r = parse_status(status, &ret->status, diag);
	if (r < 0)
		return r;
	ret->pid = (pid_t)pid;
	ret->id = strdup(id);
	ret->bundle = strdup(bundle);
	if (ret->id && ret->bundle)
		return 0;
	oci_state_deinit(ret);
	return diag_fail(ENOMEM, diag, NULL, "out of memory");
}

void oci_state_deinit(struct oci_state *state)
{
	free(state->id);
	free(state->bundle);
	*state = (struct oci_state){0};
}
